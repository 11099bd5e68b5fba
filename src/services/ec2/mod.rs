//! VPC endpoints by way of the door, in EC2's words: what a call can come through on its way to KMS.
//!
//! Source: EC2 API reference, CreateVpcEndpoint and its neighbours; "Actions, resources, and condition keys for Amazon EC2"
//! (Service Authorization Reference). There are no networks here: a caller says through which endpoint it comes
//! ([`Caller::through_vpc_endpoint`](crate::kms::Caller::through_vpc_endpoint)), and from then on the endpoint's policy and
//! the condition keys that tell of it are in force.

mod endpoints;
#[cfg(test)]
mod tests;

pub use endpoints::*;

use super::query::OperationEntry;

/// All operations.
pub const OPERATIONS: &[OperationEntry] = &[
    OperationEntry::of::<CreateVpcEndpoint>(),
    OperationEntry::of::<ModifyVpcEndpoint>(),
    OperationEntry::of::<DescribeVpcEndpoints>(),
    OperationEntry::of::<DeleteVpcEndpoints>(),
];
