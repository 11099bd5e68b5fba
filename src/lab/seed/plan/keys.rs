//! Keys, their aliases and the grants on them.

use toml::Spanned;

use super::{
    super::{
        SeedError,
        keys::{DeletionWindow, GrantSeed, KeySeed, Rotation, State, TestMaterial},
    },
    Planner, same_json, tag_changes,
};
use crate::{
    crypto::random::{Random, SystemRandom},
    kms::{
        CallError, CancelKeyDeletion, CreateAlias, CreateGrant, CreateKey, DisableKey, DisableKeyRotation,
        EnableKey, EnableKeyRotation, PutKeyPolicy, ScheduleKeyDeletion, TagResource, UntagResource,
        UpdateAlias, UpdateKeyDescription,
    },
    model::{AliasName, KeyArn, KeyId, KeyRef, KeyState, Tags},
    world::{Grant, Key},
};

impl Planner<'_> {
    pub(super) fn keys(&mut self, keys: &[Spanned<KeySeed>]) -> Result<(), SeedError> {
        for key in keys {
            self.at(key.span());
            self.key(key.get_ref())?;
        }
        Ok(())
    }

    fn key(&mut self, seed: &KeySeed) -> Result<(), SeedError> {
        let before = self.steps.len();
        let what = match (seed.aliases.first(), &seed.id) {
            (Some(alias), _) => format!("key {alias}"),
            (None, Some(id)) => format!("key {id}"),
            (None, None) => "key".into(),
        };
        let arn = self.arn_of(seed)?;
        let world = self.world;
        let there = world.key(&arn).map(|key| &**key);
        match there {
            None => self.new_key(seed, &what, &arn),
            Some(key) => self.existing_key(seed, &what, key),
        }
        for alias in &seed.aliases {
            self.alias(alias, &arn);
        }
        self.what_needs_it_enabled(seed, &what, &arn, there)?;
        self.unchanged_since(before, what);
        Ok(())
    }

    /// The key that the seed means, or the one that it will be: the plan chooses the id that CreateKey would.
    fn arn_of(&self, seed: &KeySeed) -> Result<KeyArn, SeedError> {
        let region = self.world.settings().region.clone();
        let at = |id| KeyArn::new(region.clone(), self.account.clone(), id);
        if let Some(id) = &seed.id {
            return Ok(at(id.clone()));
        }
        let mut aliases = seed.aliases.iter();
        if let Some(alias) = aliases.find_map(|alias| self.world.alias(self.account, alias)) {
            return Ok(alias.target.clone());
        }
        let random: &mut dyn Random = &mut SystemRandom;
        Ok(at(KeyId::from_random(random.array().map_err(CallError::from)?)))
    }

    fn policy(&self, seed: &KeySeed) -> Option<String> {
        Some(seed.policy.as_ref()?.resolve(self.filling()))
    }

    fn new_key(&mut self, seed: &KeySeed, what: &str, arn: &KeyArn) {
        let call = CreateKey {
            description: seed.description.clone().unwrap_or_default(),
            policy: self.policy(seed),
            tags: seed.tags.clone().unwrap_or_default(),
            custom_key_id: Some(arn.key_id().clone()),
            custom_key_material: seed.material.as_ref().and_then(TestMaterial::to_secret),
            ..CreateKey::default()
        };
        self.create(what.into(), call);
    }

    fn existing_key(&mut self, seed: &KeySeed, what: &str, key: &Key) {
        let key_id = || KeyRef::from(key.arn.clone());
        let comes_back = matches!(seed.state, Some(State::Enabled | State::Disabled));
        if key.state == KeyState::PendingDeletion && comes_back {
            self.update(format!("{what}: cancel its deletion"), CancelKeyDeletion { key_id: key_id() });
        }
        if seed.material.is_some() {
            self.kept(format!("{what}: its key material, which nobody can read or replace"));
        }
        if let Some(description) = seed.description.clone().filter(|text| *text != key.description) {
            let call = UpdateKeyDescription { key_id: key_id(), description };
            self.update(format!("{what}: description"), call);
        }
        if let Some(tags) = &seed.tags {
            self.tags_of_key(what, key, tags);
        }
        if let Some(policy) = self.policy(seed).filter(|policy| !same_json(policy, key.policy.text())) {
            let call = PutKeyPolicy { key_id: key_id(), policy, bypass_policy_lockout_safety_check: false };
            self.update(format!("{what}: policy"), call);
        }
    }

    fn tags_of_key(&mut self, what: &str, key: &Key, wanted: &Tags) {
        let key_id = || KeyRef::from(key.arn.clone());
        let (tag_keys, tags) = tag_changes(&key.tags, wanted);
        if !tag_keys.is_empty() {
            self.update(format!("{what}: take off tags"), UntagResource { key_id: key_id(), tag_keys });
        }
        if !tags.is_empty() {
            self.update(format!("{what}: tags"), TagResource { key_id: key_id(), tags });
        }
    }

    fn alias(&mut self, alias: &AliasName, key: &KeyArn) {
        let what = format!("alias {alias}");
        let (alias_name, target_key_id) = (alias.clone(), KeyRef::from(key.clone()));
        match self.world.alias(self.account, alias) {
            None => self.create(what, CreateAlias { alias_name, target_key_id }),
            Some(there) if there.target != *key => {
                self.update(what, UpdateAlias { alias_name, target_key_id });
            }
            Some(_) => {}
        }
    }

    /// Rotation can be set and grants be made for an enabled key alone: a disabled one is enabled for it, and brought
    /// into its state again.
    fn what_needs_it_enabled(
        &mut self,
        seed: &KeySeed,
        what: &str,
        arn: &KeyArn,
        there: Option<&Key>,
    ) -> Result<(), SeedError> {
        let key_id = || KeyRef::from(arn.clone());
        let current = there.and_then(|key| key.rotation).map(|schedule| schedule.period);
        let rotation = seed.rotation.filter(|Rotation(wanted)| *wanted != current);
        let grants = self.missing_grants(seed, arn)?;
        // A deletion that the seed cancels leaves its key disabled; one that it does not speak of goes on.
        let pending = there.is_some_and(|key| key.state == KeyState::PendingDeletion);
        if pending && matches!(seed.state, None | Some(State::PendingDeletion)) {
            if rotation.is_some() || !grants.is_empty() {
                self.kept(format!("{what}: its rotation and grants, while it is pending deletion"));
            }
            return Ok(());
        }
        let was_enabled = there.is_none_or(|key| key.state == KeyState::Enabled);
        let wanted = seed.state.unwrap_or(if was_enabled { State::Enabled } else { State::Disabled });
        let needed = rotation.is_some() || !grants.is_empty();
        let mut enabled = was_enabled;
        if !enabled && (wanted == State::Enabled || needed) {
            self.update(format!("{what}: enable"), EnableKey { key_id: key_id() });
            enabled = true;
        }
        match rotation {
            Some(Rotation(Some(period))) => {
                let call = EnableKeyRotation { key_id: key_id(), rotation_period: Some(period) };
                self.update(format!("{what}: rotate every {} days", period.get()), call);
            }
            Some(Rotation(None)) => {
                self.update(format!("{what}: rotate no more"), DisableKeyRotation { key_id: key_id() });
            }
            None => {}
        }
        let of_the_key = self.place;
        for (span, name, call) in grants {
            self.at(span);
            self.create(format!("{what}: grant {name}"), call);
        }
        self.place = of_the_key;
        match wanted {
            State::Disabled if enabled => {
                self.update(format!("{what}: disable"), DisableKey { key_id: key_id() });
            }
            State::PendingDeletion => {
                let pending_window = seed.deletion_window.map(|DeletionWindow(days)| days);
                let call = ScheduleKeyDeletion { key_id: key_id(), pending_window };
                self.update(format!("{what}: schedule its deletion"), call);
            }
            State::Enabled | State::Disabled => {}
        }
        Ok(())
    }

    /// The grants that are not there. One of the same name that says something else stays.
    fn missing_grants(
        &mut self,
        seed: &KeySeed,
        arn: &KeyArn,
    ) -> Result<Vec<(std::ops::Range<usize>, String, CreateGrant)>, SeedError> {
        let (mut missing, world, of_the_key) = (Vec::new(), self.world, self.place);
        for grant in &seed.grants {
            self.at(grant.span());
            let call = self.create_grant(grant.get_ref(), arn)?;
            let name = grant.get_ref().name.to_string();
            let mut there = world.grants_named(arn, &grant.get_ref().name).peekable();
            if there.peek().is_none() {
                missing.push((grant.span(), name, call));
            } else if !there.any(|there| says_what_is_asked(there, &call)) {
                self.kept(format!("grant {name} on {arn}: it says something else; revoke it first"));
            }
        }
        self.place = of_the_key;
        Ok(missing)
    }

    fn create_grant(&self, seed: &GrantSeed, key: &KeyArn) -> Result<CreateGrant, SeedError> {
        let filling = self.filling();
        let retiring = seed.retiring.as_ref().map(|retiring| retiring.resolve(filling)).transpose();
        Ok(CreateGrant {
            key_id: key.clone().into(),
            grantee_principal: self.resolved(seed.grantee.resolve(filling))?,
            retiring_principal: self.resolved(retiring)?,
            operations: seed.operations,
            constraint: seed.constraint.clone(),
            name: Some(seed.name.clone()),
            custom_grant_id: seed.id.clone(),
        })
    }
}

fn says_what_is_asked(there: &Grant, asked: &CreateGrant) -> bool {
    there.grantee.arn == asked.grantee_principal
        && there.retiring.as_ref().map(|retiring| &retiring.arn) == asked.retiring_principal.as_ref()
        && there.operations == asked.operations
        && there.constraint == asked.constraint
}
