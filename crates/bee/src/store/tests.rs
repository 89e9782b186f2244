//! The store against damage, strangers and crowds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;
use tempfile::TempDir;

use crate::store::{Built, Config, Error, ImportError, Reference, Store};

/// A probe for these processors; the program of all but the first has one more byte.
fn programs(program: &[u8], architectures: &[&str]) -> Vec<(Config, Vec<u8>)> {
    let config = |it: &str| Config { architecture: it.to_owned(), os: "linux".to_owned(), ..Config::default() };
    let program = |(n, it): (usize, &&str)| (config(it), [program, &vec![b'!'; n]].concat());
    architectures.iter().enumerate().map(program).collect()
}

fn built(programs: &[(Config, Vec<u8>)]) -> Built<'_> {
    Built { programs, created: Timestamp::UNIX_EPOCH, annotations: &[] }
}

fn empty() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("store"));
    (folder, store)
}

fn put(store: &Store, reference: &str, program: &[u8]) -> String {
    store.put(&name(reference), &built(&programs(program, &["amd64"]))).unwrap()
}

fn name(reference: &str) -> Reference {
    reference.parse().unwrap()
}

/// The stored file that holds `content`.
fn blob_of(store: &Store, content: &[u8]) -> PathBuf {
    let mut blobs = fs::read_dir(store.folder().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    blobs.find(|path| fs::read(path).unwrap() == content).unwrap()
}

#[track_caller]
fn assert_damaged(store: &Store, reference: &str, saying: &str) {
    let error = store.program(&name(reference)).unwrap_err();
    let Error::Damaged { why, .. } = &error else { panic!("{error}") };
    assert!(why.to_string().contains(saying), "{why}");
    assert!(error.hint().unwrap().contains(reference), "{:?}", error.hint());
    assert!(store.entries().unwrap().iter().find(|it| it.reference == reference).unwrap().size.is_err());
}

#[test]
fn what_was_put_in_comes_out_and_is_listed_by_name() {
    let (_folder, store) = empty();
    put(&store, "tcpconnect:v1", b"two");
    put(&store, "my_probe:v1", b"one");
    assert_eq!(store.program(&name("my_probe:v1")).unwrap(), b"one");
    let listed: Vec<_> =
        store.entries().unwrap().into_iter().map(|it| (it.reference, it.platforms, it.size.unwrap())).collect();
    let platform = vec!["linux/amd64".to_owned()];
    assert_eq!(listed, [("my_probe:v1".to_owned(), platform.clone(), 3), ("tcpconnect:v1".to_owned(), platform, 3)]);
}

#[test]
fn a_folder_that_does_not_exist_is_an_empty_store() {
    let (_folder, store) = empty();
    assert!(store.entries().unwrap().is_empty());
    assert!(matches!(store.program(&name("a:b")), Err(Error::Unknown { .. })));
    assert!(!store.folder().exists(), "reading made a folder");
}

#[test]
fn the_same_program_has_the_same_digest_in_every_store() {
    let ((_a, one), (_b, other)) = (empty(), empty());
    let first = put(&one, "x:v1", b"program");
    let program = programs(b"program", &["amd64"]);
    let later = other.put(&name("y:v2"), &Built { created: Timestamp::now(), ..built(&program) }).unwrap();
    assert_eq!(first, later);
    assert_ne!(first, put(&one, "x:v1", b"another"));
}

#[test]
fn a_name_moves_to_the_program_that_was_built_last() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"old");
    put(&store, "x:v1", b"new");
    assert_eq!(store.program(&name("x:v1")).unwrap(), b"new");
    assert_eq!(store.entries().unwrap().len(), 1);
}

#[test]
fn the_layout_is_the_one_that_bumblebee_reads() {
    let (_folder, store) = empty();
    let digest = put(&store, "x:v1", b"program");
    let json = |path: &Path| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    let index = json(&store.folder().join("index.json"));
    assert_eq!(index["manifests"][0]["digest"], digest);
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "x:v1");
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
    let manifest = json(&store.folder().join("blobs").join(digest.replace(':', "/")));
    assert_eq!(manifest["config"]["mediaType"], "application/ebpf.oci.image.config.v1+json");
    assert_eq!(manifest["config"]["annotations"]["org.opencontainers.image.title"], "config.json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/ebpf.oci.image.program.v1+binary");
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "program.o");
    assert_eq!(json(&store.folder().join("oci-layout"))["imageLayoutVersion"], "1.0.0");
}

