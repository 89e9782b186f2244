//! From the bytes of BTF to its types, one after the other.

use std::sync::Arc;

use libbpf_sys::{
    BTF_KIND_ARRAY, BTF_KIND_CONST, BTF_KIND_DATASEC, BTF_KIND_DECL_TAG, BTF_KIND_ENUM, BTF_KIND_ENUM64,
    BTF_KIND_FLOAT, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_FWD, BTF_KIND_INT, BTF_KIND_PTR, BTF_KIND_RESTRICT,
    BTF_KIND_STRUCT, BTF_KIND_TYPE_TAG, BTF_KIND_TYPEDEF, BTF_KIND_UNION, BTF_KIND_VAR, BTF_KIND_VOLATILE,
};

use crate::allowance::Allowance;
use crate::decode::btf::{BtfError, Member, NAME, SectionVariable, Type, TypeKind};

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const HEADER: usize = 24;

/// The three parts of a BTF blob.
pub(crate) struct Parts<'a> {
    pub types: &'a [u8],
    pub strings: &'a [u8],
    /// Names may share one text, and what a type takes in the file is a fraction of what it takes here: a small object could have millions
    /// of types with megabytes each.
    allowance: Allowance,
}

impl<'a> Parts<'a> {
    pub fn split(bytes: &'a [u8], allowance: &Allowance) -> Result<Self, BtfError> {
        if bytes.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(BtfError::Magic);
        }
        let (types, strings) = (part(bytes, 8)?, part(bytes, 16)?);
        Ok(Self { types, strings, allowance: allowance.clone() })
    }

    pub fn name(&self, offset: u32) -> Result<String, BtfError> {
        let rest = self.strings.get(offset as usize..).ok_or(BtfError::Truncated)?;
        let end = rest.iter().take(NAME + 1).position(|byte| *byte == 0);
        let end = end.ok_or(if rest.len() > NAME { BtfError::Name } else { BtfError::Truncated })?;
        let name = String::from_utf8_lossy(&rest[..end]);
        self.allowance.take(name.len())?;
        Ok(name.into_owned())
    }

    /// So many entries of a type are about to be kept.
    fn keep<Entry>(&self, count: u32) -> Result<(), BtfError> {
        Ok(self.allowance.take(count as usize * size_of::<Entry>())?)
    }
}

/// The part whose offset, from the end of the header, and length stand at `at`.
fn part(bytes: &[u8], at: usize) -> Result<&[u8], BtfError> {
    let (header, offset, length) = (word(bytes, 4)?, word(bytes, at)?, word(bytes, at + 4)?);
    let start = (header as usize).checked_add(offset as usize).ok_or(BtfError::Truncated)?;
    let end = start.checked_add(length as usize).ok_or(BtfError::Truncated)?;
    bytes.get(start..end).ok_or(BtfError::Truncated)
}

pub(super) fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let slice = at.checked_add(4).and_then(|end| bytes.get(at..end)).ok_or(BtfError::Truncated)?;
    slice.try_into().map(u32::from_le_bytes).map_err(|_| BtfError::Truncated)
}

/// Reads the type at `at` and how many bytes it takes.
pub(super) fn parse_type(parts: &Parts, at: usize) -> Result<(Type, usize), BtfError> {
    let types = parts.types;
    let (name, info, size_or_type) = (word(types, at)?, word(types, at + 4)?, word(types, at + 8)?);
    parts.keep::<Type>(1)?;
    let body = Body { parts, at: at + 12, count: info & 0xffff, flag: info >> 31 == 1 };
    let (kind, words) = body.kind((info >> 24) & 0x1f, size_or_type)?;
    let length = 12 + words as usize * 4;
    if at + length > types.len() {
        return Err(BtfError::Truncated);
    }
    Ok((Type { name: parts.name(name)?, kind }, length))
}

/// What follows the three words that every type has.
struct Body<'a> {
    parts: &'a Parts<'a>,
    at: usize,
    /// How many entries there are, of kinds that have some.
    count: u32,
    flag: bool,
}

