//! The arguments of a tool call, checked one by one.
//!
//! Invariant: a value that leaves this file has the right type, is within its
//! bounds and holds no NUL. Every complaint is `INVALID_ARGUMENT` and names the
//! argument and what was expected, because the caller validates nothing. What a
//! value means to a server is not asked.

use serde_json::{Map, Value};

use super::report::Report;
use super::text::clipped;

/// Longest path accepted, in bytes (Linux `PATH_MAX`).
const PATH_MAX: usize = 4096;

/// A checked JSON object; reading an argument takes it out.
#[derive(Debug)]
pub(crate) struct Arguments {
    values: Map<String, Value>,
}

impl Arguments {
    /// Parses the text and refuses names the schema does not know.
    pub(crate) fn parse(text: &str, schema: &Value) -> Result<Self, Report> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| invalid("arguments", &format!("a JSON object ({error})"), None))?;
        let Value::Object(values) = value else {
            return Err(invalid("arguments", "a JSON object", Some(&value)));
        };
        let known = schema["properties"].as_object();
        for name in values.keys() {
            if known.is_none_or(|known| !known.contains_key(name)) {
                let names: Vec<&str> = known
                    .into_iter()
                    .flat_map(|known| known.keys().map(String::as_str))
                    .collect();
                return Err(Report::error(
                    "INVALID_ARGUMENT",
                    format!("Argument `{}` is not known to this tool.", clipped(name)),
                    if names.is_empty() {
                        "It takes no arguments.".to_owned()
                    } else {
                        format!("It takes {}.", names.join(", "))
                    },
                ));
            }
        }
        Ok(Self { values })
    }

    /// Null counts as absent: models often send it for what they leave out.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// A string that may be absent.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Report> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(name, "a string", Some(&other))),
        }
    }

    /// A string that must be there.
    pub(crate) fn string(&mut self, name: &str) -> Result<String, Report> {
        self.optional_string(name)?
            .ok_or_else(|| invalid(name, "a string", None))
    }

    /// A non-empty string without NUL.
    pub(crate) fn word(&mut self, name: &str) -> Result<String, Report> {
        let text = self.string(name)?;
        check_word(name, text)
    }

    /// The server's id. Lists and labels never come here from tools that take them.
    pub(crate) fn server(&mut self) -> Result<String, Report> {
        let id = self.word("server")?;
        if id.starts_with("label:") {
            return Err(invalid(
                "server",
                "one server id, because this tool works on one server at a time",
                Some(&Value::String(id)),
            ));
        }
        Ok(id)
    }

    /// An absolute path that must be there.
    pub(crate) fn path(&mut self, name: &str) -> Result<String, Report> {
        let text = self.string(name)?;
        check_path(name, text)
    }

    /// An absolute path that may be absent.
    pub(crate) fn optional_path(&mut self, name: &str) -> Result<Option<String>, Report> {
        self.optional_string(name)?
            .map(|text| check_path(name, text))
            .transpose()
    }

    /// A whole number within bounds, both included; `default` where absent.
    pub(crate) fn number(
        &mut self,
        name: &str,
        least: u64,
        most: u64,
        default: u64,
    ) -> Result<u64, Report> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        value
            .as_u64()
            // JSON does not tell 5 from 5.0, and some providers send the latter.
            .or_else(|| {
                value
                    .as_f64()
                    .filter(|number| number.fract() == 0.0 && (0.0..=9e15).contains(number))
                    .map(|number| number as u64)
            })
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                invalid(
                    name,
                    &format!("a whole number from {least} to {most}"),
                    Some(&value),
                )
            })
    }

    /// A boolean; false where absent.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Report> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(invalid(name, "true or false", Some(&other))),
        }
    }

    /// One of a few words; the first where absent.
    pub(crate) fn choice(
        &mut self,
        name: &str,
        choices: &[&'static str],
    ) -> Result<&'static str, Report> {
        let expected = || {
            let quoted: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
            quoted.join(" or ")
        };
        match self.take(name) {
            None => choices
                .first()
                .copied()
                .ok_or_else(|| invalid(name, "nothing", None)),
            Some(value) => choices
                .iter()
                .find(|choice| value.as_str() == Some(**choice))
                .copied()
                .ok_or_else(|| invalid(name, &expected(), Some(&value))),
        }
    }

    /// Permission bits as octal digits in a string. A number is refused because
    /// 644 and 420 are both what somebody means by rw-r--r--.
    pub(crate) fn mode(&mut self, name: &str) -> Result<Option<u32>, Report> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        value
            .as_str()
            .filter(|text| (3..=4).contains(&text.len()))
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .map(Some)
            .ok_or_else(|| {
                invalid(
                    name,
                    "a string of three or four octal digits such as \"0644\"",
                    Some(&value),
                )
            })
    }
}

