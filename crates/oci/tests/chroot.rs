//! Images of programs in every form that distributions link them in, each unpacked and started for real, with nothing of this
//! machine in sight.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so by panicking")]

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use oci::{Error, Recipe, archive, libraries, rootfs};
use tempfile::TempDir;

/// Set for whatever is started in a root.
const IN_ROOT: &str = "EBPF_LAB_IN_ROOT";

const PROGRAM: &str =
    "#include <stdio.h>\nint greet(void);\nint main(void) { return printf(\"%d\\n\", greet()) < 0; }\n";
const GREET: &str = "int base(void);\nint greet(void) { return base() + 1; }\n";
const BASE: &str = "int base(void) { return 41; }\n";
const ALONE: &str = "#include <stdio.h>\nint main(void) { return puts(\"42\") < 0; }\n";

#[test]
fn a_program_of_this_machine_starts_in_its_image() {
    let world = World::new();
    let program = world.program("prog", ALONE, &[]);
    world.starts(&program);
}

#[test]
fn a_program_of_nix_finds_its_loader_and_each_library_in_the_store() {
    let world = World::new();
    let (program, _) = world.nix();
    world.starts(&program);
    let files = files(&program).unwrap();
    let libraries = files.into_iter().filter(|path| path.to_string_lossy().contains(".so"));
    let outside: Vec<_> = libraries.filter(|path| !path.starts_with(world.path("nix/store"))).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

/// That of Nix knows no cache outside the store; Debian's libraries are no part of what it starts.
#[test]
fn a_loader_that_reads_no_cache_is_given_no_library_of_another_distribution() {
    let world = World::new();
    let (program, glibc) = world.nix();
    let loader = glibc.join(name(&machine_loader()));
    let mut bytes = fs::read(&loader).unwrap();
    for (old, new) in [("/etc/ld.so.cache", "/nix/no.so.cache"), ("/lib/", "/no1/")] {
        replace(&mut bytes, old.as_bytes(), new.as_bytes());
    }
    fs::write(&loader, bytes).unwrap();
    world.starts(&program);
    fs::remove_file(glibc.join("libc.so.6")).unwrap();
    refuses(&program, &["libc.so.6", name(&program)]);
}

/// `lib` and `lib64` are names for `usr/lib`, the program asks for a loader in `/lib64`, and one library lies in a folder that
/// only ldconfig knows. The image is made in such a root, where this test is started again.
#[test]
fn a_program_of_arch_finds_its_loader_by_the_name_that_it_asks_for() {
    if std::env::var_os(IN_ROOT).is_some() {
        return fs::rename(image(Path::new("/usr/bin/prog"), Path::new("/tmp")).unwrap(), "/tmp/image.tar").unwrap();
    }
    let world = World::new();
    let program = world.linked("");
    let root = world.path("arch");
    let here = std::env::current_exe().unwrap();
    for folder in ["usr/bin", "usr/lib", "opt/greet", "etc", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (to, link) in [("usr/lib", "lib"), ("usr/lib", "lib64"), ("lib", "usr/lib64")] {
        symlink(to, root.join(link)).unwrap();
    }
    for library in libraries::of(&here, "/test".as_ref()).unwrap().into_values() {
        copy(&library, &root.join("usr/lib").join(library.file_name().unwrap()));
    }
    copy(&here, &root.join("usr/bin/test"));
    copy(&program, &root.join("usr/bin/prog"));
    for library in ["libgreet.so", "libbase.so"] {
        copy(&world.path(library), &root.join("opt/greet").join(library));
    }
    fs::write(root.join("etc/ld.so.conf"), "/opt/greet\n").unwrap();
    let Some(ldconfig) = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find(|path| Path::new(path).exists())
    else {
        return skip("there is no ldconfig");
    };
    assert!(Command::new(ldconfig).arg("-r").arg(&root).status().unwrap().success());

    let again = ["/usr/bin/test", "--exact", std::thread::current().name().unwrap()].map(str::to_owned);
    let Some(output) = start(&root, &again) else { return };
    assert!(output.status.success(), "{}", said(&output));
    world.unpacked_starts(&root.join("tmp/image.tar"), "prog");
}

#[test]
fn a_library_beside_the_program_is_found_beside_it_in_the_image() {
    let world = World::new();
    world.linked("$ORIGIN");
    for (file, to) in
        [("prog", "app/bin/prog"), ("libgreet.so", "app/lib/libgreet.so"), ("libbase.so", "app/lib/libbase.so")]
    {
        copy(&world.path(file), &world.path(to));
    }
    for origin in ["$ORIGIN/../lib", "${ORIGIN}/../lib"] {
        let link = format!("-Wl,-rpath={origin}");
        let program = world.program("app/bin/prog", PROGRAM, &[&link, "-L.", "-lgreet", "-lbase"]);
        world.starts(&program);
        assert!(files(&program).unwrap().contains(&PathBuf::from("/lib/libgreet.so")));
    }
}

#[test]
fn folders_in_an_rpath_hold_for_what_a_library_needs_and_those_in_a_runpath_do_not() {
    let world = World::new();
    let folder = world.path("opt");
    fs::create_dir(&folder).unwrap();
    world.linked("");
    for library in ["libgreet.so", "libbase.so"] {
        fs::rename(world.path(library), folder.join(library)).unwrap();
    }
    let link = [format!("-L{}", folder.display()), "-lgreet".to_owned(), format!("-Wl,-rpath={}", folder.display())];
    let link = [&link[0], &link[1], &link[2], "-Wl,--allow-shlib-undefined"];
    let old = world.program("old", PROGRAM, &[&link[..], &["-Wl,--disable-new-dtags"]].concat());
    world.starts(&old);
    let new = world.program("new", PROGRAM, &[&link[..], &["-Wl,--enable-new-dtags"]].concat());
    refuses(&new, &["libbase.so", "libgreet.so"]);
}

#[test]
fn a_library_for_another_processor_is_passed_over() {
    let world = World::new();
    let (wrong, right) = (world.path("wrong"), world.path("right"));
    let program = world.linked(&format!("{}:{}", wrong.display(), right.display()));
    for library in ["libgreet.so", "libbase.so"] {
        copy(&world.path(library), &right.join(library));
        let mut other = fs::read(world.path(library)).unwrap();
        other[18] ^= 1; // e_machine
        fs::create_dir_all(&wrong).unwrap();
        fs::write(wrong.join(library), other).unwrap();
        fs::remove_file(world.path(library)).unwrap();
    }
    world.starts(&program);
}

#[test]
fn a_static_program_needs_nothing_and_starts() {
    let world = World::new();
    for flag in ["-static", "-static-pie"] {
        if !world.compiles("prog", ALONE, &[flag]) {
            return skip("there is no libc.a");
        }
        let program = world.path("prog");
        assert_eq!(libraries::of(&program, "/bin/prog".as_ref()).unwrap(), libraries::Libraries::new());
        world.starts(&program);
    }
}

#[test]
fn a_program_for_musl_starts_with_musl() {
    let world = World::new();
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        return skip("there is no musl-gcc; apt's musl-tools has it");
    }
    world.compile("musl-gcc", "libbase.so", BASE, &["-shared", "-fPIC"]);
    let link = format!("-Wl,-rpath={}", world.path("").display());
    let program = world.compile("musl-gcc", "prog", &PROGRAM.replace("greet", "base"), &["-L.", "-lbase", &link]);
    let output = world.start_in_image(&program);
    assert!(output.is_none_or(|output| said(&output) == "41\n"));
    let glibc: Vec<_> = files(&program).unwrap().into_iter().filter(|path| path.ends_with("libc.so.6")).collect();
    assert!(glibc.is_empty(), "{glibc:?}");
}

#[test]
fn a_script_brings_its_interpreter() {
    let world = World::new();
    let script = world.path("script");
    fs::write(&script, "#!/bin/sh -e\necho 42\n").unwrap();
    make_executable(&script);
    world.starts(&script);
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let world = World::new();
    let program = world.linked(&world.path("").display().to_string());
    fs::remove_file(world.path("libbase.so")).unwrap();
    refuses(&program, &["libbase.so", "libgreet.so needs"]);
    let program = world.program("prog", ALONE, &["-Wl,--dynamic-linker=/nowhere/ld.so"]);
    refuses(&program, &["the loader /nowhere/ld.so", "prog is started with"]);
}

#[test]
fn what_is_no_program_is_refused_by_name() {
    let world = World::new();
    world.linked("");
    let text = world.path("text");
    fs::write(&text, "not a program").unwrap();
    refuses(&text, &["text is not a program"]);
    refuses(&world.path("libgreet.so"), &["libgreet.so is not a program"]);
    refuses(&world.path("nothing"), &["nothing"]);
}

/// A folder with programs.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(&self.0).unwrap().join(name)
    }

    fn program(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        self.compile("cc", name, source, arguments)
    }

    #[track_caller]
    fn compile(&self, compiler: &str, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let output = self.cc(compiler, name, source, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.path(name)
    }

    fn compiles(&self, name: &str, source: &str, arguments: &[&str]) -> bool {
        self.cc("cc", name, source, arguments).status.success()
    }

    fn cc(&self, compiler: &str, name: &str, source: &str, arguments: &[&str]) -> Output {
        fs::write(self.path("source.c"), source).unwrap();
        let mut cc = Command::new(compiler);
        cc.current_dir(&self.0).args(["-Wl,--no-as-needed", "-o", name, "source.c"]).args(arguments);
        cc.output().unwrap()
    }

    /// A program that needs a library that needs another, with folders for them in each.
    fn linked(&self, folders: &str) -> PathBuf {
        // An empty list of folders is one, too, and its loader would ask nobody else's.
        let link = if folders.is_empty() { "-Wl,-rpath-link=." } else { &format!("-Wl,-rpath={folders}") };
        self.program("libbase.so", BASE, &["-shared", "-fPIC"]);
        self.program("libgreet.so", GREET, &["-shared", "-fPIC", "-L.", "-lbase", link]);
        self.program("prog", PROGRAM, &["-L.", "-lgreet", "-Wl,-rpath-link=.", link])
    }

    /// The same in a store like Nix's, where each package has a folder of its own, the loader's too: the program and glibc's.
    fn nix(&self) -> (PathBuf, PathBuf) {
        let folder = |package: &str| self.path("nix/store").join(package).join("lib");
        let [glibc, base, greet, program] = ["a0-glibc-2.40", "b1-base", "c2-greet", "d3-prog"].map(folder);
        for folder in [&glibc, &base, &greet, &program] {
            fs::create_dir_all(folder).unwrap();
        }
        for library in libraries::of(&std::env::current_exe().unwrap(), "/bin/test".as_ref()).unwrap().into_values() {
            copy(&library, &glibc.join(library.file_name().unwrap()));
        }
        let at = |folder: &Path| format!("-Wl,-rpath={}", folder.display());
        let loader = format!("-Wl,--dynamic-linker={}", glibc.join(name(&machine_loader())).display());
        self.linked("");
        fs::rename(self.path("libbase.so"), base.join("libbase.so")).unwrap();
        let [in_base, in_greet] = [&base, &greet].map(|folder| format!("-L{}", folder.display()));
        let library = ["-shared", "-fPIC", &in_base, "-lbase", &at(&base), &at(&glibc)];
        self.program("libgreet.so", GREET, &library);
        fs::rename(self.path("libgreet.so"), greet.join("libgreet.so")).unwrap();
        let above = format!("-Wl,-rpath-link={}", base.display());
        let arguments = [&in_greet, "-lgreet", &above, &loader, &at(&greet), &at(&glibc)];
        let made = self.program("nix/store/d3-prog/lib/prog", PROGRAM, &arguments);
        (made, glibc)
    }

    /// The program says 42 in its image.
    #[track_caller]
    fn starts(&self, program: &Path) {
        let output = self.start_in_image(program);
        assert!(output.as_ref().is_none_or(|output| said(output) == "42\n"), "{}", said(&output.unwrap()));
    }

    fn start_in_image(&self, program: &Path) -> Option<Output> {
        let image = image(program, self.0.path()).unwrap();
        self.start_unpacked(&image, name(program))
    }

    #[track_caller]
    fn unpacked_starts(&self, image: &Path, name: &str) {
        let output = self.start_unpacked(image, name);
        assert!(output.as_ref().is_none_or(|output| said(output) == "42\n"), "{}", said(&output.unwrap()));
    }

    fn start_unpacked(&self, image: &Path, name: &str) -> Option<Output> {
        let root = tempfile::tempdir_in(&self.0).unwrap();
        let layer = layer(&fs::read(image).unwrap());
        tar::Archive::new(layer.as_slice()).unpack(root.path()).unwrap();
        start(root.path(), &[format!("/bin/{name}")])
    }
}

