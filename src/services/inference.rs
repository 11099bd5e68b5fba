//! A simulated inference endpoint: a peer hands in a sealed model with a prompt, and gets tensors of it if the KMS's
//! policies let it use the model's key.
//!
//! What is said, in frames of [`transit`](crate::transit): the wish (JSON); the sealed model, as it is; the answer (JSON:
//! the tensors' names, types and sizes, or a refusal with AWS's code); the tensors' bytes in that order. Sealed, the model
//! is safe on any wire. The wish and the tensors are as safe as the stream is.
//!
//! INVARIANT: the model is written to a temporary file as it came, sealed; its plaintext stays in memory.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    artifact::{ArtifactError, SealedFile, SealedTensors, TensorInfo},
    envelope::{ErrorClass, KmsKeyring, OpenOptions},
    kms::{CallError, Caller, Door, KmsDataKeys},
    model::ErrorCode,
    transit::{Duplex, TransitError, read_frame, reason, write_frame},
};

/// The longest wish, in bytes.
pub const WISH_BYTES_MAX: usize = 64 * 1024;
/// The longest answer without the tensors themselves, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest sealed model that is taken, in bytes.
pub const MODEL_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// How much of a tensor is opened before it is sent.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// What a peer wants of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    /// The names of the tensors; none: all.
    #[serde(default)]
    pub tensors: Vec<String>,
    /// What the model is asked. Nobody answers it here; it is there to be seen, or not.
    #[serde(default)]
    pub prompt: String,
    /// Who the peer says it is. Over TLS its certificate tells; over a plain socket there is only this, and anybody can
    /// say it.
    #[serde(default)]
    pub principal: Option<String>,
}

/// A wish with the length of the model that follows it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(flatten)]
    wish: Wish,
    model_bytes: u64,
}

/// The beginning of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    /// These tensors follow.
    Tensors(Vec<Announced>),
    /// Nothing follows.
    Refused(Refusal),
}

/// A tensor that follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Announced {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    bytes: u64,
}

/// Why a wish was refused, by AWS's code and words.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Such as `AccessDeniedException`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Why there is no answer; its words begin with its name.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// The stream broke, or was none.
    #[error("{name}: {0}", name = .0.name())]
    Transit(#[from] TransitError),
    /// The wish was refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer said something that is no wish or no answer.
    #[error("Nonsense: what the peer said makes no sense: {0}")]
    Nonsense(String),
}

impl InferenceError {
    /// The error's name: of the stream, or AWS's code.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Transit(error) => error.name(),
            Self::Refused(refusal) => &refusal.code,
            Self::Nonsense(_) => "Nonsense",
        }
    }
}

impl From<io::Error> for InferenceError {
    fn from(error: io::Error) -> Self {
        Self::Transit(error.into())
    }
}

impl From<&CallError> for Refusal {
    fn from(error: &CallError) -> Self {
        Self { code: error.code().as_str().into(), message: error.message().into() }
    }
}

impl From<ArtifactError> for Refusal {
    fn from(error: ArtifactError) -> Self {
        match (error.kms_answer(), error.class()) {
            (Some(answer), _) => {
                Self { code: answer.code().as_str().into(), message: answer.message().into() }
            }
            (None, ErrorClass::Integrity) => {
                Self { code: ErrorCode::InvalidCiphertext.as_str().into(), message: error.to_string() }
            }
            (None, _) => Self { code: ErrorCode::Validation.as_str().into(), message: error.to_string() },
        }
    }
}

/// What was given to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The names of the tensors.
    pub tensors: Vec<String>,
    /// Their size in all.
    pub bytes: u64,
}

/// The endpoint, over a keystore's keys.
#[derive(Clone, Copy)]
#[must_use]
pub struct Inference<'k> {
    door: &'k Door,
}

