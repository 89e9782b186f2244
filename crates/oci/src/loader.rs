//! Where the loader that a program names looks for libraries: glibc's, by ld.so(8), or musl's.

use std::path::{Component, Path, PathBuf};

use crate::{
    Error,
    elf::{self, Elf},
    files, ld_cache,
};

/// What the loader is told of folders and libraries.
const TABLE: u64 = 64 << 20;
const CACHE: &str = "/etc/ld.so.cache";
const MUSL_FOLDERS: &str = "/lib:/usr/local/lib:/usr/lib";

/// What a program or library is started with, by PT_INTERP.
pub struct Loader {
    path: PathBuf,
    elf: Elf,
    is_musl: bool,
    /// Folders that are built into it: it knows them in an image, too.
    built_in: Vec<PathBuf>,
    /// Folders that it is told of on this machine only.
    told: Vec<PathBuf>,
    /// Libraries that it is told of on this machine only.
    cache: Vec<(String, PathBuf)>,
}

/// A program or library, and what it says about folders.
#[derive(Debug)]
pub struct Module {
    /// Its file on this machine.
    pub here: PathBuf,
    /// Where it will lie in the image.
    pub inside: PathBuf,
    pub elf: Elf,
    /// Whoever needed it first, by its place in the list; nobody for the program.
    pub needed_by: Option<usize>,
}

/// A folder on this machine, and the same as seen in the image.
struct Folder {
    here: PathBuf,
    inside: PathBuf,
}

impl Loader {
    /// The loader of a program.
    pub fn open(path: &Path, program: &Path) -> Result<Self, Error> {
        let bytes = files::read(path, elf::LARGEST).map_err(Error::at(format!(
            "failed to read the loader {}, which {} is started with",
            path.display(),
            program.display()
        )))?;
        let not_elf = || Error::new(format!("the loader {} is not an ELF file", path.display()));
        let elf = elf::parse(&bytes).ok_or_else(not_elf)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut loader =
            Self { path: path.to_owned(), elf, is_musl: false, built_in: vec![], told: vec![], cache: vec![] };
        if let Some(named) = name.strip_prefix("ld-musl-") {
            loader.is_musl = true;
            loader.built_in = folders(MUSL_FOLDERS);
            // Below the folder above the loader's own: `/lib/ld-musl-x86_64.so.1` reads `/etc/ld-musl-x86_64.path`.
            let prefix = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
            let file = format!("etc/ld-musl-{}.path", named.split('.').next().unwrap_or_default());
            loader.told = folders(
                &String::from_utf8(files::read(&prefix.join(file), TABLE).unwrap_or_default()).unwrap_or_default(),
            );
        } else {
            loader.built_in = built_in(&bytes);
            // That of Nix reads a cache in the store, which is never there, and must not find another distribution's libraries.
            if strings(&bytes).any(|string| string == CACHE.as_bytes()) {
                loader.cache = ld_cache::parse(&files::read(Path::new(CACHE), TABLE).unwrap_or_default());
            }
        }
        Ok(loader)
    }

