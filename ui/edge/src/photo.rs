//! Photos: taken in, turned upright, made smaller, stripped of everything but the picture.

use crate::Signed;
use crate::error::AppError;
use axum::extract::Multipart;
use axum::extract::multipart::Field;
use axum::response::{IntoResponse, Response};
use cunkou_casework::calendar::{china_day, china_time};
use cunkou_casework::ids::{AttachmentId, SubjectId};
use cunkou_casework::material::{Page, Preview};
use cunkou_casework::suite::attachment_id;
use cunkou_replica::{Replica, Room};
use cunkou_store::{AttachmentState, StoreError, Txn};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

/// A photo may be sent with so many bytes.
pub const UPLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What is longer is read to its end, so that the browser hears the answer, up to here.
pub const DRAIN_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A photo may have so many pixels: 120 MB when decoded.
const PIXELS_MAX: u64 = 40_000_000;
const DECODED_BYTES_MAX: u64 = 200 * 1024 * 1024;
/// A plain field beside a photo, such as a signature's drawing, is never longer. Bytes.
const TEXT_BYTES_MAX: usize = 2_000_000;
const NAME_CHARS_MAX: usize = 200;
const LONG_EDGE: u32 = 2200;
const QUALITY: u8 = 80;

/// Why a photo cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// Nothing was chosen.
    #[error("no photo")]
    None,
    /// Not a JPEG, PNG or WebP picture.
    #[error("not a photo")]
    NotAPhoto,
    /// The end is missing.
    #[error("cut off")]
    CutOff,
    /// Too many bytes.
    #[error("too many bytes: {0}")]
    TooLarge(usize),
    /// Too many pixels.
    #[error("too many pixels: {0}")]
    TooManyPixels(u64),
}

impl PhotoError {
    /// For the page that shows it; `back` is where to try again.
    #[must_use]
    pub fn told(&self, back: &str) -> AppError {
        let (zh, en) = match self {
            Self::None => (
                "没有选照片。先拍照或选一张,再上传。".into(),
                "No photo was chosen. Take or choose one, then upload.".into(),
            ),
            Self::NotAPhoto => (
                "这个文件不是照片。用平板自带的相机拍一张(JPG 或 PNG)。".into(),
                "This file is not a photo. Take one with the tablet's camera (JPG or PNG).".into(),
            ),
            Self::CutOff => (
                "照片没有传完整,只到了一部分。再传一次,或重拍一张。".into(),
                "Only part of the photo arrived. Upload it again, or take another.".into(),
            ),
            Self::TooLarge(bytes) => {
                let mb = bytes / 1_000_000;
                (
                    format!("照片有 {mb} MB,最多 32 MB。把相机的照片尺寸调小,重拍一张。"),
                    format!(
                        "The photo is {mb} MB; at most 32 MB. Set the camera to a smaller size and take it again."
                    ),
                )
            }
            Self::TooManyPixels(n) => {
                let millions = n / 1_000_000;
                (
                    format!(
                        "照片有 {millions} 百万像素,最多 40 百万。把相机的照片尺寸调小,重拍一张。"
                    ),
                    format!(
                        "The photo has {millions} megapixels; at most 40. Set the camera to a smaller size and take it again."
                    ),
                )
            }
        };
        AppError::Photo { zh, en, back: back.to_owned() }
    }
}

/// What a form with a photo sent: its fields, and the photo's bytes or what is wrong with them.
#[derive(Debug)]
pub struct PhotoForm {
    /// Plain fields.
    pub fields: BTreeMap<String, String>,
    /// The photo as sent.
    pub photo: Result<Vec<u8>, PhotoError>,
}

/// Reads a form with a photo. Text fields are bounded; a photo that is too large is read to its
/// end without being kept.
///
/// # Errors
/// [`AppError::Bad`] when the form itself cannot be read.
pub async fn read_form(mut form: Multipart) -> Result<PhotoForm, AppError> {
    let bad = |e: axum::extract::multipart::MultipartError| AppError::Bad(e.body_text());
    let mut out = PhotoForm { fields: BTreeMap::new(), photo: Err(PhotoError::None) };
    while let Some(field) = form.next_field().await.map_err(bad)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "photo" {
            let photo = read_photo(field).await?;
            if photo != Err(PhotoError::None) {
                out.photo = photo;
            }
        } else if out.fields.len() < 50 {
            let text = read_text(field).await?;
            out.fields.insert(name.chars().take(NAME_CHARS_MAX).collect(), text);
        }
    }
    Ok(out)
}

