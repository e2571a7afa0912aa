//! Words drawn into a picture: the same words give the same points, without any library of the
//! machine. The font is the papers' own.

use crate::FACE;
use ttf_parser::OutlineBuilder;

/// Curves become so many straight pieces.
const PIECES: u8 = 6;

/// Straight pieces of outlines, in pixels, y downwards.
#[derive(Default)]
struct Pieces {
    all: Vec<[f32; 4]>,
    begin: (f32, f32),
    at: (f32, f32),
    scale: f32,
    left: f32,
    base: f32,
}

impl Pieces {
    fn point(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.scale, self.base - y * self.scale)
    }

    fn to(&mut self, to: (f32, f32)) {
        self.all.push([self.at.0, self.at.1, to.0, to.1]);
        self.at = to;
    }

    fn curve(&mut self, of: impl Fn(f32) -> (f32, f32)) {
        for i in 1..=PIECES {
            let to = of(f32::from(i) / f32::from(PIECES));
            self.to(to);
        }
    }
}

impl OutlineBuilder for Pieces {
    fn move_to(&mut self, x: f32, y: f32) {
        self.at = self.point(x, y);
        self.begin = self.at;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.to(self.point(x, y));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (a, b, c) = (self.at, self.point(x1, y1), self.point(x, y));
        self.curve(|t| {
            let mix = |a: f32, b: f32, c: f32| {
                a * (1.0 - t) * (1.0 - t) + 2.0 * b * t * (1.0 - t) + c * t * t
            };
            (mix(a.0, b.0, c.0), mix(a.1, b.1, c.1))
        });
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (a, b, c, d) = (self.at, self.point(x1, y1), self.point(x2, y2), self.point(x, y));
        self.curve(|t| {
            let u = 1.0 - t;
            let mix = |a: f32, b: f32, c: f32, d: f32| {
                a * u * u * u + 3.0 * b * t * u * u + 3.0 * c * t * t * u + d * t * t * t
            };
            (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
        });
    }

    fn close(&mut self) {
        self.to(self.begin);
    }
}

/// A line of words as a mask.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Row by row: true where there is ink.
    pub ink: Vec<bool>,
}

/// Draws one line of words, `size` pixels high and at most `most` wide; what does not fit is cut.
/// A character that the font lacks leaves a gap. Nothing when the font cannot be read.
#[must_use]
pub fn stamp(words: &str, size: u16, most: u32) -> Option<Stamp> {
    let face = FACE.as_ref()?;
    let scale = f32::from(size) / f32::from(face.units_per_em());
    let mut pieces = Pieces { scale, base: f32::from(size), ..Pieces::default() };
    for c in words.chars() {
        let glyph = face.glyph_index(c);
        if let Some(glyph) = glyph {
            face.outline_glyph(glyph, &mut pieces);
        }
        let advance = glyph.and_then(|g| face.glyph_hor_advance(g)).unwrap_or(500);
        pieces.left += f32::from(advance) * scale;
    }
    let width = (pieces.left.ceil() as u32).clamp(1, most.max(1));
    let height = u32::from(size) + u32::from(size) / 3;
    let mut ink = vec![false; width as usize * height as usize];
    for (y, row) in ink.chunks_mut(width as usize).enumerate() {
        let middle = y as f32 + 0.5;
        // Where the outlines cross this row, and in which direction: inside is where they wind.
        let mut crossings: Vec<(f32, i32)> = pieces
            .all
            .iter()
            .filter(|[_, y0, _, y1]| (*y0 <= middle) != (*y1 <= middle))
            .map(|[x0, y0, x1, y1]| {
                let x = x0 + (middle - y0) / (y1 - y0) * (x1 - x0);
                (x, if y1 > y0 { 1 } else { -1 })
            })
            .collect();
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut winding, mut next) = (0, 0);
        for (x, dot) in row.iter_mut().enumerate() {
            while crossings.get(next).is_some_and(|(at, _)| *at <= x as f32 + 0.5) {
                winding += crossings[next].1;
                next += 1;
            }
            *dot = winding != 0;
        }
    }
    Some(Stamp { width, height, ink })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_ink_the_same_each_time_and_other_words_other_ink() {
        let a = stamp("李建国 2026-11-22 18:30", 24, 600).expect("the font");
        let b = stamp("李建国 2026-11-22 18:30", 24, 600).expect("the font");
        assert_eq!(a.ink, b.ink);
        let inked = a.ink.iter().filter(|dot| **dot).count();
        assert!(inked > 300 && inked < a.ink.len() / 2, "{inked} of {}", a.ink.len());
        let c = stamp("王秀兰 2026-11-22 18:30", 24, 600).expect("the font");
        assert_ne!(a.ink, c.ink);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let cut = stamp(&"村口".repeat(400), 24, 100).expect("the font");
        assert_eq!((cut.width, cut.ink.len()), (100, 100 * 32));
        assert!(stamp("", 24, 100).is_some());
    }
}
