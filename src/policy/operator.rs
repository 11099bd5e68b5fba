//! Condition operators, by their names.
//!
//! Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys" (IAM user
//! guide). A negated operator is the plain one turned round, which makes its list of values a NOR.

/// A parsed operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) quantifier: Quantifier,
    pub(super) family: Family,
    pub(super) negated: bool,
    pub(super) if_exists: bool,
}

/// How the operator treats the values of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// Made for single-valued keys.
    One,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// What is compared, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Text { ignore_case: bool, like: bool },
    Numeric(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

/// How numbers and dates compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether `actual` stands in this relation to `expected`.
    pub(super) fn holds<T: Ord>(self, actual: &T, expected: &T) -> bool {
        let order = actual.cmp(expected);
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn of(suffix: &str) -> Option<(Self, bool)> {
        Some(match suffix {
            "Equals" => (Self::Equal, false),
            "NotEquals" => (Self::Equal, true),
            "LessThan" => (Self::Less, false),
            "LessThanEquals" => (Self::LessOrEqual, false),
            "GreaterThan" => (Self::Greater, false),
            "GreaterThanEquals" => (Self::GreaterOrEqual, false),
            _ => return None,
        })
    }
}

impl Operator {
    /// The operator of this name; none when AWS has no such operator. Names are taken exactly as AWS spells them.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (quantifier, rest) = if let Some(rest) = name.strip_prefix("ForAllValues:") {
            (Quantifier::All, rest)
        } else if let Some(rest) = name.strip_prefix("ForAnyValue:") {
            (Quantifier::Any, rest)
        } else {
            (Quantifier::One, name)
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (family, negated) = family(base)?;
        let operator = Self { quantifier, family, negated, if_exists };
        let alone = quantifier == Quantifier::One && !if_exists;
        (family != Family::Null || alone).then_some(operator)
    }
}

fn family(base: &str) -> Option<(Family, bool)> {
    let text = |ignore_case, like| Family::Text { ignore_case, like };
    Some(match base {
        "StringEquals" => (text(false, false), false),
        "StringNotEquals" => (text(false, false), true),
        "StringEqualsIgnoreCase" => (text(true, false), false),
        "StringNotEqualsIgnoreCase" => (text(true, false), true),
        "StringLike" => (text(false, true), false),
        "StringNotLike" => (text(false, true), true),
        "Bool" => (Family::Bool, false),
        "BinaryEquals" => (Family::Binary, false),
        "IpAddress" => (Family::IpAddress, false),
        "NotIpAddress" => (Family::IpAddress, true),
        "ArnEquals" | "ArnLike" => (Family::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Family::Arn, true),
        "Null" => (Family::Null, false),
        _ => {
            if let Some(suffix) = base.strip_prefix("Numeric") {
                let (comparison, negated) = Comparison::of(suffix)?;
                (Family::Numeric(comparison), negated)
            } else {
                let (comparison, negated) = Comparison::of(base.strip_prefix("Date")?)?;
                (Family::Date(comparison), negated)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_aws_is_known() {
        let comparisons =
            ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"];
        let mut names: Vec<String> = ["Numeric", "Date"]
            .iter()
            .flat_map(|family| comparisons.iter().map(move |comparison| format!("{family}{comparison}")))
            .collect();
        names.extend(
            ["Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike"]
                .map(|n| format!("String{n}")),
        );
        names.extend(["Bool", "BinaryEquals", "IpAddress", "NotIpAddress"].map(String::from));
        names.extend(["Equals", "NotEquals", "Like", "NotLike"].map(|n| format!("Arn{n}")));
        for name in names {
            for text in [
                name.clone(),
                format!("{name}IfExists"),
                format!("ForAllValues:{name}"),
                format!("ForAnyValue:{name}IfExists"),
            ] {
                assert!(Operator::parse(&text).is_some(), "{text}");
            }
        }
        assert!(Operator::parse("Null").is_some());
    }

    #[test]
    fn what_aws_does_not_have_is_unknown() {
        for name in [
            "",
            "stringequals",
            "NullIfExists",
            "ForAllValues:Null",
            "BoolNotEquals",
            "StringEqualsIfExistsIfExists",
            "ForSomeValues:StringEquals",
            "Date",
            "NumericLike",
        ] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
    }
}
