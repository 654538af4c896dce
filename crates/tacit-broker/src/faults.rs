//! What the wire met, as it is told: a stable code, and nothing of the upstream's.

use tacit_model::{Code, Problem, Target};

use crate::wire::{Blocked, Phase, WireError};

/// The problem that a wire error is for whoever asked.
pub(crate) fn wire_problem(error: &WireError, target: &Target) -> Problem {
    let problem = |code, what: &str| Problem::new(code, format!("{target} {what}"));
    match error {
        WireError::AddressBlocked(blocked) => address_blocked(*blocked, target),
        WireError::ResolveFailed => problem(Code::UpstreamFailed, "has a host name that does not resolve")
            .suggest("check the host's spelling and the server's resolver"),
        WireError::ConnectFailed => problem(Code::UpstreamFailed, "did not take the connection")
            .suggest("check that the service is up and the port is right"),
        WireError::TlsFailed(_) => problem(
            Code::UpstreamFailed,
            "has a TLS certificate that does not verify, or speaks no TLS 1.2 or newer",
        )
        .suggest(
            "if the service uses a private certificate authority, start the server with --upstream-ca FILE",
        ),
        WireError::RequestRefused(_) => Problem::invalid(
            "headers",
            "do not fit the limits of a request: at most 8 KiB each and 16 KiB together",
        )
        .suggest("send less in headers"),
        WireError::BodyBroken => Problem::invalid("body", "broke off before its end"),
        WireError::UpstreamFailed => problem(
            Code::UpstreamFailed,
            "broke the connection or answered with something that is not proper HTTP",
        ),
        WireError::Timeout(_) => problem(Code::UpstreamTimeout, "took too long")
            .suggest("raise the step's `timeout_secs`, or ask the service for less"),
        WireError::Unscannable => problem(
            Code::ResponseUnscannable,
            "answered in an encoding that cannot be scanned for secrets, so the answer is withheld",
        )
        .suggest("ask the service for gzip, deflate, br, zstd or no encoding"),
        WireError::TooLarge => problem(
            Code::ResponseUnscannable,
            "answered with more than may be read, so the answer is withheld",
        )
        .suggest("ask the service for less"),
    }
}

/// What is told of an upstream that took longer than there was time.
pub(crate) fn timed_out(target: &Target) -> Problem {
    wire_problem(&WireError::Timeout(Phase::Body), target)
}

/// What is told of an SFTP server that has another key than its destination names. Its own key is not told: somebody
/// would take it over unseen.
pub(crate) fn host_key_mismatch(target: &Target) -> Problem {
    Problem::new(
        Code::HostKeyMismatch,
        format!("{target} has another key than the secret's destination names, so nothing was sent to it"),
    )
    .suggest("ask whoever runs the server for the fingerprint of its key; if it was set up anew, someone who may aim the secret can change `host_key`")
}

/// What is told of an answer that was searched for less than may be in it by now.
pub(crate) fn outdated(target: &Target) -> Problem {
    Problem::new(
        Code::ResponseUnscannable,
        format!("secrets of {target} changed while its answer came, so the answer is withheld"),
    )
    .suggest("send the request again")
}

fn address_blocked(blocked: Blocked, target: &Target) -> Problem {
    let what = match blocked {
        Blocked::OwnListener => "is Tacit itself, which the broker never calls",
        Blocked::Metadata => "is a cloud metadata service, which is never called",
        Blocked::PlainHttp => "is plain http towards a public address",
        _ => "resolves to a loopback, private or reserved address",
    };
    let hint = match blocked {
        Blocked::OwnListener | Blocked::Metadata => "there is no switch for this",
        Blocked::PlainHttp => "use https",
        _ => {
            "if it should be reachable, give a secret a destination that names it and start the server with --allow-private CIDR (a server that listens on loopback reaches loopback addresses that a destination names with their port)"
        }
    };
    Problem::new(Code::AddressBlocked, format!("{target} {what}")).suggest(hint)
}
