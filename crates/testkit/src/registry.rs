//! Debian's docker-registry, the real one, on an address of this machine for as long as a test holds it.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;

use crate::{TestCluster, rest, tokens::Tokens, until};

/// A log that has not grown for so long has all that was asked.
const SETTLED: Duration = Duration::from_millis(100);
const START: Duration = Duration::from_secs(20);

/// A registry that runs; it and what it holds go when it is dropped.
pub struct TestRegistry {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// How a registry is to be spoken to.
#[derive(Clone, Copy, Default)]
pub struct Wants<'a> {
    /// TLS, with a certificate of an authority of its own.
    pub tls: bool,
    /// The address that it will move to, for its certificate.
    pub also: Option<IpAddr>,
    /// This name and password.
    pub login: Option<(&'a str, &'a str)>,
    /// What this server signs.
    pub tokens: Option<&'a Tokens>,
}

impl TestRegistry {
    /// A registry on an address of this machine; port 0 is one that is free.
    pub fn start(address: SocketAddr, wants: Wants) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": folder.path().join("storage") } },
            "http": { "addr": address.to_string(), "secret": "of no use elsewhere" },
        });
        if wants.tls {
            let (certificate, key) = certify(folder.path(), [Some(address.ip()), wants.also]);
            config["http"]["tls"] = json!({ "certificate": certificate, "key": key });
        }
        if let Some((name, password)) = wants.login {
            let file = folder.path().join("htpasswd");
            let output = Command::new("htpasswd").args(["-nbB", name, password]).output().expect("start htpasswd");
            fs::write(&file, output.stdout).unwrap();
            config["auth"]["htpasswd"] = json!({ "realm": "labs", "path": file });
        }
        if let Some(tokens) = wants.tokens {
            config["auth"]["token"] = tokens.config();
        }
        let (process, address) = serve(folder.path(), &config);
        Self { process, address, folder }
    }

    /// Moves to another address, with all that it holds.
    pub fn moved_to(mut self, address: SocketAddr) -> Self {
        self.end();
        let text = fs::read_to_string(self.folder.path().join("config.yml")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config["http"]["addr"] = address.to_string().into();
        (self.process, self.address) = serve(self.folder.path(), &config);
        self
    }

    /// `HOST:PORT`, as images are named.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it keeps what it holds.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("storage/docker/registry/v2")
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What a client gets, that is not ours, for a path below `/v2/`. It wants neither TLS nor a login.
    pub fn get(&self, path: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/{path}", self.address);
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        let output = Command::new("curl").args(["-sSf", "--header", accept, &url]).output().expect("start curl");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What a client stores, that is not ours, under a path below `/v2/`.
    pub fn put(&self, path: &str, media_type: &str, document: &str) {
        let url = format!("http://{}/v2/{path}", self.address);
        let kind = format!("Content-Type: {media_type}");
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "--request", "PUT", "--header", &kind, "--data-binary", document, &url]);
        let output = curl.output().expect("start curl");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What it was asked since it is at its address, as `GET /v2/…` with the asker's address before.
    pub fn requests(&self) -> Vec<(String, String)> {
        let log = self.settled_log();
        let request = |line: &str| {
            let asked = line.split('"').nth(1)?.trim_end_matches(" HTTP/1.1").trim_end_matches(" HTTP/2.0");
            Some((line.split(' ').next()?.to_owned(), asked.to_owned()))
        };
        log.lines().filter_map(request).collect()
    }

    /// It writes down a request after it has answered it.
    fn settled_log(&self) -> String {
        let read = || fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let mut log = read();
        loop {
            rest(SETTLED);
            let now = read();
            if now == log {
                return log;
            }
            log = now;
        }
    }

    /// How many requests of this kind, such as `PUT`, it got so far.
    pub fn count(&self, method: &str) -> usize {
        self.requests().iter().filter(|(_, asked)| asked.starts_with(&format!("{method} "))).count()
    }

    /// Tells the nodes of a host cluster of its authority, as the README tells a user to.
    pub fn trusted_by(&self, cluster: &TestCluster) {
        trust(cluster, &self.host(), &self.authority());
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.end();
    }
}

/// For a registry that will be at this address.
pub fn trust(cluster: &TestCluster, registry: &str, authority: &Path) {
    let folder = cluster.paths().registries().join(registry);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(authority, folder.join("authority.pem")).unwrap();
    let hosts = format!("server = \"https://{registry}\"\n[host.\"https://{registry}\"]\nca = \"authority.pem\"\n");
    fs::write(folder.join("hosts.toml"), hosts).unwrap();
}

/// An address that only this machine reaches, and that is none of 127.0.0.0/8: for those Go never asks a proxy. It goes when dropped.
pub struct OwnAddress(IpAddr);

impl OwnAddress {
    /// One of the range that is for documentation.
    pub fn add() -> Self {
        let own = Self(IpAddr::from([192, 0, 2, 53]));
        own.ip("replace");
        own
    }

    /// At a port that is free.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.0, 0)
    }

    fn ip(&self, action: &str) {
        let status = Command::new("ip").args(["addr", action, &format!("{}/32", self.0), "dev", "lo"]).status();
        assert!(status.expect("start ip").success(), "ip addr {action} {}", self.0);
    }
}

impl Drop for OwnAddress {
    fn drop(&mut self) {
        self.ip("del");
    }
}

/// Starts the registry; answers once it listens, and where.
fn serve(folder: &Path, config: &serde_json::Value) -> (Child, SocketAddr) {
    let file = folder.join("config.yml");
    // JSON is YAML.
    fs::write(&file, config.to_string()).unwrap();
    let (access, log) = (folder.join("access.log"), folder.join("registry.log"));
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&file).stdin(Stdio::null());
    command.stdout(fs::File::create(access).unwrap()).stderr(fs::File::create(&log).unwrap());
    let mut process = command.spawn().expect("start docker-registry: cargo xtask test --install brings it");
    let said = || fs::read_to_string(&log).unwrap();
    until(START, || listens(&said()).is_some() || process.try_wait().unwrap().is_some());
    let address = listens(&said()).unwrap_or_else(|| panic!("docker-registry does not listen:\n{}", said()));
    (process, address)
}

/// Where a registry that has said this listens.
fn listens(said: &str) -> Option<SocketAddr> {
    said.split("listening on ").nth(1)?.split([',', '"']).next()?.parse().ok()
}

/// Writes an authority's certificate, and one that it gives for addresses; answers the files of the latter and its key.
fn certify(folder: &Path, addresses: [Option<IpAddr>; 2]) -> (PathBuf, PathBuf) {
    let mut authority = named("an authority of the tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = named("a registry of the tests");
    params.subject_alt_names = addresses.into_iter().flatten().map(SanType::IpAddress).collect();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let path = |name: &str| folder.join(name);
    fs::write(path("authority.pem"), authority.pem()).unwrap();
    fs::write(path("registry.pem"), certificate.pem()).unwrap();
    fs::write(path("registry.key"), key.serialize_pem()).unwrap();
    (path("registry.pem"), path("registry.key"))
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
