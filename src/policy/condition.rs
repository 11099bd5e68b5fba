//! One condition of a statement: an operator, a key, the expected values; and whether it holds.
//!
//! Source: "IAM JSON policy elements: Condition" and "Evaluation logic for multiple context keys or values" (IAM
//! user guide).
//!
//! Where AWS is silent, doubt counts against access. Each such reading is here and nowhere else: a value of the
//! request that is not of the operator's type, and several values under an operator made for one, fail an Allow and
//! complete a Deny.

use std::{borrow::Cow, net::IpAddr};

use super::{
    ContextValue, RequestContext, Span,
    context::Viewer,
    document::Effect,
    glob::{Reading, Template, Token, arn_tokens_match, segments, to_text, tokens_equal, tokens_match},
    keys,
    operator::{Comparison, Family, Operator, Quantifier},
    trace::ConditionReason,
    value::{Cidr, Date, Decimal, parse_binary, parse_bool},
};

/// A compiled condition.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) operator_text: String,
    /// The key as it was written.
    pub(super) key: String,
    pub(super) expected_text: Vec<String>,
    pub(super) span: Span,
    lower_key: String,
    test: Result<(Operator, Expected), String>,
}

/// The expected values, parsed for their operator.
#[derive(Debug, Clone)]
enum Expected {
    Text(Vec<Template>),
    Arn(Vec<Template>),
    Bool(Vec<Template>),
    Number(Comparison, Vec<Decimal>),
    Date(Comparison, Vec<Date>),
    Ip(Vec<Cidr>),
    Binary(Vec<Vec<u8>>),
    Null(Vec<bool>),
}

/// What the policies of one layer see of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) context: RequestContext<'a>,
    pub(super) viewer: Viewer,
}

impl<'a> View<'a> {
    fn values(&self, lower_key: &str) -> Option<&'a [String]> {
        self.context.keys().seen(lower_key, self.viewer).map(ContextValue::values)
    }

    /// What a policy variable stands for: single-valued keys only.
    pub(super) fn variable(&self, lower_key: &str) -> Option<&'a str> {
        match self.context.keys().seen(lower_key, self.viewer)? {
            ContextValue::One(value) => Some(value),
            ContextValue::Many(_) => None,
        }
    }
}

impl Condition {
    /// Compiles a condition. What cannot be understood is kept and never holds; see [`unusable`](Self::unusable).
    pub(super) fn new(
        operator_text: &str,
        key: &str,
        expected_text: Vec<String>,
        variables: bool,
        span: Span,
    ) -> Self {
        let lower_key = key.to_lowercase();
        let test = compile(operator_text, &lower_key, &expected_text, variables);
        Self { operator_text: operator_text.into(), key: key.into(), expected_text, span, lower_key, test }
    }

    /// Why the condition cannot be understood, if so. Then an Allow never matches and a Deny is refused.
    pub(super) fn unusable(&self) -> Option<&str> {
        self.test.as_ref().err().map(String::as_str)
    }

    /// Whether the condition pins down who calls: a plain positive comparison of `aws:PrincipalArn`.
    pub(super) fn pins_principal_arn(&self) -> bool {
        self.lower_key == "aws:principalarn"
            && self.test.as_ref().is_ok_and(|(operator, _)| {
                matches!(operator.family, Family::Text { .. } | Family::Arn)
                    && !operator.negated
                    && !operator.if_exists
                    && operator.quantifier != Quantifier::All
            })
    }

    /// Whether the condition holds for a statement of this effect.
    pub(super) fn holds(&self, effect: Effect, view: View<'_>) -> bool {
        self.evaluate(effect, view).0
    }

