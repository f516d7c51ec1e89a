//! What options take: whole numbers, threads, bytes; with words for what they do not take.

/// Starting more takes seconds; a typing error should not start sixty thousand.
const MOST_THREADS: u16 = 512;

/// A number of bytes with an optional unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "kib" | "k" => 1024.0,
            "mib" | "m" => 1024.0 * 1024.0,
            "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(format!("unknown unit `{unit}`; write for example 800MB or 2GiB")),
        };
        let bytes = number.parse::<f64>().ok().map(|number| number * factor);
        bytes
            .filter(|bytes| (1.0..=1e18).contains(bytes))
            .map(|bytes| Self(bytes as u64))
            .ok_or_else(|| format!("`{text}` is no size; write for example 800MB or 2GiB"))
    }
}

/// A share from 0 to 1.
pub fn share(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// A number of threads.
pub fn threads(text: &str) -> Result<u16, String> {
    let number = text.parse::<u16>().ok().filter(|number| (1..=MOST_THREADS).contains(number));
    number.ok_or_else(|| format!("it must be a whole number from 1 to {MOST_THREADS}"))
}

/// A whole number from `LEAST` on, for options: the messages of the standard library are about digits
/// and types.
pub fn whole<T: TryFrom<u64> + Copy, const LEAST: u64>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().filter(|number| *number >= LEAST);
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let bits = 8 * size_of::<T>() as u32;
        let most = u64::MAX >> (64 - bits);
        format!("it must be a whole number from {LEAST} to {most}")
    })
}
