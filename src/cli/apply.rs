//! `keystead apply`

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    error::CommandError,
    exit::Exit,
    global::Global,
    output,
    query::{print_json_and_made, tell_made},
};
use crate::{
    lab::seed::{Plan, Seed, Step, StepKind},
    services::query::Reply,
};

/// The longest file that describes a world.
const SEED_BYTES_MAX: u64 = 4 << 20;

/// Make the keystore as a file describes it
///
/// Example: keystead apply keystore/lab.toml --dry-run
///
/// What is there already stays or is changed to fit; what the file does not name stays as it is. To apply a file twice
/// changes nothing.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// People, roles, buckets, keys and policies
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let seed = read_seed(&self.file)?;
        let (keystore, caller) = global.session()?;
        let plan = seed.plan(&keystore).map_err(|error| CommandError::from(error).about(&self.file))?;
        let (mut made, mut applied) = (Vec::new(), Ok(0));
        if !self.dry_run {
            applied = plan.apply(&keystore, &caller, &mut made);
        }
        if let Err(error) = applied {
            // What was made before stays, and its secrets are told now or never.
            tell_made(&mut std::io::stdout().lock(), &made)?;
            return Err(CommandError::from(error).about(&self.file));
        }
        self.tell(global, &plan, &made)
    }

    fn tell(&self, global: &Global, plan: &Plan, made: &[Reply]) -> Result<(), CommandError> {
        if global.json {
            let step = |step: &Step| json!({"Does": name(step.kind()), "What": step.what(), "Account": step.account()});
            let steps: Vec<Value> = plan.steps().iter().map(step).collect();
            return print_json_and_made(json!({"Steps": steps, "Applied": !self.dry_run}), made);
        }
        for step in plan.steps().iter().filter(|step| self.dry_run || step.kind() != StepKind::Unchanged) {
            output::line(&step.to_string())?;
        }
        tell_made(&mut std::io::stdout().lock(), made)?;
        if plan.changes_nothing() {
            output::say("the keystore is already as the file describes it");
        }
        Ok(())
    }
}

fn name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Create => "create",
        StepKind::Update => "update",
        StepKind::Unchanged => "unchanged",
        StepKind::CannotChange => "cannot change",
    }
}

/// Reads a seed from its file.
pub(super) fn read_seed(path: &Path) -> Result<Seed, CommandError> {
    let unreadable =
        |error| CommandError::new(Exit::Failed, format!("cannot read `{}`: {error}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(SEED_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SEED_BYTES_MAX {
        return Err(CommandError::usage(format!(
            "`{}` is longer than {SEED_BYTES_MAX} bytes",
            path.display()
        )));
    }
    Seed::parse(&text).map_err(|error| CommandError::from(error).about(path))
}
