//! The whole state of a keystore as one value.
//!
//! A [`World`] is cheap to copy (its maps share what did not change), so readers keep a snapshot while a writer makes
//! the next one. It changes only by [`Change`]s, which say in the same breath what storage must write. It holds no
//! secret: key materials are wrapped, and the key that unwraps them is not here.

mod account;
mod bucket;
mod certificate;
mod change;
mod grant;
mod identities;
mod key;
mod organization;
mod row;
mod vpc_endpoint;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use account::Account;
pub use bucket::{Bucket, BucketName, Object, ObjectKey, ServerSideEncryption};
pub use certificate::{Authority, Certificate, CertificateStatus, Revocation};
pub use change::{Change, RowChange, RowError, TABLES};
pub use grant::{Grant, GrantPrincipal};
pub use identities::{Identities, IdentityChange};
pub use key::{Key, KeyPolicy, Material, RotationSchedule};
pub use organization::{
    ControlLevel, ControlPolicy, Membership, Organization, OrganizationChange, OrganizationalUnit,
};
pub use row::{Row, RowId};
pub use vpc_endpoint::{DEFAULT_ENDPOINT_POLICY, VpcEndpoint};

use self::{grant::Grants, organization::Organizations};
use crate::{
    iam::Identity,
    model::{
        AccountId, AliasName, CertificateSerial, EncryptionContext, GrantId, GrantName, GrantToken, KeyArn,
        PrincipalArn, Region, Timestamp, VpcEndpointId,
    },
    policy::{GrantOperation, PrincipalFacts},
};

/// What holds for the keystore as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The account that commands work in unless told otherwise.
    pub account: AccountId,
    /// The Region of all keys.
    pub region: Region,
    /// How far the keystore's clock is ahead of the real one, in milliseconds.
    pub clock_offset_millis: i64,
    /// Who vouches for the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<LogWitness>,
    /// What signs digest files, once the log was exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_key: Option<DigestKey>,
}

/// The key that signs digest files, its private half under wrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestKey {
    /// DER RSAPublicKey (RFC 8017, A.1.1).
    #[serde(with = "hex::serde")]
    pub public_key: Vec<u8>,
    /// By what digest files name it.
    pub fingerprint: String,
    /// When it was made.
    pub created: Timestamp,
    /// The private half, PKCS #8, wrapped.
    #[serde(with = "hex::serde")]
    pub wrapped: Vec<u8>,
}

/// Somebody who signs the audit log's checkpoints after having compared them with the ones before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWitness {
    /// The witness's key, as a C2SP vkey.
    pub key: String,
    /// Whether the log is believed only with this witness's word.
    pub required: bool,
    /// The newest checkpoint that it has signed.
    pub cosigned: Option<String>,
}

/// A name that points to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The account whose alias it is.
    pub account: AccountId,
    /// The alias.
    pub name: AliasName,
    /// The key it points to.
    pub target: KeyArn,
    /// When it was made.
    pub created: Timestamp,
    /// When it last came to point elsewhere.
    pub updated: Timestamp,
}

impl Alias {
    /// The alias's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:kms:{}:{}:{}", self.target.region(), self.account, self.name)
    }
}

/// The whole state.
#[derive(Debug, Clone)]
pub struct World {
    settings: Settings,
    accounts: OrdMap<AccountId, Arc<Account>>,
    keys: OrdMap<KeyArn, Arc<Key>>,
    aliases: OrdMap<(AccountId, AliasName), Arc<Alias>>,
    grants: Grants,
    identities: Identities,
    buckets: OrdMap<BucketName, Arc<Bucket>>,
    objects: OrdMap<(BucketName, ObjectKey), Arc<Object>>,
    authorities: OrdMap<AccountId, Arc<Authority>>,
    certificates: OrdMap<CertificateSerial, Arc<Certificate>>,
    organizations: Organizations,
    vpc_endpoints: OrdMap<VpcEndpointId, Arc<VpcEndpoint>>,
    /// What time will do, soonest first. Derived from the keys.
    agenda: OrdSet<(Timestamp, KeyArn)>,
}