    /// Whether the condition holds, and why.
    pub(super) fn evaluate(&self, effect: Effect, view: View<'_>) -> (bool, ConditionReason) {
        let Ok((operator, expected)) = &self.test else { return (false, ConditionReason::NotUnderstood) };
        let values = view.values(&self.lower_key);
        if let Expected::Null(wanted) = expected {
            return (wanted.contains(&values.is_none()), ConditionReason::Presence);
        }
        let Some(values) = values else {
            let holds = operator.if_exists
                || match operator.quantifier {
                    Quantifier::One => operator.negated,
                    Quantifier::All => true,
                    Quantifier::Any => false,
                };
            return (holds, ConditionReason::KeyMissing);
        };
        let mut reason = ConditionReason::Compared;
        let mut test = |value: &String| match expected.is(operator.family, value, view) {
            Some(is) => is != operator.negated,
            None => {
                reason = ConditionReason::ValueMalformed;
                effect == Effect::Deny
            }
        };
        let all = match operator.quantifier {
            Quantifier::All => true,
            Quantifier::Any => false,
            Quantifier::One => effect == Effect::Allow,
        };
        let holds = if all { values.iter().all(&mut test) } else { values.iter().any(&mut test) };
        (holds, reason)
    }

    /// The expected values with their variables filled in (`None`: unresolved), when there are variables.
    pub(super) fn resolved(&self, view: View<'_>) -> Option<Vec<Option<String>>> {
        let Ok((_, Expected::Text(list) | Expected::Arn(list) | Expected::Bool(list))) = &self.test else {
            return None;
        };
        list.iter().any(Template::has_variables).then(|| {
            list.iter()
                .map(|template| template.resolve(|key| view.variable(key)).map(|tokens| to_text(&tokens)))
                .collect()
        })
    }

    /// The request's values, when the key is there.
    pub(super) fn actual<'a>(&self, view: View<'a>) -> Option<&'a [String]> {
        view.values(&self.lower_key)
    }
}

fn compile(
    operator_text: &str,
    lower_key: &str,
    values: &[String],
    variables: bool,
) -> Result<(Operator, Expected), String> {
    let operator = Operator::parse(operator_text)
        .ok_or_else(|| format!("`{operator_text}` is not a condition operator"))?;
    if !keys::is_known(lower_key) {
        return Err(format!("`{lower_key}` is not a condition key"));
    }
    if values.is_empty() {
        return Err(format!("`{operator_text}` of `{lower_key}` has no values"));
    }
    let templates = |wildcards| {
        values
            .iter()
            .map(|value| Template::parse(value, Reading { wildcards, variables }))
            .collect::<Result<Vec<_>, _>>()
    };
    let expected = match operator.family {
        Family::Text { like, .. } => Expected::Text(templates(like)?),
        Family::Arn => Expected::Arn(templates(true).and_then(arns)?),
        Family::Bool => Expected::Bool(templates(false).and_then(bools)?),
        Family::Numeric(comparison) => {
            Expected::Number(comparison, each(values, "a number", Decimal::parse)?)
        }
        Family::Date(comparison) => Expected::Date(comparison, each(values, "a date", Date::parse)?),
        Family::IpAddress => Expected::Ip(each(values, "an address or range", Cidr::parse)?),
        Family::Binary => Expected::Binary(each(values, "base64", parse_binary)?),
        Family::Null => Expected::Null(each(values, "true or false", parse_bool)?),
    };
    Ok((operator, expected))
}

fn each<T>(values: &[String], what: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    values.iter().map(|value| parse(value).ok_or_else(|| format!("`{value}` is not {what}"))).collect()
}

/// Without variables, an ARN has its six segments already.
fn arns(templates: Vec<Template>) -> Result<Vec<Template>, String> {
    let whole = |template: &Template| {
        template.has_variables() || template.resolve(|_| None).is_some_and(|tokens| segments(&tokens) == 6)
    };
    if templates.iter().all(whole) {
        Ok(templates)
    } else {
        Err("an ARN to compare with has six segments with colons between them".into())
    }
}

fn bools(templates: Vec<Template>) -> Result<Vec<Template>, String> {
    let sound = |template: &Template| {
        template.has_variables()
            || template.resolve(|_| None).is_some_and(|tokens| parse_bool(&to_text(&tokens)).is_some())
    };
    if templates.iter().all(sound) { Ok(templates) } else { Err("Bool compares with true or false".into()) }
}

