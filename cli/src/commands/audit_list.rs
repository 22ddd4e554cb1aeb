//! `openshell audit list`, and how records are chosen and shown in one line.
//!
//! Invariant: a moment that cannot be read is a usage error, never a filter that
//! lets everything through; what a record quotes is escaped. Whether the chain is
//! whole is left to `audit verify`.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use openshell_host::approvals::escape_line;
use openshell_host::journal::{Entry, Filter, Journal, Record};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Which records.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only this server
    #[arg(long, add = super::completions::server_ids())]
    server: Option<String>,
    /// Only this tool
    #[arg(long)]
    tool: Option<String>,
    /// Only this client session
    #[arg(long)]
    session: Option<String>,
    /// Only the actions of this call on several servers
    #[arg(long, value_name = "ID")]
    fanout: Option<String>,
    /// Only actions with this outcome: ok, error, unknown, a code such as EXEC_TIMEOUT, or what was found out later, such as not-written
    #[arg(long)]
    outcome: Option<String>,
    /// Not before this: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before this, in the same forms
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
}

impl FilterArgs {
    pub(crate) fn filter(self) -> Filter {
        Filter {
            server: self.server,
            tool: self.tool,
            session: self.session,
            fanout: self.fanout,
            outcome: self.outcome,
            since: self.since,
            until: self.until,
            ..Filter::default()
        }
    }
}

/// A moment as a person writes it: RFC 3339, a date or date and time in UTC, or
/// how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    let in_utc = |moment: DateTime| {
        let zoned = moment.to_zoned(TimeZone::UTC);
        zoned.map(|zoned| zoned.timestamp()).ok()
    };
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| age(text))
        .or_else(|| text.parse::<DateTime>().ok().and_then(in_utc))
        .or_else(|| {
            text.parse::<Date>()
                .ok()
                .and_then(|day| in_utc(day.at(0, 0, 0, 0)))
        })
        .ok_or_else(|| {
            "it is neither a time such as 2026-01-31T12:00:00Z, nor a date, nor an age such as \
             30s, 15m, 2h or 7d"
                .to_owned()
        })
}

fn age(text: &str) -> Option<Timestamp> {
    let (unit, seconds) = [
        ("s", 1),
        ("m", 60),
        ("h", 3_600),
        ("d", 86_400),
        ("w", 604_800),
    ]
    .into_iter()
    .find(|(unit, _)| text.ends_with(unit))?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
    if count < 0 {
        return None;
    }
    let age = SignedDuration::from_secs(count.checked_mul(seconds)?);
    Timestamp::now().checked_sub(age).ok()
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many records, the latest ones
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

pub(crate) fn run(args: ListArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let filter = Filter {
        latest: Some(args.limit),
        ..args.filter.filter()
    };
    let dir = context.paths().audit_dir();
    let records = Journal::read(&dir, filter)?.collect::<Result<Vec<Record>, _>>()?;
    if ui.json {
        let entries: Vec<&Entry> = records.iter().map(|record| &record.entry).collect();
        ui.value(&entries);
    } else if records.is_empty() {
        let any = Filter {
            latest: Some(1),
            ..Filter::default()
        };
        ui.note(match Journal::read(&dir, any)?.next() {
            None => "The journal is empty: nothing has been done yet.",
            Some(_) => "The journal has no such record.",
        });
    } else {
        let rows = records
            .iter()
            .map(|record| {
                let entry = &record.entry;
                [
                    entry.seq.to_string(),
                    entry.ts.clone(),
                    entry.event.as_str().to_owned(),
                    entry.server.clone().unwrap_or_default(),
                    entry.tool.clone().unwrap_or_default(),
                    brief(entry),
                ]
            })
            .collect();
        ui.table(["seq", "time", "event", "server", "tool", ""], rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// A record in one line.
pub(crate) fn line(entry: &Entry) -> String {
    let name = |name: &Option<String>| escape_line(name.as_deref().unwrap_or("-"));
    format!(
        "{:>6}  {}  {:<10}  {}  {}  {}",
        entry.seq,
        escape_line(&entry.ts),
        entry.event.as_str(),
        name(&entry.server),
        name(&entry.tool),
        brief(entry)
    )
}

fn brief(entry: &Entry) -> String {
    shorten(&escape_line(&summary(entry)))
}

/// What a record says, in a few words.
fn summary(entry: &Entry) -> String {
    if let Some(outcome) = &entry.outcome {
        let code = outcome.code.as_deref().unwrap_or_default();
        let exit = outcome
            .exit_code
            .map(|code| format!(" exit {code}"))
            .unwrap_or_default();
        return format!("{} {code}{exit}", outcome.status);
    }
    if let Some(recovered) = &entry.recovered {
        return recovered.result.as_str().to_owned();
    }
    if let Some(settled) = &entry.settled {
        let note = settled.note.as_deref().unwrap_or_default();
        return format!("{} by {} {note}", settled.finding.as_str(), settled.by);
    }
    if let Some(approval) = &entry.approval {
        return format!("{} by {}", approval.answer, approval.by);
    }
    if let Some(operation) = &entry.operation {
        let path = operation.path.as_deref().unwrap_or_default();
        return format!("{} {path}", operation.kind);
    }
    if let Some(arguments) = &entry.arguments {
        for name in ["command", "path"] {
            if let Some(text) = arguments[name].as_str() {
                return text.to_owned();
            }
        }
        return arguments.to_string();
    }
    entry.text.clone().unwrap_or_default()
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31 12:30", "2026-01-31T12:30:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
        ] {
            let moment = moment(text).map(|moment| moment.to_string());
            assert_eq!(moment.as_deref(), Ok(expected), "{text}");
        }
        for (text, seconds) in [("30s", 30), ("15m", 900), ("2h", 7_200), ("7d", 604_800)] {
            let ago = moment(text).map(|moment| Timestamp::now().duration_since(moment).as_secs());
            let ago = ago.expect("an age");
            assert!((seconds..seconds + 60).contains(&ago), "{text}: {ago}");
        }
        for text in [
            "",
            "yesterday",
            "-2h",
            "2",
            "h",
            "2026-13-01",
            "99999999999999w",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
