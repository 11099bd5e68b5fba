//! A form: names with dots and numbers, which stand for lists and structures.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::error::WireError;

/// How deep structures may nest in one another.
const TREE_DEPTH_MAX: usize = 8;
/// The most parameters of one request.
pub const PARAMETERS_MAX: usize = 2048;

/// The parameters of a request.
#[derive(Default)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a form of bytes: a body, or a URL's query.
    ///
    /// # Errors
    ///
    /// `MalformedQueryString` when a parameter stands there twice, or there are more than [`PARAMETERS_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if name.is_empty() {
                continue;
            }
            if parameters.len() == PARAMETERS_MAX
                || parameters.insert(name.into_owned(), value.into_owned()).is_some()
            {
                return Err(WireError::new(
                    "MalformedQueryString",
                    "A parameter stands there twice, or there are too many.",
                ));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Structures and lists within one another: `name.member.1.Key`, `name.member.1.Values.member.1` … Names that do not
    /// say so, such as numbers out of order, are refused.
    ///
    /// # Errors
    ///
    /// `MalformedInput`.
    pub fn tree(&self, name: &str) -> Result<Option<Value>, WireError> {
        let prefix = format!("{name}.");
        let below: BTreeMap<&str, &str> =
            self.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value))).collect();
        if below.is_empty() {
            return Ok(None);
        }
        subtree(&below, TREE_DEPTH_MAX).map(Some)
    }

    /// The values of a list: `name.member.1`, `name.member.2` … until one is not there.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        (1..=PARAMETERS_MAX).map_while(move |number| self.get(&format!("{name}.member.{number}")))
    }

    /// The values of a list of structures, by the members that each has: `name.member.1.Key` …
    pub fn structures<'a, const N: usize>(
        &'a self,
        name: &'a str,
        members: [&'a str; N],
    ) -> impl Iterator<Item = [Option<&'a str>; N]> {
        let one = move |number: usize| {
            let values = members.map(|member| self.get(&format!("{name}.member.{number}.{member}")));
            values.iter().any(Option::is_some).then_some(values)
        };
        (1..=PARAMETERS_MAX).map_while(one)
    }
}

/// What these names, cut off before the structure that holds them, make.
fn subtree(entries: &BTreeMap<&str, &str>, depth: usize) -> Result<Value, WireError> {
    let malformed = || WireError::new("MalformedInput", "The names of the parameters make no structure.");
    if depth == 0 {
        return Err(malformed());
    }
    let mut children: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (key, value) in entries {
        let (first, rest) = key.split_once('.').unwrap_or((key, ""));
        children.entry(first).or_default().insert(rest, value);
    }
    let child = |below: &BTreeMap<&str, &str>| match below.get("") {
        Some(value) if below.len() == 1 => Ok(Value::from(*value)),
        Some(_) => Err(malformed()),
        None => subtree(below, depth - 1),
    };
    let Some(members) = children.get("member") else {
        let members = children.iter().map(|(name, below)| Ok(((*name).to_owned(), child(below)?)));
        return Ok(Value::Object(members.collect::<Result<_, WireError>>()?));
    };
    let mut items: BTreeMap<usize, BTreeMap<&str, &str>> = BTreeMap::new();
    for (key, value) in members {
        let (number, rest) = key.split_once('.').unwrap_or((key, ""));
        let number = number.parse().map_err(|_| malformed())?;
        items.entry(number).or_default().insert(rest, value);
    }
    let in_order = items.keys().copied().eq(1..=items.len());
    if children.len() > 1 || !in_order {
        return Err(malformed());
    }
    items.values().map(child).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

impl std::fmt::Debug for Form {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.values_mut().for_each(zeroize::Zeroize::zeroize);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_and_structures_are_read_by_number() {
        let form = Form::parse(
            b"Action=X&Names.member.1=a+b&Names.member.2=c%2B&Names.member.4=no&Tags.member.1.Key=k&Tags.member.1.Value=&Tags.member.2.Key=l",
        )
        .unwrap();
        assert_eq!(form.get("Action"), Some("X"));
        assert_eq!(form.list("Names").collect::<Vec<_>>(), ["a b", "c+"]);
        let tags: Vec<_> = form.structures("Tags", ["Key", "Value"]).collect();
        assert_eq!(tags, [[Some("k"), Some("")], [Some("l"), None]]);
        assert_eq!(format!("{:?}", Form::parse(b"Secret=x").unwrap()), "{\"Secret\"}");
    }

    #[test]
    fn trees_are_read_as_they_are_named_and_refused_when_they_are_none() {
        let tree = |form: &str| Form::parse(form.as_bytes()).unwrap().tree("E");
        let form = "E.member.1.Name=aws:x&E.member.1.Values.member.1=a&E.member.1.Values.member.2=b&E.member.2.Name=y&F=1";
        assert_eq!(
            tree(form).unwrap(),
            Some(serde_json::json!([{"Name": "aws:x", "Values": ["a", "b"]}, {"Name": "y"}]))
        );
        assert_eq!(tree("F=1").unwrap(), None);
        let deep = format!("E.{}=1", ["member.1"; 9].join("."));
        for bad in
            ["E.member.2=a", "E.member.x=a", "E.member.1=a&E.member.1.b=c", "E.member.1=a&E.b=c", &deep]
        {
            assert_eq!(tree(bad).unwrap_err().code, "MalformedInput", "{bad}");
        }
    }

    #[test]
    fn a_parameter_that_stands_there_twice_is_refused() {
        assert_eq!(Form::parse(b"A=1&A=2").unwrap_err().code, "MalformedQueryString");
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|number| format!("p{number}=")).collect();
        assert!(Form::parse(many.join("&").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(form) = Form::parse(&bytes) {
                let _all = form.list("A").count() + form.structures("A", ["B"]).count();
                let _tree = form.tree("A");
            }
        }
    }
}
