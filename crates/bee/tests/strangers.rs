//! Archives and registries of somebody who means harm: whatever they say, bee ends with an error or with probes that are whole, keeps its
//! memory, and writes nothing outside the store.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bee::decode::filter::Filter;
use bee::decode::histogram::Buckets;
use bee::decode::labels::Labels;
use bee::decode::layout::{Field, Layout, Shape};
use bee::object::params::Parameter;
use bee::store::registry::{Which, pull};
use bee::store::{Built, Config, Reference, Store};
use indicatif::ProgressBar;
use jiff::Timestamp;
use oci_registry::client::Options;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tar::{EntryType, Header};
use testkit::until;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Stands for a document that is nested deeper than any parser's stack.
const DEEP: &str = "deep";

/// A store with an image for both processors, and what it is archived as.
fn archived() -> (tempfile::TempDir, Store, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    let config = |it: &str| Config { architecture: it.to_owned(), os: "linux".to_owned(), ..Config::default() };
    let programs = ["amd64", "arm64"].map(|it| (config(it), format!("program for {it}").into_bytes()));
    let built = Built { programs: &programs, created: Timestamp::UNIX_EPOCH, annotations: &[] };
    store.put(&name("both:v1"), &built).unwrap();
    store.put(&name("one:v1"), &Built { programs: &programs[..1], ..built }).unwrap();
    let mut archive = vec![];
    store.export(&[name("both:v1"), name("one:v1")], &mut archive).unwrap();
    (folder, store, archive)
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Takes it or leaves it, and what it takes is whole.
fn import(archive: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    let taken = store.import(archive).is_ok();
    if store.folder().exists() {
        assert!(store.entries().unwrap().iter().all(|entry| entry.size.is_ok()), "something broken was stored");
    }
    let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(beside.iter().all(|file| file == "store"), "it wrote beside the store: {beside:?}");
    taken
}

/// One file of an archive, of any kind, path and claimed length.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let paths =
        ["index.json", "oci-layout", "../index.json", "/etc/x", "blobs/sha256/../../x", "a/b/c", "./index.json", ""];
    let kinds = [
        EntryType::Regular,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::GNUSparse,
    ];
    let sizes = prop_oneof![Just(None), select(vec![u64::MAX, 1 << 62, 1 << 33, 257 << 20, 1]).prop_map(Some)];
    (select(paths.to_vec()), select(kinds.to_vec()), sizes, vec(any::<u8>(), 0..600)).prop_map(
        |(path, kind, size, content)| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(size.unwrap_or(content.len() as u64));
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
            [header.as_bytes(), content.as_slice(), &padding].concat()
        },
    )
}

/// A description with one value of it replaced.
fn damage(document: &mut Value, at: &[Index], by: Value) {
    let Some((here, below)) = at.split_first() else { return *document = by };
    let child = match document {
        Value::Object(map) if !map.is_empty() => {
            let at = here.index(map.len());
            map.values_mut().nth(at)
        }
        Value::Array(list) if !list.is_empty() => Some(here.get_mut(list)),
        _ => None,
    };
    match child {
        Some(child) => damage(child, below, by),
        None => *document = by,
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(|number| json!(number)),
        select(vec![json!(u64::MAX), json!(1e300), json!(0), json!(67_108_865u64), json!([]), json!({}), json!(true)]),
        select(vec!["", "sha256:", "sha256:../../x", "sha512:00", INDEX, MANIFEST, "../x", "\u{1b}[2J"])
            .prop_map(|it| json!(it)),
        Just(json!(DEEP)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_archive_with_changed_bytes_is_whole_or_refused(changes in vec((any::<Index>(), any::<u8>()), 1..8), length in any::<Index>()) {
        let (_folder, _, mut archive) = archived();
        for (at, byte) in changes {
            *at.get_mut(&mut archive) = byte;
        }
        import(&archive);
        import(&archive[..length.index(archive.len())]);
    }

    #[test]
    fn an_archive_of_any_files_is_refused(entries in vec(entry(), 0..6)) {
        prop_assert!(!import(&entries.concat()), "there is no probe in it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_registry_may_say_what_it_likes(document in any::<Index>(), at in vec(any::<Index>(), 0..4), by in anything(), all in any::<bool>()) {
        let (_folder, store, _) = archived();
        let which = if all { Which::All } else { Which::ThisMachine };
        STRANGER.with(|stranger| stranger.pull(&store, document, &at, by, which));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What the command line is given, some of it nearly right.
    #[test]
    fn a_filter_a_parameter_buckets_or_a_name_may_be_any_text(begin in select(vec!["", "comm~", "a:b>=", "m,f,", "log2:", "linear:0:", "x="]), rest in ".{0,60}", record in vec(any::<u8>(), 0..16)) {
        let text = format!("{begin}{rest}");
        if let Ok(filter) = text.parse::<Filter>() {
            filter.takes("events", &labels(), &record);
            prop_assert!(filter.to_string().parse::<Filter>().is_ok(), "{text:?} is passed on to sudo as {filter}");
        }
        if let Ok(parameter) = text.parse::<Parameter>() {
            prop_assert_eq!(parameter.to_string().parse::<Parameter>().unwrap().to_string(), parameter.to_string());
        }
        if let Ok(buckets) = text.parse::<Buckets>() {
            prop_assert_eq!(buckets.to_string().parse::<Buckets>().ok(), Some(buckets));
        }
        let _ = text.parse::<Reference>();
    }
}

/// Of a key with a number and a text.
fn labels() -> Labels {
    let number = Layout { size: 4, shape: Shape::Unsigned };
    let text = Layout { size: 8, shape: Shape::Text };
    let field = |name: &str, byte: usize, layout| Field { name: name.into(), offset: byte * 8, bits: None, layout };
    let fields = vec![field("b", 0, number), field("comm", 4, text)];
    Labels::new(&Layout { size: 12, shape: Shape::Struct(fields) }, None)
}

#[test]
fn an_archive_that_names_one_program_often_takes_its_memory_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    let program = [(Config::default(), vec![7; 4 << 20])];
    let built = Built { programs: &program, created: Timestamp::UNIX_EPOCH, annotations: &[] };
    let names: Vec<_> = (0..60).map(|number| name(&format!("probe:v{number}"))).collect();
    store.put(&names[0], &built).unwrap();
    names.iter().skip(1).for_each(|another| drop(store.tag(&names[0], another).unwrap()));
    let archive = folder.path().join("probes.tar");
    store.export(&names, fs::File::create(&archive).unwrap()).unwrap();
    let script = "ulimit -v 150000 && exec \"$0\" --storage \"$1\" import \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_bee")]).args([folder.path().join("other"), archive]);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 60);
}

