//! Single tensors of a sealed model: safetensors, by [`safetensors`](super::safetensors), and GGUF, by
//! [`gguf`](super::gguf).
//!
//! Opening reads the frames that hold the model's header; a tensor costs the frames that it covers, decrypted straight into
//! the caller's buffer. Nothing is written to disk.
//!
//! Source: <https://github.com/huggingface/safetensors>, "Format". The tensors' bytes are little-endian, row-major.

use std::{
    io::{self, Read},
    path::Path,
};

use serde::Serialize;
use thiserror::Error;

use super::{ArtifactError, SAFETENSORS_HEADER_BYTES_MAX, SealedFile, gguf, safetensors};
use crate::envelope::{ErrorClass, Keyring, OpenMessageError, OpenOptions};

const GGUF: &str = "GGUF";

/// Why a sealed model could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The sealed file holds something else than a model.
    #[error("this is no safetensors or GGUF file: {why}")]
    NotAModel {
        /// What is wrong.
        why: String,
    },
    /// The model has no tensor of this name.
    #[error("the model has no tensor `{name}`")]
    NoTensor {
        /// The name.
        name: String,
    },
    /// The buffer has not the tensor's size.
    #[error("the tensor `{name}` has {bytes} bytes, and the buffer has {found}")]
    WrongSize {
        /// The tensor's name.
        name: String,
        /// The tensor's size.
        bytes: u64,
        /// The buffer's.
        found: usize,
    },
    /// NumPy has no type for the tensor's elements.
    #[error("the tensor `{name}` has type {dtype}, which an .npy file cannot hold")]
    NotForNpy {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: String,
    },
}

impl ModelError {
    /// The class of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotAModel { .. } | Self::NotForNpy { .. } => ErrorClass::Failed,
            Self::NoTensor { .. } | Self::WrongSize { .. } => ErrorClass::Usage,
        }
    }
}

/// What the header says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name. Escape it before it is printed to a terminal.
    pub name: String,
    /// The type of its elements: `F32`, `BF16`, `Q4_K` …
    pub dtype: String,
    /// Its shape, as the format has it: the slowest dimension first in safetensors, the fastest first in GGUF.
    pub shape: Vec<u64>,
    /// Its size in bytes; none for a GGUF type that is not known here.
    pub bytes: Option<u64>,
    /// Where its bytes begin in the plaintext.
    pub offset: u64,
}

/// What a model says of itself beside its tensors: pairs of text.
pub type ModelMetadata = Vec<(String, String)>;

/// A sealed model whose tensors are read one by one.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let keyring = keystead::envelope::RawAesKeyring::new(
/// #     "lab", "laptop", keystead::secret::SecretKey::from_slice(&[1; 32]).ok_or("32 bytes")?)?;
/// use keystead::artifact::SealedTensors;
///
/// let model = SealedTensors::open("model.safetensors.sealed".as_ref(), &keyring)?;
/// let tensor = model.tensor("model.embed_tokens.weight")?;
/// let mut bytes = vec![0; tensor.bytes() as usize];
/// tensor.read_into(&mut bytes)?;
/// # Ok(())
/// # }
/// ```
pub struct SealedTensors {
    file: SealedFile,
    format: &'static str,
    metadata: ModelMetadata,
    tensors: Vec<TensorInfo>,
}

impl SealedTensors {
    /// Opens a sealed model.
    ///
    /// # Errors
    ///
    /// As [`SealedFile::open`]; also when the plaintext is no model.
    pub fn open(path: &Path, keyring: &dyn Keyring) -> Result<Self, ArtifactError> {
        Self::of_file(SealedFile::open(path, keyring, &OpenOptions::default())?)
    }

    /// The model that a sealed file holds.
    ///
    /// # Errors
    ///
    /// When the plaintext is no model, or its header cannot be read.
    pub fn of_file(file: SealedFile) -> Result<Self, ArtifactError> {
        let mut start = [0; 8];
        let read = file.read_at(&mut start, 0)?;
        let (format, metadata, tensors) = if start.starts_with(&gguf::MAGIC) {
            let bytes = file.plaintext_bytes();
            let header = gguf::read(&mut FromStart { file: &file, position: 0 }, bytes)?;
            (GGUF, header.metadata, header.tensors)
        } else {
            let whole = (read == start.len()).then_some(u64::from_le_bytes(start));
            let length = whole.ok_or_else(|| not_a_model("it is shorter than 8 bytes"))?;
            let header = safetensors_header(&file, length)?;
            ("safetensors", header.metadata, header.tensors)
        };
        Ok(Self { file, format, metadata, tensors })
    }

    /// `safetensors` or `GGUF`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// The sealed file.
    #[must_use]
    pub fn file(&self) -> &SealedFile {
        &self.file
    }

    /// What the model says of itself. Escape it before it is printed to a terminal.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// All tensors, in the order of their bytes.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn tensor(&self, name: &str) -> Result<SealedTensor<'_>, ModelError> {
        let info = self.tensors.iter().find(|tensor| tensor.name == name);
        let info = info.ok_or_else(|| ModelError::NoTensor { name: name.into() })?;
        let unknown = || ModelError::NotForNpy { name: name.into(), dtype: info.dtype.clone() };
        let bytes = info.bytes.ok_or_else(unknown)?;
        Ok(SealedTensor { file: &self.file, info, bytes, fastest_first: self.format == GGUF })
    }
}

