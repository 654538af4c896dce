//! The signals that are meant for the command as much as for us.

use std::{future::poll_fn, io, task::Poll};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// What is listened to.
const SIGNALS: [Signal; 9] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::TSTP,
    Signal::CONT,
];

/// Signals as they come. From the first moment on none of them ends us, so that the lease is ended first.
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Listens, but not to what whoever started us had us ignore (`nohup`, a shell's `&`): the command inherits that.
    pub(super) fn listen() -> io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let wanted = SIGNALS.iter().filter(|signal| ignored & (1 << (signal.as_raw() - 1)) == 0);
        let listened =
            wanted.map(|signal| Ok((*signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?)));
        listened.collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next one that means "end".
    pub(super) async fn next_end(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM].contains(&signal) {
                return signal;
            }
        }
    }
}

/// The mask of ignored signals, where the kernel tells it.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signal N is bit N − 1.
    #[test]
    fn masks() {
        let mask = ignored("Name:\ttacit\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n");
        assert!(mask & 1 != 0 && Signal::HUP.as_raw() == 1);
        assert_eq!(mask & (1 << (Signal::INT.as_raw() - 1)), 0);
        assert_eq!(ignored(""), 0);
    }

    /// A signal that comes is noticed, and the one that asks for nothing is not taken for an end.
    #[tokio::test]
    async fn signals_come() {
        let mut signals = Signals::listen().unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, Signal::WINCH).unwrap();
        assert_eq!(signals.next().await, Signal::WINCH);
        rustix::process::kill_process(own, Signal::USR1).unwrap();
        rustix::process::kill_process(own, Signal::TERM).unwrap();
        assert_eq!(signals.next_end().await, Signal::TERM);
    }
}
