//! The pages of carrying by hand, the same at a box and at the console.

use super::files::{self, size};
use super::{Beginning, Came, Fault, Made, SIZE_USUAL, Wanted};
use crate::error::AppError;
use crate::forms::Fields;
use crate::lists::when;
use crate::{App, Signed};
use axum::body::Body;
use axum::extract::Multipart;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::county::Device;
use cunkou_replica::Replica;
use cunkou_store::How;
use cunkou_ui::Lang;
use cunkou_ui::page::carry::{Carry, Job, Taken, page, progress};
use maud::Markup;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;

/// What is uploaded is never longer. Bytes.
pub const UPLOAD_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024 + 64 * 1024;
/// So many bundles of each kind are listed.
const SHOWN: u32 = 20;

/// How the latest work for each other side stands.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<BTreeMap<[u8; 16], State>>);

#[derive(Clone, Debug)]
enum State {
    Making { entries: u64, bytes: u64 },
    Reading { new: u64, photos: u64, bytes: u64 },
    Made(Made),
    Came(Box<Came>),
    Failed(Fault),
}

impl Jobs {
    fn set(&self, device: [u8; 16], state: State) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(device, state);
    }

    fn of(&self, device: [u8; 16]) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&device).cloned()
    }

    /// Begins a work for a device, unless one goes on.
    fn begin(&self, device: [u8; 16], state: State) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(all.get(&device), Some(State::Making { .. } | State::Reading { .. })) {
            return false;
        }
        all.insert(device, state);
        true
    }
}

impl State {
    fn job(&self, l: Lang) -> Job {
        let (words, tone) = match self {
            Self::Making { entries, bytes } => {
                let size = l.size(*bytes);
                let words = match l {
                    Lang::Zh => format!("正在做包:{entries} 条记录,{size}……"),
                    Lang::En => format!("Making a bundle: {entries} entries, {size}…"),
                };
                (words, "warn")
            }
            Self::Reading { new, photos, bytes } => {
                let size = l.size(*bytes);
                let words = match l {
                    Lang::Zh => {
                        format!("正在导入:新到 {new} 条记录、{photos} 张照片,读了 {size}……")
                    }
                    Lang::En => {
                        format!("Importing: {new} new entries, {photos} photos, {size} read…")
                    }
                };
                (words, "warn")
            }
            Self::Made(made) => (made_words(l, made), "done"),
            Self::Came(came) => (came_words(l, came), "done"),
            Self::Failed(fault) => (fault.words(l), "bad"),
        };
        let running = matches!(self, Self::Making { .. } | Self::Reading { .. });
        Job { words, tone, running }
    }
}

fn made_words(l: Lang, made: &Made) -> String {
    let (b, photos) = (&made.bundle, made.bundle.attachments);
    let size = l.size(b.bytes);
    let said = match l {
        Lang::Zh => {
            format!("第 {} 个包做好了:{} 条记录、{photos} 张照片,{size}。", b.number, b.entries)
        }
        Lang::En => {
            format!("Bundle {} is made: {} entries, {photos} photos, {size}.", b.number, b.entries)
        }
    };
    if b.more {
        format!(
            "{said}{}",
            l.t(
                "没有装下全部:拷好这一个,再做下一个。",
                " Not all had room: copy this one, then make the next."
            )
        )
    } else {
        said
    }
}

fn came_words(l: Lang, came: &Came) -> String {
    let (n, b) = (came.number, &came.brought);
    if came.known {
        return match l {
            Lang::Zh => format!("“{}”的第 {n} 个包以前导入过了,没有新的。", came.from),
            Lang::En => format!("Bundle {n} of {} was imported before; nothing is new.", came.from),
        };
    }
    let mut said = match l {
        Lang::Zh => format!(
            "“{}”的第 {n} 个包已导入:新到 {} 条记录、{} 张照片。",
            came.from,
            b.new,
            b.attachments.len()
        ),
        Lang::En => format!(
            "Bundle {n} of {} is imported: {} new entries, {} photos.",
            came.from,
            b.new,
            b.attachments.len()
        ),
    };
    if came.acked > 0 {
        said.push_str(&match l {
            Lang::Zh => format!("对方确认收到我们的 {} 个包。", came.acked),
            Lang::En => format!(" They confirm {} of our bundles.", came.acked),
        });
    }
    if b.more {
        said.push_str(l.t("还有下一个包,请接着导入。", " Another one follows; import it next."));
    }
    said
}

