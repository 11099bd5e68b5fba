//! `keystead audit tail`

use std::{thread, time::Duration};

use clap::Args;

use super::rows;
use crate::{
    audit::{directory::DiskDirectory, follow::Bookmark},
    cli::{error::CommandError, global::Global, output},
    keystore::KeystoreError,
};

/// How long to wait before looking for new events again.
const PAUSE: Duration = Duration::from_millis(200);
/// How many events are read at a time.
const READ_AHEAD: usize = 1000;

/// Show the last events
///
/// Example: keystead audit tail -n 5
///
/// With `--json` each event is a line in CloudTrail's shape.
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
        let records = keystore.audit_tail(&caller, self.number)?;
        if global.json {
            records.iter().try_for_each(output::json_line)?;
        } else {
            output::table(&["TIME", "WHO", "EVENT", "RESOURCE", "RESULT"], records.iter().map(rows::row))?;
        }
        if !self.follow {
            return Ok(());
        }
        let Some(directory) = keystore.audit_directory() else { return Ok(()) };
        let mut bookmark = Bookmark::end_of(&directory).map_err(KeystoreError::from)?;
        // Others need the keystore to make the events that are waited for.
        drop(keystore);
        loop {
            self.show_new(global, &caller.account(), &directory, &mut bookmark)?;
            thread::sleep(PAUSE);
        }
    }

    fn show_new(
        &self,
        global: &Global,
        account: &crate::model::AccountId,
        directory: &DiskDirectory,
        bookmark: &mut Bookmark,
    ) -> Result<(), CommandError> {
        for stored in bookmark.read_on(directory, READ_AHEAD).map_err(KeystoreError::from)? {
            let record = stored.parse()?;
            if record.recipient_account_id != *account {
                continue;
            }
            if global.json {
                output::json_line(&record)?;
            } else {
                output::line(&rows::row(&record).join("  "))?;
            }
        }
        Ok(())
    }
}
