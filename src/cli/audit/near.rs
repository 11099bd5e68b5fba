//! What somebody may have meant who asked for events and found none.
//!
//! Names are taken from the events that the caller may see, and from the table of KMS's operations, which is public. So
//! nobody learns of a principal in this way whom they could not have found in the log.

use std::collections::BTreeSet;

use strsim::levenshtein;

use super::rows::last_segment;
use crate::{
    audit::{Record, index::Found},
    cli::error::CommandError,
    keystore::Keystore,
    kms::{Caller, OPERATIONS},
};

/// How many events are looked through.
const EVENTS_LOOKED_THROUGH: usize = 1000;
/// One letter may be wrong in so many.
const LETTERS_PER_MISTAKE: usize = 4;

/// What was asked for by name.
pub(super) struct Asked<'a> {
    pub(super) event_name: Option<&'a str>,
    pub(super) principal: Option<&'a str>,
    pub(super) outcome: Option<&'a str>,
}

impl Asked<'_> {
    /// Lines that say what may have been meant.
    pub(super) fn hints(&self, keystore: &Keystore, caller: &Caller) -> Result<Vec<String>, CommandError> {
        let asked = [self.event_name, self.principal, self.outcome];
        if asked.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let seen = keystore.audit_last(caller, EVENTS_LOOKED_THROUGH)?;
        let names = |name: fn(&Record) -> Option<String>| -> BTreeSet<String> {
            seen.iter().filter_map(|Found { record, .. }| name(record)).collect()
        };
        let mut events = names(|record| Some(record.event_name.clone().into_owned()));
        events.extend(OPERATIONS.iter().map(|operation| operation.name.to_owned()));
        let known = [events, names(principal), names(|record| record.error_code.clone())];
        let near = asked.iter().zip(&known).filter_map(|(asked, known)| nearest((*asked)?, known));
        Ok(near.map(|name| format!("did you mean `{name}`?")).collect())
    }
}

/// The caller as `--principal` takes it: of a session its role.
fn principal(record: &Record) -> Option<String> {
    let name = last_segment(record.user_identity.arn.as_ref()?.as_str());
    let role = name.strip_prefix("assumed-role/").and_then(|session| session.split('/').next());
    Some(role.map_or_else(|| name.to_owned(), |role| format!("role/{role}")))
}

/// The name that is most like what was typed; none when that is a name itself, or nothing is like it.
fn nearest<'n>(typed: &str, names: &'n BTreeSet<String>) -> Option<&'n str> {
    let typed = last_segment(typed);
    if names.contains(typed) {
        return None;
    }
    let typed = typed.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let mistakes = typed.chars().count() / LETTERS_PER_MISTAKE;
        let whole = levenshtein(&typed, &name);
        // Without its path, a name is as good.
        let bare = levenshtein(last_part(&typed), last_part(&name));
        // The code of an error is shown without its `Exception`.
        let begun = if typed.len() > 2 && name.starts_with(&typed) { 1 } else { usize::MAX };
        let least = whole.min(bare).min(begun);
        (least <= mistakes.max(1)).then_some((least, whole))
    };
    let near = names.iter().filter_map(|name| Some((likeness(name)?, name.as_str())));
    near.min().map(|(_, name)| name)
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_what_is_right_is_left_alone() {
        let names: BTreeSet<String> =
            ["Decrypt", "Encrypt", "NotFoundException", "user/research/bob", "user/alice", "role/ops"]
                .map(Into::into)
                .into();
        for (typed, meant) in [
            ("Decript", Some("Decrypt")),
            ("decrypt", Some("Decrypt")),
            ("bob", Some("user/research/bob")),
            ("user/bob", Some("user/research/bob")),
            ("arn:aws:iam::111122223333:user/bob", Some("user/research/bob")),
            ("user/alcie", Some("user/alice")),
            ("alcie", None),
            ("alic", Some("user/alice")),
            ("NotFound", Some("NotFoundException")),
            ("user/alice", None),
            ("arn:aws:iam::111122223333:user/alice", None),
            ("user/zed", None),
            ("CreateGrant", None),
        ] {
            assert_eq!(nearest(typed, &names), meant, "{typed}");
        }
    }
}
