//! An explanation as the terminal shows it: the verdict, then each layer with what decided or what failed, what came
//! close, and the smallest change.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{
    error::CommandError,
    output::{LABEL_STYLE, printable},
};
use crate::{
    kms::Explanation,
    policy::{
        Actual, CheckEffect, CheckTrace, CheckType, ConditionTrace, ConstraintResult, DecisionEffect,
        Decisive, Effect, FailedElement, FixChange, GrantTrace, GranteeMatch, Listed, NearMiss, PairTrace,
        SmallestFix, StatementTrace, Trace,
    },
};

/// What fits on a line.
const WIDTH: usize = 80;
const ALLOWED_STYLE: Style = AnsiColor::Green.on_default().bold();
const DENIED_STYLE: Style = AnsiColor::Red.on_default().bold();
const PLAIN: Style = Style::new();

/// Prints an explanation as data.
pub(super) fn print(explanation: &Explanation) -> Result<(), CommandError> {
    Ok(write!(anstream::stdout().lock(), "{}", render(&explanation.trace))?)
}

/// Says an explanation beside the data.
pub(super) fn say(explanation: &Explanation) {
    let name = explanation.event_name.as_deref().unwrap_or("a call");
    // When standard error is gone there is nobody to tell.
    let _unsaid = write!(anstream::stderr().lock(), "\n{name}\n{}", render(&explanation.trace));
}

/// The note of a record on what allowed a call.
pub(super) fn allowed_by(note: &Value) -> String {
    let text = |name: &str| note.get(name).and_then(Value::as_str);
    let action = text("action").unwrap_or_default();
    let statement = match (text("sid"), note.get("statement").and_then(Value::as_u64)) {
        (Some(sid), _) => format!("statement `{sid}`"),
        (None, Some(number)) => format!("statement {number}"),
        (None, None) => String::new(),
    };
    match (text("grantId"), text("check"), text("policy")) {
        (Some(grant), _, _) => format!("  {action}: by the grant `{grant}`"),
        (_, Some("PRINCIPAL"), Some(policy)) => {
            format!("  {action}: by {statement} of the identity policy `{policy}`")
        }
        (_, Some("PRINCIPAL"), None) => format!("  {action}: the root user needs no identity policy"),
        (_, Some("RESOURCE"), _) => format!("  {action}: by {statement} of the resource's policy"),
        (_, check, _) => format!("  {action}: by {}", check.unwrap_or_default()),
    }
}

fn render(trace: &Trace) -> String {
    let mut page = Page::default();
    let allowed = trace.effect == DecisionEffect::Allowed;
    let (word, style) = if allowed { ("allowed", ALLOWED_STYLE) } else { ("denied", DENIED_STYLE) };
    page.paragraph(style, &format!("{word}:"), &verdict(trace), 2);
    for pair in &trace.pairs {
        page.line("");
        page.pair(pair);
    }
    // A statement of another layer would change nothing alone.
    let decides = |miss: &&NearMiss| {
        trace.pairs.iter().any(|pair| pair.deciding == miss.check && pair.statement(miss).is_some())
    };
    let near: Vec<&NearMiss> = trace.near_misses.iter().filter(decides).collect();
    if !allowed && !near.is_empty() {
        page.line("");
        page.paragraph(LABEL_STYLE, "nearly allowed", "", 0);
        for miss in near {
            page.near_miss(trace, miss);
        }
    }
    if !trace.notes.is_empty() {
        page.line("");
    }
    for note in &trace.notes {
        page.paragraph(LABEL_STYLE, "note:", note, 6);
    }
    if !allowed {
        page.line("");
        page.fix(trace.smallest_fix.as_ref());
    }
    page.0
}

fn verdict(trace: &Trace) -> String {
    let denied = |pair: &&PairTrace| pair.effect != DecisionEffect::Allowed;
    let pair = trace.pairs.iter().find(denied).or_else(|| trace.pairs.last());
    let Some(pair) = pair else { return "nothing was asked".into() };
    let who = short(&pair.principal);
    // What a service does with a key is another pair than what was asked of the service.
    let asked = trace.pairs.first().filter(|first| !is_key(&first.resource) && is_key(&pair.resource));
    let may_not = match asked {
        Some(asked) => {
            format!("{who} may not call {}: it needs {} on the key too, and", asked.action, pair.action)
        }
        None => format!("{who} may not call {}:", pair.action),
    };
    let why = match pair.effect {
        DecisionEffect::Allowed => format!("{who} may call {}: {}", pair.action, allowing(pair)),
        DecisionEffect::ExplicitDeny => {
            let found = pair.check(pair.deciding).and_then(|check| {
                check.statements.iter().find(|one| one.applies && one.effect == Effect::Deny)
            });
            let statement = found.map_or_else(|| "a Deny".into(), StatementTrace::name);
            format!("{may_not} {statement} denies it, and no Allow outweighs that")
        }
        DecisionEffect::ImplicitDeny => format!("{may_not} {}", missing(pair)),
    };
    format!("{why}.")
}

