//! A probe's parameters, its global variables: `--param port=443`, `--param opts.limit=5`. Those that are `const volatile`, or have a value
//! of their own, are listed with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::btf::{Btf, TypeId};
use crate::decode::decode;
use crate::decode::layout::{Layout, Shape};
use crate::object::elf::Elf;
use crate::object::encode::{describe, encode};
use crate::object::{Inspection, type_name};

/// The sections of constants, of variables, and of variables that are zero; more may follow behind a dot.
const LISTED: [&str; 2] = [".rodata", ".data"];
const ZERO: &str = ".bss";
/// A value that is listed has no more bytes.
const LONGEST: usize = 256;

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// Which part of the variable it is.
    path: Vec<Step>,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

/// The bytes of a value and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    pub section: String,
    pub offset: usize,
    pub bytes: Vec<u8>,
}

/// A parameter that a probe has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    pub name: String,
    /// As C has it.
    pub r#type: String,
    /// Its value if nobody sets it, where the object says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// `limit, u32 = 5`
impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.r#type)?;
        self.default.as_ref().map_or(Ok(()), |default| write!(f, " = {default}"))
    }
}

/// A text that sets no parameter.
#[derive(Debug, thiserror::Error)]
#[error("invalid param {0:?}: expected NAME=VALUE, NAME.FIELD=VALUE or NAME[NUMBER]=VALUE")]
pub struct Malformed(String);

/// Why a parameter can't be set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no probe has a parameter {name}; parameters: {known}")]
    Unknown { name: String, known: String },
    #[error("invalid param {param:?}: expected {wanted}")]
    Value { param: String, wanted: String },
    #[error("the object has no address for parameter {0}: rebuild it with bee")]
    Place(String),
}

impl FromStr for Parameter {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parts(text).ok_or_else(|| Malformed(text.to_owned()))
    }
}

fn parts(text: &str) -> Option<Parameter> {
    let (place, value) = text.split_once('=')?;
    let (name, path) = place.split_at(place.find(['.', '[']).unwrap_or(place.len()));
    if name.is_empty() {
        return None;
    }
    Some(Parameter { name: name.to_owned(), path: steps(path)?, value: value.to_owned() })
}

/// As in `.field[3]`.
fn steps(mut path: &str) -> Option<Vec<Step>> {
    let mut steps = vec![];
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('.') {
            let (field, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            steps.push(Some(field).filter(|field| !field.is_empty()).map(|field| Step::Field(field.to_owned()))?);
            path = rest;
        } else {
            let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Element(number.parse().ok()?));
            path = rest;
        }
    }
    Some(steps)
}

/// As it was written.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for step in &self.path {
            match step {
                Step::Field(field) => write!(f, ".{field}")?,
                Step::Element(number) => write!(f, "[{number}]")?,
            }
        }
        write!(f, "={}", self.value)
    }
}

/// Sees that some probe has each parameter.
///
/// # Errors
/// None has one of them; the error names those that there are.
pub fn check<'a>(probes: impl Iterator<Item = &'a Btf>, parameters: &[Parameter]) -> Result<(), Error> {
    let (mut all, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for variable in probes.flat_map(variables) {
        all.insert(variable.name);
        if variable.is_listed() {
            listed.insert(variable.name);
        }
    }
    let unknown = parameters.iter().find(|parameter| !all.contains(parameter.name.as_str()));
    let Some(Parameter { name, .. }) = unknown else { return Ok(()) };
    let known = if listed.is_empty() {
        "none (`const volatile` global variables are)".to_owned()
    } else {
        listed.into_iter().collect::<Vec<_>>().join(", ")
    };
    Err(Error::Unknown { name: name.clone(), known })
}

/// A global variable of a probe.
struct Variable<'a> {
    name: &'a str,
    type_id: TypeId,
    section: &'a str,
    /// Nobody knows where it is in an object that was not linked.
    offset: Option<usize>,
}

impl Variable<'_> {
    fn is_listed(&self) -> bool {
        LISTED.iter().any(|section| is_of(self.section, section))
    }
}

/// Those that a user may set; variables of functions, of bee.h and of its macros are none.
fn variables(btf: &Btf) -> Vec<Variable<'_>> {
    let mut variables = vec![];
    for section in btf.sections() {
        if !LISTED.iter().chain([&ZERO]).any(|kind| is_of(section, kind)) {
            continue;
        }
        let offsets = btf.offsets(section);
        for (name, type_id) in btf.variables(section).unwrap_or_default() {
            if !(name.contains('.') || name.starts_with("bee_") || name.starts_with("____")) {
                variables.push(Variable { name, type_id, section, offset: place_of(name, &offsets) });
            }
        }
    }
    variables
}

