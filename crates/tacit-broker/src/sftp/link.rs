//! The SSH connection of an SFTP step.
//!
//! It is a connection for one subsystem. The server's key is compared before anything is authenticated; nothing is
//! forwarded, no agent is asked, and every channel that the server wants to open is refused. Texts of the server's
//! (banners, prompts, reasons) are not looked at.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use russh::{
    Channel, ChannelMsg, Disconnect, Preferred, SshId,
    client::{self, ChannelOpenHandle, Msg, Session},
    keys::{
        Algorithm, EcdsaCurve, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
        decode_secret_key,
    },
};
use tacit_model::{Code, HostKey, Problem, Target};

use crate::{
    faults::{host_key_mismatch, timed_out, wire_problem},
    permit::Connected,
    send::remaining,
    wire::{Naming, Wire},
};

/// A connection whose server has proved the key that was asked for.
pub(super) struct Link {
    handle: client::Handle<Watch>,
    address: SocketAddr,
    key: HostKey,
}

/// What signs in.
pub(super) enum Credential<'a> {
    Password { user: &'a str, password: &'a str },
    Key { user: &'a str, key: &'a str, passphrase: Option<&'a str> },
}

impl Connected for Link {
    fn address(&self) -> IpAddr {
        self.address.ip()
    }

    fn fits(&self, host_keys: &[HostKey]) -> bool {
        host_keys.contains(&self.key)
    }
}

/// The kinds of host keys, each with its algorithms. No SHA-1.
const FAMILIES: [&[Algorithm]; 3] = [
    &[Algorithm::Ed25519],
    &[
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    ],
    &[Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }],
];

/// What became of one attempt.
enum Attempt {
    Linked(Link),
    /// The server showed another key.
    OtherKey,
    /// The server has no key of these algorithms, or speaks no SSH that we do.
    Failed,
}

impl Link {
    /// Dials, and has the server prove one of these keys.
    ///
    /// A server shows one of its keys, the kind that is asked for first; which kind is pinned a fingerprint does not say. So
    /// one that shows another key is asked for its keys of each kind before it is given up.
    pub(super) async fn connect(
        wire: &Wire,
        target: &Target,
        naming: Naming,
        host_keys: Vec<HostKey>,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let all = FAMILIES.concat();
        let mut is_known = false;
        for algorithms in std::iter::once(all.as_slice()).chain(FAMILIES) {
            match attempt(wire, target, naming, &host_keys, algorithms, deadline).await? {
                Attempt::Linked(link) => return Ok(link),
                Attempt::OtherKey => is_known = true,
                // Without a first key there is nobody to ask for another one.
                Attempt::Failed if !is_known => break,
                Attempt::Failed => {}
            }
        }
        Err(if is_known { host_key_mismatch(target) } else { no_ssh(target) })
    }

    /// Proves to the server who we are.
    pub(super) async fn sign_in(
        &mut self,
        credential: Credential<'_>,
        target: &Target,
    ) -> Result<(), Problem> {
        let answered = match credential {
            Credential::Password { user, password } => {
                self.handle.authenticate_password(user, password).await
            }
            Credential::Key { user, key, passphrase } => {
                let key = private_key(key, passphrase)?;
                let hash = if matches!(key.algorithm(), Algorithm::Rsa { .. }) {
                    // What an old server offers beside, SHA-1, is not used.
                    let offered = self.handle.best_supported_rsa_hash().await.ok().flatten().flatten();
                    Some(offered.unwrap_or(HashAlg::Sha512))
                } else {
                    None
                };
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                self.handle.authenticate_publickey(user, key).await
            }
        };
        match answered {
            Ok(result) if result.success() => Ok(()),
            Ok(_) => {
                Err(Problem::new(Code::UpstreamFailed, format!("{target} did not accept the credential"))
                    .suggest("check user name and value of the secret in this environment"))
            }
            Err(_) => Err(broken(target)),
        }
    }

