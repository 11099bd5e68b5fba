//! The command line: one file per command.
//!
//! Data goes to standard output and words to standard error; every command that prints facts takes `--json`. An error is
//! `error: …`, then `hint: …` lines that say what to do next, and an exit code that scripts can tell apart ([`exit`]).

mod alias;
mod apply;
mod audit;
mod cat;
mod clock;
mod complete;
mod decrypt;
mod demo;
mod ec2;
mod encrypt;
#[cfg(feature = "server")]
mod endpoint;
mod error;
#[cfg(feature = "server")]
mod exec;
pub mod exit;
mod explain;
mod explanation;
mod folder;
mod global;
mod grant;
mod iam;
mod init;
mod inspect;
mod key;
mod keyring;
mod keystore;
mod lease;
mod lint;
mod list;
mod organizations;
mod output;
mod persona;
mod process;
mod progress;
mod query;
mod question;
mod reencrypt;
mod reference;
mod run;
mod s3;
#[cfg(feature = "server")]
mod serve;
mod simulate;
mod stream;
mod sts;
mod table;
mod tensors;
mod tiers;
mod tls;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use reference::reference;

use self::{error::CommandError, exit::Exit, global::Global};

/// A KMS on your own machine that says no when AWS would, says why, and remembers.
///
/// Begin with:
///
///   keystead demo            see the whole story in a few seconds
///   keystead init            make a keystore of your own
///   keystead key create --alias alias/models
///   keystead encrypt model.safetensors --key alias/models
#[derive(Debug, Parser)]
#[command(
    name = "keystead",
    version,
    verbatim_doc_comment,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Apply(apply::Apply),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Alias(alias::Alias),
    #[command(subcommand)]
    Grant(grant::Grant),
    #[command(subcommand)]
    Iam(iam::Iam),
    #[command(subcommand)]
    Sts(sts::Sts),
    #[command(subcommand)]
    Organizations(organizations::Organizations),
    #[command(subcommand)]
    Ec2(ec2::Ec2),
    Encrypt(encrypt::Encrypt),
    Decrypt(decrypt::Decrypt),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    List(list::List),
    Reencrypt(reencrypt::Reencrypt),
    Lint(lint::Lint),
    Cat(cat::Cat),
    Tensors(tensors::Tensors),
    Run(run::Run),
    #[command(subcommand)]
    S3(s3::S3),
    #[cfg(feature = "server")]
    Serve(serve::Serve),
    #[cfg(feature = "server")]
    Exec(exec::Exec),
    #[command(subcommand)]
    Tls(tls::Tls),
    Tiers(tiers::Tiers),
    Explain(explain::Explain),
    Simulate(simulate::Simulate),
    #[command(subcommand)]
    Clock(clock::Clock),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    Keystore(keystore::Keystore),
    Completions(complete::Completions),
    Man(complete::Man),
}

impl Command {
    fn run(&self, global: &Global) -> Result<Exit, CommandError> {
        match self {
            // The commands whose answer is their exit code.
            Self::Simulate(command) => return command.run(global),
            Self::Lint(command) => return command.run(global),
            #[cfg(feature = "server")]
            Self::Exec(command) => return command.run(global),
            #[cfg(feature = "server")]
            Self::Serve(command) => command.run(global),
            Self::Explain(command) => return command.run(global),
            Self::Demo(command) => command.run(global),
            Self::Init(command) => command.run(global),
            Self::Apply(command) => command.run(global),
            Self::Key(command) => command.run(global),
            Self::Alias(command) => command.run(global),
            Self::Grant(command) => command.run(global),
            Self::Iam(command) => command.run(global),
            Self::Sts(command) => command.run(global),
            Self::Organizations(command) => command.run(global),
            Self::Ec2(command) => command.run(global),
            Self::Encrypt(command) => command.run(global),
            Self::Decrypt(command) => command.run(global),
            Self::Inspect(command) => command.run(global),
            Self::Verify(command) => command.run(global),
            Self::Reencrypt(command) => command.run(global),
            Self::List(command) => command.run(global),
            Self::Cat(command) => command.run(global),
            Self::Tensors(command) => command.run(global),
            Self::Run(command) => command.run(global),
            Self::S3(command) => command.run(global),
            Self::Tls(command) => command.run(global),
            Self::Tiers(command) => command.run(global),
            Self::Clock(command) => command.run(global),
            Self::Audit(command) => command.run(global),
            Self::Keystore(command) => command.run(global),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
        }?;
        Ok(Exit::Done)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for_words = !error.use_stderr();
            if asked_for_words {
                // Nothing can be said when the terminal is gone.
                let _unsaid = error.print();
            } else {
                output::say_lines(error.render().to_string().trim_end());
            }
            return if asked_for_words { Exit::Done } else { Exit::Usage }.into();
        }
    };
    cli.global.color.apply();
    process::protect();
    let exit = match cli.command.run(&cli.global) {
        Ok(exit) => exit,
        Err(error) => error.report(),
    };
    cli.global.explain_what_was_heard(exit);
    exit.into()
}

/// The whole command line, for completions, manual pages and the reference.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
