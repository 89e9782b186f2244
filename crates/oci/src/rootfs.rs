//! What lies in an image: a program in `/bin`, its loader and shared libraries, what name look-ups and TLS need, a passwd
//! entry, nothing else.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Error, Recipe,
    libraries::{self, Libraries},
};

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

/// glibc loads these by name, so that no program says that it needs them. From 2.34 on they are empty: the code is in libc itself.
const NAME_SERVICES: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/// The files of a recipe's image by their absolute path in it.
pub fn files(recipe: &Recipe) -> Result<Files, Error> {
    let program = Path::new("/bin").join(recipe.program.file_name().unwrap_or_default());
    let text = |text: &str| Content::Bytes(text.as_bytes().to_vec());
    let mut files = BTreeMap::from([
        (program.clone(), Content::File { source: recipe.program.clone(), executable: true }),
        (PathBuf::from("/etc/passwd"), text(PASSWD)),
        (PathBuf::from("/etc/group"), text(GROUP)),
        (PathBuf::from("/etc/nsswitch.conf"), text(NSSWITCH)),
    ]);
    let libraries = libraries::of(&recipe.program, &program)?;
    for (inside, source) in name_services(&libraries).into_iter().chain(libraries) {
        files.insert(inside, Content::File { source, executable: true });
    }
    if let Some(certificates) = CERTIFICATES.iter().find(|path| Path::new(path).is_file()) {
        let source = PathBuf::from(certificates);
        files.insert(CERTIFICATES[0].into(), Content::File { source, executable: false });
    }
    files.extend(recipe.files.iter().cloned());
    Ok(files)
}

/// What glibc would load by name, from beside the C library.
fn name_services(libraries: &Libraries) -> Libraries {
    let Some((inside, here)) = libraries.iter().find(|(inside, _)| inside.ends_with("libc.so.6")) else {
        return Libraries::new();
    };
    let services = NAME_SERVICES.map(|name| (inside.with_file_name(name), here.with_file_name(name)));
    services.into_iter().filter(|(_, here)| here.is_file()).collect()
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
