//! Nodes of a training cluster that sum up their gradients: a ring all-reduce over mutual TLS.
//!
//! Each node calls the next one and is called by the one before. In 2 (n − 1) rounds each hands a part of its gradients on:
//! first the parts are added up as they go round, then the sums go round. Training clusters do this without encryption
//! unless somebody asks for it; here somebody does. With two nodes, each in a terminal of its own:
//!
//! ```text
//! keystead tls issue --principal role/trainer --host localhost --out node0      (and node1)
//! cargo run --example inter_node -- --rank 0 --node 127.0.0.1:7500 --node 127.0.0.1:7501 \
//!     --ca ca.pem --crl crl.pem --identity node0 --peer arn:aws:iam::111122223333:role/trainer
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use std::{
    error::Error,
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use keystead::{
    lab::in_transit::MODEL,
    model::PrincipalArn,
    transit::{
        Bounded, Callers, Client, Duplex, Identity, Limits, Now, Options, Server, TransitError, Trust,
        read_frame, write_frame,
    },
};
use safetensors::{Dtype, SafeTensors};

/// Sum up gradients with the other nodes
#[derive(Debug, Parser)]
struct Node {
    /// Which of the nodes this is, from 0
    #[arg(long, value_name = "N")]
    rank: usize,
    /// The address of a node, in the order of their ranks; once for each
    #[arg(long, value_name = "ADDRESS", required = true)]
    node: Vec<SocketAddr>,
    /// The model whose gradients are summed up [default: the small one that comes with keystead]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The certificate of the authority that is trusted
    #[arg(long, value_name = "FILE", required_unless_present = "plaintext")]
    ca: Option<PathBuf>,
    /// Its revocation list
    #[arg(long, value_name = "FILE", required_unless_present = "plaintext")]
    crl: Option<PathBuf>,
    /// Who this is: OUT of `keystead tls issue`, for a principal and a host
    #[arg(long, value_name = "OUT", required_unless_present = "plaintext")]
    identity: Option<PathBuf>,
    /// The principal that the other nodes must be
    #[arg(long, value_name = "ARN", required_unless_present = "plaintext")]
    peer: Option<PrincipalArn>,
    /// Speak without TLS
    #[arg(long)]
    plaintext: bool,
}

type Stream = Box<dyn Duplex + Send>;
type Failure = Box<dyn Error + Send + Sync>;

/// How long to wait for the others to start.
const START: Duration = Duration::from_secs(60);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    match Node::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Node {
    fn run(&self) -> Result<(), Failure> {
        let nodes = self.node.len();
        let (Some(own), true) = (self.node.get(self.rank), nodes > 1) else {
            return Err(format!("there are {nodes} nodes, and this is none of two or more").into());
        };
        let bytes = self.model.as_ref().map_or_else(|| Ok(MODEL.to_vec()), fs::read)?;
        let mut gradients = gradients(&bytes, self.rank)?;
        let listener = TcpListener::bind(own)?;
        println!("ready: {}", listener.local_addr()?);
        let (mut next, mut previous) = self.ring(&listener)?;
        all_reduce(&mut gradients, self.rank, nodes, next.as_mut(), previous.as_mut())?;
        next.finish()?;
        let sum: f64 = gradients.iter().copied().map(f64::from).sum();
        println!("{} gradients of {nodes} nodes, which sum up to {sum:.6}", gradients.len());
        Ok(())
    }

    /// The streams to the next node and from the one before.
    fn ring(&self, listener: &TcpListener) -> Result<(Stream, Stream), Failure> {
        let (limits, nodes) = (Limits::default(), self.node.len());
        let (after, before) = ((self.rank + 1) % nodes, (self.rank + nodes - 1) % nodes);
        let next = self.node.get(after).ok_or("there is no next node")?;
        let patience = START.as_secs();
        println!(
            "waits up to {patience} s for node {after} to listen at {next}, and for node {before} to call"
        );
        // Both handshakes at once: each node is client and server, and nobody waits for a neighbour who waits.
        thread::scope(|scope| {
            let called = scope.spawn(|| -> Result<Stream, Failure> {
                let missing = || format!("node {before} has not called within {patience} s");
                Ok(self.accept(accept_in_time(listener)?.ok_or_else(missing)?, &limits)?)
            });
            let connected =
                connect_when_ready(*next).map_err(|error| format!("node {after} at {next}: {error}"));
            let next = connected.map(|socket| self.connect(socket, &limits));
            let previous = called.join().map_err(|_| "accepting failed")?;
            Ok((next??, previous?))
        })
    }

    fn connect(&self, socket: TcpStream, limits: &Limits) -> Result<Stream, TransitError> {
        let Some((identity, trust)) = self.tls()? else {
            return Ok(Box::new(Bounded::new(socket, limits)));
        };
        let client = Client::new(Some(&identity), &trust, Now::system(), &Options::default())?;
        Ok(Box::new(client.connect(socket, "localhost", limits)?))
    }

    fn accept(&self, socket: TcpStream, limits: &Limits) -> Result<Stream, TransitError> {
        let Some((identity, trust)) = self.tls()? else {
            return Ok(Box::new(Bounded::new(socket, limits)));
        };
        let server = Server::new(&identity, &Callers::Certified(trust), Now::system(), &Options::default())?;
        let (stream, peer) = server.accept(socket, limits)?;
        // A certificate of the right authority is not enough: only the cluster's nodes may add to the sum.
        let principal = peer.as_ref().ok_or(TransitError::NoCertificate)?.principal()?;
        if Some(principal) != self.peer.as_ref() {
            return Err(TransitError::BadCertificate(format!("`{principal}` is no node of this cluster")));
        }
        println!("{principal} has called");
        Ok(Box::new(stream))
    }

    fn tls(&self) -> Result<Option<(Identity, Trust)>, TransitError> {
        match (&self.identity, &self.ca, &self.crl) {
            (Some(identity), Some(ca), Some(crl)) if !self.plaintext => {
                let with = |ending| Path::new(identity).with_extension(ending);
                Ok(Some((Identity::read(&with("crt"), &with("key"))?, Trust::read(ca, crl)?)))
            }
            _ => Ok(None),
        }
    }
}

/// Each node would compute these from its share of the data. Here they are those of weight decay, a little stronger on
/// each node, so that everybody can check the sum.
fn gradients(model: &[u8], rank: usize) -> Result<Vec<f32>, Failure> {
    let model = SafeTensors::deserialize(model)?;
    let mut names = model.names();
    names.sort_unstable();
    let mut gradients = Vec::new();
    for name in names {
        let tensor = model.tensor(name)?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("`{name}` has no 32-bit floats").into());
        }
        let weights = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        gradients.extend(weights.map(|weight| weight * (rank + 1) as f32));
    }
    Ok(gradients)
}

