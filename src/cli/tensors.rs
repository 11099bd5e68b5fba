//! `keystead tensors`

use std::path::PathBuf;

use clap::Args;

use super::{
    error::CommandError,
    global::Global,
    keyring::OpeningKeys,
    output,
    stream::{binary_stdout, expect_named, is_stream},
};
use crate::artifact::{SealedFile, SealedTensors, TensorInfo, save_npy, write_npy};

/// Values longer than this are cut in the table.
const VALUE_CHARS_MAX: usize = 60;

/// List the tensors of an encrypted model, or take one out
///
/// Example: keystead tensors model.safetensors.sealed --get lm_head.weight -o head.npy
///
/// Reads safetensors and GGUF files, and decrypts only the frames of their header and of the tensor that is asked for. A
/// signed message is refused: only the whole of it can be verified.
#[derive(Debug, Args)]
pub(super) struct Tensors {
    /// The model
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Write this tensor as a file of NumPy's; brain floats become 32-bit floats
    #[arg(long, value_name = "NAME", requires = "output")]
    get: Option<String>,
    /// Where to write it; `-` is standard output
    #[arg(short, long, value_name = "OUT.npy", requires = "get")]
    output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    keys: OpeningKeys,
}

impl Tensors {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        expect_named(&self.path, "decrypt the stream to a file first")?;
        let options = self.keys.options()?;
        self.keys.with(global, |protected, keyring| {
            let model = SealedTensors::of_file(SealedFile::open(&self.path, keyring, &options)?)?;
            let (Some(name), Some(target)) = (&self.get, &self.output) else { return list(global, &model) };
            let tensor = model.tensor(name).map_err(crate::artifact::ArtifactError::from)?;
            if is_stream(target) {
                return Ok(write_npy(&tensor, &mut binary_stdout("redirect it, or use `-o OUT.npy`")?)?);
            }
            protected.expect_not(target)?;
            let path = save_npy(&tensor, target, self.force)?;
            output::line(&path.display().to_string())?;
            output::say(&format!("wrote {} of {}", output::bytes(tensor.bytes()), tensor.info().dtype));
            Ok(())
        })
    }
}

fn list(global: &Global, model: &SealedTensors) -> Result<(), CommandError> {
    if global.json {
        return output::json(&serde_json::json!({
            "Format": model.format(),
            "Metadata": model.metadata().iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "Tensors": model.tensors(),
        }));
    }
    for (key, value) in model.metadata() {
        let cut: String = value.chars().take(VALUE_CHARS_MAX).collect();
        let more = if cut.len() < value.len() { "…" } else { "" };
        output::line(&format!("{key} = {cut}{more}"))?;
    }
    let rows = model.tensors().iter().map(row).collect::<Vec<_>>();
    output::table(&["NAME", "TYPE", "SHAPE", "SIZE"], rows)?;
    let bytes = model.tensors().iter().filter_map(|tensor| tensor.bytes).sum();
    let tensors = output::count(model.tensors().len() as u64, &format!("{} tensor", model.format()));
    output::say(&format!("{tensors}, {}", output::bytes(bytes)));
    Ok(())
}

fn row(tensor: &TensorInfo) -> Vec<String> {
    let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
    let bytes = tensor.bytes.map_or_else(|| "?".into(), output::bytes);
    vec![tensor.name.clone(), tensor.dtype.clone(), format!("[{}]", shape.join(", ")), bytes]
}
