//! The keys that nobody creates: a service makes its own, and its AWS managed key in a customer's account, at first use.
//!
//! Source: "AWS managed keys" and "AWS owned keys" (KMS developer guide). Like rotation and deletion this is an act of
//! the service, not a call: no policy can give or take it.

use serde_json::json;

use super::{
    CallError, Service, commit::Entry, default_policy, keys::KeyMetadata, material::Materials,
    rotation::ROTATION_PERIOD_DEFAULT, service_event,
};
use crate::{
    crypto::random::Random,
    model::{
        AccountId, AliasName, KeyArn, KeyId, KeyOrigin, KeySpec, KeyState, KeyUsage, ParseError, Tags, Tier,
        Timestamp,
    },
    world::{Alias, Change, Key, RotationSchedule, World},
};

/// Which of a service's keys is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceKey {
    /// The key that the service owns, in its own account.
    Owned(Service),
    /// The service's AWS managed key in this account: `alias/aws/s3`.
    Managed(Service, AccountId),
}

impl ServiceKey {
    /// The key, if it is there.
    pub(crate) fn find(&self, world: &World) -> Option<KeyArn> {
        let name = self.alias_name().ok()?;
        Some(world.alias(&self.account(), &name)?.target.clone())
    }

    /// Makes the key, with its alias.
    pub(super) fn create(
        &self,
        world: &World,
        now: Timestamp,
        materials: &Materials,
        random: &mut dyn Random,
    ) -> Result<(KeyArn, Entry), CallError> {
        let key = self.new_key(world, now, materials, random)?;
        let alias = Alias {
            account: self.account(),
            name: self.alias_name()?,
            target: key.arn.clone(),
            created: now,
            updated: now,
        };
        let details = json!({"createdFor": self.service().principal(), "keyMetadata": KeyMetadata::of(&key)});
        let records = service_event::records(world, &key, now, "CreateKey", details, random)?;
        let arn = key.arn.clone();
        let changes = vec![Change::PutKey(Box::new(key)), Change::PutAlias(alias)];
        Ok((arn, Entry { records, changes }))
    }

    fn new_key(
        &self,
        world: &World,
        now: Timestamp,
        materials: &Materials,
        random: &mut dyn Random,
    ) -> Result<Key, CallError> {
        let (region, service) = (world.settings().region.clone(), self.service());
        let arn = KeyArn::new(region.clone(), self.account(), KeyId::from_random(random.array()?));
        let (tier, policy, description) = match self {
            Self::Managed(_, account) => (
                Tier::AwsManaged,
                default_policy::aws_managed(service, account, &region)?,
                format!(
                    "Default key that protects my {} objects when no other key is defined",
                    service.display_name()
                ),
            ),
            Self::Owned(_) => (
                Tier::AwsOwned,
                default_policy::aws_owned(service)?,
                format!("Owned by {}", service.principal()),
            ),
        };
        let period = ROTATION_PERIOD_DEFAULT;
        Ok(Key {
            tier,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::AwsKms,
            created: now,
            description,
            state: KeyState::Enabled,
            deletion_date: None,
            policy,
            tags: Tags::new(),
            rotation: Some(RotationSchedule { period, next: now.plus(period) }),
            materials: vec![materials.generate(&arn, now, None, random)?],
            arn,
        })
    }

    fn service(&self) -> Service {
        match self {
            Self::Owned(service) | Self::Managed(service, _) => *service,
        }
    }

    fn account(&self) -> AccountId {
        match self {
            Self::Owned(_) => AccountId::of_the_services(),
            Self::Managed(_, account) => account.clone(),
        }
    }

    fn alias_name(&self) -> Result<AliasName, ParseError> {
        format!("alias/aws/{}", self.service().name()).parse()
    }
}
