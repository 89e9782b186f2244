//! Lab 4, Bookinfo: the demo application whose services call each other.

use super::Lab;
use crate::{check::bookinfo, labs::steps, workshop::Workshop};

const MANIFEST: &str = "lab4/bookinfo.yaml";

pub fn lab(workshop: &Workshop) -> Lab {
    let mut install = steps::apply("install Bookinfo", MANIFEST);
    install.shell.extend(workshop.profile.bookinfo_in_words().map(|words| format!("    # {words}")));
    Lab {
        number: 4,
        title: "Bookinfo, the demo application",
        steps: vec![install],
        checks: bookinfo::checks(),
        undo: vec![steps::delete("remove Bookinfo", MANIFEST)],
    }
}
