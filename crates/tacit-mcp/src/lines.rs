//! Standard input and output, a message a line.
//!
//! The protocol's library passes over lines that it cannot read. Whoever wrote one would wait for ever, so they are answered
//! here.

use std::io;

use rmcp::transport::io::{StdioReader, StdioWriter, stdio_pipes};
use serde::de::IgnoredAny;
use tokio::{
    io::{
        AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex,
        split,
    },
    sync::mpsc,
};

use crate::protocol::MESSAGE_BYTES_MAX;

const BUFFER_BYTES: usize = 64 * 1024;
/// JSON-RPC 2.0, section 5.1.
const UNREADABLE: &[u8] = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the line is not JSON, or longer than a message may be; write one message a line"}}
"#;

/// What the library reads and writes instead, and what carries it, which ends when the library has.
pub(crate) fn stdio()
-> ((ReadHalf<DuplexStream>, WriteHalf<DuplexStream>), impl Future<Output = io::Result<()>>) {
    let (ours, theirs) = duplex(BUFFER_BYTES);
    let (reader, writer) = stdio_pipes();
    (split(theirs), carry(reader, writer, ours))
}

async fn carry(reader: StdioReader, writer: StdioWriter, ours: DuplexStream) -> io::Result<()> {
    let (from_library, to_library) = split(ours);
    let (unreadable, told) = mpsc::channel(1);
    let outgoing = outgoing(from_library, told, writer);
    tokio::pin!(outgoing);
    tokio::select! {
        // The library has ended, whatever else might be said to it.
        written = &mut outgoing => written,
        read = incoming(BufReader::new(reader), to_library, unreadable) => read.and(outgoing.await),
    }
}

/// Lines that are JSON go on; of others there is only word.
async fn incoming(
    mut reader: BufReader<StdioReader>,
    mut to_library: WriteHalf<DuplexStream>,
    unreadable: mpsc::Sender<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MESSAGE_BYTES_MAX as u64 + 1;
        if (&mut reader).take(limit).read_until(b'\n', &mut line).await? == 0 {
            return to_library.shutdown().await;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let is_whole = line.len() <= MESSAGE_BYTES_MAX;
        if is_whole && serde_json::from_slice::<IgnoredAny>(&line).is_ok() {
            if !line.ends_with(b"\n") {
                line.push(b'\n');
            }
            to_library.write_all(&line).await?;
            continue;
        }
        while !line.ends_with(b"\n") {
            line.clear();
            if (&mut reader).take(BUFFER_BYTES as u64).read_until(b'\n', &mut line).await? == 0 {
                break;
            }
        }
        // Nobody listens any more: then nobody waits.
        let _ = unreadable.send(()).await;
    }
}

/// Whole lines, so that no message ends up inside another.
async fn outgoing(
    from_library: ReadHalf<DuplexStream>,
    mut unreadable: mpsc::Receiver<()>,
    mut writer: StdioWriter,
) -> io::Result<()> {
    let mut lines = BufReader::new(from_library).split(b'\n');
    loop {
        tokio::select! {
            line = lines.next_segment() => match line? {
                Some(mut line) => {
                    line.push(b'\n');
                    writer.write_all(&line).await?;
                }
                None => return writer.flush().await,
            },
            Some(()) = unreadable.recv() => writer.write_all(UNREADABLE).await?,
        }
        writer.flush().await?;
    }
}
