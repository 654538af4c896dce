//! The file transfer protocol, version 3 (draft-ietf-secsh-filexfer-02), as far as the steps need it.
//!
//! By hand because it is small, and because what a server says must be bounded, kept as bytes (a handle is any bytes, and
//! so is a name), and not be logged by somebody else.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of one packet that a server may send: what everybody allows at least (34,000), and what OpenSSH sends at most.
const PACKET_BYTES_MAX: u32 = 256 * 1024 + 1024;
/// Bytes of a handle.
const HANDLE_BYTES_MAX: usize = 256;

/// What a request is refused with; the server's words about it are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    End,
    NoSuchFile,
    PermissionDenied,
    Unsupported,
    Failure,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server refused.
    Refused(Status),
    /// The connection ended, or what came is not this protocol.
    Broken,
}

/// A file or folder that the server has open.
#[derive(Clone)]
pub(super) struct Handle(Vec<u8>);

/// What is in a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) size: Option<u64>,
    pub(super) permissions: Option<u32>,
    pub(super) modified_secs: Option<u32>,
}

/// One reply.
#[derive(PartialEq)]
pub(super) enum Reply {
    Status(Status),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<Entry>),
}

/// Its kind: contents are the server's.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(_) => "Status",
            Self::Handle(_) => "Handle",
            Self::Data(_) => "Data",
            Self::Names(_) => "Names",
        })
    }
}

/// How a file is opened.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Read,
    /// Made if it is not there, emptied if it is.
    Write,
}

/// A conversation over a channel.
pub(super) struct Conversation<S> {
    stream: S,
    next_id: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Agrees on the version.
    pub(super) async fn begin(stream: S) -> Result<Self, Fault> {
        let mut conversation = Self { stream, next_id: 0 };
        conversation.write(&[1, 0, 0, 0, 3]).await?;
        let packet = conversation.read().await?;
        // Whatever extensions it names are not used.
        match packet.as_slice() {
            [2, 0, 0, 0, version, ..] if *version >= 3 => Ok(conversation),
            _ => Err(Fault::Broken),
        }
    }

    pub(super) async fn open(&mut self, path: &str, mode: Mode) -> Result<Handle, Fault> {
        let flags: u32 = match mode {
            Mode::Read => 1,
            Mode::Write => 2 | 8 | 16,
        };
        let body = Body::new().text(path.as_bytes()).number(flags).number(0);
        self.ask(3, body).await?.into_handle()
    }

    pub(super) async fn open_folder(&mut self, path: &str) -> Result<Handle, Fault> {
        self.ask(11, Body::new().text(path.as_bytes())).await?.into_handle()
    }

    pub(super) async fn close(&mut self, handle: &Handle) -> Result<(), Fault> {
        self.ask(4, Body::new().text(&handle.0)).await?.into_done()
    }

    pub(super) async fn remove(&mut self, path: &str) -> Result<(), Fault> {
        self.ask(13, Body::new().text(path.as_bytes())).await?.into_done()
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        self.ask(18, Body::new().text(from.as_bytes()).text(to.as_bytes())).await?.into_done()
    }

    /// The next names of a folder; none at its end.
    pub(super) async fn names(&mut self, handle: &Handle) -> Result<Option<Vec<Entry>>, Fault> {
        match self.ask(12, Body::new().text(&handle.0)).await? {
            Reply::Names(entries) => Ok(Some(entries)),
            Reply::Status(Status::End) => Ok(None),
            other => Err(other.into_fault()),
        }
    }

