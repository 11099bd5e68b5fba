//! A progress bar on standard error, when that is a terminal and the work takes more than a second.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::artifact::Progress;

/// Work that is done sooner shows nothing.
const QUIET_FIRST: Duration = Duration::from_secs(1);

/// Shows how far a transfer has come.
pub(super) struct Meter {
    began: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), terminal: std::io::stderr().is_terminal(), bar: None }
    }

    /// Takes note of progress.
    pub(super) fn update(&mut self, progress: Progress) {
        if !self.terminal || (self.bar.is_none() && self.began.elapsed() < QUIET_FIRST) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(progress.total_bytes));
        bar.set_position(progress.done_bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {bytes_per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
