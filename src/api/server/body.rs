//! The bodies of requests: how long each may be, how long it may take, and how much memory all of them together may hold.
//!
//! A body has to be read before its signature can be checked, so whoever can open connections decides how much comes.
//! Nearly every request fits in a few kilobytes and is read at once. Longer ones share a room; when it is full they are
//! turned away, and the short ones go on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::WireError;

/// The longest body of a request.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest body that is read without asking for room.
const SHORT_BYTES_MAX: usize = 16 * 1024;
/// How many bytes of longer bodies are held at once.
const ROOM_BYTES: usize = 64 * 1024 * 1024;
/// How long a body may take to come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body, and the room that it takes until it is let go.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads bodies.
#[derive(Debug)]
pub(super) struct Bodies(Arc<Semaphore>);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES)))
    }

    /// Reads a body to its end.
    pub(super) async fn read(&self, body: Incoming) -> Result<Read, WireError> {
        let announced = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
        let at_most = announced.unwrap_or(BODY_BYTES_MAX);
        if at_most > BODY_BYTES_MAX {
            return Err(too_long());
        }
        let room = self.room_for(at_most)?;
        let collected = tokio::time::timeout(TIMEOUT, Limited::new(body, at_most).collect()).await;
        match collected {
            Ok(Ok(collected)) => Ok(Read { bytes: collected.to_bytes(), _room: room }),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
            Ok(Err(_)) => Err(WireError::serialization("The request body did not come whole.")),
            Err(_) => {
                Err(WireError::new("RequestTimeoutException", "The request body did not come in time.")
                    .with_status(408))
            }
        }
    }

    fn room_for(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, WireError> {
        if bytes <= SHORT_BYTES_MAX {
            return Ok(None);
        }
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(permits).map(Some).map_err(|_| {
            WireError::new("ThrottlingException", "Too many long requests are on their way: try again.")
        })
    }
}

fn too_long() -> WireError {
    let message = format!("The request body is longer than {BODY_BYTES_MAX} bytes.");
    WireError::new("RequestEntityTooLargeException", message).with_status(413)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_share_a_room_and_short_ones_need_none() {
        let bodies = Bodies::new();
        let held: Vec<_> =
            (0..ROOM_BYTES / BODY_BYTES_MAX).map(|_| bodies.room_for(BODY_BYTES_MAX).unwrap()).collect();
        let full = bodies.room_for(SHORT_BYTES_MAX + 1).map(|_| ()).unwrap_err();
        assert_eq!((full.code.as_str(), full.status), ("ThrottlingException", 400));
        assert!(bodies.room_for(SHORT_BYTES_MAX).unwrap().is_none());
        drop(held);
        assert!(bodies.room_for(BODY_BYTES_MAX).unwrap().is_some());
    }
}
