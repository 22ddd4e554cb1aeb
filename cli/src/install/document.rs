//! A configuration file of OpenCode as text: what it registers, and how an entry
//! of ours gets in and out.
//!
//! Invariant: an edit changes nothing but the entry, which is checked by reading
//! the result again before it is handed out. What cannot be read is never edited.
//! It deliberately touches no file.

use std::ops::Range;

use jsonc_parser::ast::{self, ObjectProp};
use jsonc_parser::common::Ranged;
use jsonc_parser::tokens::TokenAndRange;
use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast, parse_to_serde_value,
};
use serde_json::{Value, json};

use super::list::{List, Splice, apply, newline};

/// The schema OpenCode itself writes into configuration files.
const SCHEMA: &str = "https://opencode.ai/config.json";
/// What some editors put before UTF-8 text.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// The name under which the tools are registered as an MCP server.
const MCP_NAME: &str = "openshell";

/// What an entry is to OpenCode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Section {
    /// An element of the array `plugin`.
    Plugin,
    /// A member of the object `mcp`.
    Mcp,
}

impl Section {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Mcp => "mcp",
        }
    }
}

/// One entry of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) section: Section,
    /// What tells it from other entries: the plugin's specifier, or the MCP
    /// server's name.
    pub(crate) name: String,
    /// Its JSON, on one line.
    rendered: String,
}

impl Entry {
    /// A plugin, with the program it is to start when that is given.
    pub(crate) fn plugin(spec: &str, command: Option<&str>) -> Self {
        let rendered = match command {
            Some(command) => format!("[{}, {{ \"command\": {} }}]", json!(spec), json!(command)),
            None => json!(spec).to_string(),
        };
        Self {
            section: Section::Plugin,
            name: spec.to_owned(),
            rendered,
        }
    }

    /// The program as an MCP server on stdio.
    pub(crate) fn mcp(program: &str) -> Self {
        Self {
            section: Section::Mcp,
            name: MCP_NAME.to_owned(),
            rendered: format!(
                "{{ \"type\": \"local\", \"command\": [{}, \"mcp\"] }}",
                json!(program)
            ),
        }
    }

    /// Its JSON as a value.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.rendered).expect("it was written as JSON")
    }

    /// As it stands in a section: an element, or a member with its name.
    fn item(&self) -> String {
        match self.section {
            Section::Plugin => self.rendered.clone(),
            Section::Mcp => format!("{}: {}", json!(self.name), self.rendered),
        }
    }
}

/// Why a text was not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    /// Not the JSON with comments that OpenCode reads.
    #[error("line {line}, column {column}: {reason}")]
    Unparsable {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The parser's words.
        reason: String,
    },
    /// A value of the wrong kind.
    #[error("{what} is not {expected}")]
    WrongKind {
        /// The value's key, or the whole.
        what: &'static str,
        /// What OpenCode wants there.
        expected: &'static str,
    },
    /// A key stands twice, so that it is open which one counts.
    #[error("it has {0:?} twice")]
    Twice(&'static str),
    /// An MCP server of our name that is somebody else's.
    #[error("it has another MCP server named {MCP_NAME:?}")]
    Taken,
    /// The result would not have been what was meant.
    #[error("the edit would have changed more than the entry")]
    Astray,
}

/// A text with an entry put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) text: String,
    /// Whether the section had to be made.
    pub(crate) made_section: bool,
}

/// The text of a new file with one entry.
pub(crate) fn fresh(entry: &Entry) -> String {
    let (open, close) = match entry.section {
        Section::Plugin => ('[', ']'),
        Section::Mcp => ('{', '}'),
    };
    format!(
        "{{\n  \"$schema\": {},\n  {}: {open}{}{close}\n}}\n",
        json!(SCHEMA),
        json!(entry.section.key()),
        entry.item()
    )
}

/// Whether nothing is in a text but what a new file of ours has besides its entry.
pub(crate) fn is_bare(text: &str) -> bool {
    value(text).is_ok_and(|value| value == json!({"$schema": SCHEMA}))
}

/// A text as one JSON value; null for an empty one.
pub(crate) fn value(text: &str) -> Result<Value, EditError> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    parse_to_serde_value(text, &dialect()).map_err(|error| unparsable(&error))
}

