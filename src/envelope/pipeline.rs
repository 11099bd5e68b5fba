//! Work on all cores in bounded memory, in order or at positions.
//!
//! [`in_order`] serves streams: one thread reads and writes, the others work, and what comes out has the order of what went
//! in. [`at_positions`] serves files: each thread takes the next piece, reads it, works on it and writes it where it
//! belongs. Both hold a fixed number of pieces, whatever the length of the whole.

use std::{
    collections::VecDeque,
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

/// AES on a few cores is faster than memory; more threads would only hold more memory.
const WORKERS_MAX: usize = 8;

/// How many threads work.
pub(super) fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX)
}

/// Takes pieces from `source` (which is handed a used one to fill again), works on them, and gives them to `sink` in the
/// order in which they came. `source` and `sink` run on the calling thread. At most `in_flight` pieces exist at once.
///
/// When `source` fails, all pieces that came before reach `sink` first; when `sink` fails, nothing more is done.
pub(super) fn in_order<J: Send, E>(
    in_flight: usize,
    source: &mut dyn FnMut(Option<J>) -> Result<Option<J>, E>,
    work: &(dyn Fn(&mut J) + Sync),
    sink: &mut dyn FnMut(&mut J) -> Result<(), E>,
) -> Result<(), E> {
    let Some(mut first) = source(None)? else { return Ok(()) };
    // What is one piece needs no threads, and what may hold only one cannot use them.
    let second = if in_flight > 1 { source(None) } else { Ok(None) };
    if let Ok(Some(second)) = second {
        return in_threads(in_flight, VecDeque::from([first, second]), source, work, sink);
    }
    work(&mut first);
    sink(&mut first)?;
    second?;
    if in_flight > 1 {
        return Ok(());
    }
    let mut used = first;
    while let Some(mut next) = source(Some(used))? {
        work(&mut next);
        sink(&mut next)?;
        used = next;
    }
    Ok(())
}

