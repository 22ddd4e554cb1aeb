//! The connections that are open, one per way to reach an account.
//!
//! Invariant: callers that want the same connection at the same time share one
//! dial and its result, and nobody waits for another server's dial; a host that
//! cannot be reached is left alone for a while (`breaker`). It deliberately never
//! repeats what a caller did over a connection that was lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::breaker::Breaker;
use super::connection::Connection;
use super::error::SshError;
use super::pace::Pace;
use super::target::{Identity, Target};

/// How a pool treats connections nobody uses.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// A connection unused for this long is closed.
    pub idle: Duration,
    /// A connection unused for this long is asked for a sign of life before it
    /// is handed out again.
    pub probe_after: Duration,
    /// How long that sign may take.
    pub probe_limit: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(300),
            probe_after: Duration::from_secs(10),
            probe_limit: Duration::from_secs(3),
        }
    }
}

/// Open connections, dialled on demand. Cloning shares them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<PoolState>,
}

struct PoolState {
    config: PoolConfig,
    pace: Pace,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    closed: bool,
    sweeping: bool,
    next_dial: u64,
    by_identity: HashMap<Identity, Entry>,
    /// Those that could not be reached the last time.
    breakers: HashMap<Identity, Breaker>,
}

enum Entry {
    Dialling { dial: u64, result: Dial },
    Open(Arc<Connection>),
}

type Dial = Shared<BoxFuture<'static, Result<Arc<Connection>, SshError>>>;

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(config: PoolConfig) -> Self {
        Self {
            shared: Arc::new(PoolState {
                config,
                pace: Pace::default(),
                entries: Mutex::default(),
            }),
        }
    }

    /// The connection to a target: the open one, or a new one if there is none
    /// or it is dead.
    ///
    /// # Errors
    /// Whatever kept the target, or a jump host before it, from letting us in.
    pub async fn connection(&self, target: &Target) -> Result<Arc<Connection>, SshError> {
        let identity = target.identity();
        if let Some(open) = self.shared.open_connection(&identity) {
            let config = &self.shared.config;
            if open.idle() < config.probe_after || open.answers(config.probe_limit).await {
                return Ok(open);
            }
            self.shared.forget(&identity, &open);
        }
        self.dial(identity, target).await
    }

    /// Dials a target beside everything else, if there is no connection to it and its
    /// last dial went well. Nobody hears how it went but the next who needs it.
    pub fn dial_ahead(&self, target: Target) {
        let identity = target.identity();
        let wanted = {
            let entries = self.shared.lock();
            let open = match entries.by_identity.get(&identity) {
                Some(Entry::Open(open)) => !open.is_closed(),
                Some(Entry::Dialling { .. }) => true,
                None => false,
            };
            !open && !entries.closed && !entries.breakers.contains_key(&identity)
        };
        if wanted {
            let pool = self.clone();
            tokio::spawn(async move { drop(pool.dial(identity, &target).await) });
        }
    }

    async fn dial(&self, identity: Identity, target: &Target) -> Result<Arc<Connection>, SshError> {
        let result = {
            let mut entries = self.shared.lock();
            if entries.closed {
                return Err(SshError::ConnectionLost { started: false });
            }
            match entries.by_identity.get(&identity) {
                Some(Entry::Open(open)) if !open.is_closed() => return Ok(Arc::clone(open)),
                Some(Entry::Dialling { result, .. }) => result.clone(),
                _ => {
                    if let Some(breaker) = entries.breakers.get(&identity) {
                        breaker.check(Instant::now())?;
                    }
                    let dial = entries.next_dial;
                    entries.next_dial += 1;
                    let result = self.start(identity.clone(), dial, target.clone());
                    entries.by_identity.insert(
                        identity,
                        Entry::Dialling {
                            dial,
                            result: result.clone(),
                        },
                    );
                    result
                }
            }
        };
        self.sweep();
        result.await
    }

    /// Dials in a task of its own, so that a caller who gives up takes nothing
    /// away from the others.
    fn start(&self, identity: Identity, dial: u64, target: Target) -> Dial {
        let pool = self.clone();
        let task = tokio::spawn(async move {
            let result = pool.dial_chain(&target).await;
            pool.shared.settle(identity, dial, &result);
            result
        });
        async move {
            match task.await {
                Ok(result) => result,
                Err(error) => Err(SshError::Local(error.to_string())),
            }
        }
        .boxed()
        .shared()
    }

    async fn dial_chain(&self, target: &Target) -> Result<Arc<Connection>, SshError> {
        let via = match &target.jump {
            Some(jump) => {
                let through = Box::pin(self.connection(jump)).await;
                Some(through.map_err(|source| SshError::Jump {
                    id: jump.id.clone(),
                    source: Box::new(source),
                })?)
            }
            None => None,
        };
        Connection::dial(target, via, &self.shared.pace).await
    }

    /// Starts the task that closes what nobody uses; it ends with the pool.
    fn sweep(&self) {
        let mut entries = self.shared.lock();
        if entries.sweeping || entries.closed {
            return;
        }
        entries.sweeping = true;
        let state: Weak<PoolState> = Arc::downgrade(&self.shared);
        let period = (self.shared.config.idle / 4).max(Duration::from_millis(10));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                let Some(state) = state.upgrade() else { return };
                for idle in state.take_idle() {
                    idle.close().await;
                }
                if state.lock().closed {
                    return;
                }
            }
        });
    }

    /// Closes every connection, and refuses new ones.
    pub async fn close(&self) {
        let entries = {
            let mut entries = self.shared.lock();
            entries.closed = true;
            std::mem::take(&mut entries.by_identity)
        };
        for entry in entries.into_values() {
            if let Entry::Open(connection) = entry {
                connection.close().await;
            }
        }
    }
}

