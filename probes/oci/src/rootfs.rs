//! What lies in an image: a program in `/bin`, its loader and shared libraries, what name look-ups and TLS need, a passwd
//! entry, nothing else.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Recipe, libraries};

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Copied from this machine.
    File { source: PathBuf, executable: bool },
    /// Written by us.
    Bytes(Vec<u8>),
}

/// Files by their absolute path in an image.
pub type Files = BTreeMap<PathBuf, Content>;

const PASSWD: &str = "root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// Where distributions keep the certificates of public authorities, the most common first.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// glibc loads these by name, so that no `ldd` lists them. From 2.34 on they are empty: the code is in libc itself.
const NAME_SERVICES: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/// The files of a recipe's image by their absolute path in it.
pub fn files(recipe: &Recipe) -> Result<Files, Error> {
    let name = recipe.program.file_name().unwrap_or_default();
    let text = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    let mut files = BTreeMap::from([
        (Path::new("/bin").join(name), Content::File { source: recipe.program.clone(), executable: true }),
        (PathBuf::from("/etc/passwd"), text(PASSWD)),
        (PathBuf::from("/etc/group"), text(GROUP)),
        (PathBuf::from("/etc/nsswitch.conf"), text(NSSWITCH)),
    ]);
    for library in libraries(&recipe.program)? {
        files.insert(library.clone(), Content::File { source: library, executable: true });
    }
    if let Some(certificates) = CERTIFICATES.iter().find(|path| Path::new(path).is_file()) {
        let source = PathBuf::from(certificates);
        files.insert(CERTIFICATES[0].into(), Content::File { source, executable: false });
    }
    files.extend(recipe.files.iter().cloned());
    Ok(files)
}

/// The loader and shared libraries of a program at their own paths; none for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = Command::new("ldd").arg(program).output();
    let listing = listing.map_err(Error::at("ask ldd for the program's shared libraries"))?;
    if !listing.status.success() {
        return Ok(vec![]);
    }
    let mut libraries = libraries::of_listing(&String::from_utf8_lossy(&listing.stdout))?;
    let folder = libraries.iter().find(|path| path.ends_with("libc.so.6")).and_then(|libc| libc.parent());
    let services: Vec<_> = folder.into_iter().flat_map(|dir| NAME_SERVICES.map(|name| dir.join(name))).collect();
    libraries.extend(services.into_iter().filter(|path| path.is_file()));
    Ok(libraries)
}

impl Content {
    /// The file that it is copied from.
    pub fn source(&self) -> Option<&Path> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Bytes(_) => None,
        }
    }

    /// Opens the content: its size in bytes, its file mode, its bytes.
    pub fn open(&self) -> io::Result<(u64, u32, Box<dyn io::Read + '_>)> {
        match self {
            Self::Bytes(bytes) => Ok((bytes.len() as u64, 0o644, Box::new(bytes.as_slice()))),
            Self::File { source, executable } => {
                let file = fs::File::open(source)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                Ok((file.metadata()?.len(), mode, Box::new(file)))
            }
        }
    }
}
