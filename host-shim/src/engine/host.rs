//! The imports of the component: conversions from the generated traits to the
//! supervisor, and the table of resources a call holds.
//!
//! A mistake of the guest (a failure) is data; a broken contract (a handle it
//! does not own) is a trap.

use std::sync::Arc;

use wasmtime::StoreLimits;
use wasmtime::component::{Resource, ResourceTable};

use super::bindings::openshell::host::{effects, servers, types};
use super::contract::{
    Content, ExecResult, Failure, Listing, Operation, Server, StatResult, Written,
};
use crate::supervisor::{Action, Call, Permit};

type HostResult<T> = wasmtime::Result<Result<T, Failure>>;

/// The data of a call's store.
pub(super) struct CallHost {
    call: Option<Arc<Call>>,
    table: ResourceTable,
    limits: StoreLimits,
    ticks: u64,
}

impl CallHost {
    pub(super) fn new(call: Arc<Call>) -> Self {
        Self {
            call: Some(call),
            table: ResourceTable::new(),
            limits: super::limits(),
            ticks: 0,
        }
    }

    /// For asking what the component offers, where no effect makes sense.
    pub(super) fn without_call() -> Self {
        Self {
            call: None,
            table: ResourceTable::new(),
            limits: super::limits(),
            ticks: 0,
        }
    }

    pub(super) fn limits(&mut self) -> &mut StoreLimits {
        &mut self.limits
    }

    /// Counts one tick of computing and returns how many there were in a row.
    pub(super) fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// The call, at the start of a host function: the guest came back, so its
    /// computing time starts anew.
    fn call(&mut self) -> wasmtime::Result<Arc<Call>> {
        self.ticks = 0;
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

impl effects::Host for CallHost {
    async fn run(&mut self, permit: Resource<Permit>) -> HostResult<ExecResult> {
        let (call, permit) = self.take(permit)?;
        Ok(call.run(permit).await)
    }

    async fn read(&mut self, permit: Resource<Permit>) -> HostResult<Content> {
        let (call, permit) = self.take(permit)?;
        Ok(call.read(permit).await)
    }

    async fn stat(&mut self, permit: Resource<Permit>) -> HostResult<StatResult> {
        let (call, permit) = self.take(permit)?;
        Ok(call.stat(permit).await)
    }

    async fn walk(&mut self, permit: Resource<Permit>) -> HostResult<Listing> {
        let (call, permit) = self.take(permit)?;
        Ok(call.walk(permit).await)
    }

    async fn write(&mut self, permit: Resource<Permit>) -> HostResult<Written> {
        let (call, permit) = self.take(permit)?;
        Ok(call.write(permit).await)
    }
}

impl effects::HostAction for CallHost {
    async fn open(&mut self, server: String) -> HostResult<Resource<Action>> {
        let call = self.call()?;
        match call.open(&server).await {
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
        match call.permit(&action, operation).await {
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
