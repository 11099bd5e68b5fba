//! The entries of the fuzz targets on their corpus, whole and damaged, so that they run wherever the tests do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail by panicking")]

#[path = "fuzz/entries.rs"]
mod entries;
#[cfg(feature = "server")]
#[path = "fuzz/wire_entries.rs"]
mod wire_entries;

use std::{fs, io::Read, path::Path};

use keystead::audit::{
    AuditLog, LogPosition,
    directory::{LogDirectory, MemoryDirectory},
    prove_consistency, prove_inclusion,
    tlog_proof::{GrowthProof, InclusionProof},
};

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

#[test]
fn no_segment_of_the_corpus_makes_the_log_panic() {
    corpus(&["fuzz/corpus/segment"]).iter().for_each(|bytes| with_damaged(bytes, entries::segment));
}

#[test]
fn no_checkpoint_of_the_corpus_makes_its_parser_panic() {
    corpus(&["fuzz/corpus/checkpoint"]).iter().for_each(|bytes| with_damaged(bytes, entries::checkpoint));
}

#[test]
fn no_proof_of_the_corpus_makes_its_verification_panic() {
    corpus(&["fuzz/corpus/proof"]).iter().for_each(|bytes| with_damaged(bytes, entries::proof));
}

/// The log's part of the corpus is what the log writes. `KEYSTEAD_RENEW=1` writes it anew after a change of the format.
#[test]
fn the_corpus_of_the_log_is_what_the_log_writes() {
    let directory = MemoryDirectory::new();
    let mut log = AuditLog::create(Box::new(directory.clone()), entries::log_options().unwrap()).unwrap();
    let record = |number: u8| format!(r#"{{"eventName":"Decrypt","number":{number}}}"#).into_bytes();
    let positions: Vec<LogPosition> =
        (0..3).map(|n| log.append_batch(&[record(2 * n), record(2 * n + 1)]).unwrap()).collect();
    let (position, checkpoint) = (log.position(), log.checkpoint());
    let mut segment = Vec::new();
    directory.read(entries::FIRST_SEGMENT).unwrap().1.read_to_end(&mut segment).unwrap();
    let torn = segment[..segment.len() - 100].to_vec();
    let path = prove_inclusion(&directory, 3, &position).unwrap();
    let included = InclusionProof { record: record(3), index: 3, path, checkpoint: checkpoint.clone() };
    let path = prove_consistency(&directory, positions[0].size, &position).unwrap();
    let grown = GrowthProof { old: positions[0].size, path, checkpoint: checkpoint.clone() };
    for (name, bytes) in [
        ("segment/whole.log", segment),
        ("segment/torn.log", torn),
        ("checkpoint/signed.note", checkpoint.into_bytes()),
        ("checkpoint/key.vkey", log.verifier().to_string().into_bytes()),
        ("proof/inclusion.tlog-proof", included.to_text().into_bytes()),
        ("proof/growth.txt", grown.to_text().into_bytes()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        if std::env::var_os("KEYSTEAD_RENEW").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
    }
}

#[test]
fn no_message_of_the_corpus_makes_opening_panic() {
    let corpus = corpus(&["fuzz/corpus/message"]);
    corpus.iter().for_each(|bytes| with_damaged(bytes, entries::message));
}

#[test]
fn no_manifest_of_the_corpus_makes_the_reading_panic() {
    corpus(&["fuzz/corpus/manifest"]).iter().for_each(|bytes| with_damaged(bytes, entries::manifest));
}

#[test]
fn no_model_of_the_corpus_makes_its_listing_panic() {
    corpus(&["fuzz/corpus/model"]).iter().for_each(|bytes| with_damaged(bytes, entries::model));
}

#[cfg(feature = "server")]
#[test]
fn no_request_of_the_corpus_makes_the_endpoint_panic() {
    corpus(&["fuzz/corpus/signature"]).iter().for_each(|bytes| with_damaged(bytes, wire_entries::signature));
    corpus(&["fuzz/corpus/json"]).iter().for_each(|bytes| with_damaged(bytes, wire_entries::json));
    corpus(&["fuzz/corpus/form"]).iter().for_each(|bytes| with_damaged(bytes, wire_entries::form));
}
