//! `keystead ec2 …`: VPC endpoints, in the `aws ec2` command's words.

use super::{
    error::CommandError,
    global::Global,
    query::{Chosen, table_command},
};
use crate::services::ec2::OPERATIONS;

/// One operation with its parameters.
#[derive(Debug)]
pub(super) struct Ec2(Chosen);

table_command!(
    Ec2,
    OPERATIONS,
    "Manage the VPC endpoints that calls come through, in the `aws ec2` command's words"
);

impl Ec2 {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        self.0.run(global)
    }
}
