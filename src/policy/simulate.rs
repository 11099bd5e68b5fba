//! Decides a request that is written in JSON and needs no keystore.
//!
//! The shape is public:
//!
//! ```json
//! { "principal": { "arn": "arn:aws:iam::111122223333:user/alice", "tags": {}, "role_tags": {} },
//!   "action": "kms:Decrypt",
//!   "resource": { "arn": "arn:aws:kms:us-east-1:111122223333:key/…", "tags": {}, "aliases": ["alias/x"] },
//!   "context": { "kms:EncryptionContext:app": "x", "kms:EncryptionContextKeys": ["app"] },
//!   "policies": { "resource": {}, "identity": [{}], "boundary": null, "session": [], "scp": [[{}]], "rcp": [[{}]],
//!                 "vpc_endpoint": null },
//!   "grants": [] }
//! ```
//!
//! Only `principal`, `action` and `resource` are required; a key of a request that is not listed is an error. Keys of the
//! condition context that follow from principal and resource are filled in, and what `context` says goes before
//! them. Positions in the trace are those of the whole text.

use serde::Serialize;
use thiserror::Error;

use crate::model::{AccountId, Arn, EncryptionContext, PrincipalArn};

use super::{
    CheckType, ChildGrant, ConditionContext, ContextValue, DecisionEffect, GrantConstraint, GrantFacts,
    GrantOperations, Layers, NamedPolicy, Policy, PolicyError, PolicyKind, Position, PrincipalFacts, Request,
    Resource, Trace,
    actions::is_assuming,
    decide, explain,
    grant::parse_operations,
    json::{self, Node, Value},
    known::check_kms_action,
    request::ResourceKind,
};

/// The most bytes of a text to simulate: many requests, each with policies at their limits.
pub const SIMULATE_TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How deep a text to simulate may nest: a policy's own depth, within an array of requests.
const DEPTH_MAX: usize = 40;

/// A decided request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Simulation {
    /// What was decided.
    pub decision: DecisionEffect,
    /// The check that decided.
    pub deciding: CheckType,
    /// How it came about.
    pub trace: Trace,
    /// The denial in AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why a request could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SimulateError(PolicyError);

impl SimulateError {
    /// What is wrong and where: message, line, column.
    #[must_use]
    pub fn cause(&self) -> &PolicyError {
        &self.0
    }
}

impl From<PolicyError> for SimulateError {
    fn from(error: PolicyError) -> Self {
        Self(error)
    }
}

/// What a text to simulate held: one request, or an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simulations {
    /// One request.
    One(Box<Result<Simulation, SimulateError>>),
    /// The requests of an array, in order.
    Many(Vec<Result<Simulation, SimulateError>>),
}

impl Simulations {
    /// The results, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Result<Simulation, SimulateError>> {
        match self {
            Self::One(result) => std::slice::from_ref(&**result).iter(),
            Self::Many(results) => results.iter(),
        }
    }
}

/// As the public shape has it: an array for an array, and `{"error": …}` in the place of what is malformed.
impl Serialize for Simulations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = |result: &Result<Simulation, SimulateError>| match result {
            Ok(simulation) => serde_json::to_value(simulation),
            Err(error) => Ok(serde_json::json!({ "error": error.to_string() })),
        };
        let written = match self {
            Self::One(result) => shape(result),
            Self::Many(results) => results.iter().map(shape).collect(),
        };
        written.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Decides the request, or each request of an array, that a JSON text holds.
///
/// # Errors
///
/// When the text is no JSON, names a key twice, nests too deeply or is too long. What is wrong with one request
/// stands in its place.
pub fn simulate_text(text: &str) -> Result<Simulations, SimulateError> {
    if text.len() > SIMULATE_TEXT_BYTES_MAX {
        return Err(PolicyError::new("the text is too long", Position::START).into());
    }
    let root = json::read(text, Position::START, DEPTH_MAX)?;
    Ok(match &root.value {
        Value::Array(nodes) => Simulations::Many(nodes.iter().map(|node| one(node, text)).collect()),
        _ => Simulations::One(Box::new(one(&root, text))),
    })
}

