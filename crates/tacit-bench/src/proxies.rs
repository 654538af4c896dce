//! The proxy: a request through Tacit, which intercepts TLS, decides, injects, scrubs and records, beside the same
//! request sent directly, through a plain forward proxy, and through proxies that intercept and do none of the rest.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use crate::{
    Plan,
    connection::{Connection, Route},
    disk,
    instance::Instance,
    load,
    process::{Memory, Served},
    stats::{Sample, median},
};

/// At how many clients.
pub(crate) const CLIENTS: [usize; 2] = [1, 32];
/// What all connect to: a name, because not every proxy can make a certificate for an address.
const HOST: &str = "localhost";
/// Secrets that the scrubber knows: all of them are bound to the host.
const SECRETS: usize = 10;

/// The programs that are measured beside Tacit; what is not named is left out.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct Peers {
    /// The program of `benches/peers`
    #[arg(long, value_name = "FILE", overrides_with = "peers")]
    peers: Option<PathBuf>,
    /// mitmproxy's `mitmdump`
    #[arg(long, value_name = "FILE", overrides_with = "mitmdump")]
    mitmdump: Option<PathBuf>,
    /// Bytes of the large body
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000_000)]
    bulk: u64,
}

/// One way through at one number of clients. Every number is the median of the rounds.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) clients: usize,
    pub(crate) sample: Sample,
    pub(crate) share: f64,
    pub(crate) added_p50_us: f64,
    pub(crate) added_p99_us: f64,
    /// Processor time of the proxy for one request.
    pub(crate) cpu_us: Option<f64>,
}

/// A large body through one way.
pub(crate) struct Bulk {
    pub(crate) name: &'static str,
    pub(crate) gb_per_sec: f64,
    pub(crate) memory: Memory,
}

/// Everything about proxies.
pub(crate) struct Proxies {
    pub(crate) ways: Vec<Way>,
    pub(crate) bulk: Vec<Bulk>,
    pub(crate) flush_p50_us: f64,
}

/// A way to the upstream.
struct Side {
    name: &'static str,
    /// The proxy; none for the direct way.
    proxy: Option<Served>,
    route: Route,
    credential: String,
}

/// Measures every way in turns.
pub(crate) fn measure(
    tacit: &Path,
    directory: &Path,
    clients: &[usize],
    peers: &Peers,
    plan: Plan,
) -> anyhow::Result<Proxies> {
    let pki = Pki::make(directory)?;
    let upstream = Served::bare_tls(&pki.certificate, &pki.key)?;
    let allow = OsStr::new("127.0.0.0/8,::1/128");
    let options = [OsStr::new("--allow-private"), allow, OsStr::new("--upstream-ca"), pki.ca.as_os_str()];
    let instance = Instance::start(tacit, &directory.join("proxy"), &options)?;
    let sides = sides(&instance, &upstream, &pki, peers)?;
    let mut ways = Vec::new();
    let mut flushes = Vec::new();
    for clients in clients {
        let mut samples: Vec<Vec<Sample>> = sides.iter().map(|_| Vec::new()).collect();
        let mut used = vec![Some(0); sides.len()];
        for round in 0..plan.rounds {
            flushes.push(disk::flushes(&instance.data, plan.flushes / 3)?.append.p50_us);
            for turn in 0..sides.len() {
                // Whoever comes next finds the caches as the one before left them: take turns at that, too.
                let at = (turn + round) % sides.len();
                let side = &sides[at];
                let cpu = |side: &Side| match &side.proxy {
                    Some(proxy) => proxy.cpu_us(),
                    None if side.name == TACIT => instance.served.cpu_us(),
                    None => None,
                };
                let before = cpu(side);
                samples[at].push(load::run(
                    &side.route,
                    &side.request(&upstream, "/v1/charges"),
                    *clients,
                    plan.effort,
                )?);
                let spent = before.zip(cpu(side)).map(|(before, after)| after.saturating_sub(before));
                used[at] = used[at].zip(spent).map(|(sum, spent)| sum + spent);
            }
        }
        for (at, side) in sides.iter().enumerate() {
            let of = |number: fn(&Sample, &Sample) -> f64| {
                median(samples[at].iter().zip(&samples[0]).map(|(sample, direct)| number(sample, direct)))
            };
            let requests: usize = samples[at].iter().map(|sample| sample.requests).sum();
            ways.push(Way {
                name: side.name,
                clients: *clients,
                sample: Sample::median(&samples[at]),
                share: of(|sample, direct| sample.per_sec / direct.per_sec),
                added_p50_us: of(|sample, direct| sample.p50_us - direct.p50_us),
                added_p99_us: of(|sample, direct| sample.p99_us - direct.p99_us),
                cpu_us: used[at].map(|used| used as f64 / requests as f64),
            });
        }
    }
    let bulk = bulk(&sides, &instance, &upstream, peers.bulk)?;
    let memory = instance.memory();
    let mut found = Proxies { ways, bulk, flush_p50_us: median(flushes) };
    if let Some(tacit) = found.bulk.iter_mut().find(|bulk| bulk.name == TACIT) {
        tacit.memory = memory;
    }
    drop(sides);
    instance.stop()?;
    Ok(found)
}

const TACIT: &str = "tacit";

