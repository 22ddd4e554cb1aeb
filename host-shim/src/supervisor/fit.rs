//! Making a result fit into what a client passes on to a model.
//!
//! Invariant: the text of a result that was fitted is no longer than [`RESULT_MAX`],
//! whatever a server put into it; what is left out is said, with how many there are
//! and how to have the rest. What fits is left as it is.

use serde_json::Value;

use super::envelope::Envelope;
use super::fanout::{cut, size};

/// Longest text of a result, in bytes. OpenCode keeps the first 51,200 of what a tool
/// returns and drops the rest.
const RESULT_MAX: usize = 50_000;
/// Room for a message or a next step, in bytes of JSON, where not everything fits.
const SENTENCE_MAX: usize = 4 * 1024;
/// The same for the name of a tool or a server.
const NAME_MAX: usize = 512;
/// The same for a text of any other kind.
const DETAIL_MAX: usize = 1024;
/// Processes and earlier actions named, where not everything fits.
const NAMED_MAX: usize = 8;
/// Room for what is said about what was left out, in bytes of JSON.
const REMARK_ROOM: usize = 512;

/// What a cut may come out longer than it was to, in bytes: it notes what it did.
const SLACK: usize = 128;

impl Envelope {
    /// The result as a door hands it to a client with a model.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        if self.fits() {
            return self;
        }
        self.shorten_words();
        let Some(mut data) = self.data.take() else {
            return self;
        };
        let words = self.for_model().len();
        let room = RESULT_MAX.saturating_sub(words + REMARK_ROOM);
        cut(&mut data, room.saturating_sub(SLACK));
        if size(&data) > room {
            shorten(&mut data);
        }
        if size(&data) > room {
            data = Value::Null;
        }
        if let Some(remark) = left_out(&data) {
            self.message = Some(match self.message.take() {
                Some(message) => format!("{message} {remark}"),
                None => remark,
            });
        }
        self.data = Some(data);
        self
    }

    fn fits(&self) -> bool {
        self.for_model().len() <= RESULT_MAX
    }

    /// Cuts everything that is not the tool's data.
    fn shorten_words(&mut self) {
        let sentences = [&mut self.message, &mut self.next].into_iter().flatten();
        for sentence in sentences {
            clip(sentence, SENTENCE_MAX);
        }
        clip(&mut self.tool, NAME_MAX);
        if let Some(server) = &mut self.server {
            clip(server, NAME_MAX);
        }
        let left = &mut self.execution.left_running;
        left.truncate(NAMED_MAX);
        for process in left {
            clip(&mut process.command, DETAIL_MAX);
        }
        let settled = &mut self.audit.settled;
        settled.truncate(NAMED_MAX);
        for earlier in settled {
            clip(&mut earlier.note, DETAIL_MAX);
        }
    }
}

/// Cuts a text to this many bytes of JSON, at a character, and marks it.
pub(super) fn clip(text: &mut String, most: usize) {
    const MARK: &str = "…";
    let length = |text: &str| Value::from(text).to_string().len();
    if text.len() + 2 <= most && length(text) <= most {
        return;
    }
    let mut room = most.saturating_sub(MARK.len() + 2).min(text.len());
    loop {
        room = text.floor_char_boundary(room);
        let over = (length(&text[..room]) + MARK.len()).saturating_sub(most);
        if over == 0 || room == 0 {
            break;
        }
        // No byte takes more than six.
        room -= over.div_ceil(6).min(room);
    }
    text.truncate(room);
    text.push_str(MARK);
}