/// Decides the request that a JSON value holds. Positions are those of the value written out, indented.
///
/// # Errors
///
/// When the request or one of its policies is malformed.
pub fn simulate(request: &serde_json::Value) -> Result<Simulation, SimulateError> {
    let text = format!("{request:#}");
    let root = json::read(&text, Position::START, DEPTH_MAX)?;
    one(&root, &text)
}

/// The keys of a request: what decides, then labels, which do not.
const REQUEST_KEYS: &[&str] = &[
    "principal",
    "action",
    "resource",
    "context",
    "policies",
    "grants",
    "name",
    "id",
    "title",
    "description",
    "comment",
    "note",
    "source",
    "expect",
];

type Outcome<T> = Result<T, PolicyError>;

fn one(node: &Node, text: &str) -> Result<Simulation, SimulateError> {
    Ok(run(node, text)?)
}

fn run(node: &Node, text: &str) -> Outcome<Simulation> {
    check_keys(node, "a request", REQUEST_KEYS)?;
    let principal_node = required(node, "principal")?;
    let principal = principal(principal_node)?;
    let action_node = required(node, "action")?;
    let action = string(action_node, "`action`")?;
    let well_formed = action.split_once(':').is_some_and(|(service, name)| {
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        word(service) && word(name)
    });
    if !well_formed {
        return Err(PolicyError::new(
            format!("the action `{action}` must be `SERVICE:ACTION`"),
            action_node.span.start,
        ));
    }
    if let Err(unknown) = check_kms_action(action) {
        let meant = unknown.meant().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        return Err(PolicyError::new(format!("{unknown}{meant}"), action_node.span.start));
    }
    let resource_node = required(node, "resource")?;
    let given = match present(node, "context") {
        Some(node) => given_context(node)?,
        None => ConditionContext::new(),
    };
    let resource = resource(resource_node, &given)?;
    let context = fill_context(given, &principal, principal_node, &resource, resource_node)?;
    let encryption_context = encryption_context(&context, node)?;
    let policies = match present(node, "policies") {
        Some(policies) => Policies::parse(policies, text, action, &resource)?,
        None => Policies::default(),
    };
    let grants = match present(node, "grants") {
        Some(grants) => grants_of(grants, &resource)?,
        None => Vec::new(),
    };
    let child_constraint = child_constraint(&context, &encryption_context);
    let facts: Vec<GrantFacts<'_>> = grants.iter().map(|grant| grant.facts(&resource)).collect();
    let (identity, session) = (named(&policies.identity), named(&policies.session));
    let (scp, rcp) = (levels(&policies.scp), levels(&policies.rcp));
    let (scp, rcp): (Vec<_>, Vec<_>) =
        (scp.iter().map(Vec::as_slice).collect(), rcp.iter().map(Vec::as_slice).collect());
    let mut request = Request::new(&principal, action, &resource, &context);
    request.encryption_context = Some(&encryption_context);
    request.child_grant = Some(ChildGrant {
        operations: child_operations(&context, node)?,
        constraint: child_constraint.as_ref(),
    });
    request.grants = &facts;
    request.layers = Layers {
        resource: policies.resource.as_ref(),
        identity: &identity,
        boundary: policies.boundary.as_ref().map(|policy| NamedPolicy { name: "boundary", policy }),
        session: &session,
        scp: &scp,
        rcp: &rcp,
        vpc_endpoint: policies.vpc_endpoint.as_ref(),
    };
    let decision = decide(&request);
    Ok(Simulation {
        decision: decision.effect(),
        deciding: decision.deciding(),
        trace: explain(&request),
        message: decision.denial_message(),
    })
}

fn principal(node: &Node) -> Outcome<PrincipalFacts> {
    check_keys(node, "`principal`", &["arn", "tags", "role_tags"])?;
    let arn = required(node, "arn")?;
    let text = string(arn, "the principal's `arn`")?;
    // A service that calls for itself has no ARN; its name stands in its place.
    if text.ends_with(".amazonaws.com") && !text.contains(':') {
        return Ok(PrincipalFacts::service(text));
    }
    let parsed: PrincipalArn = text.parse().map_err(|error| at(arn, &error))?;
    Ok(PrincipalFacts::new(parsed))
}

