//! A tensor as a file of NumPy's (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1.0).
//!
//! NumPy has no type for brain floats: they are written as the 32-bit floats that have the same values. Other types that
//! NumPy does not have are refused.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    ArtifactError, ModelError, SealedTensor, TensorInfo,
    output::{OutputFile, Readers},
};
use crate::envelope::OpenMessageError;

/// How much of a tensor is held at once.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
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
    header(tensor)?;
    let output = OutputFile::create(target, Readers::Owner, replace)?;
    write_npy(tensor, &mut output.file()).map_err(|error| error.naming(None, Some(target)))?;
    output.commit()
}

/// Writes a tensor as the bytes of an `.npy` file into a stream, which gets each part once it is verified.
///
/// # Errors
///
/// When NumPy has no such type, a frame is not what was sealed, or the stream cannot be written.
pub fn write_npy(tensor: &SealedTensor<'_>, writer: &mut dyn Write) -> Result<(), ArtifactError> {
    writer.write_all(&header(tensor)?).map_err(OpenMessageError::Write)?;
    let is_brain_float = tensor.info().dtype == BRAIN_FLOAT;
    let room = usize::try_from(tensor.bytes()).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut chunk = Zeroizing::new(vec![0; room]);
    let mut at = 0;
    while at < tensor.bytes() {
        let read = tensor.read_at(&mut chunk, at)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if is_brain_float {
            writer.write_all(&widened(bytes)).map_err(OpenMessageError::Write)?;
        } else {
            writer.write_all(bytes).map_err(OpenMessageError::Write)?;
        }
        at += read as u64;
    }
    writer.flush().map_err(|error| OpenMessageError::Write(error).into())
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
