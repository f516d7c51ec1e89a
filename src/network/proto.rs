//! Protocol Buffers messages, read in place from bytes of unknown origin, and written.
//!
//! A length is checked against what is left before it is believed, nothing is allocated by a number
//! that a file states, and nothing recurses.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::ops::Range;

/// What is wrong with a file, in words.
pub(super) type Fault = String;

/// A message, and where it begins in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'f> {
    bytes: &'f [u8],
    start: usize,
}

/// The value of one field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'f> {
    /// A whole number.
    Number(u64),
    /// Four bytes.
    Bits32(u32),
    /// Eight bytes.
    Bits64(u64),
    /// A text, bytes, packed numbers or a message.
    Bytes(Message<'f>),
}

const DAMAGED: &str = "not an ONNX file, or a damaged one";

impl<'f> Message<'f> {
    /// A whole file.
    pub(super) fn new(bytes: &'f [u8]) -> Self {
        Self { bytes, start: 0 }
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> &'f [u8] {
        self.bytes
    }

    /// Where it lies in its file.
    pub(super) fn place(self) -> Range<usize> {
        self.start..self.start + self.bytes.len()
    }

    /// Hands every field and its number to `take`, in order.
    pub(super) fn fields(
        self,
        mut take: impl FnMut(u64, Field<'f>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut at = 0;
        while at < self.bytes.len() {
            let key = self.varint(&mut at)?;
            let field = match key & 7 {
                0 => Field::Number(self.varint(&mut at)?),
                1 => Field::Bits64(u64::from_le_bytes(self.fixed(&mut at)?)),
                2 => {
                    let length = usize::try_from(self.varint(&mut at)?).unwrap_or(usize::MAX);
                    let end = at.checked_add(length).filter(|&end| end <= self.bytes.len());
                    let end = end.ok_or("cut short, or not an ONNX file")?;
                    let message = Self { bytes: &self.bytes[at..end], start: self.start + at };
                    at = end;
                    Field::Bytes(message)
                }
                5 => Field::Bits32(u32::from_le_bytes(self.fixed(&mut at)?)),
                _ => return Err(DAMAGED.into()),
            };
            take(key >> 3, field)?;
        }
        Ok(())
    }

    /// Adds whole numbers that stand one after another, `most` in all.
    pub(super) fn packed(self, most: usize, numbers: &mut Vec<u64>) -> Result<(), Fault> {
        let mut at = 0;
        while at < self.bytes.len() {
            if numbers.len() >= most {
                return Err(format!("a list of more than {most} numbers"));
            }
            numbers.push(self.varint(&mut at)?);
        }
        Ok(())
    }

    fn varint(self, at: &mut usize) -> Result<u64, Fault> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(*at).ok_or("cut short, or not an ONNX file")?;
            *at += 1;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(DAMAGED.into())
    }

    fn fixed<const N: usize>(self, at: &mut usize) -> Result<[u8; N], Fault> {
        let rest = self.bytes.get(*at..).and_then(<[u8]>::first_chunk::<N>);
        *at += N;
        rest.copied().ok_or_else(|| "cut short, or not an ONNX file".into())
    }
}

impl<'f> Field<'f> {
    pub(super) fn number(self) -> Result<u64, Fault> {
        match self {
            Self::Number(value) => Ok(value),
            _ => Err(DAMAGED.into()),
        }
    }

    /// A signed number, which is written as the unsigned one of the same bits.
    pub(super) fn signed(self) -> Result<i64, Fault> {
        self.number().map(u64::cast_signed)
    }

    pub(super) fn float(self) -> Result<f32, Fault> {
        match self {
            Self::Bits32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(DAMAGED.into()),
        }
    }

    pub(super) fn message(self) -> Result<Message<'f>, Fault> {
        match self {
            Self::Bytes(message) => Ok(message),
            _ => Err(DAMAGED.into()),
        }
    }

    /// A name: short, and fit to be shown.
    pub(super) fn name(self) -> Result<String, Fault> {
        let bytes = self.message()?.bytes;
        let text = std::str::from_utf8(bytes).map_err(|_| "a name in it is not UTF-8")?;
        if text.len() > 1024 || text.chars().any(char::is_control) {
            return Err("a name in it is longer than 1024 bytes or holds control characters".into());
        }
        Ok(text.to_owned())
    }
}

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 128 {
            self.bytes.push((value & 127) as u8 | 128);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn number(&mut self, field: u64, value: i64) {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
    }

    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut writer = Writer::default();
        writer.number(1, -3);
        writer.number(15, 300);
        writer.float(2, 0.5);
        writer.message(3, |inner| inner.bytes(4, b"name"));
        let mut seen = Vec::new();
        let message = Message::new(&writer.bytes);
        message
            .fields(|number, field| {
                seen.push(match (number, field) {
                    (1 | 15, field) => field.signed()?.to_string(),
                    (2, field) => field.float()?.to_string(),
                    (3, field) => {
                        let inner = field.message()?;
                        assert_eq!(&writer.bytes[inner.place()], inner.bytes());
                        let mut name = String::new();
                        inner.fields(|_, field| {
                            name = field.name()?;
                            Ok(())
                        })?;
                        name
                    }
                    other => panic!("{other:?}"),
                });
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, ["-3", "300", "0.5", "name"]);
    }

    #[test]
    fn what_is_cut_or_no_message_is_refused() {
        let all = |bytes: &[u8]| Message::new(bytes).fields(|_, _| Ok(()));
        for bytes in [
            &[0x0a, 5, 1][..],                                       // five bytes, one there
            &[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], // a length of 2⁶⁴
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], // a number without end
            &[0x0d, 1, 2],                                           // four bytes, two there
            &[0x0b],                                                 // a group
        ] {
            all(bytes).unwrap_err();
        }
        all(&[]).unwrap();
    }
}
