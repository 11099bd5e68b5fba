//! Work on many files at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// More threads than this gain nothing.
const WORKERS_MAX: usize = 64;
/// A thread that waits for a KMS or a disk leaves its core to another one; each call to the keystore ends in a wait for the
/// disk, and calls that wait together are served by one write of it.
const WORKERS_PER_CORE: usize = 4;

/// How many threads work on this many files.
pub(super) fn workers(items: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    (cores * WORKERS_PER_CORE).min(WORKERS_MAX).min(items).max(1)
}

/// Does `work` on each item, on as many threads as there are `states`, each thread with its own. Answers what it
/// answered, in the items' order; after an error nothing more is begun.
///
/// # Errors
///
/// The error of the first item, in their order, that had one.
pub(super) fn for_each<T: Sync, S: Send, R: Send, E: Send>(
    items: &[T],
    states: Vec<S>,
    work: impl Fn(&mut S, usize, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first_error: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let run = |mut state: S| {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            match work(&mut state, at, item) {
                Ok(result) => done.push((at, result)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
                        *first = Some((at, error));
                    }
                }
            }
        }
        done
    };
    let mut all = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        let threads: Vec<_> = states.into_iter().map(|state| scope.spawn(|| run(state))).collect();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    if let Some((_, error)) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_one_error_ends_it() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled = for_each(&items, vec![(); 8], |(), at, item| Ok::<_, ()>(at + item)).unwrap();
        assert_eq!(doubled, (0..1000).map(|item| 2 * item).collect::<Vec<_>>());
        let error =
            for_each(&items, vec![(); 1], |(), _, item| if *item < 500 { Ok(()) } else { Err(*item) });
        assert_eq!(error, Err(500));
        assert_eq!(for_each(&[(); 0], vec![()], |(), _, ()| Err::<(), _>(())), Ok(vec![]));
        assert!((1..=WORKERS_MAX).contains(&workers(1_000_000)) && workers(0) == 1 && workers(1) == 1);
    }
}
