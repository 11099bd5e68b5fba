//! How the demo of data in transit looks: 80 columns, readable without colour.

use std::io::{self, Write};

use super::{
    demo::{Costs, Overheard, Summary},
    measure::Handshakes,
    trials::{Outcome, Trial},
};
use crate::lab::{
    demo::StepResult,
    demo::style::{BAD, GOOD, INDENT, REFUSAL, TEXT_WIDTH, TITLE},
    table::{grouped, table, wrap},
    wiretap::look::{entropy, hexadecimal, records},
};

pub(super) const PLAINTEXT: &str = "A client hands a sealed model with a prompt to a server and asks for a tensor. The \
    server asks the KMS's policies whether alice may use the model's key. An eavesdropper stands between them.";
pub(super) const TLS: &str = "The same two programs. The client's certificate names alice, so that the server need not \
    take her word for it; the server's names localhost.";
pub(super) const SIDE_BY_SIDE: &str = "The sealed model is safe on either wire: it was encrypted before it left. What was \
    asked and what was answered is as safe as the wire is. Where something was found is told by the direction and the offset, \
    as above. Noise has 8 bits of entropy a byte, English text about 4: what went in plaintext comes near to noise, since most \
    of it is the sealed model and the tensor's numbers, and for the prompt in it that is no help.";
pub(super) const FAILURES: &str = "Each is really tried against the same server. What either side calls it; in lower \
    case, the alert that it was sent.";
/// Above what had to come out some way in a conversation.
const OUTCOMES: &str = "What had to come of it:";
pub(super) const COSTS: &str = "Measured now, over loopback, where nothing but the processor is in the way; its time is \
    that of both sides. Percentages are of the first line. On a network that is slower than this, encryption costs its processor time and no throughput.";

/// How many lines of bytes are shown.
const HEX_LINES: usize = 4;
/// How many records of each direction are shown.
const RECORDS_SHOWN: usize = 4;

fn text(out: &mut dyn Write, words: &str) -> io::Result<()> {
    wrap(words, TEXT_WIDTH).iter().try_for_each(|line| writeln!(out, "{INDENT}{line}"))
}

