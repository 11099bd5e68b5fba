//! The keystore as a source of data keys, open only while it is asked for one.
//!
//! A file takes as long to seal as it is large, and a pipe as long as whoever is at its other end likes; a data key takes a
//! moment. One process at a time has a keystore open, so a command that kept it to its end would keep all others waiting,
//! and in `keystead encrypt - … | keystead decrypt -` itself. So the keystore is let go once nothing was asked for a
//! while, and opened again, with a passphrase that is known already, when something is.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    error::CommandError,
    exit::Exit,
    global::{Flags, Global},
};
use crate::{
    envelope::{DataKeyError, DataKeys, DecryptedDataKey, EncryptedDataKeyBlob, GeneratedDataKey},
    keystore::{Keystore, OwnFiles},
    kms::Caller,
    model::{EncryptionContext, ErrorCode, KeyArn, KeyRef},
    secret::SecretKey,
};

/// How long a keystore is kept after the last question: as long as opening it took, so that opening it again and again
/// never costs more than all else; within these bounds, for others wait.
const PATIENCE_MIN: Duration = Duration::from_millis(50);
const PATIENCE_MAX: Duration = Duration::from_millis(500);
/// How often it is looked whether a question has been answered.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A keystore that is open while it is asked.
pub(super) struct Lease<'flags> {
    own_files: OwnFiles,
    /// The keystore's id: another one that came into its place is not asked.
    id: String,
    held: Mutex<Held<'flags>>,
    changed: Condvar,
}

struct Held<'flags> {
    unsealer: Flags<'flags>,
    /// Shared with those whose questions are being answered.
    session: Option<Arc<(Keystore, Caller)>>,
    last_asked: Instant,
    opening_took: Duration,
    /// Why it could not be opened again.
    fault: Option<CommandError>,
    /// Whether nobody will ask any more.
    ended: bool,
}

/// Opens the keystore and does some work that asks it for data keys. Answers what the work does, or why the keystore could
/// not be opened.
pub(super) fn with_lease<T>(
    global: &Global,
    work: impl FnOnce(&Lease<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut unsealer = global.unsealer();
    let begun = Instant::now();
    let session = global.session_with(&mut unsealer)?;
    let (own_files, id) = (session.0.own_files(), session.0.id().to_owned());
    let (opening_took, last_asked) = (begun.elapsed(), Instant::now());
    let session = Some(Arc::new(session));
    let held = Held { unsealer, session, last_asked, opening_took, fault: None, ended: false };
    let lease = Lease { own_files, id, held: Mutex::new(held), changed: Condvar::new() };
    let done = thread::scope(|scope| {
        let end = End(&lease);
        scope.spawn(|| lease.let_go_when_idle());
        let done = work(&lease);
        drop(end);
        done
    });
    // Work that could do without that answer is done.
    done.map_err(|error| {
        lease.held.into_inner().unwrap_or_else(PoisonError::into_inner).fault.unwrap_or(error)
    })
}

/// Ends the lease when the work has, however it has.
struct End<'lease, 'flags>(&'lease Lease<'flags>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.held().ended = true;
        self.0.changed.notify_all();
    }
}

impl<'flags> Lease<'flags> {
    /// Where the keystore's own files are.
    pub(super) fn own_files(&self) -> &OwnFiles {
        &self.own_files
    }

    fn held(&self) -> MutexGuard<'_, Held<'flags>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the keystore something; opens it first when it was let go.
    fn ask<T>(
        &self,
        question: impl FnOnce(&Keystore, &Caller) -> Result<T, DataKeyError>,
    ) -> Result<T, DataKeyError> {
        let session = self.session()?;
        let (keystore, caller) = &*session;
        let answer = question(keystore, caller);
        drop(session);
        self.held().last_asked = Instant::now();
        answer
    }

    fn session(&self) -> Result<Arc<(Keystore, Caller)>, DataKeyError> {
        let mut held = self.held();
        held.last_asked = Instant::now();
        if let Some(session) = &held.session {
            return Ok(Arc::clone(session));
        }
        let opened = held.unsealer.open_again().and_then(|session| match session.0.id() == self.id {
            true => Ok(session),
            false => {
                Err(CommandError::new(Exit::Failed, "another keystore has come into the place of this one")
                    .hint("run it again, with one keystore from beginning to end"))
            }
        });
        match opened {
            Ok(session) => {
                let session = Arc::new(session);
                (held.opening_took, held.last_asked) = (held.last_asked.elapsed(), Instant::now());
                (held.session, held.fault) = (Some(Arc::clone(&session)), None);
                self.changed.notify_all();
                Ok(session)
            }
            Err(fault) => {
                let error = DataKeyError::new(ErrorCode::KmsInternal, fault.words());
                held.fault = Some(fault);
                Err(error)
            }
        }
    }

    /// Lets the keystore go each time that nothing was asked for a while, until the lease ends.
    fn let_go_when_idle(&self) {
        let mut held = self.held();
        while !held.ended {
            let left =
                held.opening_took.clamp(PATIENCE_MIN, PATIENCE_MAX).saturating_sub(held.last_asked.elapsed());
            held = match &held.session {
                None => self.changed.wait(held).unwrap_or_else(PoisonError::into_inner),
                // INVARIANT: nobody comes by the session but under this lock, so that nobody else uses the last one.
                Some(session) if left.is_zero() && Arc::strong_count(session) == 1 => {
                    held.session = None;
                    held
                }
                Some(_) => {
                    let waited = self.changed.wait_timeout(held, left.max(LOOK_AGAIN));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl DataKeys for Lease<'_> {
    fn generate_data_key(
        &self,
        key: &KeyRef,
        context: &EncryptionContext,
    ) -> Result<GeneratedDataKey, DataKeyError> {
        self.ask(|keystore, caller| keystore.kms().data_keys(caller.clone()).generate_data_key(key, context))
    }

    fn encrypt_data_key(
        &self,
        key: &KeyRef,
        data_key: &SecretKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKeyBlob, DataKeyError> {
        self.ask(|keystore, caller| {
            keystore.kms().data_keys(caller.clone()).encrypt_data_key(key, data_key, context)
        })
    }

    fn decrypt_data_key(
        &self,
        key_arn: &KeyArn,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<DecryptedDataKey, DataKeyError> {
        self.ask(|keystore, caller| {
            keystore.kms().data_keys(caller.clone()).decrypt_data_key(key_arn, ciphertext, context)
        })
    }
}