#[test]
fn a_changed_or_lost_program_is_named_and_building_it_again_fixes_it() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"program");
    let blob = blob_of(&store, b"program");
    fs::write(&blob, b"progrbm").unwrap();
    assert_damaged(&store, "x:v1", "not what was stored");
    put(&store, "x:v1", b"program");
    assert_eq!(store.program(&name("x:v1")).unwrap(), b"program");
    fs::remove_file(&blob).unwrap();
    assert_damaged(&store, "x:v1", "can't be read");
}

#[test]
fn one_damaged_program_does_not_hide_the_others() {
    let (_folder, store) = empty();
    put(&store, "bad:v1", b"bad");
    put(&store, "good:v1", b"good");
    fs::write(blob_of(&store, b"bad"), b"").unwrap();
    assert_damaged(&store, "bad:v1", "not what was stored");
    assert_eq!(store.program(&name("good:v1")).unwrap(), b"good");
}

#[test]
fn nothing_is_read_through_a_link_even_if_the_content_is_right() {
    let (folder, store) = empty();
    put(&store, "x:v1", b"program");
    let (blob, outside) = (blob_of(&store, b"program"), folder.path().join("outside"));
    fs::rename(&blob, &outside).unwrap();
    symlink(&outside, &blob).unwrap();
    assert_damaged(&store, "x:v1", "can't be read");
    let blobs = store.folder().join("blobs");
    fs::rename(&blobs, folder.path().join("moved")).unwrap();
    symlink(folder.path().join("moved"), &blobs).unwrap();
    assert_damaged(&store, "x:v1", "can't be read");
}

#[test]
fn a_fifo_in_place_of_a_program_does_not_block() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"program");
    let blob = blob_of(&store, b"program");
    fs::remove_file(&blob).unwrap();
    nix::unistd::mkfifo(&blob, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_damaged(&store, "x:v1", "not a regular file");
}

#[test]
fn content_bigger_than_any_program_is_not_read() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"program");
    fs::File::create(blob_of(&store, b"program")).unwrap().set_len(crate::store::layout::MAX_PROGRAM + 1).unwrap();
    assert_damaged(&store, "x:v1", "it has more than 16777216 bytes");
}

#[test]
fn an_index_that_is_no_json_or_leads_out_of_the_store_is_refused_with_its_fix() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"program");
    let index = store.folder().join("index.json");
    let whole = fs::read_to_string(&index).unwrap();
    let outside = whole.replacen("sha256:", "sha256:../../../", 1);
    for damaged in [&whole[..whole.len() / 2], "[]", "", &outside] {
        fs::write(&index, damaged).unwrap();
        let error = store.program(&name("x:v1")).unwrap_err();
        assert!(matches!(error, Error::Index { .. }), "{error}");
        assert!(error.hint().unwrap().contains("mv "), "{:?}", error.hint());
        let refused = store.put(&name("y:v1"), &built(&programs(b"y", &["amd64"])));
        assert!(matches!(refused, Err(Error::Index { .. })));
        assert_eq!(fs::read_to_string(&index).unwrap(), damaged, "a damaged list was overwritten");
    }
}

#[test]
fn a_list_too_long_to_be_read_again_is_not_written() {
    let (_folder, store) = empty();
    put(&store, "x:v1", b"program");
    let index = store.folder().join("index.json");
    let long = format!("\"annotations\":{{\"org.example\":\"{}\"}},\"manifests\"", "x".repeat((4 << 20) - 600));
    let nearly = fs::read_to_string(&index).unwrap().replacen("\"manifests\"", &long, 1);
    fs::write(&index, &nearly).unwrap();
    let error = store.tag(&name("x:v1"), &name("y:v1")).unwrap_err();
    assert!(matches!(error, Error::Full { .. }) && error.hint().unwrap().contains("bee rm"), "{error}");
    assert_eq!(fs::read_to_string(&index).unwrap(), nearly);
    assert_eq!(store.program(&name("x:v1")).unwrap(), b"program");
}

