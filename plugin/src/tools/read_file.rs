//! `remote_read_file`: a piece of a file, or of a command's long output, as text or
//! as base64.
//!
//! Invariant: bytes are never mangled: a piece that is not UTF-8 is refused unless
//! base64 was asked for, and a cut never goes through a character. It does not
//! follow a file as it grows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::report::Report;
use super::{Definition, path_property, schema, servers_property, text};
use crate::bindings::openshell::host::effects::{self, Action, Content, Operation, ReadSpec};
use crate::bindings::openshell::host::outputs;

/// Bytes returned by default and at most.
const LENGTH_DEFAULT: u64 = 32 * 1024;
const LENGTH_MAX: u64 = 1024 * 1024;
/// Largest offset a JSON number carries exactly.
const OFFSET_MAX: u64 = (1 << 53) - 1;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_read_file",
        description: "Read a file or a byte range of it; says totalSize, more and nextOffset. \
                      Binary content needs encoding base64.",
        parameters: schema(
            json!({
                "server": servers_property(),
                "path": path_property(),
                "offset": {"type": "integer", "description": "First byte, default 0"},
                "length": {
                    "type": "integer", "maximum": LENGTH_MAX,
                    "description": "Bytes, default 32768",
                },
                "encoding": {"enum": ["utf-8", "base64"]},
            }),
            &["server", "path"],
        ),
        read_only: true,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let local = server == text::LOCAL;
    let path = if local {
        arguments.word("path")?
    } else {
        arguments.path("path")?
    };
    let offset = arguments.number("offset", 0, OFFSET_MAX, 0)?;
    let length = arguments.number("length", 1, LENGTH_MAX, LENGTH_DEFAULT)?;
    let encoding = arguments.choice("encoding", &["utf-8", "base64"])?;
    if local {
        let piece = outputs::read(&path, offset, length as u32)?;
        return describe_piece(&path, piece, encoding);
    }

    let action = Action::open(&server)?;
    let permit = action.permit(&Operation::Read(ReadSpec {
        path: path.clone(),
        offset,
        length: length as u32,
        sudo: false,
    }))?;
    let content = effects::read(permit)?;
    describe(&path, content, encoding)
}

/// Kept output is described like a file, but for the mode, which it has none of.
fn describe_piece(path: &str, piece: outputs::Piece, encoding: &str) -> Result<Report, Report> {
    let content = Content {
        bytes: piece.bytes,
        offset: piece.offset,
        total_size: piece.total_size,
        sha256: None,
        mode: 0,
    };
    let mut report = describe(path, content, encoding)?;
    if let Some(Value::Object(data)) = &mut report.data {
        data.remove("mode");
    }
    Ok(report)
}

fn describe(path: &str, content: Content, encoding: &str) -> Result<Report, Report> {
    let end = content.offset + content.bytes.len() as u64;
    let last = end >= content.total_size;
    let mut data = Map::new();
    data.insert("path".to_owned(), json!(path));
    data.insert("totalSize".to_owned(), json!(content.total_size));
    data.insert("mode".to_owned(), json!(text::mode(content.mode)));
    data.insert("encoding".to_owned(), json!(encoding));
    let (skipped, used, body) = if encoding == "base64" {
        (0, content.bytes.len(), STANDARD.encode(&content.bytes))
    } else {
        let Some((skipped, piece)) = text::decode_piece(&content.bytes, content.offset == 0, last)
        else {
            return Err(Report {
                data: Some(json!({
                    "path": path,
                    "totalSize": content.total_size,
                    "mode": text::mode(content.mode),
                })),
                ..Report::error(
                    "BINARY_CONTENT",
                    format!("{path} is not UTF-8 text."),
                    "Set \"encoding\" to \"base64\" to get the bytes.",
                )
            });
        };
        (skipped, piece.len(), piece.to_owned())
    };
    let start = content.offset + skipped as u64;
    let next = start + used as u64;
    data.insert("offset".to_owned(), json!(start));
    data.insert("bytes".to_owned(), json!(used));
    data.insert("more".to_owned(), json!(next < content.total_size));
    if next < content.total_size {
        data.insert("nextOffset".to_owned(), json!(next));
    }
    if let Some(sha256) = content.sha256 {
        data.insert("sha256".to_owned(), json!(sha256));
    }
    data.insert("content".to_owned(), json!(body));
    Ok(Report::data(Value::Object(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8], offset: u64, total_size: u64) -> Content {
        Content {
            bytes: bytes.to_vec(),
            offset,
            total_size,
            sha256: None,
            mode: 0o644,
        }
    }

    #[test]
    fn a_piece_says_where_it_goes_on() {
        let report = describe("/f", content("aé".split_at(1).0.as_bytes(), 0, 3), "utf-8");
        let data = report.expect("text").data.expect("data");
        assert_eq!(data["content"], "a");
        assert_eq!(data["more"], true);
        assert_eq!(data["nextOffset"], 1);
    }

    #[test]
    fn a_cut_character_belongs_to_the_next_piece() {
        // "aé" is 61 c3 a9; two bytes end inside the second character.
        let data = describe("/f", content(b"a\xc3", 0, 3), "utf-8")
            .expect("text")
            .data
            .expect("data");
        assert_eq!(data["content"], "a");
        assert_eq!(data["nextOffset"], 1);
    }

    #[test]
    fn binary_is_refused_as_text_and_exact_as_base64() {
        let report = describe("/f", content(b"\x00\xff", 0, 2), "utf-8").expect_err("binary");
        assert_eq!(report.code.as_deref(), Some("BINARY_CONTENT"));
        let data = describe("/f", content(b"\x00\xff", 0, 2), "base64")
            .expect("bytes")
            .data
            .expect("data");
        assert_eq!(data["content"], "AP8=");
        assert_eq!(data["more"], false);
    }
}
