//! A real Chromium, told what to do by what a person sees: labels, words on buttons, links.
//!
//! Every verb waits until what it needs is there, and fails with a picture and the page's words.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::cell::Cell;
use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities};
use tokio::runtime::Runtime;

const DRIVER: &str = "/usr/bin/chromedriver";
const BROWSER: &str = "/usr/bin/chromium";
/// Puts a root among those that the browser trusts.
const CERTUTIL: &str = "/usr/bin/certutil";
/// What is not there after so long is missing. Seconds.
const PATIENCE_S: u64 = 20;

/// How a browser is opened.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Scripts run.
    pub scripts: bool,
    /// Width of the page.
    pub width: u32,
    /// Height of the page.
    pub height: u32,
}

impl Default for Looks {
    fn default() -> Self {
        Self { scripts: true, width: 1280, height: 800 }
    }
}

/// A browser with one window. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    runtime: Runtime,
    driver: Option<WebDriver>,
    process: Child,
    _home: tempfile::TempDir,
    base: String,
    screens: PathBuf,
    taken: Cell<u32>,
    scripts: bool,
    name: String,
    port: u16,
}

/// Whether a browser is installed here; says loudly that a test is skipped when none is.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn installed() -> bool {
    let missing: Vec<&str> = [DRIVER, BROWSER, CERTUTIL]
        .into_iter()
        .filter(|program| !Path::new(program).exists())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "SKIPPED: {} not installed; apt-get install chromium chromium-driver fonts-noto-cjk libnss3-tools",
            missing.join(" and ")
        );
    }
    missing.is_empty()
}

/// The folder where the pictures of a story are kept.
#[must_use]
pub fn screens(story: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| here.parent().unwrap_or(here).join("target"));
    target.join("screens").join(story)
}

/// A home for a browser, where the counties' roots are trusted as on a tablet where somebody has
/// installed them.
fn trusting_home() -> Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    let store = home.path().join(".pki/nssdb");
    std::fs::create_dir_all(&store)?;
    let store = format!("sql:{}", store.display());
    let certutil = |arguments: &[&str]| -> Result<()> {
        let ran = Command::new(CERTUTIL).args(arguments).args(["-d", &store]).output()?;
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        ensure!(ran.status.success(), "certutil {}: {error}", arguments.join(" "));
        Ok(())
    };
    certutil(&["-N", "--empty-password"])?;
    for (i, root) in crate::trust::roots().iter().enumerate() {
        let (name, file) = (format!("county {i}"), root.display().to_string());
        certutil(&["-A", "-n", &name, "-t", "C,,", "-i", &file])?;
    }
    Ok(home)
}

/// Starts a driver on a port that it finds free itself.
fn start_driver(home: &Path) -> Result<(Child, u16)> {
    let mut process = Command::new(DRIVER)
        .arg("--port=0")
        .env("LANGUAGE", "zh_CN")
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("chromedriver could not be started")?;
    let mut out = BufReader::new(process.stdout.take().context("no output")?);
    let mut line = String::new();
    while out.read_line(&mut line)? > 0 {
        let port = line.split_once("successfully on port ").and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        if let Some(port) = port {
            // What it says later is read, so that it never waits for a reader.
            std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
            return Ok((process, port));
        }
        line.clear();
    }
    bail!("chromedriver gave no port")
}

fn capabilities(looks: Looks) -> Result<ChromeCapabilities> {
    let mut caps = DesiredCapabilities::chrome();
    caps.set_binary(BROWSER)?;
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-prefers-reduced-motion",
        "--lang=zh-CN",
        "--host-resolver-rules=MAP *.home.arpa 127.0.0.1",
    ] {
        caps.add_arg(argument)?;
    }
    let mut prefs =
        json!({ "intl.accept_languages": "zh-CN,zh", "intl.selected_languages": "zh-CN" });
    if !looks.scripts {
        prefs["profile.managed_default_content_settings.javascript"] = json!(2);
    }
    caps.add_experimental_option("prefs", prefs)?;
    Ok(caps)
}