    /// Reads pieces at these places, all asked for before the first is awaited: one after the other, every piece would
    /// cost a round trip. `None` is the end of the file.
    pub(super) async fn read_at(
        &mut self,
        handle: &Handle,
        places: &[(u64, u32)],
    ) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let mut ids = Vec::with_capacity(places.len());
        for (offset, length) in places {
            ids.push(self.send(5, Body::new().text(&handle.0).long(*offset).number(*length)).await?);
        }
        let mut pieces = Vec::with_capacity(places.len());
        for (reply, (_, length)) in self.replies(&ids).await?.into_iter().zip(places) {
            pieces.push(match reply {
                // More than was asked for has no place.
                Reply::Data(data) if data.len() <= *length as usize && !data.is_empty() => Some(data),
                Reply::Status(Status::End) => None,
                other => return Err(other.into_fault()),
            });
        }
        Ok(pieces)
    }

    /// Writes pieces one behind the other from a place on, the same way.
    pub(super) async fn write_at<'a>(
        &mut self,
        handle: &Handle,
        mut offset: u64,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Fault> {
        let mut ids = Vec::new();
        for piece in pieces {
            ids.push(self.send(6, Body::new().text(&handle.0).long(offset).text(piece)).await?);
            offset += piece.len() as u64;
        }
        for reply in self.replies(&ids).await? {
            reply.into_done()?;
        }
        Ok(())
    }

    async fn ask(&mut self, kind: u8, body: Body) -> Result<Reply, Fault> {
        let id = self.send(kind, body).await?;
        self.replies(&[id]).await?.pop().ok_or(Fault::Broken)
    }

    async fn send(&mut self, kind: u8, body: Body) -> Result<u32, Fault> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let mut packet = vec![kind];
        packet.extend(id.to_be_bytes());
        packet.extend(body.0);
        self.write(&packet).await?;
        Ok(id)
    }

    /// The replies to these requests, in their order, whichever comes first.
    async fn replies(&mut self, ids: &[u32]) -> Result<Vec<Reply>, Fault> {
        let mut replies: Vec<Option<Reply>> = ids.iter().map(|_| None).collect();
        for _ in ids {
            let packet = self.read().await?;
            let (id, reply) = parse(&packet).ok_or(Fault::Broken)?;
            let at = ids.iter().position(|asked| *asked == id).ok_or(Fault::Broken)?;
            if replies[at].replace(reply).is_some() {
                return Err(Fault::Broken);
            }
        }
        replies.into_iter().collect::<Option<_>>().ok_or(Fault::Broken)
    }

    async fn write(&mut self, packet: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(packet.len()).map_err(|_| Fault::Broken)?;
        let mut framed = Vec::with_capacity(packet.len() + 4);
        framed.extend(length.to_be_bytes());
        framed.extend(packet);
        self.stream.write_all(&framed).await.map_err(|_| Fault::Broken)
    }

    async fn read(&mut self) -> Result<Vec<u8>, Fault> {
        let length = self.stream.read_u32().await.map_err(|_| Fault::Broken)?;
        if length == 0 || length > PACKET_BYTES_MAX {
            return Err(Fault::Broken);
        }
        let mut packet = vec![0; length as usize];
        self.stream.read_exact(&mut packet).await.map_err(|_| Fault::Broken)?;
        Ok(packet)
    }
}

impl Reply {
    fn into_handle(self) -> Result<Handle, Fault> {
        match self {
            Self::Handle(handle) if handle.len() <= HANDLE_BYTES_MAX => Ok(Handle(handle)),
            other => Err(other.into_fault()),
        }
    }

    fn into_done(self) -> Result<(), Fault> {
        match self {
            Self::Status(Status::Ok) => Ok(()),
            other => Err(other.into_fault()),
        }
    }

    fn into_fault(self) -> Fault {
        match self {
            Self::Status(status) if status != Status::Ok => Fault::Refused(status),
            _ => Fault::Broken,
        }
    }
}

/// What follows a request's id.
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(mut self, bytes: &[u8]) -> Self {
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }
}

