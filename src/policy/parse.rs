//! From JSON to a compiled policy.
//!
//! Source: "Grammar of the IAM JSON policy language" (IAM user guide) and "Key policies" (KMS developer guide).
//! What cannot be understood is refused, save one thing that AWS too accepts: a condition in an Allow. It is kept
//! and never holds.

use std::collections::HashSet;

use super::{
    PolicyError, PolicyKind, Position,
    condition::Condition,
    document::{ActionPattern, Effect, Element, ResourcePattern, Resources, Statement},
    glob::{Glob, Reading, Template},
    json::{self, Key, Node, Value},
    kind::{POLICY_TEXT_BYTES_MAX, SizeLimit},
    principal::{self, NamedPrincipal},
};

/// How deep arrays and objects may nest in a policy.
const DEPTH_MAX: usize = 32;

type Outcome<T> = Result<T, PolicyError>;

/// Parses the text of a policy that begins at `start` of a larger text.
pub(super) fn policy(text: &str, kind: PolicyKind, start: Position) -> Outcome<Vec<Statement>> {
    check_size(text, kind, start)?;
    let root = json::read(text, start, DEPTH_MAX)?;
    let members = object(&root, "a policy")?;
    let mut variables = false;
    let mut statements = None;
    for (key, node) in members {
        match key.text.as_str() {
            "Version" => variables = version(node)?,
            "Id" => _ = string(node, "`Id`")?,
            "Statement" => statements = Some(node),
            other => return Err(refuse_key(other, key, "a policy")),
        }
    }
    let statements =
        statements.ok_or_else(|| PolicyError::new("the policy has no `Statement`", root.span.start))?;
    let parser = StatementParser { kind, variables };
    let statements: Vec<Statement> =
        statements.one_or_many().iter().map(|node| parser.statement(node)).collect::<Outcome<_>>()?;
    if kind.has_strict_sids() {
        let mut sids = HashSet::new();
        for statement in &statements {
            // An empty one is none: tools write it at every statement, and AWS takes that.
            let sid = statement.sid.as_deref().filter(|sid| !sid.is_empty());
            if let Some(sid) = sid.filter(|sid| !sids.insert(*sid)) {
                return Err(PolicyError::new(
                    format!("the `Sid` `{sid}` stands at two statements"),
                    statement.span.start,
                ));
            }
        }
    }
    Ok(statements)
}

fn check_size(text: &str, kind: PolicyKind, start: Position) -> Outcome<()> {
    let (size, max, unit) = match kind.size_limit() {
        SizeLimit::Bytes(max) => (text.len(), max, "bytes"),
        // Length first, so that no counting is done on what is too long by any measure.
        SizeLimit::CharsWithoutSpace(_) if text.len() > POLICY_TEXT_BYTES_MAX => {
            (text.len(), POLICY_TEXT_BYTES_MAX, "bytes")
        }
        SizeLimit::CharsWithoutSpace(max) => {
            (text.chars().filter(|c| !c.is_whitespace()).count(), max, "characters without white space")
        }
    };
    if size > max {
        return Err(PolicyError::new(
            format!("the policy has {size} {unit}; at most {max} are allowed"),
            start,
        ));
    }
    Ok(())
}

/// Whether policy variables are on: they came with the second version of the language.
fn version(node: &Node) -> Outcome<bool> {
    match string(node, "`Version`")? {
        "2012-10-17" => Ok(true),
        "2008-10-17" => Ok(false),
        other => Err(PolicyError::new(
            format!("`{other}` is not a version of the policy language: 2012-10-17 or 2008-10-17"),
            node.span.start,
        )),
    }
}

struct StatementParser {
    kind: PolicyKind,
    variables: bool,
}

