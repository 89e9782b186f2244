//! `--mirror`: the nodes ask it for what lies on docker.io. The mirror is a few lines of our own that speak a registry's protocol
//! over an image archive of ours; containerd is the real one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use testkit::{Scene, TestCluster};

pub const SCENES: &[(&str, Scene)] = &[("nodes_pull_from_docker_io_through_the_mirror", pull)];

/// On docker.io there is no such image; and the nodes have nothing of the one that is served under its name.
const IMAGE: &str = "docker.io/ebpf-lab-test/pause:v1";
const SERVED: &str = "pause";

fn pull(cluster: &TestCluster) {
    let mirror = Mirror::of(cluster, SERVED);
    let url = format!("http://{}:{}", cluster.machine, mirror.port);
    cluster.but("--mirror", &url).lab(&["lab", "2"]).succeeds();
    cluster.kubectl(&["run", "mirrored", "--image", IMAGE, "--image-pull-policy=Always"]);
    cluster.kubectl_waits(&["wait", "pod/mirrored", "--for=condition=Ready"]);
    assert!(mirror.asked.load(Ordering::Relaxed) >= 3, "a manifest, a config and a layer came from it");
    cluster.kubectl(&["delete", "pod", "mirrored", "--wait=false"]);
    // Without the flag the nodes ask the hub itself again.
    cluster.lab(&["lab", "2"]).succeeds();
}

/// Serves one image until the test ends.
struct Mirror {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Mirror {
    fn of(cluster: &TestCluster, image: &str) -> Self {
        let files = archive(cluster, image);
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client that goes away is no failure of the mirror's.
                let _ = answer(connection, &files, &manifest, &count);
            }
        });
        Self { port, asked }
    }
}

/// One request, one answer, and the connection ends.
fn answer(
    mut connection: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    manifest: &str,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let last = path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let digest = if path.contains("/manifests/") && !last.starts_with("sha256:") { manifest } else { last };
    let blob = files.get(&format!("blobs/sha256/{}", digest.trim_start_matches("sha256:")));
    let kind = if path.contains("/manifests/") {
        "application/vnd.oci.image.manifest.v1+json"
    } else {
        "application/octet-stream"
    };
    let (status, body) = blob.map_or(("404 Not Found", &[][..]), |blob| ("200 OK", blob.as_slice()));
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method == "GET" {
        connection.write_all(body)?;
        asked.fetch_add(usize::from(blob.is_some()), Ordering::Relaxed);
    }
    Ok(())
}

/// The files of one of our image archives, as `images save` writes it: for the host cluster, kind's nodes bring their own pause.
fn archive(cluster: &TestCluster, image: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    TestCluster::of(cluster.number).lab(&["images", "save", folder.path().to_str().unwrap()]).succeeds();
    let mut archive = tar::Archive::new(File::open(folder.path().join(format!("{image}.tar"))).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}
