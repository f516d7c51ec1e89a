//! Markers, and what the head of a JPEG file says of its image.

use std::io::{BufRead, Seek, SeekFrom};

/// The codes after 0xFF.
pub(super) mod marker {
    pub(crate) const TEMPORARY: u8 = 0x01;
    pub(crate) const HUFFMAN: u8 = 0xC4;
    pub(crate) const RESTART_0: u8 = 0xD0;
    pub(crate) const RESTART_7: u8 = 0xD7;
    pub(crate) const START: u8 = 0xD8;
    pub(crate) const END: u8 = 0xD9;
    pub(crate) const SCAN: u8 = 0xDA;
    pub(crate) const QUANTISERS: u8 = 0xDB;
    pub(crate) const RESTART_INTERVAL: u8 = 0xDD;
    pub(crate) const APP_0: u8 = 0xE0;
    pub(crate) const APP_1: u8 = 0xE1;
    pub(crate) const APP_14: u8 = 0xEE;

    /// Whether this begins a frame, of any kind of JPEG.
    pub(crate) fn is_frame(marker: u8) -> bool {
        matches!(marker, 0xC0..=0xCF) && !matches!(marker, HUFFMAN | 0xC8 | 0xCC)
    }
}

/// A colour component.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors.
    pub(super) sampling: [usize; 2],
    /// Number of its quantisation table.
    pub(super) quantiser: usize,
    /// Samples across and down.
    pub(super) size: [usize; 2],
    /// Blocks that hold them.
    pub(super) blocks: [usize; 2],
    /// Blocks of whole units of an interleaved scan.
    pub(super) padded: [usize; 2],
}

/// What the frame header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) sampling: [usize; 2],
    /// Units of an interleaved scan, across and down.
    pub(super) units: [usize; 2],
}

impl Frame {
    pub(super) fn parse(marker: u8, body: &[u8]) -> Result<Self, String> {
        let kind = match marker {
            0xC0..=0xC2 => None,
            0xC3 | 0xC7 | 0xCB | 0xCF => Some("a lossless JPEG"),
            0xC9 | 0xCA => Some("a JPEG of arithmetic codes"),
            _ => Some("a hierarchical JPEG"),
        };
        let unread = |kind: &str| {
            format!("{kind}, which fvtool does not read; save it as a baseline JPEG or PNG")
        };
        if let Some(kind) = kind {
            return Err(unread(kind));
        }
        let bad = || "the JPEG data are damaged: the frame header".to_owned();
        let [bits, y0, y1, x0, x1, count, parts @ ..] = body else { return Err(bad()) };
        if *bits != 8 {
            return Err(unread(&format!("a JPEG of {bits} bits a sample")));
        }
        let [width, height] = [[*x0, *x1], [*y0, *y1]].map(|n| usize::from(u16::from_be_bytes(n)));
        if width == 0 || height == 0 {
            return Err(format!("the image has {width} × {height} pixels"));
        }
        if parts.len() != 3 * usize::from(*count) {
            return Err(bad());
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unread(&format!("a JPEG of {count} components")));
        }
        let mut frame = Self {
            width,
            height,
            progressive: marker == 0xC2,
            components: Vec::new(),
            sampling: [1, 1],
            units: [0, 0],
        };
        for part in parts.as_chunks::<3>().0 {
            let sampling = [usize::from(part[1] >> 4), usize::from(part[1] & 15)];
            if !sampling.iter().all(|factor| (1..=4).contains(factor)) || part[2] > 3 {
                return Err(bad());
            }
            frame.sampling = [0, 1].map(|axis| frame.sampling[axis].max(sampling[axis]));
            frame.components.push(Component {
                id: part[0],
                sampling,
                quantiser: usize::from(part[2]),
                size: [0, 0],
                blocks: [0, 0],
                padded: [0, 0],
            });
        }
        let (image, most) = ([width, height], frame.sampling);
        frame.units = [0, 1].map(|axis| image[axis].div_ceil(8 * most[axis]));
        for component in &mut frame.components {
            for axis in [0, 1] {
                let samples = image[axis] * component.sampling[axis];
                component.size[axis] = samples.div_ceil(most[axis]);
                component.blocks[axis] = samples.div_ceil(8 * most[axis]);
                component.padded[axis] = frame.units[axis] * component.sampling[axis];
            }
        }
        Ok(frame)
    }
}

