//! The policy in the component and the policy as a library say the same.
//!
//! What is tested and fuzzed natively is then what decides: there is one answer to
//! a request, whichever way the same source was compiled.
//!
//! It does not say that the answer is right; the policy's own tests do.

use openshell_host::contract;
use openshell_host::engine::{Engine, Judge};
use openshell_plugin::policy;
use openshell_tests::{EVERYDAY, Generator, HARMFUL, PUBLIC, lines};
use serde_json::Value;

/// Commands that a seed makes.
const GENERATED: u64 = 100_000;
/// They are judged on as many threads, each with an instance of its own.
const THREADS: u64 = 2;

fn embedded() -> Engine {
    Engine::embedded().expect("the embedded component loads")
}

/// The subject for the library.
fn natively(subject: &contract::Subject) -> policy::Subject {
    let request = match subject.request.clone() {
        contract::Request::Command(text) => policy::Request::Command(text),
        contract::Request::Argv(words) => policy::Request::Argv(words),
        contract::Request::ReadPath(path) => policy::Request::ReadPath(path),
        contract::Request::ListPath(path) => policy::Request::ListPath(path),
        contract::Request::StatPath(path) => policy::Request::StatPath(path),
        contract::Request::WritePath(path) => policy::Request::WritePath(path),
    };
    policy::Subject {
        request,
        server: subject.server.clone(),
        tool: subject.tool.clone(),
        labels: subject.labels.clone(),
        cwd: subject.cwd.clone(),
        home: subject.home.clone(),
        resolved: subject.resolved.clone(),
        sudo: subject.sudo.map(|sudo| match sudo {
            contract::Sudo::Never => policy::Sudo::Never,
            contract::Sudo::Ask => policy::Sudo::Ask,
        }),
    }
}

/// The rules, for the component and for the library.
fn rulebooks() -> (contract::Rulebook, policy::Rulebook) {
    let prefix = vec![vec!["systemctl".to_owned()], vec!["restart".to_owned()]];
    let secret = "/work/*.log".to_owned();
    let native = policy::Rulebook {
        rules: vec![policy::Rule {
            id: "restarts".to_owned(),
            origin: policy::RuleOrigin::Operator,
            servers: vec!["web-*".to_owned()],
            labels: Vec::new(),
            tools: Vec::new(),
            prefix: prefix.clone(),
            decision: policy::Decision::AutoAllow,
            reason: "the operator restarts by it".to_owned(),
            overrides_catastrophe: false,
        }],
        pipelines_each_stage: true,
        secret_paths: vec![secret.clone()],
    };
    let component = contract::Rulebook {
        rules: vec![contract::Rule {
            id: "restarts".to_owned(),
            origin: contract::RuleOrigin::Operator,
            servers: vec!["web-*".to_owned()],
            labels: Vec::new(),
            tools: Vec::new(),
            prefix,
            decision: contract::Decision::AutoAllow,
            reason: "the operator restarts by it".to_owned(),
            overrides_catastrophe: false,
        }],
        pipelines_each_stage: true,
        secret_paths: vec![secret],
    };
    (component, native)
}

/// Judges requests both ways, half of them under rules and in a directory.
struct Both {
    judge: Judge,
    plain: (contract::Rulebook, policy::Rulebook),
    ruled: (contract::Rulebook, policy::Rulebook),
}

impl Both {
    fn new(engine: &Engine) -> Self {
        let plain = contract::Rulebook {
            rules: Vec::new(),
            pipelines_each_stage: false,
            secret_paths: Vec::new(),
        };
        Self {
            judge: engine.judge().expect("the component can be instantiated"),
            plain: (plain, policy::Rulebook::default()),
            ruled: rulebooks(),
        }
    }

    /// Whether it is allowed, which both say alike.
    fn agree(&self, request: contract::Request, n: u64) -> bool {
        let some = |text: &str, when: bool| when.then(|| text.to_owned());
        let subject = contract::Subject {
            request,
            server: "web-1".to_owned(),
            tool: "remote_exec".to_owned(),
            labels: vec!["prod".to_owned()],
            cwd: some("/work", n % 4 < 2),
            home: some("/home/deploy", n % 8 < 4),
            resolved: None,
            sudo: match n % 3 {
                0 => None,
                1 => Some(contract::Sudo::Never),
                _ => Some(contract::Sudo::Ask),
            },
        };
        let (component, native) = if n.is_multiple_of(2) {
            &self.plain
        } else {
            &self.ruled
        };
        let compiled = self.judge.classify(&subject, component);
        let compiled = compiled.unwrap_or_else(|error| panic!("{subject:?}: {error}"));
        let library = policy::classify(&natively(&subject), native);
        let decision = match library.decision {
            policy::Decision::AutoAllow => contract::Decision::AutoAllow,
            policy::Decision::ApprovalRequired => contract::Decision::ApprovalRequired,
            policy::Decision::Reject => contract::Decision::Reject,
        };
        let library = contract::Verdict {
            decision,
            rule: library.rule,
            reason: library.reason,
            stages: library.stages,
            globs: library.globs,
            run_as: library.run_as,
            segments: library.segments,
        };
        assert_eq!(compiled, library, "{subject:?}");
        decision == contract::Decision::AutoAllow
    }
}

#[test]
fn lists_and_corpus_are_judged_alike() {
    let both = Both::new(&embedded());
    let corpus = PUBLIC.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("the corpus is JSON lines");
        line["command"]
            .as_str()
            .expect("a command is text")
            .to_owned()
    });
    let commands: Vec<String> = corpus
        .chain(lines(EVERYDAY).chain(lines(HARMFUL)).map(str::to_owned))
        .collect();
    assert!(commands.len() > 4_000);
    for command in &commands {
        for n in 0..2 {
            both.agree(contract::Request::Command(command.clone()), n);
        }
    }
}

#[test]
fn paths_are_judged_alike() {
    let both = Both::new(&embedded());
    let mut allowed = 0_u32;
    let mut judged = 0_u32;
    for line in lines(EVERYDAY).chain(lines(HARMFUL)).step_by(3) {
        for word in line
            .split(' ')
            .filter(|word| word.contains(['/', '~', '.']))
        {
            for (n, request) in [
                contract::Request::ReadPath,
                contract::Request::ListPath,
                contract::Request::StatPath,
                contract::Request::WritePath,
            ]
            .into_iter()
            .enumerate()
            {
                allowed += u32::from(both.agree(request(word.to_owned()), n as u64));
                judged += 1;
            }
        }
    }
    assert!(allowed > 0 && allowed < judged, "{allowed} of {judged}");
}

#[test]
fn generated_commands_are_judged_alike() {
    let engine = embedded();
    let allowed: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| {
                let both = Both::new(&engine);
                scope.spawn(move || {
                    let generator = Generator::new(20_260_101);
                    let mut allowed = 0;
                    for n in (first..GENERATED).step_by(THREADS as usize) {
                        let command = generator.command(n);
                        // Also as words that no shell reads.
                        let request = if n % 16 == 15 {
                            let words = command.split(' ').map(str::to_owned);
                            contract::Request::Argv(words.collect())
                        } else {
                            contract::Request::Command(command)
                        };
                        allowed += u64::from(both.agree(request, n));
                    }
                    allowed
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no verdict differs"))
            .sum()
    });
    // A generator whose commands all end alike would prove nothing.
    assert!(
        allowed > GENERATED / 20 && allowed < GENERATED / 2,
        "{allowed} of {GENERATED} are allowed"
    );
}