impl Expected {
    /// Whether `actual` is one of the expected values; none when it is not of their type.
    fn is(&self, family: Family, actual: &str, view: View<'_>) -> Option<bool> {
        let any = |templates: &[Template], fits: &dyn Fn(&[Token]) -> bool| {
            // An expected value whose variable stands for nothing is like no value at all.
            templates.iter().any(|template| {
                template
                    .resolve(|key| view.variable(key))
                    .is_some_and(|tokens: Cow<'_, [Token]>| fits(&tokens))
            })
        };
        Some(match self {
            Self::Text(templates) => match family {
                Family::Text { ignore_case: true, .. } => {
                    let lower = actual.to_lowercase();
                    any(templates, &|tokens| literal(tokens).to_lowercase() == lower)
                }
                Family::Text { like: true, .. } => any(templates, &|tokens| tokens_match(tokens, actual)),
                _ => any(templates, &|tokens| tokens_equal(tokens, actual)),
            },
            Self::Arn(templates) => {
                if actual.splitn(6, ':').count() != 6 {
                    return None;
                }
                any(templates, &|tokens| segments(tokens) == 6 && arn_tokens_match(tokens, actual))
            }
            Self::Bool(templates) => {
                let actual = parse_bool(actual)?;
                any(templates, &|tokens| parse_bool(&to_text(tokens)) == Some(actual))
            }
            Self::Number(comparison, numbers) => {
                let actual = Decimal::parse(actual)?;
                numbers.iter().any(|expected| comparison.holds(&actual, expected))
            }
            Self::Date(comparison, dates) => {
                let actual = Date::parse(actual)?;
                dates.iter().any(|expected| comparison.holds(&actual, expected))
            }
            Self::Ip(ranges) => {
                let actual: IpAddr = actual.parse().ok()?;
                ranges.iter().any(|range| range.contains(actual))
            }
            Self::Binary(blobs) => {
                let actual = parse_binary(actual)?;
                blobs.contains(&actual)
            }
            Self::Null(_) => false,
        })
    }
}

/// Tokens of a text read without wildcards.
fn literal(tokens: &[Token]) -> String {
    tokens.iter().filter_map(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ConditionContext, json::Position},
        *,
    };

    fn holds_for(effect: Effect, operator: &str, values: &[&str], actual: Option<&[&str]>) -> bool {
        let span = Span { start: Position::START, end: Position::START };
        let values = values.iter().map(ToString::to_string).collect();
        let condition = Condition::new(operator, "test:key", values, true, span);
        let mut context = ConditionContext::new();
        match actual {
            Some([one]) => _ = context.set("test:Key", *one),
            Some(many) => _ = context.set_many("test:Key", many.iter().copied()),
            None => {}
        }
        context.set("aws:username", "alice");
        condition.holds(effect, View { context: (&context).into(), viewer: Viewer::Other })
    }

    fn holds(operator: &str, values: &[&str], actual: Option<&[&str]>) -> bool {
        holds_for(Effect::Allow, operator, values, actual)
    }