/// Whom the page is about, and where it stands.
#[derive(Clone, Debug)]
pub struct At {
    /// The other side.
    pub other: Device,
    /// The address of the page.
    pub here: String,
    /// Where one comes from.
    pub section: &'static str,
}

/// Files that were made for a device lie here until the next series begins.
fn folder(replica: &Replica, at: &At) -> PathBuf {
    replica.store().folder().join("carry").join(at.other.id.to_string())
}

fn name_of(replica: &Replica, at: &At, number: u64) -> Option<String> {
    let ending = format!("-{number:04}.bundle");
    let files = std::fs::read_dir(folder(replica, at)).ok()?;
    let names = files.flatten().filter_map(|f| f.file_name().into_string().ok());
    names.into_iter().find(|name| name.ends_with(&ending))
}

fn view(signed: &Signed, at: &At) -> Result<Carry, AppError> {
    let (l, replica) = (signed.lang, &signed.app.replica);
    let device = at.other.id.0;
    let (out, came) = replica.store().read(|view| -> Result<_, AppError> {
        Ok((view.bundles_out(&device, SHOWN)?, view.bundles_in(&device, SHOWN)?))
    })?;
    let status = &signed.known()?.status;
    let oldest = status.unsent.oldest_ms.map(|ms| l.span(replica.now_ms() - ms));
    let mut rows = Vec::new();
    if signed.app.office != crate::Office::County {
        let waits = format!("{} · {}", status.unsent.entries, l.size(status.unsent.bytes));
        rows.push((l.t("县里还没确认收到", "Not confirmed by the county").to_owned(), waits));
        rows.push((
            l.t("最久的等了", "Oldest waits").to_owned(),
            oldest.unwrap_or_else(|| "—".to_owned()),
        ));
    }
    rows.push((
        l.t("最近带回", "Last brought in").to_owned(),
        came.first().map_or_else(|| "—".to_owned(), |b| when(b.came_ms)),
    ));
    let taken = out.into_iter().map(|b| {
        let name = name_of(replica, at, b.number);
        Taken {
            number: b.number,
            made: when(b.made_ms),
            entries: b.entries,
            size: l.size(b.bytes),
            file: name.map(|name| (format!("{}/file/{}", at.here, b.number), name)),
            more: b.more,
            acked: b.acked_ms.map(when),
        }
    });
    let brought =
        came.into_iter().map(|b| [b.number.to_string(), when(b.made_ms), when(b.came_ms)]);
    Ok(Carry {
        here: at.here.clone(),
        other: at.other.name.clone(),
        rows,
        job: signed.app.carrying.of(device).map(|state| state.job(l)),
        taken: taken.collect(),
        brought: brought.collect(),
    })
}

fn allowed(signed: &Signed) -> Result<(), AppError> {
    if signed.session.practice { Err(AppError::NotFound) } else { Ok(()) }
}

/// The page.
///
/// # Errors
/// When the store fails, or in the practice room.
pub fn show(signed: &Signed, at: &At) -> Result<Markup, AppError> {
    allowed(signed)?;
    Ok(page(&signed.shell(at.section), at.section, &view(signed, at)?))
}

/// The part that renews itself.
///
/// # Errors
/// As [`show`].
pub fn renew(signed: &Signed, at: &At) -> Result<Markup, AppError> {
    allowed(signed)?;
    Ok(progress(signed.lang, &view(signed, at)?))
}

