//! `keystead key`: one file per group of commands.

mod create;
mod last_usage;
mod policy;
mod rotation;
mod show;
mod state;
mod tag;

use clap::{Args, Subcommand};

use super::{error::CommandError, global::Global};
use crate::model::KeyRef;

/// Make, look at and manage KMS keys
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    Create(create::Create),
    List(show::List),
    Show(show::Show),
    Enable(state::Enable),
    Disable(state::Disable),
    Rotate(rotation::Rotate),
    Rotations(rotation::Rotations),
    EnableRotation(rotation::EnableRotation),
    DisableRotation(rotation::DisableRotation),
    LastUsage(last_usage::LastUsage),
    ScheduleDeletion(state::ScheduleDeletion),
    CancelDeletion(state::CancelDeletion),
    UpdateDescription(state::UpdateDescription),
    #[command(subcommand)]
    Policy(policy::Policy),
    Tag(tag::Tag),
    Untag(tag::Untag),
}

/// The key that a command is about.
#[derive(Debug, Args)]
struct KeyArg {
    /// The key: id, ARN, alias name or alias ARN
    #[arg(value_name = "KEY")]
    key: KeyRef,
}

impl Key {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Create(command) => command.run(global),
            Self::List(command) => command.run(global),
            Self::Show(command) => command.run(global),
            Self::Enable(command) => command.run(global),
            Self::Disable(command) => command.run(global),
            Self::Rotate(command) => command.run(global),
            Self::Rotations(command) => command.run(global),
            Self::EnableRotation(command) => command.run(global),
            Self::DisableRotation(command) => command.run(global),
            Self::LastUsage(command) => command.run(global),
            Self::ScheduleDeletion(command) => command.run(global),
            Self::CancelDeletion(command) => command.run(global),
            Self::UpdateDescription(command) => command.run(global),
            Self::Policy(command) => command.run(global),
            Self::Tag(command) => command.run(global),
            Self::Untag(command) => command.run(global),
        }
    }
}
