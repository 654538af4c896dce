//! A name server on loopback whose answers a case writes.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::net::UdpSocket;

/// What a question is answered with.
pub(crate) enum Answer {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    /// No answer at all.
    Silence,
}

/// Which kind of address is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    A,
    Aaaa,
}

type Script = Arc<dyn Fn(Kind, usize) -> Answer + Send + Sync>;

/// The name server. Everything below `.test` is 127.0.0.1 unless a case says otherwise.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    scripts: HashMap<String, Script>,
    /// How often each name was asked for, by kind.
    asked: HashMap<(String, bool), usize>,
}

/// These addresses, of whichever kind.
pub(crate) fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

impl Names {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names = Self { address, shared: Arc::default() };
        let serving = names.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(reply) = serving.reply(&buffer[..length]) {
                    let _ = socket.send_to(&reply, from).await;
                }
            }
        });
        names
    }

    /// Answers for a name by a script; it gets the kind and how many questions of this kind came before.
    pub(crate) fn script(&self, name: &str, script: impl Fn(Kind, usize) -> Answer + Send + Sync + 'static) {
        self.shared.lock().unwrap().scripts.insert(name.to_owned(), Arc::new(script));
    }

    /// The same addresses whenever a name is asked for.
    pub(crate) fn always(&self, name: &str, texts: &'static [&'static str]) {
        self.script(name, |_, _| addresses(texts));
    }

    /// How often a name's addresses were asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        [true, false].iter().filter_map(|is_v6| shared.asked.get(&(name.to_owned(), *is_v6))).sum()
    }

    fn reply(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, kind, question_end) = question(query);
        let wanted = if kind == 28 { Kind::Aaaa } else { Kind::A };
        let (script, nth) = {
            let mut shared = self.shared.lock().unwrap();
            let count = shared.asked.entry((name.clone(), wanted == Kind::Aaaa)).or_default();
            *count += 1;
            let nth = *count - 1;
            (shared.scripts.get(&name).cloned(), nth)
        };
        let answer = match script {
            Some(script) => script(wanted, nth),
            None if name.ends_with(".test") => Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]),
            None => Answer::NoSuchName,
        };
        let (code, addresses) = match answer {
            Answer::Silence => return None,
            Answer::NoSuchName => (3, Vec::new()),
            Answer::Addresses(all) => {
                (0, all.into_iter().filter(|ip| ip.is_ipv6() == (wanted == Kind::Aaaa)).collect())
            }
        };
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
        reply.extend_from_slice(&query[12..question_end]);
        for ip in addresses {
            let data = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            // A pointer to the question's name, class IN, and a time to live of zero: nothing is remembered.
            let length = u8::try_from(data.len()).unwrap();
            reply.extend([
                0xc0,
                12,
                kind.to_be_bytes()[0],
                kind.to_be_bytes()[1],
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                length,
            ]);
            reply.extend(data);
        }
        Some(reply)
    }
}

/// The name in lower case, the type, and where the question ends.
fn question(query: &[u8]) -> (String, u16, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}
