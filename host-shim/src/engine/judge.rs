//! Asks the policy for verdicts, in an instance that can do nothing else.
//!
//! Invariant: every import of a judge's instance traps, so the code that judges
//! an operation is not the code that asked for it and has no way to act. The
//! policy is pure, which is why one instance may answer many questions.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{Component, ComponentNamedList, Lift, Linker, Lower};
use wasmtime::{Store, StoreLimits};

use super::EngineError;
use super::contract::{Rule, Rulebook, Step, Subject, Verdict};
use super::limits::{self, Limits};
use super::ticker::Ticker;

const INTERFACE: &str = "openshell:host/policy@0.1.0";

/// The policy could not give a verdict; nothing may run then.
#[derive(Debug, thiserror::Error)]
#[error("the policy gave no verdict: {0}")]
pub struct JudgeError(#[from] EngineError);

/// An import-free instance of the component.
#[derive(Clone)]
pub struct Judge {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    pre: wasmtime::component::InstancePre<Data>,
    ticker: Ticker,
    instance: Mutex<Option<Instance>>,
}

struct Data {
    limits: StoreLimits,
}

struct Instance {
    store: Store<Data>,
    instance: wasmtime::component::Instance,
}

impl Judge {
    pub(super) fn new(
        engine: &wasmtime::Engine,
        component: &Component,
        ticker: Ticker,
    ) -> Result<Self, EngineError> {
        let mut linker = Linker::new(engine);
        linker
            .define_unknown_imports_as_traps(component)
            .map_err(EngineError::Load)?;
        let pre = linker
            .instantiate_pre(component)
            .map_err(EngineError::Load)?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                pre,
                ticker,
                instance: Mutex::new(None),
            }),
        })
    }

    /// Returns the verdict on a subject.
    ///
    /// # Errors
    /// [`JudgeError`] when the component traps or takes too long.
    pub fn classify(&self, subject: &Subject, rulebook: &Rulebook) -> Result<Verdict, JudgeError> {
        let (verdict,): (Verdict,) = self.ask("classify", (subject, rulebook))?;
        Ok(verdict)
    }

    /// Returns the verdict with its derivation.
    ///
    /// # Errors
    /// [`JudgeError`] as of [`Judge::classify`]; nothing is explained then.
    pub fn explain(
        &self,
        subject: &Subject,
        rulebook: &Rulebook,
    ) -> Result<(Verdict, Vec<Step>), JudgeError> {
        let (answer,): ((Verdict, Vec<Step>),) = self.ask("explain", (subject, rulebook))?;
        Ok(answer)
    }

    /// Tells whether a rule's words match a command.
    ///
    /// # Errors
    /// [`JudgeError`] as of [`Judge::classify`]; whether the rule matches is not
    /// known then.
    pub fn rule_matches(&self, rule: &Rule, command: &str) -> Result<bool, JudgeError> {
        let (answer,): (bool,) = self.ask("rule-matches", (rule, command))?;
        Ok(answer)
    }

    fn ask<P, R>(&self, function: &str, parameters: P) -> Result<R, JudgeError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let mut slot = self
            .inner
            .instance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A trap poisons the instance: it stays taken out, and the next question
        // gets a new one.
        let _ticking = self.inner.ticker.hold();
        let mut instance = match slot.take() {
            Some(instance) => instance,
            None => self.instantiate()?,
        };
        instance.store.set_epoch_deadline(Limits::VERDICT.ticks());
        let answer = instance
            .ask(function, parameters)
            .map_err(|error| Limits::VERDICT.classify_stop(&error))?;
        *slot = Some(instance);
        Ok(answer)
    }

    fn instantiate(&self) -> Result<Instance, EngineError> {
        let data = Data {
            limits: Limits::VERDICT.store(),
        };
        let mut store = Store::new(&self.inner.engine, data);
        store.limiter(|data| &mut data.limits);
        store.set_hostcall_fuel(limits::TRANSFER_MAX);
        store.set_epoch_deadline(Limits::VERDICT.ticks());
        let instance = self
            .inner
            .pre
            .instantiate(&mut store)
            .map_err(|error| Limits::VERDICT.classify_stop(&error))?;
        Ok(Instance { store, instance })
    }
}

impl Instance {
    fn ask<P, R>(&mut self, function: &str, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let interface = self
            .instance
            .get_export_index(&mut self.store, None, INTERFACE);
        let index = interface.and_then(|interface| {
            self.instance
                .get_export_index(&mut self.store, Some(&interface), function)
        });
        let index = index.ok_or_else(|| {
            wasmtime::Error::msg(format!(
                "the component does not export {INTERFACE} {function}"
            ))
        })?;
        let function = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, index)?;
        function.call(&mut self.store, parameters)
    }
}
