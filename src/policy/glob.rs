//! Patterns of policies: `*`, `?`, and policy variables.
//!
//! Source: "IAM JSON policy elements: Variables and tags" and "Action", "Resource" (IAM user guide). `*` stands for any
//! characters, `?` for exactly one. Matching keeps one place to come back to, so that its time is at worst pattern
//! times text and never exponential. What a variable resolves to is literal: a tag that holds `*` is no wildcard.

use std::borrow::Cow;

/// One piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// This very character.
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A pattern without variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

impl Glob {
    /// Reads `*` and `?` as wildcards.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.chars().map(wild).collect())
    }

    /// Whether the pattern matches the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        tokens_match(&self.0, text)
    }
}

fn wild(character: char) -> Token {
    match character {
        '*' => Token::Many,
        '?' => Token::One,
        other => Token::Char(other),
    }
}

/// Whether `pattern` matches the whole of `text`.
pub(super) fn tokens_match(pattern: &[Token], text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text.chars());
    // After the last `*` seen: the pattern behind it, and the text from which it may swallow one more character.
    let mut retry: Option<(&[Token], std::str::Chars<'_>)> = None;
    loop {
        if let Some((Token::Many, behind)) = pattern.split_first() {
            if behind.is_empty() {
                return true;
            }
            retry = Some((behind, text.clone()));
            pattern = behind;
            continue;
        }
        let mut ahead = text.clone();
        match (pattern.split_first(), ahead.next()) {
            (None, None) => return true,
            (Some((Token::One, behind)), Some(_)) => (pattern, text) = (behind, ahead),
            (Some((Token::Char(wanted), behind)), Some(found)) if *wanted == found => {
                (pattern, text) = (behind, ahead);
            }
            (_, found) => {
                // The text is used up, or the place does not fit: let the last `*` swallow one more character.
                let Some((behind, from)) = &mut retry else { return false };
                if found.is_none() || from.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind, from.clone());
            }
        }
    }
}

/// Whether an ARN pattern matches an ARN, segment by segment; only the sixth may hold colons.
///
/// Segments that the pattern leaves off count as `*` ("Resource", IAM user guide).
pub(super) fn arn_tokens_match(pattern: &[Token], arn: &str) -> bool {
    let mut segments = arn.splitn(6, ':');
    let mut patterns = pattern.splitn(6, |token| *token == Token::Char(':'));
    segments.by_ref().all(|segment| patterns.next().is_none_or(|pattern| tokens_match(pattern, segment)))
        && patterns.next().is_none()
}

/// How many of an ARN's six segments a pattern has.
pub(super) fn segments(pattern: &[Token]) -> usize {
    pattern.splitn(6, |token| *token == Token::Char(':')).count()
}

/// Text of a policy that may hold variables and wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Tokens(Vec<Token>),
    Variable { key: String, default: Option<String> },
}

/// Which characters of a text are more than themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// `${…}` is a variable.
    pub(super) variables: bool,
}

impl Reading {
    fn tokens(self, text: &str) -> impl Iterator<Item = Token> {
        text.chars()
            .map(move |character| if self.wildcards { wild(character) } else { Token::Char(character) })
    }
}

impl Template {
    /// Reads a text; answers what is wrong with it.
    pub(super) fn parse(text: &str, reading: Reading) -> Result<Self, String> {
        let (mut pieces, mut tokens, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some((before, after)) = rest.split_once("${").filter(|_| reading.variables) {
            tokens.extend(reading.tokens(before));
            let (inside, behind) =
                after.split_once('}').ok_or_else(|| format!("the variable in `{text}` is not closed"))?;
            match inside {
                "*" | "?" | "$" => tokens.extend(inside.chars().map(Token::Char)),
                _ => {
                    if !tokens.is_empty() {
                        pieces.push(Piece::Tokens(std::mem::take(&mut tokens)));
                    }
                    pieces.push(variable(inside, text)?);
                }
            }
            rest = behind;
        }
        tokens.extend(reading.tokens(rest));
        if !tokens.is_empty() {
            pieces.push(Piece::Tokens(tokens));
        }
        Ok(Self { pieces })
    }

    /// Whether the text depends on the request.
    pub(super) fn has_variables(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    /// The text's tokens, with `lookup` giving what a variable (in lower case) stands for; none when one that has no
    /// default stands for nothing.
    pub(super) fn resolve<'t>(&self, lookup: impl Fn(&str) -> Option<&'t str>) -> Option<Cow<'_, [Token]>> {
        match self.pieces.as_slice() {
            [] => return Some(Cow::Borrowed(&[])),
            [Piece::Tokens(tokens)] => return Some(Cow::Borrowed(tokens)),
            _ => {}
        }
        let mut resolved = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Tokens(tokens) => resolved.extend_from_slice(tokens),
                Piece::Variable { key, default } => {
                    resolved.extend(lookup(key).or(default.as_deref())?.chars().map(Token::Char));
                }
            }
        }
        Some(Cow::Owned(resolved))
    }
}

