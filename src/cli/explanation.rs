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
    kms::{Explanation, Service},
    policy::{
        CheckEffect, CheckTrace, CheckType, ConditionTrace, ConstraintResult, DecisionEffect, Decisive,
        Effect, FailedElement, FixChange, GrantTrace, GranteeMatch, Listed, NearMiss, PairTrace, SmallestFix,
        StatementTrace, Trace, quoted,
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

/// Says beside the data how a request that is only written down was decided.
pub(super) fn say_trace(trace: &Trace) {
    // When standard error is gone there is nobody to tell.
    let _unsaid = write!(anstream::stderr().lock(), "\n{}", render(trace));
}

/// Which layer decided that a request is allowed, in words.
pub(super) fn allowing_layer(trace: &Trace) -> String {
    trace.pairs.last().map_or_else(String::new, |pair| match pair.decisive {
        Decisive::Nothing => "the root user needs no identity policy".into(),
        _ => format!("by the {}", layer(pair.deciding, pair)),
    })
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
        (Some(grant), _, _) => format!("  {action}: by the {}", grant_name(text("grantName"), grant)),
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
    let near = trace.telling_near_misses();
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
            let grant = pair.grants.get(index);
            let name = grant.map(|grant| grant_name(grant.name.as_deref(), &grant.id));
            format!("the {} allows it", name.unwrap_or_else(|| "grants".into()))
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
        CheckType::VpcEndpoint if pair.vpc_endpoint.is_some() => {
            let id = pair.vpc_endpoint.as_deref().unwrap_or_default();
            format!("the policy of the VPC endpoint `{id}` does not allow it")
        }
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
            CheckEffect::Allow if delegates => leaves_it(pair),
            CheckEffect::Allow => "yes".into(),
            CheckEffect::NoImpact => "of no effect here".into(),
            CheckEffect::ImplicitDeny if check.statements.is_empty() => "there is none".into(),
            CheckEffect::ImplicitDeny => "no".into(),
            CheckEffect::ExplicitDeny => "an explicit no".into(),
        };
        let says = if check.check == pair.deciding { format!("{says}; this decides") } else { says };
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
            (true, Effect::Deny) => ("!", denies(one)),
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
            let account = grant.applies && grant.grantee_match == GranteeMatch::Account;
            let says = if account { leaves_it(pair) } else { fit(grant).into() };
            let named = grant.name.as_ref().map(|name| format!("`{name}` ")).unwrap_or_default();
            self.paragraph(PLAIN, mark, &format!("{named}`{}` {says}", grant.id), 4);
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
                    self.paragraph(PLAIN, "  *", &made_otherwise(key, value), 4);
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

/// How to make the request otherwise.
fn made_otherwise(key: &str, value: &str) -> String {
    if !key.eq_ignore_ascii_case("kms:ViaService") {
        return format!("make the request with `{key}` = `{value}`");
    }
    match value.split('.').next().and_then(Service::from_name) {
        Some(service) => {
            format!("have {} make the call: `--via {}`", service.display_name(), service.name())
        }
        None => format!("have the service `{value}` make the call"),
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

/// A Deny that applies, and what it applies to: the conditions that were met.
fn denies(one: &StatementTrace) -> String {
    let met: Vec<String> = one.conditions.iter().map(ConditionTrace::met).collect();
    if met.is_empty() { "denies".into() } else { format!("denies: {}", met.join("; ")) }
}

fn comparison(condition: &ConditionTrace) -> String {
    let ConditionTrace { operator, key, not_understood, .. } = condition;
    if let Some(why) = not_understood {
        return format!("its condition never holds: {why}");
    }
    format!("{operator} wants `{key}` {}; {}", condition.wanted(), condition.found())
}

/// What a layer that names the caller's account says.
fn leaves_it(pair: &PairTrace) -> String {
    match pair.principal.split(':').nth(4).filter(|_| pair.cross_account) {
        Some(account) => format!("leaves it to the identity policies of the caller's account, {account}"),
        None => "leaves it to the account's identity policies".into(),
    }
}

/// A grant by its id, which the commands take, and by its name when it has one.
fn grant_name(name: Option<&str>, id: &str) -> String {
    name.map_or_else(|| format!("grant `{id}`"), |name| format!("grant `{name}` (`{id}`)"))
}

fn fit(grant: &GrantTrace) -> &'static str {
    match (grant.applies, grant.grantee_match, grant.operation_match, grant.constraint) {
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
