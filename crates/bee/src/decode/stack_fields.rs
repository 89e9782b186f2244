//! Which fields of a record are stacks, by their types and names.
//!
//! * `kernel_stack_id` and `user_stack_id` (or a plain integer whose field is called as BumbleBee's and libbpf's tools call theirs) are
//!   numbers of stacks in the object's map of stacks, if it has exactly one: of several, nobody knows which is meant.
//! * arrays of `kernel_address` or `user_address` (or of 64-bit integers in fields of those names) are the stack itself. A field of the
//!   same name and `_sz` or `_size` says how many bytes of it there are.
//! * a field `tgid`, `pid`, `pid_tgid` or `tid` of the same struct, or of the record, is the process.

use std::sync::Arc;

use crate::decode::layout::{Field, Layout, Shape};
use crate::decode::stacks::{Form, Place, Placed, Stack, Table};
use crate::decode::typedefs::Meaning;

/// What a stack's field is called, without `_`.
const NAMES: [&str; 11] = [
    "kernstackid",
    "kernelstackid",
    "kstackid",
    "kernstack",
    "kernelstack",
    "kstack",
    "userstackid",
    "ustackid",
    "userstack",
    "ustack",
    "stackid",
];
/// Where a process is, the best first, and how many lower bits are something else.
const PROCESSES: [(&str, u32); 4] = [("tgid", 0), ("pid", 0), ("pid_tgid", 32), ("tid", 0)];
const LENGTHS: [&str; 2] = ["_sz", "_size"];

/// Makes stacks of what is one.
pub fn bind(layout: &mut Layout, table: Option<&Arc<Table>>) {
    let scope = Scope { table, process: None };
    match &mut layout.shape {
        Shape::Struct(fields) => scope.bind_fields(fields, 0),
        _ => {
            if let Some(form) = scope.form("", layout, None) {
                layout.shape = Shape::Stack(Box::new(Stack { form, process: None }));
            }
        }
    }
}

/// The stacks of a record, and where they are in bytes.
pub fn stacks_in(layout: &Layout) -> Placed {
    let mut stacks = vec![];
    add_stacks(layout, 0, &mut stacks);
    stacks
}

fn add_stacks(layout: &Layout, offset: usize, stacks: &mut Placed) {
    match &layout.shape {
        Shape::Stack(stack) => stacks.push((offset, (**stack).clone())),
        Shape::Struct(fields) => {
            for field in fields {
                add_stacks(&field.layout, offset + field.offset / 8, stacks);
            }
        }
        _ => {}
    }
}

/// What is known where a struct stands.
#[derive(Clone, Copy)]
struct Scope<'a> {
    table: Option<&'a Arc<Table>>,
    process: Option<Place>,
}

impl Scope<'_> {
    /// `base` is where the struct begins, in bits.
    fn bind_fields(mut self, fields: &mut [Field], base: usize) {
        let own = PROCESSES.iter().find_map(|(name, shift)| place(fields, name, base, *shift));
        self.process = own.or(self.process);
        for index in 0..fields.len() {
            let name = fields[index].name.clone();
            let length = LENGTHS.iter().find_map(|end| place(fields, &format!("{name}{end}"), base, 0));
            let Field { offset, bits, layout, .. } = &mut fields[index];
            if let Shape::Struct(inner) = &mut layout.shape {
                self.bind_fields(inner, base + *offset);
            } else if bits.is_none()
                && let Some(form) = self.form(&name, layout, length)
            {
                layout.shape = Shape::Stack(Box::new(Stack { form, process: self.process }));
            }
        }
    }

    /// What kind of stack a field is, if it is one.
    fn form(self, name: &str, layout: &Layout, length: Option<Place>) -> Option<Form> {
        let is_called_so = NAMES.contains(&name.replace('_', "").to_lowercase().as_str());
        match &layout.shape {
            Shape::Meaning(Meaning::StackId) => self.id(layout.size),
            Shape::Unsigned | Shape::Signed if is_called_so && matches!(layout.size, 4 | 8) => self.id(layout.size),
            Shape::Array { element, length: most } if is_address(element, is_called_so) => {
                Some(Form::Addresses { most: *most, length })
            }
            _ => None,
        }
    }

    fn id(self, bytes: usize) -> Option<Form> {
        self.table.map(|table| Form::Id { bytes, table: table.clone() })
    }
}

