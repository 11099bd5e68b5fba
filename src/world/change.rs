//! Changes to the world: each becomes a change of the value in memory and of rows in storage.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    Account, Alias, Authority, Bucket, BucketName, Certificate, Grant, IdentityChange, Key, Object,
    ObjectKey, OrganizationChange, Row, RowId, Settings, VpcEndpoint,
};
use crate::model::{AccountId, AliasName, GrantId, KeyArn, VpcEndpointId};

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// An account is made beside the keystore's own.
    PutAccount(Account),
    /// A key is made or changed.
    PutKey(Box<Key>),
    /// A key is gone, with everything that names it; its materials must be erased.
    EraseKey(KeyArn),
    /// An alias is made or points elsewhere.
    PutAlias(Alias),
    /// An alias is gone.
    DeleteAlias(AccountId, AliasName),
    /// A grant is made or has one more token.
    PutGrant(Box<Grant>),
    /// A grant is gone, and its tokens with it.
    DeleteGrant(KeyArn, GrantId),
    /// What identity management holds changes.
    Identity(IdentityChange),
    /// A bucket is made.
    PutBucket(Bucket),
    /// A bucket is gone.
    DeleteBucket(BucketName),
    /// An object is put.
    PutObject(Box<Object>),
    /// An object is gone.
    DeleteObject(BucketName, ObjectKey),
    /// A certificate authority is made, or its key wrapped anew.
    PutAuthority(Box<Authority>),
    /// A certificate is issued or revoked.
    PutCertificate(Box<Certificate>),
    /// The organization changes.
    Organization(OrganizationChange),
    /// A VPC endpoint is made or changed.
    PutVpcEndpoint(Box<VpcEndpoint>),
    /// A VPC endpoint is gone.
    DeleteVpcEndpoint(VpcEndpointId),
    /// The keystore's settings change.
    PutSettings(Settings),
}

/// What a change does to storage.
#[derive(Debug)]
pub enum RowChange {
    /// Write this row.
    Put(Row),
    /// Remove this row, so that nothing of it can be found.
    Delete(RowId),
}

/// A row that does not hold what its table should.
#[derive(Debug, Error)]
#[error("the row `{id}` of the table `{table}` is damaged: {reason}")]
pub struct RowError {
    table: String,
    id: String,
    reason: String,
}

impl RowError {
    pub(super) fn no_settings() -> Self {
        Self { table: table::SETTINGS.into(), id: "settings".into(), reason: "it is missing".into() }
    }
}

/// The tables of a keystore.
pub(super) mod table {
    pub(in crate::world) const ACCOUNT: &str = "account";
    pub(in crate::world) const KEY: &str = "key";
    pub(in crate::world) const ALIAS: &str = "alias";
    pub(in crate::world) const GRANT: &str = "grant";
    pub(in crate::world) const USER: &str = "user";
    pub(in crate::world) const GROUP: &str = "group";
    pub(in crate::world) const ROLE: &str = "role";
    pub(in crate::world) const MANAGED_POLICY: &str = "managed-policy";
    pub(in crate::world) const ACCESS_KEY: &str = "access-key";
    pub(in crate::world) const MFA_DEVICE: &str = "mfa-device";
    pub(in crate::world) const SESSION: &str = "session";
    pub(in crate::world) const OIDC_PROVIDER: &str = "oidc-provider";
    pub(in crate::world) const BUCKET: &str = "bucket";
    pub(in crate::world) const OBJECT: &str = "object";
    pub(in crate::world) const AUTHORITY: &str = "authority";
    pub(in crate::world) const CERTIFICATE: &str = "certificate";
    pub(in crate::world) const ORGANIZATION: &str = "organization";
    pub(in crate::world) const ORGANIZATIONAL_UNIT: &str = "organizational-unit";
    pub(in crate::world) const CONTROL_POLICY: &str = "control-policy";
    pub(in crate::world) const VPC_ENDPOINT: &str = "vpc-endpoint";
    pub(in crate::world) const SETTINGS: &str = "settings";
}

/// The names of all tables.
pub const TABLES: &[&str] = &[
    table::ACCOUNT,
    table::KEY,
    table::ALIAS,
    table::GRANT,
    table::USER,
    table::GROUP,
    table::ROLE,
    table::MANAGED_POLICY,
    table::ACCESS_KEY,
    table::MFA_DEVICE,
    table::OIDC_PROVIDER,
    table::SESSION,
    table::BUCKET,
    table::OBJECT,
    table::AUTHORITY,
    table::CERTIFICATE,
    table::ORGANIZATION,
    table::ORGANIZATIONAL_UNIT,
    table::CONTROL_POLICY,
    table::VPC_ENDPOINT,
    table::SETTINGS,
];