/// Whether a section is of a kind, as `.rodata.more` is of `.rodata`.
fn is_of(section: &str, kind: &str) -> bool {
    section.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Compilers leave places to whoever links the object.
fn place_of(name: &str, offsets: &BTreeMap<&str, u32>) -> Option<usize> {
    let offset = offsets.get(name)?;
    let is_placed = offsets.values().filter(|other| *other == offset).count() == 1;
    is_placed.then_some(*offset as usize)
}

/// What is to be written into a probe's sections, of those parameters that it has.
///
/// # Errors
/// A parameter takes no such value.
pub fn constants(btf: &Btf, parameters: &[Parameter]) -> Result<Vec<Constant>, Error> {
    let (variables, mut constants) = (variables(btf), vec![]);
    for parameter in parameters {
        if let Some(variable) = variables.iter().find(|variable| variable.name == parameter.name) {
            constants.push(constant(btf, variable, parameter)?);
        }
    }
    Ok(constants)
}

fn constant(btf: &Btf, variable: &Variable, parameter: &Parameter) -> Result<Constant, Error> {
    let begin = variable.offset.ok_or_else(|| Error::Place(parameter.name.clone()))?;
    let layout = Layout::from_btf(btf, variable.type_id).map_err(|error| error.to_string());
    let bytes = layout.and_then(|layout| {
        let (part, offset) = part(&layout, &parameter.path)?;
        let bytes = encode(part, &parameter.value).ok_or_else(|| describe(part))?;
        Ok((offset, bytes))
    });
    match bytes {
        Ok((offset, bytes)) => Ok(Constant { section: variable.section.to_owned(), offset: begin + offset, bytes }),
        Err(wanted) => Err(Error::Value { param: parameter.to_string(), wanted }),
    }
}

/// A part of a variable and where it begins, in bytes; or what there is instead.
fn part<'a>(mut layout: &'a Layout, path: &[Step]) -> Result<(&'a Layout, usize), String> {
    let mut offset = 0;
    for step in path {
        (layout, offset) = match (step, &layout.shape) {
            (Step::Field(name), Shape::Struct(fields)) => {
                let field = fields.iter().find(|field| field.name == *name).ok_or_else(|| describe(layout))?;
                if field.bits.is_some() {
                    return Err(format!("a field of whole bytes, and {name} has some bits of one"));
                }
                (&field.layout, offset + field.offset / 8)
            }
            (Step::Element(number), Shape::Array { element, length }) if number < length => {
                (&**element, offset + number * element.size)
            }
            (Step::Element(_), Shape::Array { length, .. }) => {
                return Err(format!("a number below {length} in brackets"));
            }
            _ => return Err(describe(layout)),
        };
    }
    Ok((layout, offset))
}

/// The parameters that a probe has.
pub fn known(inspection: &Inspection) -> Vec<Known> {
    let (btf, elf) = (&inspection.btf, Elf::parse(&inspection.object).ok());
    let listed = variables(btf).into_iter().filter(Variable::is_listed);
    listed
        .map(|variable| Known {
            name: variable.name.to_owned(),
            r#type: type_name::of(btf, variable.type_id),
            default: elf.as_ref().and_then(|elf| default(btf, elf, &variable)),
        })
        .collect()
}

fn default(btf: &Btf, elf: &Elf, variable: &Variable) -> Option<Value> {
    let layout = Layout::from_btf(btf, variable.type_id).ok().filter(|layout| layout.size <= LONGEST)?;
    let bytes = elf.section_bytes(variable.section).ok()??;
    decode(&layout, bytes.get(variable.offset?..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::layout::Field;

    fn parsed(text: &str) -> Option<Parameter> {
        text.parse().ok()
    }

    #[test]
    fn a_parameter_is_a_variable_or_a_part_of_one() {
        let path = |text: &str| parsed(text).unwrap().path;
        assert_eq!(path("port=443"), []);
        assert_eq!(path("opts.a=3"), [Step::Field("a".into())]);
        assert_eq!(path("opts.list[2].b=x=y"), [Step::Field("list".into()), Step::Element(2), Step::Field("b".into())]);
        assert_eq!(parsed("opts.list[2].b=x=y").unwrap().value, "x=y");
        for text in ["port=443", "opts.list[2].b=x=y", "a="] {
            assert_eq!(parsed(text).unwrap().to_string(), text);
        }
        for wrong in ["", "port", "=1", ".a=1", "a.=1", "a[=1", "a[x]=1", "a[1]b=1", "a..b=1"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_part_lies_where_its_type_says() {
        let number = Layout { size: 2, shape: Shape::Unsigned };
        let list = Layout { size: 6, shape: Shape::Array { element: Box::new(number.clone()), length: 3 } };
        let field = |name: &str, byte: usize, layout| Field { name: name.into(), offset: byte * 8, bits: None, layout };
        let bit = Field { bits: Some(1), ..field("bit", 8, number.clone()) };
        let opts = Layout { size: 10, shape: Shape::Struct(vec![field("a", 0, number), field("list", 2, list), bit]) };
        let place =
            |text: &str| part(&opts, &parsed(&format!("o{text}=1")).unwrap().path).map(|(part, at)| (part.size, at));
        assert_eq!(place(".a"), Ok((2, 0)));
        assert_eq!(place(".list[2]"), Ok((2, 6)));
        assert_eq!(place(".b").unwrap_err(), "one of its fields, as in NAME.FIELD=VALUE: a, list, bit");
        assert_eq!(place(".list[3]").unwrap_err(), "a number below 3 in brackets");
        assert_eq!(place(".a.b").unwrap_err(), "a number from 0 to 65535");
        assert!(place(".bit").unwrap_err().contains("some bits"));
    }
}
