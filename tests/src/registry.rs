//! A real image registry on this machine, with TLS: Debian's `docker-registry`, one of our images in it.

use std::{
    fs::{self, File},
    io::Read,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use interface::Paths;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

/// Ended, and all it stored removed, when dropped.
pub struct Registry {
    process: Child,
    folder: tempfile::TempDir,
    host: String,
    name: String,
}

impl Registry {
    /// With the image of this name of ours in it, which must have been built.
    pub fn start(paths: &Paths, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The proxy, and who else serves TLS here, may not be root.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let address = own_address();
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let host = format!("{address}:{port}");
        certify(folder.path(), &address);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{host}', tls: {{certificate: {}, key: {}}}}}\n",
            file("storage"),
            file("registry.crt"),
            file("registry.key")
        );
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", &file("config.yml")]).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let process = command.spawn().expect("start docker-registry (apt-get install docker-registry)");
        let registry = Self { process, folder, host, name: name.to_owned() };
        let up = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            registry.curl(&[], "/v2/").is_some()
        });
        assert!(up, "docker-registry does not answer: {}", registry.log());
        registry.push(&archive(paths, name));
        registry
    }

    /// `192.0.2.2:40123`
    pub fn host(&self) -> String {
        self.host.clone()
    }

    /// The image as a pod names it.
    pub fn image(&self) -> String {
        format!("{}/{}:lab", self.host, self.name)
    }

    /// The certificate of whoever vouches for the registry.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What an upload of each blob, and then of the manifest, takes.
    fn push(&self, archive: &Path) {
        let blobs = self.folder.path().join("blobs");
        fs::create_dir(&blobs).unwrap();
        let index = unpack(archive, &blobs);
        let manifest = index["manifests"][0]["digest"].as_str().unwrap();
        let text = fs::read_to_string(blobs.join(manifest.trim_start_matches("sha256:"))).unwrap();
        let parts: Value = serde_json::from_str(&text).unwrap();
        let layers = parts["layers"].as_array().unwrap().iter();
        for blob in layers.chain([&parts["config"]]).map(|part| part["digest"].as_str().unwrap()) {
            let begin = ["-X", "POST", "-o", "/dev/null", "-w", "%header{location}"];
            let upload = self.curl(&begin, &format!("/v2/{}/blobs/uploads/", self.name)).expect("begin an upload");
            let path = upload.split_once(&self.host).expect("a location").1;
            let file = format!("@{}", blobs.join(blob.trim_start_matches("sha256:")).display());
            let octets = "Content-Type: application/octet-stream";
            let put = ["-X", "PUT", "-H", octets, "--data-binary", &file];
            self.curl(&put, &format!("{path}&digest={blob}")).expect("upload a blob");
        }
        let kind = format!("Content-Type: {}", parts["mediaType"].as_str().unwrap());
        let put = ["-X", "PUT", "-H", &kind, "--data-binary", &text];
        self.curl(&put, &format!("/v2/{}/manifests/lab", self.name)).expect("upload the manifest");
    }

    fn curl(&self, options: &[&str], path: &str) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "20", "--cacert"]).arg(self.authority()).args(options);
        let output = curl.arg(format!("https://{}{path}", self.host)).output().expect("start curl");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This machine's address towards others: Go never asks a proxy for a loopback address. No packet is sent.
fn own_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let route = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    route.expect("this machine has no address but loopback").ip().to_string()
}

fn certify(folder: &Path, address: &str) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![address.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in
        [("ca.crt", authority.pem()), ("registry.crt", server.pem()), ("registry.key", key.serialize_pem())]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// The archive of an image of ours, from the cache.
fn archive(paths: &Paths, name: &str) -> PathBuf {
    let note: Value = serde_json::from_slice(&fs::read(paths.images().join(format!("{name}.json"))).unwrap()).unwrap();
    note["image"]["archive"].as_str().unwrap().into()
}

/// Every blob under its digest; answers the index.
fn unpack(archive: &Path, to: &Path) -> Value {
    let mut tar = tar::Archive::new(File::open(archive).unwrap());
    let mut index = Value::Null;
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        match path.strip_prefix("blobs/sha256") {
            Ok(digest) => drop(entry.unpack(to.join(digest)).unwrap()),
            Err(_) if path == Path::new("index.json") => {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                index = serde_json::from_str(&text).unwrap();
            }
            Err(_) => {}
        }
    }
    index
}
