//! From the types of BTF to layouts, with the typedefs that carry a meaning.

use crate::decode::btf::{Btf, Member, Type, TypeId, TypeKind};
use crate::decode::layout::{BYTES, FIELDS, Field, Layout, LayoutError, Shape};
use crate::decode::typedefs::Meaning;

/// Types in types are followed this far.
const DEPTH: usize = 16;
/// The kernel's own limit for a name of a type's.
const NAME: usize = 512;

impl Layout {
    pub fn from_btf(btf: &Btf, id: TypeId) -> Result<Self, LayoutError> {
        let layout = Reader { btf, fields: 0 }.layout(id, 0)?;
        if layout.size <= BYTES { Ok(layout) } else { Err(LayoutError::TooLarge) }
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    fields: usize,
}

impl Reader<'_> {
    fn layout(&mut self, id: TypeId, depth: usize) -> Result<Layout, LayoutError> {
        if depth > DEPTH {
            return Err(LayoutError::TooLarge);
        }
        if let Some(layout) = self.named(id) {
            return Ok(layout);
        }
        let Some((resolved, found)) = self.btf.resolve(id) else { return Err(self.unknown(id)) };
        let (size, shape) = match &found.kind {
            TypeKind::Int { bytes, boolean: true, .. } => (*bytes, Shape::Bool),
            TypeKind::Int { bytes, signed: true, .. } => (*bytes, Shape::Signed),
            TypeKind::Int { bytes, .. } => (*bytes, Shape::Unsigned),
            TypeKind::Float { bytes } => (*bytes, Shape::Float),
            TypeKind::Pointer(_) => (8, Shape::Pointer),
            TypeKind::Enum { bytes, signed, values } => {
                (*bytes, Shape::Enum { signed: *signed, names: values.clone() })
            }
            TypeKind::Array { element, length } => return self.array(*element, *length as usize, depth),
            TypeKind::Struct { bytes, .. } if found.name == "in6_addr" && *bytes == 16 => (16, Shape::Ipv6),
            TypeKind::Struct { bytes, .. } | TypeKind::Union { bytes, .. } => {
                let mut fields = vec![];
                self.members(resolved, 0, depth, &mut fields)?;
                (*bytes, Shape::Struct(fields))
            }
            _ => return Err(self.unknown(id)),
        };
        Ok(Layout { size: size as usize, shape })
    }

    fn unknown(&self, id: TypeId) -> LayoutError {
        let name = self.btf.get(id).map_or("void", |found| found.name.as_str());
        LayoutError::Unknown(name.to_owned())
    }

    /// A typedef whose name says what the value means, however it is made.
    fn named(&self, mut id: TypeId) -> Option<Layout> {
        for _ in 0..DEPTH {
            let Type { name, kind } = self.btf.get(id)?;
            let (next, size) = match kind {
                TypeKind::Typedef(next) => (*next, self.btf.size(*next)),
                TypeKind::Modifier(next) => (*next, None),
                _ => return None,
            };
            let shape = match (name.as_str(), size) {
                ("ipv4_addr", Some(4)) => Some((4, Shape::Ipv4)),
                ("ipv6_addr" | "ipv6_address", Some(16)) => Some((16, Shape::Ipv6)),
                ("duration", Some(8)) => Some((8, Shape::Duration)),
                (name, Some(size)) => {
                    Meaning::from_typedef(name, size).map(|meaning| (size as usize, Shape::Meaning(meaning)))
                }
                _ => None,
            };
            if let Some((size, shape)) = shape {
                return Some(Layout { size, shape });
            }
            id = next;
        }
        None
    }

    fn array(&mut self, element: TypeId, length: usize, depth: usize) -> Result<Layout, LayoutError> {
        // `u8` and `unsigned char` have the same base type: only their own names tell bytes from text.
        let shape = match self.element_name(element).as_deref() {
            Some("char" | "signed char") => Some(Shape::Text),
            Some("unsigned char") => Some(Shape::TextOrBytes),
            Some("u8" | "__u8" | "uint8_t") => Some(Shape::Bytes),
            _ => None,
        };
        if let Some(shape) = shape {
            return Ok(Layout { size: length, shape });
        }
        let before = self.fields;
        let element = Box::new(self.layout(element, depth + 1)?);
        // Arrays in arrays multiply, also those of nothing.
        let each = (self.fields - before).max(1);
        self.fields = before.saturating_add(each.saturating_mul(length));
        if self.fields > FIELDS {
            return Err(LayoutError::TooLarge);
        }
        let size = element.size.checked_mul(length).ok_or(LayoutError::TooLarge)?;
        Ok(Layout { size, shape: Shape::Array { element, length } })
    }

    /// The first name on the way to the base type.
    fn element_name(&self, mut id: TypeId) -> Option<String> {
        for _ in 0..DEPTH {
            let found = self.btf.get(id)?;
            match found.kind {
                TypeKind::Modifier(next) => id = next,
                _ => return Some(found.name.clone()),
            }
        }
        None
    }

    fn members(&mut self, id: TypeId, base: usize, depth: usize, fields: &mut Vec<Field>) -> Result<(), LayoutError> {
        let btf = self.btf;
        for Member { name, type_id, offset, bits } in btf.members(id).unwrap_or_default() {
            let offset = base + *offset as usize;
            self.fields += 1;
            if self.fields > FIELDS || depth > DEPTH || name.len() > NAME {
                return Err(LayoutError::TooLarge);
            }
            if name.is_empty() {
                self.members(*type_id, offset, depth + 1, fields)?;
            } else {
                let layout = self.layout(*type_id, depth + 1)?;
                fields.push(Field { name: name.clone(), offset, bits: bits.map(|bits| bits as usize), layout });
            }
        }
        Ok(())
    }
}
