//! The exports of the component, and the conversions between the contract's
//! types and the policy's own.
//!
//! Invariant: conversions only: what a verdict or a tool does is decided elsewhere.
//!
//! Each case of a type has exactly one counterpart, so nothing is decided by
//! leaving one out.

use crate::bindings::exports::openshell::host::policy::Guest as PolicyGuest;
use crate::bindings::exports::openshell::host::tools::{
    Definition as WitDefinition, Guest as ToolsGuest, Report as WitReport,
};
use crate::bindings::openshell::host::types as wit;
use crate::{policy, tools};

/// What the world's exports are implemented on.
pub(crate) struct Component;

impl PolicyGuest for Component {
    fn classify(subject: wit::Subject, rulebook: wit::Rulebook) -> wit::Verdict {
        policy::classify(&subject.into(), &rulebook.into()).into()
    }

    fn explain(subject: wit::Subject, rulebook: wit::Rulebook) -> (wit::Verdict, Vec<wit::Step>) {
        let (verdict, steps) = policy::explain(&subject.into(), &rulebook.into());
        let steps = steps
            .into_iter()
            .map(|step| wit::Step {
                phase: step.phase,
                item: step.item,
                finding: step.finding,
                decision: step.decision.map(Into::into),
            })
            .collect();
        (verdict.into(), steps)
    }

    fn rule_matches(rule: wit::Rule, command: String) -> bool {
        policy::rule_matches(&rule.into(), &command)
    }
}

impl ToolsGuest for Component {
    fn definitions() -> Vec<WitDefinition> {
        tools::definitions()
            .into_iter()
            .map(|tool| WitDefinition {
                name: tool.name.to_owned(),
                description: tool.description.to_owned(),
                parameters: tool.parameters.to_string(),
                read_only: tool.read_only,
            })
            .collect()
    }

    fn call(name: String, arguments: String) -> WitReport {
        let report = tools::call(&name, &arguments);
        WitReport {
            code: report.code,
            message: report.message,
            next: report.next,
            data: report.data.map(|data| data.to_string()),
        }
    }
}

impl From<wit::Decision> for policy::Decision {
    fn from(decision: wit::Decision) -> Self {
        match decision {
            wit::Decision::AutoAllow => Self::AutoAllow,
            wit::Decision::ApprovalRequired => Self::ApprovalRequired,
            wit::Decision::Reject => Self::Reject,
        }
    }
}

impl From<policy::Decision> for wit::Decision {
    fn from(decision: policy::Decision) -> Self {
        match decision {
            policy::Decision::AutoAllow => Self::AutoAllow,
            policy::Decision::ApprovalRequired => Self::ApprovalRequired,
            policy::Decision::Reject => Self::Reject,
        }
    }
}

impl From<wit::Sudo> for policy::Sudo {
    fn from(sudo: wit::Sudo) -> Self {
        match sudo {
            wit::Sudo::Never => Self::Never,
            wit::Sudo::Ask => Self::Ask,
        }
    }
}

impl From<wit::Subject> for policy::Subject {
    fn from(subject: wit::Subject) -> Self {
        Self {
            request: match subject.request {
                wit::Request::Command(text) => policy::Request::Command(text),
                wit::Request::Argv(words) => policy::Request::Argv(words),
                wit::Request::ReadPath(path) => policy::Request::ReadPath(path),
                wit::Request::ListPath(path) => policy::Request::ListPath(path),
                wit::Request::StatPath(path) => policy::Request::StatPath(path),
                wit::Request::WritePath(path) => policy::Request::WritePath(path),
            },
            server: subject.server,
            tool: subject.tool,
            labels: subject.labels,
            cwd: subject.cwd,
            home: subject.home,
            resolved: subject.resolved,
            sudo: subject.sudo.map(Into::into),
        }
    }
}

impl From<wit::Rule> for policy::Rule {
    fn from(rule: wit::Rule) -> Self {
        Self {
            id: rule.id,
            origin: match rule.origin {
                wit::RuleOrigin::Operator => policy::RuleOrigin::Operator,
                wit::RuleOrigin::Workspace => policy::RuleOrigin::Workspace,
            },
            servers: rule.servers,
            labels: rule.labels,
            tools: rule.tools,
            prefix: rule.prefix,
            decision: rule.decision.into(),
            reason: rule.reason,
            overrides_catastrophe: rule.overrides_catastrophe,
        }
    }
}

impl From<wit::Rulebook> for policy::Rulebook {
    fn from(rulebook: wit::Rulebook) -> Self {
        Self {
            rules: rulebook.rules.into_iter().map(Into::into).collect(),
            pipelines_each_stage: rulebook.pipelines_each_stage,
            secret_paths: rulebook.secret_paths,
        }
    }
}

impl From<policy::Verdict> for wit::Verdict {
    fn from(verdict: policy::Verdict) -> Self {
        Self {
            decision: verdict.decision.into(),
            rule: verdict.rule,
            reason: verdict.reason,
            stages: verdict.stages,
            globs: verdict.globs,
            run_as: verdict.run_as,
            segments: verdict.segments,
        }
    }
}
