//! Conversations with a bridge, written down: what is sent, what must come back.
//!
//! A transcript is a file of one JSON object a line, described in
//! `docs/bridge-protocol.md`, so that it can be played against any program that
//! serves the bridge and read by any language. Invariant: a step that does not come
//! out as written stops the conversation and says which step it was.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long an expected frame, or the end, may take; only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One conversation of a transcript.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// What it is about.
    pub name: String,
    /// Its steps, each with its line number in the file.
    pub steps: Vec<(usize, Value)>,
}

/// Splits a transcript into its conversations.
///
/// # Errors
/// Which line is not a step.
pub fn conversations(text: &str) -> Result<Vec<Conversation>, String> {
    let mut all: Vec<Conversation> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() {
            continue;
        }
        let step: Value =
            serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        if let Some(name) = step["conversation"].as_str() {
            all.push(Conversation {
                name: name.to_owned(),
                steps: Vec::new(),
            });
        } else if let Some(last) = all.last_mut() {
            last.steps.push((number, step));
        } else if step.get("note").is_none() {
            return Err(format!("line {number}: it belongs to no conversation"));
        }
    }
    Ok(all)
}

/// A bridge that is talked to by the letter.
#[derive(Debug)]
pub struct Player {
    child: Child,
    input: Option<ChildStdin>,
    frames: Receiver<Value>,
    /// Frames that came and were not expected yet.
    waiting: VecDeque<Value>,
    names: HashMap<String, Value>,
}

