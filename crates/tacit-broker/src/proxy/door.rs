//! Which door a connection wants: the API and the proxy share one listener.
//!
//! A client of the proxy says so with its first line: `CONNECT host:port`, `GET http://…`, or `GET /to/…`. Nothing of that
//! is an API request, so the first bytes of a connection decide for all of it.

use super::authority::BASE_PATH;

/// Who serves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The API.
    Api,
    /// The proxy.
    Proxy,
}

/// No method is longer.
const METHOD_BYTES_MAX: usize = 20;

impl Door {
    /// Bytes of a connection's start that always suffice.
    pub const START_BYTES_MAX: usize = METHOD_BYTES_MAX + 1 + "https://".len();

    /// Which door a connection that begins like this wants; `None` if more of it must be seen.
    pub fn of(start: &[u8]) -> Option<Self> {
        let Some(space) = start.iter().position(|byte| *byte == b' ') else {
            let may_be_method = start.len() <= METHOD_BYTES_MAX
                && start.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
            return if may_be_method { None } else { Some(Self::Api) };
        };
        if &start[..space] == b"CONNECT" {
            return Some(Self::Proxy);
        }
        let target = &start[space + 1..];
        let mut more = false;
        for beginning in ["http://", "https://", BASE_PATH] {
            let seen = target.len().min(beginning.len());
            if target[..seen].eq_ignore_ascii_case(&beginning.as_bytes()[..seen]) {
                if seen == beginning.len() {
                    return Some(Self::Proxy);
                }
                more = true;
            }
        }
        if more { None } else { Some(Self::Api) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every start is recognised as soon as it can be and not earlier, and never takes more than the limit.
    #[test]
    fn doors() {
        for (start, door) in [
            ("CONNECT good.test:443 HTTP/1.1\r\n", Door::Proxy),
            ("GET http://good.test/ HTTP/1.1\r\n", Door::Proxy),
            ("GET HTTPS://good.test/ HTTP/1.1\r\n", Door::Proxy),
            ("POST /to/tct_ls_x/good.test/v1 HTTP/1.1\r\n", Door::Proxy),
            ("GET /v1/workspaces HTTP/1.1\r\n", Door::Api),
            ("GET / HTTP/1.1\r\n", Door::Api),
            ("GET /tom HTTP/1.1\r\n", Door::Api),
            ("OPTIONS * HTTP/1.1\r\n", Door::Api),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Door::Api),
            ("connect good.test:443 HTTP/1.1\r\n", Door::Api),
            ("SSH-2.0-OpenSSH\r\n", Door::Api),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Door::Api),
            ("\r\nGET / HTTP/1.1\r\n", Door::Api),
            ("\u{16}\u{3}\u{1}", Door::Api),
        ] {
            let seen = (0..=start.len()).find_map(|end| Door::of(&start.as_bytes()[..end]));
            assert_eq!(seen, Some(door), "{start}");
            let limit = start.len().min(Door::START_BYTES_MAX);
            assert_eq!(Door::of(&start.as_bytes()[..limit]), Some(door), "{start}");
        }
        assert_eq!(Door::of(b""), None);
        assert_eq!(Door::of(b"GET http:/"), None);
    }
}
