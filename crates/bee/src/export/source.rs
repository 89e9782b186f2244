//! Where a map's elements are: in the kernel, or in a recording, which holds what they were.

use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::{MapCore, MapHandle, MapType};

use crate::kernel::cpus;
use crate::kernel::map_reader::{self, Elements};

/// What stands behind a map that is exported.
pub enum Backing {
    Kernel(MapHandle),
    /// A per-CPU map whose elements are each CPU's.
    EachCpu(MapHandle),
    Recorded {
        /// How many elements it had room for.
        room: u64,
        /// As they were when the recording last told.
        elements: Mutex<Arc<Elements>>,
    },
}

impl Backing {
    pub fn recorded(room: u64) -> Self {
        Self::Recorded { room, elements: Mutex::default() }
    }

    pub fn elements(&self) -> Result<Arc<Elements>, libbpf_rs::Error> {
        match self {
            Self::Kernel(handle) => map_reader::read(handle).map(Arc::new),
            Self::EachCpu(handle) => {
                Ok(Arc::new(cpus::split(&map_reader::read(handle)?, handle.value_size() as usize)))
            }
            Self::Recorded { elements, .. } => Ok(elements.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Takes what a recording tells.
    pub fn set(&self, told: Elements) {
        if let Self::Recorded { elements, .. } = self {
            *elements.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(told);
        }
    }

    pub fn room(&self) -> u64 {
        match self {
            Self::Kernel(handle) => handle.max_entries().into(),
            Self::EachCpu(handle) => u64::from(handle.max_entries()) * cpus::count() as u64,
            Self::Recorded { room, .. } => *room,
        }
    }

    pub fn is_perf_buffer(&self) -> bool {
        matches!(self, Self::Kernel(handle) if handle.map_type() == MapType::PerfEventArray)
    }
}
