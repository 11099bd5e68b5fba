//! `keystead audit tail`

use std::{thread, time::Duration};

use clap::Args;

use super::rows;
use crate::{
    audit::{directory::DiskDirectory, follow::Bookmark},
    cli::{error::CommandError, global::Global, output, table::Printed},
    keystore::KeystoreError,
    model::AccountId,
};

/// How long to wait before looking for new events again.
const PAUSE: Duration = Duration::from_millis(200);
/// How many events are read at a time.
const READ_AHEAD: usize = 1000;

/// Show the last events
///
/// Example: keystead audit tail -n 5
///
/// `#` is the event's number, which `keystead audit show` and `prove` take. On a narrow terminal an event takes two lines,
/// and what is too long ends in `…`. With `--json` each event is a line in CloudTrail's shape.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    number: usize,
    /// Go on with what other commands add, until interrupted
    #[arg(short, long)]
    follow: bool,
}

impl Tail {
    pub(crate) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let last = keystore.audit_last(&caller, self.number)?;
        let mut table = if global.json {
            last.iter().try_for_each(|one| output::json_line(&one.record))?;
            None
        } else {
            Some(rows::EVENTS.print(last.iter().map(|one| rows::row(one.sequence, &one.record)))?)
        };
        if !self.follow {
            return Ok(());
        }
        let Some(directory) = keystore.audit_directory() else { return Ok(()) };
        let mut bookmark = Bookmark::end_of(&directory).map_err(KeystoreError::from)?;
        // Others need the keystore to make the events that are waited for.
        drop(keystore);
        loop {
            show_new(table.as_mut(), &caller.account(), &directory, &mut bookmark)?;
            thread::sleep(PAUSE);
        }
    }
}

/// Shows what was added: below the table, or as JSON where there is none.
fn show_new(
    mut table: Option<&mut Printed<'_>>,
    account: &AccountId,
    directory: &DiskDirectory,
    bookmark: &mut Bookmark,
) -> Result<(), CommandError> {
    for stored in bookmark.read_on(directory, READ_AHEAD).map_err(KeystoreError::from)? {
        let record = stored.parse()?;
        if record.recipient_account_id != *account {
            continue;
        }
        match &mut table {
            Some(table) => table.more(&[rows::row(stored.sequence, &record)])?,
            None => output::json_line(&record)?,
        }
    }
    Ok(())
}
