//! TagResource, UntagResource, ListResourceTags.

use serde_json::{Value, json};

use super::{Call, CallError, Operation, Outcome, conditions::KeyConditions, operation::actions};
use crate::{
    model::{ErrorCode, KeyRef, Tags},
    world::Key,
};

actions! {
    /// `kms:TagResource`.
    TagResourcePermission = "kms:TagResource",
    /// `kms:UntagResource`.
    UntagResourcePermission = "kms:UntagResource",
    /// `kms:ListResourceTags`.
    ListResourceTagsPermission = "kms:ListResourceTags",
}

/// Adds tags to a key, or changes their values.
#[derive(Debug)]
pub struct TagResource {
    /// The key.
    pub key_id: KeyRef,
    /// The tags.
    pub tags: Tags,
}

impl Operation for TagResource {
    type Permission = TagResourcePermission;
    type Answer = ();
    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        let tags: Vec<Value> =
            self.tags.iter().map(|(key, value)| json!({"tagKey": key, "tagValue": value})).collect();
        json!({"keyId": self.key_id.to_string(), "tags": tags})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions { request_tags: Some(&self.tags), ..KeyConditions::default() };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        for (name, value) in self.tags.iter() {
            key.tags.set(name, value).map_err(|error| CallError::new(ErrorCode::Tag, error.to_string()))?;
        }
        Ok(Outcome::changed(permitted, key))
    }
}

/// Takes tags off a key. A tag that is not there is no error.
#[derive(Debug)]
pub struct UntagResource {
    /// The key.
    pub key_id: KeyRef,
    /// The keys of the tags.
    pub tag_keys: Vec<String>,
}

impl Operation for UntagResource {
    type Permission = UntagResourcePermission;
    type Answer = ();
    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string(), "tagKeys": self.tag_keys})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let named = call.resolve::<Self::Permission>(&self.key_id)?;
        let conditions = KeyConditions { tag_keys: Some(&self.tag_keys), ..KeyConditions::default() };
        let permitted = call.authorize::<Self::Permission>(&named, &conditions)?;
        call.require_state(&named.key)?;
        let mut key = Key::clone(&named.key);
        for name in &self.tag_keys {
            key.tags.remove(name);
        }
        Ok(Outcome::changed(permitted, key))
    }
}

/// Lists a key's tags.
#[derive(Debug)]
pub struct ListResourceTags {
    /// The key.
    pub key_id: KeyRef,
}

impl Operation for ListResourceTags {
    type Permission = ListResourceTagsPermission;
    type Answer = Tags;
    const NAME: &'static str = "ListResourceTags";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"keyId": self.key_id.to_string()})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (named, permitted) = call.on_key::<Self::Permission>(&self.key_id)?;
        Ok(Outcome::answer(permitted, named.key.tags.clone()))
    }
}
