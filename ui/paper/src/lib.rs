//! Papers as PDF: A4, one font inside, the same bytes for the same contents.

mod stamp;

pub use stamp::{Stamp, stamp};

use cunkou_casework::number::grouped;
use cunkou_casework::papers::{Block, Paper};
use krilla::Document;
use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::num::NormalizedF32;
use krilla::page::{Page, PageSettings};
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use std::collections::BTreeSet;
use std::sync::LazyLock;

const FONT: &[u8] = include_bytes!("../font/CunkouSans-Regular.otf");
const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 62.0;
const BODY: f32 = 11.5;
const LEADING: f32 = 1.65;
const LABEL: f32 = 110.0;
/// A heading with so few rows is not torn apart by the end of a page.
const TOGETHER: usize = 8;

/// Why a paper could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// The font inside the program cannot be read.
    #[error("the font cannot be read")]
    Font,
    /// The PDF could not be written.
    #[error("the PDF could not be written: {0}")]
    Pdf(String),
}

static FACE: LazyLock<Option<ttf_parser::Face<'static>>> =
    LazyLock::new(|| ttf_parser::Face::parse(FONT, 0).ok());

/// Characters of a name that the font cannot print; they are shown as □ with their code.
fn printable(text: &str, missing: &mut BTreeSet<char>) -> String {
    let Some(face) = FACE.as_ref() else { return text.to_owned() };
    text.chars()
        .map(|c| {
            if c == ' ' || face.glyph_index(c).is_some() {
                c
            } else {
                missing.insert(c);
                '□'
            }
        })
        .collect()
}

fn width(text: &str, size: f32) -> f32 {
    let Some(face) = FACE.as_ref() else { return 0.0 };
    let units = f32::from(face.units_per_em());
    let advance = |c| face.glyph_index(c).and_then(|g| face.glyph_hor_advance(g)).unwrap_or(1000);
    text.chars().map(|c| f32::from(advance(c)) / units * size).sum()
}

