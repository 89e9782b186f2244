//! From the types of BTF to layouts, with the typedefs that carry a meaning.

use crate::decode::address::{Family, Socket, is_address};
use crate::decode::btf::{Btf, Member, Type, TypeId, TypeKind};
use crate::decode::layout::{BYTES, FIELDS, Field, Layout, LayoutError, Shape};
use crate::decode::typedefs::Meaning;
use crate::decode::{address_union, characters};

/// Types in types are followed this far.
const DEPTH: usize = 16;
/// The kernel's own limit for a name of a type's.
const NAME: usize = 512;

impl Layout {
    pub fn from_btf(btf: &Btf, id: TypeId) -> Result<Self, LayoutError> {
        let layout = Reader { btf, fields: 0, family: None }.layout(id, 0)?;
        if layout.size <= BYTES { Ok(layout) } else { Err(LayoutError::TooLarge) }
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    fields: usize,
    /// What says the version of the addresses in the struct that is read.
    family: Option<Family>,
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
        if let Some(layout) = of_network(self.btf, found) {
            return Ok(layout);
        }
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
                ("ipv4_addr" | "in_addr_t", Some(4)) => Some((4, Shape::Ipv4)),
                ("__be16", Some(2)) => Some((2, Shape::BigEndian)),
                ("__be32", Some(4)) => Some((4, Shape::BigEndian)),
                ("__be64", Some(8)) => Some((8, Shape::BigEndian)),
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
        if let Some(shape) = characters::shape(self.btf, element) {
            return Ok(Layout { size: length, shape });
        }
        let before = self.fields;
        // It is as far from the second element as from the first, which is not what it is for.
        let family = self.family.take();
        let element = Box::new(self.layout(element, depth + 1)?);
        self.family = family;
        // Arrays in arrays multiply, also those of nothing.
        let each = (self.fields - before).max(1);
        self.fields = before.saturating_add(each.saturating_mul(length));
        if self.fields > FIELDS {
            return Err(LayoutError::TooLarge);
        }
        let size = element.size.checked_mul(length).ok_or(LayoutError::TooLarge)?;
        Ok(Layout { size, shape: Shape::Array { element, length } })
    }

    fn members(&mut self, id: TypeId, base: usize, depth: usize, fields: &mut Vec<Field>) -> Result<(), LayoutError> {
        let btf = self.btf;
        let members = btf.members(id).unwrap_or_default();
        let outer = self.family;
        self.family = address_union::family(btf, members, base).or(outer);
        for member in members {
            self.fields += 1;
            if self.fields > FIELDS || depth > DEPTH || member.name.len() > NAME {
                return Err(LayoutError::TooLarge);
            }
            let offset = base + member.offset as usize;
            if let Some(field) = self.address(member, offset, members) {
                fields.push(field);
            } else if member.name.is_empty() {
                self.members(member.type_id, offset, depth + 1, fields)?;
            } else {
                fields.push(self.member(member, offset, depth)?);
            }
        }
        self.family = outer;
        Ok(())
    }

    fn member(&mut self, member: &Member, offset: usize, depth: usize) -> Result<Field, LayoutError> {
        let outer = self.family;
        self.family = outer.map(|family| family.seen_from(offset));
        let layout = self.layout(member.type_id, depth + 1)?;
        self.family = outer;
        let bits = member.bits.map(|bits| bits as usize);
        Ok(Field { name: member.name.clone(), offset, bits, layout: named_layout(layout, &member.name, bits) })
    }

    /// A member that is an address of the version that the family says.
    fn address(&self, member: &Member, offset: usize, members: &[Member]) -> Option<Field> {
        let family = self.family?.seen_from(offset);
        let name = address_union::name(self.btf, member)?;
        // A union without a name gets one that no other has.
        if members.iter().any(|other| other.name == name && !std::ptr::eq(other, member)) {
            return None;
        }
        Some(Field { name, offset, bits: None, layout: Layout { size: 16, shape: Shape::IpByFamily(family) } })
    }
}

/// The kernel's structs of addresses, and unions of those that have a port.
fn of_network(btf: &Btf, found: &Type) -> Option<Layout> {
    let (bytes, shape) = match (&found.kind, found.name.as_str()) {
        (TypeKind::Struct { bytes: 4, .. }, "in_addr") => (4, Shape::Ipv4),
        (TypeKind::Struct { bytes: 16, .. }, "in6_addr") => (16, Shape::Ipv6),
        (TypeKind::Struct { bytes: 16, .. }, "sockaddr_in") => (16, Shape::Socket(Socket::V4)),
        (TypeKind::Struct { bytes: 28, .. }, "sockaddr_in6") => (28, Shape::Socket(Socket::V6)),
        (TypeKind::Struct { bytes, .. }, name) if is_any_socket(name) => (*bytes, Shape::Socket(Socket::Any)),
        (TypeKind::Union { bytes, members }, _) if !members.is_empty() => {
            let are_sockets = members.iter().all(|member| is_socket(btf, member.type_id));
            are_sockets.then_some((*bytes, Shape::Socket(Socket::Any)))?
        }
        _ => return None,
    };
    Some(Layout { size: bytes as usize, shape })
}

fn is_socket(btf: &Btf, id: TypeId) -> bool {
    let Some((_, Type { name, kind: TypeKind::Struct { .. } })) = btf.resolve(id) else { return false };
    matches!(name.as_str(), "sockaddr_in" | "sockaddr_in6") || is_any_socket(name)
}

fn is_any_socket(name: &str) -> bool {
    matches!(name, "sockaddr" | "sockaddr_storage" | "__kernel_sockaddr_storage")
}

/// A `__be32` is a number or an address, as its name says: `saddr`, `remote_ip`, and `saddr6` of four.
fn named_layout(layout: Layout, name: &str, bits: Option<usize>) -> Layout {
    let size = layout.size;
    match layout.shape {
        // The bits of a bit field are not in network order.
        Shape::BigEndian if bits.is_some() => Layout { size, shape: Shape::Unsigned },
        Shape::BigEndian if size == 4 && is_address(name) => Layout { size, shape: Shape::Ipv4 },
        Shape::Array { element, length: 4 }
            if is_big_endian_word(&element) && is_address(name) && name.contains('6') =>
        {
            Layout { size, shape: Shape::Ipv6 }
        }
        Shape::Array { element, length } if is_big_endian_word(&element) && is_address(name) => {
            let element = Box::new(Layout { size: 4, shape: Shape::Ipv4 });
            Layout { size, shape: Shape::Array { element, length } }
        }
        shape => Layout { size, shape },
    }
}

fn is_big_endian_word(layout: &Layout) -> bool {
    layout.size == 4 && layout.shape == Shape::BigEndian
}