fn allowing(pair: &PairTrace) -> String {
    match pair.decisive {
        Decisive::Statement(place) => {
            let found = pair
                .check(pair.deciding)
                .and_then(|check| check.statements.iter().find(|one| one.place == place));
            let name = found.map_or_else(|| "a statement".into(), StatementTrace::name);
            format!("{name} ({}) allows it", layer(pair.deciding, pair))
        }
        Decisive::Grant(index) => {
            let id = pair.grants.get(index).map(|grant| grant.id.as_str()).unwrap_or_default();
            format!("the grant `{id}` allows it")
        }
        Decisive::Nothing => "the root user needs no identity policy beside".into(),
    }
}

fn missing(pair: &PairTrace) -> String {
    match pair.deciding {
        CheckType::Resource if is_key(&pair.resource) && !pair.cross_account => {
            "the key policy neither allows it nor leaves it to the account's identity policies".into()
        }
        CheckType::Resource if pair.cross_account => {
            format!("the {} of the other account does not let the caller in", layer(pair.deciding, pair))
        }
        CheckType::Principal => "no identity policy of the caller allows it".into(),
        check => format!("the {} does not allow it", layer(check, pair)),
    }
}

fn is_key(resource: &str) -> bool {
    resource.starts_with("arn:aws:kms:") && resource.contains(":key/")
}

fn is_role(resource: &str) -> bool {
    resource.starts_with("arn:aws:iam:") && resource.contains(":role/")
}

/// A layer's name as people say it.
fn layer(check: CheckType, pair: &PairTrace) -> &'static str {
    match check {
        CheckType::ServiceControlPolicy => "service control policies",
        CheckType::ResourceControlPolicy => "resource control policies",
        CheckType::VpcEndpoint => "VPC endpoint policy",
        CheckType::Resource if is_key(&pair.resource) => "key policy",
        CheckType::Resource if is_role(&pair.resource) => "trust policy",
        CheckType::Resource => "resource policy",
        CheckType::Principal => "identity policies",
        CheckType::PermissionsBoundary => "permissions boundary",
        CheckType::Session => "session policies",
        CheckType::Grant => "grants",
    }
}

