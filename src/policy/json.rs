//! Reads JSON and remembers where each value stood.
//!
//! Source: RFC 8259, with AWS's stricter terms for policies: an object names each key once, and nesting has a limit.
//! Ordinary JSON readers keep the last of two equal keys, so that a person and the evaluator would read two different
//! policies; here the second one is an error. Positions count from 1, in lines and characters; offsets in bytes from 0.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::PolicyError;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// The byte within the text, from 0.
    pub offset: usize,
}

impl Position {
    /// Where every text begins.
    pub(super) const START: Self = Self { line: 1, column: 1, offset: 0 };
}

/// From the first character of something to just after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// Just after the last character.
    pub end: Position,
}

/// A value and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Span,
}

/// A JSON value. A number keeps its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Node>),
    Object(Vec<(Key, Node)>),
}

/// The name of an object's member and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Node {
    /// The members, when this is an object.
    pub(super) fn as_object(&self) -> Option<&[(Key, Node)]> {
        if let Value::Object(members) = &self.value { Some(members) } else { None }
    }

    /// The text, when this is a string.
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    /// The member of this name, when this is an object that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.as_object()?.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The elements of an array, or the one value that stands in its place.
    pub(super) fn one_or_many(&self) -> &[Node] {
        if let Value::Array(nodes) = &self.value { nodes } else { std::slice::from_ref(self) }
    }

    /// What sort of value this is, for messages.
    pub(super) fn sort(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

/// Reads one JSON value of at most `depth_max` nested arrays and objects; `start` is where the text begins.
pub(super) fn read(text: &str, start: Position, depth_max: usize) -> Result<Node, PolicyError> {
    let mut reader = Reader { rest: text, at: start, depth_left: depth_max };
    reader.skip_space();
    let node = reader.value()?;
    reader.skip_space();
    if reader.rest.is_empty() { Ok(node) } else { Err(reader.error("there is text after the JSON value")) }
}

struct Reader<'t> {
    rest: &'t str,
    at: Position,
    depth_left: usize,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> PolicyError {
        PolicyError::new(message, self.at)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let character = chars.next()?;
        self.rest = chars.as_str();
        self.at.offset += character.len_utf8();
        if character == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(character)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), PolicyError> {
        if self.peek() == Some(wanted) {
            self.next();
            Ok(())
        } else {
            Err(self.error(format!("expected `{wanted}`{}", self.found())))
        }
    }

    fn found(&self) -> String {
        self.peek().map_or(", found the end of the text".into(), |character| {
            format!(", found `{}`", character.escape_debug())
        })
    }

    fn value(&mut self) -> Result<Node, PolicyError> {
        let start = self.at;
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"') => Value::String(self.string()?),
            Some('-' | '0'..='9') => Value::Number(self.number()?),
            Some('t') => self.word("true", Value::Bool(true))?,
            Some('f') => self.word("false", Value::Bool(false))?,
            Some('n') => self.word("null", Value::Null)?,
            _ => return Err(self.error(format!("expected a JSON value{}", self.found()))),
        };
        Ok(Node { value, span: Span { start, end: self.at } })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, PolicyError>) -> Result<Value, PolicyError> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(self.error("arrays and objects are nested too deeply"));
        };
        self.depth_left = left;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, PolicyError> {
        self.expect('{')?;
        let (mut members, mut names) = (Vec::new(), HashSet::new());
        self.skip_space();
        while self.peek() != Some('}') {
            if !members.is_empty() {
                self.expect(',')?;
                self.skip_space();
            }
            let start = self.at;
            if self.peek() != Some('"') {
                return Err(self.error(format!("expected a key in quotes{}", self.found())));
            }
            let text = self.string()?;
            if !names.insert(text.clone()) {
                return Err(PolicyError::new(format!("the key `{text}` stands twice in one object"), start));
            }
            let key = Key { text, span: Span { start, end: self.at } };
            self.skip_space();
            self.expect(':')?;
            self.skip_space();
            members.push((key, self.value()?));
            self.skip_space();
        }
        self.expect('}')?;
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, PolicyError> {
        self.expect('[')?;
        let mut nodes = Vec::new();
        self.skip_space();
        while self.peek() != Some(']') {
            if !nodes.is_empty() {
                self.expect(',')?;
                self.skip_space();
            }
            nodes.push(self.value()?);
            self.skip_space();
        }
        self.expect(']')?;
        Ok(Value::Array(nodes))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, PolicyError> {
        if !self.rest.starts_with(word) {
            return Err(self.error(format!("expected a JSON value{}", self.found())));
        }
        for _ in word.chars() {
            self.next();
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<String, PolicyError> {
        let whole = self.rest;
        let before = self.at.offset;
        if self.peek() == Some('-') {
            self.next();
        }
        if self.peek() == Some('0') {
            self.next();
        } else {
            self.digits()?;
        }
        if self.peek() == Some('.') {
            self.next();
            self.digits()?;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.next();
            if matches!(self.peek(), Some('+' | '-')) {
                self.next();
            }
            self.digits()?;
        }
        Ok(whole.get(..self.at.offset - before).unwrap_or_default().to_owned())
    }

    fn digits(&mut self) -> Result<(), PolicyError> {
        if !self.peek().is_some_and(|character| character.is_ascii_digit()) {
            return Err(self.error(format!("expected a digit{}", self.found())));
        }
        while self.peek().is_some_and(|character| character.is_ascii_digit()) {
            self.next();
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, PolicyError> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None => return Err(PolicyError::new("a string is not closed", at)),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(control) if control < ' ' => {
                    return Err(PolicyError::new("a string holds a bare control character", at));
                }
                Some(character) => text.push(character),
            }
        }
    }

    fn escape(&mut self) -> Result<char, PolicyError> {
        let at = self.at;
        let bad = || PolicyError::new("a string holds a bad escape", at);
        match self.next().ok_or_else(bad)? {
            character @ ('"' | '\\' | '/') => Ok(character),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => {
                let first = self.hex4().ok_or_else(bad)?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or_else(bad);
                }
                if self.next() != Some('\\') || self.next() != Some('u') {
                    return Err(bad());
                }
                let second = self.hex4().filter(|low| (0xdc00..0xe000).contains(low)).ok_or_else(bad)?;
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.next()?.to_digit(16)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_it(text: &str) -> Result<Node, PolicyError> {
        read(text, Position::START, 32)
    }

    #[test]
    fn values_know_where_they_stood() {
        let node = read_it("{\n  \"ä\": [1, true]\n}").unwrap();
        let list = node.get("ä").unwrap();
        assert_eq!((list.span.start.line, list.span.start.column, list.span.start.offset), (2, 8, 10));
        assert_eq!((list.span.end.column, list.span.end.offset), (17, 19));
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            "{",
            "{} x",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "[1,]",
            "{,}",
            "01",
            "1.",
            "-",
            "1e",
            "tru",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\t\"",
            "\u{feff}{}",
        ] {
            assert!(read_it(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        assert!(read_it(&format!("{}{}", "[".repeat(32), "]".repeat(32))).is_ok());
        assert!(read_it(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_err());
        assert!(read_it(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn escapes_come_out_as_characters() {
        assert_eq!(read_it(r#""\u00e4\n\ud83d\ude00\/""#).unwrap().as_str(), Some("ä\n😀/"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_as_by_serde(text in "[\\[\\]{}\",:a0-9.eE\\\\u\\- tfn]{0,24}") {
            // serde_json keeps duplicate keys and unpaired digits of its own mind; it never accepts what is no JSON.
            if read_it(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() || text.contains(['e', 'E']));
            }
        }
    }
}