impl StatementParser {
    fn statement(&self, node: &Node) -> Outcome<Statement> {
        let members = object(node, "a statement")?;
        let missing = |what: &str| PolicyError::new(format!("the statement has no {what}"), node.span.start);
        let (mut sid, mut effect) = (None, None);
        let (mut principals, mut actions, mut resources) = (None, None, None);
        let mut conditions = Vec::new();
        for (key, value) in members {
            match key.text.as_str() {
                "Sid" => sid = Some(self.sid(value)?),
                "Effect" => effect = Some(effect_of(value)?),
                name @ ("Principal" | "NotPrincipal") => {
                    self.allow_principals(key)?;
                    put(&mut principals, key, principal_element(name, value)?)?;
                }
                name @ ("Action" | "NotAction") => put(&mut actions, key, action_element(name, value)?)?,
                name @ ("Resource" | "NotResource") => {
                    if self.kind == PolicyKind::Trust {
                        return Err(refuse_key(name, key, "a trust policy's statement"));
                    }
                    put(&mut resources, key, self.resource_element(name, value)?)?;
                }
                "Condition" => conditions = self.conditions(value)?,
                other => return Err(refuse_key(other, key, "a statement")),
            }
        }
        let effect = effect.ok_or_else(|| missing("`Effect`"))?;
        if self.kind.has_principals() && principals.is_none() {
            return Err(missing("`Principal`"));
        }
        let lenient = self.kind == PolicyKind::Key;
        if actions.is_none() && !lenient {
            return Err(missing("`Action`"));
        }
        let resources = match resources {
            Some(element) => Resources::Listed(element),
            None if self.kind == PolicyKind::Trust => Resources::Implied,
            None if lenient => Resources::Missing,
            None => return Err(missing("`Resource`")),
        };
        let statement =
            Statement { sid, effect, span: node.span, principals, actions, resources, conditions };
        self.check(&statement)?;
        Ok(statement)
    }

    /// What depends on more than one element.
    fn check(&self, statement: &Statement) -> Outcome<()> {
        if let Some(element) = &statement.principals {
            let refuse = |message: &str| Err(PolicyError::new(message, element.span.start));
            if element.negated && statement.effect == Effect::Allow {
                return refuse("`NotPrincipal` goes with `Deny` alone");
            }
            if self.kind == PolicyKind::Rcp
                && element.list.iter().any(|named| named.who != principal::Who::Everyone)
            {
                return refuse("a resource control policy has the principal `*` and no other");
            }
            let canonical = |named: &NamedPrincipal| named.who == principal::Who::CanonicalUser;
            if statement.effect == Effect::Deny && !element.negated && element.list.iter().any(canonical) {
                return refuse("a `Deny` for a canonical user could never be enforced here");
            }
        }
        if statement.effect == Effect::Deny {
            let unusable = statement.conditions.iter().find_map(|c| c.unusable().map(|why| (why, c.span)));
            if let Some((why, span)) = unusable {
                return Err(PolicyError::new(format!("the `Deny` cannot be enforced: {why}"), span.start));
            }
        }
        Ok(())
    }

    fn allow_principals(&self, key: &Key) -> Outcome<()> {
        let forbidden = match self.kind {
            PolicyKind::Trust | PolicyKind::Rcp => key.text == "NotPrincipal",
            kind => !kind.has_principals(),
        };
        if forbidden { Err(refuse_key(&key.text, key, "a statement of this kind of policy")) } else { Ok(()) }
    }

    fn sid(&self, node: &Node) -> Outcome<String> {
        let sid = string(node, "`Sid`")?;
        if self.kind.has_strict_sids() && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(PolicyError::new(
                format!("the `Sid` `{sid}` has characters other than letters and digits"),
                node.span.start,
            ));
        }
        Ok(sid.into())
    }

    fn resource_element(&self, name: &str, node: &Node) -> Outcome<Element<ResourcePattern>> {
        element(name, node, |text| {
            if text == "*" {
                return Ok(ResourcePattern { template: None, text: text.into() });
            }
            if !text.starts_with("arn:") {
                return Err(format!("the resource `{text}` is neither an ARN nor `*`"));
            }
            let reading = Reading { wildcards: true, variables: self.variables };
            Ok(ResourcePattern { template: Some(Template::parse(text, reading)?), text: text.into() })
        })
    }

    fn conditions(&self, node: &Node) -> Outcome<Vec<Condition>> {
        let mut conditions = Vec::new();
        for (operator, keys) in object(node, "`Condition`")? {
            for (key, values) in object(keys, "an operator's keys")? {
                let values: Vec<String> =
                    values.one_or_many().iter().map(condition_value).collect::<Outcome<_>>()?;
                let span = key.span;
                conditions.push(Condition::new(&operator.text, &key.text, values, self.variables, span));
            }
        }
        Ok(conditions)
    }
}

