//! What happens as root: who may agree to it, and files behind `sudo -n`.
//!
//! Invariant: nothing goes through sudo on a server that is not registered for it,
//! and what does is asked of a person, in words that name the account; only a rule
//! that itself names sudo answers in their place, and no "always" does. It does not
//! find out what a command runs as: the verdict says that.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::action::Action;
use super::call::Call;
use super::change::{Present, WritePlan};
use super::failure::failure;
use super::replace::{Broken, Done, way};
use crate::approvals::{Answer, Answerer, Matter};
use crate::engine::contract::{Decision, Failure, FailureCode, Verdict};
use crate::registry::Sudo;
use crate::snapshots::LARGEST;
use crate::ssh::{self, Attrs, Connection, Drift, Expect, RootFiles};

/// The account that files are written as.
pub(super) const ROOT: &str = "root";

impl Call {
    /// Refuses where the server's registration does not let sudo be used.
    pub(super) fn require_sudo(&self, action: &Action) -> Result<(), Failure> {
        match action.record().sudo {
            Sudo::Ask => Ok(()),
            Sudo::Never => Err(failure(
                FailureCode::PolicyRejected,
                "The policy rejects this: this server is registered with sudo = never.",
                "Rule sudo.never does not let anybody agree to it here; a person can register \
                 the server otherwise.",
            )),
        }
    }

    /// The verdict on a file operation, once it is to happen as root: at least a
    /// question, under the access rules of the server.
    pub(super) fn as_root(
        &self,
        action: &Action,
        mut verdict: Verdict,
        does: &str,
    ) -> Result<Verdict, Failure> {
        self.require_sudo(action)?;
        verdict.run_as = vec![ROOT.to_owned()];
        // What is rejected never comes here.
        verdict.decision = Decision::ApprovalRequired;
        verdict.rule = "sudo.file".to_owned();
        verdict.reason = format!("it {does} as {ROOT}");
        self.within_access(action, verdict)
    }
}

/// Lets an answer count for what runs as another account, or says why it does not.
pub(super) fn counts(answer: Answer, matter: &Matter) -> Answer {
    let Answer::Granted(by) = &answer else {
        return answer;
    };
    let counts = match by {
        Answerer::Person | Answerer::OutOfBand | Answerer::Flag => true,
        Answerer::Rule(rule) => match matter {
            Matter::Command { .. } => rule.contains(": sudo "),
            _ => rule.contains(&format!("{ROOT}@")),
        },
        Answerer::Automatic | Answerer::Unknown => false,
    };
    if counts {
        answer
    } else {
        Answer::Unanswered(
            "what runs as another account needs a person's own answer, or a rule of theirs that \
             names sudo."
                .to_owned(),
        )
    }
}

/// Resolves a path and reads what is there, as root. `limit` in bytes.
pub(super) async fn look(
    connection: &Arc<Connection>,
    path: &str,
    limit: u64,
) -> Result<(String, Option<Present>), Failure> {
    let seen = RootFiles::new(Arc::clone(connection))
        .look(path, limit)
        .await?;
    let file = seen.file.map(|(content, attrs)| Present { content, attrs });
    Ok((seen.resolved, file))
}

/// The attributes a file has now, as root sees them.
pub(super) async fn attrs(connection: &Arc<Connection>, path: &str) -> Result<Attrs, Failure> {
    match look(connection, path, LARGEST).await?.1 {
        Some(present) => Ok(present.attrs),
        None => Err(failure(
            FailureCode::FileNotFound,
            format!("{path} is gone."),
            "",
        )),
    }
}

/// Carries out a plan as root. Once it was begun it comes to its end.
pub(super) async fn replace(
    connection: &Arc<Connection>,
    plan: &WritePlan,
    cancel: &CancellationToken,
) -> Result<Done, Broken> {
    let files = RootFiles::new(Arc::clone(connection));
    let (Some(after), Some(sha256)) = (&plan.after, &plan.after_sha256) else {
        let before = plan.before_sha256.as_deref().unwrap_or_default();
        let access = plan.access_before();
        files.remove(&plan.path, before, access).await?;
        return Ok(Done {
            atomic: true,
            drift: None,
            left_behind: false,
        });
    };
    let write = ssh::WritePlan {
        path: plan.path.clone(),
        content: after.content.clone(),
        mode: after.mode,
        owner: plan.ids(),
        found: plan.access_before(),
        expect: match &plan.before_sha256 {
            Some(sha256) => Expect::Sha256(sha256.clone()),
            None => Expect::Absent,
        },
        kind: plan.kind,
        temporary: plan.temporary.clone(),
    };
    let staging = plan.staging.as_deref().unwrap_or_default();
    // What is staged goes over it, at once then.
    way(connection, cancel).await?;
    let installed = files.install(&write, staging, sha256).await;
    if let Err(error) = installed.result {
        let mut failure = Failure::from(error);
        if installed.left_behind {
            failure.message = format!(
                "{} What was staged for it ({staging}) may be left on the server; the next use \
                 of the server removes it.",
                failure.message
            );
        }
        return Err(Broken {
            failure,
            left_behind: installed.left_behind,
        });
    }
    let drift = match files.look(&plan.path, LARGEST).await {
        Ok(seen) => seen.file.and_then(|(content, _)| {
            (super::digest::sha256(&content) != *sha256).then_some(Drift::Replaced(content))
        }),
        Err(error) => Some(Drift::Unreadable(error.to_string())),
    };
    Ok(Done {
        atomic: true,
        drift,
        left_behind: installed.left_behind,
    })
}

/// Whether what root can read there is hidden from other accounts; it is then kept
/// and reported as carefully as a secret.
pub(super) fn is_hidden(present: Option<&Present>) -> bool {
    present.is_some_and(|present| present.attrs.mode & 0o004 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_or_a_rule_that_names_sudo_agrees() {
        let command = Matter::Command {
            shown: "sudo -n id".to_owned(),
            raw: "sudo -n id".to_owned(),
            cwd: None,
            timeout_ms: 1,
            simple: true,
            segments: vec!["sudo -n id".to_owned()],
            shell: "/bin/sh".to_owned(),
        };
        let file = Matter::Read {
            path: "/etc/x".to_owned(),
            what: "content",
        };
        let rule = |text: &str| Answerer::Rule(text.to_owned());
        let cases = [
            (Answerer::Person, &command, true),
            (Answerer::Flag, &command, true),
            (Answerer::Automatic, &command, false),
            (Answerer::Unknown, &command, false),
            (rule("always"), &command, false),
            (rule(r#"{"remote_exec":{"*":"allow"}}"#), &command, false),
            (
                rule(r#"{"remote_exec":{"a: sudo -n id":"allow"}}"#),
                &command,
                true,
            ),
            (rule(r#"{"edit":{"ssh://a/etc/*":"allow"}}"#), &file, false),
            (
                rule(r#"{"edit":{"ssh://root@a/etc/*":"allow"}}"#),
                &file,
                true,
            ),
        ];
        for (by, matter, expected) in cases {
            let counted = counts(Answer::Granted(by.clone()), matter);
            assert_eq!(
                matches!(counted, Answer::Granted(_)),
                expected,
                "{by:?} {matter:?}"
            );
        }
        let rejected = Answer::Rejected(Answerer::Unknown, None);
        assert_eq!(counts(rejected.clone(), &command), rejected);
    }
}