/// A text is kept up to its bound; the rest is read and dropped.
async fn read_text(mut field: Field<'_>) -> Result<String, AppError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| AppError::Bad(e.body_text()))? {
        let room = TEXT_BYTES_MAX.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn read_photo(mut field: Field<'_>) -> Result<Result<Vec<u8>, PhotoError>, AppError> {
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(chunk) = field.chunk().await.map_err(|e| AppError::Bad(e.body_text()))? {
        total += chunk.len();
        if total <= UPLOAD_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
    }
    Ok(match total {
        0 => Err(PhotoError::None),
        n if n > UPLOAD_BYTES_MAX => Err(PhotoError::TooLarge(n)),
        _ => Ok(bytes),
    })
}

/// A picture ready to be kept: JPEG, upright, at most 2,200 pixels long, nothing else inside.
///
/// # Errors
/// [`PhotoError`]; the pixel count is checked before anything is decoded.
pub fn prepare(bytes: &[u8]) -> Result<Vec<u8>, PhotoError> {
    // Decoders meet whatever a tablet sends: one that panics over it must not end the box.
    cunkou_guard::contained(|| decode(bytes)).unwrap_or(Err(PhotoError::NotAPhoto))
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, PhotoError> {
    let not = |_| PhotoError::NotAPhoto;
    let reader = || {
        ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|_| PhotoError::NotAPhoto)
    };
    let (width, height) = reader()?.into_dimensions().map_err(not)?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX {
        return Err(PhotoError::TooManyPixels(pixels));
    }
    if is_cut_off(bytes) {
        return Err(PhotoError::CutOff);
    }
    let mut reader = reader()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(not)?;
    let orientation = decoder.orientation().map_err(not)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(not)?;
    if width.max(height) > LONG_EDGE {
        picture = picture.resize(LONG_EDGE, LONG_EDGE, FilterType::Triangle);
    }
    picture.apply_orientation(orientation);
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
    on_white(&picture).write_with_encoder(encoder).map_err(not)?;
    Ok(out)
}

/// A JPEG whose last scan has no end: the decoder would paint the rest grey.
fn is_cut_off(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|w| w == marker);
    bytes.starts_with(&[0xff, 0xd8]) && last([0xff, 0xd9]) < last([0xff, 0xda])
}

/// What is transparent, as around a drawn signature, becomes white.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let mut out = RgbImage::new(picture.width(), picture.height());
    for (from, to) in picture.to_rgba8().pixels().zip(out.pixels_mut()) {
        let alpha = u16::from(from[3]);
        for i in 0..3 {
            let mixed = (u16::from(from[i]) * alpha + 255 * (255 - alpha)) / 255;
            to[i] = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
    out
}

/// What may become of a preview: its long edge and its quality, the first that is small enough.
const PREVIEWS: [(u32, u8); 6] = [(800, 50), (640, 45), (560, 40), (480, 35), (360, 30), (240, 20)];
/// A preview is never longer. Bytes.
const PREVIEW_BYTES_MAX: usize = 30_000;

/// The same picture small: legible, and at most 30 kB. The same bytes each time. Nothing when the
/// picture is as small itself.
///
/// # Errors
/// [`PhotoError::NotAPhoto`] when it cannot be decoded.
pub fn preview(picture: &[u8]) -> Result<Option<Vec<u8>>, PhotoError> {
    if picture.len() <= PREVIEW_BYTES_MAX {
        return Ok(None);
    }
    let make = || -> Result<Option<Vec<u8>>, PhotoError> {
        let not = |_| PhotoError::NotAPhoto;
        let whole = image::load_from_memory(picture).map_err(not)?;
        for (edge, quality) in PREVIEWS {
            let small = whole.resize(edge, edge, FilterType::Triangle);
            let mut out = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut out, quality);
            small.to_rgb8().write_with_encoder(encoder).map_err(not)?;
            if out.len() <= PREVIEW_BYTES_MAX {
                return Ok(Some(out));
            }
        }
        Ok(None)
    };
    cunkou_guard::contained(make).unwrap_or(Err(PhotoError::NotAPhoto))
}

