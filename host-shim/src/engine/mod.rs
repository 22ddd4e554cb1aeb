//! The wasmtime engine: loads the embedded component, gives every tool call a
//! store of its own and stops guests that loop or hoard.
//!
//! Invariant: compiled code comes from this binary's own bytes, never from disk.
//! The engine converts and delegates; what an effect does and whether it may
//! happen is the supervisor's business.

mod bindings;
mod host;
mod judge;
mod settings;
mod ticker;

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

pub use bindings::contract;
pub use judge::{Judge, JudgeError};

use bindings::{Plugin, PluginPre};
use contract::{Definition, Report};
use host::CallHost;
use ticker::Ticker;

use crate::supervisor::Call;

/// Memory one call's guest may use, in bytes. The largest write (32 MiB) exists
/// a few times over while its JSON is taken apart.
const MEMORY_MAX: usize = 320 * 1024 * 1024;
/// How long a guest may compute without calling the host, in ticks of
/// [`ticker::TICK`]. A patch of 32 MiB takes well under a second.
const COMPUTE_TICKS: u64 = 1_000;

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
    /// The guest computed for longer than it may without calling the host.
    #[error("the component was stopped: it computed for more than {} s", COMPUTE_TICKS / 100)]
    TooLong,
    /// The guest asked for more memory than a call may use.
    #[error("the component was stopped: it asked for more than {} MiB", MEMORY_MAX >> 20)]
    TooMuchMemory,
    /// The guest broke the contract: a panic, or a resource it does not own.
    #[error("the component was stopped: {0}")]
    Trap(String),
}

/// A loaded component, ready to be instantiated for each call.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    pre: PluginPre<CallHost>,
    component: Component,
    ticker: Ticker,
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
            Self::from_precompiled(PRECOMPILED)
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
    pub unsafe fn from_precompiled(bytes: &[u8]) -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&settings::config()).map_err(EngineError::Load)?;
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
        let (mut store, plugin) = self.instantiate(CallHost::without_call()).await?;
        let _ticking = self.inner.ticker.hold();
        plugin
            .openshell_host_tools()
            .call_definitions(&mut store)
            .await
            .map_err(classify_stop)
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
        let (mut store, plugin) = self.instantiate(CallHost::new(call)).await?;
        let _ticking = self.inner.ticker.hold();
        plugin
            .openshell_host_tools()
            .call_call(&mut store, tool, arguments)
            .await
            .map_err(classify_stop)
    }

    async fn instantiate(&self, host: CallHost) -> Result<(Store<CallHost>, Plugin), EngineError> {
        let mut store = Store::new(&self.inner.engine, host);
        store.limiter(|host| host.limits());
        store.set_epoch_deadline(1);
        // Epochs are wall time, so the ticks spent inside host calls (waiting for
        // a server or a person) must not count: the host notes them.
        store.epoch_deadline_callback(|mut context| {
            Ok(if context.data_mut().tick() > COMPUTE_TICKS {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        let plugin = self
            .inner
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(classify_stop)?;
        Ok((store, plugin))
    }
}

/// Limits of one call's store.
fn limits() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(MEMORY_MAX)
        .instances(8)
        .tables(8)
        .memories(4)
        .trap_on_grow_failure(true)
        .build()
}

/// Tells apart the ways a guest can be stopped.
fn classify_stop(error: wasmtime::Error) -> EngineError {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => EngineError::TooLong,
        Some(trap) => EngineError::Trap(trap.to_string()),
        None => {
            let text = format!("{error:#}");
            if text.contains("forcing trap when growing memory") {
                EngineError::TooMuchMemory
            } else {
                EngineError::Trap(text)
            }
        }
    }
}
