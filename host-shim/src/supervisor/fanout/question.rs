//! One question about several servers, made of the questions about each.
//!
//! Invariant: servers come into one question only where exactly the same thing
//! would be done, as the same account; its digest covers every server with the
//! digest of the operation there, so an answer cannot be moved to other servers. It
//! puts no question.

use std::collections::{BTreeMap, BTreeSet};

use crate::approvals::{Place, Question, fold};
use crate::supervisor::digest::Digester;

/// Questions that can be put as one, by the place of each in the call.
pub(super) struct Fleet {
    /// Whom the answer is for.
    pub(super) members: Vec<usize>,
    /// What is put to the person.
    pub(super) question: Question,
}

impl Fleet {
    /// Whether the question is about more than one server.
    pub(super) fn is_several(&self) -> bool {
        self.members.len() > 1
    }
}

/// Puts questions together. `besides` are the servers on which the call goes ahead
/// without anybody's consent.
pub(super) fn fleets(mut asked: Vec<(usize, Question)>, besides: &[String]) -> Vec<Fleet> {
    asked.sort_by(|(_, a), (_, b)| a.place.server.cmp(&b.place.server));
    let mut alike: Vec<Vec<(usize, Question)>> = Vec::new();
    for (member, question) in asked {
        let same = alike.iter_mut().find(|questions| {
            questions.first().is_some_and(|(_, first)| {
                first.tool == question.tool
                    && first.matter == question.matter
                    && first.run_as == question.run_as
            })
        });
        match same {
            Some(questions) => questions.push((member, question)),
            None => alike.push(vec![(member, question)]),
        }
    }
    alike
        .into_iter()
        .filter_map(|questions| {
            let members = questions.iter().map(|(member, _)| *member).collect();
            let questions: Vec<Question> = questions
                .into_iter()
                .map(|(_, question)| question)
                .collect();
            let mut question = together(questions)?;
            question.besides = besides.to_vec();
            Some(Fleet { members, question })
        })
        .collect()
}

fn together(mut questions: Vec<Question>) -> Option<Question> {
    if questions.len() <= 1 {
        return questions.pop();
    }
    let digest = questions.iter().fold(
        Digester::new("openshell question about servers 1")
            .number("servers", questions.len() as u64),
        |digest, question| {
            digest
                .text("server", &question.place.server)
                .text("operation", &question.digest)
        },
    );
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for question in &questions {
        reasons
            .entry(&question.reason)
            .or_default()
            .push(&question.place.server);
    }
    let reason = if reasons.len() == 1 {
        reasons.keys().copied().collect()
    } else {
        let each: Vec<String> = reasons
            .iter()
            .map(|(reason, servers)| format!("{reason} ({})", fold(servers.iter().copied())))
            .collect();
        each.join("; ")
    };
    let rules: BTreeSet<&str> = questions
        .iter()
        .map(|question| question.rule.as_str())
        .collect();
    let rules: Vec<&str> = rules.into_iter().collect();
    let fleet: Vec<Place> = questions
        .iter()
        .map(|question| question.place.clone())
        .collect();
    let first = questions.first()?;
    Some(Question {
        tool: first.tool.clone(),
        place: Place::of_all(&fleet),
        run_as: first.run_as.clone(),
        matter: first.matter.clone(),
        reason,
        rule: rules.join(", "),
        digest: digest.finish(),
        expires_ms: first.expires_ms,
        presence: questions.iter().any(|question| question.presence),
        fleet,
        besides: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::tests_shown::command;

    fn on(server: &str, text: &str, label: &str) -> Question {
        let mut question = command(text);
        question.place.server = server.to_owned();
        question.place.labels = vec![label.to_owned()];
        question.digest = format!("digest of {server} {text}");
        question
    }

    #[test]
    fn the_same_thing_is_one_question_about_all_servers() {
        let asked = vec![
            (0, on("web-2", "reboot", "prod")),
            (3, on("web-1", "reboot", "staging")),
        ];
        let mut fleets = fleets(asked.clone(), &["ci".to_owned()]);
        assert_eq!(fleets.len(), 1);
        let fleet = fleets.remove(0);
        assert!(fleet.is_several());
        assert_eq!(fleet.members, [3, 0]);
        let question = fleet.question;
        assert_eq!(question.place.server, "web-[1-2]");
        assert_eq!(question.place.labels, ["prod", "staging"]);
        assert_eq!(question.reason, "it writes");
        assert_eq!(question.besides, ["ci"]);
        let ids: Vec<&str> = question
            .fleet
            .iter()
            .map(|place| place.server.as_str())
            .collect();
        assert_eq!(ids, ["web-1", "web-2"]);

        // Another server, or another operation on one of them, is another question.
        let digest = |asked| super::fleets(asked, &[]).remove(0).question.digest;
        let same = digest(asked.iter().rev().cloned().collect());
        assert_eq!(same, question.digest);
        let mut more = asked.clone();
        more.push((4, on("web-3", "reboot", "prod")));
        assert_ne!(digest(more), question.digest);
        let mut other = asked;
        other[0].1.digest = "another".to_owned();
        assert_ne!(digest(other), question.digest);
    }

    #[test]
    fn different_things_are_different_questions() {
        let mut as_root = on("c", "reboot", "x");
        as_root.run_as = vec!["root".to_owned()];
        let asked = vec![
            (0, on("a", "reboot", "x")),
            (1, on("b", "halt", "x")),
            (2, as_root),
            (3, on("d", "reboot", "x")),
        ];
        let members: Vec<Vec<usize>> = fleets(asked, &[])
            .into_iter()
            .map(|fleet| fleet.members)
            .collect();
        assert_eq!(members, [vec![0, 3], vec![1], vec![2]]);
    }

    #[test]
    fn reasons_and_presence_of_one_are_those_of_all() {
        let mut strict = on("b", "reboot", "x");
        strict.reason = "a rule asks".to_owned();
        strict.presence = true;
        let question = fleets(vec![(0, on("a", "reboot", "x")), (1, strict)], &[])
            .remove(0)
            .question;
        assert_eq!(question.reason, "a rule asks (b); it writes (a)");
        assert!(question.presence);
    }
}
