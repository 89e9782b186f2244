//! A bare distribution to start from: a root that debootstrap makes, in which nothing of this machine is in sight but its kernel,
//! its network and what its registries' clients need to know.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{debootstrap::debootstrap, program::said};

/// What README asks of a bare machine, and that registries can be trusted.
const FIRST: &str = "build-essential,git,curl,ca-certificates";
/// Enters the root as process 1 of its own: a copy of every mount that labs need, and no way back.
const ENTER: &str = r#"
root=$1; shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
for folder in sys dev; do mount --rbind /$folder $folder; done
mount -t tmpfs -o mode=755 run run
mkdir -p run/lock
while [ "$1" != -- ]; do
  mkdir -p ".$2"
  mount --bind "$1" ".$2"
  [ "$3" = rw ] || mount -o remount,bind,ro ".$2"
  shift 3
done
shift
mkdir -p .outside
pivot_root . .outside
umount --lazy /.outside
rmdir /.outside
hostname bare
exec "$@"
"#;
/// How a machine's user says where registries are and how they are reached.
const PASSED_ON: [&str; 14] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "GOPROXY",
    "GONOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "npm_config_registry",
    "CARGO_HTTP_PROXY",
    "CARGO_HTTP_TIMEOUT",
    "CARGO_NET_RETRY",
];

/// The root of one distribution; it goes when dropped.
pub struct Root {
    folder: tempfile::TempDir,
    /// From here, to there, `rw` or `ro`.
    bound: Vec<(PathBuf, String, &'static str)>,
}

impl Root {
    /// A fresh copy of what debootstrap makes of a suite of Debian's, once, in `cache`; with these packages beside what README
    /// names.
    #[track_caller]
    pub fn new(cache: &Path, suite: &str, packages: &[&str]) -> Self {
        let pristine = cache.join([&[suite], packages].concat().join("-"));
        if !pristine.is_dir() {
            debootstrap(suite, &[&[FIRST], packages].concat().join(","), &pristine);
        }
        let folder = tempfile::Builder::new().prefix(&format!("root-{suite}-")).tempdir_in(cache).unwrap();
        said(Command::new("cp").arg("-a").arg(pristine.join(".")).arg(folder.path()));
        fs::copy("/etc/resolv.conf", folder.path().join("etc/resolv.conf")).unwrap();
        fs::write(folder.path().join("etc/hosts"), "127.0.0.1 localhost bare\n::1 localhost\n").unwrap();
        Self { folder, bound: vec![] }
    }

    /// A file or folder of the root, as this machine sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// Rust as rustup would have put it, by this machine's own; and what cargo and Go downloaded before, which another run would
    /// only download again.
    pub fn with_rust(mut self) -> Self {
        let home = PathBuf::from(env::var_os("HOME").unwrap());
        let folder = |name: &str, default: &str| env::var_os(name).map_or_else(|| home.join(default), PathBuf::from);
        let (rustup, cargo) = (folder("RUSTUP_HOME", ".rustup"), folder("CARGO_HOME", ".cargo"));
        let modules = folder("GOMODCACHE", "go/pkg/mod");
        for downloads in [cargo.join("registry"), modules.clone()] {
            fs::create_dir_all(downloads).unwrap();
        }
        self.bound.push((rustup, "/root/.rustup".to_owned(), "ro"));
        self.bound.push((cargo.join("bin"), "/root/.cargo/bin".to_owned(), "ro"));
        self.bound.push((cargo.join("registry"), "/root/.cargo/registry".to_owned(), "rw"));
        self.bound.push((modules, "/root/go/pkg/mod".to_owned(), "rw"));
        for (from, to) in [(cargo.join("config.toml"), "root/.cargo/config.toml"), (home.join(".npmrc"), "root/.npmrc")]
        {
            if from.is_file() {
                let to = self.path(to);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        self
    }

    /// A fresh clone of a checkout's HEAD.
    #[track_caller]
    pub fn clone(&self, checkout: &Path, inside: &str) {
        said(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(checkout).arg(self.path(inside)));
    }

    /// A command in the root, with an environment of its own; processes that it leaves behind end with it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--uts", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-euc", ENTER, "sh"]).arg(self.folder.path());
        for (from, to, access) in &self.bound {
            command.arg(from).args([to, *access]);
        }
        command.arg("--").arg(program).env_clear().env("HOME", "/root").env("TERM", "dumb");
        command.env("PATH", "/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command
    }
}