impl<'k> Inference<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Answers one peer. `who` tells on whose behalf: over TLS by the peer's certificate
    /// ([`Tls::caller`](super::tls::Tls::caller)), and not by what the wish claims.
    ///
    /// # Errors
    ///
    /// When the stream breaks, or the wish was refused; the peer has been told then.
    pub fn answer(
        &self,
        stream: &mut dyn Duplex,
        who: impl FnOnce(&Wish) -> Result<Caller, CallError>,
    ) -> Result<Served, InferenceError> {
        let answered = self.answer_whole(stream, who);
        hang_up_on_error(stream, &answered);
        answered
    }

    fn answer_whole(
        &self,
        stream: &mut dyn Duplex,
        who: impl FnOnce(&Wish) -> Result<Caller, CallError>,
    ) -> Result<Served, InferenceError> {
        let head: Head = read_json(stream, WISH_BYTES_MAX)?;
        if head.model_bytes > MODEL_BYTES_MAX {
            let message = format!("the model is longer than {MODEL_BYTES_MAX} bytes");
            return refuse(stream, Refusal { code: ErrorCode::Validation.as_str().into(), message });
        }
        let mut sealed = tempfile::NamedTempFile::new()?;
        if io::copy(&mut (&mut *stream).take(head.model_bytes), &mut sealed)? < head.model_bytes {
            return Err(TransitError::CutOff.into());
        }
        let caller = match who(&head.wish) {
            Ok(caller) => caller,
            Err(error) => return refuse(stream, Refusal::from(&error)),
        };
        // The one place where it is decided: opening asks the KMS to decrypt the model's data key for this caller.
        let data_keys = KmsDataKeys::new(self.door, caller);
        let keyring = KmsKeyring::discovery(&data_keys);
        let model = SealedFile::open(sealed.path(), &keyring, &OpenOptions::default());
        let wanted = model.and_then(SealedTensors::of_file).and_then(|model| {
            let wanted = announced(&model, &head.wish.tensors)?;
            Ok((model, wanted))
        });
        match wanted {
            Ok((model, wanted)) => send_tensors(stream, &model, wanted),
            Err(error) => refuse(stream, error.into()),
        }
    }
}

/// The tensors of these names, or all that are of a size that is known.
fn announced(model: &SealedTensors, names: &[String]) -> Result<Vec<Announced>, ArtifactError> {
    let of = |info: &TensorInfo, bytes| Announced {
        name: info.name.clone(),
        dtype: info.dtype.clone(),
        shape: info.shape.clone(),
        bytes,
    };
    if names.is_empty() {
        return Ok(model.tensors().iter().filter_map(|info| Some(of(info, info.bytes?))).collect());
    }
    names
        .iter()
        .map(|name| {
            let tensor = model.tensor(name)?;
            Ok(of(tensor.info(), tensor.bytes()))
        })
        .collect()
}

