//! What a condition wants, and what the request has, in words: for explanations of every kind.

use super::{
    Actual, ConditionTrace, DecisionEffect, FailedElement, NearMiss, PairTrace, Trace,
    known::are_alike,
    operator::{Comparison, Family, Operator},
};

/// Some of a list is enough to tell what it is.
const LISTED_MAX: usize = 6;

/// Values as they stand in a sentence: `` `a` or `b` ``.
pub(crate) fn quoted<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = values.map(|value| format!("`{value}`")).collect();
    match all.get(..LISTED_MAX) {
        Some(some) if all.len() > LISTED_MAX => {
            format!("{} and {} more", some.join(", "), all.len() - LISTED_MAX)
        }
        _ => all.join(" or "),
    }
}

impl ConditionTrace {
    /// What it wants its key to be: ``not to be `research` ``, ``to be less than `7` ``, `to be absent`.
    #[must_use]
    pub fn wanted(&self) -> String {
        let values = match &self.resolved {
            Some(values) => {
                quoted(values.iter().map(|one| one.as_deref().unwrap_or("(a variable without value)")))
            }
            None => quoted(self.expected.iter()),
        };
        let Some(operator) = Operator::parse(&self.operator) else { return format!("to be {values}") };
        let relation = match operator.family {
            Family::Null if self.expected.iter().any(|one| one.eq_ignore_ascii_case("true")) => {
                return "to be absent".into();
            }
            Family::Null => return "to be there".into(),
            Family::Numeric(Comparison::Less) => "less than ",
            Family::Numeric(Comparison::LessOrEqual) => "at most ",
            Family::Numeric(Comparison::Greater) => "more than ",
            Family::Numeric(Comparison::GreaterOrEqual) => "at least ",
            Family::Date(Comparison::Less) => "before ",
            Family::Date(Comparison::LessOrEqual) => "before or at ",
            Family::Date(Comparison::Greater) => "after ",
            Family::Date(Comparison::GreaterOrEqual) => "at or after ",
            _ => "",
        };
        let not = if operator.negated { "not " } else { "" };
        format!("{not}to be {relation}{values}")
    }

    /// What the request has under its key: `` it is `operations` ``, `the request has none`.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.actual {
            Actual::Missing => "the request has none".into(),
            Actual::Values(values) => format!("it is {}", quoted(values.iter())),
        }
    }

    /// What held, of a condition that held.
    #[must_use]
    pub fn met(&self) -> String {
        format!("{} wants `{}` {}, and {}", self.operator, self.key, self.wanted(), self.found())
    }
}

impl Trace {
    /// The near misses that tell something: of a layer that decides by allowing nothing (a statement of another one would
    /// change nothing alone, nor would any against a Deny), and not those that are about another action altogether, as every statement on the same resource is. These are told
    /// when there is nothing else to say.
    #[must_use]
    pub fn telling_near_misses(&self) -> Vec<&NearMiss> {
        let pair_of = |miss: &NearMiss| {
            self.pairs.iter().find(|pair| {
                let decides = pair.effect == DecisionEffect::ImplicitDeny && pair.deciding == miss.check;
                decides && pair.statement(miss).is_some()
            })
        };
        let of_the_layer: Vec<_> =
            self.near_misses.iter().filter_map(|miss| Some((pair_of(miss)?, miss))).collect();
        let telling: Vec<_> =
            of_the_layer.iter().filter(|(pair, miss)| !of_another_action(pair, miss)).copied().collect();
        let silent = telling.is_empty() && self.notes.is_empty() && self.smallest_fix.is_none();
        let told = if silent { of_the_layer } else { telling };
        told.into_iter().map(|(_, miss)| miss).collect()
    }
}

/// Whether what a statement failed on is that it lists other actions, none of them spelt much like the one that was asked.
fn of_another_action(pair: &PairTrace, miss: &NearMiss) -> bool {
    let listed = pair.statement(miss).and_then(|statement| statement.actions.as_ref());
    let alike = |pattern: &String| are_alike(pattern.trim_end_matches('*'), &pair.action);
    miss.element == FailedElement::Action
        && listed.is_some_and(|listed| !listed.not && !listed.patterns.iter().any(alike))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ConditionReason, Position, Span};

    fn condition(operator: &str, expected: &[&str], actual: Option<&str>) -> ConditionTrace {
        ConditionTrace {
            operator: operator.into(),
            key: "aws:PrincipalTag/team".into(),
            expected: expected.iter().map(|&one| one.into()).collect(),
            resolved: None,
            actual: actual.map_or(Actual::Missing, |one| Actual::Values(vec![one.into()])),
            result: true,
            reason: ConditionReason::Compared,
            not_understood: None,
            span: Span { start: Position::START, end: Position::START },
        }
    }

    #[test]
    fn what_is_wanted_is_said_of_plain_and_of_negated_operators() {
        for (operator, expected, wanted) in [
            ("StringEquals", "a", "to be `a`"),
            ("StringNotEquals", "a", "not to be `a`"),
            ("ForAllValues:StringNotLikeIfExists", "a*", "not to be `a*`"),
            ("NotIpAddress", "10.0.0.0/8", "not to be `10.0.0.0/8`"),
            ("ArnNotLike", "arn:*", "not to be `arn:*`"),
            ("NumericLessThanEquals", "7", "to be at most `7`"),
            ("NumericNotEquals", "7", "not to be `7`"),
            ("DateGreaterThan", "2026-01-01", "to be after `2026-01-01`"),
            ("Null", "true", "to be absent"),
            ("Null", "false", "to be there"),
            ("NoSuchOperator", "a", "to be `a`"),
        ] {
            assert_eq!(condition(operator, &[expected], None).wanted(), wanted, "{operator}");
        }
        assert_eq!(condition("StringNotEquals", &["a", "b"], None).wanted(), "not to be `a` or `b`");
    }

    #[test]
    fn what_held_is_said_with_what_the_request_has() {
        let tag = condition("StringNotEquals", &["research"], Some("operations"));
        let said =
            "StringNotEquals wants `aws:PrincipalTag/team` not to be `research`, and it is `operations`";
        assert_eq!(tag.met(), said);
        let none = condition("StringNotEquals", &["research"], None);
        assert!(none.met().ends_with("not to be `research`, and the request has none"), "{}", none.met());
    }
}
