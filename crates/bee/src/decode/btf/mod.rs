//! The BPF type format: what types an object's maps and variables have. Read without libbpf, of which there are only the names of
//! kinds; nothing in it is trusted.
//!
//! <https://docs.kernel.org/bpf/btf.html>

mod merge;

use std::collections::BTreeMap;
use std::sync::Arc;

use libbpf_sys::{
    BTF_KIND_ARRAY, BTF_KIND_CONST, BTF_KIND_DATASEC, BTF_KIND_DECL_TAG, BTF_KIND_ENUM, BTF_KIND_ENUM64,
    BTF_KIND_FLOAT, BTF_KIND_FUNC, BTF_KIND_FUNC_PROTO, BTF_KIND_FWD, BTF_KIND_INT, BTF_KIND_PTR, BTF_KIND_RESTRICT,
    BTF_KIND_STRUCT, BTF_KIND_TYPE_TAG, BTF_KIND_TYPEDEF, BTF_KIND_UNION, BTF_KIND_VAR, BTF_KIND_VOLATILE,
};

use crate::allowance::{Allowance, Exceeded};

pub use merge::merge_sections;

/// The number of a type; 0 is `void`.
pub type TypeId = u32;

/// Types that refer to each other are followed this far: longer is a circle.
const DEPTH: usize = 32;

/// The longest name; the kernel takes 512 bytes, and tags have whole sentences.
const NAME: usize = 4096;

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// Why BTF can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    #[error("it does not begin as BTF does")]
    Magic,
    #[error("it is cut off")]
    Truncated,
    #[error("it has a type of the unknown kind {0}")]
    Kind(u32),
    #[error("it has a name of more than {NAME} bytes")]
    Name,
    #[error(transparent)]
    TooLarge(#[from] Exceeded),
}

/// All types of an object.
#[derive(Debug, Clone, Default)]
pub struct Btf {
    /// By number, from 1 on.
    types: Vec<Type>,
}

/// One type.
#[derive(Debug, Clone)]
pub struct Type {
    pub name: String,
    pub kind: TypeKind,
}

#[derive(Debug, Clone)]
pub enum TypeKind {
    Int {
        bytes: u32,
        signed: bool,
        boolean: bool,
    },
    Pointer(TypeId),
    Array {
        element: TypeId,
        length: u32,
    },
    Struct {
        bytes: u32,
        members: Vec<Member>,
    },
    Union {
        bytes: u32,
        members: Vec<Member>,
    },
    Enum {
        bytes: u32,
        signed: bool,
        values: Arc<[(String, i64)]>,
    },
    Typedef(TypeId),
    /// `const`, `volatile`, `restrict` and tags: what they stand before counts.
    Modifier(TypeId),
    Variable(TypeId),
    Section(Vec<SectionVariable>),
    Float {
        bytes: u32,
    },
    /// `__attribute__((btf_decl_tag("…")))`: its name is the text, and it tells about this declaration.
    Tag(TypeId),
    /// A function or a type that is only declared.
    Other,
}

/// A member of a struct or union.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    pub type_id: TypeId,
    /// From the beginning of the struct, in bits.
    pub offset: u32,
    /// For a bit field.
    pub bits: Option<u32>,
}

/// A variable in a section.
#[derive(Debug, Clone, Copy)]
pub struct SectionVariable {
    pub type_id: TypeId,
    pub offset: u32,
    pub size: u32,
}

impl Btf {
    pub fn parse(bytes: &[u8], allowance: &Allowance) -> Result<Self, BtfError> {
        let parts = Parts::split(bytes, allowance)?;
        let mut types = vec![];
        let mut at = 0;
        while at < parts.types.len() {
            let (parsed, length) = parse_type(&parts, at)?;
            types.push(parsed);
            at += length;
        }
        Ok(Self { types })
    }

    pub fn get(&self, id: TypeId) -> Option<&Type> {
        self.types.get((id as usize).checked_sub(1)?)
    }

    /// The variables of a section and their types; `None` if there is no such section.
    pub fn variables(&self, section: &str) -> Option<Vec<(&str, TypeId)>> {
        let entries = self.section(section)?;
        let variable = |entry: &SectionVariable| match self.get(entry.type_id)? {
            Type { name, kind: TypeKind::Variable(type_id) } => Some((name.as_str(), *type_id)),
            _ => None,
        };
        Some(entries.iter().filter_map(variable).collect())
    }

