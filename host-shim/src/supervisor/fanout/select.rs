//! Which servers a call names: one id, a list of ids, or `label:NAME`.
//!
//! Invariant: what cannot be understood whole is refused before anything is done
//! on any server. Ids and labels are looked up in the servers of the call, where
//! the operator's come first; whether one of them may be used is found out later,
//! for each by itself.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::contract::{Failure, FailureCode};
use crate::registry::ServerView;
use crate::supervisor::failure::failure;
use crate::supervisor::layers::Layers;
use crate::supervisor::resources::Resources;

/// Tools that work on several servers. Those that write files do not: each file
/// has its own diff, which a person has to read.
const TOOLS: [&str; 5] = [
    "remote_exec",
    "remote_read_file",
    "remote_list_dir",
    "remote_stat",
    "remote_find",
];
/// What makes a text a label.
const LABEL: &str = "label:";
/// Most servers of one call. Each has a guest of its own, which holds memory.
const SERVERS_MAX: usize = 500;
/// Most ids named in one complaint.
const NAMED_MAX: usize = 10;

/// The servers of a call that is about several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::supervisor) enum Selector {
    /// Those in a list, as the caller wrote them.
    List(Vec<Value>),
    /// Those that carry a label.
    Label(String),
}

/// What the caller's `server` says, if that is more than one id.
pub(in crate::supervisor) fn selector(tool: &str, arguments: &Value) -> Option<Selector> {
    if !TOOLS.contains(&tool) {
        return None;
    }
    match arguments.get("server")? {
        Value::String(text) => text
            .strip_prefix(LABEL)
            .map(|label| Selector::Label(label.to_owned())),
        // A label may come alone in a list: many a caller always sends one.
        Value::Array(items) => match &items[..] {
            [Value::String(only)] if only.starts_with(LABEL) => {
                Some(Selector::Label(only[LABEL.len()..].to_owned()))
            }
            _ => Some(Selector::List(items.clone())),
        },
        _ => None,
    }
}

/// The ids a selector stands for, sorted.
pub(super) fn select(selector: &Selector, layers: &Layers) -> Result<Vec<String>, Failure> {
    let ids = match selector {
        Selector::List(items) => listed(items, layers)?,
        Selector::Label(label) => labelled(label, &layers.list())?,
    };
    if ids.len() > SERVERS_MAX {
        return Err(invalid(format!(
            "`server` stands for {} servers, and one call works on at most {SERVERS_MAX}.",
            ids.len()
        )));
    }
    Ok(ids.into_iter().collect())
}

fn listed(items: &[Value], layers: &Layers) -> Result<BTreeSet<String>, Failure> {
    if items.is_empty() {
        return Err(invalid(
            "The list of servers in `server` is empty.".to_owned(),
        ));
    }
    let mut ids = BTreeSet::new();
    let mut unknown = Vec::new();
    for item in items {
        let Value::String(id) = item else {
            return Err(invalid(format!(
                "A list in `server` holds ids, and {} is none.",
                shortened(item)
            )));
        };
        if let Some(label) = id.strip_prefix(LABEL) {
            return Err(invalid(format!(
                "A list in `server` holds ids; the label {:?} has to come alone.",
                label
            )));
        }
        if !ids.insert(id.clone()) {
            return Err(invalid(format!("`server` names {id:?} twice.")));
        }
        match Resources::server_id(id).and_then(|id| layers.get(&id)) {
            Ok(_) => {}
            Err(absent) => unknown.push((id, absent)),
        }
    }
    match unknown.len() {
        0 => Ok(ids),
        // The one complaint says more than its id, such as that a workspace is
        // not trusted.
        1 => Err(unknown.swap_remove(0).1),
        count => {
            let mut named: Vec<String> = unknown
                .iter()
                .take(NAMED_MAX)
                .map(|(id, _)| format!("{id:?}"))
                .collect();
            if count > NAMED_MAX {
                named.push(format!("{} more", count - NAMED_MAX));
            }
            Err(failure(
                FailureCode::ServerNotFound,
                format!(
                    "There are no servers {}; nothing was done on the others.",
                    named.join(", ")
                ),
                "list_servers shows the ids.",
            ))
        }
    }
}

/// The servers that carry a label. Disabled ones are left out, as in the listing.
fn labelled(label: &str, servers: &[ServerView]) -> Result<BTreeSet<String>, Failure> {
    if label.is_empty() {
        return Err(invalid("`label:` in `server` lacks the label.".to_owned()));
    }
    let carriers: Vec<&ServerView> = servers
        .iter()
        .filter(|server| server.labels.iter().any(|known| known == label))
        .collect();
    let ids: BTreeSet<String> = carriers
        .iter()
        .filter(|server| !server.disabled)
        .map(|server| server.id.as_str().to_owned())
        .collect();
    if !ids.is_empty() {
        return Ok(ids);
    }
    Err(if carriers.is_empty() {
        failure(
            FailureCode::ServerNotFound,
            format!("No server carries the label {label:?}."),
            "list_servers shows the labels.",
        )
    } else {
        failure(
            FailureCode::ServerDisabled,
            format!("Every server that carries the label {label:?} is disabled."),
            "A person can enable one again.",
        )
    })
}

fn invalid(message: String) -> Failure {
    failure(
        FailureCode::InvalidArgument,
        message,
        "`server` is one id, a list of different ids, or \"label:NAME\"; list_servers shows both.",
    )
}

/// A value that a message can hold.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 {
        return text;
    }
    let mut short: String = text.chars().take(39).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_lists_and_labels_of_tools_that_look_or_run_are_several() {
        let several = |tool: &str, server: Value| selector(tool, &json!({ "server": server }));
        let label = |text: &str| Some(Selector::Label(text.to_owned()));
        assert_eq!(several("remote_exec", json!("web-1")), None);
        assert_eq!(several("remote_exec", json!(3)), None);
        assert_eq!(several("remote_exec", json!("label:web")), label("web"));
        assert_eq!(several("remote_stat", json!(["label:web"])), label("web"));
        assert_eq!(
            several("remote_find", json!(["a", 3])),
            Some(Selector::List(vec![json!("a"), json!(3)]))
        );
        assert_eq!(
            several("remote_read_file", json!([])),
            Some(Selector::List(Vec::new()))
        );
        for tool in ["remote_write_file", "remote_patch_file", "list_servers"] {
            assert_eq!(several(tool, json!(["a", "b"])), None, "{tool}");
            assert_eq!(several(tool, json!("label:web")), None, "{tool}");
        }
        assert_eq!(selector("remote_exec", &json!({})), None);
        assert_eq!(selector("remote_exec", &json!(null)), None);
    }
}
