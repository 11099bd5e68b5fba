//! What makes stored rows refuse an editor: authentication codes over each row and over all of them together.
//!
//! Each row carries an HMAC-SHA-256 (FIPS 198-1) of its table, id and body. Codes of rows alone would still let
//! somebody delete a row or put an old one back, and so undo a DisableKey. Therefore one more code covers the set of
//! rows, the meta entries and the log's position. To keep it in constant time a row, the set is the exclusive or of a
//! pseudorandom value for each row (MSet-XOR-Hash; Clarke et al., ASIACRYPT 2003). Those values never leave memory.
//!
//! Putting back the whole database and the whole log of an earlier day is not noticed here: against that only
//! a checkpoint kept elsewhere helps.

use super::Meta;
use crate::{audit::LogPosition, crypto::digest::hmac_sha256, secret::SecretKey};

/// The length of an authentication code in bytes.
pub(super) const MAC_BYTES: usize = 32;
/// What each code is for; no two mean the same bytes.
const ROW_LABEL: &[u8] = b"keystead/row/v1";
const SET_LABEL: &[u8] = b"keystead/set/v1";
const STATE_LABEL: &[u8] = b"keystead/state/v1";

/// A row as it stands in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowText<'a> {
    pub(super) table: &'a str,
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
}

impl RowText<'_> {
    /// The code that stands beside the row.
    pub(super) fn mac(&self, key: &SecretKey) -> [u8; MAC_BYTES] {
        self.keyed(ROW_LABEL, key)
    }

    fn keyed(&self, label: &[u8], key: &SecretKey) -> [u8; MAC_BYTES] {
        let parts = [label, self.table.as_bytes(), self.id.as_bytes(), self.body];
        hmac_of_prefixed(key, parts)
    }
}

/// The rows that there are, in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSet([u8; MAC_BYTES]);

impl RowSet {
    /// Puts a row in, or takes it out when it is in.
    ///
    /// INVARIANT: the database's primary key keeps a row from being in twice, which would cancel out.
    pub(super) fn toggle(&mut self, row: &RowText<'_>, key: &SecretKey) {
        for (byte, other) in self.0.iter_mut().zip(row.keyed(SET_LABEL, key)) {
            *byte ^= other;
        }
    }

    /// The code over these rows, these meta entries and this position.
    pub(super) fn state_mac(
        &self,
        meta: &Meta,
        log: Option<&LogPosition>,
        key: &SecretKey,
    ) -> [u8; MAC_BYTES] {
        let mut entries = Vec::new();
        for (name, value) in meta {
            for part in [name.as_bytes(), value] {
                entries.extend_from_slice(&length_of(part));
                entries.extend_from_slice(part);
            }
        }
        let position = log.map(|log| [log.size.to_be_bytes().as_slice(), &log.root].concat());
        hmac_of_prefixed(key, [STATE_LABEL, &self.0, &entries, position.as_deref().unwrap_or_default()])
    }
}

fn length_of(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

fn hmac_of_prefixed(key: &SecretKey, parts: [&[u8]; 4]) -> [u8; MAC_BYTES] {
    let [a, b, c, d] = parts;
    let (la, lb, lc, ld) = (length_of(a), length_of(b), length_of(c), length_of(d));
    hmac_sha256(key, &[&la, a, &lb, b, &lc, c, &ld, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(table: &'a str, id: &'a str, body: &'a str) -> RowText<'a> {
        RowText { table, id, body: body.as_bytes() }
    }

    #[test]
    fn no_two_rows_share_a_code() {
        let key = SecretKey::from_slice(&[1; 32]).unwrap();
        let rows = [row("a", "b", "c"), row("ab", "", "c"), row("a", "bc", ""), row("", "ab", "c")];
        let mut codes: Vec<_> = rows.iter().map(|row| row.mac(&key)).collect();
        codes.push(row("a", "b", "c").mac(&SecretKey::from_slice(&[2; 32]).unwrap()));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 5);
    }

    #[test]
    fn the_set_forgets_what_was_taken_out_and_the_order() {
        let key = SecretKey::from_slice(&[1; 32]).unwrap();
        let (one, two) = (row("t", "1", "x"), row("t", "2", "y"));
        let (mut left, mut right) = (RowSet::default(), RowSet::default());
        left.toggle(&one, &key);
        left.toggle(&two, &key);
        right.toggle(&two, &key);
        let mac =
            |set: &RowSet, meta: &Meta, log: Option<LogPosition>| set.state_mac(meta, log.as_ref(), &key);
        let none = Meta::new();
        assert_ne!(mac(&left, &none, None), mac(&right, &none, None));
        left.toggle(&one, &key);
        assert_eq!(mac(&left, &none, None), mac(&right, &none, None));
        assert_ne!(mac(&left, &none, None), mac(&left, &none, Some(LogPosition::empty())));
        assert_ne!(mac(&left, &none, None), mac(&left, &Meta::from([("a".into(), vec![])]), None));
    }
}
