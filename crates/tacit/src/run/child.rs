//! The command as a process: its streams, the signals passed on to it, and how it ends.
//!
//! Its output goes through us, masked, unless somebody asked for it as it is. On a terminal it gets a terminal of its
//! own, so that it behaves as it would without us. Standard input is always its own.

use std::{
    io::{self, IsTerminal, PipeReader, PipeWriter},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{Child, Command, ExitStatus},
    sync::Arc,
    thread::JoinHandle,
};

use pty_process::blocking as pty;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use tokio::sync::oneshot;

use super::{
    mask::{Masker, Patterns},
    pump::{Pump, Sink, carry_keys},
    terminal::{self, Raw},
};

/// The command, running.
pub(super) struct Running {
    child: Child,
    pid: Pid,
    screen: Screen,
    pumps: Vec<JoinHandle<()>>,
    /// Closed to tell the pumps that the command has ended.
    ended: Option<PipeWriter>,
}

/// What stands between the command and our terminal.
enum Screen {
    /// Nothing: it has ours, or there is none.
    None,
    /// Its output goes through something that looks like ours; keys and signals come from ours.
    Output(OwnedFd),
    /// It has a terminal and a session of its own, and ours hands every key on.
    Own(OwnedFd, Raw),
}

/// Starts the command. `mask` is what to take out of its output; without it, it writes where we do.
///
/// # Errors
/// What the system says to the attempt: there is no such program, it may not be executed, and the like.
pub(super) fn start(mut command: Command, mask: Option<Arc<Patterns>>) -> io::Result<Running> {
    let (ended, ended_writer) = io::pipe()?;
    let Some(mask) = mask else {
        return Running::new(command.spawn()?, Screen::None, Vec::new(), ended_writer);
    };
    let streams = Streams { mask, ended };
    if terminal::is_interactive() {
        streams.on_own_terminal(command, ended_writer)
    } else {
        streams.through_pipes(command, ended_writer)
    }
}

/// What the pumps of one command have in common.
struct Streams {
    mask: Arc<Patterns>,
    ended: PipeReader,
}

impl Streams {
    /// Everything is in place before the command starts, so that nothing but its start can fail once it runs.
    fn on_own_terminal(&self, command: Command, ended: PipeWriter) -> io::Result<Running> {
        let (master, slave) = pty::open().map_err(into_io)?;
        terminal::imitate(io::stdin(), &slave, false)?;
        let master = OwnedFd::from(master);
        let mut command = pty::Command::from(command);
        let mut ways = vec![(master.try_clone()?, Sink::Stdout)];
        if !io::stderr().is_terminal() {
            let (from, to) = io::pipe()?;
            command = command.stderr(to);
            ways.push((from.into(), Sink::Stderr));
        }
        let pumps = self.start(ways)?;
        let raw = Raw::enter()?;
        carry_keys(master.try_clone()?)?;
        let child = command.spawn(slave).map_err(into_io)?;
        Running::new(child, Screen::Own(master, raw), pumps, ended)
    }

    /// Standard input, session and process group are ours. Where an output goes to a terminal it goes through
    /// something that looks like one, for colours and columns.
    fn through_pipes(&self, mut command: Command, ended: PipeWriter) -> io::Result<Running> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let mut out = Way::to(&stdout)?;
        let mut ways = vec![(out.from, Sink::Stdout)];
        if same_file(&stdout, &stderr) {
            // One way for both keeps the order in which they were written.
            command.stderr(out.to.try_clone()?);
        } else {
            let err = Way::to(&stderr)?;
            command.stderr(err.to);
            ways.push((err.from, Sink::Stderr));
            out.lookalike = out.lookalike.or(err.lookalike);
        }
        command.stdout(out.to);
        let pumps = self.start(ways)?;
        let child = command.spawn()?;
        let screen = out.lookalike.map_or(Screen::None, Screen::Output);
        Running::new(child, screen, pumps, ended)
    }

    fn start(&self, ways: Vec<(OwnedFd, Sink)>) -> io::Result<Vec<JoinHandle<()>>> {
        let pumps = ways.into_iter().map(|(from, to)| {
            let masker = Masker::new(Arc::clone(&self.mask));
            Pump { from, to, masker, ended: self.ended.try_clone()? }.start()
        });
        pumps.collect()
    }
}

/// The way of one stream of output.
struct Way {
    from: OwnedFd,
    to: OwnedFd,
    /// Whose size has to follow our terminal's.
    lookalike: Option<OwnedFd>,
}

