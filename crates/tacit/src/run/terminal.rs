//! The terminal we are on: whether we may use it, and how it is left as it was found.

use std::{
    io::{self, IsTerminal},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    process::getpgrp,
    termios::{
        OptionalActions, OutputModes, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
    },
};

/// Whether somebody sits there, and what they type is for us: both ends are a terminal, and we are in its foreground.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && has_our_group(io::stdin().as_fd())
}

/// Whether the terminal's own keys reach our process group, and with it the command.
pub(super) fn is_foreground() -> bool {
    // Any of the three may be redirected; a terminal that is left is the same one.
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].into_iter().any(has_our_group)
}

fn has_our_group(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}

/// Our terminal, as long as its keys go to the command's terminal unseen. Left as it was when dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Hands every key on as it is.
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let raw = Self { before };
        raw.resume()?;
        Ok(raw)
    }

    /// As it was, for as long as we are stopped.
    pub(super) fn pause(&self) {
        // If this fails the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }

    /// Raw again.
    pub(super) fn resume(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.pause();
    }
}

/// Makes a new terminal behave like the one we are on. If only output goes through it, nothing is translated in it:
/// what comes out goes to the real one, which does that.
pub(super) fn imitate(ours: impl AsFd, new: impl AsFd, output_only: bool) -> io::Result<()> {
    let mut modes = tcgetattr(&ours)?;
    if output_only {
        modes.output_modes -= OutputModes::OPOST;
    }
    tcsetattr(&new, OptionalActions::Now, &modes)?;
    imitate_size(ours, new);
    Ok(())
}

/// Makes a terminal as large as the one we are on.
pub(super) fn imitate_size(ours: impl AsFd, new: impl AsFd) {
    // A terminal without a size is one with a size of zero; nothing else can go wrong while both are open.
    if let Ok(size) = tcgetwinsize(ours) {
        let _ = tcsetwinsize(new, size);
    }
}
