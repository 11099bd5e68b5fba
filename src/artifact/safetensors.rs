//! The header of a safetensors file: one JSON object, read by the `safetensors` crate's own types and checked by it.
//!
//! Source: <https://github.com/huggingface/safetensors>, "Format". Beyond what the crate checks, each name may stand there
//! once: JSON readers differ in which of two they take.

use std::{collections::HashSet, fmt, marker::PhantomData};

use ::safetensors::tensor::{Metadata, TensorInfo as Entry};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::tensors::{ModelError, ModelMetadata, TensorInfo, not_a_model};

/// The longest header, as the format's own library has it.
pub const SAFETENSORS_HEADER_BYTES_MAX: u64 = 100_000_000;
const MEMBERS_MAX: usize = 1_000_000;
/// The key that names no tensor.
const METADATA: &str = "__metadata__";

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: ModelMetadata,
    pub(super) tensors: Vec<TensorInfo>,
}

/// Reads a header. The tensors' bytes lie from `start` to the end of a file of `file_bytes` bytes.
pub(super) fn read(header: &[u8], start: u64, file_bytes: u64) -> Result<Header, ModelError> {
    let wrong = |error: &dyn fmt::Display| not_a_model(error.to_string());
    let EachOnce::<Member>(members) = serde_json::from_slice(header).map_err(|error| wrong(&error))?;
    let (mut metadata, mut tensors) = (Vec::new(), Vec::new());
    for (name, member) in members {
        match member {
            Member::Metadata(EachOnce(pairs)) if name == METADATA => metadata = pairs,
            Member::Tensor(entry) if name != METADATA => tensors.push((name, entry)),
            _ => return Err(not_a_model(format!("its header's `{name}` is not what it should be"))),
        }
    }
    tensors.sort_by_key(|(_, entry)| entry.data_offsets);
    let checked = Metadata::new(None, tensors).map_err(|error| wrong(&error))?;
    if start + checked.data_len() as u64 != file_bytes {
        return Err(not_a_model("its tensors do not end where it does"));
    }
    let info = |name: String| {
        let entry = checked.info(&name)?;
        let (from, to) = entry.data_offsets;
        Some(TensorInfo {
            dtype: format!("{:?}", entry.dtype),
            shape: entry.shape.iter().map(|dimension| *dimension as u64).collect(),
            bytes: Some((to - from) as u64),
            offset: start + from as u64,
            name,
        })
    };
    let mut tensors: Vec<TensorInfo> = checked.offset_keys().into_iter().filter_map(info).collect();
    tensors.sort_by(|one, other| (one.offset, &one.name).cmp(&(other.offset, &other.name)));
    metadata.sort();
    Ok(Header { metadata, tensors })
}

/// The members of an object, each name once.
struct EachOnce<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for EachOnce<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = EachOnce<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EachOnce<T>, A::Error> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(Error::custom(format!("its header has `{name}` twice")));
            }
            if members.len() == MEMBERS_MAX {
                return Err(Error::custom(format!("its header has more than {MEMBERS_MAX} members")));
            }
            members.push((name, map.next_value()?));
        }
        Ok(EachOnce(members))
    }
}

/// A member of the header.
#[derive(Deserialize)]
#[serde(untagged)]
enum Member {
    Tensor(Entry),
    Metadata(EachOnce<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &str) -> Result<Vec<String>, String> {
        let read = read(format!("{{{members}}}").as_bytes(), 100, 108).map_err(|error| error.to_string())?;
        Ok(read.tensors.into_iter().map(|tensor| tensor.name).collect())
    }

    #[test]
    fn each_name_stands_there_once() {
        let tensor = |name: &str, from: u64, to: u64| {
            format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{from},{to}]}}"#, to - from)
        };
        let (one, two) = (tensor("w", 0, 4), tensor("v", 4, 8));
        let metadata = r#""__metadata__":{"by":"tests"}"#;
        assert_eq!(names(&format!("{metadata},{two},{one}")).unwrap(), ["w", "v"]);
        for (members, said) in [
            (format!("{one},{two},{}", tensor("w", 4, 8)), "`w` twice"),
            (format!("{one},{two},{metadata},{metadata}"), "`__metadata__` twice"),
            (format!(r#"{one},{two},"__metadata__":{{"by":"a","by":"b"}}"#), ""),
            (format!(r#"{one},"v":{{"by":"a"}}"#), "`v`"),
            (one.clone(), "do not end where it does"),
        ] {
            let error = names(&members).unwrap_err();
            assert!(error.contains(said), "{members}: {error}");
        }
    }
}
