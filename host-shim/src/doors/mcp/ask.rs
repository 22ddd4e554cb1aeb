//! Questions in a client's own dialog, by elicitation; and where that cannot be,
//! questions that are kept for a person's own terminal.
//!
//! Invariant: only a form that says `allow once` grants. The question is whole or
//! it is not put in a dialog; it is made by the host and laid out so that no client
//! takes a part of it for markup. Up to revision 2025-11-25 of the protocol the
//! server asks; from 2026-07-28 on it hands the question back as the result of the
//! call, and the client makes the call again with the answer, which counts until the
//! call gets to its end. It does not decide what is asked about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use rmcp::model::{
    CallToolRequestParams, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequests, InputRequiredResult,
    ProtocolVersion, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext, RoleServer, ServiceError};
use serde_json::json;
use tokio::sync::oneshot;

use super::Inner;
use super::handed::Grant;
use crate::approvals::{
    Answer, Answerer, Asker, Origin, Question, Shown, escape_line, question_name,
};
use crate::registry::MasterKey;
use crate::supervisor::Deferred;

/// Longest question put in a dialog, in characters and in lines: about what a
/// person reads in one. Longer ones are kept for a terminal, which scrolls.
const DIALOG_CHARS_MAX: usize = 16_000;
/// See [`DIALOG_CHARS_MAX`].
const DIALOG_LINES_MAX: usize = 400;
/// The word that grants.
const ALLOW: &str = "allow once";
/// The word that does not.
const REJECT: &str = "reject";
/// Longest feedback passed on, in characters.
const FEEDBACK_MAX: usize = 2_000;
/// Name of the question in a result that hands it over.
const QUESTION: &str = "approval";

/// How the client of one call is asked.
enum Way {
    /// By a request to it.
    Request(Peer<RoleServer>),
    /// By the call's result; with the question's name and the answer, where this
    /// call brings one.
    Result(Option<(String, ElicitResult)>),
    /// Not at all.
    None,
}

/// Asks whoever is at the client of one call.
pub(super) struct ClientAsker {
    door: Arc<Inner>,
    way: Way,
    deferred: Deferred,
    asking: AtomicBool,
    handed_over: Mutex<Option<InputRequiredResult>>,
    /// What was granted in this call by the results of calls.
    granted: Mutex<Vec<Grant>>,
}

impl ClientAsker {
    pub(super) fn new(
        door: &Arc<Inner>,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Self {
        let client = context.client_info();
        let client =
            client.map(|client| escape_line(&format!("{} {}", client.name, client.version)));
        let workspace = door.options.workspace.as_ref();
        let origin = Origin {
            door: "mcp".to_owned(),
            client,
            workspace: workspace.map(|folder| escape_line(&folder.display().to_string())),
        };
        Self {
            way: way(door, request, context),
            deferred: door.supervisor.deferred(origin),
            door: Arc::clone(door),
            asking: AtomicBool::new(false),
            handed_over: Mutex::new(None),
            granted: Mutex::default(),
        }
    }

    /// Whether a person is being waited for.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed)
    }

    /// The question to be returned in place of the call's result.
    pub(super) fn handed_over(&self) -> Option<InputRequiredResult> {
        self.handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    async fn in_a_dialog(&self, question: &Question) -> Option<Answer> {
        if question.presence {
            return None;
        }
        let message = message(&Shown::of(question))?;
        match &self.way {
            Way::None => None,
            Way::Request(peer) => elicit(peer.clone(), form(message)).await,
            Way::Result(given) => {
                let name = question_name(question);
                if let Some((answered, answer)) = given
                    && let Some(answer) = self.answered(answered, answer, &name)
                {
                    return Some(answer);
                }
                self.hand_over(name, form(message));
                Some(Answer::Kept)
            }
        }
    }

    /// The answer to a question, where it is the one that was answered or one that
    /// was granted on the way to that.
    fn answered(&self, answered: &str, answer: &ElicitResult, name: &str) -> Option<Answer> {
        let handed = &self.door.handed;
        let (answer, grant) = if answered == name && handed.was_put(name) {
            let at = Instant::now();
            let name = name.to_owned();
            (read(answer.clone()), Grant { name, at })
        } else {
            let grant = handed.take(answered, name)?;
            (Answer::Granted(Answerer::Person), grant)
        };
        if matches!(answer, Answer::Granted(_)) {
            self.lock_granted().push(grant);
        }
        Some(answer)
    }

    fn lock_granted(&self) -> std::sync::MutexGuard<'_, Vec<Grant>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, name: String, form: ElicitRequestParams) {
        let question = InputRequest::Elicitation(ElicitRequest::new(form));
        let questions = InputRequests::from([(QUESTION.to_owned(), question)]);
        let result = InputRequiredResult::new(Some(questions), Some(name.clone()));
        *self
            .handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.door.handed.put(name, self.lock_granted().clone());
    }
}

