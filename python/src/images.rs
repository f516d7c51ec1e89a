//! Images of Python: paths, arrays, images of Pillow.

use std::borrow::Cow;
use std::path::PathBuf;

use fvtool::describer::Photos;
use fvtool::image::{DynamicImage, Params, Photo};
use image::ImageBuffer;
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyString};

use crate::arrays::in_one_piece;
use crate::errors::argument;

/// A list of images, of which files are opened when they are looked at.
pub struct Images {
    images: Vec<Image>,
    params: Params,
}

enum Image {
    File(PathBuf),
    InMemory(Box<Photo>),
}

impl Photos for Images {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn photo(&self, number: usize) -> fvtool::Result<Cow<'_, Photo>> {
        match &self.images[number] {
            Image::File(path) => Photo::open(path, &self.params).map(Cow::Owned),
            Image::InMemory(photo) => Ok(Cow::Borrowed(photo)),
        }
    }
}

impl Images {
    /// Takes a list, a tuple, an array of images, or whatever else can be gone through.
    pub fn of(given: &Bound<'_, PyAny>, params: &Params) -> PyResult<Self> {
        let refuse = |what: &str| {
            let text = format!("{what}; a list of images is needed, for one image `[image]`");
            Err(argument("X", text))
        };
        if given.is_instance_of::<PyString>() || given.hasattr("__fspath__")? {
            return refuse("one path");
        }
        if is_of_pillow(given)? {
            return refuse("one image");
        }
        if let Ok(shape) = given.getattr("shape").and_then(|s| s.extract::<Vec<usize>>()) {
            let dtype = given.getattr("dtype").and_then(|dtype| dtype.getattr("kind"));
            let numbers = dtype.and_then(|kind| kind.extract::<String>()).is_ok_and(|k| k != "O");
            match shape[..] {
                [_, _] if numbers => return refuse(&format!("an array of shape {shape:?}")),
                [_, _, 3 | 4] if numbers => {
                    return refuse(&format!("an array of shape {shape:?}, which is one image"));
                }
                _ => {}
            }
        }
        let Ok(each) = given.try_iter() else { return refuse("no list") };
        let image = |(number, image): (usize, PyResult<Bound<'_, PyAny>>)| {
            Image::of(&format!("X[{number}]"), &image?, params)
        };
        let images = each.enumerate().map(image).collect::<PyResult<_>>()?;
        Ok(Self { images, params: params.clone() })
    }

    /// One image, the argument `image`.
    pub fn one(given: &Bound<'_, PyAny>, params: &Params) -> PyResult<Self> {
        Ok(Self { images: vec![Image::of("image", given, params)?], params: params.clone() })
    }

    /// What the images are called: files by their paths, others by their numbers.
    pub fn names(&self) -> Vec<String> {
        let name = |(number, image): (usize, &Image)| match image {
            Image::File(path) => path.display().to_string(),
            Image::InMemory(_) => number.to_string(),
        };
        self.images.iter().enumerate().map(name).collect()
    }
}

impl Image {
    /// An image; `name` is what an error calls it.
    fn of(name: &str, given: &Bound<'_, PyAny>, params: &Params) -> PyResult<Self> {
        if given.is_instance_of::<PyString>() || given.hasattr("__fspath__")? {
            return Ok(Self::File(given.extract()?));
        }
        let array = if is_of_pillow(given)? { of_pillow(given)? } else { given.clone() };
        let pixels = of_array(name, &array)?;
        let photo = Photo::from_pixels(pixels, params).map_err(|error| match error {
            fvtool::Error::InMemory { problem } => argument(name, problem),
            other => argument(name, other),
        })?;
        Ok(Self::InMemory(Box::new(photo)))
    }
}

fn is_of_pillow(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(given.hasattr("getexif")? && given.hasattr("convert")?)
}

/// What Pillow holds, turned upright as a file is, as an object that NumPy reads.
fn of_pillow<'py>(image: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    /// Where EXIF keeps the orientation.
    const ORIENTATION: u32 = 0x0112;
    let turned = image.call_method0("getexif")?.call_method1("get", (ORIENTATION, 1))?;
    let upright = match turned.extract::<u32>() {
        Ok(0 | 1) | Err(_) => image.clone(),
        Ok(_) => image.py().import("PIL.ImageOps")?.call_method1("exif_transpose", (image,))?,
    };
    let mode: String = upright.getattr("mode")?.extract()?;
    match mode.as_str() {
        "L" | "RGB" | "RGBA" | "I;16" => Ok(upright),
        "LA" | "PA" => upright.call_method1("convert", ("RGBA",)),
        "P" if upright.getattr("info")?.contains("transparency")? => {
            upright.call_method1("convert", ("RGBA",))
        }
        "1" => upright.call_method1("convert", ("L",)),
        "F" | "I" => Ok(upright),
        _ => upright.call_method1("convert", ("RGB",)),
    }
}

/// The pixels of an array.
fn of_array(name: &str, given: &Bound<'_, PyAny>) -> PyResult<DynamicImage> {
    let refuse = |what: String| {
        let needed =
            "H × W or H × W × 3 (or 4) values are needed, uint8, uint16, or floats from 0 to 1";
        argument(name, format!("{what}; {needed}"))
    };
    let array = given.py().import("numpy")?.call_method1("asarray", (given,))?;
    let dtype: String = array.getattr("dtype")?.getattr("name")?.extract()?;
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    let (size, channels) = match shape[..] {
        [height, width] | [height, width, 1] => ([width, height], 1),
        [height, width, channels @ (3 | 4)] => ([width, height], channels),
        _ => return Err(refuse(format!("an array of shape {shape:?}"))),
    };
    let [width, height] = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let too_large = || refuse(format!("an array of shape {shape:?}"));
    macro_rules! pixels {
        ($values:expr, $($channels:literal => $kind:ident),+) => {{
            let values = $values;
            match channels {
                $($channels => ImageBuffer::from_raw(width, height, values)
                    .map(DynamicImage::$kind),)+
                _ => None,
            }
        }};
    }
    let image = match dtype.as_str() {
        "uint8" => {
            let values = values::<u8>(name, &array, "uint8")?;
            pixels!(values, 1 => ImageLuma8, 3 => ImageRgb8, 4 => ImageRgba8)
        }
        "uint16" => {
            let values = values::<u16>(name, &array, "uint16")?;
            pixels!(values, 1 => ImageLuma16, 3 => ImageRgb16, 4 => ImageRgba16)
        }
        "float16" | "float32" | "float64" => {
            let array = if channels == 1 { grey(&array)? } else { array.clone() };
            let values = values::<f32>(name, &array, "float32")?;
            match channels {
                4 => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgba32F),
                _ => ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb32F),
            }
        }
        other => return Err(refuse(format!("an array of {other}"))),
    };
    image.ok_or_else(too_large)
}

/// Grey floats as three equal channels: there are no images of one.
fn grey<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let numpy = array.py().import("numpy")?;
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    let plane = array.call_method1("reshape", ((shape[0], shape[1]),))?;
    let axis = [("axis", -1)].into_py_dict(array.py())?;
    numpy.call_method("stack", (vec![plane; 3],), Some(&axis))
}

fn values<T: numpy::Element + Copy>(
    name: &str,
    array: &Bound<'_, PyAny>,
    dtype: &str,
) -> PyResult<Vec<T>> {
    let array = in_one_piece(name, array, dtype)?;
    let array: PyReadonlyArrayDyn<'_, T> = array.extract().map_err(|e| argument(name, e))?;
    debug_assert!(array.is_c_contiguous());
    Ok(array.as_slice().map_err(|error| argument(name, error))?.to_vec())
}