    /// Whether this name stands for the loader itself: glibc's libraries need it by its name, and musl's is the C library.
    pub fn is(&self, name: &str) -> bool {
        let musl = ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];
        let of_musl = |name: &str| musl.iter().any(|part| name.starts_with(part));
        self.elf.soname.as_deref() == Some(name)
            || self.path.file_name().is_some_and(|own| own == name)
            || self.is_musl && name.strip_prefix("lib").is_some_and(of_musl)
    }

    /// The library of this name for the last of `chain`, which begins with whoever needs it and ends with the program: its file
    /// here, the path at which the same loader will find it in the image, and what it says itself.
    pub fn find(&self, name: &str, chain: &[&Module]) -> Option<(PathBuf, PathBuf, Elf)> {
        let asker = chain.first()?;
        if name.contains('/') {
            return self.first(self.expand(name, asker), None);
        }
        self.first(self.told_by_modules(chain), Some(name))
            .or_else(|| self.cached(name))
            .or_else(|| self.first(self.told.iter().map(|folder| self.known_inside(folder)), Some(name)))
            .or_else(|| self.first(self.built_in.iter().map(|folder| self.known_inside(folder)), Some(name)))
    }

    /// The folders that the modules name, in the loader's order.
    fn told_by_modules(&self, chain: &[&Module]) -> Vec<Folder> {
        let Some(asker) = chain.first() else { return vec![] };
        let mut folders = vec![];
        if self.is_musl {
            for module in chain {
                folders.extend(self.named(module.elf.runpath.as_ref().or(module.elf.rpath.as_ref()), module));
            }
            return folders;
        }
        if asker.elf.runpath.is_none() {
            for module in chain.iter().filter(|module| module.elf.runpath.is_none()) {
                folders.extend(self.named(module.elf.rpath.as_ref(), module));
            }
        }
        folders.extend(self.named(asker.elf.runpath.as_ref(), asker));
        folders
    }

    fn named(&self, list: Option<&String>, module: &Module) -> Vec<Folder> {
        list.into_iter().flat_map(|list| list.split(':')).flat_map(|folder| self.expand(folder, module)).collect()
    }

    /// A path with `$ORIGIN`, `$LIB` and `$PLATFORM`; one that depends on where a program is called from is left out.
    fn expand(&self, path: &str, module: &Module) -> Option<Folder> {
        let expand = |at: &Path| {
            let origin = at.parent().unwrap_or(Path::new("/")).to_string_lossy();
            let values = [("ORIGIN", &*origin), ("LIB", &self.lib()), ("PLATFORM", std::env::consts::ARCH)];
            values.iter().fold(path.to_owned(), |path, (token, value)| {
                path.replace(&format!("${{{token}}}"), value).replace(&format!("${token}"), value)
            })
        };
        let folder = Folder { here: expand(&module.here).into(), inside: lexical(Path::new(&expand(&module.inside))) };
        folder.here.is_absolute().then_some(folder)
    }

    /// What `$LIB` stands for: `lib/x86_64-linux-gnu`, `lib64` or `lib`, as in the first of its folders.
    fn lib(&self) -> String {
        let first = self.built_in.first().map_or(Path::new("/lib"), PathBuf::as_path);
        let names = first.iter().map(|name| name.to_string_lossy());
        names.skip_while(|name| !name.starts_with("lib")).collect::<Vec<_>>().join("/")
    }

    /// A library that the cache knows; several there may be for other processors.
    fn cached(&self, name: &str) -> Option<(PathBuf, PathBuf, Elf)> {
        let files = self.cache.iter().filter(|(known, _)| known == name);
        let folders = files.filter_map(|(_, path)| Some(self.known_inside(path.parent()?)));
        self.first(folders, Some(name))
    }

    /// In the image there is no cache: what lies in a folder that only the cache knows moves into one that is built in.
    fn known_inside(&self, folder: &Path) -> Folder {
        let is_built_in = self.built_in.iter().any(|known| known == folder);
        let inside = if is_built_in { folder } else { self.built_in.first().map_or(folder, PathBuf::as_path) };
        Folder { here: folder.to_owned(), inside: inside.to_owned() }
    }

    /// The first that has a file of the loader's own kind; what is for another processor is passed over, as the loader does.
    fn first(&self, folders: impl IntoIterator<Item = Folder>, name: Option<&str>) -> Option<(PathBuf, PathBuf, Elf)> {
        folders.into_iter().find_map(|Folder { here, inside }| {
            let at = |folder: PathBuf| name.map_or(folder.clone(), |name| folder.join(name));
            let (here, inside) = (at(here), at(inside));
            let elf = elf::parse(&files::read(&here, elf::LARGEST).ok()?)?;
            (elf.kind == self.elf.kind).then_some((here, inside, elf))
        })
    }
}

/// The folders that glibc was built to search, from the loader's own bytes: no two distributions agree on them, and
/// `ld.so --list-diagnostics`, which says them, came with 2.33. No other string in it begins and ends with a slash.
fn built_in(loader: &[u8]) -> Vec<PathBuf> {
    let is_folder = |string: &&[u8]| string.len() > 2 && string.starts_with(b"/") && string.ends_with(b"/");
    let mut folders: Vec<PathBuf> = vec![];
    for folder in strings(loader).filter(is_folder).filter_map(|string| std::str::from_utf8(string).ok()) {
        let folder = PathBuf::from(folder.trim_end_matches('/'));
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0)
}

fn folders(list: &str) -> Vec<PathBuf> {
    list.split([':', '\n']).filter(|folder| folder.starts_with('/')).map(PathBuf::from).collect()
}

/// Without `..`, as a folder that the image has need not have those beside it.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}
