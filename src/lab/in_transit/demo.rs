//! `keystead demo transit`: the two processes with an eavesdropper between them, in plaintext and over TLS, then what must
//! fail, then what it costs.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::Serialize;
use thiserror::Error;

use super::{
    measure::{Handshakes, Parties, Throughput, Wire},
    print,
    process::{Calling, Launcher, PATIENCE, ServerProcess, call},
    stage::{Stage, StageError, tensor_bytes},
    trials::{Scene, TRIALS, replay},
};
use crate::{
    lab::{
        demo::StepResult,
        wiretap::{Conversation, Meddling, Wiretap, look::find},
    },
    transit::{Resumption, TransitError},
};

/// How much is sent to measure it.
const MEASURED_BYTES: u64 = 400_000_000;
/// How many handshakes are made to measure them.
const MEASURED_HANDSHAKES: usize = 400;

/// Why the demo could not be given at all.
#[derive(Debug, Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum DemoError {
    /// The stage cannot be set.
    Stage(#[from] StageError),
    /// A process cannot be started, or nothing be printed.
    Io(#[from] io::Error),
    /// Nothing can be measured.
    Transit(#[from] TransitError),
}

/// What the demo came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What had to come out some way, and whether it did.
    pub steps: Vec<StepResult>,
    /// What it costs.
    pub costs: Costs,
    /// How long it all took.
    pub took: Duration,
}

impl Summary {
    /// Whether everything came out as it should.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.as_expected)
    }
}

/// What encryption in transit costs on this machine.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// Of each way to send bytes, plaintext first.
    pub throughput: Vec<(Wire, Throughput)>,
    /// Whole handshakes.
    pub whole: Handshakes,
    /// Handshakes that go on where an earlier one left off.
    pub resumed: Handshakes,
}

/// What an eavesdropper could make of one conversation.
pub(super) struct Overheard {
    pub(super) conversation: Conversation,
    /// Where the canary is.
    pub(super) canary: Option<usize>,
    /// Where the tensor is.
    pub(super) tensor: Option<usize>,
    /// Whether alice is named.
    pub(super) alice: Option<usize>,
}

/// Gives the demo. What is printed holds colours: hand in a stream that takes them away where they are not wanted.
///
/// # Errors
///
/// [`DemoError`] when it could not be given. What came out wrong is no error: see [`Summary::passed`].
pub fn run(launcher: &Launcher, out: &mut dyn Write) -> Result<Summary, DemoError> {
    let began = Instant::now();
    let stage = Stage::set()?;
    let mut steps = Vec::new();
    print::welcome(out)?;

    print::announce(out, 1, "In plaintext", print::PLAINTEXT)?;
    let plain_server = ServerProcess::start(launcher, &stage, &["--plaintext"])?;
    let claiming = Calling { plaintext: Some("user/alice"), ..Calling::default() };
    let plain = overhear(launcher, &stage, &plain_server, &claiming, "plaintext: alice asks", &mut steps)?;
    let seen = |found: Option<usize>| if found.is_some() { "found" } else { "not found" };
    steps.push(step("plaintext: the canary", "found", seen(plain.canary)));
    steps.push(step("plaintext: the tensor", "found", seen(plain.tensor)));
    print::overheard_plain(out, &plain, stage.canary())?;
    let again = replay(plain_server.address(), &plain.conversation.to_server)?;
    let server = plain_server.next_outcome()?;
    steps.push(step("plaintext: replayed", "the tensor", &again));
    print::replayed(out, &server)?;
    print::steps(out, &steps)?;
    let in_plaintext = steps.len();
    drop(plain_server);

    print::announce(out, 2, "Over TLS 1.3, both sides with a certificate", print::TLS)?;
    let server = ServerProcess::start(launcher, &stage, &[])?;
    let tls = overhear(launcher, &stage, &server, &Calling::default(), "TLS: alice asks", &mut steps)?;
    steps.push(step("TLS: the canary", "not found", seen(tls.canary)));
    steps.push(step("TLS: the tensor", "not found", seen(tls.tensor)));
    steps.push(step("TLS: alice's name", "not found", seen(tls.alice)));
    print::overheard_tls(out, &tls)?;
    print::steps(out, steps.get(in_plaintext..).unwrap_or_default())?;

    print::announce(out, 3, "What the eavesdropper has", print::SIDE_BY_SIDE)?;
    print::side_by_side(out, &plain, &tls)?;

    print::announce(out, 4, "What must fail", print::FAILURES)?;
    let scene = Scene { launcher, stage: &stage, server: &server, heard: &tls.conversation };
    for trial in TRIALS {
        let outcome = trial.run(&scene)?;
        print::trial(out, trial, &outcome)?;
        let expected = format!("{} / {}", trial.server, trial.client);
        steps.push(step(trial.title, &expected, &format!("{} / {}", outcome.server, outcome.client)));
    }
    drop(server);

    print::announce(out, 5, "What it costs", print::COSTS)?;
    let costs = measure()?;
    print::costs(out, &costs)?;
    let summary = Summary { steps, costs, took: began.elapsed() };
    print::summary(out, &summary)?;
    Ok(summary)
}