/// A photo that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: AttachmentId,
    /// Its bytes.
    pub bytes: u64,
    /// Its preview, when it has one.
    pub preview: Option<Preview>,
}

impl Stored {
    /// Says in a transaction that the files are on disk; what names them follows in the same.
    ///
    /// # Errors
    /// When the store fails.
    pub fn here(&self, tx: &Txn<'_>) -> Result<(), StoreError> {
        tx.attachment_here(&self.id.0, self.bytes)?;
        match &self.preview {
            Some(preview) => tx.attachment_here(&preview.hash.0, u64::from(preview.bytes)),
            None => Ok(()),
        }
    }
}

/// Prepares a photo, one at a time on this box, and writes it and its preview to disk. The rows that
/// make it part of a case follow in the caller's transaction.
///
/// # Errors
/// A photo that cannot be used, told with `back`; our own failures.
pub async fn keep(
    signed: &Signed,
    photo: Result<Vec<u8>, PhotoError>,
    back: &str,
) -> Result<Stored, AppError> {
    let bytes = photo.map_err(|e| e.told(back))?;
    if signed.replica().room() >= Room::NoPhotos {
        return Err(AppError::Photo {
            zh: "磁盘快满了,存不下新照片。其他照常办,材料先留原件;请联系县信息员。".into(),
            en: "The disk is nearly full and takes no new photos. Everything else goes on; keep the papers, and call county IT.".into(),
            back: back.to_owned(),
        });
    }
    let app = Arc::clone(&signed.app);
    let replica = Arc::clone(signed.replica());
    let _turn = app.photos.acquire().await.map_err(|e| AppError::Ours(e.to_string()))?;
    let work = move || -> Result<Result<Stored, PhotoError>, AppError> {
        match prepare(&bytes) {
            Ok(picture) => Ok(Ok(write(&replica, &picture)?)),
            Err(why) => Ok(Err(why)),
        }
    };
    tokio::task::spawn_blocking(work).await??.map_err(|e| e.told(back))
}

/// Writes a picture and its preview to disk.
///
/// # Errors
/// When the disk fails.
pub fn write(replica: &Replica, picture: &[u8]) -> Result<Stored, AppError> {
    let id = attachment_id(picture);
    replica.store().write_attachment(&id.0, picture)?;
    // A photo counts without a preview, too.
    let small = preview(picture).unwrap_or(None);
    let preview = match small {
        Some(small) => {
            let hash = attachment_id(&small);
            replica.store().write_attachment(&hash.0, &small)?;
            Some(Preview { hash, bytes: u32::try_from(small.len()).unwrap_or(u32::MAX) })
        }
        None => None,
    };
    Ok(Stored { id, bytes: picture.len() as u64, preview })
}

/// The page of a material that a photo makes.
#[must_use]
pub fn page(replica: &Replica, photo: &Stored, name: &str) -> Page {
    Page {
        hash: photo.id,
        name: name.to_owned(),
        bytes: u32::try_from(photo.bytes).unwrap_or(u32::MAX),
        taken: china_day(replica.now_ms()).to_string(),
        preview: photo.preview,
    }
}

/// The address under which a page's photo is shown, and whether that is its preview: the photo
/// itself is still on its way. Nothing while neither is here.
///
/// # Errors
/// When the store fails.
pub fn shown(
    signed: &Signed,
    case: SubjectId,
    page: &Page,
) -> Result<(Option<String>, bool), AppError> {
    let here = |id: AttachmentId| -> Result<bool, AppError> {
        let row = signed.replica().store().read(|view| view.attachment(&id.0))?;
        Ok(row.is_some_and(|row| row.state == AttachmentState::Here))
    };
    let address = |id: AttachmentId| format!("/cases/{case}/photo/{id}");
    if here(page.hash)? {
        return Ok((Some(address(page.hash)), false));
    }
    match &page.preview {
        Some(preview) if here(preview.hash)? => Ok((Some(address(preview.hash)), true)),
        _ => Ok((None, false)),
    }
}

