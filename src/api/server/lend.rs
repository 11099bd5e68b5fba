//! Lends the keystore to commands that want it, one at a time; what is asked over the network meanwhile waits.
//!
//! See [`lending`](crate::keystore::lending) for the agreement of both sides.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::Shared;
use crate::keystore::{
    Keystore,
    lending::{ASKING, LENT, LINE_BYTES_MAX, Lending},
};

/// How long a borrower may take to say who it is.
const LINE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to look whether the last call has let go of the keystore.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long those who wait have the keystore before the next borrower gets it.
const BETWEEN_BORROWERS: Duration = Duration::from_millis(20);
/// How long to go on trying to open a keystore that somebody else has taken.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the keystore again after a borrower has given it back.
pub type Reopen = Box<dyn FnMut() -> Result<Keystore, String> + Send>;

/// What lends the keystore.
pub struct Lender {
    /// The socket in the keystore's directory.
    pub lending: Lending,
    /// Opens it again.
    pub reopen: Reopen,
}

/// Lends until `stop` says so.
///
/// # Errors
///
/// When the keystore does not open again: then there is nothing left to serve.
pub(super) async fn lend(
    lender: Lender,
    shared: &Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let Lender { lending, mut reopen } = lender;
    let listener = UnixListener::from_std(lending.listener()?)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = super::connection::stopped(&mut stop) => return Ok(()),
        };
        let Ok((stream, _)) = accepted else { continue };
        let is_of_this_user =
            stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        if !is_of_this_user {
            tracing::warn!("somebody else asked for the keystore");
            continue;
        }
        let returned = tokio::select! {
            returned = one(stream, shared, reopen) => returned?,
            () = super::connection::stopped(&mut stop) => return Ok(()),
        };
        reopen = returned;
        tokio::time::sleep(BETWEEN_BORROWERS).await;
    }
}

/// Lends the keystore once, and answers when it is back.
async fn one(stream: UnixStream, shared: &Arc<Shared>, reopen: Reopen) -> io::Result<Reopen> {
    let mut stream = BufReader::new(stream);
    let Ok(Ok(who)) = tokio::time::timeout(LINE_TIMEOUT, asked(&mut stream)).await else { return Ok(reopen) };
    let Some(mut keystore) = shared.take() else { return Ok(reopen) };
    // The calls under way have it too. They are short, and new ones wait.
    let keystore = loop {
        match Arc::try_unwrap(keystore) {
            Ok(keystore) => break keystore,
            Err(still) => keystore = still,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let closed = tokio::task::spawn_blocking(move || drop(keystore)).await;
    closed.map_err(io::Error::other)?;
    tracing::info!(%who, "the keystore is lent");
    if stream.get_mut().write_all(format!("{LENT}\n").as_bytes()).await.is_ok() {
        // Nothing more is said: this is the end of the borrower, or of its use.
        let mut rest = [0; 16];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
    let (keystore, reopen) = open_again(reopen).await?;
    shared.replace(keystore);
    tracing::info!(%who, "the keystore is back");
    Ok(reopen)
}

async fn asked(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE_BYTES_MAX as u64).read_line(&mut line).await?;
    let who = line.strip_prefix(ASKING).and_then(|rest| rest.strip_suffix('\n'));
    who.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Opens the keystore. A borrower that has gone may have it a moment longer, and so may somebody who was quicker.
async fn open_again(mut reopen: Reopen) -> io::Result<(Keystore, Reopen)> {
    let deadline = tokio::time::Instant::now() + REOPEN_TIMEOUT;
    loop {
        let tried = tokio::task::spawn_blocking(move || (reopen(), reopen)).await;
        let (opened, again) = tried.map_err(io::Error::other)?;
        reopen = again;
        match opened {
            Ok(keystore) => return Ok((keystore, reopen)),
            Err(why) if tokio::time::Instant::now() > deadline => {
                return Err(io::Error::other(format!(
                    "the keystore that was lent does not open again: {why}"
                )));
            }
            Err(_) => tokio::time::sleep(BETWEEN_BORROWERS).await,
        }
    }
}