impl Way {
    fn to(ours: &(impl AsFd + IsTerminal)) -> io::Result<Self> {
        if !ours.is_terminal() {
            let (from, to) = io::pipe()?;
            return Ok(Self { from: from.into(), to: to.into(), lookalike: None });
        }
        let (master, slave) = pty::open().map_err(into_io)?;
        terminal::imitate(ours, &slave, true)?;
        let master = OwnedFd::from(master);
        let slave = slave.as_fd().try_clone_to_owned()?;
        Ok(Self { lookalike: Some(master.try_clone()?), from: master, to: slave })
    }
}

fn same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let id = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let one = rustix::fs::fstat(one).map(id);
    one.is_ok() && one == rustix::fs::fstat(other).map(id)
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
    }
}

impl Running {
    fn new(child: Child, screen: Screen, pumps: Vec<JoinHandle<()>>, ended: PipeWriter) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the command has no process id"))?;
        Ok(Self { child, pid, screen, pumps, ended: Some(ended) })
    }

    /// Tells when the command has ended. Its process id stays its own until [`Running::finish`].
    pub(super) fn end(&self) -> io::Result<oneshot::Receiver<()>> {
        let (tell, told) = oneshot::channel();
        let pid = self.pid;
        std::thread::Builder::new().name("wait".to_owned()).spawn(move || {
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
            let _ = tell.send(());
        })?;
        Ok(told)
    }

    /// Passes a signal on, unless the terminal has sent it to the command as well.
    pub(super) fn pass_on(&self, signal: Signal) {
        match signal {
            Signal::WINCH => self.resize(),
            Signal::TSTP => self.stop(),
            Signal::CONT => self.proceed(),
            // The keys of a terminal reach the whole group, and twice is more than once: many programs take a second ^C
            // for an order to leave everything as it is.
            Signal::INT | Signal::QUIT if self.shares_terminal() => {}
            signal => self.send(signal),
        }
    }

    fn shares_terminal(&self) -> bool {
        !matches!(self.screen, Screen::Own(..)) && terminal::is_foreground()
    }

    fn resize(&self) {
        match &self.screen {
            // The kernel tells the programs of that terminal.
            Screen::Own(master, _) => terminal::imitate_size(io::stdin(), master),
            Screen::Output(master) => {
                let (stdout, stderr) = (io::stdout(), io::stderr());
                let ours = if stdout.is_terminal() { stdout.as_fd() } else { stderr.as_fd() };
                terminal::imitate_size(ours, master);
                // When the kernel told it, it still saw the old size.
                self.send(Signal::WINCH);
            }
            Screen::None => {}
        }
    }

    /// Stops the command and then ourselves, with the terminal as we found it.
    fn stop(&self) {
        if let Screen::Own(_, raw) = &self.screen {
            // The command's group is an orphan, which the milder signal does not stop.
            self.send(Signal::STOP);
            raw.pause();
        } else if !self.shares_terminal() {
            self.send(Signal::TSTP);
        }
        // Comes back when somebody continues us; that signal is the next one.
        let _ = kill_process(getpid(), Signal::STOP);
    }

    fn proceed(&self) {
        if let Screen::Own(master, raw) = &self.screen {
            // If this fails the terminal is gone, and we are told so otherwise.
            let _ = raw.resume();
            terminal::imitate_size(io::stdin(), master);
        }
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        // It may have ended, but its id is not given to anybody else before we have asked how.
        let _ = kill_process(self.pid, signal);
    }

    /// Lets the output end: what is returned waits until the last of it has gone out.
    pub(super) fn last_output(&mut self) -> impl FnOnce() + Send + use<> {
        self.ended = None;
        let pumps = std::mem::take(&mut self.pumps);
        move || {
            for pump in pumps {
                // One that panicked has said so.
                let _ = pump.join();
            }
        }
    }

    /// Gives the terminal back and says how the command ended: its exit status, or 128 and the number of the signal
    /// that killed it.
    pub(super) fn finish(mut self) -> io::Result<u8> {
        Ok(code(self.child.wait()?))
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    // Both are below 256; what is not is a failure all the same.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exit status is passed on; a signal shows as 128 and its number.
    #[test]
    fn codes() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(Signal::TERM.as_raw())), 143);
        assert_eq!(code(ExitStatus::from_raw(Signal::KILL.as_raw() | 0x80)), 137, "with a core");
    }
}
