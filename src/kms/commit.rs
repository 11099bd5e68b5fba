//! The one writer: makes records durable, then the state, then lets the callers go.
//!
//! Calls hand in what they want recorded and changed, in the order in which they were decided. One thread takes all
//! that has queued up, appends its records to the audit log with a single fsync, commits its changes to storage as one
//! transaction, and only then answers. So nothing is answered before its record is durable, a mutation's record comes
//! before its state, and under load one fsync serves many calls.
//!
//! Where calls come many at a time and an fsync takes its time, the writer waits a moment before it takes what has
//! queued up, so that one fsync serves more of them (as PostgreSQL does with `commit_delay` and `commit_siblings`). A
//! call that comes alone is written at once.
//!
//! After any failure the writer latches: nothing is answered any more until the keystore is opened anew. What was
//! decided on top of a change that did not become durable must not be believed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::CallError;
use crate::{
    audit::{AuditLog, LogPosition, Record},
    storage::{Batch, Storage},
    world::{Change, Row, RowChange, RowId, World},
};

/// How many calls must have shared the last batch for the next one to wait for company.
const SIBLINGS_MIN: usize = 4;
/// How long it waits, and how long the last batch must have taken to write.
const GATHERING: Duration = Duration::from_micros(100);
/// After so long without any call nothing is known of the next ones.
const FORGETTING: Duration = Duration::from_millis(5);

/// What the last batch tells of the next: whether it pays to wait for company.
#[derive(Debug, Clone, Copy, Default)]
struct LastBatch {
    calls: usize,
    took: Duration,
}

impl LastBatch {
    fn foretells_company(self) -> bool {
        self.calls >= SIBLINGS_MIN && self.took >= GATHERING
    }
}

/// How much room for records is kept from one batch to the next, in bytes: some hundred usual records.
const KEPT_ROOM_BYTES: usize = 256 << 10;

/// A record as it will stand in the log. Whoever decides the call writes it down, so that the one writer need not.
#[derive(Debug)]
pub(super) struct Recorded {
    bytes: Vec<u8>,
    is_change: bool,
}

impl Recorded {
    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl From<&Record> for Recorded {
    fn from(record: &Record) -> Self {
        Self { bytes: record.to_canonical_bytes(), is_change: record.is_change() }
    }
}

/// What one decided call leaves behind.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Its records: one, or none when no customer's log may show it, or one for each account of a call across two.
    pub(super) records: Vec<Recorded>,
    /// What it changes.
    pub(super) changes: Vec<Change>,
}

/// Called once, when the entry is durable or never will be.
type Waiter = Box<dyn FnOnce(Result<(), CallError>) + Send>;

/// Entries in their order, taken apart as the writer wants them.
///
/// Whoever hands in an entry copies its records and drops them: memory that another thread gives back is dear.
#[derive(Default)]
struct Queue {
    entries: usize,
    /// The records, one behind another, and where each ends.
    records: Vec<u8>,
    ends: Vec<usize>,
    /// Whether some record tells of a change.
    records_change: bool,
    changes: Vec<Change>,
    waiters: Vec<Waiter>,
}

impl Queue {
    fn push(&mut self, entry: Entry, waiter: Option<Waiter>) {
        self.entries += 1;
        for record in &entry.records {
            self.records.extend_from_slice(&record.bytes);
            self.ends.push(self.records.len());
            self.records_change |= record.is_change;
        }
        self.changes.extend(entry.changes);
        self.waiters.extend(waiter);
    }

    fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn records(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.records.get(start..*end)).collect()
    }

    /// Lets all waiters hear what became of their entries, and is empty then. Usual room is kept for the next ones.
    fn answer(&mut self, outcome: &Result<(), CallError>) {
        self.entries = 0;
        self.records.clear();
        self.records.shrink_to(KEPT_ROOM_BYTES);
        self.ends.clear();
        self.records_change = false;
        self.changes.clear();
        for waiter in self.waiters.drain(..) {
            waiter(outcome.clone());
        }
    }
}