pub(super) fn welcome(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{TITLE}keystead demo transit{TITLE:#}: two processes, and what an eavesdropper sees\n")?;
    let words = "Server and client are processes of their own, the programs of examples/transit_server.rs and \
                 transit_client.rs, with a temporary keystore that is gone at the end. Nothing is made up.";
    wrap(words, TEXT_WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"))
}

pub(super) fn announce(out: &mut dyn Write, number: usize, title: &str, words: &str) -> io::Result<()> {
    writeln!(out, "\n{TITLE}{number:>2}  {title}{TITLE:#}")?;
    text(out, words)?;
    writeln!(out)
}

/// The lines of bytes from a place on.
fn excerpt(out: &mut dyn Write, bytes: &[u8], from: usize) -> io::Result<()> {
    let part = bytes.get(from..).unwrap_or_default();
    let part = part.get(..HEX_LINES * 16).unwrap_or(part);
    hexadecimal(part, from).iter().try_for_each(|line| writeln!(out, "{INDENT}{line}"))
}

/// The line in which a place is, of lines that are counted from the beginning.
fn line_of(at: usize) -> usize {
    at / 16 * 16
}

/// What had to come out some way, ticked off.
pub(super) fn steps(out: &mut dyn Write, steps: &[StepResult]) -> io::Result<()> {
    writeln!(out, "\n{INDENT}{OUTCOMES}")?;
    for step in steps {
        let (style, mark) = if step.as_expected { (GOOD, "✓") } else { (BAD, "✗ wrong:") };
        writeln!(out, "{INDENT}{style}{mark}{style:#} {}: {}", step.step, step.happened)?;
    }
    Ok(())
}

pub(super) fn overheard_plain(out: &mut dyn Write, heard: &Overheard, canary: &str) -> io::Result<()> {
    let Some(at) = heard.canary else {
        return writeln!(out, "{INDENT}{BAD}✗ the canary was not found{BAD:#}");
    };
    writeln!(out, "{INDENT}{REFUSAL}client → server, with the canary {canary}{REFUSAL:#}")?;
    excerpt(out, &heard.conversation.to_server, line_of(at))?;
    if let Some(at) = heard.tensor {
        writeln!(out, "{INDENT}{REFUSAL}server → client, where the tensor's weights begin{REFUSAL:#}")?;
        excerpt(out, &heard.conversation.to_client, line_of(at))?;
    }
    Ok(())
}

pub(super) fn replayed(out: &mut dyn Write, server: &str) -> io::Result<()> {
    writeln!(out)?;
    text(
        out,
        &format!(
            "Said once more by the eavesdropper, word for word: {server}, the tensor again. Nobody asked who it is."
        ),
    )
}

pub(super) fn overheard_tls(out: &mut dyn Write, heard: &Overheard) -> io::Result<()> {
    let sides = [
        ("client → server", &heard.conversation.to_server),
        ("server → client", &heard.conversation.to_client),
    ];
    for (direction, said) in sides {
        let records = records(said);
        writeln!(out, "{INDENT}{GOOD}{direction}{GOOD:#}")?;
        for record in records.iter().take(RECORDS_SHOWN) {
            writeln!(out, "{INDENT}{:06x}  {:>5} bytes  {}", record.at, record.bytes, record.name)?;
            for (name, value) in &record.facts {
                let lines = wrap(&format!("{name}: {value}"), TEXT_WIDTH - 21);
                lines.iter().try_for_each(|line| writeln!(out, "{INDENT}{:21}{line}", ""))?;
            }
        }
        let more = records.len().saturating_sub(RECORDS_SHOWN);
        if more > 0 {
            writeln!(out, "{INDENT}{:21}and {more} more, encrypted", "")?;
        }
        if let Some(record) = records.iter().filter(|one| one.is_encrypted).max_by_key(|one| one.bytes) {
            writeln!(out, "{INDENT}the longest record, from its first byte on:")?;
            excerpt(out, said, record.at)?;
        }
    }
    Ok(())
}

pub(super) fn side_by_side(out: &mut dyn Write, plain: &Overheard, tls: &Overheard) -> io::Result<()> {
    let found = |direction: &'static str, at: Option<usize>| {
        at.map_or("not found".to_owned(), |at| format!("{direction} {at:06x}"))
    };
    let to_server = |at: Option<usize>| found("client → server", at);
    let to_client = |at: Option<usize>| found("server → client", at);
    let bits = |heard: &Overheard| {
        let conversation = &heard.conversation;
        format!("{:.2} and {:.2}", entropy(&conversation.to_server), entropy(&conversation.to_client))
    };
    let said = |heard: &Overheard| {
        let conversation = &heard.conversation;
        let lengths = [conversation.to_server.len(), conversation.to_client.len()];
        let [up, down] = lengths.map(|length| grouped(length as u64));
        format!("{up} and {down}")
    };
    let cells = |name: &str, of: &dyn Fn(&Overheard) -> String| vec![name.to_owned(), of(plain), of(tls)];
    let rows = [
        cells("bytes there and back", &said),
        cells("the prompt's canary", &|heard| to_server(heard.canary)),
        cells("the tensor's 4,096 bytes", &|heard| to_client(heard.tensor)),
        cells("who it was for: user/alice", &|heard| to_server(heard.alice)),
        cells("entropy, bits a byte", &bits),
    ];
    let heading = ["", "plaintext", "TLS 1.3"].map(str::to_owned);
    let lines = table(&[26, 22, 22], &heading, &rows);
    lines.lines().try_for_each(|line| writeln!(out, "{INDENT}{line}"))
}

pub(super) fn trial(out: &mut dyn Write, trial: &Trial, outcome: &Outcome) -> io::Result<()> {
    let (style, mark) = if trial.is_met_by(outcome) { (GOOD, "✓") } else { (BAD, "✗ wrong:") };
    writeln!(out, "{INDENT}{style}{mark}{style:#} {}", trial.title)?;
    let Outcome { server, client } = outcome;
    writeln!(out, "{INDENT}  server {REFUSAL}{server:<22}{REFUSAL:#} client {REFUSAL}{client}{REFUSAL:#}")?;
    wrap(trial.prose, TEXT_WIDTH - 2).iter().try_for_each(|line| writeln!(out, "{INDENT}  {line}"))
}

pub(super) fn costs(out: &mut dyn Write, costs: &Costs) -> io::Result<()> {
    let Some((_, plain)) = costs.throughput.first() else { return Ok(()) };
    let rows: Vec<Vec<String>> = costs
        .throughput
        .iter()
        .map(|(wire, measured)| {
            vec![
                wire.name().into(),
                format!("{:.2} GB/s", measured.gb_per_second),
                percent(measured.gb_per_second, plain.gb_per_second),
                format!("{:.2} s", measured.cpu_seconds_per_gb),
                percent(measured.cpu_seconds_per_gb, plain.cpu_seconds_per_gb),
            ]
        })
        .collect();
    let heading = ["", "throughput", "of plain", "CPU per GB", "of plain"].map(str::to_owned);
    let lines = table(&[25, 11, 8, 11, 8], &heading, &rows);
    lines.lines().try_for_each(|line| writeln!(out, "{INDENT}{line}"))?;
    writeln!(out)?;
    let heading = ["handshake", "a second", "of whole", "median time", "of whole"].map(str::to_owned);
    let row = |name: &str, measured: &Handshakes| {
        vec![
            name.into(),
            format!("{:.0}", measured.per_second),
            percent(measured.per_second, costs.whole.per_second),
            format!("{:.2} ms", measured.median.as_secs_f64() * 1e3),
            percent(measured.median.as_secs_f64(), costs.whole.median.as_secs_f64()),
        ]
    };
    let rows = [row("whole, both certificates", &costs.whole), row("resumed", &costs.resumed)];
    let lines = table(&[25, 11, 8, 11, 8], &heading, &rows);
    lines.lines().try_for_each(|line| writeln!(out, "{INDENT}{line}"))
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole)
}

pub(super) fn summary(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    for step in summary.steps.iter().filter(|step| !step.as_expected) {
        let words = format!("✗ {}: expected {}, got {}", step.step, step.expected, step.happened);
        for line in wrap(&words, TEXT_WIDTH) {
            writeln!(out, "{INDENT}{BAD}{line}{BAD:#}")?;
        }
    }
    let (all, took) = (summary.steps.len(), summary.took.as_secs_f32());
    let good = summary.steps.iter().filter(|step| step.as_expected).count();
    let style = if summary.passed() { GOOD } else { BAD };
    writeln!(out, "\n{style}{good} of {all} came out as they should{style:#}, in {took:.1} s.")
}
