//! The variables of the command: placeholders, the way to the relay, and whom to trust on the other end.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use super::trust::TrustDirectory;
use crate::error::{Failure, Outcome};

/// Read by programs as the way out, in both cases.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Where programs look for hosts that need no proxy. Set and empty: left out, curl and others would take a default.
const NO_PROXIES: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Read by programs as the whole list of roots.
const BUNDLES: [&str; 15] = [
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
    "BUNDLE_SSL_CA_CERT",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "COMPOSER_CAFILE",
    "HTTPLIB2_CA_CERTS",
    "npm_config_cafile",
];
/// Switches of programs that otherwise look elsewhere.
const SWITCHES: [(&str, &str); 4] = [
    ("NODE_USE_ENV_PROXY", "1"),
    ("DENO_TLS_CA_STORE", "system"),
    ("UV_NATIVE_TLS", "1"),
    ("TACIT_RUN", "1"),
];
/// Roots that are added to a program's own.
const OWN_ROOT: &str = "NODE_EXTRA_CA_CERTS";
/// Options of every Java machine that starts.
const JAVA: &str = "JAVA_TOOL_OPTIONS";
/// What it held is in the bundle; left standing, it would win over the bundle in some programs.
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// What the command gets, and what it does not get.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// These are set.
    pub(super) set: BTreeMap<OsString, OsString>,
    /// These are taken away.
    pub(super) removed: Vec<OsString>,
}

/// Refuses a name for a placeholder that would undo what a run sets itself.
pub(super) fn check_alias(alias: &str) -> Outcome {
    let mut characters = alias.chars();
    let valid = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(Failure::usage(
            format!("`{alias}` cannot be the name of an environment variable"),
            "use letters, digits and _, with no digit first",
        ));
    }
    let ours = PROXIES.iter().chain(&NO_PROXIES).chain(&BUNDLES).chain(&[OWN_ROOT, JAVA, DIRECTORIES]);
    let ours = ours.chain(SWITCHES.iter().map(|(name, _)| name));
    if alias.starts_with("TACIT_") || ours.into_iter().any(|name| *name == alias) {
        return Err(Failure::usage(
            format!("`tacit run` sets `{alias}` itself"),
            "give the secret another name with --secret NAME=ALIAS",
        ));
    }
    Ok(())
}

impl Environment {
    /// For a relay on this port, with placeholders by alias. `inherited` are the variables we have ourselves.
    pub(super) fn new(
        port: u16,
        trust: &TrustDirectory,
        placeholders: &BTreeMap<String, String>,
        bound_hosts: &[String],
        inherited: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut made = Self::default();
        let proxy = format!("http://127.0.0.1:{port}");
        let mut java = OsString::new();
        for (name, value) in inherited {
            match name.to_str() {
                // The command works with placeholders; it must not hold the token of whoever started it.
                Some(ours) if ours.starts_with("TACIT_") => {
                    let root_key =
                        (ours == "TACIT_ROOT_KEY").then(|| value.to_str()?.strip_prefix("env:")).flatten();
                    made.removed.extend(root_key.map(OsString::from));
                    made.removed.push(name);
                }
                Some(DIRECTORIES) => made.removed.push(name),
                Some(JAVA) => java = value,
                _ => {}
            }
        }
        for name in PROXIES {
            made.put(name, &proxy);
        }
        for name in NO_PROXIES {
            made.put(name, "");
        }
        for name in BUNDLES {
            made.put(name, trust.bundle());
        }
        for (name, value) in SWITCHES {
            made.put(name, value);
        }
        made.put(OWN_ROOT, trust.own_root());
        made.put(JAVA, java_options(java, port, &trust.trust_store()));
        for host in bound_hosts {
            // Where the token of the lease stands in such a URL, the relay's connection has it already.
            made.put(&base_url_name(host), format!("{proxy}/to/-/{host}"));
        }
        for (alias, placeholder) in placeholders {
            made.put(alias, placeholder);
        }
        made
    }

    fn put(&mut self, name: &str, value: impl Into<OsString>) {
        self.set.insert(name.into(), value.into());
    }
}

/// `api.stripe.com:8443` → `TACIT_BASE_URL_API_STRIPE_COM_8443`
fn base_url_name(host: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("TACIT_BASE_URL_{}", host.chars().map(character).collect::<String>())
}

