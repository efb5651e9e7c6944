//! Tables: aligned columns, colours by cell, and no borders, so that `awk` reads them as people do.

use anstyle::{AnsiColor, Style};

use super::text::{cut, cut_start, escape, width};

/// Columns that one cell may take before it is cut; a Kubernetes name has at most 63 characters in most places.
pub(crate) const CELL_MAX: usize = 64;
/// Columns that a long cell may take before it is cut: several lines of a terminal.
const LONG_MAX: usize = 400;
/// Stands for a value that is not there.
pub(crate) const NONE: &str = "-";
/// Spaces between two columns.
const GAP: usize = 2;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// What a cell's colour says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Of less interest.
    Dim,
    /// Headings and totals.
    Strong,
}

/// One cell: harmless text and its tone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

// === impl Tone ===

impl Tone {
    /// The tone as a terminal style.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Dim => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }

    /// Text in this tone, whose own characters must already be harmless.
    pub(crate) fn paint(self, text: &str) -> String {
        if self == Self::Plain {
            return text.to_owned();
        }
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

// === impl Cell ===

impl Cell {
    /// A cell with text from anywhere: it is escaped and cut; nothing becomes [`NONE`].
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let text = if text.is_empty() { NONE.to_owned() } else { cut(&escape(text), CELL_MAX) };
        Self { text, tone: Tone::Plain }
    }

    /// A cell with nothing at all, as in a line of totals.
    pub(crate) fn blank() -> Self {
        Self { text: String::new(), tone: Tone::Plain }
    }

    /// A cell with text that is cut late: messages in a last column.
    pub(crate) fn long(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let text = if text.is_empty() { NONE.to_owned() } else { cut(&escape(text), LONG_MAX) };
        Self { text, tone: Tone::Plain }
    }

    /// A cell with a name whose end tells it apart, such as a method with its package: its start is cut.
    pub(crate) fn tail(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let text = if text.is_empty() { NONE.to_owned() } else { cut_start(&escape(text), CELL_MAX) };
        Self { text, tone: Tone::Plain }
    }

    /// A cell with a value, or [`NONE`].
    pub(crate) fn of(value: Option<impl ToString>) -> Self {
        Self::new(value.map(|v| v.to_string()).unwrap_or_default())
    }

    /// The same cell in another tone.
    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

// === impl Table ===

impl Table {
    /// A table without rows. Titles may come from elsewhere; they are escaped and cut.
    pub(crate) fn new<T: AsRef<str>>(columns: &[(T, Align)]) -> Self {
        let columns = columns.iter().map(|(title, align)| (cut(&escape(title.as_ref()), CELL_MAX), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; it must have a cell per column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has one cell per column");
        self.rows.push(cells);
    }

    /// The table as lines, each ended by a line break. Colours are in it; the stream strips them where they are not wanted.
    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, (title, _))| {
                self.rows.iter().map(|row| width(&row[i].text)).chain([width(title)]).max().unwrap_or_default()
            })
            .collect();
        let mut out = String::new();
        let titles: Vec<Cell> =
            self.columns.iter().map(|(title, _)| Cell { text: title.clone(), tone: Tone::Strong }).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            self.render_row(row, &widths, &mut out);
        }
        out
    }

    fn render_row(&self, row: &[Cell], widths: &[usize], out: &mut String) {
        for (i, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[i] - width(&cell.text));
            let text = cell.tone.paint(&cell.text);
            match self.columns[i].1 {
                Align::Right => out.extend([pad.as_str(), &text]),
                // The last column needs no padding, so that lines do not end in blanks.
                Align::Left if i + 1 == row.len() => out.push_str(&text),
                Align::Left => out.extend([text.as_str(), &pad]),
            }
            if i + 1 < row.len() {
                out.push_str(&" ".repeat(GAP));
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_terminal_width_and_lines_do_not_end_in_blanks() {
        let mut table = Table::new(&[("NAME", Align::Left), ("COUNT", Align::Right), ("NOTE", Align::Left)]);
        table.row(vec![Cell::new("日本語"), Cell::new("7"), Cell::new("x")]);
        table.row(vec![Cell::new("a"), Cell::new("1234567"), Cell::new("")]);
        assert_eq!(
            anstream::adapter::strip_str(&table.render()).to_string(),
            "NAME      COUNT  NOTE\n\
             日本語        7  x\n\
             a       1234567  -\n"
        );
    }

    #[test]
    fn hostile_names_stay_in_their_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("X", Align::Left)]);
        table.row(vec![Cell::new("a\n\u{1b}[2Jb"), Cell::new("y")]);
        assert_eq!(anstream::adapter::strip_str(&table.render()).to_string(), "NAME         X\na\\n\\x1b[2Jb  y\n");
    }

    #[test]
    fn very_long_names_are_cut() {
        let mut table = Table::new(&[("NAME", Align::Left)]);
        table.row(vec![Cell::new("x".repeat(100_000))]);
        assert_eq!(anstream::adapter::strip_str(&table.render()).to_string(), format!("NAME\n{}…\n", "x".repeat(63)));
    }

    #[test]
    fn tones_do_not_move_columns() {
        let mut table = Table::new(&[("S", Align::Left), ("N", Align::Right)]);
        table.row(vec![Cell::new("failed").tone(Tone::Bad), Cell::new("1").tone(Tone::Warn)]);
        assert_eq!(
            table.render(),
            "\u{1b}[1mS\u{1b}[0m       \u{1b}[1mN\u{1b}[0m\n\u{1b}[31mfailed\u{1b}[0m  \u{1b}[33m1\u{1b}[0m\n"
        );
    }
}
