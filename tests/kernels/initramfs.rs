//! The file system that a kernel unpacks into memory before it starts `/init`.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use cpio::newc::{self, ModeFileType};
use oci::libraries;

/// What lies in it, by path without the leading slash.
#[derive(Default)]
pub struct Contents {
    files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
}

impl Contents {
    pub fn file(mut self, path: &str, content: Vec<u8>) -> Self {
        self.files.insert(path.into(), (content, 0o644));
        self
    }

    /// A program of this machine's, its loader and its shared libraries.
    pub fn program(mut self, program: &Path, path: &str) -> Self {
        for (inside, library) in libraries::of(program, &Path::new("/").join(path)).unwrap() {
            let inside = inside.strip_prefix("/").unwrap().to_owned();
            self.files.insert(inside, (fs::read(&library).unwrap(), 0o755));
        }
        let content = fs::read(program).unwrap_or_else(|error| panic!("read {}: {error}", program.display()));
        self.files.insert(path.into(), (content, 0o755));
        self
    }

    /// The archive, as the kernel reads it; a folder stands before what lies in it.
    pub fn archive(&self) -> Vec<u8> {
        let mut folders: Vec<_> = self.files.keys().flat_map(|path| path.ancestors().skip(1)).collect();
        folders.retain(|folder| *folder != Path::new(""));
        folders.sort();
        folders.dedup();
        let folders = folders.into_iter().map(|folder| (folder, &[][..], ModeFileType::Directory, 0o755));
        let files = self.files.iter();
        let files = files.map(|(path, (content, mode))| (path.as_path(), &content[..], ModeFileType::Regular, *mode));
        let mut archive = vec![];
        for (number, (path, content, kind, mode)) in folders.chain(files).enumerate() {
            let entry = newc::Builder::new(&path.to_string_lossy()).ino(number as u32).mode(mode);
            let length = content.len().try_into().unwrap();
            let mut writer = entry.set_mode_file_type(kind).write(archive, length);
            writer.write_all(content).unwrap();
            archive = writer.finish().unwrap();
        }
        newc::trailer(archive).unwrap()
    }
}
