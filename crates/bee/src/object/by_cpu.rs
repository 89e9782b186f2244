//! A per-CPU map whose CPUs are told apart: each CPU's value is an element of its own, and its number one more field of the key. All that
//! takes keys (labels, filters, tables, recordings) has it by that.

use crate::decode::bucket_key;
use crate::decode::labels::KEY;
use crate::decode::layout::{Field, Layout, Shape};
use crate::object::{Kind, Map, Source, names};

const CPU: &str = "cpu";

impl Map {
    /// # Errors
    /// Its values are not those of several CPUs, or its key has such a label already; reads on from "its CPUs can't be told apart:".
    pub fn split_by_cpu(&mut self) -> Result<(), String> {
        if self.labels().names().any(|label| label == CPU) {
            return Err(format!("its key has a field {CPU} already"));
        }
        let Source::Elements { key, per_cpu: per_cpu @ true, .. } = &mut self.source else {
            return Err("it is no per-CPU hash or array".to_owned());
        };
        *key = with_cpu(key, if self.kind == Kind::Histogram { bucket_key::FIELD } else { KEY });
        *per_cpu = false;
        self.by_cpu = true;
        names::check_labels(self)
    }
}

/// A key, which gets this name if it is no struct, and behind it the number of a CPU.
fn with_cpu(key: &Layout, name: &str) -> Layout {
    let mut fields = match &key.shape {
        Shape::Struct(fields) => fields.clone(),
        _ => vec![Field { name: name.to_owned(), offset: 0, bits: None, layout: key.clone() }],
    };
    let number = Layout { size: size_of::<u32>(), shape: Shape::Unsigned };
    let size = key.size + number.size;
    fields.push(Field { name: CPU.to_owned(), offset: key.size * 8, bits: None, layout: number });
    Layout { size, shape: Shape::Struct(fields) }
}

/// What is said of a gauge that is none: the sum of what each CPU says last.
pub fn note(map: &Map) -> Option<String> {
    let name = &map.name;
    is_sum(map).then(|| {
        format!(
            "map {name}: a gauge of a per-CPU map is the sum of what each CPU says last; --per-cpu {name} shows each"
        )
    })
}

/// Whether it is a gauge that is added up over the CPUs.
pub fn is_sum(map: &Map) -> bool {
    map.kind == Kind::Gauge && matches!(map.source, Source::Elements { per_cpu: true, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(size: usize) -> Layout {
        Layout { size, shape: Shape::Unsigned }
    }

    fn map(kind: Kind, key: Layout, per_cpu: bool) -> Map {
        Map {
            name: "m".into(),
            kind,
            source: Source::Elements { key, value: number(8), per_cpu },
            help: None,
            unit: None,
            buckets: None,
            value: "value".into(),
            by_cpu: false,
        }
    }

    fn labels(mut map: Map) -> Result<Vec<String>, String> {
        map.split_by_cpu()?;
        Ok(map.labels().names().map(str::to_owned).collect())
    }

    #[test]
    fn the_number_of_the_cpu_is_one_more_label() {
        let field = |name: &str| Field { name: name.into(), offset: 0, bits: None, layout: number(4) };
        let key = |name: &str| Layout { size: 4, shape: Shape::Struct(vec![field(name)]) };
        assert_eq!(labels(map(Kind::Counter, number(4), true)).unwrap(), ["cpu", "key"]);
        assert_eq!(labels(map(Kind::Gauge, key("pid"), true)).unwrap(), ["cpu", "pid"]);
        assert_eq!(labels(map(Kind::Histogram, number(4), true)).unwrap(), ["cpu"]);
        assert!(labels(map(Kind::Print, key("cpu"), true)).unwrap_err().contains("already"));
        assert!(labels(map(Kind::Counter, number(4), false)).unwrap_err().contains("no per-CPU"));
    }
}
