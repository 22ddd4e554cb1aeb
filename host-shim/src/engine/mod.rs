//! The wasmtime engine: loads the embedded component, gives every tool call a
//! store of its own and stops guests that loop or hoard.
//!
//! Invariant: compiled code comes from this binary's own bytes, never from disk.
//! The engine converts and delegates; what an effect does and whether it may
//! happen is the supervisor's business.

mod bindings;
mod host;
mod judge;
mod limits;
mod settings;
mod ticker;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Store, UpdateDeadline};

pub use bindings::contract;
pub use judge::{Judge, JudgeError};
pub use limits::Limits;

use bindings::{Plugin, PluginPre};
use contract::{Definition, Report};
use host::CallHost;
use ticker::Ticker;

use crate::supervisor::Call;

/// The embedded component, precompiled for this target by the build script.
static PRECOMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plugin.cwasm"));
/// The component itself, for whoever wants to inspect what is embedded.
static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plugin.wasm"));

/// Why the engine could not run a guest.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The embedded code does not fit this build of the engine.
    #[error("the embedded component cannot be loaded")]
    Load(#[source] wasmtime::Error),
    /// The guest computed for longer than it may.
    #[error("the component was stopped: it computed for more than {0:?}")]
    TooLong(Duration),
    /// The guest asked for more memory than it may use, in MiB.
    #[error("the component was stopped: it asked for more than {0} MiB")]
    TooMuchMemory(usize),
    /// The guest called the host more often than it may.
    #[error("the component was stopped: it called the host more than {0} times")]
    TooManyHostCalls(u32),
    /// The guest broke the contract: a panic, or a resource it does not own.
    #[error("the component was stopped: {0}")]
    Trap(String),
}

/// A loaded component, ready to be instantiated for each call.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// Stack of a guest, in bytes, on which the host's functions run as well: twice what
/// wasmtime gives, as an unoptimised build needs more than that. Only what is used of
/// it takes memory.
const STACK: usize = 4 * 1024 * 1024;

struct Inner {
    engine: wasmtime::Engine,
    pre: PluginPre<CallHost>,
    component: Component,
    ticker: Ticker,
    limits: Limits,
}

impl Engine {
    /// Loads the embedded component.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the code was compiled for another engine.
    pub fn embedded() -> Result<Self, EngineError> {
        #[expect(
            unsafe_code,
            reason = "the bytes were compiled by this crate's own build script and are part of this binary"
        )]
        // SAFETY: `deserialize` must only see bytes that `precompile_component`
        // produced; the build script wrote exactly those into OUT_DIR.
        unsafe {
            Self::from_precompiled(PRECOMPILED, Limits::default())
        }
    }

    /// Loads other precompiled code, for tests of how a hostile guest fares.
    ///
    /// # Safety
    /// The bytes must come from `precompile_component` of the same wasmtime
    /// version; anything else can execute arbitrary code.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the code was compiled for another engine.
    #[expect(unsafe_code, reason = "passes the caller's promise on to wasmtime")]
    pub unsafe fn from_precompiled(bytes: &[u8], limits: Limits) -> Result<Self, EngineError> {
        let mut config = settings::config();
        config.async_stack_size(STACK);
        let engine = wasmtime::Engine::new(&config).map_err(EngineError::Load)?;
        // SAFETY: promised by the caller.
        let component =
            unsafe { Component::deserialize(&engine, bytes) }.map_err(EngineError::Load)?;
        let mut linker = Linker::new(&engine);
        Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut CallHost| host)
            .map_err(EngineError::Load)?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(PluginPre::new)
            .map_err(EngineError::Load)?;
        let ticker = Ticker::start(engine.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                pre,
                component,
                ticker,
                limits,
            }),
        })
    }

    /// Returns the component as it is embedded, before compilation.
    pub fn component_bytes() -> &'static [u8] {
        COMPONENT
    }

    /// Returns the SHA-256 of the component, in hex: the version of the policy.
    pub fn component_digest() -> &'static str {
        env!("OPENSHELL_COMPONENT_SHA256")
    }

    /// Makes a judge: an instance of the same component in which every import traps.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the component cannot be instantiated that way.
    pub fn judge(&self) -> Result<Judge, EngineError> {
        Judge::new(
            &self.inner.engine,
            &self.inner.component,
            self.inner.ticker.clone(),
        )
    }

    /// Lists the tools the component offers.
    ///
    /// # Errors
    /// Any [`EngineError`] of a guest that misbehaves.
    pub async fn definitions(&self) -> Result<Vec<Definition>, EngineError> {
        let _ticking = self.inner.ticker.hold();
        let (mut store, plugin) = self.instantiate(None).await?;
        plugin
            .openshell_host_tools()
            .call_definitions(&mut store)
            .await
            .map_err(|error| self.inner.limits.classify_stop(&error))
    }

    /// Runs one tool call in a fresh store.
    ///
    /// # Errors
    /// Any [`EngineError`] of a guest that misbehaves; an ordinary failure of a
    /// tool is a report.
    pub async fn call(
        &self,
        call: Arc<Call>,
        tool: &str,
        arguments: &str,
    ) -> Result<Report, EngineError> {
        let _ticking = self.inner.ticker.hold();
        let (mut store, plugin) = self.instantiate(Some(call)).await?;
        plugin
            .openshell_host_tools()
            .call_call(&mut store, tool, arguments)
            .await
            .map_err(|error| self.inner.limits.classify_stop(&error))
    }

    /// The caller keeps the clock running: a module's start function is the
    /// guest's own code already.
    async fn instantiate(
        &self,
        call: Option<Arc<Call>>,
    ) -> Result<(Store<CallHost>, Plugin), EngineError> {
        let host = CallHost::new(call, self.inner.limits);
        let mut store = Store::new(&self.inner.engine, host);
        store.limiter(|host| host.store_limits());
        store.set_hostcall_fuel(limits::TRANSFER_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            Ok(if context.data_mut().may_go_on() {
                UpdateDeadline::Yield(1)
            } else {
                UpdateDeadline::Interrupt
            })
        });
        let plugin = self
            .inner
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(|error| self.inner.limits.classify_stop(&error))?;
        Ok((store, plugin))
    }
}
