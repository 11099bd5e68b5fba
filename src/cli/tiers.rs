//! `keystead tiers`

use clap::Args;

use super::{error::CommandError, global::Global, output};
use crate::lab::tiers::{TierCell, TierTable};

/// Show the three tiers of KMS keys side by side
///
/// Example: keystead tiers --why
///
/// Every cell is found out by doing it, in a keystore in memory that is thrown away. `--why` tells what was tried.
#[derive(Debug, Args)]
pub(super) struct Tiers {
    /// Tell for each cell what was tried and what came of it
    #[arg(long)]
    why: bool,
}

impl Tiers {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let table = TierTable::observe()?;
        if global.json {
            return output::json(&table);
        }
        if !self.why {
            return Ok(output::lines(table.to_string().trim_end())?);
        }
        for row in &table.rows {
            output::line(row.aspect)?;
            let cells = [
                ("AWS owned", &row.owned),
                ("AWS managed", &row.managed),
                ("customer managed", &row.customer),
            ];
            for (tier, cell) in cells {
                tell(tier, cell)?;
            }
        }
        Ok(())
    }
}

fn tell(tier: &str, cell: &TierCell) -> Result<(), CommandError> {
    output::line(&format!("  {tier}: {}", cell.text))?;
    for evidence in &cell.evidence {
        output::line(&format!("    - {evidence}"))?;
    }
    Ok(())
}
