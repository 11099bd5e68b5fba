//! The header of a GGUF file: what llama.cpp's models say of themselves and of their tensors.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian. Only the header is
//! read. Counts and lengths are claims: each is checked against a limit and against the file before room is made for it.

use std::{
    collections::HashSet,
    io::{BufReader, Read},
};

use super::tensors::{ModelError, ModelMetadata, TensorInfo, not_a_model};

/// How a GGUF file begins.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";
/// The longest header that is read; vocabularies take a few megabytes.
const HEADER_BYTES_MAX: u64 = 256 * 1024 * 1024;
const PAIRS_MAX: u64 = 65_536;
const TENSORS_MAX: u64 = 1_000_000;
/// The format's limit is 4.
const DIMENSIONS_MAX: u32 = 8;
/// The longest text that is kept: chat templates have some kilobytes.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;
/// Arrays within arrays.
const DEPTH_MAX: u32 = 4;
const ALIGNMENT_KEY: &str = "general.alignment";
const ALIGNMENT: u64 = 32;

/// The most text that is kept of all pairs and names.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The types of values.
const UNSIGNED_32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// What the header says.
pub(super) struct Header {
    pub(super) metadata: ModelMetadata,
    pub(super) tensors: Vec<TensorInfo>,
}

/// Reads the header of a file of `file_bytes` bytes.
pub(super) fn read(reader: &mut dyn Read, file_bytes: u64) -> Result<Header, ModelError> {
    // Twice as many as there may be would be read if the limit lay above the buffer.
    let reader = BufReader::new(reader.take(HEADER_BYTES_MAX));
    let mut fields = Fields { reader, position: 0, alignment: ALIGNMENT, kept_bytes: 0 };
    if fields.array()? != MAGIC {
        return Err(not_a_model("it does not begin with GGUF"));
    }
    let version = fields.u32()?;
    if !matches!(version, 2 | 3) {
        return Err(not_a_model(format!("its GGUF version is {version}, and 2 and 3 are read")));
    }
    let (tensors, pairs) =
        (fields.count("tensors", TENSORS_MAX)?, fields.count("metadata pairs", PAIRS_MAX)?);
    let mut metadata = Vec::new();
    for _ in 0..pairs {
        metadata.push(fields.pair()?);
    }
    expect_each_once("metadata", metadata.iter().map(|(key, _)| key))?;
    let mut infos = Vec::new();
    for _ in 0..tensors {
        infos.push(fields.tensor()?);
    }
    expect_each_once("the tensor", infos.iter().map(|info| &info.name))?;
    let alignment = fields.alignment;
    let data = fields.position.checked_next_multiple_of(alignment).ok_or_else(beyond)?;
    for info in &mut infos {
        if !info.offset.is_multiple_of(alignment) {
            return Err(not_a_model(format!("the tensor `{}` is not aligned", info.name)));
        }
        info.offset = info.offset.checked_add(data).ok_or_else(beyond)?;
        let end = info.offset.checked_add(info.bytes.unwrap_or(0)).ok_or_else(beyond)?;
        if end > file_bytes {
            return Err(beyond());
        }
    }
    // One that is empty lies before the one that begins where it does.
    infos.sort_by_key(|info| (info.offset, info.bytes));
    for (one, next) in infos.iter().zip(infos.iter().skip(1)) {
        if one.offset.saturating_add(one.bytes.unwrap_or(0)) > next.offset {
            return Err(not_a_model(format!("the tensors `{}` and `{}` overlap", one.name, next.name)));
        }
    }
    Ok(Header { metadata, tensors: infos })
}

/// Two readers could take two things of one name for each other's.
fn expect_each_once<'names>(
    what: &str,
    mut names: impl Iterator<Item = &'names String>,
) -> Result<(), ModelError> {
    let mut seen = HashSet::new();
    match names.find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(not_a_model(format!("its header has {what} `{twice}` twice"))),
        None => Ok(()),
    }
}

fn beyond() -> ModelError {
    not_a_model("a tensor lies beyond its end")
}

struct Fields<R> {
    reader: R,
    position: u64,
    alignment: u64,
    kept_bytes: usize,
}

