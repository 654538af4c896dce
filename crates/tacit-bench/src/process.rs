//! A server in a process of its own.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;

/// A serving process, killed when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What a process holds, in bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, shared pages included.
    pub(crate) rss: Option<u64>,
    /// Resident, each shared page divided by who shares it.
    pub(crate) pss: Option<u64>,
}

impl Served {
    /// Starts a command and waits for the line that says where it listens.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        for line in BufReader::new(stdout).lines() {
            if let Some((_, url)) = line?.split_once(": ready on ") {
                let address = url.split_once("://").map_or(url, |(_, address)| address);
                return Ok(Self { child, address: address.parse()? });
            }
        }
        let _ = child.kill();
        anyhow::bail!("{} did not start", command.get_program().display())
    }

    /// This program, as the bare server.
    pub(crate) fn bare() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare");
        Self::start(command)
    }

    /// The same over TLS.
    pub(crate) fn bare_tls(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg("--cert").arg(certificate).arg("--key").arg(key);
        Self::start(command)
    }

    /// mitmproxy, which does not say when it is ready and makes its authority at its first start.
    pub(crate) fn mitmdump(program: &Path, confdir: &Path, upstream_ca: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        let child = Command::new(program)
            .args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &address.port().to_string()])
            .args(["--set", &set("confdir", confdir)])
            .args(["--set", &set("ssl_verify_upstream_trusted_ca", upstream_ca)])
            .args(["--modify-headers", "/~q/authorization/Bearer a-credential-in-memory"])
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not run", program.display()))?;
        let served = Self { child, address };
        for _ in 0..300 {
            if TcpStream::connect(address).is_ok() && confdir.join("mitmproxy-ca-cert.pem").is_file() {
                return Ok(served);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("{} did not start", program.display())
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        // In the first moment after it said that it is ready, a server may not listen for the signal yet and die of it.
        let is_early = status.signal() == Some(rustix::process::Signal::TERM.as_raw());
        anyhow::ensure!(status.success() || is_early, "the server ended with {status}");
        Ok(())
    }

    /// What it holds now. What the system does not tell is left out.
    pub(crate) fn memory(&self) -> Memory {
        Memory { rss: self.proc_kib("status", "VmRSS:"), pss: self.proc_kib("smaps_rollup", "Pss:") }
    }

    fn proc_kib(&self, file: &str, field: &str) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// Processor time it has used, user and system, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<u64> {
        // A tick is 10 ms for every Linux program, whatever the kernel's own clock is.
        const TICK_US: u64 = 10_000;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        Some((ticks(11)? + ticks(12)?) * TICK_US)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