fn in_threads<J: Send, E>(
    in_flight: usize,
    mut waiting: VecDeque<J>,
    source: &mut dyn FnMut(Option<J>) -> Result<Option<J>, E>,
    work: &(dyn Fn(&mut J) + Sync),
    sink: &mut dyn FnMut(&mut J) -> Result<(), E>,
) -> Result<(), E> {
    let (send_job, jobs) = mpsc::channel::<(usize, J)>();
    let (send_done, done) = mpsc::channel::<(usize, J)>();
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        // Owned by this closure, so that every way out of it lets the threads end.
        let (send_job, done) = (send_job, done);
        for _ in 0..workers().min(in_flight) {
            let (jobs, send_done) = (&jobs, send_done.clone());
            scope.spawn(move || {
                while let Some((number, mut job)) = take(jobs) {
                    work(&mut job);
                    if send_done.send((number, job)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send_done);
        let (mut used, mut failed, mut ended) = (Vec::new(), None, false);
        let (mut sent, mut written) = (0, 0);
        let mut ready: VecDeque<Option<J>> = VecDeque::new();
        loop {
            while !ended && sent - written < in_flight {
                let next = waiting.pop_front().map_or_else(|| source(used.pop()), |job| Ok(Some(job)));
                match next {
                    Ok(Some(job)) => {
                        // There are threads for as long as this one sends.
                        let _taken = send_job.send((sent, job));
                        ready.push_back(None);
                        sent += 1;
                    }
                    Ok(None) => ended = true,
                    Err(error) => (ended, failed) = (true, Some(error)),
                }
            }
            if written == sent {
                return failed.map_or(Ok(()), Err);
            }
            while !matches!(ready.front(), Some(Some(_))) {
                let Ok((number, job)) = done.recv() else { return failed.map_or(Ok(()), Err) };
                if let Some(slot) = ready.get_mut(number - written) {
                    *slot = Some(job);
                }
            }
            if let Some(Some(mut job)) = ready.pop_front() {
                sink(&mut job)?;
                used.push(job);
                written += 1;
            }
        }
    })
}

fn take<J>(jobs: &Mutex<mpsc::Receiver<J>>) -> Option<J> {
    jobs.lock().ok()?.recv().ok()
}

/// Does `work` on each of `pieces`, which are numbered from 0, on all cores; each thread works with a `T` of its own. The
/// calling thread hears by `heard` of the size that each piece is answered to have.
///
/// Nothing is begun after one has failed; the error is that of the lowest piece that failed.
pub(crate) fn at_positions<T, E: Send>(
    pieces: u64,
    new: &(dyn Fn() -> T + Sync),
    work: &(dyn Fn(&mut T, u64) -> Result<u64, E> + Sync),
    heard: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<(u64, E)>> = Mutex::new(None);
    let (say, said) = mpsc::channel();
    let threads = u64::try_from(workers()).unwrap_or(1).min(pieces);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, stopped, failed, say) = (&next, &stopped, &failed, say.clone());
            scope.spawn(move || {
                let mut own = new();
                while !stopped.load(Ordering::Relaxed) {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    if piece >= pieces {
                        break;
                    }
                    match work(&mut own, piece) {
                        // The caller listens until all threads have ended.
                        Ok(size) => drop(say.send(size)),
                        Err(error) => {
                            stopped.store(true, Ordering::Relaxed);
                            let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            if failed.as_ref().is_none_or(|(lowest, _)| piece < *lowest) {
                                *failed = Some((piece, error));
                            }
                        }
                    }
                }
            });
        }
        drop(say);
        said.iter().for_each(&mut *heard);
    });
    let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of the numbers below `count`, squared; reading fails at `broken`.
    fn squares(
        count: u64,
        in_flight: usize,
        broken: Option<u64>,
    ) -> (Vec<u64>, Result<(), &'static str>, usize) {
        let (mut next, mut out, mut made) = (0, Vec::new(), 0);
        let result = in_order(
            in_flight,
            &mut |used: Option<Box<u64>>| {
                if Some(next) == broken {
                    return Err("broken");
                }
                if next == count {
                    return Ok(None);
                }
                made += usize::from(used.is_none());
                next += 1;
                Ok(Some(Box::new(next - 1)))
            },
            &|number| **number *= **number,
            &mut |number| {
                out.push(**number);
                Ok(())
            },
        );
        (out, result, made)
    }

    #[test]
    fn the_order_is_kept_and_no_more_exist_than_may() {
        for count in [0, 1, 2, 3, 100, 1000] {
            for in_flight in [1, 2, 3, 8] {
                let (out, result, made) = squares(count, in_flight, None);
                assert!(result.is_ok());
                assert_eq!(out, (0..count).map(|n| n * n).collect::<Vec<_>>(), "{count} {in_flight}");
                assert!(made <= in_flight, "{made} of {in_flight}");
            }
        }
    }

    #[test]
    fn what_came_before_an_error_is_written() {
        for broken in [0, 1, 2, 3, 50] {
            for in_flight in [1, 2, 8] {
                let (out, result, _) = squares(100, in_flight, Some(broken));
                assert_eq!((result, out.len() as u64), (Err("broken"), broken), "{in_flight}");
            }
        }
    }

    #[test]
    fn nothing_is_written_after_an_error_of_the_writer() {
        let mut written = 0;
        let result = in_order(4, &mut |_| Ok(Some(())), &|()| (), &mut |()| {
            written += 1;
            if written == 3 { Err("full") } else { Ok(()) }
        });
        assert_eq!((result, written), (Err("full"), 3));
    }

    #[test]
    fn each_piece_is_worked_on_once_and_the_first_error_counts() {
        let (seen, mut heard) = (Mutex::new(vec![0; 500]), 0);
        let work = |_: &mut (), piece: u64| -> Result<u64, u64> {
            seen.lock().unwrap()[piece as usize] += 1;
            Ok(2)
        };
        at_positions(500, &|| (), &work, &mut |size| heard += size).unwrap();
        assert_eq!(heard, 1000);
        assert!(seen.lock().unwrap().iter().all(|times| *times == 1));
        let work = |_: &mut (), piece: u64| if piece == 7 { Err(piece) } else { Ok(1) };
        assert_eq!(at_positions(500, &|| (), &work, &mut |_| ()), Err(7));
        assert_eq!(at_positions(0, &|| (), &work, &mut |_| ()), Ok(()));
    }
}