impl<R: Read> Fields<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(cut)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ModelError> {
        self.array().map(u64::from_le_bytes)
    }

    fn count(&mut self, of: &str, max: u64) -> Result<u64, ModelError> {
        let count = self.u64()?;
        if count > max {
            return Err(not_a_model(format!("its header claims {count} {of}, and at most {max} are read")));
        }
        Ok(count)
    }

    fn text(&mut self) -> Result<String, ModelError> {
        let length = self.count("bytes of one text", TEXT_BYTES_MAX)?;
        let mut bytes = Vec::new();
        // Room is made as the bytes come.
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes).map_err(cut)?;
        if read as u64 != length {
            return Err(not_a_model("it ends within its header"));
        }
        self.position += length;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Takes note of text that is kept: bytes that are not UTF-8 take more room than they have.
    fn keep(&mut self, text: &str) -> Result<(), ModelError> {
        self.kept_bytes = self.kept_bytes.saturating_add(text.len());
        match self.kept_bytes > KEPT_BYTES_MAX {
            true => Err(not_a_model(format!("its header has more than {KEPT_BYTES_MAX} bytes of text"))),
            false => Ok(()),
        }
    }

    fn pair(&mut self) -> Result<(String, String), ModelError> {
        let key = self.text()?;
        let kind = self.u32()?;
        let value = self.value(kind, 0)?;
        if key == ALIGNMENT_KEY {
            let number = if kind == UNSIGNED_32 { value.parse::<u32>().ok() } else { None };
            let power = number.filter(|alignment| alignment.is_power_of_two());
            let power = power.ok_or_else(|| not_a_model(format!("its alignment is `{value}`")))?;
            self.alignment = power.into();
        }
        self.keep(&key)?;
        self.keep(&value)?;
        Ok((key, value))
    }

    /// A value in words; an array by its length alone.
    fn value(&mut self, kind: u32, depth: u32) -> Result<String, ModelError> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).to_string(),
            1 => i8::from_le_bytes(self.array()?).to_string(),
            2 => u16::from_le_bytes(self.array()?).to_string(),
            3 => i16::from_le_bytes(self.array()?).to_string(),
            4 => self.u32()?.to_string(),
            5 => i32::from_le_bytes(self.array()?).to_string(),
            6 => f32::from_le_bytes(self.array()?).to_string(),
            7 => (self.array()? != [0]).to_string(),
            STRING => self.text()?,
            ARRAY => self.list(depth)?,
            10 => self.u64()?.to_string(),
            11 => i64::from_le_bytes(self.array()?).to_string(),
            12 => f64::from_le_bytes(self.array()?).to_string(),
            _ => {
                return Err(not_a_model(format!(
                    "its header has a value of type {kind}, which is not known"
                )));
            }
        })
    }

    fn list(&mut self, depth: u32) -> Result<String, ModelError> {
        if depth >= DEPTH_MAX {
            return Err(not_a_model("its header has arrays within arrays without end"));
        }
        let (kind, length) = (self.u32()?, self.u64()?);
        // The header's end bounds the work: each element takes at least a byte of it.
        for _ in 0..length {
            self.value(kind, depth + 1)?;
        }
        Ok(format!("[{length} values]"))
    }

    fn tensor(&mut self) -> Result<TensorInfo, ModelError> {
        let name = self.text()?;
        self.keep(&name)?;
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS_MAX {
            return Err(not_a_model(format!("the tensor `{name}` claims {dimensions} dimensions")));
        }
        let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        let (kind, offset) = (self.u32()?, self.u64()?);
        let elements = shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
        let known = TYPES.iter().find(|(number, ..)| *number == kind);
        let bytes = match (known, elements) {
            (_, None) => return Err(beyond()),
            (None, _) => None,
            (Some((_, _, block, bytes)), Some(elements)) => {
                Some(elements.div_ceil(*block).checked_mul(*bytes).ok_or_else(beyond)?)
            }
        };
        let dtype = known.map_or_else(|| format!("type {kind}"), |(_, name, ..)| (*name).into());
        Ok(TensorInfo { name, dtype, shape, bytes, offset })
    }
}

fn cut(error: std::io::Error) -> ModelError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => not_a_model("it ends within its header"),
        _ => not_a_model(error.to_string()),
    }
}

