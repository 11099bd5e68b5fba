//! A policy document, compiled: statements whose patterns, actions and operators are parsed once.
//!
//! Source: "IAM JSON policy elements reference" (IAM user guide) and "Key policies in AWS KMS" (KMS developer guide).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::PrincipalArn;

use super::{
    PolicyError, PolicyKind, Position, Span,
    condition::{Condition, View},
    context::Viewer,
    glob::{Glob, Template, arn_tokens_match},
    parse,
    principal::{NamedPrincipal, PrincipalMatch, Who, spares},
    request::Request,
};

/// A policy, parsed and compiled.
///
/// ```
/// use keystead::policy::{Policy, PolicyKind};
///
/// let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#;
/// let policy = Policy::parse(text, PolicyKind::MANAGED)?;
/// assert_eq!(policy.text(), text);
///
/// let refused = Policy::parse("{\n  \"Version\": 2012 }", PolicyKind::MANAGED).unwrap_err();
/// assert_eq!((refused.line(), refused.column()), (2, 14));
/// # Ok::<(), keystead::policy::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    pub(super) text: String,
    pub(super) kind: PolicyKind,
    pub(super) statements: Vec<Statement>,
}

impl Policy {
    /// Parses and compiles the JSON text of a policy.
    ///
    /// # Errors
    ///
    /// When the text is too long, nests deeper than 32, is no JSON or names a key twice; when an element is missing,
    /// unknown, out of place or malformed; when a Deny holds a condition that cannot be understood.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        Self::parse_at(text, kind, Position::START)
    }

    /// As [`parse`](Self::parse), for a policy that stands within another text, beginning at `start`.
    pub(super) fn parse_at(text: &str, kind: PolicyKind, start: Position) -> Result<Self, PolicyError> {
        let statements = parse::policy(text, kind, start)?;
        Ok(Self { text: text.into(), kind, statements })
    }

    /// The text that was parsed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of policy it is.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// How many statements there are.
    #[must_use]
    pub fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// The `Sid` of a statement and where the statement stands in the text.
    #[must_use]
    pub fn statement(&self, index: usize) -> Option<(Option<&str>, Span)> {
        self.statements.get(index).map(|statement| (statement.sid.as_deref(), statement.span))
    }

    /// The users, roles and sessions that the policy names, so that the caller can check that they exist.
    pub fn principals(&self) -> impl Iterator<Item = &PrincipalArn> {
        self.named().filter_map(|named| if let Who::Arn { arn, .. } = &named.who { Some(arn) } else { None })
    }

    /// Binds each user, role and session that the policy names to its unique id, as AWS keeps ids in place of ARNs:
    /// whoever comes later under the same name is not meant. For a session, `find` gives its role's id.
    ///
    /// Ask `find` when the policy is written, keep what it answered beside the text, and answer the same when the policy
    /// is read back. Principals for which it answers `None` go on being matched by ARN.
    pub fn resolve_principals(&mut self, mut find: impl FnMut(&PrincipalArn) -> Option<String>) {
        for statement in &mut self.statements {
            for named in statement.principals.iter_mut().flat_map(|element| &mut element.list) {
                if let Who::Arn { arn, id } = &mut named.who {
                    *id = find(arn);
                }
            }
        }
    }

    fn named(&self) -> impl Iterator<Item = &NamedPrincipal> {
        self.statements.iter().flat_map(|statement| &statement.principals).flat_map(|element| &element.list)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Policy").field("kind", &self.kind).field("text", &self.text).finish()
    }
}

/// Two policies are the same when their texts are, and their kinds.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text
    }
}

impl Eq for Policy {}

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// One statement.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) span: Span,
    /// Absent in policies that belong to a principal.
    pub(super) principals: Option<Element<NamedPrincipal>>,
    /// Absent: the statement is inert.
    pub(super) actions: Option<Element<ActionPattern>>,
    pub(super) resources: Resources,
    pub(super) conditions: Vec<Condition>,
}

/// A list of patterns, or (`Not…`) everything but them.
#[derive(Debug, Clone)]
pub(super) struct Element<T> {
    pub(super) negated: bool,
    pub(super) list: Vec<T>,
    pub(super) span: Span,
}

