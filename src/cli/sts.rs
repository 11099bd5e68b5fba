//! `keystead sts …`: every operation of the token service, in the `aws sts` command's words.
//!
//! What it hands out is used with `--as ASIA…`, or by an AWS client with its three credentials.

use super::{
    error::CommandError,
    global::Global,
    query::{Chosen, table_command},
};
use crate::{kms::Caller, model::PrincipalArn, services::sts::OPERATIONS};

/// One operation with its parameters.
#[derive(Debug)]
pub(super) struct Sts(Chosen);

table_command!(
    Sts,
    OPERATIONS,
    "Take on roles and get temporary credentials, in the `aws sts` command's words"
);

impl Sts {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        if self.0.name() != "AssumeRoleWithWebIdentity" {
            return self.0.run(global);
        }
        // Its caller has an identity provider's token and nothing else.
        let role: PrincipalArn = self.0.text("RoleArn").unwrap_or_default().parse()?;
        let (keystore, _) = global.session()?;
        self.0.call(&keystore, &Caller::web_identity(role.account().clone()))
    }
}
