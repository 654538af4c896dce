//! Values at a terminal's prompt: typed or pasted, they arrive whole and unseen.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{
    cli::Shell,
    harness::{Server, TACIT},
};

/// Runs a command on a terminal of its own, types this once it asks, and returns how it ended and all that was on screen.
pub(crate) fn on_terminal(shell: &Shell, arguments: &[&str], keys: &'static [u8]) -> (i32, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let end = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
    let mut child = Command::new(TACIT)
        .args(arguments)
        .env_clear()
        .env("TACIT_CONFIG_DIR", shell.directory.path().join("tacit"))
        .envs(shell.variables.iter().cloned())
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    drop(theirs);
    let (mut reader, mut writer) = (File::from(ours.try_clone().unwrap()), File::from(ours));
    let screen = thread::spawn(move || {
        let (mut seen, mut chunk, mut is_typed) = (Vec::new(), [0; 4096], false);
        // The terminal ends with an error when the command has ended.
        while let Ok(count @ 1..) = reader.read(&mut chunk) {
            seen.extend_from_slice(&chunk[..count]);
            if !is_typed && seen.ends_with(b": ") {
                is_typed = true;
                thread::sleep(Duration::from_millis(100));
                writer.write_all(keys).unwrap();
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    let status = child.wait().unwrap();
    (status.code().unwrap_or(-1), screen.join().unwrap())
}

/// Several lines are one value, whether or not the terminal marks what is pasted; a type of one line refuses them; nothing
/// of it is on the screen.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pasted_arrives_whole() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let pasted: [(&str, &'static [u8], &str); 5] = [
        (
            "PLAIN",
            b"-----BEGIN X-----\rline two\r\r-----END X-----\r",
            "-----BEGIN X-----\nline two\n\n-----END X-----",
        ),
        ("MARKED", b"\x1b[200~qq-one\rtwo\r\x1b[201~\r", "qq-one\ntwo"),
        ("TYPED", b"hunte3\x7f2\r", "hunte2"),
        ("ENDED", b"qq-two\x04", "qq-two"),
        ("UMLAUT", "gr\u{fc}n\r".as_bytes(), "gr\u{fc}n"),
    ];
    for (name, keys, value) in pasted {
        let (status, screen) = on_terminal(&shell, &["secrets", "set", name, "--masked"], keys);
        assert_eq!(status, 0, "{screen}");
        assert!(!screen.contains(value.lines().next().unwrap()), "{screen}");
        let revealed = shell.run(&["secrets", "reveal", name, "-o", "json"]).ok().stdout;
        let revealed: serde_json::Value = serde_json::from_str(&revealed).unwrap();
        assert_eq!(revealed["fields"]["value"], value, "{name}");
    }
    let set = ["secrets", "set", "TOKEN", "--type", "bearer_token"];
    let (status, screen) = on_terminal(&shell, &set, b"first\rsecond\r");
    assert_eq!(status, 2, "{screen}");
    assert!(screen.contains("several were given") && screen.contains("< FILE"), "{screen}");
    assert!(!screen.contains("first") && !screen.contains("second"), "{screen}");
    let (status, screen) = on_terminal(&shell, &set, b"first\x03");
    assert_eq!(status, 1, "{screen}");
    assert!(screen.contains("was not given: interrupted"), "{screen}");
    shell.run(&["secrets", "show", "TOKEN"]).failed(4, "not_found");
}
