//! An image of nodes for kind, as kindest/node is one, where no registry of images is in reach: Debian's packages, the Kubernetes
//! that is built here, and the files of `tests/kind/node-image`, which say why they are there.
//!
//! It differs from kindest/node in what no lab sees: the network of pods is a service of the node, there is no storage and no
//! `crictl`. The node holds the images of its control plane under the names that kubeadm knows them by.

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lab_cli::Paths;
use oci::{Recipe, rootfs::Content};

use super::Engine;
use crate::{debootstrap::debootstrap, program::said};

const FILES: &str = "tests/kind/node-image/files";
/// Of Debian's.
const SUITE: &str = "bookworm";
const PACKAGES: &str = "systemd,systemd-sysv,dbus,containerd,runc,containernetworking-plugins,iptables,nftables,iproute2,conntrack,\
                        ethtool,socat,kmod,procps,mount,ca-certificates,hostname";
/// What nobody reads in a node.
const LEFT_OUT: [&str; 5] =
    ["./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*"];
const SERVICES: [&str; 4] = ["containerd", "node-images", "node-network", "kubelet"];
/// What systemd would start in a machine, for a user or hardware that no container has.
const MASKED: [&str; 8] = [
    "getty.target",
    "console-getty.service",
    "systemd-udevd.service",
    "systemd-logind.service",
    "systemd-resolved.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
];
const IN_NODES: [&str; 3] = ["kubelet", "kubeadm", "kubectl"];
const IN_PODS: [&str; 5] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd"];
/// kube-proxy calls one of them, in its older way by several names, and loads extensions of the first.
const PACKET_FILTERS: [&str; 2] = ["usr/sbin/xtables-nft-multi", "usr/sbin/nft"];
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Makes the image of this name for the engine, around the Kubernetes of this version that is built. Debian's part is made once.
pub fn build(engine: &Engine, paths: &Paths, folder: &Path, reference: &str, version: &str) {
    fs::create_dir_all(folder).unwrap();
    let debian = debian(folder);
    let hyperkube = paths.programs.join("bin/hyperkube");
    let list =
        said(Command::new(&hyperkube).args(["kubeadm", "config", "images", "list", "--kubernetes-version", version]));
    let (pause, kubernetes): (Vec<_>, Vec<_>) = list.split_whitespace().partition(|name| name.contains("/pause:"));
    let [pause] = pause[..] else { panic!("kubeadm lists one image for pause: {list}") };

    let parts = tempfile::Builder::new().prefix("parts-").tempdir_in(folder).unwrap();
    let (node, layer) = (parts.path().join("node"), parts.path().join("layer"));
    // The cached one stays as debootstrap made it.
    said(Command::new("cp").arg("-a").arg(&debian).arg(&node));
    said(Command::new("cp").arg("-r").arg(paths.checkout.join(FILES).join(".")).arg(&node));
    let images = node.join("kind/images");
    fs::create_dir_all(&images).unwrap();
    lay_out_kubernetes(&layer, &debian, &hyperkube);
    save_kubernetes(engine, &layer, &kubernetes, &images.join("kubernetes.tar"));
    save_pause(&paths.programs.join("bin/pause"), pause, &images);
    lay_out_node(&node, &hyperkube, pause, version);
    let changes = [r#"ENTRYPOINT ["/usr/local/bin/entrypoint"]"#, "ENV container=docker"];
    import(engine, &node, &changes, reference);
}

/// Debian's part, from the cache if it has these packages.
fn debian(folder: &Path) -> PathBuf {
    let (debian, packages) = (folder.join(SUITE), folder.join("packages"));
    if fs::read_to_string(&packages).is_ok_and(|had| had == PACKAGES) && debian.is_dir() {
        return debian;
    }
    let _ = fs::remove_dir_all(&debian);
    debootstrap(SUITE, PACKAGES, &debian);
    fs::write(packages, PACKAGES).unwrap();
    debian
}

/// What a node has beside Debian and the files of the checkout, which lie in the folder already.
fn lay_out_node(node: &Path, hyperkube: &Path, pause: &str, version: &str) {
    let containerd = node.join("etc/containerd/config.toml");
    fs::write(&containerd, fs::read_to_string(&containerd).unwrap().replace("PAUSE_IMAGE", pause)).unwrap();
    fs::write(node.join("kind/version"), version).unwrap();
    put(hyperkube, &node.join("usr/bin/hyperkube"));
    for name in IN_NODES {
        symlink("hyperkube", node.join("usr/bin").join(name)).unwrap();
    }
    let units = node.join("etc/systemd/system");
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted).unwrap();
    for service in SERVICES.map(|name| format!("{name}.service")) {
        let link = wanted.join(&service);
        // Debian's own unit for containerd is enabled, too.
        let _ = fs::remove_file(&link);
        symlink(Path::new("..").join(service), link).unwrap();
    }
    for unit in MASKED {
        symlink("/dev/null", units.join(unit)).unwrap();
    }
}

