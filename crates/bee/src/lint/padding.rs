//! Holes that the compiler leaves between members, so that each stands where the processor reads it fastest. Nobody sets them.

use crate::decode::btf::{Btf, Member, TypeId, TypeKind};

/// Structs in structs are followed this far, and so many members of all of them: two in each would be thousands.
const DEPTH: usize = 16;
const MEMBERS: usize = 10_000;

/// Bytes of a struct that are no member's.
#[derive(Debug, PartialEq, Eq)]
pub struct Hole {
    pub record: String,
    /// The member before it.
    pub after: String,
    pub bytes: usize,
}

/// The holes of a struct and of the structs in it.
pub fn holes(btf: &Btf, id: TypeId) -> Vec<Hole> {
    let mut look = Look { btf, left: MEMBERS, found: vec![] };
    look.at(id, 0);
    look.found
}

impl Hole {
    /// `role` is what the struct is to its map: event or key.
    pub fn message(&self, role: &str) -> String {
        let Self { record, after, bytes } = self;
        let harm = match role {
            "key" => "keys that are the same in every member then count apart",
            _ => "what lay there before, kernel memory, leaves with each event",
        };
        let record = if record.is_empty() { "a struct" } else { record };
        format!(
            "{record} has {bytes} bytes of padding after {after} that nobody sets: {harm}; put large members first, or fill the \
             hole with a member that is set to 0"
        )
    }
}

/// What was found so far.
struct Look<'a> {
    btf: &'a Btf,
    /// So many members may still be looked at.
    left: usize,
    found: Vec<Hole>,
}

impl Look<'_> {
    fn at(&mut self, id: TypeId, depth: usize) {
        if depth >= DEPTH {
            return;
        }
        let btf = self.btf;
        let Some((_, record)) = btf.resolve(id) else { return };
        match &record.kind {
            TypeKind::Struct { bytes, members } => {
                let Some(left) = self.left.checked_sub(members.len()) else { return };
                self.left = left;
                let (mut end, mut last) = (0, None::<&Member>);
                for member in members {
                    self.note(&record.name, last, end, member.offset as usize);
                    end = end.max(member.offset as usize + bits(btf, member));
                    last = Some(member);
                }
                self.note(&record.name, last, end, *bytes as usize * 8);
                for member in members {
                    self.at(member.type_id, depth + 1);
                }
            }
            TypeKind::Array { element, .. } => self.at(*element, depth + 1),
            _ => {}
        }
    }

    /// Whole bytes between two members; before the first there are none.
    fn note(&mut self, record: &str, last: Option<&Member>, end: usize, next: usize) {
        let bytes = next.saturating_sub(end) / 8;
        if let Some(last) = last
            && bytes > 0
        {
            self.found.push(Hole { record: record.to_owned(), after: last.name.clone(), bytes });
        }
    }
}

fn bits(btf: &Btf, member: &Member) -> usize {
    match member.bits {
        Some(bits) => bits as usize,
        None => btf.size(member.type_id).unwrap_or_default() as usize * 8,
    }
}
