//! Signatures of requests to storage services: AWS Signature Version 4, in headers, over the payload's hash.
//!
//! Only what is sent is signed, by the code that sends it: there is no way to have a text of one's own signed, no signed
//! URL, and no payload that is not covered (attack G5). The secret key itself is never sent.

use aws_lc_rs::{
    digest,
    hmac::{self, HMAC_SHA256},
};
use tacit_model::Timestamp;
use zeroize::Zeroizing;

/// The region where neither the step nor the secret names one; what services that know no regions expect.
const REGION_DEFAULT: &str = "us-east-1";
const SERVICE: &str = "s3";

/// A request as it will be sent.
pub(crate) struct ToSign<'a> {
    pub(crate) method: &'a str,
    /// As sent: percent-encoded once, which is what storage services expect.
    pub(crate) path_and_query: &'a str,
    /// Headers that are signed beside those that signing adds, by lower-case name.
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
    pub(crate) region: Option<&'a str>,
    pub(crate) at: Timestamp,
}

/// What signing adds to a request, and what it was made with.
pub(crate) struct Signed {
    /// Headers by name; the last is `authorization`.
    pub(crate) headers: [(&'static str, String); 3],
    /// What must not come back: the signature, and the key of the day that signs everything in its region.
    pub(crate) derived: [Zeroizing<Vec<u8>>; 2],
}

/// Signs a request with an access key.
pub(crate) fn sign(request: &ToSign<'_>, access_key_id: &str, secret_access_key: &str) -> Signed {
    let region = request.region.filter(|region| !region.is_empty()).unwrap_or(REGION_DEFAULT);
    let time = time_text(request.at);
    let date = &time[..8];
    let payload_hash = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let mut headers = request.headers.clone();
    headers.extend([("x-amz-content-sha256", payload_hash.as_str()), ("x-amz-date", time.as_str())]);
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((request.path_and_query, ""));
    let canonical =
        format!("{}\n{path}\n{}\n{lines}\n{names}\n{payload_hash}", request.method, canonical_query(query));
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let canonical_hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
    let key = signing_key(secret_access_key, date, region);
    let signature = mac(&key, to_sign.as_bytes());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope},SignedHeaders={names},Signature={}",
        hex(&signature)
    );
    Signed {
        headers: [
            ("x-amz-date", time),
            ("x-amz-content-sha256", payload_hash),
            ("authorization", authorization),
        ],
        derived: [signature, key],
    }
}

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
fn signing_key(secret_access_key: &str, date: &str, region: &str) -> Zeroizing<Vec<u8>> {
    let first = Zeroizing::new([b"AWS4", secret_access_key.as_bytes()].concat());
    [date, region, SERVICE, "aws4_request"].iter().fold(first, |key, part| mac(&key, part.as_bytes()))
}

fn mac(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text).as_ref().to_vec())
}

/// Parameters in the order of their encoded names, each with a `=`.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `20130524T000000Z`.
fn time_text(at: Timestamp) -> String {
    let secs = at.as_millis().div_euclid(1000);
    let time = jiff::Timestamp::from_second(secs).unwrap_or_default();
    time.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair and the moment of the examples in the service's own documentation.
    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// 2013-05-24, midnight.
    const AT: i64 = 1_369_353_600_000;
    const HOST: &str = "examplebucket.s3.amazonaws.com";

    fn authorization(
        method: &str,
        path_and_query: &str,
        more: &[(&'static str, &'static str)],
        body: &[u8],
    ) -> String {
        let mut headers = vec![("host", HOST)];
        headers.extend_from_slice(more);
        let at = Timestamp::from_millis(AT);
        let request = ToSign { method, path_and_query, headers, body, region: None, at };
        let [date, _, (_, authorization)] = sign(&request, ID, SECRET).headers;
        assert_eq!(date.1, "20130524T000000Z");
        authorization
    }

    /// Reading ten bytes of an object: the service's first example.
    #[test]
    fn example_get() {
        assert_eq!(
            authorization("GET", "/test.txt", &[("range", "bytes=0-9")], b""),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    /// Writing an object whose name needs encoding.
    #[test]
    fn example_put() {
        let more = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let signed = authorization("PUT", "/test%24file.text", &more, b"Welcome to Amazon S3.");
        assert!(
            signed.ends_with("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{signed}"
        );
    }

    /// A parameter without a value, and parameters in another order than the one they are sent in.
    #[test]
    fn examples_with_queries() {
        let lifecycle = authorization("GET", "/?lifecycle", &[], b"");
        assert!(
            lifecycle.ends_with("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            "{lifecycle}"
        );
        for query in ["/?max-keys=2&prefix=J", "/?prefix=J&max-keys=2"] {
            let list = authorization("GET", query, &[], b"");
            assert!(
                list.ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
                "{list}"
            );
        }
    }

    /// Region, moment, body, path and host each change the signature.
    #[test]
    fn everything_is_covered() {
        let sign = |path, host, body: &[u8], region, at| {
            let headers = vec![("host", host)];
            let request = ToSign {
                method: "PUT",
                path_and_query: path,
                headers,
                body,
                region,
                at: Timestamp::from_millis(at),
            };
            sign(&request, ID, SECRET).derived[0].to_vec()
        };
        let base = sign("/a", "x.test", b"1", None, AT);
        assert_eq!(base, sign("/a", "x.test", b"1", Some("us-east-1"), AT));
        for other in [
            sign("/b", "x.test", b"1", None, AT),
            sign("/a", "y.test", b"1", None, AT),
            sign("/a", "x.test", b"2", None, AT),
            sign("/a", "x.test", b"1", Some("eu-central-1"), AT),
            sign("/a", "x.test", b"1", None, AT + 1000),
        ] {
            assert_ne!(base, other);
        }
    }
}
