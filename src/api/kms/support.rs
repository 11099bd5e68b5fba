//! Which operations are served: the tables of `docs/compatibility.md`, which a test compares with them.

use std::fmt::Write;

use super::{model::service_model, operations::SERVED};
use crate::{
    kms::OPERATIONS,
    services::{iam, sts},
};

/// Whether an operation is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Served,
    /// It answers UnsupportedOperationException.
    Unsupported,
}

/// Every operation of the service model, sorted by name.
#[must_use]
pub fn support_table() -> Vec<(&'static str, Support)> {
    let support = |name: &str| if SERVED.contains(&name) { Support::Served } else { Support::Unsupported };
    service_model().operations().into_iter().map(|name| (name, support(name))).collect()
}

/// The tables as Markdown.
#[must_use]
pub fn support_markdown() -> String {
    let (served, unsupported): (Vec<_>, Vec<_>) =
        support_table().into_iter().partition(|(_, support)| *support == Support::Served);
    let yes = |is: bool| if is { "yes" } else { "" };
    let mut text = format!("{} of KMS's {} operations:\n\n", served.len(), served.len() + unsupported.len());
    text.push_str("| operation | across accounts | GrantTokens | DryRun |\n|---|---|---|---|\n");
    for (name, _) in served {
        let row = OPERATIONS.iter().find(|row| row.name == name);
        let facts = row.map(|row| (yes(row.across_accounts()), yes(row.grant_tokens), yes(row.dry_run)));
        let (across, tokens, dry_run) = facts.unwrap_or_default();
        let _written = writeln!(text, "| {name} | {across} | {tokens} | {dry_run} |");
    }
    text.push_str("\nAnswered with UnsupportedOperationException:\n\n");
    let names: Vec<_> = unsupported.into_iter().map(|(name, _)| name).collect();
    text.push_str(&wrapped(&names));
    for (service, operations) in [("IAM", iam::OPERATIONS), ("STS", sts::OPERATIONS)] {
        let mut names: Vec<_> = operations.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        let _written = write!(text, "\n{} operations of {service}:\n\n{}", names.len(), wrapped(&names));
    }
    text.push_str("\nOne of CloudTrail: LookupEvents.\n");
    text
}

/// How wide a line of names is.
const LINE_CHARS: usize = 100;

/// Names in a sentence, in lines that are not too long.
fn wrapped(names: &[&str]) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for (number, name) in names.iter().enumerate() {
        let end = if number + 1 == names.len() { "." } else { "," };
        let before = match width {
            0 => "",
            width if width + name.len() + 2 > LINE_CHARS => {
                text.push('\n');
                ""
            }
            _ => " ",
        };
        width = if before.is_empty() { 0 } else { width + 1 } + name.len() + 1;
        let _written = write!(text, "{before}{name}{end}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- made from code: begin -->\n";
    const END: &str = "<!-- made from code: end -->";

    #[test]
    fn what_is_served_is_in_the_model() {
        let served = support_table().into_iter().filter(|(_, support)| *support == Support::Served).count();
        assert_eq!(served, SERVED.len());
    }

    #[test]
    fn the_document_has_every_error_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
        let document = std::fs::read_to_string(path).unwrap();
        let errors = document.split_once("\n## Errors\n").and_then(|(_, rest)| rest.split_once("\n## "));
        let (errors, _) = errors.expect("a chapter on errors");
        let source = include_str!("../../model/error.rs");
        let codes = source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split('"').nth(1));
        let (written, missing): (Vec<_>, Vec<_>) =
            codes.partition(|code| errors.contains(&format!("`{code}`")));
        assert!(written.len() > 60 && missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_document_tells_what_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
        let document = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = document.split_once(BEGIN).expect("where the tables begin");
        let (tables, after) = rest.split_once(END).expect("where the tables end");
        if std::env::var_os("KEYSTEAD_RENEW").is_some() {
            std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", support_markdown())).unwrap();
        } else {
            let why = "renew it with `KEYSTEAD_RENEW=1 cargo test --lib the_document_tells`";
            assert_eq!(tables, support_markdown(), "{why}");
        }
    }
}
