use wasmtime::ResourceLimiter;

use super::{Exceeded, InstanceLimits};

/// Core instances, tables and memories of one component. Components of JavaScript and Python are made of a dozen modules.
pub(super) const MAX_CORE_INSTANCES: u32 = 64;
pub(super) const MAX_TABLES: u32 = 16;
pub(super) const MAX_MEMORIES: u32 = 8;

/// Keeps one instance within its memory and its tables. A refusal lets the guest's `grow` fail, which most languages turn
/// into a crash: it is remembered, so that the crash can be explained.
#[derive(Debug)]
pub(super) struct Limiter {
    allowed_memory: u64,
    allowed_elements: u64,
    pub(super) memory: u64,
    pub(super) elements: u64,
    refused: Option<Exceeded>,
}

impl Limiter {
    pub(super) fn new(limits: &InstanceLimits) -> Limiter {
        Limiter {
            allowed_memory: limits.memory_bytes,
            allowed_elements: limits.table_elements,
            memory: 0,
            elements: 0,
            refused: None,
        }
    }

    /// What was refused since the last call of this function.
    pub(super) fn take_refused(&mut self) -> Option<Exceeded> {
        self.refused.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.memory.saturating_add((desired - current) as u64);
        if asked > self.allowed_memory {
            self.refused = Some(Exceeded::Memory { asked, allowed: self.allowed_memory });
            return Ok(false);
        }
        // What the memory itself allows, or the pool.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = asked;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.elements.saturating_add((desired - current) as u64);
        if asked > self.allowed_elements {
            self.refused = Some(Exceeded::TableElements { asked, allowed: self.allowed_elements });
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.elements = asked;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}