fn condition_value(node: &Node) -> Outcome<String> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(PolicyError::new(
            format!("a condition's value must be a string, number or boolean, not {}", node.sort()),
            node.span.start,
        )),
    }
}

fn effect_of(node: &Node) -> Outcome<Effect> {
    match string(node, "`Effect`")? {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => {
            Err(PolicyError::new(format!("the effect `{other}` is neither Allow nor Deny"), node.span.start))
        }
    }
}

fn principal_element(name: &str, node: &Node) -> Outcome<Element<NamedPrincipal>> {
    let negated = name == "NotPrincipal";
    let named = |key: &str, node: &Node| {
        let text = string(node, "a principal")?;
        let who = principal::parse(key, text).map_err(|why| PolicyError::new(why, node.span.start))?;
        Ok(NamedPrincipal { who, text: text.into() })
    };
    let list = match &node.value {
        Value::String(text) if text == "*" => vec![named("AWS", node)?],
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, names)| names.one_or_many().iter().map(move |node| named(&kind.text, node)))
            .collect::<Outcome<_>>()?,
        _ => {
            return Err(PolicyError::new(
                format!("`{name}` must be `*` or an object such as {{\"AWS\": …}}"),
                node.span.start,
            ));
        }
    };
    refuse_empty_negation(name, negated && list.is_empty(), node)?;
    Ok(Element { negated, list, span: node.span })
}

fn action_element(name: &str, node: &Node) -> Outcome<Element<ActionPattern>> {
    element(name, node, |text| {
        let lower = text.to_ascii_lowercase();
        let well_formed = match lower.split_once(':') {
            None => lower == "*",
            Some((service, action)) => {
                let is_service = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                let is_action = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-_".contains(&byte);
                (service == "*" && action == "*")
                    || (!service.is_empty()
                        && service.bytes().all(is_service)
                        && !action.is_empty()
                        && action.bytes().all(is_action))
            }
        };
        if !well_formed {
            return Err(format!("the action `{text}` is neither `SERVICE:ACTION` nor `*`"));
        }
        Ok(ActionPattern { glob: Glob::parse(&lower), text: text.into() })
    })
}

/// Reads `X` or `NotX`: one string or an array of them.
fn element<T>(name: &str, node: &Node, parse: impl Fn(&str) -> Result<T, String>) -> Outcome<Element<T>> {
    let one = |node: &Node| {
        let text = string(node, &format!("`{name}`"))?;
        parse(text).map_err(|why| PolicyError::new(why, node.span.start))
    };
    let list: Vec<T> = node.one_or_many().iter().map(one).collect::<Outcome<_>>()?;
    let negated = name.starts_with("Not");
    refuse_empty_negation(name, negated && list.is_empty(), node)?;
    Ok(Element { negated, list, span: node.span })
}

/// Everything but nothing would be everything, which nobody means who writes an empty list.
fn refuse_empty_negation(name: &str, empty: bool, node: &Node) -> Outcome<()> {
    if empty { Err(PolicyError::new(format!("`{name}` is empty"), node.span.start)) } else { Ok(()) }
}

fn put<T>(slot: &mut Option<T>, key: &Key, value: T) -> Outcome<()> {
    if slot.replace(value).is_some() {
        let name = key.text.trim_start_matches("Not");
        return Err(PolicyError::new(
            format!("a statement has `{name}` or `Not{name}`, not both"),
            key.span.start,
        ));
    }
    Ok(())
}

fn object<'n>(node: &'n Node, what: &str) -> Outcome<&'n [(Key, Node)]> {
    node.as_object().ok_or_else(|| {
        PolicyError::new(format!("{what} must be an object, not {}", node.sort()), node.span.start)
    })
}

fn string<'n>(node: &'n Node, what: &str) -> Outcome<&'n str> {
    node.as_str().ok_or_else(|| {
        PolicyError::new(format!("{what} must be a string, not {}", node.sort()), node.span.start)
    })
}

fn refuse_key(name: &str, key: &Key, whole: &str) -> PolicyError {
    PolicyError::new(format!("`{name}` has no place in {whole}"), key.span.start)
}