/// The one layer that the control plane, kube-proxy and CoreDNS share: one program by all their names, and what kube-proxy calls.
fn lay_out_kubernetes(layer: &Path, debian: &Path, hyperkube: &Path) {
    for folder in ["etc", "tmp", "usr/local/bin"] {
        fs::create_dir_all(layer.join(folder)).unwrap();
    }
    for folder in ["sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(folder), layer.join(folder)).unwrap();
    }
    fs::write(layer.join("etc/passwd"), "root:x:0:0::/:/none\n").unwrap();
    put(hyperkube, &layer.join("usr/local/bin/hyperkube"));
    for name in IN_PODS {
        symlink("hyperkube", layer.join("usr/local/bin").join(name)).unwrap();
    }
    // CoreDNS is the one whose manifest names no program.
    symlink("usr/local/bin/hyperkube", layer.join("coredns")).unwrap();

    let extensions = format!("usr/lib/{ARCH}-linux-gnu/xtables");
    let extensions = fs::read_dir(debian.join(&extensions)).unwrap().map(|extension| {
        let extension = extension.unwrap().path();
        extension.strip_prefix(debian).unwrap().to_owned()
    });
    // With what the extensions load: without it every Service is dead, and only kube-proxy's log says so.
    let programs: Vec<_> = PACKET_FILTERS.iter().map(PathBuf::from).chain(extensions).collect();
    for file in &programs {
        put(&debian.join(file), &layer.join(file));
    }
    for library in libraries(debian, &programs) {
        put(&debian.join(&library), &layer.join("usr").join(&library));
    }
    for name in IPTABLES {
        symlink("xtables-nft-multi", layer.join("usr/sbin").join(name)).unwrap();
    }
}

/// The libraries of these programs, all below `lib` or `lib64`, as the Debian's own loader finds them.
fn libraries(debian: &Path, programs: &[PathBuf]) -> Vec<PathBuf> {
    let mut ldd = Command::new("chroot");
    ldd.arg(debian).arg("ldd").args(programs.iter().map(|program| Path::new("/").join(program)));
    let found = said(&mut ldd);
    // `libm.so.6 => /lib/…/libm.so.6 (0x…)`, the loader `/lib64/…` without an arrow; what is asked about begins its line.
    let lines = found.lines().filter(|line| line.starts_with(char::is_whitespace));
    let files = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("/lib")));
    let mut files: Vec<_> = files.map(|file| PathBuf::from(file.trim_start_matches('/'))).collect();
    files.sort();
    files.dedup();
    files
}

/// Writes an archive of the layer under all these names, each an image of kubeadm's.
fn save_kubernetes(engine: &Engine, layer: &Path, names: &[&str], archive: &Path) {
    let [first, others @ ..] = names else { panic!("kubeadm lists the images of a control plane") };
    let changes = [r#"ENTRYPOINT ["/coredns"]"#, "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    import(engine, layer, &changes, first);
    for other in others {
        said(engine.docker().args(["tag", first, other]));
    }
    said(engine.docker().args(["save", "--output"]).arg(archive).args(names));
    said(engine.docker().args(["image", "rm"]).args(names));
}

/// Writes an archive of the image that holds a pod's namespaces. It is another than ours: a test that pulls that one finds nothing of it
/// in the node.
fn save_pause(program: &Path, reference: &str, folder: &Path) {
    let files = vec![("/etc/kind-node".into(), Content::Bytes(reference.as_bytes().to_vec()))];
    let recipe = Recipe { name: "pause".to_owned(), program: program.to_owned(), files, arguments: vec![] };
    oci::archive::write(folder, &recipe, reference).unwrap_or_else(|error| panic!("{error}"));
}

/// Makes an image of a folder.
fn import(engine: &Engine, folder: &Path, changes: &[&str], reference: &str) {
    let mut tar = Command::new("tar");
    tar.arg("--create").args(LEFT_OUT.iter().map(|path| format!("--exclude={path}"))).arg("-C").arg(folder).arg(".");
    let mut tar = tar.stdout(Stdio::piped()).spawn().unwrap();
    let mut import = engine.docker();
    import.arg("import").args(changes.iter().flat_map(|change| ["--change", change])).args(["-", reference]);
    said(import.stdin(tar.stdout.take().unwrap()));
    assert!(tar.wait().unwrap().success(), "tar reads {}", folder.display());
}

/// Copies a file, not the links that lead to it, with its mode.
fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
}
