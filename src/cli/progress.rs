//! How far a command has come, once it takes more than a second: bars on standard error when that is a terminal, events
//! there when `--json` is given, and else nothing.
//!
//! An event is one line of JSON, at most one each second; `docs/folders.md` has its shape. Ctrl-C asks the work on a folder
//! to stop where it leaves nothing half done; a second Ctrl-C ends the process at once.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IsTerminal},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::{error::CommandError, global::Global, output};
use crate::artifact::{
    Progress,
    folder::{FolderEvent, Watch},
};

/// Work that is done sooner shows nothing; so does a file that is.
const QUIET_FIRST: Duration = Duration::from_secs(1);
/// The time between two events.
const BETWEEN_EVENTS: Duration = Duration::from_secs(1);
/// The longest path beside a bar.
const PATH_CHARACTERS_MAX: usize = 20;

/// Shows how far the work has come.
pub(super) struct Meter {
    state: Mutex<State>,
    stop: Arc<AtomicBool>,
}

/// In what form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bars,
    Events,
    Nothing,
}

struct State {
    form: Form,
    began: Instant,
    last_event: Option<Instant>,
    files: usize,
    files_total: usize,
    bytes: u64,
    bytes_total: Option<u64>,
    active: BTreeMap<usize, Active>,
    bars: Option<(MultiProgress, ProgressBar)>,
}

/// A file that is being worked on.
struct Active {
    path: String,
    began: Instant,
    bytes: u64,
    bytes_total: Option<u64>,
    bar: Option<ProgressBar>,
}

/// What `--json` says of the work under way.
#[derive(Serialize)]
struct Event<'state> {
    event: &'static str,
    files: usize,
    files_total: usize,
    bytes: u64,
    bytes_total: Option<u64>,
    bytes_per_second: u64,
    seconds_left: Option<u64>,
    active: Vec<ActiveFile<'state>>,
}

#[derive(Serialize)]
struct ActiveFile<'state> {
    path: &'state str,
    bytes: u64,
    bytes_total: Option<u64>,
}

impl Meter {
    /// A meter for whatever comes.
    pub(super) fn new(global: &Global) -> Self {
        let form = match (global.json, io::stderr().is_terminal()) {
            (true, _) => Form::Events,
            (false, true) => Form::Bars,
            (false, false) => Form::Nothing,
        };
        Self { state: Mutex::new(State::new(form, Instant::now())), stop: Arc::default() }
    }

    /// A meter for the work on a folder, which Ctrl-C stops.
    pub(super) fn of_folder(global: &Global) -> Result<Self, CommandError> {
        let meter = Self::new(global);
        for signal in [SIGINT, SIGTERM] {
            // The second time the flag is set already, and the process ends as it would have the first time.
            flag::register_conditional_default(signal, Arc::clone(&meter.stop))?;
            flag::register(signal, Arc::clone(&meter.stop))?;
        }
        Ok(meter)
    }

