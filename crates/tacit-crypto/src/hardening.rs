//! Keeps the process's memory out of dumps and away from debuggers.

/// What [`harden_process`] achieved. Refusals are facts to log, not errors:
/// some containers forbid one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardenReport {
    /// The process cannot be dumped or attached to by others of its user
    /// (`PR_SET_DUMPABLE` is 0).
    pub not_dumpable: bool,
    /// Core files have a size limit of 0, and the process cannot raise it.
    pub no_core_files: bool,
    /// No program that is started from here gets more rights than this process
    /// has (`no_new_privs`): set-user-id bits count for nothing.
    pub no_new_privileges: bool,
    /// Key memory is locked: keys are not written to swap.
    pub keys_locked: bool,
}

/// Switches dumps off and locks the key memory; to be called first in `main`,
/// while there is one thread: `no_new_privs` is a thread's, and those that are
/// started later inherit it.
///
/// The limit on core files and `no_new_privs` are inherited by children, so
/// nothing that runs other people's programs (`tacit run`) calls this.
/// `PR_SET_DUMPABLE` is not inherited:
/// a child has it again after `execve`. While it is off, files under
/// `/proc/self` belong to root, which matters to code that writes
/// `/proc/self/uid_map` for a sandbox: let the child do it after `execve`.
pub fn harden_process() -> HardenReport {
    HardenReport {
        not_dumpable: forbid_dumps(),
        no_core_files: forbid_core_files(),
        no_new_privileges: forbid_new_privileges(),
        keys_locked: crate::locked::lock_key_memory(),
    }
}

#[cfg(target_os = "linux")]
fn forbid_dumps() -> bool {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Asked again instead of believed.
    matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable))
}

#[cfg(not(target_os = "linux"))]
fn forbid_dumps() -> bool {
    false
}

#[cfg(unix)]
fn forbid_core_files() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    let limit = getrlimit(Resource::Core);
    limit.current == Some(0) && limit.maximum == Some(0)
}

#[cfg(not(unix))]
fn forbid_core_files() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn forbid_new_privileges() -> bool {
    use rustix::thread::{no_new_privs, set_no_new_privs};
    let _ = set_no_new_privs(true);
    no_new_privs() == Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn forbid_new_privileges() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Storm-0558: a signing key left in a crash dump.
    #[cfg(target_os = "linux")]
    #[test]
    fn dumps_are_off_and_stay_off() {
        let report = harden_process();
        assert!(report.not_dumpable && report.no_core_files && report.no_new_privileges);
        assert_eq!(harden_process(), report);
    }
}
