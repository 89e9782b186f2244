//! Records of random layouts and lengths: what is shown of a record decides on its key, and nothing else does.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::decode::address::{Family, Socket};
use crate::decode::canonical::Canonical;
use crate::decode::decode;
use crate::decode::labels::Labels;
use crate::decode::layout::{Field, Layout, Shape};
use crate::decode::typedefs::Meaning;

/// A value of its own.
fn value() -> impl Strategy<Value = Layout> {
    let names = [("A".to_owned(), 1), ("B".to_owned(), 2), ("C".to_owned(), 4), ("LOST".to_owned(), -1)];
    let family = Family { distance: -8, width: 8, is_version: true };
    let values = [
        (1, Shape::Unsigned),
        (8, Shape::Unsigned),
        (4, Shape::Signed),
        (1, Shape::Bool),
        (4, Shape::Float),
        (2, Shape::BigEndian),
        (4, Shape::Ipv4),
        (16, Shape::Ipv6),
        (16, Shape::IpByFamily(family)),
        (16, Shape::Socket(Socket::V4)),
        (28, Shape::Socket(Socket::V6)),
        (32, Shape::Socket(Socket::Any)),
        (4, Shape::Enum { signed: false, names: names.into() }),
        (4, Shape::Meaning(Meaning::Error)),
        (5, Shape::Bytes),
        (5, Shape::Text),
        (5, Shape::TextOrBytes),
    ];
    select(values.map(|(size, shape)| Layout { size, shape }).to_vec())
}

/// A value, an array or a struct of such.
fn layout() -> impl Strategy<Value = Layout> {
    value().prop_recursive(2, 8, 3, |inner| {
        let array = (element(inner.clone()), 1..3usize).prop_map(|(element, length)| Layout {
            size: element.size * length,
            shape: Shape::Array { element: Box::new(element), length },
        });
        prop_oneof![array, vec((0..3usize, inner), 1..4).prop_map(record)]
    })
}

/// What an array may be of: an address has its family in the same element.
fn element(layout: impl Strategy<Value = Layout>) -> impl Strategy<Value = Layout> {
    layout.prop_map(|layout| match layout.shape {
        Shape::IpByFamily(_) => record(vec![(0, layout)]),
        _ => layout,
    })
}

/// A struct whose members have so much padding before them. The family of an address lies right before it.
fn record(members: Vec<(usize, Layout)>) -> Layout {
    let (mut fields, mut end) = (vec![], 0);
    for (index, (padding, layout)) in members.into_iter().enumerate() {
        end += padding;
        if matches!(layout.shape, Shape::IpByFamily(_)) {
            fields.push(field(format!("family{index}"), end, Layout { size: 1, shape: Shape::Unsigned }));
            end += 1;
        }
        let size = layout.size;
        fields.push(field(format!("f{index}"), end, layout));
        end += size;
    }
    Layout { size: end, shape: Shape::Struct(fields) }
}

fn field(name: String, byte: usize, layout: Layout) -> Field {
    Field { name, offset: byte * 8, bits: None, layout }
}

/// A struct, perhaps with an array at its end that has what the record holds.
fn event() -> impl Strategy<Value = Layout> {
    let rest = prop_oneof![
        Just(None),
        select(vec![Shape::Text, Shape::Bytes]).prop_map(Some),
        element(layout()).prop_map(|element| Some(Shape::Array { element: Box::new(element), length: 0 })),
    ];
    (vec((0..3usize, layout()), 1..4), rest, 0..4usize).prop_map(|(mut members, rest, padding)| {
        if let Some(shape) = rest {
            members.push((padding, Layout { size: 0, shape }));
        }
        record(members).opened()
    })
}

/// Bytes of which many are zero, or what families are.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(select(vec![0, 0, 0, 1, 2, 4, 6, 10, b'a', 0xff]), 0..160)
}

fn key(canonical: &Canonical, layout: &Layout, record: &[u8]) -> Vec<u8> {
    let mut key = layout.known(record).to_vec();
    canonical.apply(&mut key);
    key
}

proptest! {
    #[test]
    fn a_key_shows_what_its_record_does(layout in event(), record in bytes()) {
        let (labels, canonical) = (Labels::new(&layout, None), Canonical::new(&layout, None));
        let known = layout.known(&record);
        let key = key(&canonical, &layout, &record);
        prop_assert_eq!(labels.values(&key), labels.values(known));
        prop_assert_eq!(self::key(&canonical, &layout, &key), key, "it is canonical");
        prop_assert_eq!(decode(&layout, &record).is_ok(), layout.is_in(known.len()));
    }

    #[test]
    fn records_that_look_alike_have_one_key(layout in event(), record in bytes(), at in any::<usize>(), byte in any::<u8>(), cut in 0..3usize) {
        let (labels, canonical) = (Labels::new(&layout, None), Canonical::new(&layout, None));
        let mut other = record[..record.len() - cut.min(record.len())].to_vec();
        if !other.is_empty() {
            let at = at % other.len();
            other[at] = byte;
        }
        let are_alike = labels.values(layout.known(&record)) == labels.values(layout.known(&other));
        if are_alike && !canonical.has_lookalikes() {
            prop_assert_eq!(key(&canonical, &layout, &record), key(&canonical, &layout, &other));
        }
    }
}
