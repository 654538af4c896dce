//! Carries what the command writes to where our own output goes, masked.
//!
//! Each stream has a thread of its own: our output may be a terminal or a pipe that takes its time, and the relay must
//! not wait for it.

use std::{
    io::{self, IsTerminal, PipeReader},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
};

use super::mask::Masker;

/// As much as a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long a short piece that may be a placeholder's beginning waits for more. A prompt that ends in `t` is one.
const PATIENCE_TERMINAL: Duration = Duration::from_millis(30);
const PATIENCE_PIPE: Duration = Duration::from_millis(250);
/// What the command wrote is there when it has ended, at the latest after this.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Whoever it left behind is listened to for this long.
const LEFT_BEHIND_MAX: Duration = Duration::from_secs(1);

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// Our standard output.
    Stdout,
    /// Our standard error.
    Stderr,
}

impl Sink {
    fn patience(self) -> Duration {
        let is_terminal = match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        };
        if is_terminal { PATIENCE_TERMINAL } else { PATIENCE_PIPE }
    }

    fn write(self, bytes: &[u8]) -> io::Result<()> {
        // Not through the buffer of the standard library: what is there goes out now.
        match self {
            Self::Stdout => write_all(io::stdout().as_fd(), bytes),
            Self::Stderr => write_all(io::stderr().as_fd(), bytes),
        }
    }
}

/// A stream on its way. `ended` is closed by the other side when the command has ended.
pub(super) struct Pump {
    pub(super) from: OwnedFd,
    pub(super) to: Sink,
    pub(super) masker: Masker,
    pub(super) ended: PipeReader,
}

/// What there is to do.
enum Next {
    Read,
    Release,
    Stop,
}

impl Pump {
    /// Carries until the stream ends or cannot be carried on; then the command's next write fails, as it would without
    /// us.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            // A reader that has gone is no error of ours, and there is nobody to tell.
            let _ = self.carry();
        })
    }

    fn carry(mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut out = Vec::with_capacity(CHUNK_BYTES);
        let mut give_up_at = None;
        loop {
            match self.wait(&mut give_up_at)? {
                Next::Read => match read(&self.from, &mut chunk[..]) {
                    // A terminal whose other end is closed says that it is no terminal any more.
                    Ok(0) | Err(Errno::IO) => break,
                    Ok(read) => self.masker.push(&chunk[..read], &mut out),
                    Err(Errno::INTR | Errno::AGAIN) => continue,
                    Err(error) => return Err(error.into()),
                },
                Next::Release => self.masker.flush(&mut out),
                Next::Stop => break,
            }
            self.to.write(&out)?;
            out.clear();
        }
        self.masker.flush(&mut out);
        self.to.write(&out)
    }

    fn wait(&self, give_up_at: &mut Option<Instant>) -> io::Result<Next> {
        let patience = self.to.patience();
        loop {
            if let Some(at) = *give_up_at {
                // Somebody whom the command left behind may hold the stream open, and write, for ever.
                let more = wait_for(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(LAST_WORDS))?;
                return Ok(if more && Instant::now() < at { Next::Read } else { Next::Stop });
            }
            let mut fds = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&self.ended, PollFlags::IN)];
            let guess = self.masker.holds_a_guess();
            wait_for(&mut fds, guess.then_some(patience))?;
            if !fds[0].revents().is_empty() {
                return Ok(Next::Read);
            }
            if !fds[1].revents().is_empty() {
                *give_up_at = Some(Instant::now() + LEFT_BEHIND_MAX);
            } else if guess {
                return Ok(Next::Release);
            }
        }
    }
}

/// Carries what is typed to the command's terminal, until either is gone.
pub(super) fn carry_keys(to: OwnedFd) -> io::Result<()> {
    let carry = move || {
        let stdin = io::stdin();
        let mut chunk = [0; 4096];
        loop {
            match read(stdin.as_fd(), &mut chunk[..]) {
                Ok(0) => break,
                Ok(read) => {
                    if write_all(to.as_fd(), &chunk[..read]).is_err() {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if wait_for(&mut [PollFd::new(&stdin, PollFlags::IN)], None).is_err() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(carry).map(|_| ())
}

/// Writes everything, also to somewhere that a neighbour has set to not block.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                wait_for(&mut [PollFd::new(&to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether something happened before the time was up.
fn wait_for(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        // As if nothing had happened: whoever asks comes again.
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
