//! A real OpenSSH server on loopback, with its own configuration, keys and folder.
//!
//! `scripts/test` installs it and makes the user that signs in. What is not there is a failure and never a skip.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running server.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    directory: tempfile::TempDir,
}

/// The user whom it lets in.
pub(crate) fn user() -> String {
    std::env::var("TACIT_TEST_SFTP_USER").expect("set TACIT_TEST_SFTP_USER; scripts/test does")
}

/// That user's password.
pub(crate) fn password() -> String {
    std::env::var("TACIT_TEST_SFTP_PASSWORD").expect("set TACIT_TEST_SFTP_PASSWORD; scripts/test does")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Sshd {
    /// With more lines of configuration.
    pub(crate) fn start(more: &str) -> Self {
        // Outside the checkout's own folder, because the user must be able to reach it.
        let directory = tempfile::Builder::new().prefix("tacit-sshd").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("files")).unwrap();
        std::fs::set_permissions(path("files"), std::fs::Permissions::from_mode(0o777)).unwrap();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(&path(&format!("host_{kind}")), kind, "");
        }
        std::fs::write(path("authorized"), "").unwrap();
        let port = free_port();
        let at = directory.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_ed25519\nHostKey {at}/host_ecdsa\nHostKey {at}/host_rsa\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication yes\nPubkeyAuthentication yes\n\
             KbdInteractiveAuthentication no\nAuthorizedKeysFile {at}/authorized\nSubsystem sftp internal-sftp\n\
             ForceCommand internal-sftp\nMaxStartups 100\nLogLevel DEBUG1\n{more}\n"
        );
        std::fs::write(path("config"), config).unwrap();
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = if is_root() { Command::new("/usr/sbin/sshd") } else { Command::new("sudo") };
        if !is_root() {
            command.args(["-n", "/usr/sbin/sshd"]);
        }
        let child = command
            .args(["-D", "-e", "-f"])
            .arg(path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { child, port, directory };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return sshd;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd did not start: {}", sshd.log());
    }

    /// Where files may be put.
    pub(crate) fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    /// The fingerprint of one of its keys.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let key = self.directory.path().join(format!("host_{kind}.pub"));
        let shown = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        shown.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap().to_owned()
    }

    /// A new key pair that signs in; the private half.
    pub(crate) fn new_key(&self, kind: &str, passphrase: &str) -> String {
        let path = self.directory.path().join(format!("key_{kind}_{}", passphrase.len()));
        keygen(&path, kind, passphrase);
        let authorized = self.directory.path().join("authorized");
        let mut file = std::fs::OpenOptions::new().append(true).open(authorized).unwrap();
        file.write_all(&std::fs::read(path.with_extension("pub")).unwrap()).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if is_root() {
            let _ = self.child.kill();
        } else {
            let _ = Command::new("sudo").args(["-n", "kill", &self.child.id().to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

fn keygen(path: &std::path::Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(path).status();
    assert!(made.unwrap().success());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port that leads to another one, and is cut after so many bytes towards the client.
pub(crate) fn cut_after(to: u16, bytes_max: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
            let (mut from, mut onto) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut onto));
            let (mut piece, mut passed) = ([0; 4096], 0);
            while let Ok(length @ 1..) = server.read(&mut piece) {
                passed += length;
                if passed > bytes_max || client.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = server.shutdown(std::net::Shutdown::Both);
        }
    });
    port
}
