//! What a caller may say with a call beside its parameters: grant tokens, and that nothing shall happen.
//!
//! Source: KMS API reference, `GrantTokens` and `DryRun`. A grant works here from the moment at which it is made, so that a
//! token adds nothing to it. But a token that names no living grant fails the call, as at AWS: a retired grant's token is
//! dead at once. An operation is a pure function, and so a dry run is one whose outcome is thrown away.

use super::{CallError, operation_table::OperationRow};
use crate::{
    model::{ErrorCode, GrantToken},
    world::World,
};

/// The most grant tokens of one call (KMS API, `GrantTokenList`).
pub const GRANT_TOKENS_MAX: usize = 10;

/// What a caller says with a call beside its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Tokens of grants that may not be known everywhere yet, at most [`GRANT_TOKENS_MAX`].
    pub grant_tokens: Vec<GrantToken>,
    /// Whether to say only whether the call would succeed: `DryRunOperationException` means that it would.
    pub dry_run: bool,
}

impl CallOptions {
    /// Refuses what the operation does not take, and tokens of no living grant.
    pub(super) fn check(
        &self,
        world: &World,
        name: &str,
        row: Option<&OperationRow>,
    ) -> Result<(), CallError> {
        if self.dry_run && !row.is_some_and(|row| row.dry_run) {
            return Err(CallError::validation(format!("{name} does not take DryRun")));
        }
        if self.grant_tokens.is_empty() {
            return Ok(());
        }
        if !row.is_some_and(|row| row.grant_tokens) {
            return Err(CallError::validation(format!("{name} does not take GrantTokens")));
        }
        if self.grant_tokens.len() > GRANT_TOKENS_MAX {
            return Err(CallError::validation(format!(
                "1 validation error detected: Value at 'grantTokens' failed to satisfy constraint: Member must have \
                 length less than or equal to {GRANT_TOKENS_MAX}"
            )));
        }
        let living = |token| world.grant_of_token(token).is_some();
        if self.grant_tokens.iter().all(living) { Ok(()) } else { Err(invalid_grant_token()) }
    }

    /// What a dry run answers when the call would have succeeded.
    pub(super) fn would_succeed() -> CallError {
        let message = "The request would have succeeded, but the DryRun option is set.";
        CallError::new(ErrorCode::DryRunOperation, message)
    }
}

/// The answer to a token of no living grant.
pub(super) fn invalid_grant_token() -> CallError {
    CallError::new(ErrorCode::InvalidGrantToken, "The grant token is not valid.")
        .explained("the token names no living grant: it was mistyped, or the grant is retired or revoked")
}