/// The plugins a configuration names: specifier and options, null for none.
pub(crate) fn plugins(config: &Value) -> Vec<(String, Value)> {
    let entries = config["plugin"].as_array().into_iter().flatten();
    entries
        .filter_map(|entry| match entry {
            Value::String(spec) => Some((spec.clone(), Value::Null)),
            other => Some((other[0].as_str()?.to_owned(), other[1].clone())),
        })
        .collect()
}

/// Puts an entry in, or in the place of the one named `old`.
pub(crate) fn put(text: &str, entry: &Entry, old: Option<&str>) -> Result<Put, EditError> {
    edit(text, |parsed| {
        let section = parsed.section(entry.section)?;
        let Some(section) = section else {
            let content = match entry.section {
                Section::Plugin => format!("[{}]", entry.item()),
                Section::Mcp => format!("{{ {} }}", entry.item()),
            };
            let member = format!("{}: {content}", json!(entry.section.key()));
            let Some(root) = &parsed.root else {
                // Nothing but blanks and comments.
                let end = parsed.text.trim_end().len();
                let break_ = newline(parsed.text);
                let lead = if end == 0 { "" } else { break_ };
                let object = format!("{lead}{{{break_}  {member}{break_}}}");
                return Ok((vec![Splice::new(end..end, object)], true));
            };
            return Ok((root.append(&member), true));
        };
        let find = |name: &str| section.names.iter().position(|known| known == name);
        let there = old.and_then(find).or_else(|| find(&entry.name));
        let splices = match there {
            Some(index) if section.values[index].1 == entry.value() => Vec::new(),
            Some(_) if entry.section == Section::Mcp && old.is_none() => {
                return Err(EditError::Taken);
            }
            Some(index) => {
                vec![Splice::new(
                    section.values[index].0.clone(),
                    entry.rendered.as_str(),
                )]
            }
            None => section.list.append(&entry.item()),
        };
        Ok((splices, false))
    })
    .and_then(|(new, made_section)| {
        // What is there now must be what was there, and the entry.
        let expected = with(value(text)?, entry, old);
        if value(&new)? != expected {
            return Err(EditError::Astray);
        }
        Ok(Put {
            text: new,
            made_section,
        })
    })
}

/// Takes the entry of a name out, and its section too when it was made for it and
/// holds nothing else. `None` when there is no such entry.
pub(crate) fn take(
    text: &str,
    section: Section,
    name: &str,
    made_section: bool,
) -> Result<Option<String>, EditError> {
    let mut found = false;
    let (new, _) = edit(text, |parsed| {
        let Some(there) = parsed.section(section)? else {
            return Ok((Vec::new(), false));
        };
        let Some(index) = there.names.iter().position(|known| known == name) else {
            return Ok((Vec::new(), false));
        };
        found = true;
        let splices = match &parsed.root {
            Some(root) if made_section && there.names.len() == 1 => root.remove(there.index),
            _ => there.list.remove(index),
        };
        Ok((splices, false))
    })?;
    if !found {
        return Ok(None);
    }
    let expected = without(value(text)?, section, name, made_section);
    if value(&new)? != expected {
        return Err(EditError::Astray);
    }
    Ok(Some(new))
}

/// A section as it stands in the text.
struct Found<'a> {
    /// Which member of the document it is.
    index: usize,
    list: List<'a>,
    names: Vec<String>,
    /// Where each value is, and what.
    values: Vec<(Range<usize>, Value)>,
}

struct Parsed<'a> {
    text: &'a str,
    tokens: &'a [TokenAndRange<'a>],
    members: &'a [ObjectProp<'a>],
    /// None when the text holds no value.
    root: Option<List<'a>>,
}