fn send_tensors(
    stream: &mut dyn Duplex,
    model: &SealedTensors,
    wanted: Vec<Announced>,
) -> Result<Served, InferenceError> {
    write_json(stream, &Answer::Tensors(wanted.clone()))?;
    let mut chunk = Zeroizing::new(vec![0; usize::try_from(CHUNK_BYTES).unwrap_or_default()]);
    for one in &wanted {
        let tensor = model.tensor(&one.name).map_err(|error| InferenceError::Nonsense(error.to_string()))?;
        let mut at = 0;
        while at < one.bytes {
            // A frame that was changed on the way shows here, when a part of the answer is out: the peer sees it cut off.
            let read = tensor
                .read_at(&mut chunk, at)
                .map_err(|error| InferenceError::Refused(ArtifactError::from(error).into()))?;
            stream.write_all(chunk.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
    }
    stream.finish()?;
    let bytes = wanted.iter().map(|one| one.bytes).sum();
    Ok(Served { tensors: wanted.into_iter().map(|one| one.name).collect(), bytes })
}

fn refuse(stream: &mut dyn Duplex, refusal: Refusal) -> Result<Served, InferenceError> {
    write_json(stream, &Answer::Refused(refusal.clone()))?;
    stream.finish()?;
    Err(InferenceError::Refused(refusal))
}

/// What a peer said, as one line that does not drive the terminal it is shown on.
#[must_use]
pub fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A tensor that was asked for.
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The type of its elements, such as `F32`.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// Its elements, little-endian, row by row.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Asks an endpoint for tensors of a sealed model of `model_bytes` bytes.
///
/// # Errors
///
/// When the stream breaks, or the endpoint refuses.
pub fn ask(
    stream: &mut dyn Duplex,
    wish: &Wish,
    model: &mut dyn Read,
    model_bytes: u64,
) -> Result<Vec<Tensor>, InferenceError> {
    let answered = ask_whole(stream, wish, model, model_bytes);
    hang_up_on_error(stream, &answered);
    answered
}

fn ask_whole(
    stream: &mut dyn Duplex,
    wish: &Wish,
    model: &mut dyn Read,
    model_bytes: u64,
) -> Result<Vec<Tensor>, InferenceError> {
    let head = Head { wish: wish.clone(), model_bytes };
    let sent = write_json(stream, &head).and_then(|()| io::copy(model, stream));
    // One that refuses says why and reads no more.
    sent.and_then(|_| stream.flush()).map_err(|error| reason(stream, error))?;
    let announced = match read_json(stream, ANSWER_BYTES_MAX)? {
        Answer::Tensors(tensors) => tensors,
        Answer::Refused(refusal) => return Err(InferenceError::Refused(refusal)),
    };
    let mut tensors = Vec::new();
    for one in announced {
        let mut bytes = Zeroizing::new(Vec::new());
        (&mut *stream).take(one.bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != one.bytes {
            return Err(TransitError::CutOff.into());
        }
        tensors.push(Tensor { name: one.name, dtype: one.dtype, shape: one.shape, bytes });
    }
    stream.finish()?;
    Ok(tensors)
}

/// The other side may still be sending, and is to hear why it is not listened to.
fn hang_up_on_error<T>(stream: &mut dyn Duplex, outcome: &Result<T, InferenceError>) {
    match outcome {
        Ok(_) => {}
        Err(InferenceError::Transit(error)) if error.is_of_nobody() => {}
        Err(_) => stream.hang_up(),
    }
}

fn write_json(stream: &mut dyn Duplex, value: &impl Serialize) -> io::Result<()> {
    write_frame(stream, &serde_json::to_vec(value)?)?;
    stream.flush()
}

fn read_json<T: for<'de> Deserialize<'de>>(stream: &mut dyn Duplex, max: usize) -> Result<T, InferenceError> {
    let bytes = read_frame(stream, max)?;
    serde_json::from_slice(&bytes).map_err(|error| InferenceError::Nonsense(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;
    use crate::{
        artifact::{Source, Target},
        model::EncryptionContext,
        testing::Lab,
        transit::{Bounded, Limits},
    };

    const MODEL: &[u8] = include_bytes!("../../examples/model/tiny-mlp.safetensors");

    /// What both ends come to when `caller` asks with this model.
    fn meet(
        lab: &Lab,
        caller: &Caller,
        sealed: &[u8],
        wish: &Wish,
    ) -> (Result<Served, InferenceError>, Result<Vec<Tensor>, InferenceError>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            let asking = scope.spawn(move || {
                let mut stream = Bounded::new(TcpStream::connect(address).unwrap(), &Limits::default());
                ask(&mut stream, wish, &mut &sealed[..], sealed.len() as u64)
            });
            let mut stream = Bounded::new(listener.accept().unwrap().0, &Limits::default());
            let served = lab.keystore().inference().answer(&mut stream, |_| Ok(caller.clone()));
            (served, asking.join().unwrap())
        })
    }

    fn sealed(lab: &Lab) -> Vec<u8> {
        let mut sealed = Vec::new();
        let (source, target) = (Source::Stream(&mut &MODEL[..]), Target::Stream(&mut sealed));
        let artifacts = lab.keystore().artifacts(&lab.admin());
        artifacts.seal(lab.key().unwrap().into(), source, target, EncryptionContext::new()).unwrap();
        sealed
    }

    #[test]
    fn what_a_peer_said_stays_on_its_line() {
        assert_eq!(one_line("it's `a`"), "it's `a`");
        assert_eq!(one_line("a\n\u{1b}[31mb"), "a\\n\\u{1b}[31mb");
    }

    #[test]
    fn who_may_use_the_key_gets_the_tensors_and_nobody_else_a_byte() {
        let lab = Lab::new().unwrap();
        let (alice, bob) = (lab.user("alice", &["kms:*"]).unwrap(), lab.user("bob", &[]).unwrap());
        let sealed = sealed(&lab);
        let wish = Wish { tensors: vec!["output.bias".into()], ..Wish::default() };
        let (served, asked) = meet(&lab, &alice, &sealed, &wish);
        assert_eq!(served.unwrap(), Served { tensors: wish.tensors.clone(), bytes: 16 });
        let tensors = asked.unwrap();
        assert_eq!((tensors.len(), tensors[0].dtype.as_str()), (1, "F32"));
        assert_eq!(tensors[0].bytes[..], MODEL[MODEL.len() - 16..]);

        let (served, asked) = meet(&lab, &bob, &sealed, &wish);
        assert_eq!(served.unwrap_err().name(), "AccessDeniedException");
        assert_eq!(asked.err().unwrap().name(), "AccessDeniedException");
    }

    #[test]
    fn what_is_no_model_or_no_tensor_is_refused_by_name() {
        let lab = Lab::new().unwrap();
        let whole = sealed(&lab);
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for (model, tensor, name) in [
            (&whole[..], "no.such", "ValidationException"),
            (b"nonsense", "output.bias", "InvalidCiphertextException"),
            (&whole[..whole.len() - 1], "output.bias", "InvalidCiphertextException"),
        ] {
            let wish = Wish { tensors: vec![tensor.into()], ..Wish::default() };
            let (served, asked) = meet(&lab, &lab.admin(), model, &wish);
            assert_eq!(served.unwrap_err().name(), name);
            assert_eq!(asked.err().unwrap().name(), name);
        }
        let (served, asked) = meet(&lab, &lab.admin(), &changed, &Wish::default());
        assert!(served.is_err() && asked.is_err());
    }
}
