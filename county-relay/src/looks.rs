//! Who looked, for the county's audit: at the console and on the boxes.

use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cunkou_casework::ids::SubjectId;
use cunkou_casework::number::parse;
use cunkou_edge::forms::Fields;
use cunkou_edge::routes::Shows::Personal;
use cunkou_edge::routes::{Routes, Who};
use cunkou_edge::{AppError, Signed, looks};
use cunkou_ui::Lang;
use cunkou_ui::page::boxes::{Table, page_with, ways_on};
use cunkou_ui::page::why;
use maud::Markup;

/// The audit's routes.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/looks", Who::Audit, Personal, all)
        .post("/looks", Who::Audit, Personal, find)
        .get("/looks.csv", Who::Audit, Personal, exported)
}

fn table(l: Lang, title: &str, rows: Vec<Vec<String>>, left_out: &str) -> Table {
    let hint = l.t(
        "在县平台和各个盒子上看过的记录。盒子上的要等它联网,一般一小时内到。盒子上谁看过、什么时候,凭盒子自报:盒子被人控制,可以不报,也可以乱报。",
        "Looks at the county's console and on its boxes. A box's come when it is connected, mostly within an hour. Who looked on a box and when is the box's word: one in wrong hands can keep silent or make them up.",
    );
    // The last column, the page's address, is for the exported table.
    let mut heads: Vec<String> = looks::heads(l).into_iter().map(str::to_owned).collect();
    heads.pop();
    let shown = heads.len();
    let rows = rows.into_iter().map(|mut row| {
        row.truncate(shown);
        (row, "")
    });
    Table {
        title: title.to_owned(),
        heads,
        rows: rows.collect(),
        empty: l.t("还没有记录。", "Nothing is recorded yet.").to_owned(),
        hint: looks::spaced(left_out, hint),
    }
}

fn listed(signed: &Signed, from: u32, fault: bool) -> Result<Markup, AppError> {
    let l = signed.lang;
    let rows = looks::all(signed, looks::PAGE, from)?;
    let older = (rows.len() == looks::PAGE as usize).then(|| from.saturating_add(looks::PAGE));
    let mut links =
        vec![("/looks.csv".to_owned(), l.t("导出表格(CSV)", "Export a table (CSV)").to_owned())];
    if let Some(older) = older {
        links.push((format!("/looks?from={older}"), l.t("更早的", "Earlier").to_owned()));
    }
    let title = l.t("谁看过", "Who looked");
    let above = why::find_looks(l, "/looks", fault, &links);
    Ok(page_with(&signed.shell("/looks"), title, &above, &[table(l, title, rows, "")]))
}

async fn all(signed: Signed, Query(query): Query<Fields>) -> Result<Markup, AppError> {
    let l = signed.lang;
    let Some(case) = query.get("case") else {
        let from = query.get("from").and_then(|f| f.parse().ok()).unwrap_or(0);
        return listed(&signed, from, false);
    };
    let case = case.parse().map_err(|_| AppError::NotFound)?;
    let found = looks::of_case(&signed, case)?.ok_or(AppError::NotFound)?;
    let title = format!("{} · {}", l.t("谁看过", "Who looked"), found.number);
    let back = ways_on(&[("/looks".to_owned(), l.t("全部", "All").to_owned())]);
    let table = table(l, &title, found.rows, &found.left_out);
    Ok(page_with(&signed.shell("/looks"), &title, &back, &[table]))
}

/// A resident asks at the county: found by the number of a case of theirs.
async fn find(signed: Signed, Form(fields): Form<Fields>) -> Result<Response, AppError> {
    let number = fields.get("number").and_then(|number| parse(number));
    let case = match number {
        Some(number) => signed.replica().store().read(|view| view.case_by_number(&number))?,
        None => None,
    };
    Ok(match case {
        Some(case) => Redirect::to(&format!("/looks?case={}", SubjectId(case))).into_response(),
        None => {
            let page = listed(&signed, 0, true)?;
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
    })
}

async fn exported(signed: Signed) -> Result<Response, AppError> {
    let asking = signed.clone();
    let rows = tokio::task::spawn_blocking(move || looks::exported(&asking));
    let text = looks::csv(&looks::heads(signed.lang), &rows.await??);
    Ok(looks::csv_answer("looks.csv", text))
}