/// The newest world that was decided, and the queue to the writer. Whoever holds its lock decides the order.
pub(super) struct Head {
    world: Arc<World>,
    version: u64,
    queue: Queue,
    closing: bool,
    /// Whether the writer sleeps until something is queued.
    idle: bool,
    failure: Option<String>,
    /// How far the log is durable.
    durable: LogPosition,
}

impl Head {
    /// The newest decided world. It may be ahead of what is durable; nobody hears of it before it is.
    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Changes with every change of the world.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// How far the log is durable.
    pub(super) fn durable(&self) -> LogPosition {
        self.durable
    }

    /// Fails when the writer has latched.
    pub(super) fn check(&self) -> Result<(), CallError> {
        self.failure.as_ref().map_or(Ok(()), |why| Err(CallError::internal(why.clone())))
    }

    /// Puts an entry next in order, and its changes into the world.
    pub(super) fn push(&mut self, entry: Entry, waiter: Option<Waiter>) {
        if !entry.changes.is_empty() {
            let mut world = World::clone(&self.world);
            for change in &entry.changes {
                world.apply(change);
            }
            self.world = Arc::new(world);
            self.version += 1;
        }
        self.queue.push(entry, waiter);
    }
}

/// What callers hear when the writer is gone.
pub(super) const STOPPED: &str = "the writer has stopped";

struct Shared {
    head: Mutex<Head>,
    filled: Condvar,
}

/// The writer and the way to it.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Sinks>>,
}

/// Where the writer writes.
pub(crate) struct Sinks {
    pub(crate) log: AuditLog,
    pub(crate) storage: Box<dyn Storage>,
}

impl Committer {
    /// Starts the writer.
    pub(super) fn start(world: World, sinks: Sinks) -> std::io::Result<Self> {
        let durable = sinks.log.position();
        let head = Head {
            world: Arc::new(world),
            version: 0,
            queue: Queue::default(),
            closing: false,
            idle: false,
            failure: None,
            durable,
        };
        let shared = Arc::new(Shared { head: Mutex::new(head), filled: Condvar::new() });
        let writer = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("keystead-writer".into()).spawn(move || writer.run(sinks))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The head, for whoever is to decide next.
    pub(super) fn lock(&self) -> MutexGuard<'_, Head> {
        self.shared.lock()
    }

    /// Lets the head go, and wakes the writer if it sleeps and something is queued.
    pub(super) fn release(&self, mut head: MutexGuard<'_, Head>) {
        let wake = head.idle && !head.queue.is_empty();
        head.idle &= !wake;
        drop(head);
        if wake {
            self.shared.filled.notify_one();
        }
    }

    /// Lets the writer finish what is queued, stops it and answers the last world and what it wrote to.
    pub(super) fn stop(mut self) -> Result<(Arc<World>, Sinks), CallError> {
        let sinks = self.close().ok_or_else(|| CallError::internal(STOPPED))?;
        let head = self.lock();
        head.check()?;
        Ok((Arc::clone(head.world()), sinks))
    }

