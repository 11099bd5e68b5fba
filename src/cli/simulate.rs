//! `keystead simulate`

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use super::{error::CommandError, exit::Exit, explanation, global::Global, output};
use crate::policy::{
    DecisionEffect, SIMULATE_TEXT_BYTES_MAX, SimulateError, Simulation, Simulations, simulate_text,
};

/// Decide a request that is written down, without any keystore
///
/// Example: keystead simulate request.json
///
/// The file holds a request with its principal, action, resource, context and policies, or an array of them; the shape is
/// in docs/simulate.md. Exits 0 when all are allowed, 3 when one is denied, 1 when one is malformed. With `--tests` each
/// request has an `expect`, and what came out otherwise is told: for policy tests of your own.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Simulate {
    /// The request, or an array of them; `-` is standard input
    #[arg(value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "FILE", group = "what")]
    request: Option<PathBuf>,
    /// A directory of such files, each request with an `expect`
    #[arg(long, value_name = "DIR", group = "what")]
    tests: Option<PathBuf>,
}

impl Simulate {
    pub(super) fn run(&self, global: &Global) -> Result<Exit, CommandError> {
        match (self.file.as_ref().or(self.request.as_ref()), &self.tests) {
            (_, Some(directory)) => test(global, directory),
            (Some(file), None) => decide(global, file),
            (None, None) => Err(CommandError::usage("name a request or a directory of tests")),
        }
    }
}

fn decide(global: &Global, file: &Path) -> Result<Exit, CommandError> {
    let simulations =
        simulate_text(&read(file)?).map_err(|error| CommandError::new(Exit::Failed, error).about(file))?;
    if global.json {
        output::json(&simulations)?;
    } else {
        simulations.iter().try_for_each(|result| output::line(&in_words(result)))?;
    }
    if global.explain {
        simulations.iter().flatten().for_each(|simulation| explanation::say_trace(&simulation.trace));
    }
    Ok(exit_of(&simulations))
}

fn exit_of(simulations: &Simulations) -> Exit {
    let denied = |result: &Result<Simulation, SimulateError>| {
        result.as_ref().is_ok_and(|simulation| simulation.decision != DecisionEffect::Allowed)
    };
    if simulations.iter().any(Result::is_err) {
        Exit::Failed
    } else if simulations.iter().any(denied) {
        Exit::AccessDenied
    } else {
        Exit::Done
    }
}

fn in_words(result: &Result<Simulation, SimulateError>) -> String {
    match result {
        Ok(simulation) => match &simulation.message {
            Some(denial) => format!("{}: {denial}", wire(simulation.decision)),
            None => {
                format!("{} {}", wire(simulation.decision), explanation::allowing_layer(&simulation.trace))
            }
        },
        Err(error) => format!("error: {error}"),
    }
}

/// A decision as the public shape spells it.
fn wire(effect: DecisionEffect) -> String {
    output::to_json(&effect).ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

fn test(global: &Global, directory: &Path) -> Result<Exit, CommandError> {
    let unreadable =
        |error| CommandError::new(Exit::Failed, format!("cannot read `{}`: {error}", directory.display()));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    let mut outcomes = Vec::new();
    for file in &files {
        outcomes.extend(test_file(file)?);
    }
    if outcomes.is_empty() {
        return Err(CommandError::new(
            Exit::Failed,
            format!("there is no test in `{}`", directory.display()),
        )
        .hint("a test is a request with a `name` and an `expect` in a file that ends in `.json`"));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    if global.json {
        output::json(&serde_json::json!({"Tests": outcomes, "Failed": failed}))?;
    } else {
        for outcome in &outcomes {
            match &outcome.failure {
                None => output::line(&format!("ok      {}", outcome.name))?,
                Some(failure) => output::line(&format!("FAILED  {}: {failure}", outcome.name))?,
            }
        }
        output::say(&format!("{} passed, {failed} failed", outcomes.len() - failed));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// What one test came to.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct TestOutcome {
    name: String,
    failure: Option<String>,
}

fn test_file(file: &Path) -> Result<Vec<TestOutcome>, CommandError> {
    let text = read(file)?;
    let malformed = |error: &dyn std::fmt::Display| CommandError::new(Exit::Failed, error).about(file);
    let simulations = simulate_text(&text).map_err(|error| malformed(&error))?;
    let cases = match serde_json::from_str(&text).map_err(|error| malformed(&error))? {
        Value::Array(cases) => cases,
        case => vec![case],
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let outcomes = cases.iter().zip(simulations.iter()).enumerate().map(|(number, (case, result))| {
        let name =
            case.get("name").and_then(Value::as_str).map_or_else(|| (number + 1).to_string(), str::to_owned);
        TestOutcome { name: format!("{stem}: {name}"), failure: failure(case, result) }
    });
    Ok(outcomes.collect())
}

/// How a result differs from what its case expects.
fn failure(case: &Value, result: &Result<Simulation, SimulateError>) -> Option<String> {
    let Some(expect) = case.get("expect") else { return Some("it has no `expect`".into()) };
    if expect.get("error").is_some() {
        return result
            .as_ref()
            .ok()
            .map(|simulation| format!("expected an error, got {}", wire(simulation.decision)));
    }
    let simulation = match result {
        Ok(simulation) => simulation,
        Err(error) => return Some(error.to_string()),
    };
    let (decision, deciding) = (wire(simulation.decision), simulation.deciding.as_str());
    let differs = |what: &str, got: &str| {
        let expected = expect.get(what).and_then(Value::as_str);
        expected.filter(|expected| *expected != got).map(|expected| format!("expected {expected}, got {got}"))
    };
    if expect.get("decision").is_none() {
        return Some("its `expect` has no `decision`".into());
    }
    differs("decision", &decision).or_else(|| differs("deciding", deciding))
}

fn read(path: &Path) -> Result<String, CommandError> {
    let unreadable =
        |error| CommandError::new(Exit::Failed, format!("cannot read `{}`: {error}", path.display()));
    let limit = u64::try_from(SIMULATE_TEXT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        fs::File::open(path)
            .and_then(|file| file.take(limit).read_to_string(&mut text))
            .map_err(unreadable)?;
    }
    Ok(text)
}