impl PoolState {
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_connection(&self, identity: &Identity) -> Option<Arc<Connection>> {
        match self.lock().by_identity.get(identity) {
            Some(Entry::Open(open)) if !open.is_closed() => Some(Arc::clone(open)),
            _ => None,
        }
    }

    fn forget(&self, identity: &Identity, dead: &Arc<Connection>) {
        let mut entries = self.lock();
        if let Some(Entry::Open(open)) = entries.by_identity.get(identity)
            && Arc::ptr_eq(open, dead)
        {
            entries.by_identity.remove(identity);
        }
    }

    /// Records the end of a dial, unless the pool was closed meanwhile.
    fn settle(&self, identity: Identity, dial: u64, result: &Result<Arc<Connection>, SshError>) {
        let mut entries = self.lock();
        let mut breaker = entries.breakers.remove(&identity).unwrap_or_default();
        breaker.settle(Instant::now(), result);
        if !breaker.is_closed() {
            entries.breakers.insert(identity.clone(), breaker);
        }
        let current = entries.by_identity.get(&identity);
        if !matches!(current, Some(Entry::Dialling { dial: this, .. }) if *this == dial) {
            return;
        }
        match result {
            Ok(open) => {
                entries
                    .by_identity
                    .insert(identity, Entry::Open(Arc::clone(open)));
            }
            Err(_) => {
                entries.by_identity.remove(&identity);
            }
        }
    }

    fn take_idle(&self) -> Vec<Arc<Connection>> {
        let mut taken = Vec::new();
        self.lock().by_identity.retain(|_, entry| match entry {
            Entry::Open(open) => {
                // One count is ours; others are callers and connections through it.
                let unused = Arc::strong_count(open) == 1 && open.idle() >= self.config.idle;
                // One that counts as lost may still carry a command, and is closed by
                // the last who uses it.
                if unused {
                    taken.push(Arc::clone(open));
                }
                !unused && !open.is_closed()
            }
            Entry::Dialling { .. } => true,
        });
        taken
    }
}