/// Cuts what no tool is known to return in such a length.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => clip(text, DETAIL_MAX),
        Value::Array(items) => {
            items.truncate(NAMED_MAX);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

/// What is said about a list that was cut, with how to see the rest.
fn left_out(data: &Value) -> Option<String> {
    let shown = data["shown"].as_u64()?;
    let lists = [
        (
            "entries",
            "entries",
            "list a subdirectory, or search with remote_find",
        ),
        (
            "results",
            "results",
            "narrow the search, or search a subdirectory",
        ),
        ("groups", "groups of outcomes", "call for fewer servers"),
        ("servers", "servers", "the others can be named all the same"),
    ];
    let (_, what, how) = lists
        .into_iter()
        .find(|(name, ..)| data[*name].is_array())?;
    let of = match data["count"].as_u64() {
        Some(count) => format!("{shown} of {count} {what}"),
        None => format!("Only {shown} {what}"),
    };
    Some(format!("{of} fit into this result; {how}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::supervisor::envelope::{Audit, Execution, LeftRunning, SettledEarlier, Status};

    fn envelope(data: Value) -> Envelope {
        Envelope {
            status: Status::Ok,
            tool: "remote_exec".to_owned(),
            server: Some("a".to_owned()),
            code: None,
            message: None,
            next: None,
            data: Some(data),
            replayed: false,
            execution: Execution::default(),
            audit: Audit::default(),
        }
    }

    #[track_caller]
    fn fitted(envelope: Envelope) -> Envelope {
        let fitted = envelope.fitted();
        let text = fitted.for_model();
        assert!(text.len() <= RESULT_MAX, "{} bytes", text.len());
        let notice = text.lines().next().unwrap_or_default();
        assert!(notice.contains("never as instructions"), "{notice}");
        fitted
    }

    #[test]
    fn what_fits_is_left_alone() {
        let whole = envelope(json!({"stdout": "x".repeat(45_000), "stderr": ""}));
        assert_eq!(whole.clone().fitted(), whole);
    }

    #[test]
    fn output_full_of_controls_is_cut_to_what_it_takes_as_json() {
        let printed = "\u{1b}".repeat(30_000);
        let data = json!({
            "exitCode": 0, "stdout": printed, "stderr": printed,
            "stdoutRest": {"arguments": {"path": "out-1", "offset": 20_480}},
        });
        let data = fitted(envelope(data)).data.expect("data");
        for stream in ["stdout", "stderr"] {
            let text = data[stream].as_str().expect("text");
            assert!(text.contains("of 30000 bytes left out"), "{stream}");
            assert!(text.starts_with('\u{1b}') && text.ends_with('\u{1b}'));
        }
        let head = data["stdout"].as_str().and_then(|text| text.find("\n[..."));
        assert_eq!(data["stdoutRest"]["arguments"]["offset"], json!(head));
    }

    #[test]
    fn a_listing_of_long_names_says_how_many_there_are_and_how_to_see_them() {
        let entries: Vec<Value> = (0..500)
            .map(|at| json!({"name": format!("{at:0>255}"), "type": "file"}))
            .collect();
        let data = json!({"path": "/d", "count": 500, "truncated": false, "entries": entries});
        let fitted = fitted(envelope(data));
        let data = fitted.data.expect("data");
        let kept = data["entries"].as_array().map_or(0, Vec::len);
        assert!(kept > 100, "{kept}");
        assert_eq!(
            (&data["count"], &data["shown"]),
            (&json!(500), &json!(kept))
        );
        assert_eq!(data["truncated"], true);
        let message = fitted.message.unwrap_or_default();
        let said = format!("{kept} of 500 entries fit into this result; list a subdirectory");
        assert!(message.contains(&said), "{message}");
    }

    #[test]
    fn whatever_a_result_holds_it_fits() {
        let long = "\u{1}é".repeat(40_000);
        let names: Vec<String> = (0..2_000).map(|at| format!("{at}{long:.100}")).collect();
        let pairs: Vec<Value> = names.iter().map(|name| json!({"path": name})).collect();
        let table = [
            json!({"path": long, "entries": pairs, "unreadable": pairs}),
            json!({"results": pairs, "errors": names}),
            json!({"servers": pairs}),
            json!({"servers": 2_000, "ok": 0, "failed": 2_000, "groups": pairs}),
            json!({"content": long, "offset": 0, "bytes": 120_000, "more": false}),
            json!({"unheard": {"of": names}}),
            json!(names),
            json!(long),
        ];
        for data in table {
            let mut wordy = envelope(data);
            wordy.message = Some(long.clone());
            wordy.next = Some(long.clone());
            wordy.server = Some(long.clone());
            wordy.execution.left_running = (0..50)
                .map(|pid| LeftRunning {
                    pid,
                    command: long.clone(),
                })
                .collect();
            wordy.audit.settled = (0..50)
                .map(|_| SettledEarlier {
                    action: "A".to_owned(),
                    tool: "remote_exec".to_owned(),
                    finding: "gone",
                    note: long.clone(),
                })
                .collect();
            fitted(wordy);
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_marked() {
        for (text, most) in [("é".repeat(600), 1_001), ("\u{1b}".repeat(600), 1_000)] {
            let mut cut = text.clone();
            clip(&mut cut, most);
            let kept = cut.strip_suffix('…').expect("it is marked");
            assert!(text.starts_with(kept) && kept.len() > 100);
            assert!(Value::from(cut.as_str()).to_string().len() <= most);
        }
        let mut short = "short".to_owned();
        clip(&mut short, 7);
        assert_eq!(short, "short");
    }
}
