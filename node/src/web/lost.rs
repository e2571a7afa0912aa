//! Villages that this box serves no more: which, and whether something there still waits to be sent.

use cunkou_edge::lists::when;
use cunkou_edge::{AppError, Signed};
use cunkou_replica::{LostVillage, Replica};
use cunkou_store::StoreError;
use cunkou_ui::Lang;
use serde_json::{Value, json};

/// The first page tells for so long of a village that has left. Milliseconds.
const TOLD_MS: i64 = 30 * 24 * 3600 * 1000;

/// What the first page says.
pub(in crate::web) fn on_home(signed: &Signed) -> Result<Vec<String>, AppError> {
    let (county, now_ms) = (signed.replica().county(), signed.replica().now_ms());
    let lost = signed.replica().lost_villages()?.into_iter();
    let told = lost.filter(|village| !village.left || now_ms - village.lost_ms < TOLD_MS);
    Ok(told
        .map(|village| words(signed.lang, &county.place_name(village.place), &village))
        .collect())
}

fn words(l: Lang, name: &str, village: &LostVillage) -> String {
    let since = when(village.lost_ms);
    let (entries, files) = (village.unsent.entries, village.files);
    if village.left {
        return l
            .t(
                "{name}从{since}起不由这台盒子服务了。这里写的都已在县平台,盒子里不再保留该村的内容。",
                "This box has not served {name} since {since}. All that was written here is at the county, and nothing of that village is kept on this box.",
            )
            .replace("{name}", name)
            .replace("{since}", &since);
    }
    let waits = match (entries, files) {
        (0, 0) => l.t("正在整理,不用管它。", "It is being tidied up; nothing is to be done."),
        (_, 0) => l.t(
            "还有 {entries} 条记录要上传,连上网会自动传;传完之前盒子不能断电拿走。",
            "{entries} entries are still to be sent; they go by themselves once connected. Do not take the box away before.",
        ),
        (0, _) => l.t(
            "还有 {files} 张照片要上传,连上网会自动传;传完之前盒子不能断电拿走。",
            "{files} photos are still to be sent; they go by themselves once connected. Do not take the box away before.",
        ),
        _ => l.t(
            "还有 {entries} 条记录、{files} 张照片要上传,连上网会自动传;传完之前盒子不能断电拿走。",
            "{entries} entries and {files} photos are still to be sent; they go by themselves once connected. Do not take the box away before.",
        ),
    };
    let begins = l
        .t(
            "{name}从{since}起不由这台盒子服务了。",
            "This box has not served {name} since {since}. ",
        )
        .replace("{name}", name)
        .replace("{since}", &since);
    begins
        + &waits.replace("{entries}", &entries.to_string()).replace("{files}", &files.to_string())
}

/// The same for `status --json`.
pub(crate) fn status(replica: &Replica) -> Result<Value, StoreError> {
    let county = replica.county();
    let lost = replica.lost_villages()?;
    let lost = lost.iter().map(|village| {
        json!({
            "place": village.place.0,
            "name": county.place_name(village.place),
            "lost_ms": village.lost_ms,
            "unsent_entries": village.unsent.entries,
            "unsent_files": village.files,
            "left": village.left,
        })
    });
    Ok(lost.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_casework::ids::PlaceId;
    use cunkou_store::Unsent;

    #[test]
    fn the_sentence_says_which_village_went_and_what_still_waits() {
        let village = |entries, files, left| LostVillage {
            place: PlaceId(12),
            lost_ms: 1_795_000_000_000,
            unsent: Unsent { entries, ..Unsent::default() },
            files,
            left,
        };
        let zh = |village: LostVillage| words(Lang::Zh, "龙潭村", &village);
        assert!(zh(village(3, 2, false)).contains("还有 3 条记录、2 张照片要上传"));
        assert!(zh(village(3, 0, false)).contains("还有 3 条记录要上传"));
        assert!(zh(village(0, 2, false)).contains("还有 2 张照片要上传"));
        assert!(zh(village(0, 0, true)).contains("不再保留该村的内容"));
        for left in [false, true] {
            let en = words(Lang::En, "Longtan", &village(1, 1, left));
            assert!(en.starts_with("This box has not served Longtan since 11-18 "), "{en}");
        }
    }
}
