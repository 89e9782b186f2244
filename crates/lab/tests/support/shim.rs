//! In helm's place a script, for what the real one can't be made to do here.

use std::{
    fs,
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
        testkit::program(&helm, &script);
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
