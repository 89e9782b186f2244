//! Lab 4, Bookinfo: the demo application whose services call each other.

use super::{Lab, steps};
use crate::{check::bookinfo, workshop::Workshop};

const MANIFEST: &str = "lab4/bookinfo.yaml";

pub fn lab(_workshop: &Workshop) -> Lab {
    Lab {
        number: 4,
        title: "Bookinfo, the demo application",
        steps: vec![steps::apply("install Bookinfo", MANIFEST)],
        checks: bookinfo::checks(),
        undo: vec![steps::delete("remove Bookinfo", MANIFEST)],
    }
}