fn step(step: &'static str, expected: &str, happened: &str) -> StepResult {
    let as_expected = expected == happened;
    StepResult { step, expected: expected.into(), happened: happened.into(), as_expected }
}

/// Lets the client call through an eavesdropper.
fn overhear(
    launcher: &Launcher,
    stage: &Stage,
    server: &ServerProcess,
    calling: &Calling<'_>,
    title: &'static str,
    steps: &mut Vec<StepResult>,
) -> Result<Overheard, DemoError> {
    let tap = Wiretap::start(SocketAddr::from(([127, 0, 0, 1], 0)), server.address(), Meddling::None)?;
    let called = call(launcher, stage, tap.address(), calling)?;
    steps.push(step(title, "served", &called.outcome));
    server.next_outcome()?;
    let conversation = tap.next(PATIENCE).ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))?;
    Ok(Overheard {
        canary: find(&conversation.to_server, stage.canary().as_bytes()),
        tensor: find(&conversation.to_client, tensor_bytes()),
        alice: find(&conversation.to_server, b"user/alice"),
        conversation,
    })
}

fn measure() -> Result<Costs, TransitError> {
    let parties = Parties::new()?;
    let throughput: Result<Vec<_>, TransitError> = Wire::ALL
        .into_iter()
        .map(|wire| {
            // The first bytes pay for what is done once.
            parties.throughput(wire, MEASURED_BYTES / 10)?;
            Ok((wire, parties.throughput(wire, MEASURED_BYTES)?))
        })
        .collect();
    let handshakes = |resumption| {
        parties.handshakes(resumption, MEASURED_HANDSHAKES / 10, 1)?;
        parties.handshakes(resumption, MEASURED_HANDSHAKES, 1)
    };
    Ok(Costs {
        throughput: throughput?,
        whole: handshakes(Resumption::Off)?,
        resumed: handshakes(Resumption::On)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_otherwise_is_marked_and_the_demo_has_failed() {
        let parties = Parties::new().unwrap();
        let handshakes = parties.handshakes(Resumption::Off, 1, 1).unwrap();
        let throughput = vec![(Wire::Plaintext, parties.throughput(Wire::Plaintext, 1000).unwrap())];
        let costs = Costs { throughput, whole: handshakes, resumed: handshakes };
        let steps = vec![
            step("TLS: the canary", "not found", "not found"),
            step("TLS: the tensor", "not found", "found"),
        ];
        let mut summary = Summary { steps, costs, took: Duration::ZERO };
        let mut out = Vec::new();
        print::summary(&mut out, &summary).unwrap();
        let said = String::from_utf8(anstream::adapter::strip_bytes(&out).into_vec()).unwrap();
        assert!(said.contains("✗ TLS: the tensor: expected not found, got found"), "{said}");
        assert!(said.contains("1 of 2 came out") && !summary.passed(), "{said}");
        summary.steps.pop();
        assert!(summary.passed());
    }
}
