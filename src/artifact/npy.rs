//! A tensor as a file of NumPy's (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0).
//!
//! NumPy has no type for brain floats: they are written as the 32-bit floats that have the same values. Other types that
//! NumPy does not have are refused.

use std::{
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    ArtifactError, ModelError, SealedTensor, TensorInfo,
    output::{OutputFile, Readers},
};
use crate::envelope::{OpenMessageError, at_positions};

/// How much of a tensor is held at once.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// How much of it each thread takes at once, about.
const PIECE_BYTES: u64 = 2 * 1024 * 1024;
const HEADER_ALIGNMENT: usize = 64;
const PRELUDE_BYTES: usize = 10;

/// NumPy's names of types.
const TYPES: [(&str, &str); 14] = [
    ("BOOL", "|b1"),
    ("U8", "|u1"),
    ("I8", "|i1"),
    ("U16", "<u2"),
    ("I16", "<i2"),
    ("F16", "<f2"),
    (BRAIN_FLOAT, "<f4"),
    ("U32", "<u4"),
    ("I32", "<i4"),
    ("F32", "<f4"),
    ("U64", "<u8"),
    ("I64", "<i8"),
    ("F64", "<f8"),
    ("C64", "<c8"),
];
const BRAIN_FLOAT: &str = "BF16";

/// Writes a tensor as an `.npy` file that its owner alone can read; `replace` lets it replace a file.
///
/// # Errors
///
/// When NumPy has no such type, a frame is not what was sealed, or the file cannot be written or exists. No partial file is
/// left behind.
pub fn save_npy(tensor: &SealedTensor<'_>, target: &Path, replace: bool) -> Result<PathBuf, ArtifactError> {
    // What NumPy has no type for is refused before a file is begun.
    let header = header(tensor)?;
    let output = OutputFile::create(target, Readers::Owner, replace)?;
    let unwritable = |source| ArtifactError::Unwritable { path: target.into(), source };
    output.file().write_all_at(&header, 0).map_err(unwritable)?;
    let (pieces, header_bytes) = (Pieces::of(tensor), header.len() as u64);
    let work = |chunk: &mut Zeroizing<Vec<u8>>, number: u64| {
        let (from, to) = (pieces.begin(number), pieces.begin(number + 1));
        chunk.resize(usize::try_from(to - from).unwrap_or(usize::MAX), 0);
        let read = tensor.read_at(chunk, from)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if is_brain_float(tensor) {
            output.file().write_all_at(&widened(bytes), header_bytes + 2 * from).map_err(unwritable)?;
        } else {
            output.file().write_all_at(bytes, header_bytes + from).map_err(unwritable)?;
        }
        Ok::<_, ArtifactError>(read as u64)
    };
    // Room that never grows: growing would leave plaintext behind.
    let room = usize::try_from(pieces.bytes.min(tensor.bytes()) + pieces.element_bytes).unwrap_or_default();
    at_positions(pieces.count(), &|| Zeroizing::new(Vec::with_capacity(room)), &work, &mut |_| ())?;
    output.commit()
}

/// A tensor in pieces of whole frames, as far as those are not too long, so that each frame is decrypted once.
struct Pieces {
    /// Where the tensor's bytes begin and end in the plaintext.
    start: u64,
    end: u64,
    bytes: u64,
    /// What must not be cut: the two bytes of a brain float.
    element_bytes: u64,
}

impl Pieces {
    fn of(tensor: &SealedTensor<'_>) -> Self {
        let frame = (tensor.frame_bytes() as u64).clamp(1, CHUNK_BYTES as u64);
        let (start, end) = (tensor.info().offset, tensor.info().offset.saturating_add(tensor.bytes()));
        let element_bytes = if is_brain_float(tensor) { 2 } else { 1 };
        Self { start, end, bytes: frame * (PIECE_BYTES / frame).max(1), element_bytes }
    }

    fn count(&self) -> u64 {
        if self.start == self.end { 0 } else { (self.end - 1) / self.bytes - self.start / self.bytes + 1 }
    }

    /// Where a piece begins in the tensor; that of the one behind the last is the tensor's length.
    fn begin(&self, number: u64) -> u64 {
        let at = (self.start / self.bytes).saturating_add(number).saturating_mul(self.bytes);
        let within = at.clamp(self.start, self.end) - self.start;
        if within == self.end - self.start { within } else { within - within % self.element_bytes }
    }
}

/// Writes a tensor as the bytes of an `.npy` file into a stream, which gets each part once it is verified.
///
/// # Errors
///
/// When NumPy has no such type, a frame is not what was sealed, or the stream cannot be written.
pub fn write_npy(tensor: &SealedTensor<'_>, writer: &mut dyn Write) -> Result<(), ArtifactError> {
    writer.write_all(&header(tensor)?).map_err(OpenMessageError::Write)?;
    let room = usize::try_from(tensor.bytes()).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut chunk = Zeroizing::new(vec![0; room]);
    let mut at = 0;
    while at < tensor.bytes() {
        let read = tensor.read_at(&mut chunk, at)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if is_brain_float(tensor) {
            writer.write_all(&widened(bytes)).map_err(OpenMessageError::Write)?;
        } else {
            writer.write_all(bytes).map_err(OpenMessageError::Write)?;
        }
        at += read as u64;
    }
    writer.flush().map_err(|error| OpenMessageError::Write(error).into())
}

fn is_brain_float(tensor: &SealedTensor<'_>) -> bool {
    tensor.info().dtype == BRAIN_FLOAT
}

/// A brain float is the upper half of a 32-bit float.
fn widened(brain_floats: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut floats = Zeroizing::new(Vec::with_capacity(2 * brain_floats.len()));
    for upper in brain_floats.chunks_exact(2) {
        floats.extend_from_slice(&[0, 0]);
        floats.extend_from_slice(upper);
    }
    floats
}

