//! KMS over JSON 1.1: what `X-Amz-Target: TrentService.…` asks, by way of the operations that everything else calls too.
//!
//! Source: the KMS service model, of which `model` holds the constraints, and the KMS API reference. A request is read
//! (`json`), checked against the model (`model`), turned into an operation (`operations`) and handed to the door.

mod model;
mod operations;
mod pages;
mod parameters;
mod support;

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

pub use support::{Support, support_markdown, support_table};

use self::{model::service_model, operations::Begun, parameters::Parameters};
use super::{error::WireError, json::Input};
use crate::{keystore::Keystore, kms::Caller};

/// What stands before the operation in the header `X-Amz-Target`.
#[must_use]
pub fn target_prefix() -> &'static str {
    &service_model().target_prefix
}

/// An answer that is under way: a body, or the error.
pub type Pending = Pin<Box<dyn Future<Output = Result<Bytes, WireError>> + Send>>;

/// Begins a call. It has been decided and has its place in the order when this returns, unless the audit log is to answer
/// it; the answer comes when its record is durable.
///
/// # Errors
///
/// What the request lacks, before it was a call.
pub fn begin(
    keystore: &Arc<Keystore>,
    caller: &Caller,
    operation: &str,
    body: &[u8],
) -> Result<Pending, WireError> {
    if !service_model().has(operation) {
        return Err(WireError { status: 400, code: "UnknownOperationException".into(), message: None });
    }
    let input = Input::parse(body)?;
    let parameters = Parameters::checked(operation, &input)?;
    let options = parameters.options(operation)?;
    let begun = Begun { keystore, caller, parameters, options, operation };
    operations::begin(&begun).unwrap_or_else(|| {
        Err(WireError::unsupported(format!("The operation {operation} is not supported by keystead.")))
    })
}

/// Checks what a request says, without making the call: its JSON, and the constraints of the service model.
///
/// # Errors
///
/// What [`begin`] would answer.
pub fn check(operation: &str, body: &[u8]) -> Result<(), WireError> {
    let input = Input::parse(body)?;
    let parameters = Parameters::checked(operation, &input)?;
    parameters.options(operation).map(drop)
}

/// The operation's own name for metrics: one that the model knows, or none.
#[must_use]
pub fn known(operation: &str) -> Option<&'static str> {
    service_model().name(operation)
}
