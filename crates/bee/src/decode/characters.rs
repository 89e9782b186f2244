//! Arrays of single bytes: text or not, as the names of their elements' type say.

use crate::decode::btf::{Btf, TypeId, TypeKind};
use crate::decode::layout::Shape;

/// Names in names are followed this far.
const DEPTH: usize = 16;

/// What an array of elements of this type is, if they are bytes. `u8` and `unsigned char` have the same base type: only the names on
/// the way to it tell them apart, the first that is known.
pub fn shape(btf: &Btf, mut element: TypeId) -> Option<Shape> {
    if btf.size(element) != Some(1) {
        return None;
    }
    for _ in 0..DEPTH {
        let found = btf.get(element)?;
        match found.name.as_str() {
            "char" | "signed char" => return Some(Shape::Text),
            "unsigned char" => return Some(Shape::TextOrBytes),
            "u8" | "__u8" | "uint8_t" => return Some(Shape::Bytes),
            // Numbers, though they are made of `signed char`.
            "s8" | "__s8" | "int8_t" => return None,
            _ => {}
        }
        match found.kind {
            TypeKind::Modifier(next) | TypeKind::Typedef(next) => element = next,
            _ => return None,
        }
    }
    None
}