fn variable(inside: &str, text: &str) -> Result<Piece, String> {
    let (key, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((key, default)) => {
            let quoted = default.trim().strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            (key, Some(quoted.ok_or_else(|| format!("the default in `{text}` is not in single quotes"))?))
        }
    };
    let key = key.trim_end();
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '$' || c == '{') {
        return Err(format!("the variable in `{text}` names no condition key"));
    }
    Ok(Piece::Variable { key: key.to_lowercase(), default: default.map(ToOwned::to_owned) })
}

/// Tokens as text; `\u{…}`-free and for explanations only: a literal `*` prints as `${*}`.
pub(super) fn to_text(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Char(character @ ('*' | '?')) => text.extend(['$', '{', *character, '}']),
            Token::Char(character) => text.push(*character),
            Token::One => text.push('?'),
            Token::Many => text.push('*'),
        }
    }
    text
}

/// Whether the tokens, read without wildcards, are exactly `text`.
pub(super) fn tokens_equal(tokens: &[Token], text: &str) -> bool {
    let mut characters = text.chars();
    tokens.iter().all(|token| match token {
        Token::Char(character) => characters.next() == Some(*character),
        Token::One | Token::Many => false,
    }) && characters.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern).matches(text)
    }

    fn arn_matches(pattern: &str, text: &str) -> bool {
        arn_tokens_match(&Glob::parse(pattern).0, text)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a*c", "ac"),
            ("a?c", "aäc"),
            ("*a*b", "xaybzb"),
            ("a**", "a"),
            ("", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a?c", "ac"), ("a*c", "acd"), ("?", ""), ("", "a"), ("A", "a"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let started = Instant::now();
        assert!(!matches(&"a*".repeat(500), &"a".repeat(400)));
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(5_000)));
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn an_arn_matches_segment_by_segment() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/a:b/c";
        for pattern in
            ["arn:aws:kms:*:*:key/*", "arn:aws:kms", "arn:*:k?s:us-*:1*3:key/*:b/c", "arn:aws:kms:*"]
        {
            assert!(arn_matches(pattern, key), "{pattern}");
        }
        for pattern in ["arn:aws:*:key/*", "arn:aws:kms:*:key/*", "arn:*key/a:b/c", "arn:AWS:kms:*:*:*"] {
            assert!(!arn_matches(pattern, key), "{pattern}");
        }
        assert!(!arn_matches("arn:aws:s3:::bucket", "*"));
    }

    #[test]
    fn variables_resolve_to_literal_text() {
        let both = Reading { wildcards: true, variables: true };
        let template = Template::parse("a/${aws:UserName}/${x:y, 'd*'}/${*}*", both).unwrap();
        let tokens = template.resolve(|key| (key == "aws:username").then_some("b*")).unwrap();
        assert!(tokens_match(&tokens, "a/b*/d*/*whatever"));
        assert!(!tokens_match(&tokens, "a/bx/d*/*"));
        assert!(template.resolve(|_| None).is_none());
        let literal = Template::parse("${aws:x}", Reading { wildcards: true, variables: false }).unwrap();
        assert!(tokens_match(&literal.resolve(|_| None).unwrap(), "${aws:x}"));
        for bad in ["${", "${}", "${a b}", "${a, d}", "${a, 'd}"] {
            assert!(Template::parse(bad, both).is_err(), "{bad}");
        }
    }

    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', behind)), rest) => {
                naive(behind, text) || rest.is_some_and(|(_, rest)| naive(pattern, rest))
            }
            (Some((wanted, behind)), Some((found, rest))) => {
                (*wanted == '?' || wanted == found) && naive(behind, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_matcher(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), naive(&p, &t));
        }

        #[test]
        fn any_text_is_a_template_or_refused(text in "\\PC{0,40}") {
            let _ = Template::parse(&text, Reading { wildcards: true, variables: true });
        }
    }
}