#[test]
fn an_image_that_is_no_probe_is_called_so() {
    let (_folder, store) = empty();
    let digest = put(&store, "x:v1", b"program");
    let manifest = store.folder().join("blobs").join(digest.replace(':', "/"));
    let other = fs::read_to_string(&manifest).unwrap().replace("ebpf.oci.image.program", "ebpf.oci.image.another");
    let index = store.folder().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    let other_digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&other));
    fs::write(manifest.with_file_name(&other_digest), &other).unwrap();
    assert_eq!(other.len(), fs::metadata(&manifest).unwrap().len() as usize);
    fs::write(&index, text.replace(digest.strip_prefix("sha256:").unwrap(), &other_digest)).unwrap();
    assert_damaged(&store, "x:v1", "no eBPF program");
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let (_folder, store) = empty();
    thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || (0..5).for_each(|n| _ = put(store, &format!("probe{writer}:v{n}"), &[writer, n])));
        }
    });
    let entries = store.entries().unwrap();
    assert_eq!(entries.len(), 40);
    assert!(entries.iter().all(|entry| entry.size.as_ref().unwrap() == &2));
    let left_over: Vec<_> = fs::read_dir(store.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left_over.len(), 3, "{left_over:?}");
}

#[test]
fn what_an_author_says_does_not_make_digests_random() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let annotations: Vec<_> = (0..8).map(|n| (format!("org.example.{n}"), n.to_string())).collect();
    let put = || {
        let program = programs(b"program", &["amd64"]);
        let built = Built { annotations: &annotations, ..built(&program) };
        store.put(&name("x:v1"), &built).unwrap()
    };
    let first = put();
    assert!((0..20).all(|_| put() == first));
    let described = store.describe(&name("x:v1")).unwrap();
    assert_eq!((described.entry.digest, described.annotations["org.example.3"].as_str()), (first, "3"));
}

#[test]
fn a_second_name_names_the_same_and_what_no_name_needs_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let digest = put(&store, "x:v1", b"one");
    put(&store, "y:v1", b"two");
    assert_eq!(store.tag(&name("x:v1"), &name("z:v1")).unwrap(), digest);
    store.remove(&[name("x:v1")]).unwrap();
    assert_eq!(store.program(&name("z:v1")).unwrap(), b"one", "another name needs it");
    let blobs = || std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs(), 5, "two programs, two manifests, one config");
    assert!(store.remove(&[name("z:v1"), name("none:v1")]).is_err(), "all or none");
    assert!(store.remove(&[name("z:v1")]).unwrap() > 3);
    assert_eq!(blobs(), 3);
    assert_eq!(store.program(&name("y:v1")).unwrap(), b"two");
}

#[test]
fn an_archive_brings_probes_from_store_to_store() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [from, to] = folders.each_ref().map(|folder| Store::at(folder.path()));
    let digest = put(&from, "x:v1", b"one");
    put(&from, "y:v1", b"two");
    let archive = || {
        let mut archive = vec![];
        from.export(&[name("x:v1"), name("y:v1")], &mut archive).unwrap();
        archive
    };
    assert_eq!(archive(), archive(), "the same probes give the same bytes");
    assert_eq!(to.import(archive().as_slice()).unwrap()[0], (name("x:v1"), digest));
    assert_eq!(to.program(&name("y:v1")).unwrap(), b"two");
    let whole = archive();
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x11;
        let target = tempfile::tempdir().unwrap();
        let store = Store::at(target.path());
        if store.import(damaged.as_slice()).is_ok() {
            assert_eq!(store.program(&name("x:v1")).ok().as_deref().unwrap_or(b"one"), b"one", "byte {at}");
        }
    }
}

