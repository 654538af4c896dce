//! A trust store that Java reads: PKCS #12 with certificates only, without encryption and without a password.
//!
//! There is nothing in it to hide, so there is nothing to encrypt or to seal with a password. Java takes a certificate
//! from such a file as trusted if it carries the attribute that Java itself sets for one.

/// Object identifiers in their encoded form, with what they stand for.
const PKCS7_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CERT_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// 2.16.840.1.113894.746875.1.1
const TRUSTED_KEY_USAGE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0] EXPLICIT`
const EXPLICIT: u8 = 0xa0;

/// The store with these certificates (DER), all of them trusted for everything.
pub(super) fn trust_store(certificates: &[Vec<u8>]) -> Vec<u8> {
    let bags: Vec<Vec<u8>> = certificates.iter().enumerate().map(|(at, der)| bag(at, der)).collect();
    let safe_contents = tlv(SEQUENCE, &bags);
    // AuthenticatedSafe is a list of such contents; ours has one.
    let authenticated_safe = tlv(SEQUENCE, &[content(&safe_contents)]);
    tlv(SEQUENCE, &[tlv(INTEGER, &[[3]]), content(&authenticated_safe)])
}

/// A `ContentInfo` of kind "data".
fn content(data: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &[PKCS7_DATA]), tlv(EXPLICIT, &[tlv(OCTET_STRING, &[data])])])
}

fn bag(at: usize, der: &[u8]) -> Vec<u8> {
    let certificate = tlv(
        SEQUENCE,
        &[tlv(OBJECT_IDENTIFIER, &[X509_CERTIFICATE]), tlv(EXPLICIT, &[tlv(OCTET_STRING, &[der])])],
    );
    // Java tells entries apart by their names.
    let name: Vec<u8> = format!("tacit {at}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let attributes = tlv(
        SET,
        &[
            attribute(FRIENDLY_NAME, tlv(BMP_STRING, &[name])),
            attribute(TRUSTED_KEY_USAGE, tlv(OBJECT_IDENTIFIER, &[ANY_EXTENDED_KEY_USAGE])),
        ],
    );
    tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &[CERT_BAG]), tlv(EXPLICIT, &[certificate]), attributes])
}

fn attribute(kind: &[u8], value: Vec<u8>) -> Vec<u8> {
    tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &[kind]), tlv(SET, &[value])])
}

/// Tag, length in its shortest form, and the parts one after the other.
fn tlv<T: AsRef<[u8]>>(tag: u8, parts: &[T]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut bytes = vec![tag];
    if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 0x80) {
        bytes.push(short);
    } else {
        let long = length.to_be_bytes();
        let digits = &long[long.iter().take_while(|byte| **byte == 0).count()..];
        // At most the eight bytes of a length.
        bytes.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
        bytes.extend_from_slice(digits);
    }
    for part in parts {
        bytes.extend_from_slice(part.as_ref());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths are written in their shortest form.
    #[test]
    fn lengths() {
        assert_eq!(tlv(OCTET_STRING, &[[7; 2], [8; 2]]), [4, 4, 7, 7, 8, 8]);
        assert_eq!(tlv(OCTET_STRING, &[vec![0; 127]])[..2], [4, 127]);
        assert_eq!(tlv(OCTET_STRING, &[vec![0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(OCTET_STRING, &[vec![0; 65536]])[..5], [4, 0x83, 1, 0, 0]);
    }

    /// Java's own tool lists every certificate of the store as trusted. Needs no password to do so.
    #[test]
    fn java_reads_it() {
        let certificates: Vec<Vec<u8>> = (0..150)
            .map(|at| {
                rcgen::generate_simple_self_signed(vec![format!("root-{at}.test")])
                    .unwrap()
                    .cert
                    .der()
                    .to_vec()
            })
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.p12");
        std::fs::write(&path, trust_store(&certificates)).unwrap();
        let mut keytool = std::process::Command::new("keytool");
        keytool
            .args(["-list", "-storetype", "PKCS12", "-keystore"])
            .arg(&path)
            .stdin(std::process::Stdio::null());
        let Ok(output) = keytool.output() else {
            return; // There is no Java on this machine.
        };
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{listed}");
        assert_eq!(listed.matches("trustedCertEntry").count(), certificates.len(), "{listed}");
    }
}