    /// What the tags say that each variable was declared with, by its name.
    pub fn tags(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut tags = BTreeMap::<_, Vec<_>>::new();
        for Type { name: text, kind } in &self.types {
            let TypeKind::Tag(target) = kind else { continue };
            if let Some(Type { name, kind: TypeKind::Variable(_) }) = self.get(*target) {
                tags.entry(name.as_str()).or_default().push(text.as_str());
            }
        }
        tags
    }

    /// Where the variables of a section lie in it.
    pub fn offsets(&self, section: &str) -> BTreeMap<&str, u32> {
        let entries = self.section(section).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((self.get(entry.type_id)?.name.as_str(), entry.offset))).collect()
    }

    fn section(&self, name: &str) -> Option<&[SectionVariable]> {
        self.types.iter().find_map(|found| match &found.kind {
            TypeKind::Section(entries) if found.name == name => Some(entries.as_slice()),
            _ => None,
        })
    }

    /// The type behind typedefs and modifiers.
    pub fn resolve(&self, mut id: TypeId) -> Option<(TypeId, &Type)> {
        for _ in 0..DEPTH {
            let found = self.get(id)?;
            match found.kind {
                TypeKind::Typedef(next) | TypeKind::Modifier(next) => id = next,
                _ => return Some((id, found)),
            }
        }
        None
    }

    pub fn members(&self, id: TypeId) -> Option<&[Member]> {
        match &self.resolve(id)?.1.kind {
            TypeKind::Struct { members, .. } | TypeKind::Union { members, .. } => Some(members),
            _ => None,
        }
    }

    /// How many bytes a value of this type takes; `None` of what is no value.
    pub fn size(&self, id: TypeId) -> Option<u32> {
        self.size_within(id, DEPTH)
    }

    /// Arrays of arrays may be a circle.
    fn size_within(&self, id: TypeId, depth: usize) -> Option<u32> {
        match &self.resolve(id)?.1.kind {
            TypeKind::Int { bytes, .. }
            | TypeKind::Struct { bytes, .. }
            | TypeKind::Union { bytes, .. }
            | TypeKind::Enum { bytes, .. }
            | TypeKind::Float { bytes } => Some(*bytes),
            TypeKind::Pointer(_) => Some(8),
            TypeKind::Array { element, length } => {
                self.size_within(*element, depth.checked_sub(1)?)?.checked_mul(*length)
            }
            _ => None,
        }
    }

    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        match self.resolve(id)?.1.kind {
            TypeKind::Pointer(target) => Some(target),
            _ => None,
        }
    }

    pub fn array_length(&self, id: TypeId) -> Option<u32> {
        match self.resolve(id)?.1.kind {
            TypeKind::Array { length, .. } => Some(length),
            _ => None,
        }
    }
}

/// All names of types, members and functions, each once, as they lie there: the kernel's 400,000 types are not read for them.
pub fn names(bytes: &[u8]) -> Result<impl Iterator<Item = &str>, BtfError> {
    let strings = Parts::split(bytes, &Allowance::of_a_file())?.strings;
    Ok(strings.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()))
}

/// The three parts of a BTF blob.
pub(crate) struct Parts<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Names may share one text, and what a type takes in the file is a fraction of what it takes here: a small object could have millions
    /// of types with megabytes each.
    allowance: Allowance,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(bytes: &'a [u8], allowance: &Allowance) -> Result<Self, BtfError> {
        if bytes.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(BtfError::Magic);
        }
        let number = |at: usize| word(bytes, at).map(|number| number as usize);
        let header = number(4)?;
        let part = |offset: usize, length: usize| {
            let start = header.checked_add(offset).ok_or(BtfError::Truncated)?;
            bytes.get(start..start.checked_add(length).ok_or(BtfError::Truncated)?).ok_or(BtfError::Truncated)
        };
        let (types, strings) = (part(number(8)?, number(12)?)?, part(number(16)?, number(20)?)?);
        Ok(Self { types, strings, allowance: allowance.clone() })
    }

    pub(crate) fn name(&self, offset: u32) -> Result<String, BtfError> {
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

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let slice = at.checked_add(4).and_then(|end| bytes.get(at..end)).ok_or(BtfError::Truncated)?;
    slice.try_into().map(u32::from_le_bytes).map_err(|_| BtfError::Truncated)
}