impl<'a> Parsed<'a> {
    fn section(&self, section: Section) -> Result<Option<Found<'a>>, EditError> {
        let key = section.key();
        let mut places = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.name.as_str() == key);
        let Some((index, member)) = places.next() else {
            return Ok(None);
        };
        if places.next().is_some() {
            return Err(EditError::Twice(key));
        }
        let value_of = |range: Range<usize>| {
            let value = value(&self.text[range.clone()])?;
            Ok::<_, EditError>((range, value))
        };
        let whole = range(&member.value);
        match (section, &member.value) {
            (Section::Plugin, ast::Value::Array(array)) => {
                let items: Vec<_> = array.elements.iter().map(range).collect();
                let values = items.iter().cloned().map(value_of);
                let values = values.collect::<Result<Vec<_>, _>>()?;
                Ok(Some(Found {
                    index,
                    names: values.iter().map(|(_, value)| spec(value)).collect(),
                    values,
                    list: List::new(self.text, self.tokens, whole, items),
                }))
            }
            (Section::Mcp, ast::Value::Object(object)) => {
                let members = &object.properties;
                let names = members.iter().map(|member| member.name.as_str().to_owned());
                let values = members.iter().map(|member| value_of(range(&member.value)));
                Ok(Some(Found {
                    index,
                    names: names.collect(),
                    values: values.collect::<Result<_, _>>()?,
                    list: List::new(
                        self.text,
                        self.tokens,
                        whole,
                        members.iter().map(range).collect(),
                    ),
                }))
            }
            (Section::Plugin, _) => Err(EditError::WrongKind {
                what: "\"plugin\"",
                expected: "an array",
            }),
            (Section::Mcp, _) => Err(EditError::WrongKind {
                what: "\"mcp\"",
                expected: "an object",
            }),
        }
    }
}

/// Parses a text, has the splices found, and applies them.
fn edit<T>(
    text: &str,
    find: impl FnOnce(&Parsed<'_>) -> Result<(Vec<Splice>, T), EditError>,
) -> Result<(String, T), EditError> {
    let (mark, body) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(body) => (&text[..BYTE_ORDER_MARK.len_utf8()], body),
        None => ("", text),
    };
    let collect = CollectOptions {
        comments: CommentCollectionStrategy::AsTokens,
        tokens: true,
    };
    let parsed = parse_to_ast(body, &collect, &dialect()).map_err(|error| unparsable(&error))?;
    let tokens = parsed.tokens.unwrap_or_default();
    let object = match &parsed.value {
        None => None,
        Some(ast::Value::Object(object)) => Some(object),
        Some(_) => {
            return Err(EditError::WrongKind {
                what: "its content",
                expected: "an object",
            });
        }
    };
    let members = object.map_or(&[][..], |object| &object.properties);
    let root = object.map(|object| {
        let items = members.iter().map(range).collect();
        List::new(body, &tokens, range(object), items)
    });
    let (splices, found) = find(&Parsed {
        text: body,
        tokens: &tokens,
        members,
        root,
    })?;
    Ok((format!("{mark}{}", apply(body, &splices)), found))
}

/// JSON with comments and trailing commas, which is what OpenCode reads.
fn dialect() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn unparsable(error: &jsonc_parser::errors::ParseError) -> EditError {
    EditError::Unparsable {
        line: error.line_display(),
        column: error.column_display(),
        reason: error.kind().to_string(),
    }
}

fn range(node: &impl Ranged) -> Range<usize> {
    node.start()..node.end()
}

/// What names a plugin entry; empty where nothing does.
fn spec(entry: &Value) -> String {
    let spec = entry.as_str().or_else(|| entry[0].as_str());
    spec.unwrap_or_default().to_owned()
}

/// What a configuration should be with an entry.
fn with(mut config: Value, entry: &Entry, old: Option<&str>) -> Value {
    if config.is_null() {
        config = json!({});
    }
    match entry.section {
        Section::Plugin => {
            let list = config["plugin"].take();
            let mut list = list.as_array().cloned().unwrap_or_default();
            let find = |name: &str| list.iter().position(|known| spec(known) == name);
            match old.and_then(find).or_else(|| find(&entry.name)) {
                Some(index) => list[index] = entry.value(),
                None => list.push(entry.value()),
            }
            config["plugin"] = Value::Array(list);
        }
        Section::Mcp => config["mcp"][&entry.name] = entry.value(),
    }
    config
}

/// What a configuration should be without an entry.
fn without(mut config: Value, section: Section, name: &str, made_section: bool) -> Value {
    let empty = match section {
        Section::Plugin => config["plugin"].as_array_mut().is_none_or(|list| {
            if let Some(index) = list.iter().position(|known| spec(known) == name) {
                list.remove(index);
            }
            list.is_empty()
        }),
        Section::Mcp => config["mcp"].as_object_mut().is_none_or(|servers| {
            servers.remove(name);
            servers.is_empty()
        }),
    };
    if made_section
        && empty
        && let Some(members) = config.as_object_mut()
    {
        members.remove(section.key());
    }
    config
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
