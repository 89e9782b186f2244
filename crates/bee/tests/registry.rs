//! Probes in a real registry, Debian's docker-registry: plain, with TLS, with a login.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testkit::probe::{Run, until};
use testkit::registry::{TestRegistry, Wants};
use testkit::tokens::Tokens;

const LOGIN: (&str, &str) = ("teacher", "correct-horse");

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_probe_that_was_pushed_is_pulled_as_it_was_into_another_store() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, built) = here.build(&registry);
    assert_eq!(here.succeeds(&["push", &name]), built);
    // The registry writes its log when it has answered.
    assert!(until(|| registry.count("PUT") == 3), "a program, a config and a manifest");
    assert_eq!(here.succeeds(&["push", &name]), built);
    assert!(until(|| registry.count("HEAD") == 4 + 3) && registry.count("PUT") == 3, "nothing is sent again");

    assert_eq!(there.succeeds(&["pull", &name]), built);
    let listed: Value = serde_json::from_str(&there.succeeds(&["list", "--json"])).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["digest"]), (&name.into(), &built.into()));
    assert_eq!(here.program(), there.program());
}

#[test]
#[ignore = "needs root (loads probes), docker-registry and htpasswd"]
fn a_probe_that_only_the_registry_has_is_pulled_and_run() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, _) = here.build(&registry);
    here.succeeds(&["push", &name]);
    let mut bee = std::process::Command::new(env!("CARGO_BIN_EXE_bee"));
    bee.env("HOME", there.path("home")).arg("--storage").arg(there.path("store"));
    let run = Run::start(bee, Path::new(&name), &[]);
    assert!(run.said().contains(&format!("{name} is not in the store: pulling it")), "{}", run.said());
    assert!(run.metrics().contains("ebpf_solo_io_"));
    run.stop();
    drop(registry);
    assert_eq!(here.program(), there.program(), "it is stored, for the time without the registry");
}

