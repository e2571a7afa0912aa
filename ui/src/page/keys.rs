//! Keys to decide with: which a person has, a new one, and the touch that signs a step.

use crate::part::{Control, FaultLine, Input, faults, hidden, input, summary};
use crate::{Lang, Shell, layout};
use maud::{Markup, html};

/// One key.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// Its short name, for addresses.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// How much it is worth, in words.
    pub grade: String,
    /// Its model as it says itself; may be empty.
    pub model: String,
}

/// What the page of the keys shows.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The person's keys.
    pub keys: Vec<Key>,
    /// What was typed as the new key's name.
    pub name: String,
    /// What is wrong.
    pub faults: Vec<FaultLine>,
}

/// What the browser is to ask a key, as JSON: nothing in it is secret.
#[derive(Clone, Debug, Default)]
pub struct Ceremony {
    /// Where the answer goes.
    pub address: String,
    /// `new` or `sign`.
    pub what: &'static str,
    /// For the script.
    pub ask: String,
    /// What it is about: labels and values.
    pub about: Vec<(String, String)>,
    /// Where to go back to.
    pub back: String,
    /// A key can be touched.
    pub touch: bool,
    /// What a UKey signs; empty where the person has none.
    pub message: String,
    /// A one-time password serves, too.
    pub password: bool,
    /// What is wrong with the last try.
    pub faults: Vec<FaultLine>,
}