/// Words as an XPath literal.
fn quoted(words: &str) -> String {
    if !words.contains('\'') {
        return format!("'{words}'");
    }
    let parts: Vec<String> = words.split('\'').map(|part| format!("'{part}'")).collect();
    format!("concat({})", parts.join(", \"'\", "))
}

impl Browser {
    /// Opens a browser at a node's pages; pictures go to the folder of `story`, their names begin
    /// with `name`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn open(story: &str, name: &str, base: &str, looks: Looks) -> Result<Self> {
        crate::trust::provider();
        let home = trusting_home()?;
        let (process, port) = start_driver(home.path())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let screens = screens(story);
        std::fs::create_dir_all(&screens)?;
        let mut browser = Self {
            runtime,
            driver: None,
            process,
            _home: home,
            base: base.to_owned(),
            screens,
            taken: Cell::new(0),
            scripts: looks.scripts,
            name: name.to_owned(),
            port,
        };
        let caps = capabilities(looks)?;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), caps);
        browser.driver = Some(browser.runtime.block_on(driver)?);
        browser.resize(looks.width, looks.height)?;
        Ok(browser)
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("open until it is dropped")
    }

    fn run<T>(&self, work: impl Future<Output = WebDriverResult<T>>) -> Result<T> {
        Ok(self.runtime.block_on(work)?)
    }

    /// Makes the page so large.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.run(self.driver().cdp().send_raw("Emulation.setDeviceMetricsOverride", size))?;
        Ok(())
    }

    /// Goes to a path of this node.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn go(&self, path: &str) -> Result<()> {
        self.run(self.driver().goto(format!("{}{path}", self.base)))
    }

    /// Puts a security key into this browser that signs whenever it is asked (WebAuthn Level 2,
    /// section 11: extension of WebDriver).
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn security_key(&self) -> Result<()> {
        let session = self.driver().session_id().to_string();
        let address =
            format!("http://127.0.0.1:{}/session/{session}/webauthn/authenticator", self.port);
        let key = json!({
            "protocol": "ctap2", "transport": "usb", "hasResidentKey": false,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let client = reqwest::blocking::Client::builder().no_proxy().build()?;
        let answer = client.post(address).body(key.to_string()).send()?;
        ensure!(answer.status().is_success(), "no virtual key: {}", answer.text()?);
        Ok(())
    }

    /// Searches on a page; the address of what was found, where the words searched for are not.
    ///
    /// # Errors
    /// When the page has no such search, or its words stand in the address.
    pub fn search(&self, page: &str, label: &str, button: &str, text: &str) -> Result<String> {
        self.go(page)?;
        self.fill(label, text)?;
        self.press(button)?;
        let address = self.until("what was found", || {
            let url = self.run(self.driver().current_url())?;
            let found = url.query().is_some_and(|query| query.contains("s="));
            Ok(found.then(|| format!("{}?{}", url.path(), url.query().unwrap_or_default())))
        })?;
        ensure!(!address.contains("q=") && !address.contains(text), "{address}");
        Ok(address)
    }

    /// The path shown.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn path(&self) -> Result<String> {
        Ok(self.run(self.driver().current_url())?.path().to_owned())
    }

    /// The button that goes one page back.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn back(&self) -> Result<()> {
        self.run(self.driver().back())
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn reload(&self) -> Result<()> {
        self.run(self.driver().refresh())
    }

    /// All visible words of the page.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn words(&self) -> Result<String> {
        let read = || self.run(async { self.driver().find(By::Tag("body")).await?.text().await });
        // A page that is being replaced has no body for a moment.
        read().or_else(|_| read()).or_else(|_| read())
    }

    /// The page's source.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn source(&self) -> Result<String> {
        self.run(self.driver().source())
    }

    /// A page as it is sent, with the session of this browser: what the browser repairs is seen.
    ///
    /// # Errors
    /// When it does not come.
    pub fn sent(&self, path: &str) -> Result<String> {
        let client = crate::trust::builder()?.build()?;
        let answer = client.get(format!("{}{path}", self.base)).header("cookie", self.cookies()?);
        Ok(answer.send()?.text()?)
    }

    /// Runs a script that the test brings along; its answer.
    ///
    /// # Errors
    /// When it throws.
    pub fn script(&self, script: &str) -> Result<Value> {
        Ok(self.run(self.driver().execute(script, Vec::new()))?.json().clone())
    }

    /// Runs a script that calls back; its answer.
    ///
    /// # Errors
    /// When it throws.
    pub fn script_async(&self, script: &str) -> Result<Value> {
        Ok(self.run(self.driver().execute_async(script, Vec::new()))?.json().clone())
    }

    /// What the person is signed in with.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub fn session(&self) -> Result<String> {
        Ok(self.run(self.driver().get_named_cookie("__Host-cunkou"))?.value)
    }

    /// All cookies of this page, as a request sends them.
    fn cookies(&self) -> Result<String> {
        let all = self.run(self.driver().get_all_cookies())?;
        let all: Vec<String> = all.iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        Ok(all.join("; "))
    }

    /// Fetches what a link of this page leads to, with the session of this browser.
    ///
    /// # Errors
    /// When it does not come.
    pub fn fetch(&self, link: &str) -> Result<Vec<u8>> {
        let path = format!("//a[normalize-space()={}]", quoted(link));
        let address = self.with(&[path], link, |found| self.run(found.prop("href")))?;
        let address = address.context("a link without address")?;
        let client = crate::trust::builder()?.build()?;
        let request = client.get(address).header("cookie", self.cookies()?);
        let answer = request.send()?.error_for_status()?;
        Ok(answer.bytes()?.to_vec())
    }

    /// A further try until the time is over; then what the page looked like.
    fn until<T>(&self, what: &str, mut done: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        self.until_in(PATIENCE_S, what, &mut done)
    }

    fn until_in<T>(
        &self,
        seconds: u64,
        what: &str,
        done: &mut dyn FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            // While a page is being replaced, its parts are gone for a moment.
            let last = match done() {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if Instant::now() > end {
                let picture = self.screens.join(format!("FAILED-{}.png", self.name));
                let _ = self.picture(&picture);
                let words = self.words().unwrap_or_default();
                let path = self.path().unwrap_or_default();
                let last = last.map(|e| format!(" ({e})")).unwrap_or_default();
                bail!("{}: waited {seconds} s for {what}{last}\nat {path}\n{words}", self.name);
            }
            std::thread::park_timeout(Duration::from_millis(40));
        }
    }

    /// Does something with the first visible element of these descriptions, the better ones
    /// first; again, when the page is replaced meanwhile.
    fn with<T>(
        &self,
        paths: &[String],
        what: &str,
        mut work: impl FnMut(&WebElement) -> Result<T>,
    ) -> Result<T> {
        self.until(what, || {
            for path in paths {
                let found = self.run(self.driver().find_all(By::XPath(path.clone())))?;
                for element in found {
                    if self.run(element.is_displayed())? {
                        return work(&element).map(Some);
                    }
                }
            }
            Ok(None)
        })
    }

    /// Presses the button or link with these words; failing that, the row of a list with them.
    ///
    /// # Errors
    /// When there is none.
    pub fn click(&self, words: &str) -> Result<()> {
        let w = quoted(words);
        let exact = ["button", "a", "summary"].map(|tag| format!("//{tag}[normalize-space()={w}]"));
        let mut paths = exact.to_vec();
        paths.push(format!("//a[.//*[normalize-space()={w}]]"));
        paths.extend(
            ["button", "a", "summary"].map(|t| format!("//{t}[contains(normalize-space(), {w})]")),
        );
        self.with(&paths, &format!("something to press: {words}"), |e| self.run(e.click()))
    }

    /// Presses the button of a form with these words, where a heading has the same.
    ///
    /// # Errors
    /// When there is none.
    pub fn press(&self, words: &str) -> Result<()> {
        let button = format!("//form//button[normalize-space()={}]", quoted(words));
        self.with(&[button], &format!("a button: {words}"), |e| self.run(e.click()))
    }

    /// Does something with the input under a label; the label may go on after these words.
    fn labelled<T>(&self, label: &str, work: impl FnMut(&WebElement) -> Result<T>) -> Result<T> {
        let l = quoted(label);
        let by = |test: &str| format!("//*[@id=//label[{test}]/@for]");
        let paths = [
            by(&format!("normalize-space()={l}")),
            by(&format!("starts-with(normalize-space(), {l})")),
            format!("//label[starts-with(normalize-space(), {l})]//input"),
        ];
        self.with(&paths, &format!("a field labelled {label}"), work)
    }

    /// Types into the field with this label, instead of what stands there.
    ///
    /// # Errors
    /// When there is none.
    pub fn fill(&self, label: &str, value: &str) -> Result<()> {
        self.labelled(label, |field| {
            self.run(async {
                field.clear().await?;
                field.send_keys(value).await
            })
        })
    }

    /// What stands in the field with this label.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&self, label: &str) -> Result<String> {
        Ok(self.labelled(label, |field| self.run(field.value()))?.unwrap_or_default())
    }

    /// Picks an answer under a heading.
    ///
    /// # Errors
    /// When there is none.
    pub fn choose(&self, heading: &str, answer: &str) -> Result<()> {
        let (h, a) = (quoted(heading), quoted(answer));
        let within = format!("//fieldset[legend[starts-with(normalize-space(), {h})]]");
        let paths = [
            format!("{within}//label[normalize-space()={a}]"),
            format!("{within}//label[starts-with(normalize-space(), {a})]"),
            format!("{within}//label[contains(normalize-space(), {a})]"),
        ];
        self.with(&paths, &format!("{heading}: {answer}"), |label| self.run(label.click()))
    }

    /// Ticks a box by its label.
    ///
    /// # Errors
    /// When there is none.
    pub fn tick(&self, label: &str) -> Result<()> {
        let path = format!("//label[starts-with(normalize-space(), {})][.//input]", quoted(label));
        self.with(&[path], label, |found| self.run(found.click()))
    }

    /// Gives a photo to the field with this label, without sending it.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(&self, label: &str, file: &Path) -> Result<()> {
        let form = self.labelled(label, |field| {
            self.run(async {
                field.send_keys(file.display().to_string()).await?;
                field.find(By::XPath("./ancestor::form")).await
            })
        })?;
        if self.scripts {
            self.until("the photo is made smaller", || {
                let status = self.run(form.find(By::Css("[data-status]")))?;
                Ok((self.run(status.text())? != "正在处理照片…").then_some(()))
            })?;
        }
        Ok(())
    }

    /// Photographs a page of a material and sends it; waits until the camera for it is gone.
    ///
    /// # Errors
    /// When there is none.
    pub fn photograph(&self, page: &str, file: &Path) -> Result<()> {
        let label = format!("拍照:{page}");
        self.labelled(&label, |field| {
            self.run(async {
                field.send_keys(file.display().to_string()).await?;
                if !self.scripts {
                    field.find(By::XPath("./ancestor::form//button")).await?.click().await?;
                }
                Ok(())
            })
        })?;
        self.gone(&label)?;
        self.see("照片已存本机")
    }

    /// Waits until the page shows these words.
    ///
    /// # Errors
    /// When it does not.
    pub fn see(&self, words: &str) -> Result<()> {
        self.see_in(PATIENCE_S, words)
    }

    /// Waits so many seconds until the page shows these words.
    ///
    /// # Errors
    /// When it does not.
    pub fn see_in(&self, seconds: u64, words: &str) -> Result<()> {
        self.until_in(seconds, &format!("the words {words}"), &mut || {
            Ok(self.words()?.contains(words).then_some(()))
        })
    }

    /// Loads the page again and again until it shows these words.
    ///
    /// # Errors
    /// When it does not.
    pub fn see_after_reloads(&self, seconds: u64, words: &str) -> Result<()> {
        self.until_in(seconds, &format!("the words {words}"), &mut || {
            if self.words()?.contains(words) {
                return Ok(Some(()));
            }
            self.reload()?;
            Ok(self.words()?.contains(words).then_some(()))
        })
    }

    /// Waits until the page no longer shows these words.
    ///
    /// # Errors
    /// When it does.
    pub fn gone(&self, words: &str) -> Result<()> {
        self.until(&format!("the end of the words {words}"), || {
            Ok((!self.words()?.contains(words)).then_some(()))
        })
    }

    /// Whether the page shows these words now.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn shows(&self, words: &str) -> Result<bool> {
        Ok(self.words()?.contains(words))
    }

    /// Waits until the row of a definition list says so.
    ///
    /// # Errors
    /// When it does not.
    pub fn says(&self, label: &str, value: &str) -> Result<()> {
        let path = format!("//dl/div[dt[normalize-space()={}]]/dd", quoted(label));
        self.until(&format!("{label}: {value}"), || {
            for dd in self.run(self.driver().find_all(By::XPath(path.clone())))? {
                if self.run(dd.text())?.contains(value) {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
    }

    /// Width and height of every picture of the page in full, once all have come.
    ///
    /// # Errors
    /// When fewer than `least` come.
    pub fn pictures(&self, least: usize) -> Result<Vec<(u64, u64)>> {
        self.until(&format!("{least} pictures"), || {
            let found = self.run(self.driver().find_all(By::Css("main img")))?;
            let mut out = Vec::new();
            for picture in found {
                self.run(picture.scroll_into_view())?;
                let size = |name: &'static str| -> Result<u64> {
                    let text = self.run(picture.prop(name))?.unwrap_or_default();
                    Ok(text.parse().unwrap_or(0))
                };
                out.push((size("naturalWidth")?, size("naturalHeight")?));
            }
            let whole = out.len() >= least && out.iter().all(|(width, _)| *width > 0);
            Ok(whole.then_some(out))
        })
    }

    /// Signs on the canvas with three strokes.
    ///
    /// # Errors
    /// When there is no canvas.
    pub fn sign(&self) -> Result<()> {
        self.with(&["//canvas".to_owned()], "a place to sign", |pad| {
            self.run(async {
                pad.scroll_into_view().await?;
                for (x, y, dx, dy) in [(-90, -40, 70, 10), (-20, -60, 10, 60), (40, -50, 60, 55)] {
                    self.driver()
                        .action_chain_with_delay(Some(Duration::ZERO), Some(Duration::ZERO))
                        .move_to_element_with_offset(pad, x, y)
                        .click_and_hold()
                        .move_by_offset(dx / 2, dy)
                        .move_by_offset(dx, dy / 2)
                        .move_by_offset(-dx / 3, 12)
                        .release()
                        .perform()
                        .await?;
                }
                Ok(())
            })
        })
    }

    /// Signs in.
    ///
    /// # Errors
    /// When the person is not let in.
    pub fn sign_in(&self, name: &str, pin: &str) -> Result<()> {
        self.go("/login")?;
        self.choose("谁在用", name)?;
        self.fill("PIN 码", pin)?;
        self.click("登录")?;
        self.see("退出")
    }

    /// A picture of the whole page.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn screenshot(&self, name: &str) -> Result<()> {
        self.taken.set(self.taken.get() + 1);
        let file = format!("{}{:02}-{name}.png", self.name, self.taken.get());
        self.picture(&self.screens.join(file))
    }

    /// A picture of the whole page, in this file.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn picture(&self, file: &Path) -> Result<()> {
        let size = self.run(self.driver().cdp().send_raw("Page.getLayoutMetrics", json!({})))?;
        let size = &size["cssContentSize"];
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1
        });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.run(self.driver().cdp().send_raw("Page.captureScreenshot", how))?;
        let bytes = base64(shot["data"].as_str().context("no picture")?);
        ensure!(bytes.starts_with(b"\x89PNG"), "no picture");
        std::fs::write(file, bytes)?;
        Ok(())
    }
}

/// Standard base64; what is no digit ends it.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().map_while(value).collect();
    let groups = digits.chunks(4).flat_map(|group| {
        let word =
            group.iter().enumerate().fold(0u32, |w, (i, d)| w | u32::from(*d) << (18 - 6 * i));
        let bytes = word.to_be_bytes();
        bytes[1..group.len().max(1)].to_vec()
    });
    groups.collect()
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            let _ = self.runtime.block_on(driver.quit());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
