//! The demo: a keystore on disk, keys of all tiers, a model sealed and opened, and everybody who must be refused refused.
//!
//! Each step is a value with what it should come to, and is really made. A step that comes out otherwise is marked, and
//! the whole demo has failed.

mod outcome;
mod print;
mod stage;
mod steps;
pub(in crate::lab) mod style;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use thiserror::Error;

use self::{outcome::Outcome, stage::Stage, steps::STEPS};
use super::seed::{LAB, SeedError};
use crate::keystore::KeystoreError;

/// The model that the demo seals when it is given no file. See `examples/model/README.md`.
pub const MODEL: &[u8] = include_bytes!("../../../examples/model/tiny-mlp.safetensors");
/// Its name.
pub const MODEL_NAME: &str = "tiny-mlp.safetensors";

/// What the demo came to.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its steps, in order.
    pub steps: Vec<StepResult>,
    /// How long it took.
    pub took: Duration,
}

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepResult {
    /// The step.
    pub step: &'static str,
    /// What it should come to.
    pub expected: String,
    /// What it came to.
    pub happened: String,
    /// Whether that is the same.
    pub as_expected: bool,
}

impl Summary {
    /// Whether every step came out as it should.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.as_expected)
    }
}

/// Why the demo could not be given at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no place for a temporary keystore, or nothing can be printed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The temporary keystore cannot be made.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The seed of the temporary keystore cannot be read.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// Gives the demo with `file`, or with the shipped model, in a temporary keystore that is gone afterwards. What is
/// printed holds colours: hand in a stream that takes them away where they are not wanted.
///
/// # Errors
///
/// [`DemoError`] when it could not be given. A step that came out wrong is no error: see [`Summary::passed`].
pub fn run(file: Option<&Path>, out: &mut dyn Write) -> Result<Summary, DemoError> {
    run_with_seed(file, LAB, out)
}

/// The same in a world of one's own, which must have what the lab has for the steps to come out.
///
/// # Errors
///
/// As [`run`].
pub fn run_with_seed(file: Option<&Path>, seed: &str, out: &mut dyn Write) -> Result<Summary, DemoError> {
    let began = Instant::now();
    let mut stage = Stage::set_up(file, seed)?;
    print::welcome(out, &stage)?;
    let mut results = Vec::new();
    for (index, step) in STEPS.iter().enumerate() {
        print::announce(out, index + 1, step, stage.name())?;
        let mut shown = Vec::new();
        let outcome = (step.act)(&mut stage, &mut shown).unwrap_or_else(Outcome::Refused);
        let result = StepResult {
            step: step.title,
            expected: step.expected.to_string(),
            happened: outcome.in_short(),
            as_expected: step.expected.is_met_by(&outcome),
        };
        print::outcome(out, &shown, &outcome, &result)?;
        results.push(result);
    }
    let summary = Summary { steps: results, took: began.elapsed() };
    print::summary(out, &summary)?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> String {
        String::from_utf8(anstream::adapter::strip_bytes(bytes).into_vec()).unwrap()
    }

    #[test]
    fn every_step_comes_out_as_it_should_with_the_shipped_model() {
        let mut out = Vec::new();
        let summary = run(None, &mut out).unwrap();
        let text = plain(&out);
        assert!(summary.passed(), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("is not authorized to perform: kms:Decrypt"), "{text}");
        assert!(summary.took < Duration::from_secs(10), "{:?}", summary.took);
    }

    #[test]
    fn every_step_comes_out_with_a_file_of_ones_own_which_stays_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a model.bin");
        std::fs::write(&file, vec![7; 300_000]).unwrap();
        let mut out = Vec::new();
        assert!(run(Some(&file), &mut out).unwrap().passed(), "{}", plain(&out));
        assert_eq!(std::fs::read(&file).unwrap(), vec![7; 300_000]);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_step_that_comes_out_otherwise_is_marked_and_the_demo_has_failed() {
        let bob = "[users.bob.policies.read-the-bucket]\nallow = [";
        assert!(LAB.contains(bob));
        let careless =
            LAB.replace(bob, &format!("[users.bob.policies.careless]\nallow = \"kms:*\"\n\n{bob}"));
        let mut out = Vec::new();
        let summary = run_with_seed(None, &careless, &mut out).unwrap();
        let wrong: Vec<&str> =
            summary.steps.iter().filter(|step| !step.as_expected).map(|step| step.step).collect();
        assert_eq!(
            wrong,
            ["Bob has the sealed file and not the key", "Bob may read the bucket and not the key"]
        );
        assert!(!summary.passed());
        assert!(plain(&out).contains("✗ wrong"), "{}", plain(&out));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_before_anything_begins() {
        let mut out = Vec::new();
        let place = tempfile::tempdir().unwrap();
        for path in [place.path().join("missing"), place.path().to_path_buf()] {
            assert!(matches!(run(Some(&path), &mut out), Err(DemoError::File { .. })));
        }
        assert!(out.is_empty());
        assert!(matches!(run_with_seed(None, "nonsense", &mut out), Err(DemoError::Seed(_))));
    }
}