/// Number, name, elements of a block and bytes of a block of each type (ggml, `ggml_type` and its block structures).
const TYPES: [(u32, &str, u64, u64); 30] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
];

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    /// A file with three pairs and two tensors, and the length of its header.
    fn model() -> Vec<u8> {
        let mut file =
            [MAGIC.as_slice(), &3_u32.to_le_bytes(), &2_u64.to_le_bytes(), &3_u64.to_le_bytes()].concat();
        file.extend([text("general.architecture"), 8_u32.to_le_bytes().into(), text("llama")].concat());
        file.extend([text(ALIGNMENT_KEY), 4_u32.to_le_bytes().into(), 64_u32.to_le_bytes().into()].concat());
        let tokens = [
            text("tokens"),
            9_u32.to_le_bytes().into(),
            8_u32.to_le_bytes().into(),
            2_u64.to_le_bytes().into(),
        ];
        file.extend([tokens.concat(), text("a"), text("b")].concat());
        for (name, shape, kind, offset) in [("w", &[64_u64, 2][..], 2_u32, 64_u64), ("b", &[3][..], 0, 0)] {
            file.extend(text(name));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|dimension| file.extend(dimension.to_le_bytes()));
            file.extend([kind.to_le_bytes().as_slice(), &offset.to_le_bytes()].concat());
        }
        file
    }

    fn padded() -> Vec<u8> {
        let mut file = model();
        file.resize(file.len().next_multiple_of(64) + 64 + 4 * 18, 7);
        file
    }

    fn parse(mut bytes: &[u8]) -> Result<Header, ModelError> {
        let length = bytes.len() as u64;
        read(&mut bytes, length)
    }

    #[test]
    fn a_header_is_read() {
        let header = parse(&padded()).unwrap();
        let pairs: Vec<(&str, &str)> =
            header.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [("general.architecture", "llama"), (ALIGNMENT_KEY, "64"), ("tokens", "[2 values]")]
        );
        let data = model().len().next_multiple_of(64) as u64;
        let [b, w] = header.tensors.as_slice() else { panic!("two tensors") };
        assert_eq!((b.name.as_str(), b.dtype.as_str(), b.bytes, b.offset), ("b", "F32", Some(12), data));
        assert_eq!(
            (w.name.as_str(), w.dtype.as_str(), w.bytes, w.offset),
            ("w", "Q4_0", Some(4 * 18), data + 64)
        );
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let file = padded();
        for length in 0..file.len() {
            assert!(parse(&file[..length]).is_err(), "{length}");
        }
    }

    /// A file with one tensor `m`: two rows of four F32, 0 to 7.
    pub(in crate::artifact) fn matrix() -> Vec<u8> {
        let counts = [1_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat();
        let mut file = [MAGIC.as_slice(), &3_u32.to_le_bytes(), &counts, &text("m")].concat();
        file.extend(2_u32.to_le_bytes());
        file.extend([4_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat());
        file.extend([0_u32.to_le_bytes().as_slice(), &0_u64.to_le_bytes()].concat());
        file.resize(file.len().next_multiple_of(32), 0);
        (0..8_u8).for_each(|number| file.extend(f32::from(number).to_le_bytes()));
        file
    }

    /// A file with one tensor of a byte for each name and offset.
    fn bytes_at(tensors: &[(&str, u64)]) -> Vec<u8> {
        let count = tensors.len() as u64;
        let mut file =
            [MAGIC.as_slice(), &3_u32.to_le_bytes(), &count.to_le_bytes(), &0_u64.to_le_bytes()].concat();
        for (name, offset) in tensors {
            file.extend([text(name), 1_u32.to_le_bytes().into(), 40_u64.to_le_bytes().into()].concat());
            file.extend([24_u32.to_le_bytes().as_slice(), &offset.to_le_bytes()].concat());
        }
        file.resize(file.len().next_multiple_of(32) + 200, 7);
        file
    }

    #[test]
    fn names_are_each_once_and_tensors_lie_side_by_side() {
        let refused = |tensors: &[(&str, u64)]| {
            parse(&bytes_at(tensors)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(refused(&[("a", 64), ("b", 0)]), "");
        assert!(refused(&[("a", 0), ("a", 64)]).contains("the tensor `a` twice"));
        assert!(refused(&[("a", 32), ("b", 0)]).contains("`b` and `a` overlap"));
        assert!(refused(&[("a", 0), ("b", 0)]).contains("overlap"));
        assert!(refused(&[("a", 0), ("b", 65)]).contains("`b` is not aligned"));
        let pair = [text("k"), 4_u32.to_le_bytes().into(), 1_u32.to_le_bytes().into()].concat();
        let start = [MAGIC.as_slice(), &3_u32.to_le_bytes(), &0_u64.to_le_bytes(), &2_u64.to_le_bytes()];
        let twice = [start.concat(), pair.clone(), pair].concat();
        assert!(parse(&twice).err().unwrap().to_string().contains("metadata `k` twice"));
    }

    #[test]
    fn hostile_counts_cost_nothing() {
        let start = [MAGIC.as_slice(), &3_u32.to_le_bytes()].concat();
        let with = |tensors: u64, pairs: u64, rest: &[u8]| {
            [start.as_slice(), &tensors.to_le_bytes(), &pairs.to_le_bytes(), rest].concat()
        };
        assert!(parse(&with(u64::MAX, 0, b"")).is_err());
        assert!(parse(&with(0, u64::MAX, b"")).is_err());
        assert!(parse(&with(0, 1, &u64::MAX.to_le_bytes())).is_err());
        let endless = [
            text("k"),
            9_u32.to_le_bytes().into(),
            9_u32.to_le_bytes().into(),
            u64::MAX.to_le_bytes().into(),
        ];
        assert!(parse(&with(0, 1, &endless.concat())).is_err());
        let huge = [text("t"), 2_u32.to_le_bytes().into(), [0xFF; 16].into(), [0; 12].into()].concat();
        assert!(parse(&with(1, 0, &huge)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut file = padded();
            let at = at.index(file.len());
            file[at] = byte;
            let _ = parse(&file);
            let _ = parse(&[MAGIC.as_slice(), &3_u32.to_le_bytes(), &noise].concat());
        }
    }
}