impl Side {
    fn request(&self, upstream: &Served, path: &str) -> Arc<[u8]> {
        let port = upstream.address.port();
        let close = if path.starts_with("/bulk") { "connection: close\r\n" } else { "" };
        format!(
            "GET {path} HTTP/1.1\r\nhost: {HOST}:{port}\r\nauthorization: Bearer {}\r\n{close}\r\n",
            self.credential
        )
        .into_bytes()
        .into()
    }
}

fn sides(instance: &Instance, upstream: &Served, pki: &Pki, peers: &Peers) -> anyhow::Result<Vec<Side>> {
    let port = upstream.address.port();
    let connect = |credentials: &str| {
        Some(format!("CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{credentials}\r\n"))
    };
    let direct = || Route { dial: upstream.address, connect: None, tls: None };
    let in_memory = || "a-credential-in-memory".to_owned();
    let mut sides = vec![Side {
        name: "direct",
        proxy: None,
        route: Route { tls: Some(tls(&std::fs::read(&pki.ca)?)?), ..direct() },
        credential: in_memory(),
    }];
    if let Some(program) = &peers.peers {
        let mut command = Command::new(program);
        command.arg("plain");
        let plain = Served::start(command)?;
        let route =
            Route { dial: plain.address, connect: connect(""), tls: Some(tls(&std::fs::read(&pki.ca)?)?) };
        sides.push(Side { name: "plain tunnel", proxy: Some(plain), route, credential: in_memory() });
        let mut command = Command::new(program);
        command.arg("hudsucker").arg(&pki.ca).arg(&pki.ca_key).arg(&pki.ca);
        let hudsucker = Served::start(command)?;
        let route = Route {
            dial: hudsucker.address,
            connect: connect(""),
            tls: Some(tls(&std::fs::read(&pki.ca)?)?),
        };
        sides.push(Side { name: "hudsucker", proxy: Some(hudsucker), route, credential: in_memory() });
    }
    if let Some(program) = &peers.mitmdump {
        let confdir = pki.ca.with_file_name("mitmproxy");
        let mitm = Served::mitmdump(program, &confdir, &pki.ca)?;
        let ca = std::fs::read(confdir.join("mitmproxy-ca-cert.pem"))?;
        let route = Route { dial: mitm.address, connect: connect(""), tls: Some(tls(&ca)?) };
        sides.push(Side { name: "mitmproxy", proxy: Some(mitm), route, credential: in_memory() });
    }
    sides.push(tacit(instance, port, &connect)?);
    Ok(sides)
}

/// A lease, and the way through the proxy with it.
fn tacit(instance: &Instance, port: u16, connect: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Side> {
    let destination = json!([{"host": HOST, "port": port}]);
    for number in 0..SECRETS {
        instance.create_secret(&format!("BENCH_{number}"), "bearer_token", "token", &destination)?;
    }
    let lease = json!({"environment": "test", "secrets": [{"name": "BENCH_0"}], "ttl_secs": 3600});
    let lease = instance.ask("POST", "/v1/workspaces/default/leases", &lease.to_string(), 201)?;
    let lease: Value = serde_json::from_str(&lease)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the lease is not as expected");
    Ok(Side {
        name: TACIT,
        proxy: None,
        route: Route {
            dial: instance.address(),
            connect: connect(&format!("Proxy-Authorization: Bearer {}\r\n", text(&lease["token"])?)),
            tls: Some(tls(text(&lease["ca_pem"])?.as_bytes())?),
        },
        credential: text(&lease["secrets"]["BENCH_0"])?,
    })
}

/// One large body of ordinary text through each way, one after the other.
fn bulk(sides: &[Side], instance: &Instance, upstream: &Served, bytes: u64) -> anyhow::Result<Vec<Bulk>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut found = Vec::new();
    for side in sides {
        // mitmproxy keeps a whole body in memory, and is far from the others.
        let bytes = if side.name == "mitmproxy" { bytes / 20 } else { bytes };
        let began = Instant::now();
        let read = runtime.block_on(async {
            Connection::open(&side.route)
                .await?
                .drain(&side.request(upstream, &format!("/bulk/{bytes}")))
                .await
        })?;
        let secs = began.elapsed().as_secs_f64();
        anyhow::ensure!(read >= bytes, "{} delivered {read} of {bytes} bytes", side.name);
        let memory = side.proxy.as_ref().map_or_else(|| instance.memory(), Served::memory);
        found.push(Bulk { name: side.name, gb_per_sec: bytes as f64 / secs / 1e9, memory });
    }
    Ok(found)
}

fn tls(ca_pem: &[u8]) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(root?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), ServerName::try_from(HOST)?))
}

/// An authority and the upstream's certificate, as files.
struct Pki {
    ca: PathBuf,
    ca_key: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pki {
    fn make(directory: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "tacit-bench");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &ca)?;
        let write = |name: &str, text: String| {
            let file = directory.join(name);
            std::fs::write(&file, text)?;
            anyhow::Ok(file)
        };
        Ok(Self {
            ca: write("ca.pem", ca.pem())?,
            ca_key: write("ca-key.pem", ca.key().serialize_pem())?,
            certificate: write("upstream.pem", certificate.pem())?,
            key: write("upstream-key.pem", key.serialize_pem())?,
        })
    }
}