fn resource(node: &Node, given: &ConditionContext) -> Outcome<Resource> {
    let arn = if node.as_str() == Some("*") {
        node
    } else {
        check_keys(node, "`resource`", &["arn", "tags", "aliases"])?;
        required(node, "arn")?
    };
    let text = string(arn, "the resource's `arn`")?;
    if text == "*" {
        return Ok(Resource::none());
    }
    let parsed: Arn = text.parse().map_err(|error| at(arn, &error))?;
    let owner = match given.get("aws:ResourceAccount") {
        Some(ContextValue::One(account)) => {
            Some(account.parse::<AccountId>().map_err(|error| at(node, &error))?)
        }
        _ => None,
    };
    Ok(Resource::of_arn(&parsed, owner))
}

fn given_context(node: &Node) -> Outcome<ConditionContext> {
    let mut context = ConditionContext::new();
    for (key, value) in object(node, "`context`")? {
        if context.get(&key.text).is_some() {
            return Err(PolicyError::new(
                format!("the condition key `{}` stands twice, but for its case", key.text),
                key.span.start,
            ));
        }
        match &value.value {
            Value::Array(values) => {
                let values: Vec<String> = values.iter().map(scalar).collect::<Outcome<_>>()?;
                context.set_many(&key.text, values);
            }
            _ => _ = context.set(&key.text, scalar(value)?),
        }
    }
    Ok(context)
}

/// Adds what follows from principal and resource; what was given goes before it.
fn fill_context(
    given: ConditionContext,
    principal: &PrincipalFacts,
    principal_node: &Node,
    resource: &Resource,
    resource_node: &Node,
) -> Outcome<ConditionContext> {
    let mut context = ConditionContext::new();
    context.principal(principal).resource(resource, principal);
    let through_service = given.get("aws:CalledVia").is_some() || given.get("kms:ViaService").is_some();
    context.set_bool("aws:ViaAWSService", through_service);
    if let Ok(region) = resource.as_str().split(':').nth(3).unwrap_or_default().parse() {
        context.region(&region);
    }
    // A session's own tags go before its role's.
    for tags in ["role_tags", "tags"] {
        for (key, value) in pairs(principal_node, tags)? {
            context.principal_tags([(key.as_str(), value.as_str())]);
        }
    }
    for (key, value) in pairs(resource_node, "tags")? {
        context.resource_tags(resource, [(key.as_str(), value.as_str())]);
    }
    if let Some(aliases) = present(resource_node, "aliases") {
        context.resource_aliases(strings(aliases, "an alias")?);
    }
    let hides_tags = resource.kind() == ResourceKind::Key;
    for (key, value) in given.iter() {
        match value {
            ContextValue::One(value) => context.set(key, value),
            ContextValue::Many(values) => context.set_many(key, values),
        };
        if key == "kms:resourcealiases" || (hides_tags && key.starts_with("aws:resourcetag/")) {
            context.hide_from_resource_policy(key);
        }
    }
    Ok(context)
}

const CONTEXT_PREFIX: &str = "kms:encryptioncontext:";

/// The encryption context behind the condition keys. Their case is lost, which grants do not mind.
fn encryption_context(context: &ConditionContext, node: &Node) -> Outcome<EncryptionContext> {
    let mut pairs = EncryptionContext::new();
    for (key, value) in context.iter() {
        if let (Some(key), ContextValue::One(value)) = (key.strip_prefix(CONTEXT_PREFIX), value) {
            pairs.insert(key, value).map_err(|error| at(node, &error))?;
        }
    }
    Ok(pairs)
}

/// What a CreateGrant asks for, as its condition keys tell.
fn child_operations(context: &ConditionContext, node: &Node) -> Outcome<GrantOperations> {
    let names = context.get("kms:GrantOperations").map_or(&[] as &[String], ContextValue::values);
    parse_operations(names.iter().map(String::as_str)).map_err(|error| at(node, &error))
}