fn header(tensor: &SealedTensor<'_>) -> Result<Vec<u8>, ModelError> {
    header_of(tensor.info(), &tensor.row_major_shape())
}

fn header_of(info: &TensorInfo, shape: &[u64]) -> Result<Vec<u8>, ModelError> {
    let refused = || ModelError::NotForNpy { name: info.name.clone(), dtype: info.dtype.clone() };
    let (_, descr) = TYPES.iter().find(|(dtype, _)| *dtype == info.dtype).ok_or_else(refused)?;
    let dimensions: Vec<String> = shape.iter().map(u64::to_string).collect();
    let shape = match dimensions.as_slice() {
        [only] => format!("({only},)"),
        all => format!("({})", all.join(", ")),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let whole = (PRELUDE_BYTES + text.len() + 1).next_multiple_of(HEADER_ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', whole - PRELUDE_BYTES - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(|_| refused())?;
    Ok([b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{
        SealedTensors,
        gguf::tests::matrix,
        sealed_file::tests::{keyring, sealed},
        tensors::tests::model,
    };

    fn info(dtype: &str, shape: &[u64]) -> TensorInfo {
        TensorInfo { name: "t".into(), dtype: dtype.into(), shape: shape.into(), bytes: Some(0), offset: 0 }
    }

    #[test]
    fn the_header_is_as_numpy_writes_it() {
        let header = |info: &TensorInfo| header_of(info, &info.shape);
        let text =
            |info: TensorInfo| String::from_utf8_lossy(&header(&info).unwrap()[10..]).trim_end().to_owned();
        assert_eq!(text(info("F32", &[])), "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
        assert_eq!(text(info("I64", &[3])), "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }");
        assert_eq!(
            text(info("BF16", &[2, 3])),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        );
        let whole = header(&info("F16", &[2, 3])).unwrap();
        assert_eq!(
            (whole.len() % 64, whole[..8].to_vec(), whole.last()),
            (0, b"\x93NUMPY\x01\x00".to_vec(), Some(&b'\n'))
        );
        assert!(matches!(header(&info("F8_E4M3", &[1])), Err(ModelError::NotForNpy { .. })));
    }

    #[test]
    fn a_shape_that_begins_with_the_fastest_dimension_is_turned_round() {
        let (_directory, path) = sealed(&matrix(), 16);
        let model = SealedTensors::open(&path, &keyring()).unwrap();
        let mut file = Vec::new();
        write_npy(&model.tensor("m").unwrap(), &mut file).unwrap();
        assert_eq!(model.tensors()[0].shape, [4, 2]);
        assert!(String::from_utf8_lossy(&file).contains("'fortran_order': False, 'shape': (2, 4)"));
        assert!(file.ends_with(&[4.0_f32, 5.0, 6.0, 7.0].map(f32::to_le_bytes).concat()));
    }

    #[test]
    fn pieces_are_whole_frames_and_cover_the_tensor_once() {
        for (start, end) in [(0, 0), (5, 5), (0, 16), (7, 101), (16, 34), (3, 5)] {
            for element_bytes in [1, 2] {
                let pieces = Pieces { start, end, bytes: 16, element_bytes };
                let begins: Vec<u64> = (0..=pieces.count()).map(|number| pieces.begin(number)).collect();
                assert_eq!((begins[0], *begins.last().unwrap()), (0, end - start), "{start}-{end}");
                assert!(begins.windows(2).all(|pair| pair[0] < pair[1]), "{begins:?}");
                for at in &begins[1..begins.len().max(2) - 1] {
                    let to_frame = (start + at).next_multiple_of(16) - (start + at);
                    assert!(at % element_bytes == 0 && to_frame < element_bytes, "{begins:?}");
                }
            }
        }
    }

    #[test]
    fn a_large_tensor_is_saved_as_it_streams() {
        let bytes: Vec<u8> = (0..5_000_001_u32).map(|number| (number % 251) as u8).collect();
        for (dtype, count, used) in [("U8", 5_000_001, 5_000_001), ("BF16", 2_500_000, 5_000_000)] {
            let header =
                format!(r#"{{"t":{{"dtype":"{dtype}","shape":[{count}],"data_offsets":[0,{used}]}}}}"#);
            let length = (header.len() as u64).to_le_bytes();
            let file = [length.as_slice(), header.as_bytes(), &bytes[..used]].concat();
            let (directory, path) = sealed(&file, 4096);
            let model = SealedTensors::open(&path, &keyring()).unwrap();
            let (tensor, target) = (model.tensor("t").unwrap(), directory.path().join("t.npy"));
            let mut streamed = Vec::new();
            write_npy(&tensor, &mut streamed).unwrap();
            save_npy(&tensor, &target, false).unwrap();
            assert!(std::fs::read(&target).unwrap() == streamed, "{dtype}");
        }
    }

    #[test]
    fn a_tensor_is_saved_and_brain_floats_are_widened() {
        let (directory, path) = sealed(&model(), 16);
        let model = SealedTensors::open(&path, &keyring()).unwrap();
        let target = directory.path().join("t.npy");
        let saved = |name: &str| {
            save_npy(&model.tensor(name).unwrap(), &target, true).unwrap();
            let file = std::fs::read(&target).unwrap();
            let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
            file[start..].chunks(4).map(|f| f32::from_le_bytes(f.try_into().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(saved("a"), [1.0, -2.5, 0.0, 1e10]);
        assert_eq!(saved("b"), [1.0, 2.0, -3.0, 0.5, 0.0, 8.0]);
        let tensor = model.tensor("a").unwrap();
        assert!(matches!(save_npy(&tensor, &target, false), Err(ArtifactError::Exists { .. })));
    }
}
