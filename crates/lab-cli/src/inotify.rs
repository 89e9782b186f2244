//! The kernel's limit of inotify instances, of which kubelets and containerds take many: past it, none of them starts.
//!
//! inotify(7), and <https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files>.

use crate::{machine::Machine, obstacle::Obstacle};

/// What a cluster straight on this machine takes at most, with every lab; the suite `labs` counts them.
pub const OF_A_CLUSTER: usize = 40;

pub const FIX: &str = "sudo sysctl fs.inotify.max_user_instances=512";

/// How many instances a user may have; nothing where the kernel has no such limit.
pub fn limit(machine: &dyn Machine) -> Option<usize> {
    machine.read("/proc/sys/fs/inotify/max_user_instances")?.trim().parse().ok()
}

/// Why no other cluster fits beside what root's processes have already.
pub fn obstacle(machine: &dyn Machine, in_use: usize) -> Option<Obstacle> {
    let limit = limit(machine).filter(|limit| in_use + OF_A_CLUSTER > *limit)?;
    let what = format!("root has {in_use} of its {limit} inotify instances, and a cluster takes up to {OF_A_CLUSTER}");
    Some(Obstacle::new(what, format!("{FIX}; or end another cluster: `cargo xtask clean --number N`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::recorded::Files;

    #[track_caller]
    fn is_refused(limit: &str, in_use: usize, expected: Option<&str>) {
        let files = [("/proc/sys/fs/inotify/max_user_instances", limit)];
        assert_eq!(obstacle(&Files(&files), in_use).map(|obstacle| obstacle.what).as_deref(), expected);
    }

    #[test]
    fn a_cluster_fits_while_its_instances_do() {
        is_refused("128\n", 128 - OF_A_CLUSTER, None);
        let what = format!("root has 100 of its 128 inotify instances, and a cluster takes up to {OF_A_CLUSTER}");
        is_refused("128\n", 100, Some(&what));
        is_refused("128\n", 128 - OF_A_CLUSTER + 1, Some(&what.replace("100", &(129 - OF_A_CLUSTER).to_string())));
        is_refused("1024\n", 100, None);
        is_refused("no number", 100, None);
        assert_eq!(obstacle(&Files(&[]), 1000), None, "there is no limit");
    }
}