impl Player {
    /// Starts a bridge; `names` are what `${…}` in a transcript stands for.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn start(command: &mut Command, names: &[(&str, Value)]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the helper can be run");
        let output = child.stdout.take().expect("stdout was asked for");
        let (sender, frames) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // What is no JSON is a frame as well, and none that is expected.
                let frame = serde_json::from_str(&line).unwrap_or_else(|_| json!({"noJson": line}));
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            frames,
            waiting: VecDeque::new(),
            names: names
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }

    /// Plays a conversation to its end.
    ///
    /// # Errors
    /// Which line did not come out as written, and what came instead.
    pub fn play(&mut self, conversation: &Conversation) -> Result<(), String> {
        for (number, step) in &conversation.steps {
            self.step(step)
                .map_err(|what| format!("{}, line {number}: {what}", conversation.name))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Value) -> Result<(), String> {
        let fields = step.as_object().ok_or("a step is an object")?;
        if fields.contains_key("note") {
            return Ok(());
        }
        if let Some(frame) = fields.get("send") {
            let frame = self.filled(frame)?;
            return self.write(format!("{frame}\n").as_bytes());
        }
        if let Some(text) = fields.get("sendText").and_then(Value::as_str) {
            let times = step["times"].as_u64().unwrap_or(1);
            for _ in 0..times {
                self.write(text.as_bytes())?;
            }
            return self.write(b"\n");
        }
        if let Some(shape) = fields.get("expect") {
            let frame = self.next(shape, Instant::now() + PATIENCE)?;
            return self
                .fits("$", shape, Some(&frame))
                .map_err(|what| format!("{what}; the frame is {frame}"));
        }
        if let Some(shape) = fields.get("until") {
            return self.until(shape);
        }
        if let Some(status) = fields.get("end") {
            return self.end(status);
        }
        Err("the step is not known".to_owned())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("the input has ended")?;
        input
            .write_all(bytes)
            .map_err(|error| format!("the helper does not read: {error}"))
    }

    /// Waits for a frame that has the shape and passes over those before it that the
    /// shape means and that do not fit, such as notes of what is not there yet.
    fn until(&mut self, shape: &Value) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = "nothing".to_owned();
        loop {
            let frame = self
                .next(shape, deadline)
                .map_err(|what| format!("{what}; the last that did not fit: {last}"))?;
            match self.fits("$", shape, Some(&frame)) {
                Ok(()) => return Ok(()),
                Err(what) => last = what,
            }
        }
    }

    /// Waits for the frame a shape means: the next one of its `id` and `method`.
    fn next(&mut self, shape: &Value, deadline: Instant) -> Result<Value, String> {
        let mut looked_at = 0;
        loop {
            while looked_at < self.waiting.len() {
                let frame = self.waiting[looked_at].clone();
                if self.is_meant(shape, &frame) {
                    self.waiting.remove(looked_at);
                    return Ok(frame);
                }
                looked_at += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.frames.recv_timeout(left) {
                Ok(frame) => self.waiting.push_back(frame),
                Err(_) => return Err(format!("it did not come; what came is {:?}", self.waiting)),
            }
        }
    }

    fn is_meant(&self, shape: &Value, frame: &Value) -> bool {
        ["id", "method"].iter().all(|name| {
            let wanted = shape.get(name).and_then(|wanted| self.filled(wanted).ok());
            let placeholder = |text: &str| text.starts_with('$');
            match wanted {
                None => true,
                Some(Value::String(text)) if placeholder(&text) => {
                    (text == "$absent") != frame.get(name).is_some()
                }
                Some(wanted) => frame.get(name) == Some(&wanted),
            }
        })
    }

    fn end(&mut self, status: &Value) -> Result<(), String> {
        self.input = None;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(ended)) if json!(ended.code()) == *status => return Ok(()),
                Ok(Some(ended)) => return Err(format!("the helper ended: {ended}")),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                other => return Err(format!("the helper does not end: {other:?}")),
            }
        }
    }

    /// Replaces `${name}` by what it stands for.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => {
                let mut text = text.clone();
                for (name, value) in &self.names {
                    let mark = format!("${{{name}}}");
                    if text == mark {
                        return Ok(value.clone());
                    }
                    let plain = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    text = text.replace(&mark, &plain);
                }
                if text.contains("${") {
                    return Err(format!("{text:?} names nothing that is known"));
                }
                Value::String(text)
            }
            Value::Array(items) => items
                .iter()
                .map(|item| self.filled(item))
                .collect::<Result<_, _>>()?,
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), self.filled(field)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => other.clone(),
        })
    }

    fn fits(&mut self, at: &str, shape: &Value, found: Option<&Value>) -> Result<(), String> {
        let wrong = |wanted: &str| {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            Err(format!("{at} must be {wanted} and is {found}"))
        };
        let kind = |matches: bool, wanted: &str| if matches { Ok(()) } else { wrong(wanted) };
        let is = |test: fn(&Value) -> bool| found.is_some_and(test);
        match shape {
            Value::String(text) => match text.split_once(':').unwrap_or((text, "")) {
                ("$any", _) => kind(found.is_some(), "there"),
                ("$absent", _) => kind(found.is_none(), "absent"),
                ("$text", _) => kind(is(Value::is_string), "a text"),
                ("$number", _) => kind(is(Value::is_number), "a number"),
                ("$array", _) => kind(is(Value::is_array), "an array"),
                ("$sha256", _) => kind(is(is_sha256), "64 hex digits"),
                ("$contains", part) => {
                    let part = self.filled(&json!(part))?;
                    let part = part.as_str().unwrap_or_default();
                    let held = found.and_then(Value::as_str);
                    kind(
                        held.is_some_and(|text| text.contains(part)),
                        &format!("a text with {part:?}"),
                    )
                }
                ("$save", name) => {
                    let Some(found) = found else {
                        return wrong("there");
                    };
                    self.names.insert(name.to_owned(), found.clone());
                    Ok(())
                }
                _ => {
                    let wanted = self.filled(shape)?;
                    kind(found == Some(&wanted), &wanted.to_string())
                }
            },
            Value::Object(fields) => {
                if !is(Value::is_object) {
                    return wrong("an object");
                }
                fields.iter().try_for_each(|(name, shape)| {
                    let field = found.and_then(|found| found.get(name));
                    self.fits(&format!("{at}.{name}"), shape, field)
                })
            }
            Value::Array(items) => {
                let Some(found) = found.and_then(Value::as_array) else {
                    return wrong("an array");
                };
                if found.len() != items.len() {
                    return wrong(&format!("an array of {}", items.len()));
                }
                let pairs = items.iter().zip(found).enumerate();
                pairs.into_iter().try_for_each(|(index, (shape, found))| {
                    self.fits(&format!("{at}[{index}]"), shape, Some(found))
                })
            }
            other => kind(found == Some(other), &other.to_string()),
        }
    }
}

fn is_sha256(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Drop for Player {
    fn drop(&mut self) {
        // The end of its input is how a helper is ended; killing covers a hang.
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
