//! Routes, middleware, metrics; puts everything together.
#![forbid(unsafe_code)]

use std::{net::SocketAddr, path::PathBuf};

/// Where the root key comes from.
#[derive(Clone, Debug)]
pub enum RootKeySource {
    /// A file; the default is `root.key` in the data directory.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// What `tacit init` needs.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key is or will be; `None` for `DIR/root.key`.
    pub root_key: Option<RootKeySource>,
}

/// What `tacit init` made. The token is shown once.
pub struct Initialised {
    /// The first workspace.
    pub workspace: String,
    /// The owner's name.
    pub owner: String,
    /// The owner's token.
    pub token: String,
}

/// What `tacit serve` needs.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key is; `None` for `DIR/root.key`.
    pub root_key: Option<RootKeySource>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate chain and key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether to listen without TLS beyond loopback.
    pub plain_http: bool,
    /// Ranges the broker may dial when a destination names them, in CIDR form.
    pub allow_private: Vec<String>,
    /// More roots for upstreams, PEM.
    pub upstream_ca: Option<PathBuf>,
}

/// Something that stops the process, in two lines: what happened, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StartError {
    /// What happened.
    pub what: String,
    /// What to do.
    pub hint: String,
}