impl World {
    /// An empty world with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            accounts: OrdMap::new(),
            keys: OrdMap::new(),
            aliases: OrdMap::new(),
            grants: Grants::default(),
            identities: Identities::default(),
            buckets: OrdMap::new(),
            objects: OrdMap::new(),
            authorities: OrdMap::new(),
            certificates: OrdMap::new(),
            organizations: Organizations::default(),
            vpc_endpoints: OrdMap::new(),
            agenda: OrdSet::new(),
        }
    }

    /// The world that these stored rows describe.
    ///
    /// # Errors
    ///
    /// [`RowError`] when a row does not hold what its table should, or the settings are missing.
    pub fn from_rows(rows: &[Row]) -> Result<Self, RowError> {
        let changes = rows.iter().map(Change::from_row).collect::<Result<Vec<_>, _>>()?;
        let settings = changes.iter().find_map(|change| match change {
            Change::PutSettings(settings) => Some(settings.clone()),
            _ => None,
        });
        let mut world = Self::new(settings.ok_or_else(RowError::no_settings)?);
        for change in &changes {
            world.apply(change);
        }
        Ok(world)
    }

    /// Every row of the world, as storage holds it.
    #[must_use]
    pub fn to_rows(&self) -> Vec<Row> {
        let accounts = self.accounts.values().map(|account| Change::PutAccount(Account::clone(account)));
        let keys = self.keys.values().map(|key| Change::PutKey(Box::new(Key::clone(key))));
        let aliases = self.aliases.values().map(|alias| Change::PutAlias(Alias::clone(alias)));
        let grants = self.grants.all().map(|grant| Change::PutGrant(Box::new(Grant::clone(grant))));
        let identities = self.identities.changes().map(Change::Identity);
        let buckets = self.buckets.values().map(|bucket| Change::PutBucket(Bucket::clone(bucket)));
        let objects = self.objects.values().map(|object| Change::PutObject(Box::new(Object::clone(object))));
        let authorities =
            self.authorities.values().map(|one| Change::PutAuthority(Box::new(Authority::clone(one))));
        let certificates =
            self.certificates.values().map(|one| Change::PutCertificate(Box::new(Certificate::clone(one))));
        let organizations = self.organizations.changes().map(Change::Organization);
        let endpoints =
            self.vpc_endpoints.values().map(|one| Change::PutVpcEndpoint(Box::new(VpcEndpoint::clone(one))));
        let settings = std::iter::once(Change::PutSettings(self.settings.clone()));
        let all = accounts
            .chain(keys)
            .chain(aliases)
            .chain(grants)
            .chain(identities)
            .chain(buckets)
            .chain(objects)
            .chain(authorities)
            .chain(certificates)
            .chain(organizations)
            .chain(endpoints)
            .chain(settings);
        let rows = all.filter_map(|change| match change.to_row() {
            RowChange::Put(row) => Some(row),
            RowChange::Delete(_) => None,
        });
        rows.collect()
    }

    /// What holds for the keystore as a whole.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The key with this ARN.
    #[must_use]
    pub fn key(&self, arn: &KeyArn) -> Option<&Arc<Key>> {
        self.keys.get(arn)
    }

    /// All keys, in the order of their ARNs.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// The alias with this name in this account.
    #[must_use]
    pub fn alias(&self, account: &AccountId, name: &AliasName) -> Option<&Arc<Alias>> {
        self.aliases.get(&(account.clone(), name.clone()))
    }

    /// All aliases, by account and name.
    pub fn aliases(&self) -> impl Iterator<Item = &Arc<Alias>> {
        self.aliases.values()
    }

    /// The aliases that point to `key`.
    pub fn aliases_of<'a>(&'a self, key: &'a KeyArn) -> impl Iterator<Item = &'a Arc<Alias>> {
        self.aliases.values().filter(move |alias| alias.target == *key)
    }

    /// The grant with this id on this key.
    #[must_use]
    pub fn grant(&self, key: &KeyArn, id: &GrantId) -> Option<&Arc<Grant>> {
        self.grants.get(key, id)
    }

    /// The grants on a key in the order of their ids, from the one after `after` on.
    pub fn grants_on(&self, key: &KeyArn, after: Option<&GrantId>) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.on_key(key, after)
    }

    /// How many grants a key has.
    #[must_use]
    pub fn grant_count(&self, key: &KeyArn) -> usize {
        self.grants.count(key)
    }

    /// The grants on a key with this name.
    pub fn grants_named<'a>(
        &'a self,
        key: &KeyArn,
        name: &GrantName,
    ) -> impl Iterator<Item = &'a Arc<Grant>> + use<'a> {
        self.grants.named(key, name)
    }

    /// The living grant that this token names.
    #[must_use]
    pub fn grant_of_token(&self, token: &GrantToken) -> Option<&Arc<Grant>> {
        self.grants.of_token(token)
    }

    /// The grants on any key that name this retiring principal, by key and id, from the one after `after` on.
    pub fn grants_retired_by(
        &self,
        retiring: &PrincipalArn,
        after: Option<&(KeyArn, GrantId)>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.retired_by(retiring, after)
    }

    /// The grants on a key that name the caller, its role or its account as grantee: what an explanation shows.
    pub fn grants_naming<'a>(
        &'a self,
        key: &KeyArn,
        caller: &PrincipalFacts,
    ) -> impl Iterator<Item = &'a Arc<Grant>> + use<'a> {
        self.grants.naming(key, caller)
    }

    /// Grants on a key among which one lets the caller do `operation`, if any does: what a decision looks at. `context` is
    /// the request's encryption context; for CreateGrant, that of the constraint of the grant to be made.
    #[must_use]
    pub fn grants_for(
        &self,
        key: &KeyArn,
        caller: &PrincipalFacts,
        operation: GrantOperation,
        context: Option<&EncryptionContext>,
    ) -> Vec<&Arc<Grant>> {
        self.grants.candidates(key, caller, operation, context)
    }

    /// The user or role with this ARN, or the role whose session this ARN names.
    #[must_use]
    pub fn identity(&self, arn: &PrincipalArn) -> Option<Identity> {
        self.identities.find(arn)
    }

    /// Users, groups, roles, managed policies and credentials.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Whether this account exists: it is the keystore's own, or was made beside it.
    #[must_use]
    pub fn has_account(&self, account: &AccountId) -> bool {
        *account == self.settings.account || self.accounts.contains_key(account)
    }

    /// The account with this id, unless it is the keystore's own.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(id)
    }

    /// The accounts beside the keystore's own, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The bucket with this name.
    #[must_use]
    pub fn bucket(&self, name: &BucketName) -> Option<&Arc<Bucket>> {
        self.buckets.get(name)
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> impl Iterator<Item = &Arc<Bucket>> {
        self.buckets.values()
    }

    /// The object with this key.
    #[must_use]
    pub fn object(&self, bucket: &BucketName, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.objects.get(&(bucket.clone(), key.clone()))
    }

    /// All objects, by bucket and key.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects of a bucket, by key.
    pub fn objects_in<'a>(&'a self, bucket: &'a BucketName) -> impl Iterator<Item = &'a Arc<Object>> {
        self.objects.values().filter(move |object| object.bucket == *bucket)
    }

    /// The certificate authority of this account.
    #[must_use]
    pub fn authority(&self, account: &AccountId) -> Option<&Arc<Authority>> {
        self.authorities.get(account)
    }

    /// All certificate authorities, by account.
    pub fn authorities(&self) -> impl Iterator<Item = &Arc<Authority>> {
        self.authorities.values()
    }

    /// The certificate with this serial number.
    #[must_use]
    pub fn certificate(&self, serial: &CertificateSerial) -> Option<&Arc<Certificate>> {
        self.certificates.get(serial)
    }

    /// All certificates that were issued, by serial number.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.values()
    }

    /// The VPC endpoint with this id.
    #[must_use]
    pub fn vpc_endpoint(&self, id: &VpcEndpointId) -> Option<&Arc<VpcEndpoint>> {
        self.vpc_endpoints.get(id)
    }

    /// All VPC endpoints, by id.
    pub fn vpc_endpoints(&self) -> impl Iterator<Item = &Arc<VpcEndpoint>> {
        self.vpc_endpoints.values()
    }

    /// What time has to do first: the moment and the key.
    #[must_use]
    pub fn next_due(&self) -> Option<&(Timestamp, KeyArn)> {
        self.agenda.get_min()
    }

    /// Makes one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutAccount(account) => {
                self.accounts.insert(account.id.clone(), Arc::new(account.clone()));
            }
            Change::PutKey(key) => self.put_key(Arc::new(Key::clone(key))),
            Change::EraseKey(arn) => self.erase_key(arn),
            Change::PutAlias(alias) => {
                self.aliases.insert((alias.account.clone(), alias.name.clone()), Arc::new(alias.clone()));
            }
            Change::DeleteAlias(account, name) => {
                self.aliases.remove(&(account.clone(), name.clone()));
            }
            Change::PutGrant(grant) => self.grants.put(&Arc::new(Grant::clone(grant))),
            Change::DeleteGrant(key, id) => self.grants.remove(key, id),
            Change::Identity(change) => self.identities.apply(change),
            Change::PutBucket(bucket) => {
                self.buckets.insert(bucket.name.clone(), Arc::new(bucket.clone()));
            }
            Change::DeleteBucket(name) => {
                self.buckets.remove(name);
            }
            Change::PutObject(object) => {
                let id = (object.bucket.clone(), object.key.clone());
                self.objects.insert(id, Arc::new(Object::clone(object)));
            }
            Change::DeleteObject(bucket, key) => {
                self.objects.remove(&(bucket.clone(), key.clone()));
            }
            Change::PutAuthority(authority) => {
                self.authorities.insert(authority.account.clone(), Arc::new(Authority::clone(authority)));
            }
            Change::PutCertificate(certificate) => {
                let serial = certificate.serial.clone();
                self.certificates.insert(serial, Arc::new(Certificate::clone(certificate)));
            }
            Change::Organization(change) => self.organizations.apply(change),
            Change::PutVpcEndpoint(endpoint) => {
                self.vpc_endpoints.insert(endpoint.id.clone(), Arc::new(VpcEndpoint::clone(endpoint)));
            }
            Change::DeleteVpcEndpoint(id) => drop(self.vpc_endpoints.remove(id)),
            Change::PutSettings(settings) => self.settings = settings.clone(),
        }
    }

    fn put_key(&mut self, key: Arc<Key>) {
        self.forget_due(&key.arn);
        if let Some(due) = key.due() {
            self.agenda.insert((due, key.arn.clone()));
        }
        self.keys.insert(key.arn.clone(), key);
    }

    fn erase_key(&mut self, arn: &KeyArn) {
        self.forget_due(arn);
        self.grants.remove_all_on(arn);
        self.keys.remove(arn);
    }

    fn forget_due(&mut self, arn: &KeyArn) {
        if let Some(due) = self.keys.get(arn).and_then(|key| key.due()) {
            self.agenda.remove(&(due, arn.clone()));
        }
    }
}
