//! Policies in a seed: JSON text as AWS writes it, the same as TOML, or `allow` and `deny` with lists of actions.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use crate::{
    model::{AccountId, Region},
    policy::{Policy, PolicyKind},
};

/// The inline policy of a user or role.
pub(super) type IdentityPolicyText = PolicyText<Identity>;
/// A key policy.
pub(super) type KeyPolicyText = PolicyText<Key>;

/// A well-formed policy as JSON text, in which `{account}`, `{home}` and `{region}` are still to be filled in.
#[derive(Debug)]
pub(super) struct PolicyText<K> {
    text: String,
    kind: PhantomData<K>,
}

/// Which kind of policy is meant, and so what it may hold.
pub(super) trait Kind {
    const KIND: PolicyKind;
    /// Whether `allow` and `deny` are enough to write one: a key policy has principals too.
    const SHORTHAND: bool;
}

#[derive(Debug)]
pub(super) struct Identity;
#[derive(Debug)]
pub(super) struct Key;

impl Kind for Identity {
    const KIND: PolicyKind = PolicyKind::INLINE_USER;
    const SHORTHAND: bool = true;
}

impl Kind for Key {
    const KIND: PolicyKind = PolicyKind::Key;
    const SHORTHAND: bool = false;
}

impl<K> PolicyText<K> {
    /// The policy with everything filled in.
    pub(super) fn resolve(&self, account: &AccountId, home: &AccountId, region: &Region) -> String {
        fill(&self.text, account.as_str(), home.as_str(), region.as_str())
    }
}

fn fill(text: &str, account: &str, home: &str, region: &str) -> String {
    text.replace("{account}", account).replace("{home}", home).replace("{region}", region)
}

impl<'de, K: Kind> Deserialize<'de> for PolicyText<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

struct Visitor<K>(PhantomData<K>);

impl<'de, K: Kind> de::Visitor<'de> for Visitor<K> {
    type Value = PolicyText<K>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if K::SHORTHAND {
            "a policy: JSON text, a table with `Version` and `Statement`, or `allow = [\"service:Action\"]`"
        } else {
            "a policy: JSON text, or a table with `Version` and `Statement`"
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let filled = fill(text, "111122223333", "111122223333", "us-east-1");
        Policy::parse(&filled, K::KIND).map_err(E::custom)?;
        Ok(PolicyText { text: text.into(), kind: PhantomData })
    }

    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        let mut table = Map::deserialize(de::value::MapAccessDeserializer::new(map))?;
        if !table.contains_key("Statement") {
            if !K::SHORTHAND {
                let message = "a key policy needs a `Statement`; each statement has `Effect`, `Principal`, `Action` and \
                               `Resource`";
                return Err(de::Error::custom(message));
            }
            table = spelt_out(table).map_err(de::Error::custom)?;
        }
        table.entry("Version").or_insert_with(|| "2012-10-17".into());
        let text = serde_json::to_string_pretty(&table).map_err(de::Error::custom)?;
        self.visit_str(&text)
    }
}

/// Turns `allow`, `deny` and `resources` into statements.
fn spelt_out(mut table: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let resources = table.remove("resources").unwrap_or_else(|| "*".into());
    let mut statements = Vec::new();
    for (word, effect) in [("allow", "Allow"), ("deny", "Deny")] {
        if let Some(actions) = table.remove(word) {
            statements.push(json!({"Effect": effect, "Action": actions, "Resource": resources}));
        }
    }
    if let Some(unknown) = table.keys().next() {
        return Err(format!(
            "unknown field `{unknown}` in a policy: write `allow`, `deny` and `resources`, or `Statement`"
        ));
    }
    if statements.is_empty() {
        return Err("an empty policy: write `allow = [\"service:Action\"]`, or `Statement`".into());
    }
    Ok(Map::from_iter([
        ("Version".to_owned(), Value::from("2012-10-17")),
        ("Statement".to_owned(), Value::Array(statements)),
    ]))
}
