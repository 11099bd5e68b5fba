//! Rows in columns, no wider than the terminal, and never with a break within a word.
//!
//! A table that is too wide for the terminal is *stacked*: some cells stand below others, as its command says. What is too
//! wide even then is wrapped at spaces, and a word that is longer than its column ends in `…`; `--json` has the whole.
//! Where no terminal is, everything stands on one line, for programs that look for it.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use comfy_table::{ColumnConstraint, Table as Cells, Width, presets};

use super::output::{LABEL_STYLE, printable};

/// Columns whose cells may be shortened: names that people gave. Ids and the names of events never are, so that they can
/// be found and copied.
const ELASTIC_COLUMNS: &[&str] =
    &["ALIAS", "KEY", "NAME", "PATH", "RESOURCE", "RESULT", "WHAT", "WHO", "WITNESS"];
/// A column is not made narrower than this.
const ELASTIC_WIDTH_MIN: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// A kind of table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'t> {
    header: &'t [&'t str],
    /// The columns of the stacked table: for each, the numbers of the columns that stand in it, from the top.
    stacks: &'t [&'t [usize]],
}

impl<'t> Table<'t> {
    /// A table that is not stacked.
    pub(super) const fn new(header: &'t [&'t str]) -> Self {
        Self { header, stacks: &[] }
    }

    /// The same, stacked so where the terminal is too narrow.
    pub(super) const fn stacked(self, stacks: &'t [&'t [usize]]) -> Self {
        Self { header: self.header, stacks }
    }

    /// Prints rows below the header; answers with what more can be printed below.
    pub(super) fn print(self, rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<Printed<'t>> {
        let rows: Vec<Vec<String>> = rows.into_iter().collect();
        let layout = Layout::of(self, &rows, terminal_width());
        let header = self.header.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut stdout = anstream::stdout().lock();
        for line in layout.lines(&[header]) {
            writeln!(stdout, "{LABEL_STYLE}{line}{LABEL_STYLE:#}")?;
        }
        drop(stdout);
        let mut printed = Printed { table: self, layout };
        printed.more(&rows)?;
        Ok(printed)
    }
}

/// A table that was printed.
#[derive(Debug)]
pub(super) struct Printed<'t> {
    table: Table<'t>,
    layout: Layout<'t>,
}

impl Printed<'_> {
    /// Prints more rows below, in the same columns as far as they have the room.
    pub(super) fn more(&mut self, rows: &[Vec<String>]) -> io::Result<()> {
        self.layout.make_room(self.table, rows, terminal_width());
        let style = Style::new();
        let mut stdout = anstream::stdout().lock();
        self.layout.lines(rows).iter().try_for_each(|line| writeln!(stdout, "{style}{line}{style:#}"))
    }
}

/// How wide the terminal is; nothing when the output goes elsewhere.
pub(super) fn terminal_width() -> Option<usize> {
    io::stdout().is_terminal().then(|| Cells::new().width().map(usize::from)).flatten()
}

/// Which cells stand where, and how wide the columns are.
#[derive(Debug)]
struct Layout<'t> {
    stacks: Vec<&'t [usize]>,
    widths: Vec<usize>,
}

/// The columns side by side, for as many as any table has.
const FLAT: &[&[usize]] = &[&[0], &[1], &[2], &[3], &[4], &[5], &[6], &[7]];

impl<'t> Layout<'t> {
    fn of(table: Table<'t>, rows: &[Vec<String>], width: Option<usize>) -> Self {
        let flat: Vec<&[usize]> = FLAT.iter().take(table.header.len()).copied().collect();
        let flat = Self::natural(table.header, flat, rows);
        let Some(width) = width.filter(|width| flat.width() > *width) else { return flat };
        let mut layout = match table.stacks {
            [] => flat,
            stacks => Self::natural(table.header, stacks.to_vec(), rows),
        };
        layout.shrink(table.header, width);
        layout
    }

    /// Widens the columns for more rows; stacks them when that is too wide.
    fn make_room(&mut self, table: Table<'t>, rows: &[Vec<String>], width: Option<usize>) {
        let mut wider = Self::natural(&[], self.stacks.clone(), rows);
        for (new, old) in wider.widths.iter_mut().zip(&self.widths) {
            *new = (*new).max(*old);
        }
        let too_wide = |layout: &Self| width.filter(|width| layout.width() > *width);
        if too_wide(&wider).is_some() && !table.stacks.is_empty() && self.stacks != table.stacks {
            wider = Self::natural(table.header, table.stacks.to_vec(), rows);
        }
        if let Some(width) = too_wide(&wider) {
            wider.shrink(table.header, width);
        }
        *self = wider;
    }

