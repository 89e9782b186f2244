//! The right to load a probe.

use caps::{CapSet, Capability};

/// The capabilities that loading a probe takes and this process does not have. CAP_SYS_ADMIN stands for both, as it did before they
/// were split off it (Linux 5.8).
pub fn missing() -> Vec<Capability> {
    let needed = [Capability::CAP_BPF, Capability::CAP_PERFMON];
    if is_admin() { vec![] } else { needed.into_iter().filter(|capability| !has(*capability)).collect() }
}

pub fn is_admin() -> bool {
    has(Capability::CAP_SYS_ADMIN)
}

/// Whether this process has a capability.
pub fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}
