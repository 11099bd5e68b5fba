//! `keystead iam …`: every operation of identity management, in the `aws iam` command's words.

use super::{
    error::CommandError,
    global::Global,
    query::{Chosen, table_command},
};
use crate::services::iam::OPERATIONS;

/// One operation with its parameters.
#[derive(Debug)]
pub(super) struct Iam(Chosen);

table_command!(
    Iam,
    OPERATIONS,
    "Manage users, groups, roles, policies and credentials, in the `aws iam` command's words"
);

impl Iam {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        self.0.run(global)
    }
}