/// A complaint about one argument.
pub(crate) fn invalid(name: &str, expected: &str, got: Option<&Value>) -> Report {
    let got = match got {
        None => "it is missing".to_owned(),
        Some(Value::String(text)) if text.len() > 80 => {
            format!("got a string of {} bytes", text.len())
        }
        Some(value @ (Value::Array(_) | Value::Object(_))) => {
            let kind = if value.is_array() {
                "an array"
            } else {
                "an object"
            };
            format!("got {kind}")
        }
        Some(value) => format!("got {value}"),
    };
    Report::error(
        "INVALID_ARGUMENT",
        format!("Argument `{name}` must be {expected}; {got}."),
        "Correct the argument and call again.",
    )
}

fn check_word(name: &str, text: String) -> Result<String, Report> {
    if text.contains('\0') {
        return Err(invalid(name, "a string without NUL", None).saying("it holds a NUL"));
    }
    if text.is_empty() {
        return Err(invalid(
            name,
            "a non-empty string",
            Some(&Value::String(text)),
        ));
    }
    Ok(text)
}

fn check_path(name: &str, text: String) -> Result<String, Report> {
    let text = check_word(name, text)?;
    if !text.starts_with('/') {
        return Err(invalid(
            name,
            "an absolute path, beginning with /",
            Some(&Value::String(text)),
        ));
    }
    if text.len() > PATH_MAX {
        return Err(invalid(
            name,
            &format!("a path of at most {PATH_MAX} bytes"),
            Some(&Value::String(text)),
        ));
    }
    Ok(text)
}

impl Report {
    /// Replaces the "it is missing" of a complaint by what is really wrong.
    fn saying(mut self, what: &str) -> Self {
        self.message = self
            .message
            .map(|message| message.replace("it is missing", what));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arguments(value: Value) -> Arguments {
        let schema = json!({"properties": {
            "server": {}, "path": {}, "limit": {}, "recursive": {}, "mode": {}, "encoding": {},
        }});
        Arguments::parse(&value.to_string(), &schema).expect("known names")
    }

    fn message<T: std::fmt::Debug>(result: Result<T, Report>) -> String {
        let report = result.expect_err("an invalid argument");
        assert_eq!(report.code.as_deref(), Some("INVALID_ARGUMENT"));
        report.message.expect("message")
    }

    #[test]
    fn complaints_name_the_argument_and_what_was_expected() {
        let cases: Vec<(String, &str, &str)> = vec![
            (
                message(arguments(json!({})).server()),
                "`server`",
                "missing",
            ),
            (
                message(arguments(json!({"server": 3})).server()),
                "`server`",
                "a string",
            ),
            (
                message(arguments(json!({"server": ""})).server()),
                "`server`",
                "non-empty",
            ),
            (
                message(arguments(json!({"path": "etc"})).path("path")),
                "`path`",
                "absolute",
            ),
            (
                message(arguments(json!({"path": "/a\0b"})).path("path")),
                "`path`",
                "NUL",
            ),
            (
                message(arguments(json!({"path": "/".repeat(5000)})).path("path")),
                "`path`",
                "4096",
            ),
            (
                message(arguments(json!({"limit": -1})).number("limit", 1, 9, 1)),
                "`limit`",
                "from 1 to 9; got -1",
            ),
            (
                message(arguments(json!({"limit": 10})).number("limit", 1, 9, 1)),
                "`limit`",
                "got 10",
            ),
            (
                message(arguments(json!({"limit": 1.5})).number("limit", 1, 9, 1)),
                "`limit`",
                "got 1.5",
            ),
            (
                message(arguments(json!({"recursive": "yes"})).flag("recursive")),
                "`recursive`",
                "true or false",
            ),
            (
                message(arguments(json!({"mode": 644})).mode("mode")),
                "`mode`",
                "octal",
            ),
            (
                message(arguments(json!({"mode": "0888"})).mode("mode")),
                "`mode`",
                "octal",
            ),
            (
                message(
                    arguments(json!({"encoding": "hex"})).choice("encoding", &["utf-8", "base64"]),
                ),
                "`encoding`",
                "\"utf-8\" or \"base64\"",
            ),
        ];
        for (message, name, expected) in cases {
            assert!(message.contains(name), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn good_values_pass() {
        assert_eq!(
            arguments(json!({"limit": 5.0})).number("limit", 1, 9, 1),
            Ok(5)
        );
        assert_eq!(
            arguments(json!({"limit": null})).number("limit", 1, 9, 7),
            Ok(7)
        );
        assert_eq!(
            arguments(json!({"mode": "0640"})).mode("mode"),
            Ok(Some(0o640))
        );
        assert_eq!(
            arguments(json!({"path": "/etc"})).path("path"),
            Ok("/etc".to_owned())
        );
    }

    #[test]
    fn unknown_names_and_other_shapes_are_refused() {
        let schema = json!({"properties": {"server": {}}});
        assert!(message(Arguments::parse("{\"sudo\":true}", &schema)).contains("`sudo`"));
        let long = json!({"x".repeat(100_000): true}).to_string();
        assert!(message(Arguments::parse(&long, &schema)).len() < 300);
        assert!(message(Arguments::parse("[]", &schema)).contains("JSON object"));
        assert!(message(Arguments::parse("{", &schema)).contains("JSON object"));
    }
}