/// Every node has the sums of all nodes' values afterwards.
fn all_reduce(
    values: &mut [f32],
    rank: usize,
    nodes: usize,
    next: &mut (dyn Duplex + Send),
    previous: &mut (dyn Duplex + Send),
) -> Result<(), TransitError> {
    // First each node adds its own to the part that comes in: after n − 1 rounds it has one part's sum. Then sums replace.
    for (turn, adds) in [(0, true), (1, false)] {
        for round in 0..nodes - 1 {
            let sent = part(values.len(), nodes, rank + turn + nodes - round);
            let received = part(values.len(), nodes, rank + turn + nodes - round - 1);
            let out: Vec<u8> =
                values.get(sent).unwrap_or_default().iter().flat_map(|value| value.to_le_bytes()).collect();
            let came = exchange(next, previous, &out, received.len() * 4)?;
            for (value, bytes) in
                values.get_mut(received).unwrap_or_default().iter_mut().zip(came.as_chunks::<4>().0)
            {
                let other = f32::from_le_bytes(*bytes);
                *value = if adds { *value + other } else { other };
            }
        }
    }
    Ok(())
}

/// Which values belong to a part.
fn part(length: usize, nodes: usize, number: usize) -> Range<usize> {
    let number = number % nodes;
    length * number / nodes..length * (number + 1) / nodes
}

/// Sends while it receives, or two nodes that send more than the sockets hold would wait for each other for ever.
fn exchange(
    next: &mut (dyn Duplex + Send),
    previous: &mut (dyn Duplex + Send),
    out: &[u8],
    expected: usize,
) -> Result<Vec<u8>, TransitError> {
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            write_frame(next, out)?;
            next.flush()
        });
        let received = read_frame(previous, expected)?;
        sending.join().map_err(|_| TransitError::CutOff)??;
        if received.len() == expected { Ok(received) } else { Err(TransitError::CutOff) }
    })
}

/// The first caller; none when nobody calls in time.
fn accept_in_time(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    listener.set_nonblocking(true)?;
    let begun = Instant::now();
    while begun.elapsed() < START {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            accepted => {
                let (socket, _) = accepted?;
                socket.set_nonblocking(false)?;
                return Ok(Some(socket));
            }
        }
    }
    Ok(None)
}

fn connect_when_ready(node: SocketAddr) -> io::Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(node) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && begun.elapsed() < START => {
                thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}