    /// With columns as wide as what stands in them.
    fn natural(header: &[&str], stacks: Vec<&'t [usize]>, rows: &[Vec<String>]) -> Self {
        let longest = |column: &usize| {
            let cells = rows.iter().filter_map(|row| row.get(*column)).map(|cell| columns(&printable(cell)));
            cells.chain(header.get(*column).map(|name| columns(name))).max().unwrap_or_default()
        };
        let width = |(at, stack): (usize, &&[usize])| {
            let cells = stack.iter().enumerate().map(|(below, cell)| longest(cell) + indent(at, below).len());
            cells.max().unwrap_or_default()
        };
        let widths = stacks.iter().enumerate().map(width).collect();
        Self { stacks, widths }
    }

    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + GAP * self.widths.len().saturating_sub(1)
    }

    /// Takes what is too much from the widest columns that may be shortened.
    fn shrink(&mut self, header: &[&str], width: usize) {
        let is_elastic = |stack: &&[usize]| {
            stack.iter().any(|column| header.get(*column).is_some_and(|name| ELASTIC_COLUMNS.contains(name)))
        };
        let elastic: Vec<bool> = self.stacks.iter().map(is_elastic).collect();
        while self.width() > width {
            let candidates = self.widths.iter_mut().zip(&elastic).filter(|(_, elastic)| **elastic);
            let widest = candidates.map(|(width, _)| width).max();
            match widest {
                Some(widest) if *widest > ELASTIC_WIDTH_MIN => *widest -= 1,
                // So narrow a terminal breaks the lines itself.
                _ => return,
            }
        }
    }

    /// Rows as lines.
    fn lines(&self, rows: &[Vec<String>]) -> Vec<String> {
        let mut cells = Cells::new();
        cells.load_style(presets::NOTHING);
        for row in rows {
            cells.add_row(self.stacks.iter().zip(&self.widths).enumerate().map(|(at, (stack, width))| {
                let texts = stack.iter().filter_map(|column| row.get(*column)).enumerate();
                let lines = texts.flat_map(|(below, text)| {
                    let indent = indent(at, below);
                    let fitted = fitted(&printable(text), Some(width.saturating_sub(indent.len())));
                    fitted.into_iter().map(move |line| format!("{indent}{line}"))
                });
                lines.collect::<Vec<_>>().join("\n")
            }));
        }
        for (column, width) in cells.column_iter_mut().zip(&self.widths) {
            column.set_padding((0, u16::try_from(GAP).unwrap_or_default()));
            let width = u16::try_from(width + GAP).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        if rows.is_empty() {
            return Vec::new();
        }
        cells.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Before a cell that stands below others: in the first column nothing else tells where a row begins.
fn indent(column: usize, below: usize) -> &'static str {
    if column == 0 && below > 0 { "  " } else { "" }
}

/// A text in lines of at most that width: broken at spaces alone, and a longer word shortened.
pub(super) fn fitted(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.filter(|width| columns(text) > *width) else { return vec![text.to_owned()] };
    let words: Vec<String> = text.split(' ').map(|word| shortened(word, width)).collect();
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// A word with `…` in the place of what is too much.
fn shortened(word: &str, width: usize) -> String {
    if columns(word) <= width {
        return word.to_owned();
    }
    let kept: String = word.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: Table<'_> = Table {
        header: &["#", "TIME", "WHO", "EVENT", "RESOURCE", "RESULT"],
        stacks: &[&[0], &[1], &[3, 2], &[5, 4]],
    };

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    fn laid_out(table: Table<'_>, rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
        let layout = Layout::of(table, rows, width);
        [layout.lines(&[row(table.header)]), layout.lines(rows)].concat()
    }

    #[test]
    fn what_fits_stands_on_one_line() {
        let rows = [row(&["7", "12:00", "user/bob", "Decrypt", "alias/models", "ok"])];
        let expected = [
            "#  TIME   WHO       EVENT    RESOURCE      RESULT",
            "7  12:00  user/bob  Decrypt  alias/models  ok",
        ];
        assert_eq!(laid_out(EVENTS, &rows, Some(80)), expected);
        assert_eq!(laid_out(EVENTS, &rows, None), expected);
    }

    #[test]
    fn what_does_not_fit_is_stacked_and_long_words_are_shortened() {
        let certificate = "certificate-authority/1234abcd-12ab-34cd-56ef-1234567890ab";
        let (time, event) = ("2026-11-26T10:29:00Z", "AssumeRoleWithWebIdentity");
        let rows = [
            row(&["1041", time, "user/research/bob", event, certificate, "AccessDenied"]),
            row(&["1042", time, "user/admin", "PutObject", "models/a models/b", "ok"]),
        ];
        assert_eq!(
            laid_out(EVENTS, &rows, Some(80)),
            [
                "#     TIME                  EVENT                      RESULT",
                "                            WHO                        RESOURCE",
                "1041  2026-11-26T10:29:00Z  AssumeRoleWithWebIdentity  AccessDenied",
                "                            user/research/bob          certificate-authority/12…",
                "1042  2026-11-26T10:29:00Z  PutObject                  ok",
                "                            user/admin                 models/a models/b",
            ]
        );
        // Without a terminal nothing is left out.
        assert!(laid_out(EVENTS, &rows, None)[1].contains(certificate));
    }

    #[test]
    fn what_stands_below_in_the_first_column_is_indented() {
        let keys = Table::new(&["ALIAS", "KEY ID", "STATE"]).stacked(&[&[0, 1], &[2]]);
        let rows = [row(&["alias/research", "1234abcd-12ab-34cd-56ef-1234567890ab", "Enabled"])];
        assert_eq!(
            laid_out(keys, &rows, Some(60)),
            [
                "ALIAS                                   STATE",
                "  KEY ID",
                "alias/research                          Enabled",
                "  1234abcd-12ab-34cd-56ef-1234567890ab",
            ]
        );
    }

    #[test]
    fn a_table_without_stacks_wraps_at_spaces() {
        let rows = [row(&["alias/research/models alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab"])];
        assert_eq!(
            laid_out(Table::new(&["ALIAS", "KEY ID"]), &rows, Some(59)),
            [
                "ALIAS                  KEY ID",
                "alias/research/models  1234abcd-12ab-34cd-56ef-1234567890ab",
                "alias/mine",
            ]
        );
    }

    #[test]
    fn more_rows_stand_in_the_columns_of_those_before() {
        let layout = Layout::of(EVENTS, &[row(&["1", "12:00", "user/bob", "Encrypt", "", "ok"])], Some(80));
        let more = layout.lines(&[row(&["2", "12:01", "root", "Sign", "alias/a", "ok"])]);
        assert_eq!(more, ["2  12:01  root      Sign     alias/a   ok"]);
    }

    #[test]
    fn more_rows_that_are_wider_get_the_room_that_there_is() {
        let mut layout = Layout::of(EVENTS, &[row(&["1", "12:00", "root", "Sign", "", "ok"])], Some(60));
        let wider = [row(&["12", "12:01", "root", "GetKeyRotationStatus", "alias/models", "ok"])];
        layout.make_room(EVENTS, &wider, Some(60));
        assert_eq!(layout.lines(&wider), ["12  12:01  root  GetKeyRotationStatus  alias/models  ok"]);
        let widest = [row(&[
            "13",
            "12:01",
            "user/research/bob",
            "GetKeyRotationStatus",
            "alias/models",
            "AccessDenied",
        ])];
        layout.make_room(EVENTS, &widest, Some(60));
        assert_eq!(
            layout.lines(&widest),
            [
                "13  12:01  GetKeyRotationStatus  AccessDenied",
                "           user/research/bob     alias/models"
            ]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_broken(cells in proptest::collection::vec("[a-z/]{1,60}( [a-z]{1,30})?", 6)) {
            let rows = [cells.clone()];
            let layout = Layout::of(Table { stacks: &[&[0, 1], &[3, 2], &[5, 4]], header: &["NAME", "WHO", "WHO", "KEY", "WHO", "PATH"] }, &rows, Some(80));
            for line in layout.lines(&rows) {
                prop_assert!(columns(&line) <= 80, "{line}");
                for word in line.split_whitespace() {
                    let (start, whole) = (word.trim_end_matches('…'), !word.ends_with('…'));
                    let known = cells.iter().flat_map(|cell| cell.split(' '));
                    prop_assert!(known.into_iter().any(|one| if whole { one == word } else { one.starts_with(start) }), "{word}");
                }
            }
        }
    }
}