/// How components become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    /// Each value the share of paper that the ink leaves, as Adobe's programs write it.
    Cmyk,
    /// As CMYK, its first three as YCbCr of the inks.
    Ycck,
}

impl Colour {
    pub(super) fn components(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::YCbCr | Self::Rgb => 3,
            Self::Cmyk | Self::Ycck => 4,
        }
    }
}

/// What tells the colours.
#[derive(Debug, Default)]
pub(super) struct Signs {
    pub(super) jfif: bool,
    /// The transform that Adobe's marker names.
    pub(super) adobe: Option<u8>,
}

impl Signs {
    pub(super) fn colour(&self, frame: &Frame) -> Result<Colour, String> {
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        match (frame.components.len(), self.adobe) {
            (1, _) => Ok(Colour::Grey),
            (3, _) if self.jfif => Ok(Colour::YCbCr),
            (3, Some(0)) => Ok(Colour::Rgb),
            (3, Some(1)) => Ok(Colour::YCbCr),
            (3, None) if ids == *b"RGB" => Ok(Colour::Rgb),
            (3, None) => Ok(Colour::YCbCr),
            (4, None | Some(0)) => Ok(Colour::Cmyk),
            (4, Some(2)) => Ok(Colour::Ycck),
            (_, Some(transform)) => {
                Err(format!("the JPEG file names an unknown colour transform, {transform}"))
            }
            _ => Err("a JPEG of an unknown number of components".to_owned()),
        }
    }
}

/// The bytes of a file, marker by marker.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// What is said of a file that ends too early.
const CUT: &str = "the JPEG file is cut short";

impl<'a> Segments<'a> {
    /// After the start marker.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.starts_with(&[0xFF, marker::START]) {
            Ok(Self { bytes, at: 2 })
        } else {
            Err("the JPEG data are damaged: no start".to_owned())
        }
    }

    /// The next marker, which must stand right here; padding by 0xFF may come before it.
    pub(super) fn next_marker(&mut self) -> Result<u8, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        match rest.get(fill) {
            None => Err(CUT.to_owned()),
            Some(&code) if fill > 0 && code != 0 => {
                self.at += fill + 1;
                Ok(code)
            }
            _ => {
                let stray = rest.windows(2).position(|two| two[0] == 0xFF && two[1] != 0);
                match stray {
                    Some(n) => Err(format!(
                        "the JPEG data are damaged: {n} bytes left over before a marker"
                    )),
                    None => Err(CUT.to_owned()),
                }
            }
        }
    }

    /// The segment that follows a marker, without its length.
    pub(super) fn body(&mut self) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let [high, low, ..] = rest else { return Err(CUT.to_owned()) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length < 2 {
            return Err("the JPEG data are damaged: the length of a segment".to_owned());
        }
        self.at += length;
        rest.get(2..length).ok_or_else(|| CUT.to_owned())
    }
}

/// Of a DRI segment.
pub(super) fn restart_interval(body: &[u8]) -> Result<usize, String> {
    let bytes = body.try_into().map_err(|_| "the JPEG data are damaged: the restart interval")?;
    Ok(usize::from(u16::from_be_bytes(bytes)))
}

/// Width and height that the frame header states. Nothing but it is read.
pub(in crate::image) fn stated_size(
    file: &mut (impl BufRead + Seek),
) -> Result<[usize; 2], String> {
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => CUT.to_owned(),
        _ => e.to_string(),
    };
    file.seek(SeekFrom::Start(2)).map_err(io)?;
    let mut read = |into: &mut [u8]| file.read_exact(into).map_err(io);
    let mut byte = [0];
    loop {
        read(&mut byte)?;
        while byte == [0xFF] {
            read(&mut byte)?;
        }
        let marker = byte[0];
        if matches!(marker, marker::RESTART_0..=marker::RESTART_7 | marker::TEMPORARY) {
            read(&mut byte)?;
            continue;
        }
        let mut length = [0; 2];
        read(&mut length)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length)).saturating_sub(2)];
        read(&mut body)?;
        if marker::is_frame(marker) {
            return Frame::parse(marker, &body).map(|frame| [frame.width, frame.height]);
        }
        if matches!(marker, 0 | marker::END | marker::SCAN) {
            return Err("the JPEG data are damaged: no frame".to_owned());
        }
        read(&mut byte)?;
        if byte != [0xFF] {
            return Err("the JPEG data are damaged: no marker where one belongs".to_owned());
        }
    }
}
