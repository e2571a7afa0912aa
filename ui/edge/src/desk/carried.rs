//! How steps and saves of a case travelled, where that was not over a link.

use crate::lists::when;
use crate::{AppError, Signed};
use cunkou_casework::ids::{EntryId, SubjectId};
use cunkou_store::{How, Left};
use cunkou_ui::Lang;
use std::collections::BTreeMap;

/// How entries of one case travelled by hand.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    came: BTreeMap<[u8; 32], How>,
    left: BTreeMap<[u8; 32], Left>,
}

impl ByHand {
    pub(super) fn of(signed: &Signed, subject: SubjectId) -> Result<Self, AppError> {
        signed
            .replica()
            .store()
            .read(|view| Ok(Self { came: view.came(&subject.0)?, left: view.left(&subject.0)? }))
    }

    /// What the timeline says of an entry; nothing when it came or left over a link.
    pub(super) fn words(&self, l: Lang, id: EntryId) -> Option<String> {
        match (self.came.get(&id.0), self.left.get(&id.0)) {
            (Some(how), _) => came(l, *how).map(str::to_owned),
            (None, Some(Left::Arrived(how))) => arrived(l, *how).map(str::to_owned),
            (None, Some(Left::OnItsWay(how, ms))) => {
                on_its_way(l, *how).map(|words| format!("{words} ({})", when(*ms)))
            }
            (None, None) => None,
        }
    }

    /// What stands below the ladder: something is on its way and nobody has confirmed it yet.
    pub(super) fn news(&self, l: Lang) -> Option<String> {
        self.left.values().find_map(|left| match left {
            Left::OnItsWay(how, ms) => on_its_way(l, *how).map(|words| {
                format!("{words} ({}) {}", when(*ms), l.t("· 等县里确认", "· not confirmed yet"))
            }),
            Left::Arrived(_) => None,
        })
    }
}

fn came(l: Lang, how: How) -> Option<&'static str> {
    match how {
        How::Link => None,
        How::Stick => Some(l.t("由 U 盘送达", "came on a stick")),
        How::Ferry => Some(l.t("由网闸摆渡送达", "came by the ferry")),
        How::Neighbour => Some(l.t("由邻近盒子送达", "came from a box nearby")),
    }
}

fn arrived(l: Lang, how: How) -> Option<&'static str> {
    match how {
        How::Link => None,
        How::Stick => Some(l.t("由 U 盘送达对方", "arrived on a stick")),
        How::Ferry => Some(l.t("由网闸摆渡送达对方", "arrived by the ferry")),
        How::Neighbour => Some(l.t("由邻近盒子送达对方", "arrived by a box nearby")),
    }
}

fn on_its_way(l: Lang, how: How) -> Option<&'static str> {
    match how {
        How::Link => None,
        How::Stick => Some(l.t("已由 U 盘带走", "left on a stick")),
        How::Ferry => Some(l.t("已交网闸摆渡", "left by the ferry")),
        How::Neighbour => Some(l.t("已交邻近盒子", "left with a box nearby")),
    }
}