fn recipe(program: &Path) -> Recipe {
    Recipe { name: "prog".into(), program: program.to_owned(), files: vec![], arguments: vec![] }
}

fn image(program: &Path, folder: &Path) -> Result<PathBuf, Error> {
    Ok(archive::write(folder, &recipe(program), "localhost/ebpf-lab-test/prog:v1")?.archive)
}

fn files(program: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(rootfs::files(&recipe(program))?.into_keys().collect())
}

#[track_caller]
fn refuses(program: &Path, words: &[&str]) {
    let error = files(program).unwrap_err().to_string();
    let silent: Vec<_> = words.iter().filter(|word| !error.contains(**word)).collect();
    assert!(silent.is_empty(), "{error} does not say {silent:?}");
}

/// The one layer of an image.
fn layer(archive: &[u8]) -> Vec<u8> {
    let read = |wanted: &str| {
        let mut archive = tar::Archive::new(archive);
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let mut entry = entries.find(|entry| entry.path().unwrap() == Path::new(wanted)).unwrap();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let manifest: serde_json::Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    read(manifest[0]["Layers"][0].as_str().unwrap())
}

/// Runs a command with `root` as all that there is; nothing, and a line that says why, where that can't be done.
fn start(root: &Path, command: &[String]) -> Option<Output> {
    let alone = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]);
        unshare
    };
    if !alone().arg("true").status().is_ok_and(|status| status.success()) {
        skip("`unshare --user` gets no user namespace here");
        return None;
    }
    Some(alone().arg("--root").arg(root).args(command).env_clear().env(IN_ROOT, "1").output().unwrap())
}

/// On stdout past the harness, for `cargo xtask test` to count.
fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("\nskipped: {}: {why}\n", thread.name().unwrap_or("chroot"));
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What programs of this machine are started with.
fn machine_loader() -> PathBuf {
    let libraries = libraries::of(&std::env::current_exe().unwrap(), "/bin/test".as_ref()).unwrap();
    libraries.into_keys().find(|path| name(path).starts_with("ld-")).unwrap()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

fn make_executable(file: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(file, mode).unwrap();
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let places: Vec<_> = (0..bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    places.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new));
}
