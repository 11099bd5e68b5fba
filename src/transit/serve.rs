//! Peers let in, each on a thread of its own, and never more at once than may be.

use std::{
    io,
    net::{TcpListener, TcpStream},
    thread,
};

use super::{Gate, Limits, TransitError};

/// Hands each peer that calls to `handle`, on a thread of its own; one too many is handed in as an error, its connection
/// closed. Goes on until the listener fails.
///
/// # Errors
///
/// When nobody can be accepted any more, or no thread started.
pub fn serve(
    listener: &TcpListener,
    limits: &Limits,
    handle: impl Fn(Result<TcpStream, TransitError>) + Sync,
) -> io::Result<()> {
    let (gate, handle) = (Gate::new(limits.peers_max), &handle);
    thread::scope(|scope| {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                // The peer's affair, and no reason to let the others down.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            match gate.enter() {
                Ok(pass) => {
                    let answer = move || {
                        handle(Ok(socket));
                        drop(pass);
                    };
                    thread::Builder::new().name("keystead-peer".into()).spawn_scoped(scope, answer)?;
                }
                Err(refused) => handle(Err(refused)),
            }
        }
    })
}
