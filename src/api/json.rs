//! Bodies of JSON: in with a limit on their depth, out into memory that is wiped.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::api::error::WireError;

/// How deep a request's JSON may nest.
pub const DEPTH_MAX: usize = 32;
/// Room for an answer of which no more is known.
const ANSWER_BYTES: usize = 16 * 1024;
/// Room for all of an answer but its blobs: names, and two ARNs of keys.
const BESIDE_BLOBS_BYTES: usize = 1024;

/// A request's members. They are wiped when it is done with: some are secret.
pub(in crate::api) struct Input(Map<String, Value>);

impl Input {
    /// Reads a body. An empty one has no members.
    pub(in crate::api) fn parse(body: &[u8]) -> Result<Self, WireError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        if is_too_deep(body) {
            return Err(too_deep());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(mut other) => {
                wipe(&mut other);
                Err(WireError::serialization("Start of structure or map expected"))
            }
            Err(_) => Err(WireError::serialization("The request body is not well-formed JSON.")),
        }
    }

    /// The members.
    pub(in crate::api) fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Input(…)")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The refusal of a body that nests too deep.
pub(in crate::api) fn too_deep() -> WireError {
    WireError::serialization(format!("The request body nests deeper than {DEPTH_MAX}."))
}

/// Whether brackets nest deeper than [`DEPTH_MAX`], told before anything is allocated.
pub(in crate::api) fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Writes an answer. Its memory is wiped when the last who holds it lets go.
pub(in crate::api) fn written(answer: &impl Serialize) -> Result<Bytes, WireError> {
    Ok(Bytes::from_owner(Wiped(json_in(ANSWER_BYTES, answer)?)))
}

/// Writes an answer that has blobs of so many bytes together. It is written in one place and not moved: some are secret.
pub(in crate::api) fn written_with_blobs(
    blob_bytes: usize,
    answer: &impl Serialize,
) -> Result<Bytes, WireError> {
    // Three bytes are four characters; that each blob's last four may stand for fewer is in the room beside them.
    let room = BESIDE_BLOBS_BYTES + blob_bytes / 3 * 4;
    let bytes = json_in(room, answer)?;
    debug_assert!(bytes.len() <= room, "an answer that may be secret was moved: it is longer than its room");
    Ok(Bytes::from_owner(Wiped(bytes)))
}

fn json_in(room: usize, answer: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, WireError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    match serde_json::to_writer(&mut *bytes, answer) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(WireError::new("KMSInternalException", "").with_status(500)),
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes as a blob's text.
#[derive(Clone, Copy)]
pub(in crate::api) struct Blob<'a>(pub(in crate::api) &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0)))
    }
}

/// The bytes of a blob's text, in memory that is wiped. The model has checked that it is one.
pub(in crate::api) fn blob(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(text.len())));
    STANDARD.decode_vec(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts_alone() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Input::parse(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        let refused = Input::parse(nested(DEPTH_MAX).as_bytes()).unwrap_err();
        assert_eq!(refused.code, "SerializationException");
        assert!(Input::parse(format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["[]", "1", "{", "{\"a\":}", "\"{}\"", "\u{0}"] {
            assert_eq!(Input::parse(bad.as_bytes()).unwrap_err().code, "SerializationException", "{bad}");
        }
        assert!(Input::parse(b" ").unwrap().members().is_empty());
    }

    #[test]
    fn a_blob_is_written_in_base64() {
        #[derive(Serialize)]
        struct Answer<'a> {
            blob: Blob<'a>,
        }
        assert_eq!(&written(&Answer { blob: Blob(b"\xff\x00") }).unwrap()[..], br#"{"blob":"/wA="}"#);
        assert_eq!(blob("/wA=").unwrap().as_slice(), b"\xff\x00");
    }

    #[test]
    fn the_longest_answer_with_secrets_is_not_moved() {
        #[derive(Serialize)]
        struct Answer<'a> {
            blobs: [Blob<'a>; 2],
            arns: [String; 2],
            material_ids: [String; 2],
            names: String,
        }
        // Two ARNs of the longest Region and key id, and more names than any answer has.
        let arn = format!("arn:aws:kms:{}:111122223333:key/{}", "r".repeat(32), "k".repeat(128));
        for length in [0, 1, 32, 1024, 4096, 6144] {
            let blob = vec![b'x'; length];
            let answer = Answer {
                blobs: [Blob(&blob); 2],
                arns: [arn.clone(), arn.clone()],
                material_ids: ["m".repeat(64), "m".repeat(64)],
                names: "n".repeat(256),
            };
            // It checks itself that the answer was not longer than its room.
            assert!(written_with_blobs(2 * length, &answer).is_ok());
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\",:a0\\\\]{0,80}") {
            let _read = Input::parse(&body);
            let _read = Input::parse(text.as_bytes());
        }
    }
}