#[test]
fn an_archive_with_files_that_no_layout_has_is_refused() {
    let archive = |path: &str, kind: tar::EntryType| {
        let mut archive = tar::Builder::new(vec![]);
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        // What `append_data` would refuse.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, &[][..]).unwrap();
        archive.into_inner().unwrap()
    };
    let store = Store::at("/nowhere");
    for (path, kind) in [
        ("../index.json", tar::EntryType::Regular),
        ("/etc/passwd", tar::EntryType::Regular),
        ("blobs/sha256/../../x", tar::EntryType::Regular),
        ("index.json", tar::EntryType::Symlink),
        ("index.json", tar::EntryType::Link),
        ("index.json", tar::EntryType::Fifo),
    ] {
        let refused = store.import(archive(path, kind).as_slice());
        assert!(matches!(refused, Err(ImportError::File(_))), "{path}: {refused:?}");
    }
    let elf = fs::read(std::env::current_exe().unwrap()).unwrap();
    for other in [&b"no archive"[..], &[0xff; 4096], &elf] {
        let said = store.import(other).unwrap_err().to_string();
        assert_eq!(said, "not a tar archive, or a damaged one", "it prints what the file has");
    }
}

const BOTH: [&str; 2] = ["amd64", "arm64"];

/// This machine's and the other of both processors, by their place in the list.
fn mine_and_other() -> (usize, usize) {
    if cfg!(target_arch = "x86_64") { (0, 1) } else { (1, 0) }
}

#[test]
fn an_image_for_several_processors_is_one_probe_and_goes_whole() {
    let ((_a, from), (_b, to)) = (empty(), empty());
    let both = programs(b"program", &BOTH);
    let digest = from.put(&name("x:v1"), &built(&both)).unwrap();
    assert_eq!(from.put(&name("y:v1"), &built(&both)).unwrap(), digest, "the same input, another digest");
    assert_eq!(from.program(&name("x:v1")).unwrap(), both[mine_and_other().0].1);
    let entry = from.describe(&name("x:v1")).unwrap().entry;
    assert_eq!((entry.digest, entry.platforms), (digest.clone(), BOTH.map(|it| format!("linux/{it}")).to_vec()));
    assert_eq!(entry.size.unwrap(), 7 + 8);

    let mut archive = vec![];
    from.export(&[name("x:v1")], &mut archive).unwrap();
    assert_eq!(to.import(archive.as_slice()).unwrap(), [(name("x:v1"), digest.clone())]);
    assert_eq!(to.tag(&name("x:v1"), &name("z:v1")).unwrap(), digest);
    to.remove(&[name("x:v1")]).unwrap();
    assert_eq!(to.program(&name("z:v1")).unwrap(), both[mine_and_other().0].1, "another name needs it");
    assert!(to.remove(&[name("z:v1")]).unwrap() > 15);
    assert_eq!(fs::read_dir(to.folder().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn an_image_of_which_only_this_machines_part_is_stored_runs_but_goes_nowhere() {
    let (_folder, store) = empty();
    let (mine, other) = mine_and_other();
    store.put(&name("x:v1"), &built(&programs(b"program", &BOTH))).unwrap();
    let mut image = store.image(&name("x:v1")).unwrap();
    drop(image.manifests.remove(other));
    store.remove(&[name("x:v1")]).unwrap();
    store.put_image(&name("x:v1"), image, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(store.program(&name("x:v1")).unwrap().len(), 7 + mine);
    assert_eq!(store.entries().unwrap()[0].size.as_ref().unwrap(), &(7 + mine as u64));
    let error = store.export(&[name("x:v1")], vec![]).unwrap_err();
    assert_eq!(error.to_string(), format!("x:v1 is incomplete: linux/{} is missing", BOTH[other]));
    assert!(error.hint().unwrap().contains("--all-platforms x:v1"));
    put(&store, "y:v1", b"y");
    assert!(store.remove(&[name("y:v1")]).unwrap() > 0, "what is not stored keeps everything else");
    assert_eq!(store.program(&name("x:v1")).unwrap().len(), 7 + mine, "it was swept away");
}

#[test]
fn an_image_for_another_processor_is_not_run() {
    let (_folder, store) = empty();
    store.put(&name("x:v1"), &built(&programs(b"program", &["s390x", "riscv64"]))).unwrap();
    let error = store.program(&name("x:v1")).unwrap_err();
    assert_eq!(error.to_string(), "x:v1 is for linux/s390x, linux/riscv64, not for this machine's architecture");
}
