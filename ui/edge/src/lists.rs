//! Lines of lists from rows of the store.

use crate::{AppError, Office, Signed};
use cunkou_casework::calendar::{china_day, china_time};
use cunkou_casework::case::{Ladder, Phase};
use cunkou_casework::county::Role;
use cunkou_casework::ids::{PlaceId, SubjectId};
use cunkou_casework::number::grouped;
use cunkou_store::{CaseFilter, CaseRow, Rungs};
use cunkou_ui::Lang;
use cunkou_ui::page::cases::{Cases, Line};

/// So many lines a page.
pub const PAGE: u32 = 50;

/// `11-22 09:30`, in China.
#[must_use]
pub fn when(ms: i64) -> String {
    let time = china_time(ms);
    format!("{:02}-{:02} {:02}:{:02}", time.month(), time.day(), time.hour(), time.minute())
}

impl Signed {
    /// Who sees which cases: their villages, their township, their department.
    #[must_use]
    pub fn filter(&self) -> CaseFilter {
        let department = self
            .session
            .posts
            .iter()
            .find(|p| p.role == Role::Reviewer)
            .and_then(|p| p.department.clone());
        CaseFilter { department, places: self.villages(), limit: PAGE, ..CaseFilter::default() }
    }

    /// The villages whose cases and residents this person may see; empty means all of them here.
    #[must_use]
    pub fn villages(&self) -> Vec<u32> {
        if self.session.practice || self.app.office == Office::County {
            return Vec::new();
        }
        let county = self.replica().county();
        let villages = county.places().filter(|p| self.may_see_residents(p.id));
        let mut villages: Vec<u32> = villages.map(|p| p.id.0).collect();
        if villages.is_empty() {
            // Nobody's village has the id 0: nothing is shown.
            villages.push(0);
        }
        villages
    }

    /// A line from a row.
    #[must_use]
    pub fn line(&self, row: &CaseRow) -> Line {
        let l = self.lang;
        let replica = self.replica();
        let release = replica.release();
        let item = release.as_ref().and_then(|r| r.item(&row.item));
        let today = china_day(replica.now_ms());
        let mut line = Line {
            href: format!("/cases/{}", SubjectId(row.subject)),
            number: grouped(&row.number),
            applicant: row.applicant.clone(),
            item: item.map_or_else(|| row.item.clone(), |i| l.t(&i.name, &i.name_en).to_owned()),
            village: replica.county().place_name(PlaceId(row.place)),
            phase: Phase::of(&row.phase).map(|p| l.phase(p)).unwrap_or_default().to_owned(),
            task: if self.is_mine(&row.task) {
                l.task(&row.task).to_owned()
            } else {
                String::new()
            },
            ..Line::default()
        };
        if let (Some(release), Ok(due)) = (release.as_ref(), row.due.parse()) {
            let left = release.holidays.workdays_left(today, due);
            (line.left, line.tone) = left_words(l, left);
        }
        if row.conflict {
            line.marks.push(l.t("有两种说法", "Two versions").to_owned());
        }
        if row.aside > 0 {
            line.marks.push(l.t("有记录待核", "Entries set aside").to_owned());
        }
        if !self.session.practice {
            line.ladder = ladder_of(row);
        }
        line
    }

    /// Whether a task is for this office.
    #[must_use]
    pub fn is_mine(&self, task: &str) -> bool {
        self.my_tasks().contains(&task)
    }

    /// The tasks of this office.
    #[must_use]
    pub fn my_tasks(&self) -> &'static [&'static str] {
        match self.app.office {
            Office::Village => &["finish", "supplement", "deliver", "rate", "archive"],
            Office::Township => &["take", "forward"],
            Office::County => &["accept", "decide", "complete", "resolve"],
        }
    }

    /// Runs a filter and makes the lines.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lines(&self, filter: &CaseFilter) -> Result<(Vec<Line>, u64), AppError> {
        let page = self.replica().store().read(|view| view.cases(filter))?;
        Ok((page.rows.iter().map(|row| self.line(row)).collect(), page.total))
    }

    /// The queue or ledger that was asked for.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cases(&self, handle: &str, show: &str, offset: u32) -> Result<Cases, AppError> {
        let text = self.session.searched(handle).unwrap_or_default();
        let l = self.lang;
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let mine = self.my_tasks();
        let mut filter = CaseFilter { text: text.trim().to_owned(), offset, ..self.filter() };
        let mut filters = Vec::new();
        let shows = [
            ("mine", l.t("要办的", "To do"), Some(mine)),
            ("open", l.t("在办的", "Open"), None),
            ("all", l.t("全部", "All"), None),
        ];
        let show = if show.is_empty() && text.is_empty() {
            "mine"
        } else if show.is_empty() {
            "all"
        } else {
            show
        };
        for (key, words, tasks) in shows {
            let one = CaseFilter {
                tasks: tasks.map(owned).unwrap_or_default(),
                open_only: key == "open",
                by_due: key == "mine",
                limit: 1,
                ..self.filter()
            };
            let total = self.replica().store().read(|view| view.cases(&one))?.total;
            filters.push((format!("/cases?show={key}"), words.to_owned(), total, key == show));
            if key == show {
                filter = CaseFilter { limit: PAGE, offset, text: filter.text, ..one };
            }
        }
        let (lines, total) = self.lines(&filter)?;
        let base = if text.is_empty() {
            format!("/cases?show={show}")
        } else {
            format!("/cases?show={show}&s={handle}")
        };
        Ok(Cases {
            title: l.t("办件", "Cases").to_owned(),
            lines,
            total,
            offset: u64::from(offset),
            size: u64::from(PAGE),
            text: filter.text,
            filters,
            base,
            empty: match show {
                "mine" => l.t("没有要办的件。", "Nothing to do."),
                _ => l.t("没有这样的办件。", "No such cases."),
            }
            .to_owned(),
        })
    }
}

/// How far a case has come by its row: nothing for a draft, nor for one of an older program whose
/// state does not tell.
fn ladder_of(row: &CaseRow) -> Option<Ladder> {
    if row.submitted_ms == 0 {
        return None;
    }
    let rungs = row.rungs.or_else(|| {
        let (taken, accepted) = match Phase::of(&row.phase)? {
            Phase::Received => (false, false),
            Phase::TownshipTaken | Phase::Forwarded => (true, false),
            Phase::Accepted => (true, true),
            _ => return None,
        };
        Some(Rungs { taken, accepted, by_township: false })
    })?;
    let Rungs { taken, accepted, by_township } = rungs;
    Some(Ladder { saved: true, uploaded: row.uploaded, taken, accepted, by_township })
}

/// How long is left, in words, and how much it presses.
#[must_use]
pub fn left_words(l: Lang, left: i32) -> (String, &'static str) {
    match (l, left) {
        (Lang::Zh, 1..) => (format!("剩 {left} 个工作日"), if left <= 2 { "amber" } else { "" }),
        (Lang::En, 1..) => (format!("{left} workdays left"), if left <= 2 { "amber" } else { "" }),
        (_, 0) => (l.t("今天到期", "due today").to_owned(), "amber"),
        (Lang::Zh, _) => (format!("超期 {} 个工作日", -left), "red"),
        (Lang::En, _) => (format!("{} workdays late", -left), "red"),
    }
}
