//! Connections: how many, how long they may idle, how slowly a request may come.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{
    Shared, dispatch,
    tls::{Arrival, TlsDoor},
};

/// The most connections at once; one more is closed at once.
pub(super) const CONNECTIONS_MAX: usize = 16_384;
/// How long a request's head may take to come, and how long a connection may idle between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long calls under way may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more open files to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` says so, as long as there is room.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<TlsDoor>>,
    shared: &Arc<Shared>,
    room: &Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Dropped, and so closed, when there is no room.
                if let Ok(place) = Arc::clone(room).try_acquire_owned() {
                    let connection =
                        Connection { stream, peer, shared: Arc::clone(shared), stop: stop.clone() };
                    tokio::spawn(connection.serve(tls.clone(), place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Lets the connections that are there finish what they have begun.
pub(super) async fn finish(room: &Semaphore) {
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(STOP_TIMEOUT, room.acquire_many(all)).await.is_err() {
        tracing::warn!("connections that did not finish in time were closed");
    }
}

/// A connection that was just accepted.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, tls: Option<Arc<TlsDoor>>, _place: OwnedSemaphorePermit) {
        // A small answer is not to wait for more.
        let _as_it_was = self.stream.set_nodelay(true);
        let Self { stream, peer, shared, stop } = self;
        let Some(door) = tls else {
            return answer(stream, Arrival { peer, tls: None }, shared, stop).await;
        };
        match door.let_in(&shared, stream).await {
            Ok((stream, agreed)) => answer(stream, Arrival { peer, tls: Some(agreed) }, shared, stop).await,
            // A client that does not trust the certificate, or does not speak TLS: its own affair.
            Err(error) => tracing::debug!(%error, name = error.name(), %peer, "no TLS with a client"),
        }
    }
}

/// Answers what comes over a stream until it ends.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    arrival: Arrival,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let (peer, arrival) = (arrival.peer, Arc::new(arrival));
    let patience = Patience::new(Instant::now());
    let service = service_fn(|request| {
        let (shared, arrival, patience) = (Arc::clone(&shared), Arc::clone(&arrival), &patience);
        async move {
            patience.has_a_head();
            let reply = dispatch::answer(&shared, &arrival, request).await;
            patience.waits_for_the_next(Instant::now());
            Ok::<_, Infallible>(reply)
        }
    });
    let connection =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = patience.ends() => Ok(()),
    };
    if let Err(error) = ended {
        // A client that went away, or that does not speak HTTP: its own affair.
        tracing::debug!(%error, %peer, "a connection ended");
    }
}

/// How long a connection has waited for the head of a request.
///
/// It has one timer, which is set anew when it goes off. That of `hyper` is set and taken back at every request.
struct Patience {
    begun: Instant,
    /// Since when it waits, in milliseconds from the beginning; [`Self::NOT`] while a request is answered.
    since: AtomicU64,
}

impl Patience {
    const NOT: u64 = u64::MAX;

    fn new(now: Instant) -> Self {
        Self { begun: now, since: AtomicU64::new(0) }
    }

    fn has_a_head(&self) {
        self.since.store(Self::NOT, Ordering::Relaxed);
    }

    fn waits_for_the_next(&self, now: Instant) {
        let since = u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or_default();
        self.since.store(since, Ordering::Relaxed);
    }

    /// When the next head has taken too long, as far as is known now.
    fn end(&self, now: Instant) -> Instant {
        match self.since.load(Ordering::Relaxed) {
            Self::NOT => now + HEAD_TIMEOUT,
            since => self.begun + Duration::from_millis(since) + HEAD_TIMEOUT,
        }
    }

    /// Waits until the next head has taken too long.
    async fn ends(&self) {
        loop {
            let now = Instant::now();
            let end = self.end(now);
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// Waits until the server is to stop, or nobody is left who could say so.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_its_time_from_the_last_answer_on_and_an_answer_all_it_needs() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let patience = Patience::new(begun);
        assert_eq!((patience.end(at(0)), patience.end(at(59))), (at(60), at(60)));
        patience.has_a_head();
        assert_eq!(patience.end(at(1000)), at(1060), "it is being answered");
        patience.waits_for_the_next(at(1001));
        assert_eq!(patience.end(at(1060)), at(1061));
        patience.has_a_head();
        patience.waits_for_the_next(at(1050));
        assert_eq!(patience.end(at(1061)), at(1110));
    }
}