impl Change {
    /// Whether the change takes key material or another secret away, so that storage must erase the old copy everywhere.
    #[must_use]
    pub fn erases(&self) -> bool {
        match self {
            Self::EraseKey(_) => true,
            Self::Identity(change) => change.erases(),
            _ => false,
        }
    }

    /// The row that this change writes or removes.
    #[must_use]
    pub fn to_row(&self) -> RowChange {
        match self {
            Self::PutAccount(account) => put(table::ACCOUNT, account.id.to_string(), account),
            Self::PutKey(key) => put(table::KEY, key.arn.to_string(), key),
            Self::EraseKey(arn) => delete(table::KEY, arn.to_string()),
            Self::PutAlias(alias) => put(table::ALIAS, alias_id(&alias.account, &alias.name), alias),
            Self::DeleteAlias(account, name) => delete(table::ALIAS, alias_id(account, name)),
            Self::PutGrant(grant) => put(table::GRANT, grant_id(&grant.key, &grant.id), grant),
            Self::DeleteGrant(key, id) => delete(table::GRANT, grant_id(key, id)),
            Self::Identity(change) => change.to_row(),
            Self::PutBucket(bucket) => put(table::BUCKET, bucket.name.to_string(), bucket),
            Self::DeleteBucket(name) => delete(table::BUCKET, name.to_string()),
            Self::PutObject(object) => put(table::OBJECT, object_id(&object.bucket, &object.key), object),
            Self::DeleteObject(bucket, key) => delete(table::OBJECT, object_id(bucket, key)),
            Self::PutAuthority(authority) => put(table::AUTHORITY, authority.account.to_string(), authority),
            Self::PutCertificate(certificate) => {
                put(table::CERTIFICATE, certificate.serial.to_string(), certificate)
            }
            Self::Organization(change) => change.to_row(),
            Self::PutVpcEndpoint(endpoint) => put(table::VPC_ENDPOINT, endpoint.id.to_string(), endpoint),
            Self::DeleteVpcEndpoint(id) => delete(table::VPC_ENDPOINT, id.to_string()),
            Self::PutSettings(settings) => put(table::SETTINGS, "settings".into(), settings),
        }
    }

    /// The change that makes what a stored row says.
    ///
    /// # Errors
    ///
    /// [`RowError`] when the row does not hold what its table should, or stands under another id than its own.
    pub fn from_row(row: &Row) -> Result<Self, RowError> {
        let change = match row.id.table {
            table::ACCOUNT => Self::PutAccount(read(row)?),
            table::KEY => Self::PutKey(read(row)?),
            table::ALIAS => Self::PutAlias(read(row)?),
            table::GRANT => Self::PutGrant(read(row)?),
            table::BUCKET => Self::PutBucket(read(row)?),
            table::OBJECT => Self::PutObject(read(row)?),
            table::AUTHORITY => Self::PutAuthority(read(row)?),
            table::CERTIFICATE => Self::PutCertificate(read(row)?),
            table::VPC_ENDPOINT => Self::PutVpcEndpoint(read(row)?),
            table::SETTINGS => Self::PutSettings(read(row)?),
            _ => match (IdentityChange::from_row(row)?, OrganizationChange::from_row(row)?) {
                (Some(change), _) => Self::Identity(change),
                (None, Some(change)) => Self::Organization(change),
                (None, None) => return Err(damaged(row, "this table is not known")),
            },
        };
        match change.to_row() {
            RowChange::Put(written) if written.id == row.id => Ok(change),
            _ => Err(damaged(row, "it belongs under another id")),
        }
    }
}

pub(super) fn put(table: &'static str, id: String, body: &impl Serialize) -> RowChange {
    match serde_json::to_vec(body) {
        Ok(body) => RowChange::Put(Row { id: RowId { table, id }, body }),
        Err(_) => unreachable!("the world's nouns have text keys alone, so JSON can hold them"),
    }
}

pub(super) fn delete(table: &'static str, id: String) -> RowChange {
    RowChange::Delete(RowId { table, id })
}

pub(super) fn read<T: DeserializeOwned>(row: &Row) -> Result<T, RowError> {
    serde_json::from_slice(&row.body).map_err(|error| damaged(row, &error.to_string()))
}

fn damaged(row: &Row, reason: &str) -> RowError {
    RowError { table: row.id.table.into(), id: row.id.id.clone(), reason: reason.into() }
}

fn alias_id(account: &AccountId, name: &AliasName) -> String {
    format!("{account}:{name}")
}

fn grant_id(key: &KeyArn, id: &GrantId) -> String {
    format!("{key}/{id}")
}

fn object_id(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("{bucket}/{key}")
}