/// The page of the keys.
#[must_use]
pub fn page(shell: &Shell, view: &Keys) -> Markup {
    let l = shell.lang;
    let title = l.t("我的安全密钥", "My security keys");
    let code = |id: &str| {
        let mut code = Input::line("code", l.t("一次性口令", "One-time code"), "")
            .hint(l.t("向县信息员要,72 小时内用一次", "from county IT, used once within 72 hours"));
        code.id = id.to_owned();
        code
    };
    let mut name =
        Input::line("name", l.t("给这把钥匙起个名字", "A name for this key"), &view.name)
            .hint(l.t("例如:蓝色钥匙扣", "e.g. blue key ring"));
    let mut new_code = code("code");
    for fault in &view.faults {
        for field in [&mut name, &mut new_code] {
            if field.name == fault.field {
                field.fault = Some(fault.words.clone());
            }
        }
    }
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        p { (l.t("受理、补正告知、决定等每一步都用您自己的钥匙签名,别人替不了,县平台也替不了。",
            "Every step you take on a case is signed with your own key; nobody else can do it for you, not even the relay.")) }
        @if view.keys.is_empty() {
            p class="warn" { (l.t("您还没有钥匙。您办的每一步都会注明:由县平台证明登录,未经本人密钥签名。",
                "You have no key yet. Every step of yours says: sign-in attested by the relay, not personally signed.")) }
        }
        @for key in &view.keys {
            div class="card narrow" {
                h2 { (key.name) " " span class="tag good" { (key.grade) } }
                (summary(&[(l.t("编号", "Id").to_owned(), key.id.clone()), (l.t("型号(自报)", "Model (as it says)").to_owned(), key.model.clone())]))
                details class="act" {
                    summary { (l.t("停用这把钥匙", "Remove this key")) }
                    form method="post" action={ "/keys/remove/" (key.id) } novalidate {
                        p class="hint" { (l.t("以前签过的仍然有效,以后不能再用它签。", "What it signed stays valid; it signs nothing from now on.")) }
                        (input(l, &code(&format!("code-{}", key.id))))
                        div class="buttons" { button class="danger" { (l.t("停用", "Remove")) } }
                    }
                }
            }
        }
        form method="post" action="/keys/new" class="card narrow" novalidate {
            h2 { (l.t("登记一把新钥匙", "Register a new key")) }
            (input(l, &name))
            (input(l, &new_code))
            div class="buttons" { button { (l.t("下一步:碰一下钥匙", "Next: touch the key")) } }
        }
        details class="act" {
            summary { (l.t("用单位的 UKey", "Use the office's UKey")) }
            form method="post" action="/keys/ukey" novalidate {
                (input(l, &{ let mut name = Input::line("name", l.t("UKey 的名字", "A name for the UKey"), ""); name.id = "name-ukey".to_owned(); name }))
                (input(l, &code("code-ukey")))
                div class="buttons" { button class="second" { (l.t("登记 UKey", "Register the UKey")) } }
            }
        }
        details class="act" {
            summary { (l.t("没有钥匙?用动态口令(等级较低)", "No key? One-time passwords (a lower grade)")) }
            form method="post" action="/keys/otp" novalidate {
                p class="hint" { (l.t("每一步会注明:县平台证明动态口令,未经本人密钥签名。", "Every step says: one-time password attested by the relay, not personally signed.")) }
                (input(l, &code("code-otp")))
                div class="buttons" { button class="second" { (l.t("登记动态口令", "Register one-time passwords")) } }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &[], &body)
}

/// The form to sign on a UKey: what to sign, and where its answer goes.
fn token_form(l: Lang, address: &str, message: &str) -> Markup {
    html! {
        form method="post" action=(address) class="card narrow" novalidate {
            h2 { (l.t("用 UKey 签名", "Sign on a UKey")) }
            p { (l.t("在插着 UKey 的电脑上运行下面的命令(按提示输入 UKey 的 PIN),把它打印的一行贴到这里。",
                "Run this on the computer with the UKey (it asks for the UKey's PIN), and paste the line that it prints.")) }
            p { code { "cunkou-ukey --module " (l.t("厂家的PKCS#11库", "LIBRARY")) " " (message) } }
            (input(l, &Input::line("answer", l.t("打印的一行", "The line that it printed"), "").with(Control::Area)))
            div class="buttons" { button class="second" { (l.t("提交 UKey 签名", "Submit the UKey's signature")) } }
        }
    }
}

/// The page on which a UKey is registered.
#[must_use]
pub fn token(shell: &Shell, address: &str, message: &str) -> Markup {
    let title = shell.lang.t("登记 UKey", "Register a UKey");
    let body = html! { h1 { (title) } (token_form(shell.lang, address, message)) p { a class="button second" href="/keys" { (shell.lang.t("返回", "Go back")) } } };
    layout::page(shell, title, false, &[], &body)
}

/// The page on which an authenticator learns its secret.
#[derive(Clone, Debug, Default)]
pub struct Secret {
    /// Where the first password goes.
    pub address: String,
    /// The secret as it is typed.
    pub secret: String,
    /// The same as an address for authenticators.
    pub link: String,
}

/// The page that shows the secret once.
#[must_use]
pub fn secret(shell: &Shell, view: &Secret) -> Markup {
    let l = shell.lang;
    let title = l.t("登记动态口令", "Register one-time passwords");
    let body = html! {
        h1 { (title) }
        form method="post" action=(view.address) class="card narrow" novalidate {
            p { (l.t("在身份验证器里新建一个账户,填入下面的密钥(按时间、6 位、30 秒)。只显示这一次。",
                "Add an account to your authenticator with this secret (time-based, 6 digits, 30 s). It is shown once.")) }
            p { strong class="num" { (view.secret) } }
            p { a href=(view.link) { (l.t("在本机的身份验证器里打开", "Open in an authenticator on this device")) } }
            (input(l, &Input::line("password", l.t("它现在显示的 6 位口令", "The 6 digits that it shows now"), "").with(Control::Line("numeric"))))
            div class="buttons" { button { (l.t("登记", "Register")) } a class="button second" href="/keys" { (l.t("返回", "Go back")) } }
        }
    };
    layout::page(shell, title, false, &[], &body)
}

/// The page on which a key is touched.
#[must_use]
pub fn ceremony(shell: &Shell, view: &Ceremony) -> Markup {
    let l = shell.lang;
    let new = view.what == "new";
    let title = if new {
        l.t("登记安全密钥", "Register a security key")
    } else {
        l.t("用您的安全密钥签名", "Sign with your security key")
    };
    let fields: &[&str] = if new {
        &["attestation", "client", "attachment"]
    } else {
        &["credential", "data", "client", "signature"]
    };
    let body = html! {
        h1 { (title) }
        (faults(l, &view.faults))
        div class="card narrow" { (summary(&view.about)) }
        @if view.touch { form method="post" action=(view.address) class="card narrow" data-key=(view.what) data-ask=(view.ask) {
            @for name in fields { (hidden(name, "")) }
            p { (l.t("插上或靠近钥匙,按浏览器的提示碰一下;要求时输入钥匙的 PIN 或按指纹。",
                "Plug in the key or hold it near, and touch it when the browser asks; give its PIN or your finger when asked.")) }
            p class="fault" data-failed tabindex="-1" hidden {
                (l.t("钥匙没有签成。钥匙插好了吗?再试一次;还不行,问县信息员。", "The key did not sign. Is it plugged in? Try again; if it fails, ask county IT."))
            }
            p class="warn" data-unable {
                (l.t("这个浏览器现在用不了安全密钥:要用县平台的域名打开(https),并允许脚本。", "This browser cannot use security keys here: open the county's address by name (https), with scripts."))
            }
            div class="buttons" {
                button { (if new { l.t("碰钥匙登记", "Touch to register") } else { l.t("碰钥匙签名", "Touch to sign") }) }
                a class="button second" href=(view.back) { (l.t("不签,返回", "Go back")) }
            }
        } }
        @if !view.message.is_empty() { (token_form(l, &view.address, &view.message)) }
        @if view.password {
            form method="post" action=(view.address) class="card narrow" novalidate {
                h2 { (l.t("用动态口令确认", "Confirm by one-time password")) }
                p class="hint" { (l.t("等级较低:记录里写明由县平台证明,不是本人签名。", "A lower grade: the record says that the relay vouches, not that you signed.")) }
                (input(l, &Input::line("password", l.t("6 位动态口令", "6-digit password"), "").with(Control::Line("numeric"))))
                div class="buttons" { button class="second" { (l.t("用动态口令确认", "Confirm by password")) } }
            }
        }
    };
    layout::page(shell, title, !view.faults.is_empty(), &["key.js"], &body)
}