fn child_constraint(context: &ConditionContext, pairs: &EncryptionContext) -> Option<GrantConstraint> {
    match context.get("kms:GrantConstraintType")?.values() {
        [one] if one == "EncryptionContextEquals" => {
            Some(GrantConstraint::EncryptionContextEquals(pairs.clone()))
        }
        [one] if one == "EncryptionContextSubset" => {
            Some(GrantConstraint::EncryptionContextSubset(pairs.clone()))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Policies {
    resource: Option<Policy>,
    identity: Vec<(String, Policy)>,
    boundary: Option<Policy>,
    session: Vec<(String, Policy)>,
    scp: Vec<Vec<(String, Policy)>>,
    rcp: Vec<Vec<(String, Policy)>>,
    vpc_endpoint: Option<Policy>,
}

impl Policies {
    fn parse(node: &Node, text: &str, action: &str, resource: &Resource) -> Outcome<Self> {
        let known = ["resource", "identity", "boundary", "session", "scp", "rcp", "vpc_endpoint"];
        check_keys(node, "`policies`", &known)?;
        let resource_kind = match resource.kind() {
            ResourceKind::Key => PolicyKind::Key,
            ResourceKind::Role if is_assuming(&action.to_ascii_lowercase()) => PolicyKind::Trust,
            _ => PolicyKind::Resource,
        };
        let single = |name, kind| present(node, name).map(|node| policy(node, text, kind)).transpose();
        let list = |name, kind| match present(node, name) {
            Some(node) => policies(node, name, text, kind),
            None => Ok(Vec::new()),
        };
        let levels = |name, kind| match present(node, name) {
            Some(node) => array(node, name)?
                .iter()
                .enumerate()
                .map(|(level, node)| policies(node, &format!("{name}[{level}]"), text, kind))
                .collect(),
            None => Ok(Vec::new()),
        };
        Ok(Self {
            resource: single("resource", resource_kind)?,
            // Whose policy it is, is not said: the largest limit of all holds.
            identity: list("identity", PolicyKind::INLINE_ROLE)?,
            boundary: single("boundary", PolicyKind::Boundary)?,
            session: list("session", PolicyKind::Session)?,
            scp: levels("scp", PolicyKind::Scp)?,
            rcp: levels("rcp", PolicyKind::Rcp)?,
            vpc_endpoint: single("vpc_endpoint", PolicyKind::VpcEndpoint)?,
        })
    }
}

fn policy(node: &Node, text: &str, kind: PolicyKind) -> Outcome<Policy> {
    let span = node.span;
    let slice = text.get(span.start.offset..span.end.offset).unwrap_or_default();
    Policy::parse_at(slice, kind, span.start)
}

fn policies(node: &Node, name: &str, text: &str, kind: PolicyKind) -> Outcome<Vec<(String, Policy)>> {
    array(node, name)?
        .iter()
        .enumerate()
        .map(|(index, node)| Ok((format!("{name}[{index}]"), policy(node, text, kind)?)))
        .collect()
}

fn named(policies: &[(String, Policy)]) -> Vec<NamedPolicy<'_>> {
    policies.iter().map(|(name, policy)| NamedPolicy { name, policy }).collect()
}

fn levels(levels: &[Vec<(String, Policy)>]) -> Vec<Vec<NamedPolicy<'_>>> {
    levels.iter().map(|level| named(level)).collect()
}

/// A grant as CreateGrant takes it.
struct Grant {
    id: String,
    name: Option<String>,
    grantee: PrincipalArn,
    retiring: Option<PrincipalArn>,
    operations: GrantOperations,
    constraint: Option<GrantConstraint>,
}

impl Grant {
    fn facts<'a>(&'a self, resource: &'a Resource) -> GrantFacts<'a> {
        GrantFacts {
            id: &self.id,
            name: self.name.as_deref(),
            grantee: &self.grantee,
            grantee_id: None,
            retiring: self.retiring.as_ref(),
            retiring_id: None,
            issuing_account: resource.owner(),
            operations: self.operations,
            constraint: self.constraint.as_ref(),
        }
    }
}

/// The grants on the resource; one with another key's `KeyId` is none of them.
fn grants_of(node: &Node, resource: &Resource) -> Outcome<Vec<Grant>> {
    let mut grants = Vec::new();
    for (index, node) in array(node, "grants")?.iter().enumerate() {
        let known = [
            "KeyId",
            "GranteePrincipal",
            "RetiringPrincipal",
            "Operations",
            "Constraints",
            "Name",
            "GrantId",
            "GrantTokens",
            "DryRun",
        ];
        check_keys(node, "a grant", &known)?;
        let text = |name| present(node, name).map(|node| string(node, name)).transpose();
        let here = text("KeyId")?.is_none_or(|key| {
            key == resource.as_str() || resource.as_str().ends_with(&format!(":key/{key}"))
        });
        let principal = |node: &Node| {
            string(node, "a principal")?.parse::<PrincipalArn>().map_err(|error| at(node, &error))
        };
        let operations = required(node, "Operations")?;
        let names = strings(operations, "an operation")?;
        let grant = Grant {
            id: text("GrantId")?.map_or_else(|| format!("grants[{index}]"), Into::into),
            name: text("Name")?.map(Into::into),
            grantee: principal(required(node, "GranteePrincipal")?)?,
            retiring: present(node, "RetiringPrincipal").map(principal).transpose()?,
            operations: parse_operations(names.iter().map(String::as_str))
                .map_err(|error| at(operations, &error))?,
            constraint: constraint(node)?,
        };
        if here {
            grants.push(grant);
        }
    }
    Ok(grants)
}

fn constraint(grant: &Node) -> Outcome<Option<GrantConstraint>> {
    let Some(node) = present(grant, "Constraints") else { return Ok(None) };
    check_keys(node, "`Constraints`", &["EncryptionContextEquals", "EncryptionContextSubset"])?;
    let context = |name| {
        if present(node, name).is_none() {
            return Ok(None);
        }
        EncryptionContext::from_pairs(pairs(node, name)?).map(Some).map_err(|error| at(node, &error))
    };
    match (context("EncryptionContextEquals")?, context("EncryptionContextSubset")?) {
        (Some(pairs), None) => Ok(Some(GrantConstraint::EncryptionContextEquals(pairs))),
        (None, Some(pairs)) => Ok(Some(GrantConstraint::EncryptionContextSubset(pairs))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(PolicyError::new("a grant has one constraint, not two", node.span.start)),
    }
}

fn at(node: &Node, error: &impl ToString) -> PolicyError {
    PolicyError::new(error.to_string(), node.span.start)
}

fn object<'n>(node: &'n Node, what: &str) -> Outcome<&'n [(json::Key, Node)]> {
    node.as_object().ok_or_else(|| {
        PolicyError::new(format!("{what} must be an object, not {}", node.sort()), node.span.start)
    })
}

