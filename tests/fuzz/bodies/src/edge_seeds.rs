//! Inputs of the edges to begin from.

use std::io::{Cursor, Write as _};

pub(crate) fn commands() -> Vec<Vec<u8>> {
    [
        r#"{"do":"status"}"#,
        r#"{"do":"staff_add","login":"li","name":"x","posts":[],"phone":"","pin":"246810"}"#,
        r#"{"done":{"schema":1}}"#,
        r#"{"failed":[5,"no"]}"#,
        r#"{"progress":"1 of 2"}"#,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

pub(crate) fn tables() -> Vec<Vec<u8>> {
    let text = "\u{feff}姓名,身份证号,村\n张桂兰,130999195502022211,云岭村\n\"a\"\"b\",,\n";
    vec![text.as_bytes().to_vec(), b"\"\n\"\",".repeat(50)]
}

/// An XLSX file; the second is stored without compression, so that mutations reach the XML.
pub(crate) fn books() -> Vec<Vec<u8>> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let parts = [
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{rel}\"><sheets><sheet name=\"a\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{rel}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            format!(
                "<sst xmlns=\"{main}\" count=\"2\" uniqueCount=\"2\"><si><t>姓名</t></si><si><t>村</t></si></sst>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!(
                "<worksheet xmlns=\"{main}\"><dimension ref=\"A1:C3\"/><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\" t=\"s\"><v>1</v></c></row><row r=\"3\"><c r=\"B3\"><v>12.5</v></c></row></sheetData></worksheet>"
            ),
        ),
    ];
    let build = |method| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, text) in &parts {
            zip.start_file(*name, options).ok()?;
            zip.write_all(text.as_bytes()).ok()?;
        }
        Some(zip.finish().ok()?.into_inner())
    };
    let methods = [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored];
    methods.into_iter().filter_map(build).collect()
}

pub(crate) fn pictures() -> Vec<Vec<u8>> {
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(40, 30, |x, y| {
        image::Rgb([x as u8 * 6, y as u8 * 8, (x ^ y) as u8])
    }));
    let formats = [image::ImageFormat::Jpeg, image::ImageFormat::Png, image::ImageFormat::WebP];
    let build = |format| {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).ok()?;
        Some(out.into_inner())
    };
    formats.into_iter().filter_map(build).collect()
}

pub(crate) fn forms() -> Vec<Vec<u8>> {
    let text = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n--X\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"p.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\u{1}\u{2}\r\n--X--\r\n";
    vec![text.as_bytes().to_vec(), text.repeat(20).into_bytes()]
}
