//! A record's labels as Prometheus' text, written straight from its bytes. A scrape makes tens of thousands of them, so names are
//! worked out once, and no value becomes anything else on its way.

use std::borrow::Cow;

use clikit::escaped_lines;

use crate::decode;
use crate::decode::layout::{Layout, Shape};

/// What a key is called that is no struct.
pub(crate) const KEY: &str = "key";

/// What a key or event shows as labels.
pub struct Labels {
    /// By name.
    parts: Vec<Part>,
}

/// A value that is no struct and no array, but for one of which only the record says how long it is.
#[derive(Clone)]
pub struct Part {
    name: String,
    pub layout: Layout,
    /// From the beginning of the record, in bits.
    pub offset: usize,
    /// For a bit field.
    pub bits: Option<usize>,
}

impl Part {
    /// As it is shown.
    pub fn text(&self, record: &[u8]) -> String {
        let mut text = String::new();
        decode::write(&mut text, &self.layout, record, self.offset, self.bits);
        text
    }
}

impl Labels {
    /// The labels of a layout without the field `leave_out`. The names of nested fields are joined by `_`, elements of arrays carry
    /// their number, and a key that is no struct is called `key`.
    pub fn new(layout: &Layout, leave_out: Option<&str>) -> Self {
        let mut parts = vec![];
        flatten(layout, "", (0, None), &mut parts);
        parts.retain(|part| Some(part.name.as_str()) != leave_out);
        for part in &mut parts {
            part.name = label_name(&part.name);
        }
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        Self { parts }
    }

    /// Their names, in the order in which they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// Their values, in the order of the names.
    pub fn values(&self, record: &[u8]) -> Vec<String> {
        self.parts.iter().map(|part| part.text(record)).collect()
    }

    /// The value of this name.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// `daddr="10.0.0.1",saddr="10.0.0.2"`; what lies beyond the end of a record is empty, which to
    /// Prometheus is no label.
    pub fn write(&self, text: &mut String, record: &[u8]) {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&part.name);
            text.push_str("=\"");
            let begin = text.len();
            decode::write(text, &part.layout, record, part.offset, part.bits);
            escape(text, begin);
            text.push('"');
        }
    }

    /// `daddr="overflow",saddr="overflow"`: of the one series that stands for all that were too many.
    pub fn overflow(&self) -> String {
        self.names().map(|name| format!("{name}=\"overflow\"")).collect::<Vec<_>>().join(",")
    }
}

fn flatten(layout: &Layout, name: &str, (offset, bits): (usize, Option<usize>), parts: &mut Vec<Part>) {
    match &layout.shape {
        Shape::Struct(fields) => {
            for field in fields {
                flatten(&field.layout, &join(name, &field.name), (offset + field.offset, field.bits), parts);
            }
        }
        Shape::Array { element, length } => {
            for index in 0..*length {
                let name = format!("{}_{index}", if name.is_empty() { KEY } else { name });
                flatten(element, &name, (offset + index * element.size * 8, None), parts);
            }
        }
        _ => parts.push(Part { name: name.to_owned(), layout: layout.clone(), offset, bits }),
    }
}

/// The name of a field within the value `name`, which is empty for the record itself.
pub(crate) fn join(name: &str, field: &str) -> String {
    if name.is_empty() { field.to_owned() } else { format!("{name}_{field}") }
}

/// C's names are Prometheus' names as well, except for what a section or array may add.
pub fn label_name(name: &str) -> String {
    if name.is_empty() {
        return KEY.to_owned();
    }
    let legal = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' });
    let begin = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    begin.chars().chain(legal).collect()
}

/// A label's value as it stands between quotes.
pub fn escaped(value: &str) -> String {
    let mut text = value.to_owned();
    escape(&mut text, 0);
    text
}

/// Escapes what was written from `begin` on; nearly always there is nothing to escape. Metrics are looked at with curl, on terminals:
/// what one would obey is shown there, too.
fn escape(text: &mut String, begin: usize) {
    let plain = escaped_lines(&text[begin..]);
    if matches!(plain, Cow::Borrowed(_)) && !plain.contains(['\\', '"', '\n']) {
        return;
    }
    let plain = plain.into_owned();
    text.truncate(begin);
    for c in plain.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
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

    fn written(labels: &Labels, record: &[u8]) -> String {
        let mut text = String::new();
        labels.write(&mut text, record);
        text
    }

    #[test]
    fn nested_fields_join_their_names_and_the_value_is_left_out() {
        let inner = plain(4, Shape::Struct(vec![field("port", 0, plain(2, Shape::Unsigned))]));
        let pair = plain(2, Shape::Array { element: Box::new(plain(1, Shape::Signed)), length: 2 });
        let fields = vec![field("to", 0, inner), field("value", 4, plain(4, Shape::Unsigned)), field("by", 8, pair)];
        let labels = Labels::new(&plain(12, Shape::Struct(fields)), Some("value"));
        assert_eq!(labels.names().collect::<Vec<_>>(), ["by_0", "by_1", "to_port"]);
        assert_eq!(written(&labels, &[80, 0, 0, 0, 9, 0, 0, 0, 0xff, 2, 0, 0]), r#"by_0="-1",by_1="2",to_port="80""#);
    }

    #[test]
    fn text_is_escaped_and_a_plain_key_has_a_name() {
        let labels = Labels::new(&plain(6, Shape::Text), None);
        assert_eq!(written(&labels, b"a\"b\\\nd"), "key=\"a\\\"b\\\\\\nd\"");
        assert_eq!(written(&labels, b"a\x1b[2Jb"), "key=\"a\\\\u{1b}[2Jb\"");
    }

    #[test]
    fn labels_say_what_json_says() {
        let shapes = [
            (4, Shape::Ipv4),
            (8, Shape::Duration),
            (1, Shape::Bool),
            (4, Shape::Float),
            (16, Shape::Ipv6),
            (3, Shape::Bytes),
            (8, Shape::Unsigned),
            (16, Shape::Signed),
        ];
        for (size, shape) in shapes {
            let layout = plain(size, shape);
            let record: Vec<u8> = (0..size as u8).map(|byte| byte.wrapping_mul(37) | 0x80).collect();
            let json = decode::decode(&layout, &record).unwrap();
            let json = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            assert_eq!(written(&Labels::new(&layout, None), &record), format!("key=\"{json}\""), "{layout:?}");
        }
    }
}