    #[test]
    fn each_operator_holds_and_its_twin_does_not() {
        for (operator, expected, yes, no) in [
            ("StringEquals", "Ab*", "Ab*", "Abc"),
            ("StringNotEquals", "a", "A", "a"),
            ("StringEqualsIgnoreCase", "ab", "AB", "abc"),
            ("StringNotEqualsIgnoreCase", "ab", "abc", "AB"),
            ("StringLike", "a*?", "abc", "a"),
            ("StringNotLike", "a*", "b", "ab"),
            ("NumericEquals", "10", "10.0", "11"),
            ("NumericNotEquals", "10", "11", "10"),
            ("NumericLessThan", "10", "9", "10"),
            ("NumericLessThanEquals", "10", "10", "11"),
            ("NumericGreaterThan", "10", "11", "10"),
            ("NumericGreaterThanEquals", "10", "10", "9"),
            ("DateEquals", "1970-01-01T00:00:10Z", "10", "11"),
            ("DateNotEquals", "10", "11", "10"),
            ("DateLessThan", "2026-01-01", "2025-12-31T23:59:59Z", "2026-01-01"),
            ("DateLessThanEquals", "2026-01-01", "2026-01-01", "2026-01-02"),
            ("DateGreaterThan", "2026-01-01", "2026-01-02", "2026-01-01"),
            ("DateGreaterThanEquals", "2026-01-01", "2026-01-01", "2025-12-31"),
            ("Bool", "true", "TRUE", "false"),
            ("BinaryEquals", "QQ==", "QQ==", "Qg=="),
            ("IpAddress", "203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
            ("NotIpAddress", "203.0.113.0/24", "203.0.114.9", "203.0.113.9"),
            ("ArnEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/a", "arn:aws:iam::2:user/a"),
            ("ArnLike", "arn:aws:*::1:*", "arn:aws:iam::1:user/a", "arn:aws:iam::1x:user/a"),
            ("ArnNotEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::2:user/a", "arn:aws:iam::1:user/a"),
            ("ArnNotLike", "arn:aws:iam::1:user/*", "arn:aws:iam::2:user/a", "arn:aws:iam::1:user/a"),
            ("Null", "false", "x", ""),
        ] {
            assert!(holds(operator, &[expected], Some(&[yes])), "{operator} {yes}");
            let no = if no.is_empty() { None } else { Some([no]) };
            assert!(
                !holds(operator, &[expected], no.as_ref().map(<[&str; 1]>::as_slice)),
                "{operator} {no:?}"
            );
        }
    }

    #[test]
    fn a_missing_key_fails_the_positive_and_holds_for_the_negated() {
        assert!(!holds("StringEquals", &["a"], None));
        assert!(holds("StringNotEquals", &["a"], None));
        assert!(holds("StringEqualsIfExists", &["a"], None));
        assert!(holds("Null", &["true"], None));
        assert!(!holds("Bool", &["false"], None));
        assert!(holds("BoolIfExists", &["false"], None));
    }

    #[test]
    fn several_expected_values_are_or_and_nor() {
        assert!(holds("StringEquals", &["a", "b"], Some(&["b"])));
        assert!(!holds("StringNotEquals", &["a", "b"], Some(&["b"])));
        assert!(holds("StringNotEquals", &["a", "b"], Some(&["c"])));
    }

    #[test]
    fn set_operators() {
        let (all, any) = ("ForAllValues:StringEquals", "ForAnyValue:StringEquals");
        assert!(holds(all, &["a", "b"], Some(&["a", "b"])) && !holds(all, &["a"], Some(&["a", "b"])));
        assert!(holds(any, &["a"], Some(&["a", "b"])) && !holds(any, &["c"], Some(&["a", "b"])));
        assert!(holds(all, &["a"], None) && holds(all, &["a"], Some(&[])));
        assert!(!holds(any, &["a"], None) && !holds(any, &["a"], Some(&[])));
        assert!(!holds("ForAnyValue:StringNotEquals", &["a"], None));
        assert!(holds("ForAnyValue:StringNotEquals", &["a"], Some(&["a", "b"])));
        assert!(!holds("ForAllValues:StringNotEquals", &["a"], Some(&["a", "b"])));
    }

    #[test]
    fn doubt_counts_against_access() {
        for (operator, expected, actual) in [
            ("NumericNotEquals", "1", &["one"] as &[&str]),
            ("IpAddress", "0.0.0.0/0", &["here"]),
            ("ArnLike", "arn:*:*:*:*:*", &["no-arn"]),
            ("StringEquals", "a", &["a", "b"]),
        ] {
            assert!(!holds_for(Effect::Allow, operator, &[expected], Some(actual)), "{operator}");
            assert!(holds_for(Effect::Deny, operator, &[expected], Some(actual)), "{operator}");
        }
    }

    #[test]
    fn what_is_not_understood_never_holds() {
        for (operator, expected) in [
            ("StringIs", "a"),
            ("NumericEquals", "x"),
            ("ArnNotLike", "*"),
            ("Null", "maybe"),
            ("StringNotLike", "${"),
        ] {
            assert!(!holds(operator, &[expected], None), "{operator}");
            assert!(!holds(operator, &[expected], Some(&["a"])), "{operator}");
        }
        assert!(!holds("StringNotEquals", &[], None));
    }

    #[test]
    fn variables_resolve_or_match_nothing() {
        assert!(holds("StringEquals", &["x-${aws:username}"], Some(&["x-alice"])));
        assert!(!holds("StringEquals", &["x-${aws:userid}"], Some(&["x-"])));
        assert!(holds("StringNotEquals", &["x-${aws:userid}"], Some(&["x-"])));
        assert!(holds("StringEquals", &["x-${aws:userid, 'y'}"], Some(&["x-y"])));
    }
}