    /// Takes note of how far the work on the one file at `path` has come.
    pub(super) fn update(&self, path: &Path, progress: Progress) {
        let mut state = self.state();
        if state.active.is_empty() {
            state.plan(1, progress.total_bytes);
            state.begin(0, path.display().to_string(), progress.total_bytes, Instant::now());
        }
        let more = progress.done_bytes.saturating_sub(state.bytes);
        state.advance(0, more, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Meter {
    fn hear(&self, event: FolderEvent<'_>) {
        let mut state = self.state();
        match event {
            FolderEvent::Planned { files, bytes } => state.plan(files, Some(bytes)),
            FolderEvent::Began { file, path, bytes } => {
                state.begin(file, path.to_string(), Some(bytes), Instant::now());
            }
            FolderEvent::Advanced { file, bytes } => state.advance(file, bytes, Instant::now()),
            FolderEvent::Ended { file } => state.end(file),
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl State {
    fn new(form: Form, began: Instant) -> Self {
        Self {
            form,
            began,
            last_event: None,
            files: 0,
            files_total: 0,
            bytes: 0,
            bytes_total: None,
            active: BTreeMap::new(),
            bars: None,
        }
    }

    fn plan(&mut self, files: usize, bytes: Option<u64>) {
        (self.files_total, self.bytes_total) = (files, bytes);
    }

    fn begin(&mut self, file: usize, path: String, bytes_total: Option<u64>, now: Instant) {
        self.active.insert(file, Active { path, began: now, bytes: 0, bytes_total, bar: None });
    }

    fn end(&mut self, file: usize) {
        self.files += 1;
        if let Some(bar) = self.active.remove(&file).and_then(|active| active.bar) {
            bar.finish_and_clear();
        }
    }

    fn advance(&mut self, file: usize, bytes: u64, now: Instant) {
        self.bytes += bytes;
        if let Some(active) = self.active.get_mut(&file) {
            active.bytes += bytes;
        }
        if now.duration_since(self.began) < QUIET_FIRST {
            return;
        }
        match self.form {
            Form::Nothing => {}
            Form::Bars => self.draw(now),
            Form::Events => {
                if self.last_event.is_none_or(|last| now.duration_since(last) >= BETWEEN_EVENTS) {
                    self.last_event = Some(now);
                    if let Ok(line) = serde_json::to_string(&self.event(now)) {
                        output::say(&line);
                    }
                }
            }
        }
    }

    fn event(&self, now: Instant) -> Event<'_> {
        let millis = u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(1000) / millis;
        let left = self.bytes_total.map(|total| total.saturating_sub(self.bytes));
        let active = self.active.values().map(|active| ActiveFile {
            path: &active.path,
            bytes: active.bytes,
            bytes_total: active.bytes_total,
        });
        Event {
            event: "progress",
            files: self.files,
            files_total: self.files_total,
            bytes: self.bytes,
            bytes_total: self.bytes_total,
            bytes_per_second: rate,
            seconds_left: left.and_then(|left| left.checked_div(rate)),
            active: active.collect(),
        }
    }

    fn draw(&mut self, now: Instant) {
        let (several, total, began) = (self.files_total > 1, self.bytes_total, self.began);
        let (bars, all) = self.bars.get_or_insert_with(|| {
            let bars = MultiProgress::new();
            let all = bars.add(bar(total, began));
            (bars, all)
        });
        all.set_position(self.bytes);
        if !several {
            return;
        }
        all.set_message(format!("{} of {} files", self.files, self.files_total));
        for active in
            self.active.values_mut().filter(|active| now.duration_since(active.began) >= QUIET_FIRST)
        {
            let shown = active.bar.get_or_insert_with(|| {
                let shown = bars.add(bar(active.bytes_total, active.began));
                shown.set_message(shortened(&active.path));
                shown
            });
            shown.set_position(active.bytes);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let Some((bars, all)) = &self.bars else { return };
        let files = self.active.values().filter_map(|active| active.bar.as_ref());
        files.chain([all]).for_each(ProgressBar::finish_and_clear);
        // Lines of bars that ended before are not cleared by those.
        let _left_on_the_screen = bars.clear();
    }
}

/// The end of a path, which tells more than its beginning.
fn shortened(path: &str) -> String {
    let path = output::printable(path);
    let count = path.chars().count();
    match count.checked_sub(PATH_CHARACTERS_MAX) {
        None | Some(0) => path.into_owned(),
        Some(more) => format!("…{}", path.chars().skip(more + 1).collect::<String>()),
    }
}

/// A bar for work that began then: its rate is that of all the work, as in the events.
fn bar(total: Option<u64>, began: Instant) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:10} {amount}  {rate}  {left} left  {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {rate}  {msg}"),
    };
    let rate = move |state: &ProgressState| {
        let millis = began.elapsed().as_millis().max(1);
        u64::try_from(u128::from(state.pos()) * 1000 / millis).unwrap_or(u64::MAX)
    };
    // A line that cannot be written is not seen.
    let style = ProgressStyle::with_template(template).map(|style| {
        style
            .with_key("amount", |state: &ProgressState, line: &mut dyn fmt::Write| {
                let _unseen = line.write_str(&amount(state.pos(), state.len().unwrap_or_default()));
            })
            .with_key("rate", move |state: &ProgressState, line: &mut dyn fmt::Write| {
                let _unseen = write!(line, "{}/s", output::bytes(rate(state)));
            })
            .with_key("left", move |state: &ProgressState, line: &mut dyn fmt::Write| {
                let left = state.len().unwrap_or_default().saturating_sub(state.pos());
                let _unseen = match left.checked_div(rate(state)) {
                    Some(seconds) => write!(line, "{:#}", HumanDuration(Duration::from_secs(seconds))),
                    None => line.write_str("?"),
                };
            })
    });
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// How much of how much, in one unit.
fn amount(done: u64, total: u64) -> String {
    let whole = output::bytes(total);
    let unit = whole.rsplit(' ').next().unwrap_or_default();
    let size = match unit {
        "KiB" => 1_u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "PiB" => 1 << 50,
        "EiB" => 1 << 60,
        _ => return format!("{done} of {whole}"),
    };
    let hundredths = u128::from(done) * 100 / u128::from(size);
    format!("{}.{:02} of {whole}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_bytes_rate_and_time_left_for_each_file_and_for_all() {
        let began = Instant::now();
        let mut state = State::new(Form::Nothing, began);
        state.plan(3, Some(1000));
        state.begin(0, "a".into(), Some(100), began);
        state.begin(1, "b/c".into(), Some(900), began);
        state.advance(0, 100, began);
        state.end(0);
        state.advance(1, 300, began + Duration::from_secs(2));
        let event = serde_json::to_value(state.event(began + Duration::from_secs(2))).unwrap();
        let expected = serde_json::json!({
            "event": "progress", "files": 1, "files_total": 3, "bytes": 400, "bytes_total": 1000,
            "bytes_per_second": 200, "seconds_left": 3,
            "active": [{"path": "b/c", "bytes": 300, "bytes_total": 900}],
        });
        assert_eq!(event, expected);
        let unknown = State::new(Form::Nothing, began).event(began).seconds_left;
        assert_eq!(unknown, None);
    }

    #[test]
    fn an_amount_is_told_in_the_unit_of_the_whole() {
        assert_eq!(amount(0, 500), "0 of 500 B");
        assert_eq!(amount(100 << 20, 10 << 30), "0.09 of 10.00 GiB");
        assert_eq!(amount(1 << 20, 1 << 20), "1.00 of 1.00 MiB");
        assert_eq!(amount(u64::MAX, u64::MAX), "15.99 of 16.00 EiB");
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(shortened("a/b"), "a/b");
        let long = shortened(&format!("{}/the-end", "x".repeat(100)));
        assert!(long.starts_with('…') && long.ends_with("/the-end"), "{long}");
        assert_eq!(long.chars().count(), PATH_CHARACTERS_MAX);
    }
}
