//! What the broker makes of whatever an SFTP server says.

use tokio::io::AsyncWriteExt;

#[path = "../../crates/tacit-broker/src/sftp/protocol.rs"]
mod protocol;

use protocol::{Conversation, Mode, Reply, parse};

const VERSION: &[u8] = &[0, 0, 0, 5, 2, 0, 0, 0, 3];

/// How many bytes of names, handles and contents there are in a packet; none if it is no reply.
pub fn held(packet: &[u8]) -> Option<usize> {
    Some(match parse(packet)?.1 {
        Reply::Status(_) => 0,
        Reply::Handle(bytes) | Reply::Data(bytes) => bytes.len(),
        // Two lengths and the kinds of attributes are the least there is of each.
        Reply::Names(entries) => entries.iter().map(|entry| entry.name.len() + 12).sum(),
    })
}

/// Reads a file, and a folder, from a server that says this behind its version, whatever it is asked.
pub async fn converse(said: &[u8]) {
    let (ours, mut theirs) = tokio::io::duplex((said.len() + VERSION.len()).max(1 << 16));
    theirs.write_all(&[VERSION, said].concat()).await.expect("there is room");
    theirs.shutdown().await.expect("a pipe closes");
    let mut conversation = Conversation::begin(ours).await.expect("the version is right");
    let Ok(file) = conversation.open("/a", Mode::Read).await else { return };
    let places = [(0, 4), (4, 4)];
    let Ok(pieces) = conversation.read_at(&file, &places).await else { return };
    assert!(
        pieces.len() == places.len() && pieces.iter().flatten().all(|piece| (1..=4).contains(&piece.len()))
    );
    let Ok(folder) = conversation.open_folder("/b").await else { return };
    while let Ok(Some(_)) = conversation.names(&folder).await {}
    let _ = conversation.close(&folder).await;
}
