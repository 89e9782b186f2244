//! A type as C writes it, as far as there is a name for it.

use crate::decode::btf::{Btf, Type, TypeId, TypeKind};

/// Types in types are named this far.
const DEPTH: usize = 8;

/// `u32`, `char[8]`, `enum mode`, `struct options`.
pub fn of(btf: &Btf, id: TypeId) -> String {
    within(btf, id, DEPTH).unwrap_or_else(|| "?".to_owned())
}

fn within(btf: &Btf, id: TypeId, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    if id == 0 {
        return Some("void".to_owned());
    }
    let Type { name, kind } = btf.get(id)?;
    Some(match kind {
        TypeKind::Modifier(next) => within(btf, *next, depth)?,
        TypeKind::Pointer(next) => format!("{} *", within(btf, *next, depth)?),
        TypeKind::Array { element, length } => format!("{}[{length}]", within(btf, *element, depth)?),
        TypeKind::Struct { .. } => tagged("struct", name),
        TypeKind::Union { .. } => tagged("union", name),
        TypeKind::Enum { .. } => tagged("enum", name),
        _ => name.clone(),
    })
}

fn tagged(tag: &str, name: &str) -> String {
    if name.is_empty() { tag.to_owned() } else { format!("{tag} {name}") }
}