/// One whose images are right, to see that the others are refused for what is wrong with them.
#[test]
fn a_registry_that_says_the_truth_is_believed() {
    let (_folder, store, _) = archived();
    let stranger = Stranger::start();
    stranger.answers(&store, "both:v1", |_, bytes| bytes);
    assert_eq!(stranger.fetch(Which::All).unwrap(), "sha256:".len() + 64);
}

thread_local!(static STRANGER: Stranger = Stranger::start());

type Answers = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// A registry that answers each path with what it was given for it.
struct Stranger {
    address: SocketAddr,
    answers: Answers,
}

impl Stranger {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, answers) = (listener.local_addr().unwrap(), Answers::default());
        let theirs = Arc::clone(&answers);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let answers = Arc::clone(&theirs);
                thread::spawn(move || serve(connection.unwrap(), &answers));
            }
        });
        Self { address, answers }
    }

    /// Has what the store has under a name, each document as `change` leaves it, under its old digest.
    fn answers(&self, store: &Store, reference: &str, mut change: impl FnMut(usize, Vec<u8>) -> Vec<u8>) {
        let image = store.image(&name(reference)).unwrap();
        let mut answers = vec![];
        let mut add = |path: String, kind: &str, bytes: &[u8]| {
            let bytes = change(answers.len(), bytes.to_vec());
            answers.push((path, kind.to_owned(), bytes));
        };
        if let Some((_, document)) = &image.index {
            add("manifests/v1".to_owned(), INDEX, document);
        }
        for manifest in &image.manifests {
            let digest = manifest.descriptor().digest().to_string();
            let path = if image.index.is_some() { digest } else { "v1".to_owned() };
            add(format!("manifests/{path}"), MANIFEST, &manifest.document);
            for (part, bytes) in &manifest.blobs {
                add(format!("blobs/{}", part.digest()), "application/octet-stream", bytes);
            }
        }
        *self.answers.lock().unwrap() = answers;
    }

    fn pull(&self, store: &Store, document: Index, at: &[Index], by: Value, which: Which) {
        for reference in ["both:v1", "one:v1"] {
            let count = if reference == "both:v1" { 7 } else { 3 };
            let damaged = document.index(count);
            self.answers(store, reference, |number, bytes| {
                if number != damaged {
                    return bytes;
                }
                if by == DEEP {
                    return "[".repeat(1 << 20).into_bytes();
                }
                let Ok(mut json) = serde_json::from_slice::<Value>(&bytes) else { return by.to_string().into_bytes() };
                damage(&mut json, at, by.clone());
                json.to_string().into_bytes()
            });
            let _ = self.fetch(which);
        }
    }

    /// Into an empty store, in which nothing broken may be; answers the digest's length.
    fn fetch(&self, which: Which) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("store"));
        let options = Options {
            plain_http: true,
            insecure: false,
            authority: None,
            login: None,
            configs: vec![],
            login_command: "bee login",
            user_agent: "test",
        };
        let name = name(&format!("{}/room/probe:v1", self.address));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bar = ProgressBar::hidden();
        let pulled = thread::scope(|scope| {
            let pulled = scope.spawn(|| runtime.block_on(pull(&store, &name, which, &options, &bar)));
            assert!(until(Duration::from_secs(10), || pulled.is_finished()), "it does not end");
            pulled.join().unwrap()
        });
        if store.folder().exists() {
            assert!(store.entries().unwrap().iter().all(|entry| entry.size.is_ok()), "something broken was stored");
        }
        assert!(!folder.path().join("x").exists() && !Path::new("x").exists());
        pulled.map(|digest| digest.len()).map_err(|why| why.to_string())
    }
}

/// Answers the requests of one connection.
fn serve(mut connection: TcpStream, answers: &Answers) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let found = answers.lock().unwrap().iter().find(|(it, ..)| path == format!("/v2/room/probe/{it}")).cloned();
        let (status, kind, body) = match found {
            Some((_, kind, body)) => ("200 OK", kind, body),
            None if path == "/v2/" => ("200 OK", "text/plain".to_owned(), vec![]),
            None => ("404 Not Found", "text/plain".to_owned(), vec![]),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        if connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body)).is_err() {
            return;
        }
    }
}
