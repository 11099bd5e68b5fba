//! `keystead organizations …`: every operation of AWS Organizations, in the `aws organizations` command's words.

use super::{
    error::CommandError,
    global::Global,
    query::{Chosen, table_command},
};
use crate::services::organizations::OPERATIONS;

/// One operation with its parameters.
#[derive(Debug)]
pub(super) struct Organizations(Chosen);

table_command!(
    Organizations,
    OPERATIONS,
    "Manage accounts, organizational units and control policies, in the `aws organizations` command's words"
);

impl Organizations {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        self.0.run(global)
    }
}
