//! Constants of an ONNX file.

use std::ops::Range;

use super::proto::{Fault, Field, Message, Writer};

/// Most dimensions of a constant.
pub(super) const MOST_DIMENSIONS: usize = 8;

/// Constants of up to so many whole numbers are known while shapes are computed.
const KNOWN_NUMBERS: usize = 256;

/// The same for other numbers: factors of four dimensions.
const KNOWN_FLOATS: usize = 8;

/// Most whole numbers that stand one by one in a list.
const MOST_LISTED: usize = 1 << 24;

/// Type of the values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Int32,
    Int64,
    Bool,
}

impl Element {
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Float => 1,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Bool => 9,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Float | Self::Int32 => 4,
            Self::Int64 => 8,
            Self::Bool => 1,
        }
    }
}

/// A constant.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) dims: Vec<usize>,
    pub(super) element: Element,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    InFile(Range<usize>),
    Own(Vec<u8>),
}

impl Tensor {
    pub(super) fn scalars(element: Element, dims: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { dims, element, data: Data::Own(bytes) }
    }

    /// A constant of floats.
    pub(super) fn floats(dims: Vec<usize>, values: &[f32]) -> Self {
        Self::scalars(Element::Float, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A list of whole numbers.
    pub(super) fn whole(values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::scalars(Element::Int64, vec![values.len()], bytes)
    }

    /// All values of a constant of floats.
    pub(super) fn numbers(&self, file: &[u8]) -> Option<Vec<f32>> {
        let floats = self.element == Element::Float;
        floats.then(|| chunks(self.bytes(file)).map(f32::from_le_bytes).collect())
    }

    fn bytes<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        match &self.data {
            Data::InFile(place) => &file[place.clone()],
            Data::Own(bytes) => bytes,
        }
    }

    fn count(&self) -> usize {
        self.dims.iter().product()
    }

    fn is_known(&self) -> bool {
        let most = if self.element == Element::Float { KNOWN_FLOATS } else { KNOWN_NUMBERS };
        self.count() <= most
    }

    /// Forgets what is not known while shapes are computed, and the file.
    pub(super) fn keep_known(&mut self, file: &[u8]) {
        let bytes = if self.is_known() { self.bytes(file).to_vec() } else { Vec::new() };
        self.data = Data::Own(bytes);
    }

    /// The values, where they may be sizes or factors.
    pub(super) fn known(&self, file: &[u8]) -> Option<Vec<f64>> {
        let bytes = self.bytes(file);
        self.is_known().then(|| match self.element {
            Element::Float => chunks(bytes).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            Element::Int32 => chunks(bytes).map(|b| f64::from(i32::from_le_bytes(b))).collect(),
            Element::Int64 => chunks(bytes).map(|b| i64::from_le_bytes(b) as f64).collect(),
            Element::Bool => bytes.iter().map(|&b| f64::from(b)).collect(),
        })
    }
}

pub(super) fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

impl Tensor {
    pub(super) fn write(&self, name: &str, file: &[u8], out: &mut Writer) {
        self.dims.iter().for_each(|&size| out.number(1, size as i64));
        out.number(2, self.element.code());
        out.bytes(8, name.as_bytes());
        out.bytes(9, self.bytes(file));
    }

    pub(super) fn parse(message: Message<'_>) -> Result<(String, Self), Fault> {
        let mut name = String::new();
        let mut dims = Vec::new();
        let mut code = 0;
        let mut raw: Option<Range<usize>> = None;
        // Values that are listed one by one, as bytes.
        let mut listed: Vec<u8> = Vec::new();
        let (mut external, mut doubles) = (false, false);
        let mut integers: Vec<u64> = Vec::new();
        message.fields(|number, field| {
            match number {
                1 => match field {
                    Field::Bytes(packed) => packed.packed(MOST_DIMENSIONS, &mut dims)?,
                    field => dims.push(field.number()?),
                },
                2 => code = field.number()?,
                4 => match field {
                    Field::Bytes(packed) => listed.extend_from_slice(packed.bytes()),
                    field => listed.extend(field.float()?.to_le_bytes()),
                },
                5 | 7 => match field {
                    Field::Bytes(packed) => packed.packed(MOST_LISTED, &mut integers)?,
                    field => integers.push(field.number()?),
                },
                8 => name = field.name()?,
                9 => raw = Some(field.message()?.place()),
                10 => {
                    doubles = true;
                    match field {
                        Field::Bytes(packed) => listed.extend_from_slice(packed.bytes()),
                        Field::Bits64(bits) => listed.extend(bits.to_le_bytes()),
                        _ => return Err("a damaged constant".into()),
                    }
                }
                13 => external = true,
                14 => external |= field.number()? != 0,
                _ => {}
            }
            if dims.len() > MOST_DIMENSIONS || integers.len() > MOST_LISTED {
                let problem = "more than 8 dimensions, or too many values one by one";
                return Err(format!("constant `{name}`: {problem}"));
            }
            Ok(())
        })?;
        let refuse = |problem: &str| Err(format!("constant `{name}`: {problem}"));
        if external {
            return refuse(
                "its values lie in another file; save the network as one file (in Python: \
                 onnx.save(onnx.load(IN), OUT))",
            );
        }
        let size = dims.iter().try_fold(1u64, |size, &dim| size.checked_mul(dim));
        let count = match size.map(usize::try_from) {
            Some(Ok(count)) if count <= isize::MAX as usize / 8 => count,
            _ => return refuse("more values than a file can hold"),
        };
        let dims: Vec<usize> = dims.into_iter().map(|dim| dim as usize).collect();
        let element = match code {
            1 | 11 => Element::Float,
            6 => Element::Int32,
            7 => Element::Int64,
            9 => Element::Bool,
            code => {
                let of = type_name(code);
                return refuse(&format!(
                    "values of type {of}; export the network with 32-bit floats"
                ));
            }
        };
        let narrowed = |bytes: &[u8]| -> Vec<u8> {
            chunks(bytes).flat_map(|b| (f64::from_le_bytes(b) as f32).to_le_bytes()).collect()
        };
        let wide = code == 11;
        let expected = count * if wide { 8 } else { element.size() };
        let got = match &raw {
            Some(place) => place.len(),
            None if element == Element::Float => listed.len(),
            None => integers.len() * element.size(),
        };
        if got != expected || (raw.is_none() && doubles != wide && count > 0) {
            return refuse(&format!("{expected} bytes of values belong here, {got} are there"));
        }
        let data = match (raw, element) {
            (Some(place), _) if !wide => Data::InFile(place),
            (Some(place), _) => {
                let start = place.start - message.place().start;
                Data::Own(narrowed(&message.bytes()[start..start + place.len()]))
            }
            (None, Element::Float) if wide => Data::Own(narrowed(&listed)),
            (None, Element::Float) => Data::Own(listed),
            (None, Element::Int32) => {
                Data::Own(integers.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect())
            }
            (None, Element::Int64) => {
                Data::Own(integers.iter().flat_map(|&v| v.to_le_bytes()).collect())
            }
            (None, Element::Bool) => {
                Data::Own(integers.iter().map(|&v| u8::from(v != 0)).collect())
            }
        };
        Ok((name, Self { dims, element, data }))
    }
}

/// What onnx.proto calls a type.
pub(super) fn type_name(code: u64) -> String {
    const NAMES: [&str; 17] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "text",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("number {code}"), |name| (*name).to_owned())
}
