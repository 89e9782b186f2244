//! A `lab` in a world of its own: no cluster, no cache.

use std::path::Path;

use assert_cmd::Command;

/// `lab` whose folders lie in `world`.
pub fn lab(world: &Path) -> Command {
    let mut lab = Command::cargo_bin("lab").unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    lab.env("EBPF_LAB_CHECKOUT", checkout).env("EBPF_LAB_CACHE", world.join("cache"));
    lab.env("EBPF_LAB_STATE", world.join("state")).env("EBPF_LAB_BIN", world.join("bin"));
    lab.env("EBPF_LAB_PROGRAMS", world.join("programs"))
        .env("KUBECONFIG", world.join("kubeconfig"))
        .env("NO_COLOR", "1");
    lab
}