fn array<'n>(node: &'n Node, name: &str) -> Outcome<&'n [Node]> {
    if let Value::Array(nodes) = &node.value {
        Ok(nodes)
    } else {
        Err(PolicyError::new(format!("`{name}` must be an array, not {}", node.sort()), node.span.start))
    }
}

fn string<'n>(node: &'n Node, what: &str) -> Outcome<&'n str> {
    node.as_str().ok_or_else(|| {
        PolicyError::new(format!("{what} must be a string, not {}", node.sort()), node.span.start)
    })
}

fn strings(node: &Node, what: &str) -> Outcome<Vec<String>> {
    array(node, what)?.iter().map(|node| string(node, what).map(Into::into)).collect()
}

fn scalar(node: &Node) -> Outcome<String> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(PolicyError::new(
            format!("a condition key's value must be a string, number or boolean, not {}", node.sort()),
            node.span.start,
        )),
    }
}

/// The members of an object of texts; none when it is left out.
fn pairs(node: &Node, name: &str) -> Outcome<Vec<(String, String)>> {
    let Some(node) = present(node, name) else { return Ok(Vec::new()) };
    object(node, name)?
        .iter()
        .map(|(key, value)| Ok((key.text.clone(), string(value, &format!("`{}`", key.text))?.into())))
        .collect()
}

/// A member that is there and not null.
fn present<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    node.get(name).filter(|node| node.value != Value::Null)
}

fn required<'n>(node: &'n Node, name: &str) -> Outcome<&'n Node> {
    present(node, name).ok_or_else(|| PolicyError::new(format!("`{name}` is missing"), node.span.start))
}

fn check_keys(node: &Node, what: &str, known: &[&str]) -> Outcome<()> {
    match object(node, what)?.iter().find(|(key, _)| !known.contains(&key.text.as_str())) {
        Some((key, _)) => {
            Err(PolicyError::new(format!("`{}` has no place in {what}", key.text), key.span.start))
        }
        None => Ok(()),
    }
}
