//! Questions to the client's person, and how an answer is read.
//!
//! Invariant: an answer that is not understood is no answer. What is asked comes
//! from the operation: of what a model wrote, command, directory and path are passed on,
//! and its content as a diff.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Bridge;
use crate::approvals::{Answer, Answerer, Asker, Matter, Place, Question};
use crate::registry::MasterKey;
use crate::supervisor::Deferred;

/// Carries questions to the client that made the call.
pub(super) struct BridgeAsker {
    pub(super) bridge: Arc<Bridge>,
    pub(super) call: Value,
    /// Where what takes the registry's passphrase is answered, at a terminal.
    pub(super) deferred: Deferred,
}

#[async_trait]
impl Asker for BridgeAsker {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        let params = question_params(&self.call, question);
        let answer = match self.bridge.ask("approvals/ask", params).await {
            None => Answer::Unanswered("the client went away.".to_owned()),
            Some(Err(error)) => Answer::Unanswered(format!(
                "the client could not ask: {}.",
                error["message"].as_str().unwrap_or("no reason given")
            )),
            Some(Ok(answer)) => read_answer(&answer),
        };
        match answer {
            // A client can forbid it; its yes is not enough.
            Answer::Granted(_) if question.presence => self.deferred.ask(question).await,
            answer => answer,
        }
    }

    async fn give_back(&self) {
        self.deferred.give_back().await;
    }

    async fn prove_presence(&self, key: &MasterKey) -> Answer {
        self.deferred.prove_presence(key).await
    }
}

fn read_answer(answer: &Value) -> Answer {
    let by = match answer["by"].as_str() {
        Some("person") => Answerer::Person,
        Some("rule" | "always") => Answerer::Rule(
            answer["rule"]
                .as_str()
                .or(answer["by"].as_str())
                .unwrap_or_default()
                .to_owned(),
        ),
        Some("auto") => Answerer::Automatic,
        _ => Answerer::Unknown,
    };
    match answer["answer"].as_str() {
        Some("granted") => Answer::Granted(by),
        Some("rejected" | "denied") => {
            Answer::Rejected(by, answer["feedback"].as_str().map(str::to_owned))
        }
        _ => Answer::Unanswered("the client gave no answer that can be understood.".to_owned()),
    }
}

fn question_params(call: &Value, question: &Question) -> Value {
    let mut params = json!({
        "call": call,
        "tool": question.tool,
        "reason": question.reason,
        "rule": question.rule,
        "simple": false,
        "digest": question.digest,
        "expiresInMs": question.expires_ms,
    });
    let more = match &question.matter {
        Matter::Command {
            shown,
            raw,
            segments,
            cwd,
            timeout_ms,
            simple,
            shell,
        } => json!({
            "kind": "exec",
            "command": shown,
            "rawCommand": raw,
            "segments": segments,
            "cwd": cwd,
            "timeoutMs": timeout_ms,
            "simple": simple,
            "shell": shell,
        }),
        Matter::Read { path, what } => json!({"kind": "read", "path": path, "what": what}),
        Matter::Write {
            path,
            change,
            not_atomic,
        } => json!({
            "kind": "write",
            "path": path,
            "diff": change.diff,
            "summary": change.summary,
            "created": change.created,
            "notAtomic": not_atomic,
        }),
        Matter::Remove { path, change } => json!({
            "kind": "write",
            "path": path,
            "diff": change.diff,
            "summary": change.summary,
            "removed": true,
        }),
    };
    if !question.fleet.is_empty() {
        let servers: Vec<Value> = question.fleet.iter().map(place).collect();
        params["servers"] = json!(servers);
    }
    if question.presence {
        params["presence"] = json!(true);
    }
    if !question.besides.is_empty() {
        params["besides"] = json!(question.besides);
    }
    if !question.run_as.is_empty() {
        params["as"] = json!(question.run_as);
    }
    if let Some(params) = params.as_object_mut() {
        params.extend([place(&question.place), more].into_iter().flat_map(members));
    }
    params
}

fn members(object: Value) -> serde_json::Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}

/// The server of a question, or one of several.
fn place(place: &Place) -> Value {
    json!({
        "server": place.server,
        "host": place.host,
        "port": place.port,
        "user": place.user,
        "labels": place.labels,
        "scope": place.scope,
    })
}