/// Reads the type at `at` and how many bytes it takes.
fn parse_type(parts: &Parts, at: usize) -> Result<(Type, usize), BtfError> {
    let types = parts.types;
    let (name, info, size_or_type) = (word(types, at)?, word(types, at + 4)?, word(types, at + 8)?);
    let (count, kind, flag) = (info & 0xffff, (info >> 24) & 0x1f, info >> 31 == 1);
    let body = at + 12;
    let entry = |index: u32, words: usize, field: usize| word(types, body + (index as usize * words + field) * 4);
    parts.keep::<Type>(1)?;
    let (kind, words) = match kind {
        BTF_KIND_INT => {
            let encoding = word(types, body)? >> 24;
            (TypeKind::Int { bytes: size_or_type, signed: encoding & 1 != 0, boolean: encoding & 4 != 0 }, 1)
        }
        BTF_KIND_PTR => (TypeKind::Pointer(size_or_type), 0),
        BTF_KIND_ARRAY => (TypeKind::Array { element: word(types, body)?, length: word(types, body + 8)? }, 3),
        BTF_KIND_STRUCT | BTF_KIND_UNION => {
            parts.keep::<Member>(count)?;
            let member = |index| member(parts, entry(index, 3, 0)?, entry(index, 3, 1)?, entry(index, 3, 2)?, flag);
            let members = (0..count).map(member).collect::<Result<_, _>>()?;
            let bytes = size_or_type;
            let kind = if kind == BTF_KIND_STRUCT {
                TypeKind::Struct { bytes, members }
            } else {
                TypeKind::Union { bytes, members }
            };
            (kind, count * 3)
        }
        BTF_KIND_ENUM => {
            parts.keep::<(String, i64)>(count)?;
            let value = |index| Ok((parts.name(entry(index, 2, 0)?)?, i64::from(entry(index, 2, 1)? as i32)));
            let values = (0..count).map(value).collect::<Result<_, BtfError>>()?;
            (TypeKind::Enum { bytes: size_or_type, signed: flag, values }, count * 2)
        }
        BTF_KIND_TYPEDEF => (TypeKind::Typedef(size_or_type), 0),
        BTF_KIND_VOLATILE | BTF_KIND_CONST | BTF_KIND_RESTRICT | BTF_KIND_TYPE_TAG => {
            (TypeKind::Modifier(size_or_type), 0)
        }
        BTF_KIND_FWD | BTF_KIND_FUNC => (TypeKind::Other, 0),
        BTF_KIND_FUNC_PROTO => (TypeKind::Other, count * 2),
        BTF_KIND_VAR => (TypeKind::Variable(size_or_type), 1),
        BTF_KIND_DATASEC => {
            parts.keep::<SectionVariable>(count)?;
            let variable = |index| {
                Ok(SectionVariable {
                    type_id: entry(index, 3, 0)?,
                    offset: entry(index, 3, 1)?,
                    size: entry(index, 3, 2)?,
                })
            };
            (TypeKind::Section((0..count).map(variable).collect::<Result<_, BtfError>>()?), count * 3)
        }
        BTF_KIND_FLOAT => (TypeKind::Float { bytes: size_or_type }, 0),
        BTF_KIND_DECL_TAG => (TypeKind::Tag(size_or_type), 1),
        BTF_KIND_ENUM64 => {
            parts.keep::<(String, i64)>(count)?;
            let value = |index| {
                let wide = u64::from(entry(index, 3, 1)?) | u64::from(entry(index, 3, 2)?) << 32;
                Ok((parts.name(entry(index, 3, 0)?)?, wide as i64))
            };
            let values = (0..count).map(value).collect::<Result<_, BtfError>>()?;
            (TypeKind::Enum { bytes: size_or_type, signed: flag, values }, count * 3)
        }
        unknown => return Err(BtfError::Kind(unknown)),
    };
    let length = 12 + words as usize * 4;
    if at + length > types.len() {
        return Err(BtfError::Truncated);
    }
    Ok((Type { name: parts.name(name)?, kind }, length))
}

/// With the flag, a member's offset carries the width of a bit field in its upper byte.
fn member(parts: &Parts, name: u32, type_id: u32, offset: u32, flag: bool) -> Result<Member, BtfError> {
    let (offset, bits) = if flag { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
    Ok(Member { name: parts.name(name)?, type_id, offset, bits: (bits > 0).then_some(bits) })
}