fn is_address(element: &Layout, is_called_so: bool) -> bool {
    match element.shape {
        Shape::Meaning(Meaning::KernelAddress | Meaning::UserAddress) => true,
        Shape::Unsigned => is_called_so && element.size == size_of::<u64>(),
        _ => false,
    }
}

/// Where the integer of this name is.
fn place(fields: &[Field], name: &str, base: usize, shift: u32) -> Option<Place> {
    let field = fields.iter().find(|field| field.name == name && field.bits.is_none())?;
    let is_integer = matches!(field.layout.shape, Shape::Unsigned | Shape::Signed);
    let size = field.layout.size;
    let fits = is_integer && (size == 8 || (size == 4 && shift == 0));
    fits.then_some(Place { offset: (base + field.offset) / 8, size, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, byte: usize, size: usize, shape: Shape) -> Field {
        Field { name: name.into(), offset: byte * 8, bits: None, layout: Layout { size, shape } }
    }

    fn bound(fields: Vec<Field>, table: Option<&Arc<Table>>) -> Layout {
        let mut layout = Layout { size: 64, shape: Shape::Struct(fields) };
        bind(&mut layout, table);
        layout
    }

    #[test]
    fn ids_are_known_by_type_or_name_where_there_is_one_map() {
        let table = Arc::<Table>::default();
        for (name, size, shape, is_stack) in [
            ("kern_stack_id", 4, Shape::Signed, true),
            ("kstack_id", 4, Shape::Unsigned, true),
            ("user_stack_id", 8, Shape::Signed, true),
            ("ustack", 8, Shape::Unsigned, true),
            ("stack_id", 4, Shape::Signed, true),
            ("where", 4, Shape::Meaning(Meaning::StackId), true),
            ("stack_depth", 4, Shape::Unsigned, false),
            ("kstack_id", 2, Shape::Unsigned, false),
            ("kstack_id", 4, Shape::Text, false),
        ] {
            let fields = || vec![field("tgid", 0, 4, Shape::Unsigned), field(name, 8, size, shape.clone())];
            let stacks = stacks_in(&bound(fields(), Some(&table)));
            assert_eq!(stacks.len(), usize::from(is_stack), "{name}");
            assert_eq!(stacks_in(&bound(fields(), None)).len(), 0, "{name} without a map");
            if let Some((offset, stack)) = stacks.first() {
                assert_eq!((*offset, stack.process), (8, Some(Place { offset: 0, size: 4, shift: 0 })), "{name}");
            }
        }
    }

    #[test]
    fn arrays_of_addresses_are_stacks_and_may_have_a_length() {
        let array = |shape| Shape::Array { element: Box::new(Layout { size: 8, shape }), length: 4 };
        let fields = vec![
            field("pid_tgid", 0, 8, Shape::Unsigned),
            field("frames", 8, 32, array(Shape::Meaning(Meaning::KernelAddress))),
            field("kstack_sz", 40, 4, Shape::Signed),
            field("kstack", 48, 32, array(Shape::Unsigned)),
            field("numbers", 80, 32, array(Shape::Unsigned)),
        ];
        let process = Some(Place { offset: 0, size: 8, shift: 32 });
        let length = Some(Place { offset: 40, size: 4, shift: 0 });
        let expected = [
            (8, Stack { form: Form::Addresses { most: 4, length: None }, process }),
            (48, Stack { form: Form::Addresses { most: 4, length }, process }),
        ];
        assert_eq!(stacks_in(&bound(fields, None)), expected);
    }
}
