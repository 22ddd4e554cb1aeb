//! Output: data on stdout, everything else on stderr, colour only as decoration.
//!
//! Invariant: text that came from a server or a file is escaped before it reaches a
//! terminal; meaning never depends on colour. It does not decide what is said.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use openshell_host::approvals::{escape_json, escape_text};
use serde::Serialize;
use serde_json::json;

use crate::error::{CliError, Kind};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// How a verb speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    /// Whether stdout gets JSON.
    pub(crate) json: bool,
}

impl Ui {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Writes a line of data.
    pub(crate) fn line(self, text: &str) {
        // A closed pipe (`| head`) is how a reader says it has enough.
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Writes one JSON value: compact for programs, indented for a person.
    pub(crate) fn value(self, value: &impl Serialize) {
        let text = if self.json || !std::io::stdout().is_terminal() {
            serde_json::to_string(value)
        } else {
            serde_json::to_string_pretty(value)
        };
        match text {
            Ok(text) => self.line(&escape_json(&text)),
            Err(error) => self.warn(&error.to_string()),
        }
    }

    /// Writes a table with a header; cells are escaped.
    pub(crate) fn table<const N: usize>(self, header: [&str; N], rows: Vec<[String; N]>) {
        let mut builder = tabled::builder::Builder::new();
        builder.push_record(header);
        for row in rows {
            builder.push_record(row.map(|cell| escape_text(&cell)));
        }
        let mut table = builder.build();
        table.with(tabled::settings::Style::blank());
        self.line(&table.to_string());
    }

    /// Says something beside the data.
    pub(crate) fn note(self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    pub(crate) fn warn(self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning:{YELLOW:#} {text}");
    }

    /// Says why a verb ended early, and gives its exit code.
    pub(crate) fn fail(self, error: &CliError) -> ExitCode {
        if self.json {
            self.value(&json!({
                "status": "error",
                "code": error.code,
                "message": error.message,
                "next": error.next,
            }));
        }
        let heading = match error.kind {
            Kind::Failed => "error",
            Kind::Usage => "usage error",
            Kind::Denied => "denied",
            Kind::Unknown => "outcome unknown",
            Kind::Internal => "internal error",
        };
        let code = error
            .code
            .as_ref()
            .map(|code| format!(" [{code}]"))
            .unwrap_or_default();
        let message = escape_text(&error.message);
        self.note(&format!("{RED}{heading}{RED:#}{code}: {message}"));
        if let Some(next) = &error.next {
            self.note(&format!("{CYAN}next:{CYAN:#} {}", escape_text(next)));
        }
        ExitCode::from(error.kind.exit_code())
    }
}

/// A diff with its lines coloured; it must be escaped already.
pub(crate) fn colour_diff(diff: &str) -> String {
    diff.lines()
        .map(|line| {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => Style::new(),
            };
            format!("{style}{line}{style:#}\n")
        })
        .collect()
}
