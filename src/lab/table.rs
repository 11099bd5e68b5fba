//! Tables that fit a terminal of 80 columns, as plain text.

/// Lays out a table: a column for each width, cells wrapped at spaces, a rule below the heading.
pub(super) fn table(widths: &[usize], heading: &[String], rows: &[Vec<String>]) -> String {
    let mut text = line(widths, heading);
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    text.push_str(&line(widths, &rule));
    for row in rows {
        text.push_str(&line(widths, row));
    }
    text
}

fn line(widths: &[usize], cells: &[String]) -> String {
    let wrapped: Vec<Vec<String>> =
        widths.iter().zip(cells).map(|(width, cell)| wrap(cell, *width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for row in 0..height {
        let cells = widths.iter().zip(&wrapped).map(|(width, lines)| {
            let cell = lines.get(row).map_or("", String::as_str);
            format!("{cell:<width$}")
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Breaks text at spaces so that no line is longer than `width`, but for a word that is.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let space = usize::from(!line.is_empty());
        if line.chars().count() + space + word.chars().count() <= width || line.is_empty() {
            line.push_str(if space == 1 { " " } else { "" });
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}

/// 2560 as `2,560`.
pub(super) fn grouped(number: u64) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn cells_wrap_and_columns_stay_in_line() {
        let cells = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let text = table(&[3, 6], &cells(&["a", "b"]), &[cells(&["x", "one two"]), cells(&["y", ""])]);
        assert_eq!(text, "a    b\n───  ──────\nx    one\n     two\ny\n");
    }
}