impl Body<'_> {
    /// The type, and how many words its body has.
    fn kind(&self, kind: u32, size_or_type: u32) -> Result<(TypeKind, u32), BtfError> {
        let (bytes, target) = (size_or_type, size_or_type);
        Ok(match kind {
            BTF_KIND_INT => {
                let encoding = self.word(0)? >> 24;
                (TypeKind::Int { bytes, signed: encoding & 1 != 0, boolean: encoding & 4 != 0 }, 1)
            }
            BTF_KIND_PTR => (TypeKind::Pointer(target), 0),
            BTF_KIND_ARRAY => (TypeKind::Array { element: self.word(0)?, length: self.word(2)? }, 3),
            BTF_KIND_STRUCT => (TypeKind::Struct { bytes, members: self.members()? }, self.count * 3),
            BTF_KIND_UNION => (TypeKind::Union { bytes, members: self.members()? }, self.count * 3),
            BTF_KIND_ENUM => (TypeKind::Enum { bytes, signed: self.flag, values: self.values(bytes)? }, self.count * 2),
            BTF_KIND_TYPEDEF => (TypeKind::Typedef(target), 0),
            BTF_KIND_VOLATILE | BTF_KIND_CONST | BTF_KIND_RESTRICT | BTF_KIND_TYPE_TAG => {
                (TypeKind::Modifier(target), 0)
            }
            BTF_KIND_FWD | BTF_KIND_FUNC => (TypeKind::Other, 0),
            BTF_KIND_FUNC_PROTO => (TypeKind::Other, self.count * 2),
            BTF_KIND_VAR => (TypeKind::Variable(target), 1),
            BTF_KIND_DATASEC => (TypeKind::Section(self.variables()?), self.count * 3),
            BTF_KIND_FLOAT => (TypeKind::Float { bytes }, 0),
            BTF_KIND_DECL_TAG => (TypeKind::Tag(target), 1),
            BTF_KIND_ENUM64 => {
                (TypeKind::Enum { bytes, signed: self.flag, values: self.wide_values()? }, self.count * 3)
            }
            unknown => return Err(BtfError::Kind(unknown)),
        })
    }

    fn word(&self, index: usize) -> Result<u32, BtfError> {
        word(self.parts.types, self.at + index * 4)
    }

    /// The entry of this number, of entries of `N` words.
    fn entry<const N: usize>(&self, index: u32) -> Result<[u32; N], BtfError> {
        let mut words = [0; N];
        for (place, word) in words.iter_mut().enumerate() {
            *word = self.word(index as usize * N + place)?;
        }
        Ok(words)
    }

    fn members(&self) -> Result<Vec<Member>, BtfError> {
        self.parts.keep::<Member>(self.count)?;
        (0..self.count).map(|index| self.member(index)).collect()
    }

    /// With the flag, a member's offset carries the width of a bit field in its upper byte.
    fn member(&self, index: u32) -> Result<Member, BtfError> {
        let [name, type_id, offset] = self.entry(index)?;
        let (offset, bits) = if self.flag { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
        Ok(Member { name: self.parts.name(name)?, type_id, offset, bits: (bits > 0).then_some(bits) })
    }

    /// Before clang 15 values of more than 32 bits are cut: a zero may be what is left of a high bit, and is no value that is known.
    fn values(&self, bytes: u32) -> Result<Arc<[(String, i64)]>, BtfError> {
        self.parts.keep::<(String, i64)>(self.count)?;
        let mut values = vec![];
        for index in 0..self.count {
            let (name, value) = self.value(index)?;
            if bytes <= 4 || value != 0 {
                values.push((name, value));
            }
        }
        Ok(values.into())
    }

    fn value(&self, index: u32) -> Result<(String, i64), BtfError> {
        let [name, value] = self.entry(index)?;
        Ok((self.parts.name(name)?, i64::from(value as i32)))
    }

    /// The same of 64 bits.
    fn wide_values(&self) -> Result<Arc<[(String, i64)]>, BtfError> {
        self.parts.keep::<(String, i64)>(self.count)?;
        (0..self.count).map(|index| self.wide_value(index)).collect()
    }

    fn wide_value(&self, index: u32) -> Result<(String, i64), BtfError> {
        let [name, low, high] = self.entry(index)?;
        Ok((self.parts.name(name)?, (u64::from(low) | u64::from(high) << 32) as i64))
    }

    fn variables(&self) -> Result<Vec<SectionVariable>, BtfError> {
        self.parts.keep::<SectionVariable>(self.count)?;
        (0..self.count).map(|index| self.variable(index)).collect()
    }

    fn variable(&self, index: u32) -> Result<SectionVariable, BtfError> {
        let [type_id, offset, size] = self.entry(index)?;
        Ok(SectionVariable { type_id, offset, size })
    }
}
