//! The run's private directory: what its programs need in order to trust the run's own certificate authority.
//!
//! The authority signs for the lease's hosts alone and dies with the lease. Nothing in here is secret; the directory is
//! private so that nobody else can put a root into it.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::pkcs12;
use crate::error::{Failure, Outcome};

/// Where systems keep their roots in one file.
const SYSTEM_ROOTS: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
    "/usr/local/etc/ca-certificates/cert.pem",
];
/// Variables whose roots stand for the system's where they are set, the first one first.
const INSTEAD_OF_SYSTEM: [&str; 2] = ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"];
/// Variables whose roots are trusted beside these: a company's own authority is usually in one of them.
const BESIDE_SYSTEM: [&str; 6] = [
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
];
/// More than any list of roots has.
const ROOTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The directory, removed when dropped.
pub(super) struct TrustDirectory {
    path: PathBuf,
    /// Whether roots were found that are not ours.
    pub(super) has_system_roots: bool,
}

impl TrustDirectory {
    /// Makes the directory and fills it. `environment` is where variables of the user are looked up.
    pub(super) fn make(ca_pem: &str, environment: &impl Fn(&str) -> Option<OsString>) -> Outcome<Self> {
        let mut roots = Vec::new();
        for path in files_of_roots(environment) {
            // A file that cannot be read is none: what it would have allowed is refused later, by the program itself.
            for certificate in read(&path).as_deref().map(certificates).unwrap_or_default() {
                if !roots.contains(&certificate) {
                    roots.push(certificate);
                }
            }
        }
        let made = Self { path: make_private(&base(environment))?, has_system_roots: !roots.is_empty() };
        let ours = certificates(ca_pem);
        if ours.is_empty() {
            return Err(Failure::new(
                "the server sent no certificate authority for this run",
                "check that the server has the same version as this command",
            ));
        }
        let all = [ours.clone(), roots].concat();
        made.write("ca.pem", pem(&ours).as_bytes())?;
        made.write("bundle.pem", pem(&all).as_bytes())?;
        made.write("bundle.p12", &pkcs12::trust_store(&all))?;
        Ok(made)
    }

    /// Our root alone, for programs that add it to their own.
    pub(super) fn own_root(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// The system's roots and ours.
    pub(super) fn bundle(&self) -> PathBuf {
        self.path.join("bundle.pem")
    }

    /// The same for Java.
    pub(super) fn trust_store(&self) -> PathBuf {
        self.path.join("bundle.p12")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Outcome {
        let path = self.path.join(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = written.and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| Failure::file("write", &path, &error))
    }
}

impl Drop for TrustDirectory {
    fn drop(&mut self) {
        // It holds nothing secret; a leftover in a temporary directory does no harm.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The user's own runtime directory, or the temporary directory.
fn base(environment: &impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let runtime = environment("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| {
        let own = |metadata: fs::Metadata| {
            metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
        };
        path.is_absolute() && fs::metadata(path).is_ok_and(own)
    });
    runtime.unwrap_or_else(std::env::temp_dir)
}

/// A directory that did not exist before, so that nobody else can have prepared it.
fn make_private(base: &Path) -> Outcome<PathBuf> {
    for attempt in 0..100 {
        let path = base.join(format!("tacit-run-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("make", &path, &error)),
        }
    }
    Err(Failure::new(
        format!("{} is full of directories of earlier runs", base.display()),
        "remove the directories whose names begin with tacit-run-",
    ))
}

/// The files from which roots are taken.
fn files_of_roots(environment: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &&str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let instead = INSTEAD_OF_SYSTEM.iter().find_map(set);
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file());
    let mut files: Vec<PathBuf> = instead.or_else(system).into_iter().collect();
    files.extend(BESIDE_SYSTEM.iter().filter_map(set));
    let directories = environment("SSL_CERT_DIR").unwrap_or_default();
    for directory in std::env::split_paths(&directories).filter(|path| path.is_absolute()) {
        let mut entries: Vec<_> =
            fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        files.extend(entries);
    }
    files
}

fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > ROOTS_BYTES_MAX {
        return None;
    }
    // Bundles may have comments in any encoding.
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

/// The certificates (DER) of a PEM text. What is no certificate, a private key for instance, is left out.
fn certificates(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split(END).next());
    blocks
        .filter_map(|block| {
            let block: String = block.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            STANDARD.decode(block).ok().filter(|der| !der.is_empty())
        })
        .collect()
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let encoded = STANDARD.encode(certificate);
        text.push_str(BEGIN);
        for (at, c) in encoded.chars().enumerate() {
            if at % 64 == 0 {
                text.push('\n');
            }
            text.push(c);
        }
        text.push_str(&format!("\n{END}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashMap, os::unix::fs::PermissionsExt};

    fn root(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.pem()
    }

    /// The user's own roots stay trusted, ours is added, nothing else gets in, and nothing is left behind.
    #[test]
    fn files_of_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            OsString::from(path)
        };
        let (base, company, listed, ours) = (root("base"), root("company"), root("listed"), root("ours"));
        let certs = directory.path().join("certs");
        fs::create_dir(&certs).unwrap();
        fs::write(certs.join("0a1b2c3d.0"), &listed).unwrap();
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let variables = HashMap::from([
            ("XDG_RUNTIME_DIR", OsString::from(directory.path())),
            ("SSL_CERT_FILE", write("base.pem", &format!("# caf\u{e9}\n{base}{key}{base}"))),
            ("NODE_EXTRA_CA_CERTS", write("company.pem", &company)),
            ("REQUESTS_CA_BUNDLE", OsString::from("/nowhere/at/all.pem")),
            ("SSL_CERT_DIR", OsString::from(&certs)),
        ]);
        let made = TrustDirectory::make(&ours, &|name| variables.get(name).cloned()).unwrap();
        assert!(made.has_system_roots && made.path.starts_with(directory.path()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&made.path), 0o700);
        let expected = [&ours, &base, &company, &listed].map(|pem| certificates(pem)).concat();
        let bundle = fs::read_to_string(made.bundle()).unwrap();
        assert_eq!(certificates(&bundle), expected);
        assert!(!bundle.contains("PRIVATE") && bundle.lines().all(|line| line.len() <= 64));
        assert_eq!(certificates(&fs::read_to_string(made.own_root()).unwrap()), certificates(&ours));
        assert_eq!(mode(&made.trust_store()), 0o600);
        let path = made.path.clone();
        drop(made);
        assert!(!path.exists());
    }

    /// A server that sends no authority is not worked with, and leaves nothing.
    #[test]
    fn no_authority() {
        let directory = tempfile::tempdir().unwrap();
        let base = OsString::from(directory.path());
        let made = TrustDirectory::make("", &|name| (name == "XDG_RUNTIME_DIR").then(|| base.clone()));
        assert!(made.is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