/// One tensor of a sealed model.
pub struct SealedTensor<'model> {
    file: &'model SealedFile,
    info: &'model TensorInfo,
    bytes: u64,
    /// Whether the shape begins with the fastest dimension.
    fastest_first: bool,
}

impl SealedTensor<'_> {
    /// What the header says of it.
    #[must_use]
    pub fn info(&self) -> &TensorInfo {
        self.info
    }

    /// Its shape with the slowest dimension first, as NumPy and others have it, whatever the format.
    #[must_use]
    pub fn row_major_shape(&self) -> Vec<u64> {
        let mut shape = self.info.shape.clone();
        if self.fastest_first {
            shape.reverse();
        }
        shape
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many plaintext bytes each frame of the model holds.
    pub(super) fn frame_bytes(&self) -> usize {
        self.file.frame_bytes()
    }

    /// Decrypts it into `buffer`, which is as long as it.
    ///
    /// # Errors
    ///
    /// When the buffer has another size, or a frame is not what was sealed or cannot be read.
    pub fn read_into(&self, buffer: &mut [u8]) -> Result<(), ArtifactError> {
        if buffer.len() as u64 != self.bytes {
            let (name, bytes) = (self.info.name.clone(), self.bytes);
            return Err(ModelError::WrongSize { name, bytes, found: buffer.len() }.into());
        }
        Ok(self.file.read_exact_at(buffer, self.info.offset)?)
    }

    /// Decrypts the part of it from `offset` on into `buffer`; answers how many bytes: fewer than there is room for only
    /// at its end.
    ///
    /// # Errors
    ///
    /// When a frame is not what was sealed, or cannot be read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, OpenMessageError> {
        let rest = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = rest.min(buffer.len());
        let part = buffer.split_at_mut(length).0;
        self.file.read_exact_at(part, self.info.offset.saturating_add(offset))?;
        Ok(length)
    }
}

/// Reads a sealed file from its beginning.
struct FromStart<'file> {
    file: &'file SealedFile,
    position: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position).map_err(io::Error::other)?;
        self.position += read as u64;
        Ok(read)
    }
}

fn safetensors_header(file: &SealedFile, length: u64) -> Result<safetensors::Header, ArtifactError> {
    if length > SAFETENSORS_HEADER_BYTES_MAX || length > file.plaintext_bytes().saturating_sub(8) {
        return Err(not_a_model("its header would be longer than the file or than 100 MB").into());
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut header, 8)?;
    Ok(safetensors::read(&header, 8 + length, file.plaintext_bytes())?)
}

pub(super) fn not_a_model(why: impl Into<String>) -> ModelError {
    ModelError::NotAModel { why: why.into() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::artifact::sealed_file::tests::{keyring, sealed};

    /// A safetensors file with two tensors: `a` of four F32, `b` of 2 × 3 BF16.
    pub(in crate::artifact) fn model() -> Vec<u8> {
        let header = br#"{"__metadata__":{"by":"tests"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[16,28]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        for number in [1.0_f32, -2.5, 0.0, 1e10] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        for number in [1.0_f32, 2.0, -3.0, 0.5, 0.0, 8.0] {
            file.extend_from_slice(&number.to_le_bytes()[2..]);
        }
        file
    }

    fn open(plaintext: &[u8]) -> Result<SealedTensors, ArtifactError> {
        let (_directory, path) = sealed(plaintext, 16);
        SealedTensors::open(&path, &keyring())
    }

    #[test]
    fn tensors_are_listed_and_read_one_by_one() {
        let plaintext = model();
        let model = open(&plaintext).unwrap();
        assert_eq!((model.format(), model.metadata()), ("safetensors", &[("by".into(), "tests".into())][..]));
        let [a, b] = model.tensors() else { panic!("two tensors") };
        assert_eq!(
            (a.name.as_str(), a.dtype.as_str(), a.shape.as_slice(), a.bytes),
            ("a", "F32", &[4][..], Some(16))
        );
        assert_eq!(
            (b.name.as_str(), b.dtype.as_str(), b.shape.as_slice(), b.bytes),
            ("b", "BF16", &[2, 3][..], Some(12))
        );
        let tensor = model.tensor("b").unwrap();
        let mut bytes = vec![0; 12];
        tensor.read_into(&mut bytes).unwrap();
        assert_eq!(bytes, plaintext[plaintext.len() - 12..]);
        let mut part = [0; 100];
        assert_eq!(tensor.read_at(&mut part, 10).unwrap(), 2);
        assert_eq!(part[..2], plaintext[plaintext.len() - 2..]);
        assert!(matches!(
            tensor.read_into(&mut [0; 11]),
            Err(ArtifactError::Model(ModelError::WrongSize { .. }))
        ));
        assert!(matches!(model.tensor("c"), Err(ModelError::NoTensor { .. })));
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let whole = model();
        let refused = |plaintext: &[u8]| {
            matches!(open(plaintext), Err(ArtifactError::Model(ModelError::NotAModel { .. })))
        };
        assert!(refused(b"") && refused(b"short") && refused(&[0xFF; 100]) && refused(&[0; 100]));
        assert!(refused(&whole[..whole.len() - 1]));
        assert!(refused(&[whole.as_slice(), b"x"].concat()));
        let overlapping = String::from_utf8_lossy(&whole).replace("[16,28]", "[15,28]").into_bytes();
        assert!(refused(&overlapping[..8 + 150]));
    }
}