/// A reply and the request it belongs to; `None` if it is not a whole one.
pub(super) fn parse(packet: &[u8]) -> Option<(u32, Reply)> {
    let mut reader = Reader(packet);
    let kind = reader.take(1)?[0];
    let id = reader.number()?;
    let reply = match kind {
        101 => Reply::Status(match reader.number()? {
            0 => Status::Ok,
            1 => Status::End,
            2 => Status::NoSuchFile,
            3 => Status::PermissionDenied,
            8 => Status::Unsupported,
            _ => Status::Failure,
        }),
        102 => Reply::Handle(reader.text()?.to_vec()),
        103 => Reply::Data(reader.text()?.to_vec()),
        104 => {
            let count = reader.number()?;
            let mut entries = Vec::new();
            for _ in 0..count {
                entries.push(reader.entry()?);
            }
            Reply::Names(entries)
        }
        _ => return None,
    };
    Some((id, reply))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }

    /// A name, a line for people that is left out, and attributes.
    fn entry(&mut self) -> Option<Entry> {
        let name = self.text()?.to_vec();
        self.text()?;
        let mut entry = Entry { name, ..Entry::default() };
        let flags = self.number()?;
        if flags & 1 != 0 {
            entry.size = Some(self.long()?);
        }
        if flags & 2 != 0 {
            self.take(8)?;
        }
        if flags & 4 != 0 {
            entry.permissions = Some(self.number()?);
        }
        if flags & 8 != 0 {
            self.number()?;
            entry.modified_secs = Some(self.number()?);
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: u32, entries: &[u8]) -> Vec<u8> {
        [&[104, 0, 0, 0, 7][..], &count.to_be_bytes(), entries].concat()
    }

    /// Every kind of reply, and what is cut short, too long or none.
    #[test]
    fn replies() {
        assert_eq!(
            parse(&[101, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0]),
            Some((7, Reply::Status(Status::PermissionDenied)))
        );
        assert_eq!(parse(&[101, 0, 0, 0, 7, 0, 0, 1, 0]), Some((7, Reply::Status(Status::Failure))));
        assert_eq!(parse(&[103, 0, 0, 0, 1, 0, 0, 0, 2, 255, 0]), Some((1, Reply::Data(vec![255, 0]))));
        let entry = Body::new()
            .text(b"a\xff")
            .text(b"line")
            .number(1 | 2 | 4 | 8 | 0x8000_0000)
            .long(9)
            .long(0)
            .number(0o100_644)
            .number(1)
            .number(2)
            .number(1)
            .text(b"x")
            .text(b"y");
        let expected = Entry {
            name: b"a\xff".to_vec(),
            size: Some(9),
            permissions: Some(0o100_644),
            modified_secs: Some(2),
        };
        assert_eq!(parse(&names(1, &entry.0)), Some((7, Reply::Names(vec![expected]))));
        for cut in 0..entry.0.len() {
            assert!(parse(&names(1, &entry.0[..cut])).is_none(), "{cut}");
        }
        assert!(parse(&names(u32::MAX, &entry.0)).is_none());
        for bad in [
            &[][..],
            &[101],
            &[101, 0, 0, 0, 7],
            &[103, 0, 0, 0, 1, 255, 255, 255, 255, 1],
            &[200, 0, 0, 0, 1],
        ] {
            assert!(parse(bad).is_none());
        }
    }

    proptest::proptest! {
        /// Whatever a server sends is a reply or none, and no reply holds more than was sent.
        #[test]
        fn any_bytes(kind in 100u8..106, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let packet = [&[kind, 0, 0, 0, 1][..], &bytes].concat();
            if let Some((1, Reply::Names(entries))) = parse(&packet) {
                let held: usize = entries.iter().map(|entry| entry.name.len()).sum();
                proptest::prop_assert!(held + entries.len() * 12 <= bytes.len());
            }
        }
    }

    /// A server that says too much, answers what was not asked, or answers twice is left.
    #[tokio::test]
    async fn hostile_servers() {
        let version = [0, 0, 0, 5, 2, 0, 0, 0, 3];
        for answer in [
            vec![255, 255, 255, 255, 1],
            vec![0, 0, 0, 0],
            [&[0, 0, 0, 9][..], &[101, 0, 0, 0, 9, 0, 0, 0, 0]].concat(),
            [&[0, 0, 0, 9][..], &[103, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
            vec![0, 0, 0, 9, 101],
        ] {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            theirs.write_all(&[&version[..], &answer].concat()).await.unwrap();
            theirs.shutdown().await.unwrap();
            let mut conversation = Conversation::begin(ours).await.unwrap();
            assert_eq!(conversation.remove("/a").await, Err(Fault::Broken), "{answer:?}");
        }
    }
}