/// What was there, and then ours: the last one of two counts.
fn java_options(before: OsString, port: u16, trust_store: &Path) -> OsString {
    let mut options = before;
    if !options.is_empty() {
        options.push(" ");
    }
    // Quoted, because the options are split at spaces.
    options.push("\"-Djavax.net.ssl.trustStore=");
    options.push(trust_store);
    options.push("\" -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=");
    for scheme in ["http", "https"] {
        options.push(format!(" -D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={port}"));
    }
    // Java keeps loopback away from a proxy of its own accord. The list is of `http`, and goes for both.
    options.push(" -Dhttp.nonProxyHosts=");
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(inherited: &[(&str, &str)]) -> (TrustDirectory, Environment) {
        let ca = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap().cert.pem();
        let trust = TrustDirectory::make(&ca, &|_| None).unwrap();
        let placeholders = BTreeMap::from([("STRIPE_KEY".to_owned(), "tct_ph_1".to_owned())]);
        let inherited = inherited.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let made = Environment::new(4321, &trust, &placeholders, &["api.stripe.com".to_owned()], inherited);
        (trust, made)
    }

    /// Everything points to the relay and to the run's roots; what was set before gives way.
    #[test]
    fn what_is_set() {
        let (trust, made) =
            environment(&[("NO_PROXY", "localhost"), ("PATH", "/bin"), ("STRIPE_KEY", "real")]);
        let value =
            |name: &str| made.set.get(&OsString::from(name)).and_then(|value| value.to_str()).unwrap();
        for name in PROXIES {
            assert_eq!(value(name), "http://127.0.0.1:4321");
        }
        assert_eq!((value("NO_PROXY"), value("no_proxy")), ("", ""));
        assert_eq!(value("SSL_CERT_FILE"), trust.bundle().to_str().unwrap());
        assert_eq!(value("NODE_EXTRA_CA_CERTS"), trust.own_root().to_str().unwrap());
        assert_eq!((value("STRIPE_KEY"), value("TACIT_RUN")), ("tct_ph_1", "1"));
        assert_eq!(value("TACIT_BASE_URL_API_STRIPE_COM"), "http://127.0.0.1:4321/to/-/api.stripe.com");
        assert!(!made.set.contains_key(&OsString::from("PATH")) && made.removed.is_empty());
    }

    /// The command does not get the token, nor anything else that is Tacit's.
    #[test]
    fn what_is_taken_away() {
        let (_trust, made) = environment(&[
            ("TACIT_TOKEN", "tct_secret"),
            ("TACIT_ROOT_KEY", "env:MY_KEY"),
            ("MY_KEY", "secret"),
            ("TACIT_SOMETHING_NEW", "x"),
            ("SSL_CERT_DIR", "/certs"),
        ]);
        let names: Vec<_> = made.removed.iter().filter_map(|name| name.to_str()).collect();
        assert_eq!(names, ["TACIT_TOKEN", "MY_KEY", "TACIT_ROOT_KEY", "TACIT_SOMETHING_NEW", "SSL_CERT_DIR"]);
    }

    /// Java's options are added to those that were there.
    #[test]
    fn java() {
        let (trust, made) = environment(&[("JAVA_TOOL_OPTIONS", "-Xmx64m")]);
        let options = made.set[&OsString::from("JAVA_TOOL_OPTIONS")].to_str().unwrap().to_owned();
        let store = format!("\"-Djavax.net.ssl.trustStore={}\"", trust.trust_store().display());
        assert!(options.starts_with("-Xmx64m \"") && options.contains(&store), "{options}");
        assert!(options.contains("-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4321"), "{options}");
    }

    /// A placeholder cannot take the place of what a run needs.
    #[test]
    fn aliases() {
        for alias in ["STRIPE_KEY", "_a1", "path"] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
        for alias in [
            "",
            "1A",
            "A-B",
            "A B",
            "\u{c4}",
            "https_proxy",
            "SSL_CERT_DIR",
            "JAVA_TOOL_OPTIONS",
            "TACIT_TOKEN",
        ] {
            assert_eq!(check_alias(alias).unwrap_err().exit as u8, 2, "{alias}");
        }
    }
}
