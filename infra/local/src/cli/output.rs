//! Everything that the command writes to a terminal. What came from elsewhere (payloads, answers, problem details) is
//! hostile text and passes through `escaped`; a closed pipe ends a command quietly.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use serde_json::Value;

use super::error::CliError;

const COLUMN_GAP: &str = "  ";
/// Longest cell of a table, in characters; the rest is cut, `--json` shows it.
const MAX_CELL_CHARS: usize = 120;

/// Where a command's answer goes: text for people or JSON for scripts, never both.
pub(super) struct Output {
    sink: Box<dyn Write + Send>,
    json: bool,
}

impl Output {
    pub(super) fn to_stdout(json: bool) -> Self {
        Self {
            sink: Box::new(io::stdout()),
            json,
        }
    }

    #[cfg(test)]
    pub(super) fn to(sink: Box<dyn Write + Send>, json: bool) -> Self {
        Self { sink, json }
    }

    /// True if a script reads us: one JSON document, nothing else.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes lines for a person. Control characters other than the line breaks are escaped.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.sink.write_all(format!("{}\n", escaped_lines(text)).as_bytes());
        written.and_then(|()| self.sink.flush()).map_err(closed)
    }

    /// Writes an indented JSON document.
    pub(super) fn document(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|e| CliError::Output(e.into()))?;
        self.text(&text)
    }

    /// Writes a JSON document on a line of its own.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|e| CliError::Output(e.into()))?;
        self.text(&text)
    }

    /// Writes a table with a heading, or `empty` if it has no rows.
    pub(super) fn table(&mut self, heading: &[&str], rows: &[Vec<String>], empty: &str) -> Result<(), CliError> {
        if rows.is_empty() {
            self.text(empty)
        } else {
            self.text(&table(heading, rows))
        }
    }

    /// Writes an object as `name  value` lines: `first` in that order, then whatever else it has.
    pub(super) fn fields(&mut self, object: &Value, first: &[&str]) -> Result<(), CliError> {
        let others = object.as_object().into_iter().flat_map(|members| members.keys());
        let names = first
            .iter()
            .copied()
            .chain(others.map(String::as_str).filter(|name| !first.contains(name)));
        let shown: Vec<(&str, String)> = names
            .filter_map(|name| Some((name, cell(object.get(name)?))))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, text) in shown {
            self.text(&format!(
                "{}{COLUMN_GAP}{}",
                padded(&escaped(name), width),
                escaped(&text)
            ))?;
        }
        Ok(())
    }
}

fn closed(error: io::Error) -> CliError {
    if error.kind() == ErrorKind::BrokenPipe {
        CliError::OutputClosed
    } else {
        CliError::Output(error)
    }
}

/// Tells the person at the terminal something, on stderr. If even that is gone, nobody is there to be told.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escaped_lines(text));
}

/// A JSON value as it stands in a table: text as it is, nothing for null, JSON for the rest.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// The cell for one member of an object, empty if it has none.
pub(super) fn member(object: &Value, name: &str) -> String {
    object.get(name).map(cell).unwrap_or_default()
}

fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

fn shortened(text: &str) -> String {
    let text = escaped(text);
    if text.chars().count() <= MAX_CELL_CHARS {
        return text;
    }
    let kept: String = text.chars().take(MAX_CELL_CHARS - 1).collect();
    format!("{kept}…")
}

fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|text| shortened(text)).collect())
        .collect();
    let width_of = |column: usize| {
        let cells = std::iter::once(&heading).chain(&rows).filter_map(|row| row.get(column));
        cells.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width_of).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(text, width)| padded(text, *width))
            .collect();
        cells.join(COLUMN_GAP).trim_end().to_owned()
    };
    std::iter::once(&heading)
        .chain(&rows)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// True for what can make a terminal do or show something else than the text: control characters (C0, DEL, C1), line
/// and paragraph separators, and the embeddings, overrides and isolates of bidirectional text. The plain direction
/// marks stay: Arabic text has them.
fn is_treacherous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writes the characters in question as JSON does, so that an escaped JSON document is the same document.
fn escape_where(text: &str, is_in_question: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_in_question(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// One line of text, safe to show: treacherous characters as `\u001b`.
pub(super) fn escaped(text: &str) -> String {
    escape_where(text, is_treacherous)
}

/// As [`escaped`], but line breaks stay.
pub(super) fn escaped_lines(text: &str) -> String {
    escape_where(text, |c| c != '\n' && is_treacherous(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_passes() {
        let hostile = "a\u{1b}[2Jb\u{9b}31mc\u{7f}d\u{202e}e\re\u{2067}\u{feff}\u{7}";
        let shown = escaped(hostile);
        assert_eq!(
            shown,
            "a\\u001b[2Jb\\u009b31mc\\u007fd\\u202ee\\u000de\\u2067\\ufeff\\u0007"
        );
        for c in (0..=0x9f)
            .chain(0x2028..=0x202e)
            .chain(0x2066..=0x2069)
            .filter_map(char::from_u32)
        {
            let passes = matches!(c, ' '..='~');
            assert_eq!(escaped(&c.to_string()).contains(c), passes, "{c:?}");
        }
        assert_eq!(escaped("line\nbreak"), "line\\u000abreak");
        assert_eq!(escaped_lines("line\nbreak"), "line\nbreak");
    }

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        for text in ["صيدلية النور", "qo‘ng‘iroq", "✓ 電話 🙂", "\u{200f}م"] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn an_escaped_document_is_the_same_document() {
        let value = serde_json::json!({ "a": "\u{9b}\u{202e}\u{1b}\n" });
        let shown = escaped_lines(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{1b}']));
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_table_lines_its_columns_up_and_cuts_long_cells() {
        let rows = vec![
            vec!["1".to_owned(), "x".repeat(500)],
            vec!["صيدلية".to_owned(), "b\nc".to_owned()],
        ];
        let shown = table(&["n", "what"], &rows);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "N       WHAT");
        assert_eq!(lines[1].chars().count(), 8 + MAX_CELL_CHARS);
        assert_eq!(lines[2], "صيدلية  b\\u000ac");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = Output::to(Box::new(ClosedPipe), false).text("gone").unwrap_err();
        assert!(matches!(error, CliError::OutputClosed));
        assert_eq!(error.exit_number(), 0);
    }
}