#[test]
#[ignore = "needs root (loads probes), docker-registry and htpasswd"]
fn a5_26_what_a_name_stands_for_now_is_when_that_is_wanted_pulled_and_run() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, old) = here.build(&registry);
    here.succeeds(&["push", &name]);
    there.succeeds(&["pull", &name]);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/tcpconnect.bpf.c");
    let new = here.succeeds(&["build", source, &name]);
    here.succeeds(&["push", &name]);
    let stored = |policy: &str| {
        there.succeeds(&["run", &name, "--pull", policy, "--no-tty", "--timeout", "1s", "--prom-port", "0"]);
        let listed: Value = serde_json::from_str(&there.succeeds(&["list", "--json"])).unwrap();
        listed[0]["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!((stored("never"), stored("missing")), (old.clone(), old));
    assert_eq!(stored("always"), new);
    let name = format!("{}/room/none:v1", registry.host());
    there.refuses(&["run", &name, "--pull", "never"], &["is neither a file here nor a probe in the store"]);
    there.refuses(&["run", &name], &["not in the store: pulling it", "has no room/none:v1"]);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn what_the_registry_lacks_and_what_names_no_registry_is_said() {
    let (world, registry) = (World::new(), start(Wants::default()));
    let host = registry.host();
    world.refuses(&["pull", &format!("{host}/room/none:v1")], &[&format!("the registry {host} has no room/none:v1")]);
    world.refuses(&["pull", "probe:v1"], &["probe:v1 has no registry", "hint:"]);
    world.refuses(&["push", &format!("{host}/room/none:v1")], &["room/none:v1"]);
    drop(registry);
    world.refuses(&["pull", &format!("{host}/room/none:v1")], &["can't be reached", "Connection refused"]);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_login_is_written_for_its_owner_alone_and_used_from_then_on() {
    let (world, registry) = (World::new(), start(Wants { login: Some(LOGIN), ..Wants::default() }));
    let (host, (name, built)) = (registry.host(), world.build(&registry));
    let hint = format!("hint: bee login {host}");
    world.refuses(&["push", &name], &["wants a login", &hint]);
    let config = world.path("home/.bumblebee/config.json");
    let again = format!("many registries want an access token as password), then bee login {host}");
    world.refuses(&["login", &host, "-u", LOGIN.0, "-p", "wrong-pony"], &["does not take the login", &again]);
    world.refuses(&["push", &name, "-u", LOGIN.0, "-p", "wrong-pony"], &["does not take the login", &hint]);
    assert!(!config.exists(), "a login that nobody took was written down");

    let mut login = world.bee(&["login", &host, "--username", LOGIN.0, "--password-stdin"]);
    let output = login.write_stdin(format!("{}\n", LOGIN.1)).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    keeps_quiet(&output);
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.succeeds(&["push", &name]), built);
    assert_eq!(world.succeeds(&["pull", &name]), built);

    let elsewhere = world.path("elsewhere");
    world.refuses(&["push", &name, "--config-dir", elsewhere.to_str().unwrap()], &["wants a login"]);
    assert_eq!(world.succeeds(&["push", &name, "--config", config.to_str().unwrap()]), built);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn what_docker_knows_bee_knows_too() {
    let (world, registry) = (World::new(), start(Wants { login: Some(LOGIN), ..Wants::default() }));
    let (name, built) = world.build(&registry);
    let auth = "dGVhY2hlcjpjb3JyZWN0LWhvcnNl";
    fs::create_dir(world.path("home/.docker")).unwrap();
    let docker = json!({ "auths": { registry.host(): { "auth": auth } } }).to_string();
    fs::write(world.path("home/.docker/config.json"), docker).unwrap();
    assert_eq!(world.succeeds(&["push", &name]), built);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn where_tokens_are_given_anybody_pulls_and_who_logs_in_pushes() {
    let tokens = Tokens::start(LOGIN.0, LOGIN.1);
    let (world, registry) = (World::new(), start(Wants { tokens: Some(&tokens), ..Wants::default() }));
    let (host, (name, built)) = (registry.host(), world.build(&registry));
    world.refuses(&["push", &name], &["wants a login", &format!("hint: bee login {host}")]);
    world.refuses(&["login", &host, "-u", LOGIN.0, "-p", "wrong-pony"], &["does not take the login"]);
    world.succeeds(&["login", &host, "-u", LOGIN.0, "-p", LOGIN.1]);
    assert_eq!(world.succeeds(&["push", &name]), built);
    assert_eq!(World::new().succeeds(&["pull", &name]), built);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_login_for_a_registry_with_tls_goes_to_no_server_of_tokens_without() {
    let tokens = Tokens::start(LOGIN.0, LOGIN.1);
    let (world, registry) = (World::new(), start(Wants { tls: true, tokens: Some(&tokens), ..Wants::default() }));
    let (name, built) = world.build(&registry);
    let authority = registry.authority();
    let trusted = ["--registry-ca", authority.to_str().unwrap()];
    let as_teacher = ["-u", LOGIN.0, "-p", LOGIN.1];
    let said = ["in clear: it is not sent there", "hint: whoever runs the registry must name a realm with https"];
    world.refuses(&[&["push", &name][..], &trusted, &as_teacher].concat(), &said);
    world.refuses(&[&["login", &registry.host()][..], &trusted, &as_teacher].concat(), &said);
    assert_eq!(tokens.logins(), 0, "the server of tokens has seen it");
    // Who gives up certificates has given that up, too.
    assert_eq!(world.succeeds(&[&["push", &name, "--insecure"][..], &as_teacher].concat()), built);
    assert!(tokens.logins() > 0);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn what_is_no_probe_is_said_for_what_it_is() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, _) = here.build(&registry);
    here.succeeds(&["push", &name]);
    let host = registry.host();
    let manifest: Value = serde_json::from_slice(&registry.get("room/probe/manifests/v1")).unwrap();
    let put = |tag: &str, change: &dyn Fn(&mut Value)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        registry.put(&format!("room/probe/manifests/{tag}"), kind, &changed.to_string());
        format!("{host}/room/probe:{tag}")
    };
    let twice = put("twice", &|it| it["layers"] = json!([it["layers"][0], it["layers"][0]]));
    there.refuses(&["pull", &twice], &["is not an eBPF probe: it has 2 layers, and a probe has one"]);
    let other = put("other", &|it| it["layers"][0]["mediaType"] = "text/plain".into());
    there.refuses(
        &["pull", &other],
        &["is not an eBPF probe: it holds text/plain, not application/ebpf.oci.image.program"],
    );
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn a_certificate_is_verified_unless_that_is_given_up() {
    let (world, registry) = (World::new(), start(Wants { tls: true, ..Wants::default() }));
    let (name, built) = world.build(&registry);
    world.refuses(&["push", &name], &["is not trusted", "--registry-ca FILE"]);
    world.refuses(&["push", &name, "--plain-http"], &["400"]);
    assert_eq!(registry.count("PUT"), 0);
    let authority = registry.authority();
    assert_eq!(world.succeeds(&["push", &name, "--registry-ca", authority.to_str().unwrap()]), built);
    assert_eq!(world.succeeds(&["pull", &name, "--insecure"]), built);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn bytes_that_changed_in_the_registry_are_refused() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, _) = here.build(&registry);
    here.succeeds(&["push", &name]);
    let program = here.program();
    let blob = files(&registry.storage().join("blobs")).into_iter().find(|file| fs::read(file).unwrap() == program);
    let blob = blob.unwrap();
    let mut changed = program.clone();
    changed[program.len() / 2] ^= 1;
    for damaged in [changed, program[..100].to_vec(), vec![0; program.len() + 1]] {
        fs::write(&blob, damaged).unwrap();
        there.refuses(&["pull", &name], &["sha256:"]);
        assert_eq!(there.succeeds(&["list", "--json"]).trim(), "[]", "something was stored");
    }
    fs::write(&blob, program).unwrap();
    there.succeeds(&["pull", &name]);
}

/// This machine's and the other of the processors that bee builds for.
const MINE_AND_OTHER: [&str; 2] = if cfg!(target_arch = "x86_64") { ["amd64", "arm64"] } else { ["arm64", "amd64"] };

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn an_image_for_several_processors_is_pushed_whole_and_pulled_for_this_one_or_for_all() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let [mine, other] = MINE_AND_OTHER;
    let name = format!("{}/room/probe:v1", registry.host());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");
    let built = here.succeeds(&["build", source, &name, "--arch", &format!("{other},{mine}")]);
    assert_eq!(here.succeeds(&["build", source, &name, "--arch", mine, "--arch", other]), built, "not reproducible");
    assert_eq!(here.succeeds(&["push", &name]), built);
    let index: Value = serde_json::from_slice(&registry.get("room/probe/manifests/v1")).unwrap();
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let platforms: Vec<_> = (0..2).map(|n| &index["manifests"][n]["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);

    assert_eq!(there.succeeds(&["pull", &name]), built);
    assert_eq!(files(&there.path("store/blobs")).len(), 4, "an index, a manifest, a program and its config");
    there.succeeds(&["inspect", &name]);
    let described: Value = serde_json::from_str(&there.succeeds(&["describe", &name, "--json"])).unwrap();
    assert_eq!(described["platform"], "linux/amd64,linux/arm64");
    there.refuses(&["push", &name], &[&format!("linux/{other} is missing"), "bee pull --all-platforms"]);
    there.succeeds(&["pull", "--all-platforms", &name]);
    assert_eq!(there.succeeds(&["push", &name]), built);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn an_image_for_other_processors_alone_is_not_pulled_unasked() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let (name, _) = here.build(&registry);
    let digest = here.succeeds(&["push", &name]);
    let size = registry.get("room/probe/manifests/v1").len();
    let kind = "application/vnd.oci.image.index.v1+json";
    let manifest = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
        "platform": { "os": "linux", "architecture": MINE_AND_OTHER[1] },
    });
    let put = |manifests: &[Value]| {
        let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
        registry.put("room/probe/manifests/v2", kind, &index.to_string());
    };
    put(std::slice::from_ref(&manifest));
    let name = format!("{}/room/probe:v2", registry.host());
    there.refuses(&["pull", &name], &["for other processors than this machine's"]);
    put(&vec![manifest; 17]);
    there.refuses(&["pull", "--all-platforms", &name], &["it is for 17 processors"]);
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn what_an_image_says_of_itself_outlives_the_registry() {
    let (here, there, registry) = (World::new(), World::new(), start(Wants::default()));
    let name = format!("{}/room/probe:v1", registry.host());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");
    let says = ["--authors", "the class", "--license", "GPL-2.0", "--source", "https://example.org"];
    let mut build = here.bee(&["build", source, &name]);
    build.args(says).env("SOURCE_DATE_EPOCH", "86400").assert().success();
    here.succeeds(&["push", &name]);
    there.succeeds(&["pull", &name]);
    let described = |world: &World| -> Value {
        let mut described: Value = serde_json::from_str(&world.succeeds(&["describe", &name, "--json"])).unwrap();
        described["created"].take();
        described
    };
    let pulled = described(&there);
    assert_eq!(pulled, described(&here));
    assert_eq!(pulled["platform"], format!("linux/{}", MINE_AND_OTHER[0]));
    assert_eq!(pulled["annotations"]["org.opencontainers.image.created"], "1970-01-02T00:00:00Z");
    assert_eq!(pulled["programs"][0]["section"], "kprobe/tcp_connect");
    let maps = pulled["maps"].as_array().unwrap();
    let metric = |map: &Value| map["kind"] == "counter" && map["metric"] == "ebpf_solo_io_connections";
    assert!(maps.iter().any(|map| metric(map) && map["labels"] == json!(["daddr"])), "{pulled:#}");
}

#[test]
#[ignore = "needs docker-registry and htpasswd"]
fn an_image_that_runs_a_probe_is_pushed_and_is_no_probe_itself() {
    let (world, registry) = (World::new(), start(Wants::default()));
    let (probe, _) = world.build(&registry);
    let image = format!("{}/room/runner:v1", registry.host());
    let digest = world.succeeds(&["package", &probe, &image]);
    let manifest = registry.get("room/runner/manifests/v1");
    assert_eq!(sha256(&manifest), digest);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let config = registry.get(&format!("room/runner/blobs/{}", manifest["config"]["digest"].as_str().unwrap()));
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        config["config"]["Entrypoint"],
        json!(["/bin/bee", "run", "--no-tty", "--listen=::", "/probes/probe.o"])
    );
    let said = world.refuses(&["pull", &image], &["is not an eBPF probe"]);
    assert_eq!(said.status.code(), Some(3));
    world.refuses(&["package", &probe, "runner:v1"], &["runner:v1 names no registry", "--output"]);
}

fn start(wants: Wants) -> TestRegistry {
    TestRegistry::start("127.0.0.1:0".parse().unwrap(), wants)
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Somebody with a home folder and a store.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::create_dir(world.path("home")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The workshop's first probe in the store; answers its name in this registry and its digest.
    fn build(&self, registry: &TestRegistry) -> (String, String) {
        let name = format!("{}/room/probe:v1", registry.host());
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../probes/probe.bpf.c");
        let digest = self.succeeds(&["build", source, &name]);
        (name, digest)
    }

    /// The one program in the store: what is in it that is ELF.
    fn program(&self) -> Vec<u8> {
        let blobs = files(&self.path("store/blobs")).into_iter().map(|file| fs::read(file).unwrap());
        blobs.into_iter().find(|bytes| bytes.starts_with(b"\x7fELF")).unwrap()
    }

    fn bee(&self, arguments: &[&str]) -> Command {
        let mut bee = Command::cargo_bin("bee").unwrap();
        bee.env("HOME", self.path("home")).env_remove("DOCKER_CONFIG");
        bee.arg("--storage").arg(self.path("store")).args(arguments);
        bee
    }

    /// What bee prints; it says no secret.
    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.bee(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        keeps_quiet(&output);
        text(&output.stdout).trim_end().to_owned()
    }

    /// It is refused with these words, and says no secret.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], words: &[&str]) -> Output {
        let output = self.bee(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!([1, 3].contains(&output.status.code().unwrap()), "{:?}: {said}", output.status);
        words.iter().for_each(|word| assert!(said.contains(word), "it does not say {word:?}:\n{said}"));
        let lines = said.lines().filter(|line| !line.starts_with("warning: --password")).count();
        assert!(lines <= 2, "an error and a hint:\n{said}");
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
        keeps_quiet(&output);
        output
    }
}

#[track_caller]
fn keeps_quiet(output: &Output) {
    let said = text(&output.stdout) + &text(&output.stderr);
    for secret in [LOGIN.1, "wrong-pony", "dGVhY2hlcjp"] {
        assert!(!said.contains(secret), "it says {secret}:\n{said}");
    }
}