fn wrap(text: &str, size: f32, most: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for c in text.chars() {
        if c == '\n' {
            lines.push(String::new());
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        // A closing mark never begins a line.
        let closing = "，。、；：？！）》”,.;:)".contains(c);
        if !line.is_empty() && width(line, size) + width(&c.to_string(), size) > most && !closing {
            lines.push(c.to_string());
        } else {
            line.push(c);
        }
    }
    lines
}

/// A line or a mark ready to be drawn, from the top of the page.
enum Mark {
    Text { x: f32, y: f32, size: f32, text: String },
    Line { x: f32, y: f32, to: f32 },
}

struct Layout {
    pages: Vec<Vec<Mark>>,
    y: f32,
    missing: BTreeSet<char>,
}

impl Layout {
    fn room(&mut self, height: f32) {
        if self.y + height > HEIGHT - MARGIN - 50.0 {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    fn put(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn text(&mut self, x: f32, size: f32, most: f32, text: &str) {
        let text = printable(text, &mut self.missing);
        for line in wrap(&text, size, most) {
            self.room(size * LEADING);
            self.y += size * LEADING;
            let y = self.y;
            self.put(Mark::Text { x, y, size, text: line });
        }
    }

    fn rows(&mut self, rows: &[(String, String)]) {
        for (label, value) in rows {
            self.room(BODY * LEADING);
            let top = self.y;
            self.text(MARGIN, BODY, LABEL - 10.0, label);
            let (after_label, pages) = (self.y, self.pages.len());
            self.y = top;
            self.text(MARGIN + LABEL, BODY, WIDTH - 2.0 * MARGIN - LABEL, value);
            if self.pages.len() == pages {
                self.y = self.y.max(after_label);
            }
        }
    }

    fn block(&mut self, block: &Block) {
        let inner = WIDTH - 2.0 * MARGIN;
        match block {
            Block::Heading(text) => {
                self.room(3.0 * BODY * LEADING);
                self.y += 8.0;
                self.text(MARGIN, BODY + 1.5, inner, text);
                let y = self.y + 5.0;
                self.put(Mark::Line { x: MARGIN, y, to: WIDTH - MARGIN });
                self.y += 6.0;
            }
            Block::Rows(rows) => self.rows(rows),
            Block::Text(text) => self.text(MARGIN, BODY, inner, text),
            Block::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.text(MARGIN, BODY, inner, &format!("{}. {item}", i + 1));
                }
            }
            Block::SignHere(labels) => {
                for label in labels {
                    self.room(44.0);
                    self.y += 22.0;
                    self.text(MARGIN, BODY, inner, &format!("{label}:"));
                    let x = MARGIN + width(label, BODY) + 22.0;
                    let y = self.y + 3.0;
                    self.put(Mark::Line { x, y, to: (x + 210.0).min(WIDTH - MARGIN) });
                }
            }
        }
    }
}

/// Renders a paper.
///
/// # Errors
/// [`PaperError`].
pub fn render(paper: &Paper) -> Result<Vec<u8>, PaperError> {
    let font = Font::new(FONT.to_vec().into(), 0).ok_or(PaperError::Font)?;
    let mut layout = Layout { pages: vec![Vec::new()], y: MARGIN, missing: BTreeSet::new() };
    let title_x = (WIDTH - width(&paper.title, 22.0)) / 2.0;
    layout.text(title_x, 22.0, WIDTH, &paper.title);
    layout.y += 14.0;
    let qr_top = MARGIN + 20.0;
    if !paper.number.is_empty() {
        layout.rows(&[("办件编号".to_owned(), grouped(&paper.number))]);
    }
    layout.rows(&[("出具单位".to_owned(), paper.issuer.clone())]);
    if !paper.number.is_empty() {
        // The QR code stands to the right of the first lines.
        layout.y = layout.y.max(qr_top + qr_side(paper) - 10.0);
    }
    for (block, next) in
        paper.blocks.iter().zip(paper.blocks.iter().skip(1).map(Some).chain([None]))
    {
        if let (Block::Heading(_), Some(Block::Rows(rows))) = (block, next)
            && rows.len() <= TOGETHER
        {
            layout.room((rows.len() as f32 + 4.0) * BODY * LEADING);
        }
        layout.block(block);
    }
    layout.y += 10.0;
    for line in &paper.foot {
        layout.text(MARGIN, 9.5, WIDTH - 2.0 * MARGIN, line);
    }
    if !layout.missing.is_empty() {
        let codes: Vec<String> =
            layout.missing.iter().map(|c| format!("U+{:04X}", u32::from(*c))).collect();
        let words = format!("□ 处为打印字库没有的字({}),以证件照片为准。", codes.join("、"));
        layout.text(MARGIN, 9.5, WIDTH - 2.0 * MARGIN, &words);
    }
    draw(paper, &layout.pages, &font, qr_top)
}

fn draw(
    paper: &Paper,
    pages: &[Vec<Mark>],
    font: &Font,
    qr_top: f32,
) -> Result<Vec<u8>, PaperError> {
    let failed = |what: &str| PaperError::Pdf(what.to_owned());
    let mut document = Document::new();
    let count = pages.len();
    for (i, marks) in pages.iter().enumerate() {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| failed("page size"))?;
        let mut page: Page<'_> = document.start_page_with(settings);
        let mut surface = page.surface();
        if let Some(words) = &paper.watermark {
            watermark(&mut surface, font, words);
        }
        surface.set_fill(Some(grey(0)));
        for mark in marks {
            match mark {
                Mark::Text { x, y, size, text } => surface.draw_text(
                    Point::from_xy(*x, *y),
                    font.clone(),
                    *size,
                    text,
                    false,
                    TextDirection::LeftToRight,
                ),
                Mark::Line { x, y, to } => line(&mut surface, *x, *y, *to),
            }
        }
        if i == 0 && !paper.number.is_empty() {
            qr(&mut surface, paper, qr_top)?;
        }
        if count > 1 {
            let words = format!("第 {} 页,共 {count} 页", i + 1);
            let at = Point::from_xy(WIDTH / 2.0 - 30.0, HEIGHT - 36.0);
            let left = TextDirection::LeftToRight;
            surface.draw_text(at, font.clone(), 9.0, &words, false, left);
        }
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|e| PaperError::Pdf(format!("{e:?}")))
}

fn grey(level: u8) -> Fill {
    Fill {
        paint: luma::Color::new(level).into(),
        opacity: NormalizedF32::ONE,
        rule: Default::default(),
    }
}

fn line(surface: &mut Surface<'_>, x: f32, y: f32, to: f32) {
    let mut path = PathBuilder::new();
    path.move_to(x, y);
    path.line_to(to, y);
    if let Some(path) = path.finish() {
        surface.set_fill(None);
        surface.set_stroke(Some(Stroke { width: 0.6, ..Stroke::default() }));
        surface.draw_path(&path);
        surface.set_stroke(None);
        surface.set_fill(Some(grey(0)));
    }
}

fn watermark(surface: &mut Surface<'_>, font: &Font, words: &str) {
    surface.set_fill(Some(grey(225)));
    surface.push_transform(&Transform::from_rotate_at(-30.0, WIDTH / 2.0, HEIGHT / 2.0));
    // Long words become smaller: from corner to corner there is room for so many points.
    let size = (680.0 / width(words, 1.0).max(1.0)).min(150.0);
    let at = Point::from_xy(WIDTH / 2.0 - width(words, size) / 2.0, HEIGHT / 2.0 + size / 3.0);
    surface.draw_text(at, font.clone(), size, words, false, TextDirection::LeftToRight);
    surface.pop();
}

/// A signed code has many small modules: it needs more room. Points.
fn qr_side(paper: &Paper) -> f32 {
    if paper.code.is_some() { 112.0 } else { 84.0 }
}

/// The receipt's code, or the case number alone: no personal data.
fn qr(surface: &mut Surface<'_>, paper: &Paper, y: f32) -> Result<(), PaperError> {
    let (says, wide) = (paper.code.as_ref().unwrap_or(&paper.number), qr_side(paper));
    let x = WIDTH - MARGIN - wide;
    let code = qrcode::QrCode::with_error_correction_level(says, qrcode::EcLevel::M)
        .map_err(|e| PaperError::Pdf(e.to_string()))?;
    let side = code.width();
    let cell = wide / side as f32;
    let mut path = PathBuilder::new();
    for (i, color) in code.to_colors().into_iter().enumerate() {
        if color == qrcode::Color::Dark {
            let (left, top) = (x + (i % side) as f32 * cell, y + (i / side) as f32 * cell);
            if let Some(rect) = Rect::from_xywh(left, top, cell, cell) {
                path.push_rect(rect);
            }
        }
    }
    if let Some(path) = path.finish() {
        surface.set_fill(Some(grey(0)));
        surface.draw_path(&path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(name: &str) -> Paper {
        Paper {
            title: "收件回执".into(),
            issuer: "云岭村代办服务点".into(),
            number: "000010000014".into(),
            code: None,
            blocks: vec![
                Block::Rows(vec![("申请人".into(), name.into())]),
                Block::List(vec!["居民身份证(2 页)".into(); 60]),
                Block::SignHere(vec!["签字".into()]),
            ],
            foot: vec!["本回执仅证明已收到上列材料。".into()],
            watermark: Some("练习".into()),
        }
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let (a, b) =
            (render(&paper("张桂兰")).expect("a PDF"), render(&paper("张桂兰")).expect("a PDF"));
        assert_eq!(a, b);
        assert!(a.starts_with(b"%PDF-"));
        assert_ne!(a, render(&paper("李䶮")).expect("a PDF"));
    }

    #[test]
    fn a_character_that_the_font_lacks_is_named_and_never_replaced_silently() {
        let mut missing = BTreeSet::new();
        assert_eq!(printable("李䶮", &mut missing), "李䶮");
        assert_eq!(printable("\u{2EBF0}", &mut missing), "□");
        assert_eq!(missing.len(), 1);
    }

    #[test]
    fn long_lines_wrap_and_a_closing_mark_never_begins_a_line() {
        let lines = wrap("一二三四五六七八九十。一二三", 10.0, 100.0);
        assert_eq!(lines[0], "一二三四五六七八九十。");
        assert!(lines.iter().all(|l| width(l, 10.0) <= 110.0));
    }
}
