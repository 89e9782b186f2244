//! The BPF type format: what types an object's maps and variables have. Read without libbpf, of which there are only the names of
//! kinds; nothing in it is trusted.
//!
//! <https://docs.kernel.org/bpf/btf.html>

mod merge;
mod parse;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::allowance::{Allowance, Exceeded};
use crate::decode::btf::parse::parse_type;

pub use merge::{merge_sections, without_members};
pub(crate) use parse::Parts;

/// The number of a type; 0 is `void`.
pub type TypeId = u32;

/// Types that refer to each other are followed this far: longer is a circle.
const DEPTH: usize = 32;

/// The longest name; the kernel takes 512 bytes, and tags have whole sentences.
const NAME: usize = 4096;

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
        let mut variables = vec![];
        for entry in self.section(section)? {
            if let Some(Type { name, kind: TypeKind::Variable(type_id) }) = self.get(entry.type_id) {
                variables.push((name.as_str(), *type_id));
            }
        }
        Some(variables)
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

    /// The names of the sections that have variables.
    pub fn sections(&self) -> Vec<&str> {
        let sections = self.types.iter().filter(|found| matches!(found.kind, TypeKind::Section(_)));
        sections.map(|section| section.name.as_str()).collect()
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
