//! Sharing the space of one result among the outputs in it.
//!
//! Invariant: what is left out is said in its place: printed text keeps its head
//! and its tail around a note, a piece of a file becomes a shorter piece that says
//! where it goes on, and a listing keeps its first entries and says that it is cut.
//! Which outcomes are equal is not decided by what was cut.

use serde_json::{Map, Value, json};

/// Members of a tool's data that are texts of any length.
const OUTPUTS: [&str; 3] = ["stdout", "stderr", "content"];
/// Members that are what was asked for, as a list.
const LISTS: [&str; 4] = ["entries", "results", "groups", "servers"];
/// Members that list what did not work on the way.
const REMARKS: [&str; 2] = ["unreadable", "errors"];

/// Gives each of these sizes its share of a budget: whoever needs less than an even
/// share leaves the rest to the others.
pub(super) fn shares(sizes: &[usize], budget: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| sizes[*at]);
    let mut left = budget;
    let mut shares = vec![0; sizes.len()];
    for (done, at) in order.into_iter().enumerate() {
        let even = left / (sizes.len() - done);
        shares[at] = sizes[at].min(even);
        left -= shares[at];
    }
    shares
}

/// Length of a value as JSON, in bytes.
pub(in crate::supervisor) fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Cuts a tool's data to about this many bytes of JSON. What is no output, such as
/// a path, stays whole.
pub(in crate::supervisor) fn cut(data: &mut Value, budget: usize) {
    if size(data) <= budget {
        return;
    }
    let Value::Object(data) = data else {
        return;
    };
    let long: Vec<&str> = OUTPUTS
        .into_iter()
        .chain(LISTS)
        .chain(REMARKS)
        .filter(|name| data.contains_key(*name))
        .collect();
    let sizes: Vec<usize> = long.iter().map(|name| size(&data[*name])).collect();
    let whole: usize = data
        .iter()
        .map(|(name, value)| name.len() + 4 + size(value))
        .sum();
    let fixed = whole - sizes.iter().sum::<usize>();
    let shares = shares(&sizes, budget.saturating_sub(fixed));
    let not_utf8: Vec<&str> = OUTPUTS
        .into_iter()
        .filter(|name| data.get(&format!("{name}NotUtf8")) == Some(&json!(true)))
        .collect();
    for ((name, size), share) in long.into_iter().zip(sizes).zip(shares) {
        if size <= share {
            continue;
        }
        match data.get_mut(name) {
            Some(Value::String(_)) if name == "content" => shorten_piece(data, share),
            Some(Value::String(text)) => {
                let (short, head) = head_and_tail(text, share);
                let head = printed_bytes(&text[..head], not_utf8.contains(&name));
                *text = short;
                // What is kept elsewhere is read on from where the head ends now.
                let rest = data.get_mut(&format!("{name}Rest"));
                if let Some(offset) = rest.and_then(|rest| rest.pointer_mut("/arguments/offset")) {
                    *offset = json!(head);
                }
            }
            Some(Value::Array(items)) => {
                keep_first(items, share);
                let kept = items.len();
                let shown = if LISTS.contains(&name) {
                    data.insert("truncated".to_owned(), json!(true));
                    "shown".to_owned()
                } else {
                    format!("{name}Shown")
                };
                data.insert(shown, json!(kept));
            }
            _ => {}
        }
    }
}

/// How many printed bytes a text stands for, at least: one that is not UTF-8 shows a
/// single one as U+FFFD. What is read on from there may repeat some; nothing is missed.
fn printed_bytes(text: &str, not_utf8: bool) -> usize {
    let replaced = text.matches('\u{fffd}').count();
    text.len() - if not_utf8 { 2 * replaced } else { 0 }
}

/// The start and the end of a text, with a note between them, and how long the
/// start is, in bytes.
fn head_and_tail(text: &str, share: usize) -> (String, usize) {
    // What JSON escapes can be within the share in bytes and still not fit.
    let mut room = share.saturating_sub(60).min(text.len());
    loop {
        let head = &text[..text.floor_char_boundary(room * 2 / 3)];
        let tail = &text[text.ceil_char_boundary(text.len() - (room / 3).min(text.len()))..];
        let left_out = text.len() - head.len() - tail.len();
        let short = format!(
            "{head}\n[... {left_out} of {} bytes left out ...]\n{tail}",
            text.len()
        );
        // Characters that JSON escapes take more room than they count for.
        if room == 0 || size(&json!(short)) <= share {
            return (short, head.len());
        }
        room /= 2;
    }
}

fn keep_first(items: &mut Vec<Value>, share: usize) {
    let mut used = 2;
    let fits = items
        .iter()
        .take_while(|item| {
            used += size(item) + 1;
            used <= share
        })
        .count();
    items.truncate(fits);
}