    /// A channel to the one subsystem.
    pub(super) async fn subsystem(&self, target: &Target) -> Result<Channel<Msg>, Problem> {
        let refused = || Problem::new(Code::UpstreamFailed, format!("{target} offers no SFTP"));
        let mut channel = self.handle.channel_open_session().await.map_err(|_| refused())?;
        channel.request_subsystem(true, "sftp").await.map_err(|_| broken(target))?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel),
                Some(ChannelMsg::WindowAdjusted { .. }) => {}
                _ => return Err(refused()),
            }
        }
    }

    /// Says goodbye. A server that does not listen is left.
    pub(super) async fn close(self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

async fn attempt(
    wire: &Wire,
    target: &Target,
    naming: Naming,
    host_keys: &[HostKey],
    algorithms: &[Algorithm],
    deadline: Instant,
) -> Result<Attempt, Problem> {
    let dialled = wire.dial(target, naming, remaining(deadline)).await;
    let (stream, address) = dialled.map_err(|error| wire_problem(&error, target))?;
    let seen = Arc::default();
    let watch = Watch { host_keys: host_keys.to_vec(), seen: Arc::clone(&seen) };
    let config = Arc::new(config(algorithms, remaining(deadline)));
    let linked = tokio::time::timeout(remaining(deadline), client::connect_stream(config, stream, watch));
    let linked = linked.await.map_err(|_| timed_out(target))?;
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(match (linked, seen) {
        (Ok(handle), Seen::Right(key)) => Attempt::Linked(Link { handle, address, key }),
        (_, Seen::Wrong) => Attempt::OtherKey,
        // Without a key that was looked at there is no link, whatever the library thinks.
        _ => Attempt::Failed,
    })
}

fn config(algorithms: &[Algorithm], limit: Duration) -> client::Config {
    client::Config {
        client_id: SshId::Standard("SSH-2.0-Tacit".into()),
        preferred: Preferred { key: algorithms.to_vec().into(), ..Preferred::DEFAULT },
        // Nothing of a connection outlives its step.
        inactivity_timeout: Some(limit),
        nodelay: true,
        ..client::Config::default()
    }
}

/// Reads a private key. It was checked when it was saved; one with a passphrase takes a while.
fn private_key(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Problem> {
    tokio::task::block_in_place(|| decode_secret_key(text.trim(), passphrase))
        .map_err(|_| Problem::internal("a private key that was saved does not parse"))
}

fn no_ssh(target: &Target) -> Problem {
    Problem::new(Code::UpstreamFailed, format!("{target} does not speak SSH with algorithms that are safe"))
        .suggest("check that host and port are those of an SFTP server")
}

/// The connection ended or made no sense.
pub(super) fn broken(target: &Target) -> Problem {
    Problem::new(
        Code::UpstreamFailed,
        format!("{target} broke the connection or answered with something that is not proper SFTP"),
    )
}

/// What was seen of the server's key.
#[derive(Default)]
enum Seen {
    #[default]
    Nothing,
    Right(HostKey),
    Wrong,
}

/// Watches what the server does.
struct Watch {
    host_keys: Vec<HostKey>,
    seen: Arc<Mutex<Seen>>,
}

impl client::Handler for Watch {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let fingerprint = key.fingerprint(HashAlg::Sha256);
                let hash = fingerprint.as_bytes().try_into().ok().map(HostKey::from_sha256);
                hash.filter(|key| self.host_keys.contains(key))
            }
            // Somebody else's word that it is the right server.
            PublicKeyOrCertificate::Certificate(_) => None,
        };
        let is_right = key.is_some();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = key.map_or(Seen::Wrong, Seen::Right);
        Ok(is_right)
    }

    async fn auth_banner(&mut self, _: &str, _: &mut Session) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn disconnected(&mut self, _: client::DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        Ok(())
    }

    // What is not accepted is refused: a reply that is dropped says no.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }
}
