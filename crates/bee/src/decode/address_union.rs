//! Addresses whose version is told beside them: unions of both, or 16 bytes for either, as most programs have them.

use crate::decode::address::{Family, common_name, is_address};
use crate::decode::btf::{Btf, Member, Type, TypeId, TypeKind};
use crate::decode::characters;
use crate::decode::layout::Shape;

/// Structs of one member are followed this far.
const DEPTH: usize = 4;

/// The member that says the version of the addresses beside it. Distances are from where `base` counts from.
pub fn family(btf: &Btf, members: &[Member], base: usize) -> Option<Family> {
    let mut found: Option<Family> = None;
    for Member { name, type_id, offset, bits } in members {
        let (Some(is_version), Some(size)) = (Family::named(name), number_size(btf, *type_id)) else { continue };
        if found.is_none_or(|found| found.is_version && !is_version) {
            let distance = (base + *offset as usize) as isize;
            found = Some(Family { distance, width: bits.unwrap_or(size * 8) as usize, is_version });
        }
    }
    found
}

/// The name of a member that is an address of either version; of an unnamed union, what its members' names have in common.
pub fn name(btf: &Btf, member: &Member) -> Option<String> {
    let Member { name, type_id, .. } = member;
    match &btf.resolve(*type_id)?.1.kind {
        TypeKind::Union { bytes: 16, members } => {
            let common = of_both(btf, members, name)?;
            Some(if name.is_empty() { common } else { name.clone() })
        }
        TypeKind::Int { .. } | TypeKind::Array { .. } => {
            let is_one = is_address(name) && !name.contains('6') && is_sixteen(btf, *type_id, 0);
            is_one.then(|| name.clone())
        }
        _ => None,
    }
}

/// What the names of a union's members have in common, if they are addresses of both versions and nothing else.
fn of_both(btf: &Btf, members: &[Member], union: &str) -> Option<String> {
    let four = members.iter().find(|member| is_four(btf, member.type_id, 0))?;
    let six = members.iter().find(|member| is_sixteen(btf, member.type_id, 0))?;
    let are_all = members.iter().all(|member| {
        !member.name.is_empty() && (is_four(btf, member.type_id, 0) || is_sixteen(btf, member.type_id, 0))
    });
    let is_named = [union, &four.name, &six.name].into_iter().any(is_address);
    let are_numbered = four.name.contains('4') && six.name.contains('6');
    let is_said = is_named || are_numbered || is_struct(btf, four.type_id) || is_struct(btf, six.type_id);
    (are_all && is_said).then(|| common_name(&four.name, &six.name))
}

fn is_struct(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.resolve(id), Some((_, Type { kind: TypeKind::Struct { .. }, .. })))
}

/// The size of a plain number or enumeration.
fn number_size(btf: &Btf, id: TypeId) -> Option<u32> {
    match btf.resolve(id)?.1.kind {
        TypeKind::Int { bytes, .. } | TypeKind::Enum { bytes, .. } => Some(bytes),
        _ => None,
    }
}

/// Whether a type may be an IPv4 address.
fn is_four(btf: &Btf, id: TypeId, depth: usize) -> bool {
    is_address_of(btf, id, 4, depth)
}

fn is_sixteen(btf: &Btf, id: TypeId, depth: usize) -> bool {
    is_address_of(btf, id, 16, depth)
}

/// Whether a type of this size may be an address: a number, an array of numbers that is no text, or a struct of just that.
fn is_address_of(btf: &Btf, id: TypeId, size: u32, depth: usize) -> bool {
    let Some((_, found)) = btf.resolve(id) else { return false };
    if depth > DEPTH || btf.size(id) != Some(size) {
        return false;
    }
    match &found.kind {
        TypeKind::Int { boolean, .. } => !boolean,
        TypeKind::Array { element, .. } => {
            !matches!(characters::shape(btf, *element), Some(Shape::Text | Shape::TextOrBytes))
                && matches!(btf.resolve(*element), Some((_, Type { kind: TypeKind::Int { .. }, .. })))
        }
        TypeKind::Struct { members, .. } => match members.as_slice() {
            _ if found.name == "in6_addr" => true,
            [only] => is_address_of(btf, only.type_id, size, depth + 1),
            _ => false,
        },
        _ => false,
    }
}
