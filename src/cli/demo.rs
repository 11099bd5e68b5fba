//! `keystead demo`

use std::{ffi::OsString, io, path::PathBuf};

use clap::{Args, Subcommand};

use super::{error::CommandError, exit::Exit, global::Global, output};
use crate::lab::{
    demo,
    in_transit::{self, Launcher},
};

// The demo on data in transit runs the examples, as they are, from within this program: they need not be built, and what
// is shown is what a reader finds in them.
#[path = "../../examples/transit_client.rs"]
mod client;
#[path = "../../examples/transit_server.rs"]
mod server;

/// See the whole story in a few seconds
///
/// Example: keystead demo
///
/// Makes a keystore that is thrown away, seals a model in it and walks through who can open it, and who cannot and why.
/// Each step shows the command that does the same in a keystore of yours. Exits non-zero when a step did not come out
/// as it should.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Demo {
    /// The file to protect [default: a small model that comes with keystead]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, Subcommand)]
enum Other {
    Transit(Transit),
    /// One of the two processes
    #[command(hide = true)]
    TransitServer(server::Server),
    /// The other
    #[command(hide = true)]
    TransitClient(client::Client),
}

/// See data in transit: two processes, with and without TLS, and what an eavesdropper gets
///
/// Example: keystead demo transit
///
/// Starts a server and a client with an eavesdropper between them and shows what it saw; tries what must fail, from an
/// unknown authority to a replayed stream; and measures what encryption costs. Exits non-zero when something did not come
/// out as it should. A file of one's own that is called `transit` is written `./transit`.
#[derive(Debug, Args)]
struct Transit {}

impl Demo {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let file = self.file.as_deref();
        match &self.other {
            None => show(
                global,
                |out| Ok(demo::run(file, out)?),
                |summary| (output::to_json(&summary.steps), summary.passed()),
            ),
            Some(Other::Transit(Transit {})) => {
                let launcher = launcher()?;
                show(
                    global,
                    |out| Ok(in_transit::run(&launcher, out)?),
                    |summary| (output::to_json(summary), summary.passed()),
                )
            }
            Some(Other::TransitServer(server)) => {
                server.run().map_err(|error| CommandError::new(Exit::Failed, error))
            }
            Some(Other::TransitClient(client)) => {
                client.run().map_err(|error| CommandError::new(Exit::Failed, error))
            }
        }
    }
}

/// Gives a demo, in words or as JSON.
fn show<S>(
    global: &Global,
    give: impl FnOnce(&mut dyn io::Write) -> Result<S, CommandError>,
    outcome: impl FnOnce(&S) -> (Result<serde_json::Value, CommandError>, bool),
) -> Result<(), CommandError> {
    let (json, passed) =
        if global.json { outcome(&give(&mut io::sink())?) } else { outcome(&give(&mut anstream::stdout())?) };
    if global.json {
        output::json(&json?)?;
    }
    if passed {
        Ok(())
    } else {
        Err(CommandError::new(Exit::Failed, "the demo did not come out as it should"))
    }
}

/// This program, as either process.
fn launcher() -> Result<Launcher, CommandError> {
    let own = std::env::current_exe().map_err(|error| {
        CommandError::new(Exit::Failed, format!("this program cannot be started again: {error}"))
    })?;
    let with = |name: &str| vec![own.clone().into_os_string(), OsString::from("demo"), OsString::from(name)];
    Ok(Launcher { server: with("transit-server"), client: with("transit-client") })
}
