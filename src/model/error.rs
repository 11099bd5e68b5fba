//! What goes wrong, by the names AWS gives it.

use std::fmt;

use thiserror::Error;

/// Text that was not what its type requires; the message is one lower-case sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ParseError {
    message: String,
}

impl ParseError {
    /// An error with this message. Quote what the user typed in backticks.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// The error codes that AWS KMS and the simulated services answer, spelt as on the wire.
///
/// Source: the `errors` of each operation in the KMS API reference, and the S3 error code list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The caller may not do this, or (for S3) may not know.
    AccessDenied,
    /// The alias exists already.
    AlreadyExists,
    /// A bucket of that name exists and belongs to somebody else.
    BucketAlreadyExists,
    /// A bucket of that name exists and is the caller's.
    BucketAlreadyOwnedByYou,
    /// The bucket still holds objects.
    BucketNotEmpty,
    /// A change that collides with one under way, or that changes nothing.
    Conflict,
    /// The key is disabled.
    Disabled,
    /// What is to be deleted still holds something, or something still holds it.
    DeleteConflict,
    /// `DryRun` was asked and the call would have succeeded.
    DryRunOperation,
    /// There is an identity, a policy or a provider of that name already.
    EntityAlreadyExists,
    /// A limit of identity management.
    IamLimitExceeded,
    /// A policy of identity management that is not well formed.
    IamMalformedPolicyDocument,
    /// A request to identity management that is not well formed.
    IamValidation,
    /// The ciphertext was made by another key than the one named.
    IncorrectKey,
    /// Nothing is wrong with the request; the keystore itself failed.
    KmsInternal,
    /// The key's state does not admit this operation.
    KmsInvalidState,
    /// An alias name that is not well formed or is reserved.
    InvalidAliasName,
    /// An ARN that is not well formed or does not name what is needed.
    InvalidArn,
    /// The MFA codes are not two consecutive ones of this device.
    InvalidAuthenticationCode,
    /// The ciphertext is damaged, is not one of ours, or its encryption context differs.
    InvalidCiphertext,
    /// The session has ended, or the token of an identity provider has.
    ExpiredToken,
    /// The identity provider's token is not to be believed.
    InvalidIdentityToken,
    /// The identity provider's token does not say what it must.
    IdpRejectedClaim,
    /// The credentials name nobody.
    InvalidClientTokenId,
    /// A parameter of identity management that is not what it should be.
    InvalidInput,
    /// The key cannot be used for this (spec, usage or algorithm).
    InvalidKeyUsage,
    /// A grant token of no living grant.
    InvalidGrantToken,
    /// A pagination marker that was not one of ours.
    InvalidMarker,
    /// A limit of the service.
    LimitExceeded,
    /// A certificate request that is not well formed or not signed with its own key.
    MalformedCsr,
    /// A policy that is not well formed, or would lock everybody out.
    MalformedPolicyDocument,
    /// No such bucket.
    NoSuchBucket,
    /// No such user, role, group, policy, access key, device or provider.
    NoSuchEntity,
    /// No such object.
    NoSuchKey,
    /// No such key or alias.
    NotFound,
    /// The policy cannot be attached.
    PolicyNotAttachable,
    /// What was asked for was done before (AWS Private CA).
    RequestAlreadyProcessed,
    /// No such certificate authority or certificate (AWS Private CA).
    ResourceNotFound,
    /// A tag that is not well formed or is reserved.
    Tag,
    /// The operation exists at AWS and not here, or not for this kind of key.
    UnsupportedOperation,
    /// No such account in the organization.
    AccountNotFound,
    /// The account is in an organization already.
    AlreadyInOrganization,
    /// No such account or unit in the organization.
    ChildNotFound,
    /// A limit of an organization.
    ConstraintViolation,
    /// No such root or unit to move to.
    DestinationParentNotFound,
    /// The account is there already.
    DuplicateAccount,
    /// A unit of that name stands there already.
    DuplicateOrganizationalUnit,
    /// A control policy of that name exists already.
    DuplicatePolicy,
    /// The control policy hangs there already.
    DuplicatePolicyAttachment,
    /// The management account cannot leave its organization.
    MasterCannotLeaveOrganization,
    /// The organization still holds accounts or units.
    OrganizationNotEmpty,
    /// The unit still holds accounts or units.
    OrganizationalUnitNotEmpty,
    /// No such organizational unit.
    OrganizationalUnitNotFound,
    /// A parameter of AWS Organizations that is not what it should be.
    OrganizationsInvalidInput,
    /// There is no organization.
    OrganizationsNotInUse,
    /// No such root or unit.
    ParentNotFound,
    /// The control policy still hangs on something.
    PolicyInUse,
    /// The control policy does not hang there.
    PolicyNotAttached,
    /// No such control policy.
    PolicyNotFound,
    /// This kind of control policy is in force already.
    PolicyTypeAlreadyEnabled,
    /// This kind of control policy is not in force.
    PolicyTypeNotEnabled,
    /// No such root.
    RootNotFound,
    /// The account is not where it was said to be.
    SourceParentNotFound,
    /// No such root, unit or account for a control policy.
    TargetNotFound,
    /// Parameters of EC2 that do not go together.
    Ec2InvalidParameter,
    /// A VPC endpoint's policy that is not well formed.
    Ec2InvalidPolicyDocument,
    /// No such service for a VPC endpoint.
    InvalidServiceName,
    /// A VPC has as many endpoints as it can have.
    VpcEndpointLimitExceeded,
    /// No such VPC endpoint.
    VpcEndpointNotFound,
    /// The request is not well formed.
    Validation,
}

