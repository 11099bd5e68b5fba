//! Overwrites the stack that cryptography has used.
//!
//! The libraries zeroize what they own when it is dropped, but values are moved on their way, and what was moved stays
//! where it was: a key schedule, the last block of a key derivation. So each function here that handles a key runs in
//! frames of its own, and the stack below is overwritten when it is done.

use std::cell::Cell;

use zeroize::optimization_barrier;

/// More than the deepest of these calls uses, with what lies between it and the outermost one, in 8-byte words: 16 KiB.
const WORDS: usize = 2048;

thread_local! {
    /// Whether this thread is inside a call of [`wiped`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` and overwrites the stack that it used. Within another such call that is left to the outer one, so that
/// several steps with keys cost one overwriting.
pub(crate) fn wiped<T>(work: impl FnOnce() -> T) -> T {
    if INSIDE.replace(true) {
        return work();
    }
    let _when_done = Wipe;
    in_frames_of_its_own(work)
}

/// Overwrites the stack when it is dropped, also when the work panics.
struct Wipe;

impl Drop for Wipe {
    #[inline]
    fn drop(&mut self) {
        INSIDE.set(false);
        wipe();
    }
}

#[inline(never)]
fn in_frames_of_its_own<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe() {
    let words = [0_u64; WORDS];
    // Else the compiler would find it useless.
    optimization_barrier(&words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_call_overwrites_and_a_panic_does_not_keep_it_from_that() {
        let inside = || INSIDE.get();
        assert!(!inside());
        assert!(wiped(|| wiped(inside) && inside()));
        assert!(!inside());
        assert!(
            std::panic::catch_unwind(|| wiped(|| wiped(|| std::panic::resume_unwind(Box::new(()))))).is_err()
        );
        assert!(!inside());
    }
}
