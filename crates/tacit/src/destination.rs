//! `--to`: a destination in the way people write one.

use tacit_api::Destination;

/// What `--to` expects.
const FORMS: &str = "write a host (api.stripe.com), a host and port (api.stripe.com:8443) or a URL (https://api.stripe.com/v1/**)";

/// Reads `api.stripe.com`, `api.stripe.com:8443`, `https://api.stripe.com/v1/**`, `http://127.0.0.1:8081` or
/// `sftp://files.bank.example`.
///
/// Only the parts are told apart here; whether they are valid is the server's to say. An error repeats nothing, because
/// people paste URLs with credentials in them.
pub(crate) fn parse(text: &str) -> Result<Destination, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    if scheme.as_deref().is_some_and(|scheme| !matches!(scheme, "https" | "http" | "sftp")) {
        return Err("the scheme is https, sftp, or http where private addresses are allowed".to_owned());
    }
    if rest.contains(['@', '?', '#']) || rest.contains(char::is_whitespace) {
        return Err("a destination has no user, no query and no fragment; leave them out".to_owned());
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if scheme.is_none() && !path.is_empty() {
        return Err(format!("a destination with a path is a URL; {FORMS}"));
    }
    let (host, port) = split_authority(authority)?;
    Ok(Destination {
        scheme,
        port,
        // `https://host/` is how a browser writes the host; it means all of it, not only the root.
        paths: if path.len() > 1 { vec![path.to_owned()] } else { Vec::new() },
        ..Destination::host(host)
    })
}

/// Host and port; an IPv6 address stands in brackets.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or_else(|| FORMS.to_owned())?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(FORMS.to_owned()),
        }
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address stands in brackets: [::1]:8081".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(FORMS.to_owned());
    }
    let port = port
        .map(|port| port.parse().ok().filter(|port| *port != 0).ok_or("a port is a number from 1 to 65535"))
        .transpose()?;
    Ok((host, port))
}

/// A destination on one line: where, and what it is narrowed to.
pub(crate) fn shown(destination: &Destination) -> String {
    let scheme = destination.scheme.as_deref().unwrap_or("https");
    let host = if destination.host.contains(':') {
        format!("[{}]", destination.host)
    } else {
        destination.host.clone()
    };
    let usual = match scheme {
        "http" => 80,
        "sftp" => 22,
        _ => 443,
    };
    let port =
        destination.port.filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    if scheme == "https" { format!("{host}{port}") } else { format!("{scheme}://{host}{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every form that the help promises.
    #[test]
    fn forms() {
        for (text, expected) in [
            ("api.stripe.com", json!({"host": "api.stripe.com"})),
            ("api.stripe.com:8443", json!({"host": "api.stripe.com", "port": 8443})),
            ("*.zendesk.com", json!({"host": "*.zendesk.com"})),
            ("https://api.stripe.com", json!({"host": "api.stripe.com", "scheme": "https"})),
            ("https://api.stripe.com/", json!({"host": "api.stripe.com", "scheme": "https"})),
            (
                "https://api.stripe.com/v1/**",
                json!({"host": "api.stripe.com", "scheme": "https", "paths": ["/v1/**"]}),
            ),
            (
                "HTTPS://x.test:1/a/*/b",
                json!({"host": "x.test", "scheme": "https", "port": 1, "paths": ["/a/*/b"]}),
            ),
            ("http://127.0.0.1:8081", json!({"host": "127.0.0.1", "scheme": "http", "port": 8081})),
            ("http://[::1]:8081", json!({"host": "::1", "scheme": "http", "port": 8081})),
            ("[::1]", json!({"host": "::1"})),
            ("sftp://files.test", json!({"host": "files.test", "scheme": "sftp"})),
            (
                "sftp://files.test:2222/in/**",
                json!({"host": "files.test", "scheme": "sftp", "port": 2222, "paths": ["/in/**"]}),
            ),
        ] {
            assert_eq!(serde_json::to_value(parse(text).unwrap()).unwrap(), expected, "{text}");
        }
    }

    /// What is something else is refused, and nothing of it is repeated.
    #[test]
    fn refused() {
        for text in [
            "",
            ":443",
            "https://",
            "ftp://x.test",
            "x.test/v1",
            "x.test:0",
            "x.test:99999",
            "x.test:http",
            "::1",
            "[::1",
            "[::1]x",
            "https://user:hunter2@x.test",
            "https://x.test/?key=hunter2",
            "https://x.test/#hunter2",
            "x.test y",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    /// What is shown is what one would write.
    #[test]
    fn shown_as_written() {
        for text in [
            "api.stripe.com",
            "api.stripe.com:8443",
            "http://127.0.0.1:8081",
            "http://[::1]:8081",
            "sftp://files.test",
            "sftp://files.test:2222",
        ] {
            assert_eq!(shown(&parse(text).unwrap()), text);
        }
        assert_eq!(
            shown(&Destination {
                scheme: Some("https".into()),
                port: Some(443),
                ..Destination::host("x.test")
            }),
            "x.test"
        );
    }
}
