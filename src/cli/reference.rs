//! The command reference, made of the commands' own help so that it cannot drift.

use std::fmt::Write;

use clap::{Arg, Command};

/// The whole reference as Markdown; `docs/commands.md` holds it, and a test compares.
#[must_use]
pub fn reference() -> String {
    let mut root = super::command().term_width(100).color(clap::ColorChoice::Never);
    root.build();
    let mut text = String::from(
        "# Commands\n\nMade from `keystead --help` and its like; a test keeps it true.\n\n\
         Exit codes: 0 done, 1 failed, 2 usage, 3 access denied, 4 authentication or integrity failed, 5 key missing or\n\
         unusable in its state, 6 something unusual was found.\n",
    );
    section(&mut root, "keystead", &mut text);
    text
}

fn section(command: &mut Command, name: &str, text: &mut String) {
    let level = if name.contains(' ') { "##" } else { "#" };
    // The flags of every command stand with the first alone.
    let everywhere = |argument: &Arg| argument.get_help_heading() == Some("Everywhere");
    let mut shown = command.clone();
    if name.contains(' ') {
        shown = shown.mut_args(|argument| if everywhere(&argument) { argument.hide(true) } else { argument });
    }
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a `String` does not fail.
    let _always = write!(text, "\n{level} {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    let hidden = |command: &Command| command.is_hide_set() || command.get_name() == "help";
    for inner in command.get_subcommands_mut().filter(|command| !hidden(command)) {
        let name = format!("{name} {}", inner.get_name());
        section(inner, &name, text);
    }
}
