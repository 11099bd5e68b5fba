//! The parameters of a simulation.

use serde::{Deserialize, Serialize};

use super::{
    invalid,
    policies::{Layer, Layers, Source},
};
use crate::{
    kms::CallError,
    model::{ParseError, PrincipalArn, PrincipalKind},
    policy::{ConditionContext, PolicyKind},
    services::{
        iam::value::PolicyText,
        query::{ParameterValue, Shape},
    },
};

/// The most actions times resources of one request.
pub(super) const SIMULATIONS_MAX: usize = 10_000;
/// The most levels of an organisation (IAM API, `OrganizationPolicyListType`).
const LEVELS_MAX: usize = 7;
/// The most exclusions (IAM API, `PolicyExclusionsListType`).
const EXCLUSIONS_MAX: usize = 256;
/// How many actions are answered at once when the request does not say.
const ITEMS_DEFAULT: u32 = 100;
/// The most actions that are answered at once (IAM API, `maxItemsType`).
const ITEMS_MAX: u32 = 1000;

/// What both operations ask beside the policies.
pub(super) struct Inputs<'a> {
    pub(super) action_names: &'a [String],
    pub(super) resource_arns: Option<&'a [String]>,
    pub(super) resource_policy: Option<&'a PolicyText>,
    pub(super) resource_owner: Option<&'a str>,
    pub(super) context_entries: Option<&'a ContextEntries>,
    pub(super) page: (Option<ItemsMax>, Option<PageMarker>),
}

impl ParameterValue for String {}

/// The ARN of a user, group or role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SimulatedArn(String);

impl SimulatedArn {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `user`, `group`, `role` …
    pub(super) fn kind(&self) -> Option<&str> {
        self.resource()?.split('/').next()
    }

    /// The name behind the path.
    pub(super) fn name(&self) -> Option<&str> {
        self.resource()?.rsplit('/').next()
    }

    fn resource(&self) -> Option<&str> {
        self.0.strip_prefix("arn:aws:iam::")?.split_once(':').map(|(_, resource)| resource)
    }

    /// The user or role.
    pub(super) fn principal(&self) -> Result<PrincipalArn, CallError> {
        let parsed: Option<PrincipalArn> = self.0.parse().ok();
        let is_one = |arn: &PrincipalArn| matches!(arn.kind(), PrincipalKind::User | PrincipalKind::Role);
        parsed
            .filter(is_one)
            .ok_or_else(|| invalid(format!("{} is not the ARN of a user or a role.", self.0)))
    }
}

impl ParameterValue for SimulatedArn {}

/// How many actions are answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ItemsMax(u32);

impl ItemsMax {
    pub(super) fn or_default(given: Option<Self>) -> usize {
        usize::try_from(given.map_or(ITEMS_DEFAULT, |items| items.0)).unwrap_or(usize::MAX)
    }
}

impl TryFrom<u32> for ItemsMax {
    type Error = ParseError;

    fn try_from(items: u32) -> Result<Self, ParseError> {
        match items {
            1..=ITEMS_MAX => Ok(Self(items)),
            _ => Err(ParseError::new(format!("MaxItems must be from 1 to {ITEMS_MAX}"))),
        }
    }
}

impl From<ItemsMax> for u32 {
    fn from(items: ItemsMax) -> Self {
        items.0
    }
}

impl ParameterValue for ItemsMax {
    const SHAPE: Shape = Shape::Number;
}

/// Where a page begins: the number of its first action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PageMarker(pub(super) usize);

impl TryFrom<String> for PageMarker {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        let number = text.strip_prefix("action-").and_then(|number| number.parse().ok());
        number.map(Self).ok_or_else(|| ParseError::new("the Marker is not one that this operation answered"))
    }
}

impl From<PageMarker> for String {
    fn from(marker: PageMarker) -> Self {
        format!("action-{}", marker.0)
    }
}

impl ParameterValue for PageMarker {}

/// The condition keys of the simulated request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContextEntries(Vec<ContextEntry>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ContextEntry {
    context_key_name: String,
    context_key_values: Vec<String>,
    context_key_type: ContextKeyType,
}

/// What a condition key holds (IAM API, `ContextKeyTypeEnum`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ContextKeyType {
    String,
    StringList,
    Numeric,
    NumericList,
    Boolean,
    BooleanList,
    Ip,
    IpList,
    Binary,
    BinaryList,
    Date,
    DateList,
}

impl ContextKeyType {
    fn is_list(self) -> bool {
        matches!(
            self,
            Self::StringList
                | Self::NumericList
                | Self::BooleanList
                | Self::IpList
                | Self::BinaryList
                | Self::DateList
        )
    }
}

impl ContextEntries {
    /// Sets the keys; what the request says goes before what follows from its caller.
    pub(super) fn fill(&self, context: &mut ConditionContext) {
        for entry in &self.0 {
            match entry.context_key_values.as_slice() {
                [one] if !entry.context_key_type.is_list() => context.set(&entry.context_key_name, one),
                many => context.set_many(&entry.context_key_name, many.iter().cloned()),
            };
        }
    }

