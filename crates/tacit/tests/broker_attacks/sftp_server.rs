//! An SFTP server that means harm: it takes every password, and sends it back wherever it can: in files, in their names, in
//! what it says about them.

use std::sync::{Arc, Mutex};

use russh::{
    Channel, ChannelId, Disconnect, Preferred,
    keys::{Algorithm, HashAlg, PrivateKey},
    server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

/// The server.
#[derive(Clone)]
pub(crate) struct SftpServer {
    pub(crate) port: u16,
    /// The fingerprint of its key.
    pub(crate) host_key: String,
    heard: Arc<Mutex<Heard>>,
}

/// What it heard.
#[derive(Default)]
struct Heard {
    logins: Vec<(String, String)>,
    paths: Vec<String>,
    /// Channels towards the client that the client took.
    taken: usize,
}

impl SftpServer {
    pub(crate) async fn start() -> Self {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), host_key, heard: Arc::default() };
        let config = Arc::new(Config { keys: vec![key], preferred: Preferred::DEFAULT, ..Config::default() });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, client) =
                    (Arc::clone(&config), Client { heard: Arc::clone(&serving.heard), channel: None });
                tokio::spawn(async move {
                    if let Ok(running) = run_stream(config, stream, client).await {
                        let _ = running.await;
                    }
                });
            }
        });
        server
    }

    /// Who signed in, and with what.
    pub(crate) fn logins(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().logins.clone()
    }

    /// The files and folders that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.heard.lock().unwrap().paths.clone()
    }

    /// How many channels the client let it open.
    pub(crate) fn taken(&self) -> usize {
        self.heard.lock().unwrap().taken
    }
}

struct Client {
    heard: Arc<Mutex<Heard>>,
    channel: Option<Channel<Msg>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.heard.lock().unwrap().logins.push((user.to_owned(), password.to_owned()));
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        assert_eq!(name, "sftp");
        session.channel_success(id)?;
        let heard = Arc::clone(&self.heard);
        let s = heard.lock().unwrap().logins.last().map(|(_, password)| password.clone()).unwrap_or_default();
        let Some(channel) = self.channel.take() else { return Ok(()) };
        let back = session.handle();
        tokio::spawn(async move {
            let mut taken = 0;
            taken += usize::from(back.channel_open_agent().await.is_ok());
            taken +=
                usize::from(back.channel_open_forwarded_tcpip("127.0.0.1", 1, "127.0.0.1", 2).await.is_ok());
            taken += usize::from(back.channel_open_session().await.is_ok());
            heard.lock().unwrap().taken += taken;
            converse(channel.into_stream(), &heard, &s).await;
            let _ = back.disconnect(Disconnect::ByApplication, s.clone(), s).await;
        });
        Ok(())
    }
}

/// Speaks the protocol until the client leaves.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Mutex<Heard>, s: &str) {
    let mut path = String::new();
    let mut is_read = false;
    loop {
        let Ok(length) = stream.read_u32().await else { return };
        let mut packet = vec![0; length as usize];
        if stream.read_exact(&mut packet).await.is_err() {
            return;
        }
        let kind = packet[0];
        let id = &packet[1..5.min(packet.len())];
        let text = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let status = |code: u32, words: &str| {
            [&[101][..], id, &code.to_be_bytes(), &text(words.as_bytes()), &text(b"en")].concat()
        };
        let reply = match kind {
            1 => [&[2, 0, 0, 0, 3][..], &text(s.as_bytes()), &text(s.as_bytes())].concat(),
            3 | 11 | 13 | 18 => {
                let length = u32::from_be_bytes(packet[5..9].try_into().unwrap()) as usize;
                path = String::from_utf8_lossy(&packet[9..9 + length]).into_owned();
                heard.lock().unwrap().paths.push(path.clone());
                if path == "/goodbye" {
                    return;
                }
                is_read = false;
                match kind {
                    _ if path.starts_with("/refused") => status(4, s),
                    3 | 11 => [&[102][..], id, &text(&[0xff, 0, 1])].concat(),
                    _ => status(0, s),
                }
            }
            5 | 12 if is_read => status(1, s),
            5 => {
                is_read = true;
                [&[103][..], id, &text(content(&path, s).as_bytes())].concat()
            }
            12 => {
                is_read = true;
                let names = names(&path, s);
                let mut body = [&[104][..], id, &u32::try_from(names.len()).unwrap().to_be_bytes()].concat();
                for name in names {
                    // The line for people says everything again.
                    body.extend([text(name.as_bytes()), text(s.as_bytes()), vec![0; 4]].concat());
                }
                body
            }
            _ => status(0, s),
        };
        let framed = [&u32::try_from(reply.len()).unwrap().to_be_bytes()[..], &reply].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
}

fn content(path: &str, s: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match path {
        "/plain" => format!("<{s}>"),
        "/reversed" => format!("<{}>", s.chars().rev().collect::<String>()),
        "/base64" => format!("<{}>", STANDARD.encode(s)),
        "/hex" => format!("<{}>", s.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
        _ => "nothing".to_owned(),
    }
}

fn names(path: &str, s: &str) -> Vec<String> {
    let piece = |at: usize| s.as_bytes().chunks(at).map(|piece| String::from_utf8_lossy(piece).into_owned());
    match path {
        "/whole" => vec!["a".to_owned(), s.to_owned()],
        "/spread" => piece(10).collect(),
        _ => vec!["a".to_owned()],
    }
}
