//! Text that the kernel makes longer than the array it is copied to, zero included.

use crate::decode::btf::{Btf, TypeId, TypeKind};

/// Names of members and how many bytes the kernel's own text has (`TASK_COMM_LEN`, `IFNAMSIZ`).
const KERNEL: [(&str, u32); 6] =
    [("comm", 16), ("pcomm", 16), ("task", 16), ("ifname", 16), ("devname", 16), ("dev", 16)];
/// One byte has room for the zero and nothing else.
const SHORTEST: u32 = 2;

/// A member that is too short.
pub struct TooShort {
    pub field: String,
    length: u32,
    needed: u32,
}

/// The members of a struct whose text does not fit with its zero.
pub fn too_short(btf: &Btf, id: TypeId) -> Vec<TooShort> {
    let mut short = vec![];
    for member in btf.members(id).unwrap_or_default() {
        let Some(length) = text_length(btf, member.type_id) else { continue };
        let needed = KERNEL.iter().find(|(name, _)| *name == member.name).map_or(SHORTEST, |(_, bytes)| *bytes);
        if length < needed {
            short.push(TooShort { field: member.name.clone(), length, needed });
        }
    }
    short
}

impl TooShort {
    pub fn message(&self) -> String {
        let Self { field, length, needed, .. } = self;
        format!("{field} has {length} bytes where text and its ending zero need {needed}: write char {field}[{needed}]")
    }
}

/// The length of an array of `char`.
fn text_length(btf: &Btf, id: TypeId) -> Option<u32> {
    let TypeKind::Array { element, length } = btf.resolve(id)?.1.kind else { return None };
    (btf.resolve(element)?.1.name == "char").then_some(length)
}
