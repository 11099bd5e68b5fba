//! Policies in a seed: JSON text as AWS writes it, the same as TOML, or `allow` and `deny` with lists of actions.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use crate::policy::{Policy, PolicyKind};

/// What stands for the placeholders of policies and ARNs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    /// `{account}`.
    pub(super) account: &'a str,
    /// `{home}`.
    pub(super) home: &'a str,
    /// `{region}`.
    pub(super) region: &'a str,
}

impl Filling<'static> {
    /// What stands for them while a seed is read, before the keystore is known.
    pub(super) const SAMPLE: Self =
        Self { account: "111122223333", home: "111122223333", region: "us-east-1" };
}

impl Filling<'_> {
    pub(super) fn fill(self, text: &str) -> String {
        let text = text.replace("{account}", self.account).replace("{home}", self.home);
        text.replace("{region}", self.region)
    }
}

/// A well-formed policy as JSON text, in which `{account}`, `{home}` and `{region}` are still to be filled in.
#[derive(Debug)]
pub(super) struct PolicyText<K> {
    text: String,
    kind: PhantomData<K>,
}

/// Which kind of policy is meant, and so what it may hold.
pub(super) trait Kind {
    const KIND: PolicyKind;
    /// Whether `allow` and `deny` are enough to write one: key and trust policies have principals too.
    const SHORTHAND: bool;
}

/// Declares the kinds that a seed can hold.
macro_rules! kinds {
    ($($(#[$about:meta])* $text:ident = $name:ident($kind:expr, $shorthand:literal);)+) => { $(
        $(#[$about])*
        pub(super) type $text = PolicyText<$name>;

        #[derive(Debug)]
        pub(super) struct $name;

        impl Kind for $name {
            const KIND: PolicyKind = $kind;
            const SHORTHAND: bool = $shorthand;
        }
    )+ };
}

kinds! {
    /// The inline policy of a user.
    UserPolicyText = User(PolicyKind::INLINE_USER, true);
    /// The inline policy of a group.
    GroupPolicyText = Group(PolicyKind::INLINE_GROUP, true);
    /// The inline policy of a role.
    RolePolicyText = Role(PolicyKind::INLINE_ROLE, true);
    /// A managed policy of the account.
    ManagedPolicyText = Managed(PolicyKind::MANAGED, true);
    /// The trust policy of a role.
    TrustPolicyText = Trust(PolicyKind::Trust, false);
    /// A key policy.
    KeyPolicyText = Key(PolicyKind::Key, false);
    /// A service control policy.
    ServiceControlPolicyText = ServiceControl(PolicyKind::Scp, true);
    /// A resource control policy.
    ResourceControlPolicyText = ResourceControl(PolicyKind::Rcp, false);
    /// The policy of a VPC endpoint.
    EndpointPolicyText = Endpoint(PolicyKind::VpcEndpoint, false);
}

impl<K> PolicyText<K> {
    /// The policy with everything filled in.
    pub(super) fn resolve(&self, filling: Filling<'_>) -> String {
        filling.fill(&self.text)
    }
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
        let filled = Filling::SAMPLE.fill(text);
        Policy::parse(&filled, K::KIND).map_err(E::custom)?;
        Ok(PolicyText { text: text.into(), kind: PhantomData })
    }

    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        let mut table = Map::deserialize(de::value::MapAccessDeserializer::new(map))?;
        if !table.contains_key("Statement") {
            if !K::SHORTHAND {
                let (name, more) = match K::KIND {
                    PolicyKind::Trust => ("trust", " and `Action`"),
                    PolicyKind::Rcp => ("resource control", ", `Action` and `Resource`"),
                    PolicyKind::VpcEndpoint => ("VPC endpoint's", ", `Action` and `Resource`"),
                    _ => ("key", ", `Action` and `Resource`"),
                };
                return Err(de::Error::custom(format!(
                    "a {name} policy needs a `Statement`; each statement has `Effect`, `Principal`{more}"
                )));
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