/// Makes a bundle; the page shows how it goes on.
///
/// # Errors
/// When the form is none.
pub fn take(signed: &Signed, at: &At, fields: &Fields) -> Result<Redirect, AppError> {
    allowed(signed)?;
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let most = match field("size") {
        "" => SIZE_USUAL,
        text => size(text).map_err(AppError::Bad)?,
    };
    let from = match field("from") {
        "again" => Beginning::Again,
        "all" => Beginning::All,
        _ => Beginning::Next,
    };
    let wanted = Wanted { to: at.other.id, size: most, from, how: How::Stick };
    let device = at.other.id.0;
    if signed.app.carrying.begin(device, State::Making { entries: 0, bytes: 0 }) {
        let (app, folder) = (Arc::clone(&signed.app), folder(&signed.app.replica, at));
        tokio::task::spawn_blocking(move || {
            let state = match make(&app, &wanted, &folder) {
                Ok(made) => State::Made(made),
                Err(fault) => State::Failed(fault),
            };
            app.carrying.set(device, state);
        });
    }
    Ok(Redirect::to(&at.here))
}

fn make(app: &App, wanted: &Wanted, folder: &PathBuf) -> Result<Made, Fault> {
    let disk = |e: std::io::Error| Fault::Disk(e.to_string());
    std::fs::create_dir_all(folder).map_err(disk)?;
    let told = |done: &cunkou_bundle::Exported| {
        app.carrying.set(wanted.to.0, State::Making { entries: done.entries, bytes: done.bytes });
    };
    let (made, path) = files::write(&app.replica, wanted, folder, &told)?;
    if made.bundle.part == 1 {
        // What belonged to an earlier series is in this one, or was confirmed.
        for file in std::fs::read_dir(folder).map_err(disk)?.flatten() {
            if file.path() != path {
                std::fs::remove_file(file.path()).map_err(disk)?;
            }
        }
    }
    Ok(made)
}

/// Takes a bundle that was uploaded; the page shows how it goes on.
///
/// # Errors
/// When the form or the disk fails.
pub async fn bring(signed: &Signed, at: &At, mut form: Multipart) -> Result<Redirect, AppError> {
    allowed(signed)?;
    let bad = |e: axum::extract::multipart::MultipartError| AppError::Bad(e.body_text());
    let disk = |e: std::io::Error| AppError::Ours(e.to_string());
    let device = at.other.id.0;
    while let Some(mut field) = form.next_field().await.map_err(bad)? {
        if field.name() != Some("bundle") {
            continue;
        }
        let folder = signed.app.replica.store().folder().join("carry");
        tokio::fs::create_dir_all(&folder).await.map_err(disk)?;
        let mut drawn = [0; 8];
        signed.app.replica.draw(&mut drawn);
        let part = folder.join(format!("{}.part", cunkou_casework::hex::encode(&drawn)));
        let kept = Part(part);
        let mut file = tokio::fs::File::create(&kept.0).await.map_err(disk)?;
        while let Some(chunk) = field.chunk().await.map_err(bad)? {
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        let begun = State::Reading { new: 0, photos: 0, bytes: 0 };
        if signed.app.carrying.begin(device, begun) {
            let app = Arc::clone(&signed.app);
            tokio::task::spawn_blocking(move || {
                let told = |done: &cunkou_bundle::Imported, bytes: u64| {
                    let photos = done.attachments.len() as u64;
                    app.carrying.set(device, State::Reading { new: done.new, photos, bytes });
                };
                let state = match files::read(&app.replica, &kept.0, How::Stick, &told) {
                    Ok(came) => State::Came(Box::new(came)),
                    Err(fault) => State::Failed(fault),
                };
                app.carrying.set(device, state);
            });
        }
        break;
    }
    Ok(Redirect::to(&at.here))
}

/// An upload on disk, gone when it was read.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "an upload stays on the disk");
        }
    }
}

/// The file of a bundle.
///
/// # Errors
/// When it is not kept here.
pub async fn file(signed: &Signed, at: &At, number: &str) -> Result<Response, AppError> {
    allowed(signed)?;
    let number: u64 = number.parse().map_err(|_| AppError::NotFound)?;
    let replica = &signed.app.replica;
    let name = name_of(replica, at, number).ok_or(AppError::NotFound)?;
    let path = folder(replica, at).join(&name);
    let file = tokio::fs::File::open(path).await.map_err(|_| AppError::NotFound)?;
    let length = file.metadata().await.map_err(|_| AppError::NotFound)?.len();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let chunks = tokio_util::io::ReaderStream::with_capacity(file, 256 * 1024);
    Ok((headers, Body::from_stream(chunks)).into_response())
}
