//! Pages that are served without TLS: guides, how to reach the office, the county's certificate.

use super::guides::Tile;
use crate::{Shell, layout};
use maud::{Markup, html};

/// The first page.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// Address of the real pages.
    pub https: String,
    /// Opening hours in the office's own words; may be empty.
    pub hours: String,
    /// Telephone of the point; may be empty.
    pub phone: String,
    /// Telephone of county IT; may be empty.
    pub county_it: String,
    /// The guides.
    pub tiles: Vec<Tile>,
}

/// A root certificate.
#[derive(Clone, Debug, Default)]
pub struct Root {
    /// Where to get it.
    pub href: String,
    /// SHA-256 in hexadecimal digits.
    pub hex: String,
    /// Its beginning in groups of digits, to be read out.
    pub spoken: String,
}

/// The first page: whom this is for, guides, the way to the real pages.
#[must_use]
pub fn front(shell: &Shell, view: &Front) -> Markup {
    let l = shell.lang;
    let rows = [
        (l.t("办公时间", "Hours"), &view.hours),
        (l.t("电话", "Telephone"), &view.phone),
        (l.t("县信息员", "County IT"), &view.county_it),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| (label.to_owned(), value.clone()))
        .collect();
    let body = html! {
        h1 { (shell.place) }
        @if !rows.is_empty() { div class="card narrow" { (crate::part::summary(&rows)) } }
        div class="buttons" {
            a class="button" href=(view.https) { (l.t("工作人员登录", "Staff: sign in")) }
            a class="button second" href="/ca" { (l.t("这台平板第一次用?先装县证书", "A new tablet? Install the county's certificate first")) }
        }
        h2 { (l.t("办事指南", "Guides")) }
        @if view.tiles.is_empty() { p class="empty" { (l.t("事项目录还没有收到。", "The catalogue has not arrived yet.")) } }
        ul class="tiles" {
            @for tile in &view.tiles { li { a class="button" href={ "/guides/" (tile.key) } { strong { (tile.name) } small { (tile.about) } } } }
        }
    };
    layout::page(shell, l.t("办事指南", "Guides"), false, &[], &body)
}

/// How a tablet comes to trust this county.
#[must_use]
pub fn ca(shell: &Shell, https: &str, roots: &[Root]) -> Markup {
    let l = shell.lang;
    let title = l.t("安装县证书", "Install the county's certificate");
    let body = html! {
        h1 { (title) }
        p { (l.t("装了县证书,平板才认得这台盒子,才不会把居民的资料交给冒充的设备。每台平板只装一次。",
            "With the county's certificate a tablet knows this box, and gives nobody's particulars to a device that poses as it. Once per tablet.")) }
        ol {
            @for root in roots {
                li {
                    a class="button" href=(root.href) { (l.t("下载县证书", "Download the certificate")) }
                    dl {
                        div { dt { (l.t("打电话核对", "To be compared by telephone")) } dd class="num" { strong { (root.spoken) } } }
                        div { dt { "SHA-256" } dd class="num" { small { (root.hex) } } }
                    }
                }
            }
            li { (l.t("打电话给县信息员,对一遍上面六组数字。对不上就不要装。", "Call county IT and compare the six groups of digits. If they differ, do not install it.")) }
            li { (l.t("安卓:设置 → 安全 → 加密与凭据 → 安装证书 → CA 证书,选刚下载的文件。", "Android: Settings → Security → Encryption and credentials → Install a certificate → CA certificate, choose the file.")) }
            li { (l.t("电脑(Windows):双击文件 → 安装证书 → 受信任的根证书颁发机构。", "Windows: open the file → Install certificate → Trusted Root Certification Authorities.")) }
            li { (l.t("装好后打开:", "Then open: ")) a href=(https) { (https) } }
        }
        p class="hint" { (l.t("县证书只对本县盒子的名字和内网地址有效,不能用来冒充别的网站。", "The certificate counts for this county's boxes and private addresses alone; it cannot be used to pose as other sites.")) }
    };
    layout::page(shell, title, false, &[], &body)
}
