//! In helm's place a script, and in a cluster's place a server: for what the real ones can't be made to do here.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
};

/// A helm on PATH that writes down how it is called, says a version, and fails at `upgrade` with words recorded from a real one.
pub struct RecordedShim {
    log: PathBuf,
    folder: PathBuf,
}

impl RecordedShim {
    pub fn new(world: &Path, version: &str, says: &str) -> Self {
        let (folder, log, words) = (world.join("shims"), world.join("helm.log"), world.join("recorded"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&words, says).unwrap();
        let script = format!(
            "#!/bin/sh\n{{ echo \"helm $*\"; env | grep '^HELM_' | sort; echo \"stdin: $(cat)\"; }} >> {log}\n\
             case $1 in version) echo {version} ;; *) cat {words} >&2; exit 1 ;; esac\n",
            log = log.display(),
            words = words.display()
        );
        let helm = folder.join("helm");
        end_to_end::program(&helm, &script);
        Self { log, folder }
    }

    /// `PATH` with it in front.
    pub fn path(&self) -> String {
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.folder.display())
    }

    /// Every call: arguments, environment, standard input.
    pub fn calls(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Writes a kubeconfig with the context `mine` of an API server that has no objects at all.
pub fn empty_cluster(world: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
         users: [{{name: u, user: {{}}}}], contexts: [{{name: mine, context: {{cluster: c, user: u}}}}]}}"
    );
    fs::write(world.join("kubeconfig"), kubeconfig).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
}

/// Lists are empty, everything else does not exist.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    let (status, body) = match request.contains("/secrets?") || request.contains("/customresourcedefinitions?") {
        true => {
            ("200 OK", r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},"items":[]}"#)
        }
        false => (
            "404 Not Found",
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"nothing","code":404}"#,
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
