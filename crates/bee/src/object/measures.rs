//! The numbers of a map's value. An integer is one metric; of a struct each integer is a metric of its own, so that a count and its bytes
//! have the same key.

use crate::decode::integer_at;
use crate::decode::labels::join;
use crate::decode::layout::{Layout, Shape};
use crate::object::{Kind, Map, Source};

/// A number of a value.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Of the field, with those that it is nested in; empty where the value itself is the number.
    pub name: String,
    layout: Layout,
    /// From the beginning of the value, in bits.
    offset: usize,
    /// For a bit field.
    bits: Option<usize>,
}

/// What a value has.
#[derive(Debug, Default)]
pub struct Measures {
    pub numbers: Vec<Measure>,
    /// Fields that are no integers.
    pub left_out: Vec<String>,
}

impl Measures {
    pub fn new(value: &Layout) -> Self {
        let mut measures = Self::default();
        measures.add(value, "", (0, None));
        measures
    }

    /// Those of a map's elements.
    pub fn of_map(map: &Map) -> Self {
        match &map.source {
            Source::Elements { value, .. } => Self::new(value),
            Source::Events(_) => Self::default(),
        }
    }

    fn add(&mut self, layout: &Layout, name: &str, (offset, bits): (usize, Option<usize>)) {
        match &layout.shape {
            _ if layout.is_integer() => {
                self.numbers.push(Measure { name: name.to_owned(), layout: layout.clone(), offset, bits });
            }
            Shape::Struct(fields) => {
                for field in fields {
                    self.add(&field.layout, &join(name, &field.name), (offset + field.offset, field.bits));
                }
            }
            _ => self.left_out.push(name.to_owned()),
        }
    }
}

impl Measure {
    /// `None` if the value ends before it.
    pub fn read(&self, value: &[u8]) -> Option<i128> {
        integer_at(&self.layout, value, self.offset, self.bits)
    }
}

/// The fields of a map's values that are neither shown nor become metrics.
pub fn left_out(map: &Map) -> Vec<String> {
    match (map.kind, &map.source) {
        (Kind::Print, Source::Elements { per_cpu: false, .. }) => vec![],
        _ => Measures::of_map(map).left_out,
    }
}

/// What is said of a map whose values have more than bee shows.
pub fn note(map: &Map) -> Option<String> {
    let (name, fields) = (&map.name, left_out(map));
    if fields.is_empty() {
        return None;
    }
    let why = match map.kind {
        Kind::Print => "only integers are added up over the CPUs",
        _ => "only integers become metrics",
    };
    Some(format!("map {name}: {} of its values left out, as {why}", fields.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::Field;

    fn plain(size: usize, shape: Shape) -> Layout {
        Layout { size, shape }
    }

    fn field(name: &str, byte: usize, layout: Layout) -> Field {
        Field { name: name.into(), offset: byte * 8, bits: None, layout }
    }

    fn names(value: &Layout) -> (Vec<String>, Vec<String>) {
        let Measures { numbers, left_out } = Measures::new(value);
        (numbers.into_iter().map(|number| number.name).collect(), left_out)
    }

    #[test]
    fn each_integer_of_a_value_is_a_number_and_the_rest_is_left_out() {
        let slots = Shape::Array { element: Box::new(plain(4, Shape::Unsigned)), length: 2 };
        let io = plain(16, Shape::Struct(vec![field("reads", 0, plain(8, Shape::Unsigned))]));
        let flag = Field { bits: Some(3), ..field("kind", 16, plain(4, Shape::Unsigned)) };
        let value = plain(
            40,
            Shape::Struct(vec![
                field("io", 0, io),
                flag,
                field("comm", 20, plain(4, Shape::Text)),
                field("took", 24, plain(8, Shape::Duration)),
                field("slots", 32, plain(8, slots)),
            ]),
        );
        assert_eq!(
            names(&value),
            (vec!["io_reads".into(), "kind".into(), "took".into()], vec!["comm".into(), "slots".into()])
        );
        assert_eq!(names(&plain(4, Shape::Signed)), (vec![String::new()], vec![]));
        assert_eq!(names(&plain(16, Shape::Unsigned)).0, Vec::<String>::new(), "no metric has 128 bits");
    }

    #[test]
    fn numbers_are_read_where_they_lie() {
        let signed = field("down", 4, plain(2, Shape::Signed));
        let bits = Field { offset: 3, bits: Some(5), ..field("high", 0, plain(4, Shape::Unsigned)) };
        let measures = Measures::new(&plain(8, Shape::Struct(vec![signed, bits])));
        let read = |value: &[u8]| measures.numbers.iter().map(|number| number.read(value)).collect::<Vec<_>>();
        assert_eq!(read(&[0xfd, 0, 0, 0, 0xfe, 0xff, 0, 0]), [Some(-2), Some(31)]);
        assert_eq!(read(&[0xfd, 0]), [None, Some(31)]);
    }
}
