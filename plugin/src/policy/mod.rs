//! Placeholder replaced by the merge of the policy.
#![allow(missing_docs, clippy::allow_attributes_without_reason)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision { AutoAllow, ApprovalRequired, Reject }
pub enum Request { Command(String), Argv(Vec<String>), ReadPath(String), ListPath(String), StatPath(String), WritePath(String) }
pub struct Subject { pub request: Request, pub server: String, pub tool: String, pub labels: Vec<String>, pub cwd: Option<String>, pub home: Option<String>, pub resolved: Option<String> }
pub enum RuleOrigin { Operator, Workspace }
pub struct Rule { pub id: String, pub origin: RuleOrigin, pub servers: Vec<String>, pub labels: Vec<String>, pub tools: Vec<String>, pub prefix: Vec<Vec<String>>, pub decision: Decision, pub reason: String, pub overrides_catastrophe: bool }
pub struct Rulebook { pub rules: Vec<Rule>, pub pipelines_each_stage: bool, pub secret_paths: Vec<String> }
pub struct Verdict { pub decision: Decision, pub rule: String, pub reason: String, pub stages: Vec<Vec<String>>, pub globs: Vec<(u32, u32)> }
pub struct Step { pub phase: String, pub item: String, pub finding: String, pub decision: Option<Decision> }
pub fn classify(s: &Subject, _r: &Rulebook) -> Verdict {
    let ok = match &s.request { Request::Command(c) => c.starts_with("cat ") || c.starts_with("uptime"), Request::WritePath(_) => false, _ => true };
    let stages = match &s.request { Request::Command(c) => vec![c.split(' ').map(str::to_owned).collect()], Request::Argv(a) => vec![a.clone()], _ => vec![] };
    Verdict { decision: if ok { Decision::AutoAllow } else { Decision::ApprovalRequired }, rule: "placeholder".into(), reason: "Placeholder.".into(), stages, globs: vec![] }
}
pub fn explain(s: &Subject, r: &Rulebook) -> (Verdict, Vec<Step>) { (classify(s, r), vec![]) }
pub fn rule_matches(_r: &Rule, _c: &str) -> bool { false }
pub fn is_secret_path(p: &str) -> bool { p.ends_with("shadow") }
