//! The sandbox as a whole: its settings, its clock, and what has been compiled.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    thread,
    time::Duration,
};

use wasmtime::{
    Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm, Strategy,
    component::Linker,
};

use crate::{
    budget::EngineLimits,
    compiled::{Compiled, Digest},
    error::EngineError,
    permits::Permits,
    state::State,
    versions,
};

/// How often the clock ticks. A policy that runs for too long is stopped at the first tick after its time.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Ticks without work after which the clock goes to sleep.
const IDLE_TICKS: u32 = 200;

/// Core instances of one component. A policy in Rust has three, one in JavaScript some fifty: what it does not get of a
/// system is a module of stubs each.
pub(crate) const CORE_INSTANCES: u32 = 64;
/// Memories of one component. A policy in Rust has one, one in JavaScript three.
pub(crate) const MEMORIES: u32 = 4;
/// Tables of one component.
pub(crate) const TABLES: u32 = 8;

/// One decision may need an instance for each question at once, and would wait for itself with fewer.
const LEAST_INSTANCES: u32 = 3;

/// Frames of a crash that are kept.
const FRAMES: usize = 8;

/// Runs policies. Cheap to clone; one per process is enough, since every policy has a budget of its own.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) limits: EngineLimits,
    pub(crate) permits: Arc<Permits>,
    /// Held while something is compiled: one component at a time, however many ask.
    pub(crate) compiling: Mutex<()>,
    /// What the sandbox says when an answer is too long; see [`crate::session`].
    pub(crate) text_of_too_much: OnceLock<String>,
    /// What is in use, by digest of component and configuration.
    cache: Mutex<HashMap<Digest, Weak<Compiled>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes a sandbox.
    ///
    /// # Errors
    ///
    /// When the system refuses what the sandbox needs; its address space, as a rule.
    pub fn new(limits: EngineLimits) -> Result<Self, EngineError> {
        let limits = EngineLimits { instances: limits.instances.max(LEAST_INSTANCES), ..limits };
        // Reserving 4 GiB of addresses per memory lets the processor check every access for free. Where addresses are
        // rationed (`ulimit -v`), the policies check for themselves and take some 15 % longer.
        let wasm = wasmtime::Engine::new(&config(&limits, Addresses::Plenty))
            .or_else(|_| wasmtime::Engine::new(&config(&limits, Addresses::Rationed)))
            .map_err(|error| EngineError::Settings(format!("{error:#}")))?;
        let mut linker = Linker::new(&wasm);
        versions::link_all(&mut linker).map_err(|error| EngineError::Settings(format!("{error:#}")))?;
        let permits = Arc::new(Permits::new(limits.instances));
        start_clock(&wasm, Arc::clone(&permits))?;
        Ok(Self {
            inner: Arc::new(Inner {
                wasm,
                linker,
                limits,
                permits,
                compiling: Mutex::default(),
                text_of_too_much: OnceLock::new(),
                cache: Mutex::default(),
            }),
        })
    }

    /// What this engine may use.
    #[must_use]
    pub fn limits(&self) -> &EngineLimits {
        &self.inner.limits
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Inner {
    /// What has been compiled for that digest and is still in use.
    pub(crate) fn cached(&self, digest: &Digest) -> Option<Arc<Compiled>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?.upgrade()
    }

    /// Remembers what has been compiled for as long as somebody uses it.
    pub(crate) fn remember(&self, digest: Digest, compiled: &Arc<Compiled>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, compiled| compiled.strong_count() > 0);
        cache.insert(digest, Arc::downgrade(compiled));
    }

    /// Number of ticks after which a call of that many milliseconds has had its time.
    pub(crate) fn ticks(millis: u32) -> u64 {
        let tick = u64::try_from(TICK.as_millis()).unwrap_or(1).max(1);
        // The tick that is under way does not count in full.
        u64::from(millis).div_ceil(tick) + 1
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.permits.close();
    }
}

/// Whether the process may reserve addresses freely.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    Plenty,
    Rationed,
}

fn config(limits: &EngineLimits, addresses: Addresses) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let memory = usize::try_from(limits.ceiling.memory_bytes).unwrap_or(usize::MAX).next_multiple_of(64 << 10);
    let table = usize::try_from(limits.ceiling.table_elements).unwrap_or(usize::MAX);
    let keep = usize::try_from(limits.keep_resident_bytes).unwrap_or(usize::MAX);
    // One more than there are permits, for finding out why an answer could not be read.
    let instances = limits.instances.saturating_add(1);
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(memory)
        .table_elements(table)
        .max_unused_warm_slots(limits.instances)
        .linear_memory_keep_resident(keep)
        .table_keep_resident(64 << 10);

    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_component_model(true)
        // The same input must give the same answer on any machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // Two ways to stop a policy: fuel at the same instruction everywhere, epochs whatever fuel does not see.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(limits.stack_bytes).unwrap_or(usize::MAX))
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .memory_init_cow(true);
    if addresses == Addresses::Rationed {
        config.memory_reservation(u64::from(limits.ceiling.memory_bytes)).memory_guard_size(64 << 10);
    }
    config
}

/// Starts the thread that makes time pass for policies. It is a thread of its own so that nothing a policy does can
/// keep it from ticking, and it holds the engine weakly so that it ends with it.
fn start_clock(wasm: &wasmtime::Engine, permits: Arc<Permits>) -> Result<(), EngineError> {
    let engine = wasm.weak();
    thread::Builder::new().name("policy-clock".to_owned()).spawn(move || {
        let mut idle = 0;
        loop {
            thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            drop(engine);
            idle = if permits.idle() { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                if !permits.sleep_until_work() {
                    return;
                }
                idle = 0;
            }
        }
    })?;
    Ok(())
}
