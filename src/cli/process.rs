//! What the program asks of the system before it touches a secret: no core dump, no debugger, no reader of its memory.
//!
//! A core dump is a copy of the memory, keys included, and often ends in a place that others can read. The limit on core
//! files (setrlimit(2)) is lowered for this process and can be raised again by the commands it runs. On Linux the process
//! is also marked as not dumpable (PR_SET_DUMPABLE, prctl(2)): then no other process of the same user can attach to it or
//! read its memory, and no handler of core dumps gets one. Root still can.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asks for all of it. What is not granted is said and stops nothing.
pub(super) fn protect() {
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, limit).and_then(|()| forbid_dumps()) {
        super::output::warn(&format!("a crash may leave a copy of this program's memory on disk: {error}"));
    }
}

#[cfg(target_os = "linux")]
fn forbid_dumps() -> rustix::io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn forbid_dumps() -> rustix::io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::*;

    #[test]
    fn after_it_the_process_leaves_no_core() {
        protect();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