#[async_trait]
impl Asker for ClientAsker {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        if let Some(answer) = self.deferred.take(question).await {
            return answer;
        }
        self.asking.store(true, Ordering::Relaxed);
        let answer = self.in_a_dialog(question).await;
        self.asking.store(false, Ordering::Relaxed);
        match answer {
            Some(answer) => answer,
            None => self.deferred.keep(question).await,
        }
    }

    async fn give_back(&self) {
        self.deferred.give_back().await;
    }

    async fn prove_presence(&self, key: &MasterKey) -> Answer {
        self.deferred.prove_presence(key).await
    }
}

fn way(door: &Inner, request: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> Way {
    // A client that names neither form nor URL means forms (revision 2025-06-18).
    let forms = context
        .client_capabilities()
        .and_then(|capabilities| capabilities.elicitation)
        .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none());
    if !forms || !door.options.dialogs_count {
        return Way::None;
    }
    if context
        .protocol_version()
        .is_none_or(|version| version < ProtocolVersion::V_2026_07_28)
    {
        return Way::Request(context.peer.clone());
    }
    let answer = request
        .input_responses
        .as_ref()
        .and_then(|answers| answers.get(QUESTION))
        .and_then(|answer| serde_json::from_value(answer.clone()).ok());
    Way::Result(request.request_state.clone().zip(answer))
}

/// Asks the client, and takes the question back when nobody waits for the answer
/// any more. None where the client turns out not to ask.
async fn elicit(peer: Peer<RoleServer>, form: ElicitRequestParams) -> Option<Answer> {
    let (mut sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
        let mut asked = match peer
            .send_cancellable_request(request, PeerRequestOptions::no_options())
            .await
        {
            Ok(asked) => asked,
            Err(error) => {
                let _ = sender.send(Err(error));
                return;
            }
        };
        tokio::select! {
            answered = &mut asked.rx => {
                let answered = answered.unwrap_or(Err(ServiceError::TransportClosed));
                let _ = sender.send(answered);
            }
            () = sender.closed() => {
                // The client may show the question still.
                let _ = asked.cancel(Some("the call was given up".to_owned())).await;
            }
        }
    });
    match receiver.await {
        Ok(Ok(ClientResult::ElicitResult(result))) => Some(read(result)),
        Ok(Err(ServiceError::TransportClosed)) | Err(_) => {
            Some(Answer::Unanswered("the client went away.".to_owned()))
        }
        Ok(Ok(_) | Err(_)) => None,
    }
}

/// What a filled form means.
fn read(result: ElicitResult) -> Answer {
    let content = result.content.unwrap_or_default();
    let feedback = content["feedback"]
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| text.chars().take(FEEDBACK_MAX).collect());
    match (result.action, content["decision"].as_str()) {
        (ElicitationAction::Accept, Some(ALLOW)) => Answer::Granted(Answerer::Person),
        (ElicitationAction::Accept, Some(REJECT)) | (ElicitationAction::Decline, _) => {
            Answer::Rejected(Answerer::Person, feedback)
        }
        (ElicitationAction::Cancel, _) => {
            Answer::Unanswered("the person closed the question without an answer.".to_owned())
        }
        _ => Answer::Unanswered("the client gave no answer that can be understood.".to_owned()),
    }
}

