//! Overwrites the stack that cryptography has used.
//!
//! The libraries zeroize what they own when it is dropped, but values are moved on their way, and what was moved stays
//! where it was: a key schedule, the last block of a key derivation. So each function here that handles a key runs in
//! frames of its own, and the stack below is overwritten when it is done.

use zeroize::optimization_barrier;

/// More than the deepest of these calls uses, in 8-byte words: 16 KiB.
const WORDS: usize = 2048;

/// Runs `work` and overwrites the stack that it used.
pub(super) fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let done = in_frames_of_its_own(work);
    wipe();
    done
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