/// Makes the piece of a file a shorter one, as if less had been asked for.
fn shorten_piece(data: &mut Map<String, Value>, share: usize) {
    let base64 = data.get("encoding").and_then(Value::as_str) == Some("base64");
    let offset = data.get("offset").and_then(Value::as_u64).unwrap_or(0);
    let Some(Value::String(content)) = data.get_mut("content") else {
        return;
    };
    let mut room = share.saturating_sub(2).min(content.len());
    if base64 {
        // Four characters are three bytes (RFC 4648, section 4).
        room -= room % 4;
    } else {
        room = content.floor_char_boundary(room);
        while size(&json!(content[..room])) > share {
            room = content.floor_char_boundary(room / 2);
        }
    }
    content.truncate(room);
    let bytes = if base64 { room / 4 * 3 } else { room } as u64;
    data.insert("bytes".to_owned(), json!(bytes));
    data.insert("more".to_owned(), json!(true));
    data.insert("nextOffset".to_owned(), json!(offset + bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_does_not_need_is_left_to_the_others() {
        let table: [(&[usize], usize, &[usize]); 6] = [
            (&[], 100, &[]),
            (&[10, 20], 100, &[10, 20]),
            (&[100, 100], 100, &[50, 50]),
            (&[1000, 10, 1000], 100, &[45, 10, 45]),
            (&[10, 1000, 30], 100, &[10, 60, 30]),
            (&[7, 7, 7], 10, &[3, 3, 4]),
        ];
        for (sizes, budget, expected) in table {
            assert_eq!(shares(sizes, budget), expected, "{sizes:?} {budget}");
        }
    }

    #[test]
    fn printed_text_keeps_both_ends_and_says_what_is_missing() {
        let printed: String = (0..2_000).map(|line| format!("line {line}\n")).collect();
        let mut data = json!({"exitCode": 0, "stdout": printed, "stderr": "short"});
        cut(&mut data, 2_000);
        assert!(size(&data) <= 2_000, "{}", size(&data));
        let text = data["stdout"].as_str().expect("text");
        assert!(text.starts_with("line 0\n"), "{text}");
        assert!(text.ends_with("line 1999\n"), "{text}");
        assert!(text.contains(&format!(" of {} bytes left out", printed.len())));
        assert_eq!(data["stderr"], "short");
        assert_eq!(data["exitCode"], 0);
    }

    #[test]
    fn what_is_kept_elsewhere_goes_on_where_the_start_ends() {
        let rest = json!({"arguments": {"path": "out-1", "offset": 20_480}});
        let printed = "0123456789".repeat(3_000);
        let mut data = json!({"stdout": printed, "stdoutRest": rest});
        cut(&mut data, 2_000);
        let start = data["stdout"].as_str().and_then(|text| text.find("\n[..."));
        assert_eq!(data["stdoutRest"]["arguments"]["offset"], json!(start));
        assert_eq!(data["stdoutRest"]["arguments"]["path"], "out-1");
    }

    #[test]
    fn what_is_kept_of_bytes_that_are_no_text_goes_on_before_what_is_missing() {
        let bytes = [b"\xffab".as_slice(); 5_000].concat();
        let mut data = json!({
            "stdout": String::from_utf8_lossy(&bytes), "stdoutNotUtf8": true,
            "stdoutRest": {"arguments": {"path": "out-1", "offset": 20_480}},
        });
        cut(&mut data, 2_000);
        let start = data["stdout"].as_str().and_then(|text| text.find("\n[..."));
        let shown = start.expect("a start") / 5 * 3;
        let offset = data["stdoutRest"]["arguments"]["offset"].as_u64();
        assert!(
            offset.is_some_and(|offset| offset.abs_diff(shown as u64) < 3),
            "{offset:?}"
        );
    }

    #[test]
    fn text_that_json_escapes_still_fits() {
        let mut data = json!({"stdout": "\u{1}é".repeat(5_000), "stderr": ""});
        cut(&mut data, 3_000);
        assert!(size(&data) <= 3_000, "{}", size(&data));
    }

    #[test]
    fn a_piece_of_a_file_becomes_a_shorter_one() {
        let mut data = json!({
            "path": "/f", "totalSize": 9_000, "encoding": "utf-8", "offset": 100, "bytes": 6_000,
            "more": false, "content": "é".repeat(3_000),
        });
        cut(&mut data, 1_000);
        let content = data["content"].as_str().expect("text").to_owned();
        assert!(content.len() < 1_000 && content.chars().all(|c| c == 'é'));
        assert_eq!(data["bytes"], content.len());
        assert_eq!(data["nextOffset"], 100 + content.len());
        assert_eq!(data["more"], true);

        let mut data = json!({
            "path": "/f", "encoding": "base64", "offset": 0, "bytes": 3_000, "more": false,
            "content": "QUJD".repeat(1_000),
        });
        cut(&mut data, 1_000);
        let content = data["content"].as_str().expect("text").to_owned();
        assert_eq!(content.len() % 4, 0);
        assert_eq!(data["nextOffset"], content.len() / 4 * 3);
    }

    #[test]
    fn a_listing_keeps_its_first_entries() {
        let entries: Vec<Value> = (0..500)
            .map(|at| json!({"name": format!("f{at}")}))
            .collect();
        let mut data = json!({"path": "/d", "count": 500, "truncated": false, "entries": entries});
        cut(&mut data, 1_000);
        assert!(size(&data) <= 1_100);
        let kept = data["entries"].as_array().expect("an array").len();
        assert!(kept > 10 && kept < 500);
        assert_eq!(data["entries"][0]["name"], "f0");
        assert_eq!(data["shown"], kept);
        assert_eq!(data["truncated"], true);
        assert_eq!(data["count"], 500);
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut data = json!({"stdout": "x", "stderr": ""});
        let whole = data.clone();
        cut(&mut data, 1_000);
        assert_eq!(data, whole);
    }
}