    fn close(&mut self) -> Option<Sinks> {
        self.lock().closing = true;
        self.shared.filled.notify_one();
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let _sinks = self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Head> {
        // A panic while the head is held leaves it whole: `push` replaces the world in one step.
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is queued, or the writer is to stop; answers for how long.
    fn sleep<'h>(&self, mut head: MutexGuard<'h, Head>) -> (MutexGuard<'h, Head>, Duration) {
        let since = Instant::now();
        while head.queue.is_empty() && !head.closing {
            head.idle = true;
            head = self.filled.wait(head).unwrap_or_else(PoisonError::into_inner);
        }
        head.idle = false;
        (head, since.elapsed())
    }

    /// Lets the head go for a moment, unless the writer is to stop.
    fn gather<'h>(&self, head: MutexGuard<'h, Head>) -> MutexGuard<'h, Head> {
        let waited = self.filled.wait_timeout_while(head, GATHERING, |head| !head.closing);
        waited.map_or_else(|poisoned| poisoned.into_inner().0, |(head, _)| head)
    }

    fn run(&self, mut sinks: Sinks) -> Sinks {
        let _last_act = Latch(self);
        let mut state_is_behind = false;
        let mut last = LastBatch::default();
        let mut batch = Queue::default();
        loop {
            let (mut head, slept) = self.sleep(self.lock());
            if slept < FORGETTING && last.foretells_company() {
                head = self.gather(head);
            }
            if head.queue.is_empty() {
                let healthy = head.check().is_ok();
                drop(head);
                if healthy && state_is_behind {
                    tie_state_to_log(&mut sinks);
                }
                return sinks;
            }
            std::mem::swap(&mut head.queue, &mut batch);
            let outcome = head.check();
            drop(head);
            let begun = Instant::now();

            let outcome = outcome.and_then(|()| match write(&mut sinks, &batch) {
                Ok(written) => {
                    state_is_behind = written.state_is_behind(state_is_behind);
                    self.lock().durable = written.position;
                    Ok(())
                }
                Err(why) => {
                    tracing::error!(%why, "the keystore refuses every call until it is opened anew");
                    self.lock().failure = Some(why.clone());
                    Err(CallError::internal(why))
                }
            });
            last = LastBatch { calls: batch.entries, took: begun.elapsed() };
            batch.answer(&outcome);
        }
    }
}

/// Latches the keystore when the writer panics: a call that waits for a dead thread would wait for ever.
struct Latch<'a>(&'a Shared);

impl Drop for Latch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut head = self.0.lock();
            head.failure = Some(STOPPED.into());
            let abandoned = std::mem::take(&mut head.queue);
            drop(head);
            drop(abandoned);
        }
    }
}

/// Tells the state how far the log reaches, so that a log that is cut off behind the last change is noticed at the next
/// opening. Nothing is lost when this fails: every record is durable.
fn tie_state_to_log(sinks: &mut Sinks) {
    if let Err(error) = sinks.storage.commit(&Batch::at(sinks.log.position())) {
        tracing::warn!(%error, "the state could not take note of the log's end");
    }
}

/// What became of a batch.
struct Written {
    /// How far the log reaches now.
    position: LogPosition,
    /// Whether the state took note of that; none when there was nothing to take note of.
    state_committed: Option<bool>,
}

impl Written {
    fn state_is_behind(&self, before: bool) -> bool {
        self.state_committed.map_or(before, |committed| !committed)
    }
}

/// Writes one batch: records, then state.
fn write(sinks: &mut Sinks, queue: &Queue) -> Result<Written, String> {
    let records = queue.records();
    let position = sinks.log.append_batch(&records).map_err(|error| format!("the audit log: {error}"))?;
    let mut batch = Batch::at(position);
    let mut rows: BTreeMap<RowId, Option<Row>> = BTreeMap::new();
    for change in &queue.changes {
        batch.erases |= change.erases();
        match change.to_row() {
            RowChange::Put(row) => rows.insert(row.id.clone(), Some(row)),
            RowChange::Delete(id) => rows.insert(id, None),
        };
    }
    // The next opening takes a recorded change beyond the state's position for one that a crash kept from being made,
    // so the state takes the position also when there was nothing to change.
    if rows.is_empty() && !queue.records_change {
        return Ok(Written {
            position,
            state_committed: if records.is_empty() { None } else { Some(false) },
        });
    }
    for (id, row) in rows {
        match row {
            Some(row) => batch.puts.push(row),
            None => batch.deletes.push(id),
        }
    }
    sinks.storage.commit(&batch).map_err(|error| error.to_string())?;
    Ok(Written { position, state_committed: Some(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_is_waited_for_when_several_shared_a_batch_that_took_its_time() {
        let (quick, slow) = (Duration::from_micros(20), Duration::from_micros(400));
        for (calls, took, waits) in [(1, slow, false), (3, slow, false), (4, slow, true), (64, quick, false)]
        {
            assert_eq!(LastBatch { calls, took }.foretells_company(), waits, "{calls} in {took:?}");
        }
        assert!(!LastBatch::default().foretells_company());
    }
}