/// What follows the account in an ARN.
fn short(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// The text under way.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A label and words after it, wrapped; further lines are indented.
    fn paragraph(&mut self, style: Style, label: &str, text: &str, indent: usize) {
        let (lead, label) = label.split_at(label.len() - label.trim_start().len());
        let (label, text) = (printable(label), printable(text));
        let mut column = lead.chars().count() + label.chars().count();
        let mut fresh = label.is_empty();
        self.0.push_str(&format!("{lead}{style}{label}{style:#}"));
        for word in text.split_whitespace() {
            let width = word.chars().count();
            if !fresh && column + 1 + width > WIDTH {
                self.0.push('\n');
                self.0.push_str(&" ".repeat(indent));
                (column, fresh) = (indent, true);
            }
            if !fresh {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            (column, fresh) = (column + width, false);
        }
        self.0.push('\n');
    }

    fn pair(&mut self, pair: &PairTrace) {
        self.paragraph(LABEL_STYLE, &pair.action, "", 0);
        self.paragraph(PLAIN, "  on", &pair.resource, 2);
        self.paragraph(PLAIN, "  by", &pair.principal, 2);
        let mut absent = Vec::new();
        for check in &pair.checks {
            if check.statements.is_empty() && check.effect == CheckEffect::NoImpact {
                absent.push(layer(check.check, pair));
            } else {
                self.check(check, pair);
            }
        }
        self.grants(pair, &mut absent);
        if !absent.is_empty() {
            self.paragraph(PLAIN, "not here:", &absent.join(", "), 2);
        }
    }

    fn check(&mut self, check: &CheckTrace, pair: &PairTrace) {
        let graded = check.statements.iter().filter_map(|one| one.grade.as_deref());
        let delegates = graded.clone().any(|grade| grade == "delegated") && graded.count() == 1;
        let says = match check.effect {
            CheckEffect::Allow if delegates => "leaves it to the account's identity policies",
            CheckEffect::Allow => "yes",
            CheckEffect::NoImpact => "of no effect here",
            CheckEffect::ImplicitDeny if check.statements.is_empty() => "there is none",
            CheckEffect::ImplicitDeny => "no",
            CheckEffect::ExplicitDeny => "an explicit no",
        };
        let says = if check.check == pair.deciding { format!("{says}; this decides") } else { says.into() };
        self.paragraph(LABEL_STYLE, &format!("{}:", layer(check.check, pair)), &says, 2);
        for statement in &check.statements {
            self.statement(statement, pair);
        }
    }

    fn statement(&mut self, one: &StatementTrace, pair: &PairTrace) {
        let name = match &one.sid {
            Some(sid) => format!("`{sid}`"),
            None => format!("statement {}", one.index + 1),
        };
        let start = one.span.start;
        let place = format!("{name} ({} {}:{})", one.policy, start.line, start.column);
        let (mark, words) = match (one.applies, one.effect) {
            (true, Effect::Allow) => ("+", "allows".to_owned()),
            (true, Effect::Deny) => ("!", "denies".to_owned()),
            (false, effect) => {
                let words = one.failed().first().map(|(element, span)| {
                    let at = format!("{}:{}", span.start.line, span.start.column);
                    format!("at {at} {}", failure(one, *element, pair))
                });
                let verb = if effect == Effect::Deny { "a Deny that does not apply: " } else { "" };
                ("-", format!("{verb}{}", words.unwrap_or_default()))
            }
        };
        self.paragraph(PLAIN, &format!("  {mark}"), &format!("{place} {words}"), 4);
    }

    fn grants(&mut self, pair: &PairTrace, absent: &mut Vec<&'static str>) {
        if pair.grants.is_empty() {
            absent.push("grants");
            return;
        }
        let decides = if pair.deciding == CheckType::Grant { "; this decides" } else { "" };
        let count = pair.grants.iter().filter(|grant| grant.applies).count();
        let words = format!("{count} of {} allow this{decides}", pair.grants.len());
        self.paragraph(LABEL_STYLE, "grants:", &words, 2);
        for grant in &pair.grants {
            let mark = if grant.applies { "  +" } else { "  -" };
            self.paragraph(PLAIN, mark, &format!("`{}` {}", grant.id, fit(grant)), 4);
        }
    }

    fn near_miss(&mut self, trace: &Trace, miss: &NearMiss) {
        let statement = trace.pairs.iter().find_map(|pair| Some((pair, pair.statement(miss)?)));
        let Some((pair, one)) = statement else { return };
        let words = format!("{} fails on nothing but this: {}", one.name(), failure(one, miss.element, pair));
        self.paragraph(PLAIN, "  ~", &words, 4);
    }

    fn fix(&mut self, fix: Option<&SmallestFix>) {
        let changes = match fix {
            None => return self.paragraph(LABEL_STYLE, "smallest change:", "none was found", 2),
            Some(SmallestFix::Withheld(why)) => {
                return self.paragraph(LABEL_STYLE, "smallest change:", &format!("none: {why}."), 2);
            }
            Some(SmallestFix::Changes(changes)) => changes,
        };
        self.paragraph(LABEL_STYLE, "smallest change", "that would allow it, tried on a copy:", 2);
        for change in changes {
            match change {
                FixChange::Request { key, value } => {
                    self.paragraph(PLAIN, "  *", &format!("make the request with `{key}` = `{value}`"), 4);
                }
                FixChange::Extend { policy, sid, place, span, element, pattern, .. } => {
                    let name = sid.clone().map_or_else(
                        || format!("statement {}", place.statement + 1),
                        |sid| format!("the statement `{sid}`"),
                    );
                    let at = format!("{}:{}", span.start.line, span.start.column);
                    let words = format!("in {name} of `{policy}`, add to {element} ({at}): `{pattern}`");
                    self.paragraph(PLAIN, "  *", &words, 4);
                }
                FixChange::Add { check, level, statement } => {
                    self.paragraph(PLAIN, "  *", &format!("add {}", place_of(*check, *level)), 4);
                    self.statement_text(statement);
                }
            }
        }
    }

    /// JSON to be copied: wide values stand on lines of their own.
    fn statement_text(&mut self, statement: &Value) {
        let members: Vec<String> = statement
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let line = format!("    \"{name}\": {value}");
                if line.chars().count() < WIDTH { line } else { format!("    \"{name}\":\n  {value}") }
            })
            .collect();
        self.line(&format!("  {{\n{}\n  }}", members.join(",\n")));
    }
}

fn place_of(check: CheckType, level: usize) -> String {
    match check {
        CheckType::ServiceControlPolicy => format!("to a service control policy of level {}:", level + 1),
        CheckType::ResourceControlPolicy => format!("to a resource control policy of level {}:", level + 1),
        CheckType::VpcEndpoint => "to the VPC endpoint policy:".into(),
        CheckType::Resource => {
            "to the resource's own policy (a key's key policy, a role's trust policy):".into()
        }
        CheckType::Principal => "to an identity policy of the caller:".into(),
        CheckType::PermissionsBoundary => "to the caller's permissions boundary:".into(),
        CheckType::Session => "to the session policy, when the session is made:".into(),
        CheckType::Grant => "a grant:".into(),
    }
}

