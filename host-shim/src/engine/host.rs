//! The imports of the component: conversions from the generated traits to the
//! supervisor, and the table of resources a call holds.
//!
//! A mistake of the guest (a failure) is data; a broken contract (a handle it does
//! not own) is a trap. Invariant: a permit is taken out of the table before it is
//! spent, so no handle works twice. What an effect does, it deliberately does not
//! know.

use std::sync::Arc;

use wasmtime::StoreLimits;
use wasmtime::component::{Resource, ResourceTable};

use super::bindings::openshell::host::{effects, outputs, servers, types};
use super::contract::{
    Content, ExecResult, Failure, Listing, Operation, Piece, Server, StatResult, Written,
};
use super::limits::{Limits, TooManyHostCalls};
use crate::supervisor::{Action, Call, Permit};

type HostResult<T> = wasmtime::Result<Result<T, Failure>>;

/// The data of a call's store.
pub(super) struct CallHost {
    /// None for asking what the component offers, where no effect makes sense.
    call: Option<Arc<Call>>,
    table: ResourceTable,
    limits: Limits,
    store_limits: StoreLimits,
    /// Epochs the guest has computed in.
    ticks: u64,
    host_calls: u32,
    /// Whether the host was called since the last epoch that was looked at.
    waited: bool,
}

impl CallHost {
    pub(super) fn new(call: Option<Arc<Call>>, limits: Limits) -> Self {
        Self {
            call,
            table: ResourceTable::new(),
            limits,
            store_limits: limits.store(),
            ticks: 0,
            host_calls: 0,
            waited: false,
        }
    }

    pub(super) fn store_limits(&mut self) -> &mut StoreLimits {
        &mut self.store_limits
    }

    /// Says, once in an epoch of computing, whether the guest may compute on.
    pub(super) fn may_go_on(&mut self) -> bool {
        // Epochs are wall time: this one may have passed while the host waited
        // for a server or a person, so it does not count. The limit on host calls
        // keeps a guest from living on such epochs.
        if !std::mem::take(&mut self.waited) {
            self.ticks += 1;
        }
        self.ticks <= self.limits.ticks()
    }

    /// The call, at the start of a host function.
    fn call(&mut self) -> wasmtime::Result<Arc<Call>> {
        self.waited = true;
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(wasmtime::Error::new(TooManyHostCalls));
        }
        self.call
            .clone()
            .ok_or_else(|| wasmtime::Error::msg("effects are only there during a tool call"))
    }

    fn take(&mut self, permit: Resource<Permit>) -> wasmtime::Result<(Arc<Call>, Permit)> {
        let permit = self.table.delete(permit)?;
        Ok((self.call()?, permit))
    }
}

impl types::Host for CallHost {}

impl servers::Host for CallHost {
    async fn list_servers(&mut self) -> HostResult<Vec<Server>> {
        Ok(self.call()?.list_servers().await)
    }
}

impl outputs::Host for CallHost {
    async fn read(&mut self, id: String, offset: u64, length: u32) -> HostResult<Piece> {
        Ok(self.call()?.read_kept(id, offset, length).await)
    }
}

impl effects::Host for CallHost {
    async fn run(&mut self, permit: Resource<Permit>) -> HostResult<ExecResult> {
        let (call, permit) = self.take(permit)?;
        Ok(Box::pin(call.run(permit)).await)
    }

    async fn read(&mut self, permit: Resource<Permit>) -> HostResult<Content> {
        let (call, permit) = self.take(permit)?;
        Ok(Box::pin(call.read(permit)).await)
    }

    async fn stat(&mut self, permit: Resource<Permit>) -> HostResult<StatResult> {
        let (call, permit) = self.take(permit)?;
        Ok(Box::pin(call.stat(permit)).await)
    }

    async fn walk(&mut self, permit: Resource<Permit>) -> HostResult<Listing> {
        let (call, permit) = self.take(permit)?;
        Ok(Box::pin(call.walk(permit)).await)
    }

    async fn write(&mut self, permit: Resource<Permit>) -> HostResult<Written> {
        let (call, permit) = self.take(permit)?;
        Ok(Box::pin(call.write(permit)).await)
    }
}

impl effects::HostAction for CallHost {
    async fn open(&mut self, server: String) -> HostResult<Resource<Action>> {
        let call = self.call()?;
        match Box::pin(call.open(&server)).await {
            Ok(action) => Ok(Ok(self.table.push(action)?)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn permit(
        &mut self,
        action: Resource<Action>,
        operation: Operation,
    ) -> HostResult<Resource<Permit>> {
        let call = self.call()?;
        let action = self.table.get(&action)?.clone();
        match Box::pin(call.permit(&action, operation)).await {
            Ok(permit) => Ok(Ok(self.table.push(permit)?)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn drop(&mut self, action: Resource<Action>) -> wasmtime::Result<()> {
        self.table.delete(action)?;
        Ok(())
    }
}

impl effects::HostPermit for CallHost {
    async fn drop(&mut self, permit: Resource<Permit>) -> wasmtime::Result<()> {
        self.table.delete(permit)?;
        Ok(())
    }
}
