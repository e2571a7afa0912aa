//! The picture: cost against the number of cases, both axes logarithmic. The same numbers make the
//! same bytes.

use super::{Held, Measured};
use std::fmt::Write as _;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 44.0;
const APART: f64 = 92.0;
/// From 100 to a million cases.
const CASES: (f64, f64) = (2.0, 6.0);

/// Who is drawn, how.
const KINDS: [(&str, &str, &str); 4] = [
    ("Cunkou", "#b3261e", ""),
    ("PouchDB", "#1f5fa8", "6 3"),
    ("automerge-repo", "#2e7d32", "2 3"),
    ("samod", "#6a4c93", "8 3 2 3"),
];

struct Panel<'a> {
    title: &'a str,
    /// Powers of ten.
    range: (f64, f64),
    unit: fn(f64) -> String,
    /// Whose line, and its points.
    lines: Vec<(&'a str, Vec<(f64, f64)>)>,
}

fn seconds(value: f64) -> String {
    format!("{value} s")
}

fn bytes(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} MB", v / 1e6),
        v if v >= 1e3 => format!("{} kB", v / 1e3),
        v => format!("{v} B"),
    }
}

fn cases(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

/// A place between two powers of ten, from 0 to 1.
fn share(value: f64, (from, to): (f64, f64)) -> f64 {
    (value.max(1e-9).log10() - from) / (to - from)
}

/// The powers of ten from one to another.
fn powers((from, to): (f64, f64)) -> impl Iterator<Item = f64> {
    (from as i32..=to as i32).map(|power| 10_f64.powi(power))
}

impl Panel<'_> {
    fn draw(&self, out: &mut String, left: f64) -> std::fmt::Result {
        let x = |n: f64| left + WIDTH * share(n, CASES);
        let y = |value: f64| TOP + HEIGHT * (1.0 - share(value, self.range));
        let (bottom, right) = (TOP + HEIGHT, left + WIDTH);
        writeln!(
            out,
            "<text class=\"title\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
            TOP - 12.0,
            self.title
        )?;
        for n in powers(CASES) {
            let at = x(n);
            writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {TOP:.1}V{bottom:.1}\"/>")?;
            let below = bottom + 16.0;
            writeln!(
                out,
                "<text class=\"mid\" x=\"{at:.1}\" y=\"{below:.1}\">{}</text>",
                cases(n)
            )?;
        }
        for value in powers(self.range) {
            let at = y(value);
            writeln!(out, "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>")?;
            let (beside, words) = (left - 6.0, (self.unit)(value));
            writeln!(
                out,
                "<text class=\"end\" x=\"{beside:.1}\" y=\"{:.1}\">{words}</text>",
                at + 4.0
            )?;
        }
        for (who, points) in &self.lines {
            let Some((_, colour, dash)) = KINDS.iter().find(|(name, ..)| name == who) else {
                continue;
            };
            let path: Vec<String> =
                points.iter().map(|(n, v)| format!("{:.1} {:.1}", x(*n), y(*v))).collect();
            let d = path.join("L");
            writeln!(
                out,
                "<path class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" d=\"M{d}\"/>"
            )?;
            for (n, v) in points {
                let (cx, cy) = (x(*n), y(*v));
                writeln!(out, "<circle fill=\"{colour}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\"/>")?;
            }
        }
        Ok(())
    }
}

/// The points of one of them, by the number of cases.
fn points(runs: &[Measured], who: &str, value: fn(&Measured) -> f64) -> Vec<(f64, f64)> {
    let of = runs.iter().filter(|run| run.who == who);
    let mut all: Vec<(f64, f64)> = of.map(|run| (run.cases as f64, value(run))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn lines(runs: &[Measured], value: fn(&Measured) -> f64) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    let all = KINDS.iter().map(|(who, ..)| (*who, points(runs, who, value)));
    all.filter(|(_, points)| !points.is_empty()).collect()
}

/// The whole picture, SVG.
pub(crate) fn picture(runs: &[Measured], held: &[Held]) -> String {
    let quiet = |run: &Measured| run.quiet.both() as f64;
    let mut again = lines(runs, quiet);
    let ours = held.iter().map(|h| (h.cases as f64, h.went.both() as f64));
    if let Some((_, points)) = again.iter_mut().find(|(who, _)| *who == "Cunkou") {
        points.extend(ours);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    } else if !held.is_empty() {
        again.push(("Cunkou", ours.collect()));
    }
    let repair = held.iter().map(|h| (h.cases as f64, h.repair.naming as f64));
    let panels = [
        Panel {
            title: "cold start: time until all is there",
            range: (-1.0, 3.0),
            unit: seconds,
            lines: lines(runs, |run| run.seconds),
        },
        Panel {
            title: "a contact with nothing new: bytes",
            range: (3.0, 7.0),
            unit: bytes,
            lines: again,
        },
        Panel {
            title: "ten entries differ: bytes to name them",
            range: (1.0, 5.0),
            unit: bytes,
            lines: if held.is_empty() { Vec::new() } else { vec![("Cunkou", repair.collect())] },
        },
    ];
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, &panels);
    out
}

fn draw(out: &mut String, panels: &[Panel<'_>]) -> std::fmt::Result {
    let width = LEFT + panels.len() as f64 * (WIDTH + APART) - APART + 20.0;
    let height = TOP + HEIGHT + 62.0;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">"
    )?;
    writeln!(
        out,
        "<style>text{{font:12px sans-serif;fill:#333}}.title{{font-weight:600}}.mid{{text-anchor:middle}}\
         .end{{text-anchor:end}}.grid{{stroke:#ddd;fill:none}}.line{{fill:none;stroke-width:2}}</style>"
    )?;
    writeln!(out, "<rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fff\"/>")?;
    for (i, panel) in panels.iter().enumerate() {
        panel.draw(out, LEFT + i as f64 * (WIDTH + APART))?;
    }
    let below = TOP + HEIGHT + 44.0;
    for (i, (who, colour, dash)) in KINDS.iter().enumerate() {
        let at = LEFT + 170.0 * i as f64;
        let end = at + 34.0;
        writeln!(
            out,
            "<path class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" d=\"M{at:.1} {:.1}H{end:.1}\"/>",
            below - 4.0
        )?;
        writeln!(out, "<text x=\"{:.1}\" y=\"{below:.1}\">{who}</text>", end + 8.0)?;
    }
    let at = LEFT + 170.0 * KINDS.len() as f64;
    writeln!(
        out,
        "<text x=\"{at:.1}\" y=\"{below:.1}\">across: number of cases; both axes logarithmic</text>"
    )?;
    writeln!(out, "</svg>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Went;

    fn run(who: &'static str, cases: usize) -> Measured {
        let (cold, quiet) = (Went::default(), Went { up: 900, down: 2100, packets: 9 });
        let (client, server) = Default::default();
        let seconds = cases as f64 / 500.0;
        Measured {
            who,
            cases,
            documents: 2 * cases,
            seconds,
            shown: seconds,
            cold,
            client,
            server,
            quiet,
            one: quiet,
        }
    }

    #[test]
    fn every_number_stands_within_the_picture_and_the_same_numbers_make_the_same_picture() {
        let runs = [run("Cunkou", 300), run("samod", 1000), run("Cunkou", 300_000)];
        let drawn = picture(&runs, &[]);
        assert_eq!(drawn, picture(&runs, &[]));
        assert_eq!(drawn.matches("<circle").count(), 6);
        let places = drawn.split("cy=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for place in places {
            let y: f64 = place.parse().expect("a number");
            assert!((TOP..=TOP + HEIGHT).contains(&y), "{y}");
        }
    }
}