/// An action's pattern, in lower case.
#[derive(Debug, Clone)]
pub(super) struct ActionPattern {
    pub(super) glob: Glob,
    pub(super) text: String,
}

/// A resource's pattern.
#[derive(Debug, Clone)]
pub(super) struct ResourcePattern {
    /// None is `*`.
    pub(super) template: Option<Template>,
    pub(super) text: String,
}

/// The resources of a statement.
#[derive(Debug, Clone)]
pub(super) enum Resources {
    /// Trust policies have none: the resource is the role.
    Implied,
    /// Left out in a key policy: the statement is inert.
    Missing,
    Listed(Element<ResourcePattern>),
}

/// A request as the policies of one layer see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) request: &'a Request<'a>,
    /// The action in lower case.
    pub(super) action: &'a str,
    pub(super) viewer: Viewer,
}

impl<'a> Seen<'a> {
    pub(super) fn view(&self) -> View<'a> {
        View { context: self.request.context, viewer: self.viewer }
    }
}

impl Statement {
    /// How the statement fits the caller when all its elements match; `None` in any other case.
    pub(super) fn applies(&self, seen: Seen<'_>) -> PrincipalMatch {
        if !self.action_matches(seen) {
            return PrincipalMatch::None;
        }
        let principal = self.principal_match(seen);
        let applies = principal != PrincipalMatch::None
            && self.resource_matches(seen)
            && self.conditions.iter().all(|condition| condition.holds(self.effect, seen.view()));
        if applies { principal } else { PrincipalMatch::None }
    }

    pub(super) fn action_matches(&self, seen: Seen<'_>) -> bool {
        self.actions.as_ref().is_some_and(|element| {
            element.list.iter().any(|pattern| pattern.glob.matches(seen.action)) != element.negated
        })
    }

    pub(super) fn resource_matches(&self, seen: Seen<'_>) -> bool {
        match &self.resources {
            Resources::Implied => true,
            Resources::Missing => false,
            Resources::Listed(element) => element.matches(seen, self.effect),
        }
    }

    /// The best of the statement's principals.
    pub(super) fn principal_match(&self, seen: Seen<'_>) -> PrincipalMatch {
        let Some(element) = &self.principals else { return PrincipalMatch::Direct };
        let caller = seen.request.principal;
        if element.negated {
            let spared = spares(&element.list, caller, seen.request.layers.boundary.is_some());
            return if spared { PrincipalMatch::None } else { PrincipalMatch::Any };
        }
        let matches = element.list.iter().map(|named| named.who.matches(caller, self.effect));
        if self.pins_principal_arn() {
            // `*` counts for more than a role here: see `Grade`.
            matches.max_by_key(|found| (*found == PrincipalMatch::Any, *found))
        } else {
            matches.max()
        }
        .unwrap_or(PrincipalMatch::None)
    }

    /// Whether a condition says which principal is meant, as `*` alone does not.
    pub(super) fn pins_principal_arn(&self) -> bool {
        self.conditions.iter().any(Condition::pins_principal_arn)
    }
}

/// A pattern that remembers how it was written.
pub(super) trait Written {
    fn text(&self) -> &str;
}

impl Written for NamedPrincipal {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Written for ActionPattern {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Written for ResourcePattern {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Element<ResourcePattern> {
    fn matches(&self, seen: Seen<'_>, effect: Effect) -> bool {
        let resource = seen.request.resource.as_str();
        let mut unresolved = false;
        let listed = self.list.iter().any(|pattern| {
            let Some(template) = &pattern.template else { return true };
            let tokens = template.resolve(|key| seen.view().variable(key));
            unresolved |= tokens.is_none();
            tokens.is_some_and(|tokens| arn_tokens_match(&tokens, resource))
        });
        // A pattern whose variable stands for nothing matches nothing. Under NotResource that would widen an Allow
        // (AWS is silent), so there such a statement does not match.
        let in_doubt = unresolved && effect == Effect::Allow;
        if self.negated { !(listed || in_doubt) } else { listed }
    }
}
