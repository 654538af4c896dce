//! `init` and `serve`: the verbs of the machine that Tacit runs on.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tacit_server::{InitOptions, RootKeySource, ServeOptions};

use crate::{
    error::Outcome,
    output::{Output, talk},
};

#[derive(Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Serve(Serve),
    Recover(Recover),
}

/// Where the root key is. It is not a secret where it is.
#[derive(Args)]
struct RootKey {
    /// Where the root key is: file:PATH or env:NAME; root.key in the data directory unless said.
    #[arg(long, env = "TACIT_ROOT_KEY", value_name = "SOURCE", value_parser = parse_root_key)]
    root_key: Option<RootKeySource>,
}

/// Make a data directory: root key, database, workspace and owner. Prints the owner's token once.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit init --data ./tacit-data")]
pub(crate) struct Init {
    /// The directory to make; it must not be initialised already.
    #[arg(long, env = "TACIT_DATA", default_value = "./tacit-data", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    root_key: RootKey,
    /// Print {"workspace", "owner", "token"}.
    #[arg(long)]
    json: bool,
}

/// Serve: API, broker and runs in one process. Initialises an empty directory.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit serve --data ./tacit-data\n  tacit serve --data /var/lib/tacit --listen 0.0.0.0:8200 --tls-cert tls.pem --tls-key tls.key"
)]
pub(crate) struct Serve {
    /// The data directory.
    #[arg(long, env = "TACIT_DATA", default_value = "./tacit-data", value_name = "DIR")]
    data: PathBuf,
    /// Where to listen. Anything but loopback needs --tls-cert and --tls-key, or --plain-http.
    #[arg(long, env = "TACIT_LISTEN", default_value = "127.0.0.1:8200", value_name = "HOST:PORT", value_parser = parse_listen)]
    listen: SocketAddr,
    #[command(flatten)]
    root_key: RootKey,
    /// Certificate chain, PEM.
    #[arg(long, env = "TACIT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, env = "TACIT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen beyond loopback without TLS: for those who have it in front.
    #[arg(long)]
    plain_http: bool,
    /// Private ranges that the broker may dial when a destination names them.
    #[arg(long, env = "TACIT_ALLOW_PRIVATE", value_name = "CIDR,…", value_delimiter = ',')]
    allow_private: Vec<String>,
    /// More roots for upstreams, PEM.
    #[arg(long, env = "TACIT_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Names that this server is reached by, beside those of its certificate: agents may ask under no other.
    #[arg(long, env = "TACIT_PUBLIC_HOST", value_name = "NAME,…", value_delimiter = ',')]
    public_host: Vec<String>,
    /// Name servers for upstreams instead of the system's, such as those of a private zone; may be given more than once.
    #[arg(long = "nameserver", env = "TACIT_NAMESERVER", value_name = "ADDR:PORT,…", value_delimiter = ',')]
    nameservers: Vec<SocketAddr>,
}

/// Let somebody in again who lost password, codes or token: removes their password and second factor, ends their sessions
/// and tokens, and prints a new token once. Needs the data directory and the root key, and no server on it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit recover --data ./tacit-data\n  tacit recover --data ./tacit-data --user anna@example.com"
)]
pub(crate) struct Recover {
    /// The data directory.
    #[arg(long, env = "TACIT_DATA", default_value = "./tacit-data", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    root_key: RootKey,
    /// Whom; the owner that set-up made unless said.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Command {
    pub(crate) fn run(self, out: Output) -> Outcome {
        match self {
            Self::Init(init) => init.run(out),
            Self::Serve(serve) => serve.run(),
            Self::Recover(recover) => recover.run(out),
        }
    }
}

impl Init {
    fn run(self, out: Output) -> Outcome {
        #[derive(Serialize)]
        struct Made {
            workspace: String,
            owner: String,
            token: String,
        }
        let made =
            tacit_server::init(&InitOptions { data: self.data.clone(), root_key: self.root_key.root_key })?;
        let made = Made { workspace: made.workspace, owner: made.owner, token: made.token };
        if self.json {
            return Output::Json.json(&made);
        }
        let properties = [
            ("workspace", made.workspace.clone()),
            ("owner", made.owner.clone()),
            ("token", made.token.clone()),
        ];
        out.one(&made, &properties)?;
        talk("");
        talk("The token is shown this once. Next:");
        talk(&format!("  tacit serve --data {}", self.data.display()));
        talk("  tacit login");
        talk("  tacit secrets set STRIPE_KEY --to api.stripe.com");
        Ok(())
    }
}

impl Recover {
    fn run(self, out: Output) -> Outcome {
        #[derive(Serialize)]
        struct Made {
            name: String,
            token: String,
        }
        let options = InitOptions { data: self.data.clone(), root_key: self.root_key.root_key };
        let made = tacit_server::recover(&options, self.user.as_deref())?;
        let made = Made { name: made.name, token: made.token };
        out.one(&made, &[("name", made.name.clone()), ("token", made.token.clone())])?;
        talk("");
        talk("The token is shown this once, and everything else that let them in has ended. Next:");
        talk(&format!("  tacit serve --data {}", self.data.display()));
        talk("  tacit login");
        talk("  tacit account password");
        Ok(())
    }
}

impl Serve {
    fn run(self) -> Outcome {
        tacit_server::serve(ServeOptions {
            data: self.data,
            root_key: self.root_key.root_key,
            listen: self.listen,
            tls: self.tls_cert.zip(self.tls_key),
            plain_http: self.plain_http,
            allow_private: self.allow_private.into_iter().filter(|range| !range.is_empty()).collect(),
            upstream_ca: self.upstream_ca,
            public_hosts: self.public_host.into_iter().filter(|name| !name.is_empty()).collect(),
            nameservers: self.nameservers,
        })?;
        Ok(())
    }
}

fn parse_root_key(text: &str) -> Result<RootKeySource, String> {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(RootKeySource::File(path.into())),
        Some(("env", name)) if !name.is_empty() => Ok(RootKeySource::Env(name.to_owned())),
        _ => Err("write file:PATH or env:NAME".to_owned()),
    }
}

/// An address and a port. `localhost` is an address here, so that nothing needs to be looked up.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "write an address and a port, such as 127.0.0.1:8200 or 0.0.0.0:8200".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses and key sources are told apart, and the rest is refused.
    #[test]
    fn arguments() {
        assert_eq!(parse_listen("localhost:1").unwrap(), parse_listen("127.0.0.1:1").unwrap());
        assert!(parse_listen("[::1]:8200").is_ok());
        assert!(parse_listen("example.com:1").is_err() && parse_listen("127.0.0.1").is_err());
        assert!(
            matches!(parse_root_key("file:/a:b"), Ok(RootKeySource::File(path)) if path.as_os_str() == "/a:b")
        );
        assert!(matches!(parse_root_key("env:KEY"), Ok(RootKeySource::Env(name)) if name == "KEY"));
        for bad in ["", "file:", "env:", "passphrase:", "/root.key"] {
            assert!(parse_root_key(bad).is_err(), "{bad}");
        }
    }
}
