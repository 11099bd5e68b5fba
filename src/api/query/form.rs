//! A form: names with dots and numbers, which stand for lists and structures.

use std::collections::BTreeMap;

use crate::api::error::WireError;

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
            }
        }
    }
}