/// A picture with words across it in three places: who looks, and when. The stored one stays as it
/// is. The same words give the same bytes.
///
/// # Errors
/// [`PhotoError::NotAPhoto`] when it cannot be decoded.
pub fn watermarked(bytes: &[u8], words: &str) -> Result<Vec<u8>, PhotoError> {
    let mark = || -> Result<Vec<u8>, PhotoError> {
        let not = |_| PhotoError::NotAPhoto;
        let mut picture = on_white(&image::load_from_memory(bytes).map_err(not)?);
        let (width, height) = picture.dimensions();
        let size = u16::try_from(width.min(height) / 24).unwrap_or(u16::MAX).clamp(10, 64);
        let stamp = cunkou_paper::stamp(words, size, width).ok_or(PhotoError::NotAPhoto)?;
        for part in [1, 3, 5] {
            let top = (height * part / 6).saturating_sub(stamp.height / 2);
            let left = width.saturating_sub(stamp.width) * part / 6;
            draw(&mut picture, &stamp, left, top);
        }
        let mut out = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
        picture.write_with_encoder(encoder).map_err(not)?;
        Ok(out)
    };
    cunkou_guard::contained(mark).unwrap_or(Err(PhotoError::NotAPhoto))
}

/// Dark on light and light on dark, so that it can be read and what is under it, too.
fn draw(picture: &mut RgbImage, stamp: &cunkou_paper::Stamp, left: u32, top: u32) {
    for (i, _) in stamp.ink.iter().enumerate().filter(|(_, ink)| **ink) {
        let i = u32::try_from(i).unwrap_or(u32::MAX);
        let (x, y) = (left + i % stamp.width, top + i / stamp.width);
        if let Some(dot) = picture.get_pixel_mut_checked(x, y) {
            let light = dot.0.iter().map(|c| u32::from(*c)).sum::<u32>() > 384;
            for c in &mut dot.0 {
                *c = if light { *c / 3 * 2 } else { 255 - (255 - *c) / 3 * 2 };
            }
        }
    }
}