fn form(message: String) -> ElicitRequestParams {
    let schema = json!({
        "type": "object",
        "properties": {
            "decision": {"type": "string", "title": "Decision", "enum": [ALLOW, REJECT]},
            "feedback": {
                "type": "string",
                "title": "What to do instead",
                "description": "Told to the agent if you reject",
            },
        },
        "required": ["decision"],
    });
    let schema: ElicitationSchema =
        serde_json::from_value(schema).expect("the schema above is one that forms may have");
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: schema,
    }
}

/// The whole question as a dialog's text, or none where it is too long for one.
/// What does not come from us is indented by four: where a client takes the text
/// for Markdown, that is a block of code, in which nothing is hidden or replaced.
fn message(shown: &Shown) -> Option<String> {
    let mut blocks = vec![shown.lines.join("\n")];
    blocks.extend(shown.diff.as_ref().map(|diff| diff.trim_end().to_owned()));
    let mut text = format!(
        "{}\n\n{}\n\n",
        "The agent asks for your approval.",
        indented(&shown.headline())
    );
    for block in &blocks {
        text.push_str(&indented(block));
        text.push_str("\n\n");
    }
    text.push_str(&format!("Why this asks:\n\n{}", indented(&shown.reason)));
    let fits = text.chars().count() <= DIALOG_CHARS_MAX && text.lines().count() <= DIALOG_LINES_MAX;
    fits.then_some(text)
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::tests_shown::command;

    #[test]
    fn only_the_word_that_grants_grants() {
        let answer = |action, content| {
            let mut result = ElicitResult::new(action);
            result.content = content;
            read(result)
        };
        use ElicitationAction::{Accept, Cancel, Decline};
        let granted = Answer::Granted(Answerer::Person);
        assert_eq!(
            answer(Accept, Some(json!({"decision": ALLOW, "feedback": "x"}))),
            granted
        );
        let rejected =
            |text: Option<&str>| Answer::Rejected(Answerer::Person, text.map(str::to_owned));
        let table = [
            (Accept, Some(json!({"decision": REJECT})), rejected(None)),
            (
                Accept,
                Some(json!({"decision": REJECT, "feedback": " Use b. "})),
                rejected(Some("Use b.")),
            ),
            (Decline, None, rejected(None)),
            (Decline, Some(json!({"decision": ALLOW})), rejected(None)),
        ];
        for (action, content, expected) in table {
            assert_eq!(answer(action, content), expected);
        }
        let unclear = [
            (Accept, None),
            (Accept, Some(json!({}))),
            (Accept, Some(json!({"decision": "allow"}))),
            (Accept, Some(json!({"decision": true}))),
            (Accept, Some(json!("allow once"))),
            (Cancel, Some(json!({"decision": ALLOW}))),
        ];
        for (action, content) in unclear {
            let told = format!("{action:?} {content:?}");
            assert!(
                matches!(answer(action, content), Answer::Unanswered(_)),
                "{told}"
            );
        }
    }

    #[test]
    fn a_dialog_shows_all_of_it_or_none() {
        let text = message(&Shown::of(&command("a <!-- \n# b"))).expect("it is short");
        assert_eq!(
            text,
            "The agent asks for your approval.\n\n    remote_exec wants to run a command on web-1 \
             (deploy@web-1.example.org:22)  staging\n\n    $ a <!-- \n    $ # b\n    by /bin/sh\n\n\
             Why this asks:\n\n    it writes"
        );
        let mut shown = Shown::of(&command("x"));
        shown.diff = Some("+x\n".repeat(DIALOG_LINES_MAX));
        assert_eq!(message(&shown), None);
        shown.diff = Some("x".repeat(DIALOG_CHARS_MAX));
        assert_eq!(message(&shown), None);
    }

    #[test]
    fn the_form_is_one_that_clients_can_show() {
        let value = serde_json::to_value(form("m".to_owned())).expect("it is JSON");
        assert_eq!(value["mode"], "form");
        assert_eq!(value["requestedSchema"]["required"], json!(["decision"]));
        assert_eq!(
            value["requestedSchema"]["properties"]["decision"]["enum"],
            json!([ALLOW, REJECT])
        );
    }
}