/// What an element wants and what the request has.
fn failure(one: &StatementTrace, element: FailedElement, pair: &PairTrace) -> String {
    let wants = |name: &str, listed: Option<&Listed>, actual: &str| match listed {
        None => format!("has no {name}, so it does nothing"),
        Some(listed) if listed.not => format!("Not{name} spares {}, the request's", quoted([actual].iter())),
        Some(listed) => format!("{name} is {}, not `{actual}`", quoted(listed.patterns.iter())),
    };
    match element {
        FailedElement::Principal => wants("Principal", one.principals.as_ref(), &pair.principal),
        FailedElement::Action => wants("Action", one.actions.as_ref(), &pair.action),
        FailedElement::Resource => match one.resources.as_ref().filter(|listed| !listed.not) {
            Some(listed) => {
                let (patterns, actual) = without_the_same_beginning(&listed.patterns, &pair.resource);
                format!("Resource is {}, not `{actual}`", quoted(patterns.iter()))
            }
            None => wants("Resource", one.resources.as_ref(), &pair.resource),
        },
        FailedElement::Condition(number) => one.conditions.get(number).map_or_else(String::new, comparison),
    }
}

/// ARNs that are the same up to the account say what differs in what follows; whole, two of them do not fit in a line.
fn without_the_same_beginning(patterns: &[String], actual: &str) -> (Vec<String>, String) {
    let beginning = actual.strip_suffix(short(actual)).filter(|beginning| !beginning.is_empty());
    let rest_of = |arn: &str| arn.strip_prefix(beginning?).map(|rest| format!("…:{rest}"));
    let rests: Option<Vec<String>> = patterns.iter().map(|pattern| rest_of(pattern)).collect();
    rests.zip(rest_of(actual)).unwrap_or_else(|| (patterns.to_vec(), actual.to_owned()))
}

fn comparison(condition: &ConditionTrace) -> String {
    let ConditionTrace { operator, key, expected, resolved, actual, not_understood, .. } = condition;
    if let Some(why) = not_understood {
        return format!("its condition never holds: {why}");
    }
    let wanted = match resolved {
        Some(values) => {
            quoted(values.iter().map(|one| one.as_deref().unwrap_or("(a variable without value)")))
        }
        None => quoted(expected.iter()),
    };
    match actual {
        Actual::Missing => format!("{operator} wants `{key}` to be {wanted}; the request has none"),
        Actual::Values(values) => {
            format!("{operator} wants `{key}` to be {wanted}; it is {}", quoted(values.iter()))
        }
    }
}

/// Some of a list is enough to tell what it is.
const LISTED_MAX: usize = 6;

fn quoted<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = values.map(|value| format!("`{value}`")).collect();
    match all.get(..LISTED_MAX) {
        Some(some) if all.len() > LISTED_MAX => {
            format!("{} and {} more", some.join(", "), all.len() - LISTED_MAX)
        }
        _ => all.join(" or "),
    }
}

fn fit(grant: &GrantTrace) -> &'static str {
    match (grant.applies, grant.grantee_match, grant.operation_match, grant.constraint) {
        (true, GranteeMatch::Account, ..) => "leaves it to the account's identity policies",
        (true, ..) => "allows",
        (_, GranteeMatch::None, ..) => "is for somebody else",
        (_, _, false, _) => "does not carry this operation",
        (_, _, _, ConstraintResult::Violated) => "wants another encryption context",
        (_, _, _, ConstraintResult::Wider) => "is narrower than the grant to be made",
        _ => "does not apply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_at_the_width_and_nothing_drives_the_terminal() {
        let mut page = Page::default();
        page.paragraph(PLAIN, "  -", &"word ".repeat(40), 4);
        page.paragraph(PLAIN, "x", "a\u{1b}[31mb", 0);
        assert!(page.0.lines().all(|line| line.chars().count() <= WIDTH), "{}", page.0);
        assert!(page.0.lines().skip(1).take(1).all(|line| line.starts_with("    word")));
        assert!(!page.0.contains("\u{1b}[31mb"));
    }

    #[test]
    fn a_wide_statement_is_still_json() {
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{}", "k".repeat(36));
        let statement = serde_json::json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": arn});
        let mut page = Page::default();
        page.statement_text(&statement);
        assert!(page.0.lines().all(|line| line.chars().count() <= WIDTH), "{}", page.0);
        assert_eq!(serde_json::from_str::<Value>(&page.0).unwrap(), statement);
    }
}
