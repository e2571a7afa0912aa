//! Spreadsheets as rows of texts, XLSX or CSV, bounded before they are unpacked.

use calamine::{Data, Reader, Xlsx};
use std::io::{Cursor, Read};

/// A file is never longer. Bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// An XLSX file is never longer when unpacked. Bytes.
const UNPACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// A sheet has at most so many rows.
pub const ROWS_MAX: usize = 200_000;
/// A row has at most so many cells.
pub const COLUMNS_MAX: usize = 200;
/// A cell has at most so many bytes: more than Excel's own 32,767 characters never stands in a
/// list of residents.
const CELL_BYTES_MAX: usize = 4 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum BadSheet {
    /// A CSV file in another encoding.
    #[error("not UTF-8; save it from the spreadsheet as “CSV UTF-8” or as XLSX")]
    NotUtf8,
    /// Not a spreadsheet of this kind, or damaged.
    #[error("it cannot be read: {0}")]
    Damaged(String),
    /// No sheet in the workbook.
    #[error("it has no sheet")]
    NoSheet,
    /// Larger than a list of residents can be.
    #[error(
        "it is too large: at most {ROWS_MAX} rows of {COLUMNS_MAX} columns; split it by township"
    )]
    TooLarge,
}

fn damaged(e: impl std::fmt::Display) -> BadSheet {
    BadSheet::Damaged(e.to_string())
}

/// Reads the rows of a CSV file.
///
/// # Errors
/// [`BadSheet`].
pub fn csv(bytes: &[u8]) -> Result<Vec<Vec<String>>, BadSheet> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadSheet::NotUtf8)?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(damaged)?;
        if rows.len() >= ROWS_MAX || row.len() > COLUMNS_MAX {
            return Err(BadSheet::TooLarge);
        }
        rows.push(row.iter().map(|cell| cell.trim().to_owned()).collect());
    }
    Ok(rows)
}

/// Reads the rows of the first sheet of an XLSX file, from its first row that holds anything.
///
/// # Errors
/// [`BadSheet`]; nothing larger than the bounds is unpacked into memory.
pub fn xlsx(bytes: &[u8]) -> Result<Vec<Vec<String>>, BadSheet> {
    // The library trusts indexes in the file: a damaged one makes it panic.
    let read = cunkou_guard::contained(|| unpack(bytes));
    read.unwrap_or_else(|| Err(damaged("its parts contradict each other")))
}

fn unpack(bytes: &[u8]) -> Result<Vec<Vec<String>>, BadSheet> {
    measure(bytes)?;
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let name = book.sheet_names().into_iter().next().ok_or(BadSheet::NoSheet)?;
    // Cell by cell: two cells at opposite corners would make a table of 17 thousand million.
    let mut cells = book.worksheet_cells_reader(&name).map_err(damaged)?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut first = None;
    while let Some(cell) = cells.next_cell().map_err(damaged)? {
        let (row, column) = cell.get_position();
        let text = shown(&Data::from(cell.get_value().clone()));
        if text.is_empty() {
            continue;
        }
        let from = *first.get_or_insert(row);
        // Rows stand in order; one that goes back is no sheet of a spreadsheet program.
        let row = row.checked_sub(from).ok_or_else(|| damaged("rows out of order"))? as usize;
        let column = column as usize;
        if row >= ROWS_MAX || column >= COLUMNS_MAX || text.len() > CELL_BYTES_MAX {
            return Err(BadSheet::TooLarge);
        }
        if rows.len() <= row {
            rows.resize_with(row + 1, Vec::new);
        }
        if let Some(cells) = rows.get_mut(row) {
            if cells.len() <= column {
                cells.resize_with(column + 1, String::new);
            }
            cells[column] = text;
        }
    }
    Ok(rows)
}

fn shown(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        // What a spreadsheet keeps as a number has lost its last digits: shown as it is kept.
        Data::Float(number) => format!("{number:.0}"),
        other => other.to_string().trim().to_owned(),
    }
}

/// Unpacks everything into nothing, to learn how much it is: what the file says of itself may lie.
fn measure(bytes: &[u8]) -> Result<(), BadSheet> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut left = UNPACKED_BYTES_MAX;
    for i in 0..archive.len() {
        let part = archive.by_index(i).map_err(damaged)?;
        let unpacked = std::io::copy(&mut part.take(left + 1), &mut std::io::sink());
        left = left.checked_sub(unpacked.map_err(damaged)?).ok_or(BadSheet::TooLarge)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn book(sheet: &str, more: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let head = "<?xml version=\"1.0\"?>";
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        let parts = [
            (
                "xl/workbook.xml",
                format!(
                    "{head}<workbook xmlns=\"{main}\" xmlns:r=\"{rel}\"><sheets><sheet name=\"a\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    "{head}<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{rel}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
                ),
            ),
            (
                "xl/worksheets/sheet1.xml",
                format!(
                    "{head}<worksheet xmlns=\"{main}\"><sheetData>{sheet}</sheetData></worksheet>"
                ),
            ),
        ];
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, text) in &parts {
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        for (name, bytes) in more {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn cell(at: &str, text: &str) -> String {
        format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    }

    #[test]
    fn rows_are_read_from_the_first_that_holds_anything_with_gaps_kept() {
        let sheet = format!(
            "<row r=\"2\">{}{}</row><row r=\"4\"><c r=\"B4\"><v>12</v></c></row>",
            cell("A2", "姓名"),
            cell("C2", "村")
        );
        let rows = xlsx(&book(&sheet, &[])).unwrap();
        assert_eq!(rows, [vec!["姓名", "", "村"], vec![], vec!["", "12"]]);
    }

    #[test]
    fn two_cells_at_opposite_corners_are_no_table_of_seventeen_thousand_million() {
        let sheet = format!(
            "<row r=\"1\">{}</row><row r=\"1048576\">{}</row>",
            cell("A1", "x"),
            cell("XFD1048576", "x")
        );
        assert!(matches!(xlsx(&book(&sheet, &[])), Err(BadSheet::TooLarge)));
    }

    #[test]
    fn what_unpacks_to_more_than_the_bound_is_refused_before_it_is_kept() {
        let bomb = vec![b' '; usize::try_from(UNPACKED_BYTES_MAX).unwrap() + 1];
        let bomb = book("", &[("xl/sharedStrings.xml", bomb)]);
        assert!(bomb.len() < 4_000_000, "{}", bomb.len());
        assert!(matches!(xlsx(&bomb), Err(BadSheet::TooLarge)));
    }

    /// Found by fuzzing: the library panics, and a panic in a running relay ends it.
    #[test]
    fn a_cell_that_names_a_text_that_is_not_there_is_damage() {
        let sheet = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row>";
        assert!(matches!(xlsx(&book(sheet, &[])), Err(BadSheet::Damaged(_))));
    }

    #[test]
    fn a_csv_row_of_ten_thousand_cells_is_refused() {
        assert!(matches!(csv(",".repeat(10_000).as_bytes()), Err(BadSheet::TooLarge)));
        assert_eq!(csv("\u{feff}a, b\nc".as_bytes()).unwrap(), [vec!["a", "b"], vec!["c"]]);
    }
}