impl ErrorCode {
    /// The code as it stands in `__type` on the wire and in `errorCode` of the audit record's source.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::AlreadyExists => "AlreadyExistsException",
            Self::BucketAlreadyExists => "BucketAlreadyExists",
            Self::BucketAlreadyOwnedByYou => "BucketAlreadyOwnedByYou",
            Self::BucketNotEmpty => "BucketNotEmpty",
            Self::Conflict => "ConflictException",
            Self::Disabled => "DisabledException",
            Self::DeleteConflict => "DeleteConflict",
            Self::DryRunOperation => "DryRunOperationException",
            Self::EntityAlreadyExists => "EntityAlreadyExists",
            Self::IamLimitExceeded => "LimitExceeded",
            Self::IamMalformedPolicyDocument => "MalformedPolicyDocument",
            Self::IamValidation => "ValidationError",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::InvalidIdentityToken => "InvalidIdentityToken",
            Self::IdpRejectedClaim => "IDPRejectedClaim",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::KmsInternal => "KMSInternalException",
            Self::KmsInvalidState => "KMSInvalidStateException",
            Self::InvalidAliasName => "InvalidAliasNameException",
            Self::InvalidArn => "InvalidArnException",
            Self::InvalidAuthenticationCode => "InvalidAuthenticationCode",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::InvalidInput => "InvalidInput",
            Self::InvalidKeyUsage => "InvalidKeyUsageException",
            Self::InvalidGrantToken => "InvalidGrantTokenException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MalformedCsr => "MalformedCSRException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::NoSuchBucket => "NoSuchBucket",
            Self::NoSuchEntity => "NoSuchEntity",
            Self::NoSuchKey => "NoSuchKey",
            Self::NotFound => "NotFoundException",
            Self::PolicyNotAttachable => "PolicyNotAttachable",
            Self::RequestAlreadyProcessed => "RequestAlreadyProcessedException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Tag => "TagException",
            Self::UnsupportedOperation => "UnsupportedOperationException",
            Self::AccountNotFound => "AccountNotFoundException",
            Self::AlreadyInOrganization => "AlreadyInOrganizationException",
            Self::ChildNotFound => "ChildNotFoundException",
            Self::ConstraintViolation => "ConstraintViolationException",
            Self::DestinationParentNotFound => "DestinationParentNotFoundException",
            Self::DuplicateAccount => "DuplicateAccountException",
            Self::DuplicateOrganizationalUnit => "DuplicateOrganizationalUnitException",
            Self::DuplicatePolicy => "DuplicatePolicyException",
            Self::DuplicatePolicyAttachment => "DuplicatePolicyAttachmentException",
            Self::MasterCannotLeaveOrganization => "MasterCannotLeaveOrganizationException",
            Self::OrganizationNotEmpty => "OrganizationNotEmptyException",
            Self::OrganizationalUnitNotEmpty => "OrganizationalUnitNotEmptyException",
            Self::OrganizationalUnitNotFound => "OrganizationalUnitNotFoundException",
            Self::OrganizationsInvalidInput => "InvalidInputException",
            Self::OrganizationsNotInUse => "AWSOrganizationsNotInUseException",
            Self::ParentNotFound => "ParentNotFoundException",
            Self::PolicyInUse => "PolicyInUseException",
            Self::PolicyNotAttached => "PolicyNotAttachedException",
            Self::PolicyNotFound => "PolicyNotFoundException",
            Self::PolicyTypeAlreadyEnabled => "PolicyTypeAlreadyEnabledException",
            Self::PolicyTypeNotEnabled => "PolicyTypeNotEnabledException",
            Self::RootNotFound => "RootNotFoundException",
            Self::SourceParentNotFound => "SourceParentNotFoundException",
            Self::TargetNotFound => "TargetNotFoundException",
            Self::Ec2InvalidParameter => "InvalidParameterCombination",
            Self::Ec2InvalidPolicyDocument => "InvalidPolicyDocument",
            Self::InvalidServiceName => "InvalidServiceName",
            Self::VpcEndpointLimitExceeded => "VpcEndpointLimitExceeded",
            Self::VpcEndpointNotFound => "InvalidVpcEndpointId.NotFound",
            Self::Validation => "ValidationException",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