/// A photo as a response, with who looks and when across it, one at a time on this box.
///
/// # Errors
/// [`AppError::NotFound`] when it is not here (yet).
pub async fn serve(signed: &Signed, id: AttachmentId) -> Result<Response, AppError> {
    let replica = Arc::clone(signed.replica());
    let time = china_time(replica.now_ms());
    let (day, hour, minute) = (time.date(), time.hour(), time.minute());
    let words = format!("{} {day} {hour:02}:{minute:02} 查看", signed.session.name);
    let _turn = signed.app.photos.acquire().await.map_err(|e| AppError::Ours(e.to_string()))?;
    let work = move || -> Result<Vec<u8>, AppError> {
        let bytes = replica.store().read_attachment(&id.0)?.ok_or(AppError::NotFound)?;
        watermarked(&bytes, &words).map_err(|e| AppError::Ours(e.to_string()))
    };
    let bytes = tokio::task::spawn_blocking(work).await??;
    let headers = [("content-type", "image/jpeg"), ("content-disposition", "inline")];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let encoder = JpegEncoder::new_with_quality(&mut out, 90);
        picture.write_with_encoder(encoder).expect("a small picture");
        out
    }

    /// The same picture with an EXIF block: turned right, with a place.
    fn with_exif(jpeg: &[u8]) -> Vec<u8> {
        let tiff: &[u8] =
            b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0GPS-38.1N";
        let mut out = jpeg[..2].to_vec();
        let length = (2 + 6 + tiff.len()) as u16;
        out.extend_from_slice(&[0xff, 0xe1]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(b"Exif\0\0");
        out.extend_from_slice(tiff);
        out.extend_from_slice(&jpeg[2..]);
        out
    }

    #[test]
    fn a_photo_is_made_smaller_and_turned_upright_and_nothing_else_is_left_inside() {
        let sent = with_exif(&jpeg(3000, 1000));
        let kept = prepare(&sent).expect("a photo");
        let picture = image::load_from_memory(&kept).expect("a picture");
        assert!(picture.height() == 2200 && picture.width() < 800, "turned and scaled");
        assert!(!kept.windows(4).any(|w| w == b"Exif" || w == b"GPS-"));
    }

    #[test]
    fn a_photo_that_is_shown_says_who_looks_and_when_and_the_stored_one_does_not() {
        let kept = prepare(&jpeg(900, 600)).expect("a photo");
        let before = kept.clone();
        let a = watermarked(&kept, "李建国 2026-11-22 18:30 查看").expect("a picture");
        let b = watermarked(&kept, "李建国 2026-11-22 18:30 查看").expect("a picture");
        assert_eq!((&a, &kept), (&b, &before), "the same bytes each time");
        assert_ne!(a, watermarked(&kept, "王秀兰 2026-11-22 18:30 查看").expect("a picture"));
        let (old, new) = (image::load_from_memory(&kept), image::load_from_memory(&a));
        let (old, new) = (old.expect("a picture").to_rgb8(), new.expect("a picture").to_rgb8());
        let differ = old.pixels().zip(new.pixels()).filter(|(a, b)| a[0].abs_diff(b[0]) > 40);
        let differ = differ.count();
        assert!(differ > 1000 && differ < 900 * 600 / 8, "{differ} pixels");
        assert!(watermarked(b"no picture", "x").is_err());
        watermarked(&prepare(&jpeg(3, 2)).expect("tiny"), "李建国").expect("tiny, too");
    }

    /// A picture with something to see everywhere, like a page of print.
    fn printed(width: u32, height: u32) -> Vec<u8> {
        let mut seed = 1u32;
        let picture = RgbImage::from_fn(width, height, |x, y| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ink = (x / 6 + y / 9) % 3 == 0;
            image::Rgb([if ink { 20 } else { 200 } + (seed >> 27) as u8; 3])
        });
        let mut out = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut out, 90);
        picture.write_with_encoder(encoder).expect("a picture");
        out
    }

    #[test]
    fn a_preview_is_small_and_the_same_each_time_and_a_small_photo_needs_none() {
        let kept = prepare(&printed(2200, 1500)).expect("a photo");
        assert!(kept.len() > 10 * PREVIEW_BYTES_MAX, "{} bytes", kept.len());
        let small = preview(&kept).expect("a picture").expect("a preview");
        assert!(small.len() <= PREVIEW_BYTES_MAX, "{} bytes", small.len());
        assert_eq!(Some(&small), preview(&kept).expect("a picture").as_ref());
        let picture = image::load_from_memory(&small).expect("a picture");
        assert!(picture.width() >= 240 && picture.width() > picture.height(), "of the same form");
        let little = prepare(&jpeg(60, 40)).expect("a photo");
        assert_eq!(preview(&little), Ok(None));
        assert!(preview(&vec![7; PREVIEW_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn what_is_transparent_around_a_signature_becomes_white() {
        let drawn = image::RgbaImage::from_fn(20, 10, |x, _| {
            image::Rgba(if x == 5 { [17, 17, 17, 255] } else { [0, 0, 0, 0] })
        });
        let mut png = Cursor::new(Vec::new());
        drawn.write_to(&mut png, image::ImageFormat::Png).expect("a small picture");
        let kept = image::load_from_memory(&prepare(png.get_ref()).expect("a picture"));
        let kept = kept.expect("a picture").to_rgb8();
        assert!(kept.get_pixel(15, 5)[0] > 240 && kept.get_pixel(5, 5)[0] < 100);
    }

    #[test]
    fn a_text_called_jpg_and_half_a_picture_are_no_photos() {
        assert_eq!(prepare("这不是照片".as_bytes()), Err(PhotoError::NotAPhoto));
        let whole = jpeg(400, 400);
        for part in [300, whole.len() / 2, whole.len() - 2] {
            assert!(prepare(&whole[..part]).is_err(), "{part} of {} bytes", whole.len());
        }
        prepare(&whole).expect("all of it");
    }

    #[test]
    fn two_hundred_megapixels_are_refused_before_they_are_decoded() {
        // A PNG header that claims 20,000 × 10,000 pixels.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend_from_slice(&20_000u32.to_be_bytes());
        png.extend_from_slice(&10_000u32.to_be_bytes());
        png.extend_from_slice(&[8, 2, 0, 0, 0]);
        let crc = crc32(&png[12..]);
        png.extend_from_slice(&crc.to_be_bytes());
        png.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
        assert_eq!(prepare(&png), Err(PhotoError::TooManyPixels(200_000_000)));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| {
                (c >> 1) ^ (0xedb8_8320 & (0u32.wrapping_sub(c & 1)))
            })
        })
    }
}
