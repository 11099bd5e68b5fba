//! How the demo looks: 80 columns, readable without colour.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{
    StepResult, Summary,
    outcome::Outcome,
    stage::Stage,
    steps::Step,
    style::{BAD, GOOD, INDENT, REFUSAL, TEXT_WIDTH, TITLE},
};
use crate::lab::table::{grouped, table, wrap};

const COMMAND: Style = AnsiColor::Cyan.on_default();

/// The widths of the summary's columns.
const SUMMARY_WIDTHS: [usize; 5] = [2, 39, 12, 12, 7];

pub(super) fn welcome(out: &mut dyn Write, stage: &Stage) -> io::Result<()> {
    writeln!(out, "{TITLE}keystead demo{TITLE:#}: {}, {} bytes\n", stage.name(), grouped(stage.size()))?;
    let text = "Everything below really happens, in a temporary keystore on disk that is gone at the end. \
                With a keystore of your own, the commands shown do the same.";
    wrap(text, TEXT_WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"))
}

pub(super) fn announce(out: &mut dyn Write, number: usize, step: &Step, name: &str) -> io::Result<()> {
    writeln!(out, "\n{TITLE}{number:>2}  {}{TITLE:#}", step.title)?;
    for line in wrap(step.prose, TEXT_WIDTH) {
        writeln!(out, "{INDENT}{line}")?;
    }
    for command in step.commands {
        let command = command.replace("FILE", &quoted(name));
        let lines = wrap(&command, TEXT_WIDTH - 6);
        for (index, line) in lines.iter().enumerate() {
            let prompt = if index == 0 { "$ " } else { "    " };
            let more = if index + 1 < lines.len() { " \\" } else { "" };
            writeln!(out, "{INDENT}{COMMAND}{prompt}{line}{more}{COMMAND:#}")?;
        }
    }
    Ok(())
}

pub(super) fn outcome(
    out: &mut dyn Write,
    shown: &[String],
    outcome: &Outcome,
    result: &StepResult,
) -> io::Result<()> {
    for line in shown.iter().flat_map(|text| text.lines()) {
        writeln!(out, "{INDENT}{line}")?;
    }
    match outcome {
        Outcome::Done(words) => {
            for line in wrap(words, TEXT_WIDTH).iter().filter(|line| !line.is_empty()) {
                writeln!(out, "{INDENT}{line}")?;
            }
        }
        Outcome::Refused(refusal) => {
            for line in wrap(refusal.words(), TEXT_WIDTH).iter().flat_map(|line| pieces(line)) {
                writeln!(out, "{INDENT}{REFUSAL}{line}{REFUSAL:#}")?;
            }
        }
    }
    if result.as_expected {
        let word = if matches!(outcome, Outcome::Done(_)) { "done" } else { "refused, as it must be" };
        writeln!(out, "{INDENT}{GOOD}✓ {word}{GOOD:#}")
    } else {
        let StepResult { expected, happened, .. } = result;
        writeln!(out, "{INDENT}{BAD}✗ wrong: expected {expected}, got {happened}{BAD:#}")
    }
}

/// An ARN can be longer than a line, and has no spaces to break it at.
fn pieces(line: &str) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    letters.chunks(TEXT_WIDTH).map(|piece| piece.iter().collect()).collect()
}

pub(super) fn summary(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let heading = ["", "step", "expected", "happened", ""].map(str::to_owned);
    let rows = summary.steps.iter().enumerate().map(|(index, step)| {
        let verdict = if step.as_expected { "✓ ok" } else { "✗ wrong" };
        vec![
            format!("{:>2}", index + 1),
            step.step.into(),
            in_words(&step.expected),
            in_words(&step.happened),
            verdict.into(),
        ]
    });
    let text = table(&SUMMARY_WIDTHS, &heading, &rows.collect::<Vec<_>>());
    writeln!(out)?;
    for line in text.lines() {
        let coloured = line
            .replace("✓ ok", &format!("{GOOD}✓ ok{GOOD:#}"))
            .replace("✗ wrong", &format!("{BAD}✗ wrong{BAD:#}"));
        writeln!(out, "{coloured}")?;
    }
    let (all, took) = (summary.steps.len(), summary.took.as_secs_f32());
    let good = summary.steps.iter().filter(|step| step.as_expected).count();
    let style = if summary.passed() { GOOD } else { BAD };
    writeln!(out, "\n{style}{good} of {all} steps came out as they should{style:#}, in {took:.1} s.")
}

/// AWS's name of an error without its ending, which every one of them has.
fn in_words(outcome: &str) -> String {
    outcome.trim_end_matches("Exception").to_owned()
}

/// A file's name as a shell takes it.
fn quoted(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b)) {
        name.into()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
