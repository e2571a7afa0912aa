//! Help at hand.

use crate::{Shell, layout};
use maud::{Markup, html};

/// The page.
#[must_use]
pub fn page(shell: &Shell, county_it: &str) -> Markup {
    let l = shell.lang;
    let questions = [
        (l.t("没有网能办吗?", "Does it work without a network?"),
         l.t("能。收件、拍照、签名、打印回执都不需要网。连上后自动送到县里。", "Yes. Receiving, photos, signing and receipts need no network. Everything is sent by itself once there is one.")),
        (l.t("顶上一行是什么意思?", "What does the line on top mean?"),
         l.t("有没有还没送到县里的件。灰色是暂时没网,不影响收件;黄色、红色表示超过 1 天、3 天没送到,要打电话给县信息员。", "Whether anything has yet to reach the county. Grey: no network just now, work goes on. Amber and red: nothing sent for one or three days, call county IT.")),
        (l.t("收件和受理一样吗?", "Is received the same as accepted?"),
         l.t("不一样。收件只证明材料交来了;部门受理以后,承诺时限才开始算。", "No. Received only says that the papers were handed in. The promised time runs from acceptance by the department.")),
        (l.t("填到一半停电了怎么办?", "What if the power fails halfway?"),
         l.t("每保存一页就写进盒子里,来电后从草稿继续。", "Every saved page is on the box's disk. Continue from the draft.")),
        (l.t("两个人改了同一处怎么办?", "What if two people change the same thing?"),
         l.t("两种说法都会留着,打开办件选一个。", "Both versions are kept. Open the case and choose.")),
        (l.t("离开几天,工作怎么交给同事?", "How do I hand over when I am away?"),
         l.t("在“今天”最下面打开“交班、交接记录”:看清单,写上抽屉里的原件和答应过的事,用自己的 PIN 码签名,再让同事点清、用他自己的 PIN 码签收。签收之前仍由您负责。", "Open “Hand over duty” at the bottom of “Today”: read the list, add originals in the drawer and promises, sign with your PIN; your colleague counts and signs with theirs. Until then you are responsible.")),
        (l.t("忘了 PIN 码?", "Forgot your PIN?"),
         l.t("在盒子的登录页点“忘记 PIN 码?”,选自己,打电话给乡镇便民服务中心的同事或县信息员:念出页面上的编号,填上对方念的号码,自己定一个新的。不用联网,什么都不会丢。审核台上的人请县信息员重新设置。知道 PIN 码、只想换一个的,登录后点上面的“改 PIN 码”。", "On the box's sign-in page open “Forgotten your PIN?”, choose yourself and call a colleague at the township centre or county IT: read out the number, type the code you are told, and choose a new PIN. No network is needed and nothing is lost. At the console ask county IT. Who knows theirs changes it with “Change PIN” on top.")),
        (l.t("为什么又要登录?", "Why do I have to sign in again?"),
         l.t("10 分钟没人用,屏幕就回到登录页,免得别人接着用您的名字办。已保存的都在。", "After ten minutes without use the sign-in page comes back, so that nobody goes on in your name. All that was saved is still there.")),
        (l.t("怎么知道一张收件回执是真的?", "How do I tell a genuine receipt?"),
         l.t("打开“办件”,点最下面的“核对一张收件回执”,用扫码枪扫回执上的二维码。没有网也能核对。", "Open “Cases”, then “Check a receipt” at the bottom, and scan the QR code on the receipt. It works without a network.")),
    ];
    let body = html! {
        h1 { (l.t("帮助", "Help")) }
        @for (question, answer) in questions { h2 { (question) } p { (answer) } }
        @if !county_it.is_empty() { p { (l.t("县信息员电话:", "County IT: ")) a href={ "tel:" (county_it) } { (county_it) } } }
    };
    layout::page(shell, l.t("帮助", "Help"), false, &[], &body)
}
