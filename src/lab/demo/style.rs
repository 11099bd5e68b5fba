//! The colours of the demos, and how wide they are: each is read without colour too.

use anstyle::{AnsiColor, Style};

pub(in crate::lab) const TITLE: Style = Style::new().bold();
pub(in crate::lab) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(in crate::lab) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(in crate::lab) const REFUSAL: Style = AnsiColor::Yellow.on_default();

/// The width of a line without its indent.
pub(in crate::lab) const TEXT_WIDTH: usize = 75;
/// What stands before a line.
pub(in crate::lab) const INDENT: &str = "    ";