    /// Refuses several values of a key that holds one.
    pub(super) fn check(&self) -> Result<(), CallError> {
        let wrong = |entry: &&ContextEntry| {
            entry.context_key_values.is_empty()
                || (!entry.context_key_type.is_list() && entry.context_key_values.len() > 1)
        };
        match self.0.iter().find(wrong) {
            None => Ok(()),
            Some(entry) => Err(invalid(format!(
                "The context key {} has {} values, which its type does not admit.",
                entry.context_key_name,
                entry.context_key_values.len()
            ))),
        }
    }
}

impl ParameterValue for ContextEntries {
    const SHAPE: Shape = Shape::Tree;
}

/// Service control policies by level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrganizationLevels(Vec<OrganizationLevel>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OrganizationLevel {
    #[serde(default)]
    service_control_policy_input_list: Vec<String>,
}

impl OrganizationLevels {
    pub(super) fn parse(&self) -> Result<Vec<Vec<Layer>>, CallError> {
        if self.0.len() > LEVELS_MAX {
            return Err(invalid(format!("An organization has at most {LEVELS_MAX} levels.")));
        }
        let level = |(number, level): (usize, &OrganizationLevel)| {
            let name = format!("OrderedOrganizationPolicyInputList.{}", number + 1);
            Layer::parse_all(&name, &level.service_control_policy_input_list, PolicyKind::Scp)
        };
        self.0.iter().enumerate().map(level).collect()
    }
}

impl ParameterValue for OrganizationLevels {
    const SHAPE: Shape = Shape::Tree;
}

/// Which policies a simulation leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PolicyExclusion>", into = "Vec<PolicyExclusion>")]
pub struct PolicyExclusions(Vec<PolicyExclusion>);

/// One or more policies: by their type, by ARN, or an inline one by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum PolicyExclusion {
    PolicyType(ExcludedType),
    PolicyArn(String),
    InlinePolicyIdentifier(InlinePolicy),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ExcludedType {
    Inline,
    AwsManaged,
    UserManaged,
    PermissionBoundary,
    Scp,
    Rcp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct InlinePolicy {
    policy_name: String,
    attachment_type: String,
    attachment_name: String,
}

impl TryFrom<Vec<PolicyExclusion>> for PolicyExclusions {
    type Error = ParseError;

    fn try_from(list: Vec<PolicyExclusion>) -> Result<Self, ParseError> {
        if list.len() > EXCLUSIONS_MAX {
            return Err(ParseError::new(format!("PolicyExclusionList has at most {EXCLUSIONS_MAX} entries")));
        }
        Ok(Self(list))
    }
}

impl From<PolicyExclusions> for Vec<PolicyExclusion> {
    fn from(exclusions: PolicyExclusions) -> Self {
        exclusions.0
    }
}

impl PolicyExclusions {
    /// Takes what is excluded out.
    pub(super) fn apply(&self, layers: &mut Layers) {
        layers.identity.retain(|layer| !self.0.iter().any(|exclusion| exclusion.takes(layer)));
        let boundary_goes = |exclusion: &PolicyExclusion| {
            matches!(exclusion, PolicyExclusion::PolicyType(ExcludedType::PermissionBoundary))
        };
        if self.0.iter().any(boundary_goes) {
            layers.boundary = None;
        }
        if self.0.contains(&PolicyExclusion::PolicyType(ExcludedType::Scp)) {
            layers.scp.clear();
        }
    }
}

impl PolicyExclusion {
    fn takes(&self, layer: &Layer) -> bool {
        match (self, &layer.source) {
            (Self::PolicyType(ExcludedType::Inline), Source::Inline { .. })
            | (Self::PolicyType(ExcludedType::AwsManaged), Source::AwsManaged(_))
            | (Self::PolicyType(ExcludedType::UserManaged), Source::UserManaged(_)) => true,
            (Self::PolicyArn(pattern), Source::AwsManaged(arn) | Source::UserManaged(arn)) => {
                matches_wildcard(pattern, arn)
            }
            (Self::InlinePolicyIdentifier(one), Source::Inline { kind, holder }) => {
                one.policy_name == layer.id
                    && one.attachment_type == *kind
                    && matches_wildcard(&one.attachment_name, holder)
            }
            _ => false,
        }
    }
}

/// Whether a text fits a pattern with one `*` at most, and `?` for one character each.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let fits = |pattern: &str, text: &str| {
        pattern.chars().count() == text.chars().count()
            && pattern.chars().zip(text.chars()).all(|(wanted, is)| wanted == '?' || wanted == is)
    };
    let Some((before, after)) = pattern.split_once('*') else { return fits(pattern, text) };
    let (first, last) = (before.chars().count(), after.chars().count());
    let length = text.chars().count();
    let head: String = text.chars().take(first).collect();
    let tail: String = text.chars().skip(length.saturating_sub(last)).collect();
    first + last <= length && fits(before, &head) && fits(after, &tail)
}

impl ParameterValue for PolicyExclusions {
    const SHAPE: Shape = Shape::Tree;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_what_they_say() {
        for (pattern, text, fits) in [
            ("a*d", "abcd", true),
            ("a*d", "ad", true),
            ("a*da", "ada", true),
            ("ab*b", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches_wildcard(pattern, text), fits, "{pattern} {text}");
        }
    }
}
