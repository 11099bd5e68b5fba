//! `kill -9` at random moments, hundreds of times, and after each one the question whether anything was lost or came back.
//!
//! Each round starts the real program, puts a mixed load on it, kills it, opens the keystore and compares: every answer
//! that was heard has its record in the log; the world is exactly what the log says was done; what was deleted is gone
//! from the files too; every ciphertext that was handed out decrypts, unless its key forbids it. What is compared is in
//! `ledger.rs`.
//!
//! | variable | meaning |
//! |---|---|
//! | `KEYSTEAD_CRASH_ROUNDS` | how many rounds, 200 unless it says otherwise |
//! | `KEYSTEAD_CRASH_SEED` | what the load and the moments are drawn from; the one in use is printed |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that finds another thing than it expects has to panic; clippy.toml reaches unit tests alone"
)]

mod chance;
mod grants;
mod ledger;
mod load;
mod server;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use self::{
    chance::Chance,
    ledger::{Heard, Ledger},
    load::Load,
    server::{Process, keystead},
};

const ROUNDS: u64 = 200;
/// Keystores that are tried side by side.
const LANES: u64 = 2;
/// A log is verified whole after every round, so a keystore gets a successor before that takes long.
const ROUNDS_PER_KEYSTORE: u64 = 20;
/// Answers that are awaited at most before the kill.
const ANSWERS_MAX: u64 = 60;
/// How long after the last awaited answer the kill comes at most.
const AFTERTHOUGHT_MICROS_MAX: u64 = 5000;

/// The name of the one test, which a child process runs too.
const TEST: &str = "killed_at_any_moment_it_loses_nothing_it_answered_and_brings_nothing_back";

#[test]
fn killed_at_any_moment_it_loses_nothing_it_answered_and_brings_nothing_back() {
    if let Some(directory) = grants::childs_directory() {
        return grants::be_the_child(&directory);
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let rounds = number("KEYSTEAD_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("KEYSTEAD_CRASH_SEED").unwrap_or_else(now);
    eprintln!("{rounds} rounds with KEYSTEAD_CRASH_SEED={seed}");
    let start = Instant::now();
    let lanes: Vec<Tally> = std::thread::scope(|scope| {
        let lane =
            |lane| scope.spawn(move || run_lane(Chance::new(seed).branch(lane), (rounds + lane) / LANES));
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| panic!("with seed {seed}"))).collect()
    });
    let all = lanes.into_iter().fold(Tally::default(), Tally::plus);
    eprintln!("{all:?} in {:.1?}", start.elapsed());
    assert_eq!(all.rounds, rounds);
    // A harness that kills idle processes alone would prove nothing.
    assert!(all.answers > rounds && all.in_flight > 0, "{all:?}");
    assert!((all.deleted_keys > 0 && all.grants > 0) || rounds < ROUNDS, "no key came to its end: {all:?}");
}

/// What was done in all.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    answers: u64,
    /// Grants that were made or revoked, and heard of.
    grants: u64,
    changes: u64,
    /// Rounds in which a change was recorded and not answered when the kill came.
    in_flight: u64,
    /// Rounds after which a change stood in the log that had not been made.
    disowned: u64,
    deleted_keys: u64,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            answers: self.answers + other.answers,
            grants: self.grants + other.grants,
            changes: self.changes + other.changes,
            in_flight: self.in_flight + other.in_flight,
            disowned: self.disowned + other.disowned,
            deleted_keys: self.deleted_keys + other.deleted_keys,
        }
    }
}

/// A keystore's place: its directory and key file.
struct Place {
    parent: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { parent: tempfile::tempdir().unwrap() };
        assert!(keystead(&["init"], &place).output().unwrap().status.success());
        place
    }

    fn directory(&self) -> PathBuf {
        self.parent.path().join("keystore")
    }

    fn key_file(&self) -> PathBuf {
        self.parent.path().join("keystore.key")
    }

    fn path(&self) -> &Path {
        self.parent.path()
    }
}

fn run_lane(mut chance: Chance, rounds: u64) -> Tally {
    let mut tally = Tally::default();
    while tally.rounds < rounds {
        let place = Place::new();
        let mut ledger = Ledger::default();
        let mut load = Load::default();
        for _ in 0..ROUNDS_PER_KEYSTORE.min(rounds - tally.rounds) {
            let heard = match chance.below(10) {
                0 => kill_at_start(&place, &mut chance),
                1 | 2 => kill_a_command(&place, &mut chance),
                3 => {
                    let (lines, afterthought) =
                        (chance.below(ANSWERS_MAX), chance.below(AFTERTHOUGHT_MICROS_MAX));
                    grants::kill_the_child(&place, TEST, lines, || spin(Duration::from_micros(afterthought)))
                }
                _ => kill_under_load(&place, &mut load, &mut chance),
            };
            tally.rounds += 1;
            tally.answers += heard.answers.len() as u64;
            tally.grants += heard.grants.len() as u64;
            ledger.check(&place, &heard, &mut load, &mut tally);
        }
    }
    tally
}

/// Kills the server while it opens the keystore, perhaps while it recovers from the kill before.
fn kill_at_start(place: &Place, chance: &mut Chance) -> Heard {
    let process = Process::spawn(place);
    spin(Duration::from_micros(chance.below(60_000)));
    process.kill();
    Heard::default()
}

/// Kills a command that opens, changes and closes; or lets it end, for the next kill to take nothing of it back.
fn kill_a_command(place: &Place, chance: &mut Chance) -> Heard {
    let (arguments, event): (&[&str], _) = match chance.below(4) {
        0 => (&["key", "create"], "CreateKey"),
        1 => (&["audit", "tail"], "LookupEvents"),
        _ => (&["clock", "advance", "8d"], "AdvanceClock"),
    };
    let mut child = keystead(arguments, place).spawn().unwrap();
    if chance.below(3) > 0 {
        spin(Duration::from_micros(chance.below(150_000)));
        let _ended_already = child.kill();
    }
    let done = child.wait().unwrap().success();
    Heard { commands: if done { vec![event] } else { Vec::new() }, ..Heard::default() }
}

/// Kills the server in the midst of what it is asked.
fn kill_under_load(place: &Place, load: &mut Load, chance: &mut Chance) -> Heard {
    let process = Process::spawn(place);
    let address = process.await_ready();
    let (answers, afterthought) = (chance.below(ANSWERS_MAX), chance.below(AFTERTHOUGHT_MICROS_MAX));
    load.put_on(&address, chance, |counted| {
        while counted() < answers {
            std::thread::yield_now();
        }
        spin(Duration::from_micros(afterthought));
        process.kill();
    })
}

/// Passes the time without giving the processor away, so that the moment is meant to the microsecond.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
