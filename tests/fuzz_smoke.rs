//! The entries of the fuzz targets on their corpus, whole and damaged, so that they run wherever the tests do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail by panicking")]

#[path = "fuzz/entries.rs"]
mod entries;

use std::{fs, path::Path};

/// Every file of these folders.
fn corpus(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let corpus: Vec<_> = files.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!corpus.is_empty());
    corpus
}

/// The bytes as they are, cut off, and with one byte changed, at some sixty places.
fn with_damaged(bytes: &[u8], entry: impl Fn(&[u8])) {
    entry(bytes);
    for at in (0..bytes.len()).step_by((bytes.len() / 64).max(1)) {
        entry(&bytes[..at]);
        let mut changed = bytes.to_vec();
        for byte in [b'"', b'{', b'*', b'$', 0] {
            changed[at] = byte;
            entry(&changed);
        }
    }
}

#[test]
fn no_policy_of_the_corpus_makes_the_parser_panic() {
    corpus(&["fuzz/corpus/policy"]).iter().for_each(|bytes| with_damaged(bytes, entries::policy));
}

#[test]
fn no_policy_of_the_corpus_makes_the_evaluation_panic() {
    corpus(&["fuzz/corpus/policy"]).iter().for_each(|bytes| with_damaged(bytes, entries::decision));
}

#[test]
fn no_request_of_the_corpus_makes_the_simulation_panic() {
    corpus(&["fuzz/corpus/request"]).iter().for_each(|bytes| with_damaged(bytes, entries::request));
    corpus(&["vectors/policy"]).iter().for_each(|bytes| entries::request(bytes));
}
