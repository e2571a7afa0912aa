//! Pictures that a tablet would take, and files that only pretend to be some.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

/// A JPEG that looks like a paper on a table; `seed` makes each one different.
///
/// # Panics
/// When the encoder fails, which it does not for so small a picture.
#[must_use]
pub fn jpeg(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let table = Rgb([120u8.wrapping_add(seed), 96, 72]);
    let ink = Rgb([40, 40, 60u8.wrapping_add(seed)]);
    let margin = width.min(height) / 12;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let on_paper = x > margin && y > margin && x < width - margin && y < height - margin;
        let line = (y / (margin / 2).max(1)) % 3 == 1 && x > 2 * margin && x < width - 3 * margin;
        match (on_paper, line) {
            (false, _) => table,
            (true, true) if (x / 9 + u32::from(seed)) % 4 != 0 => ink,
            _ => Rgb([246, 244, 236u8.saturating_sub(seed)]),
        }
    });
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, 88);
    picture.write_with_encoder(encoder).expect("a small picture can be encoded");
    out
}

/// The same JPEG with an EXIF block: to be turned by a quarter to the right, and a place that must
/// not survive.
///
/// # Panics
/// Never: the block is short.
#[must_use]
pub fn turned(jpeg: &[u8]) -> Vec<u8> {
    let tiff: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0GPS-38.1N";
    let length = u16::try_from(2 + 6 + tiff.len()).expect("a short block");
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(&[0xff, 0xe1]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(b"Exif\0\0");
    out.extend_from_slice(tiff);
    out.extend_from_slice(&jpeg[2..]);
    out
}

/// A file of so many bytes that begins like a JPEG.
#[must_use]
pub fn heavy(bytes: usize) -> Vec<u8> {
    let mut out = jpeg(64, 64, 1);
    out.resize(bytes, 0x5a);
    out
}

/// A PNG whose header claims so many pixels, with hardly any bytes behind it.
#[must_use]
pub fn claims(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend_from_slice(&width.to_be_bytes());
    png.extend_from_slice(&height.to_be_bytes());
    png.extend_from_slice(&[8, 2, 0, 0, 0]);
    let crc = crc32(&png[12..]);
    png.extend_from_slice(&crc.to_be_bytes());
    png.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ (0xedb8_8320 & (0u32.wrapping_sub(c & 1)))
        })
    })
}
