//! Somebody at a browser without a browser: forms, cookies, photos.

use anyhow::{Context, Result, bail, ensure};
use image::codecs::jpeg::JpegEncoder;
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use std::fmt::Write;
use std::time::Duration;

/// Numbers that look random and come again with their seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }
}

/// A picture like a photo of a paper: no two are alike.
///
/// # Panics
/// When JPEG cannot be written to memory.
#[must_use]
pub fn photo(dice: &mut Dice, width: u32, height: u32) -> Vec<u8> {
    let mut noise = 0;
    let tone = dice.below(120);
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        if x % 8 == 0 {
            noise = dice.roll();
        }
        let grain = (noise >> ((x % 8) * 5)) & 31;
        let ink = if (y / 12) % 3 == 0 && (x / 5 + y / 12) % 4 != 0 { 90 } else { 0 };
        let grey = u8::try_from(100 + tone + grain - ink).unwrap_or(u8::MAX);
        image::Rgb([grey, grey.saturating_add(6), grey.saturating_sub(4)])
    });
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, 80);
    picture.write_with_encoder(encoder).expect("a picture in memory");
    out
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Where it sends the browser.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The page, or what went wrong.
    ///
    /// # Errors
    /// When the status is not 200.
    pub fn page(self) -> Result<String> {
        ensure!(self.status == 200, "status {}: {}", self.status, self.complaint());
        Ok(self.text())
    }

    /// The address that a form leads to, or what is wrong with the form.
    ///
    /// # Errors
    /// When the status is not 303.
    pub fn done(self) -> Result<String> {
        ensure!(self.status == 303, "status {}: {}", self.status, self.complaint());
        self.location.context("303 leads nowhere")
    }

    /// What the page complains about, for messages of failed tests.
    #[must_use]
    pub fn complaint(&self) -> String {
        let text = self.text();
        let from = text.find("class=\"faults\"").or_else(|| text.find("<h1")).unwrap_or(0);
        plain(&text[from..]).chars().take(300).collect()
    }
}

/// A page without its tags.
#[must_use]
pub fn plain(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ")
}

/// The values of an attribute that begin like this, in the order of the page, each once.
#[must_use]
pub fn links(html: &str, attribute: &str, begin: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in html.split(&format!("{attribute}=\"{begin}")).skip(1) {
        if let Some((rest, _)) = part.split_once('"') {
            let link = format!("{begin}{rest}").replace("&amp;", "&");
            if !out.contains(&link) {
                out.push(link);
            }
        }
    }
    out
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let mut value = value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    value = value.replace("&amp;", "&");
    Some(value)
}

/// The fields of the form that goes to `action`, with what stands in them; of choices that nobody
/// made yet, the first.
#[must_use]
pub fn fields(html: &str, action: &str) -> Vec<(String, String)> {
    let Some((_, form)) = html.split_once(&format!("action=\"{action}\"")) else {
        return Vec::new();
    };
    let form = form.split("</form>").next().unwrap_or_default();
    let mut out: Vec<(String, String)> = Vec::new();
    for tag in form.split('<').skip(1) {
        let whole = tag.split('>').next().unwrap_or_default();
        let Some(name) = attribute(whole, "name") else { continue };
        let known = out.iter().position(|(n, _)| *n == name);
        let kind = attribute(whole, "type");
        if whole.starts_with("textarea") {
            let text = tag.split_once('>').map_or("", |(_, text)| text);
            out.push((name, text.to_owned()));
        } else if kind.as_deref() == Some("radio") {
            let value = attribute(whole, "value").unwrap_or_default();
            match known {
                None => out.push((name, value)),
                Some(i) if whole.contains(" checked") => out[i].1 = value,
                Some(_) => {}
            }
        } else if whole.starts_with("input") && kind.as_deref() != Some("file") {
            out.push((name, attribute(whole, "value").unwrap_or_default()));
        }
    }
    out
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn pairs<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    let pairs =
        fields.iter().map(|(k, v)| format!("{}={}", encode(k.as_ref()), encode(v.as_ref())));
    pairs.collect::<Vec<_>>().join("&")
}

/// How a case's materials are given.
#[derive(Clone, Debug)]
pub enum Papers {
    /// A new photo of this size for every page.
    New(Dice, u32, u32),
    /// These photos, in turn.
    Given(Vec<Vec<u8>>),
    /// This photo for what cannot wait; the rest is promised for later.
    Least(Vec<u8>),
}

impl Papers {
    /// The photo to take next.
    pub fn photo(&mut self, n: usize) -> Vec<u8> {
        match self {
            Self::New(dice, width, height) => photo(dice, *width, *height),
            Self::Given(photos) => photos[n % photos.len()].clone(),
            Self::Least(photo) => photo.clone(),
        }
    }
}

/// A submitted case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its id, as in addresses.
    pub case: String,
    /// Its number, grouped.
    pub number: String,
    /// How many photos it has, with the signature.
    pub photos: usize,
}

/// Somebody signed in at one office.
#[derive(Clone, Debug)]
pub struct Agent {
    http: Client,
    url: String,
    cookie: String,
}

/// The cookies that an answer sets, as a request sends them.
fn cookies(response: &Response) -> String {
    let set = response.headers().get_all("set-cookie").iter().filter_map(|c| c.to_str().ok());
    let pairs: Vec<&str> = set.filter_map(|c| c.split(';').next()).collect();
    pairs.join("; ")
}

impl Agent {
    /// A browser where nobody has signed in.
    ///
    /// # Panics
    /// When no HTTP client can be made.
    #[must_use]
    pub fn stranger(url: &str) -> Self {
        let http = crate::trust::builder()
            .expect("readable roots")
            .redirect(Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("an HTTP client");
        Self { http, url: url.trim_end_matches('/').to_owned(), cookie: String::new() }
    }

    /// Signs in.
    ///
    /// # Errors
    /// When the office does not answer or does not let them in.
    pub fn sign_in(url: &str, login: &str, pin: &str) -> Result<Self> {
        let mut agent = Self::stranger(url);
        let fields = pairs(&[("login", login), ("pin", pin), ("next", "/")]);
        let response = agent
            .http
            .post(format!("{}/login", agent.url))
            .header("origin", &agent.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(fields)
            .send()?;
        let cookie = cookies(&response);
        let answer = Self::answer(response)?;
        let status = answer.status;
        ensure!(
            status == 303 && !cookie.is_empty(),
            "{login} could not sign in: {status} {}",
            answer.complaint()
        );
        agent.cookie = cookie;
        Ok(agent)
    }

    /// What this browser sends with every request.
    #[must_use]
    pub fn cookies(&self) -> &str {
        &self.cookie
    }

    fn answer(response: Response) -> Result<Answer> {
        let status = response.status().as_u16();
        let location = response.headers().get("location").and_then(|l| l.to_str().ok());
        let location = location.map(str::to_owned);
        Ok(Answer { status, location, body: response.bytes()?.to_vec() })
    }

    /// Opens an address; where it is asked what for, the work is.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let answer = self.get_silent(path)?;
        let asks = answer.location.as_deref().filter(|to| to.starts_with("/why/"));
        let Some(why) = asks.and_then(|to| to.split('?').next()) else { return Ok(answer) };
        self.post(why, &[("purpose", "1"), ("next", path)])?.done()?;
        self.get_silent(path)
    }

    /// Opens an address, and says nothing when it is asked what for.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn get_silent(&self, path: &str) -> Result<Answer> {
        let request = self.http.get(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        Self::answer(request.send()?)
    }

    fn send(&self, path: &str, kind: &str, body: Vec<u8>) -> Result<Answer> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("cookie", &self.cookie)
            .header("origin", &self.url)
            .header("content-type", kind);
        Self::answer(request.body(body).send()?)
    }

    /// Sends a plain form.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn post<K: AsRef<str>, V: AsRef<str>>(
        &self,
        path: &str,
        fields: &[(K, V)],
    ) -> Result<Answer> {
        self.send(path, "application/x-www-form-urlencoded", pairs(fields).into_bytes())
    }

    /// Sends a form with a photo.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn upload(&self, path: &str, fields: &[(&str, &str)], photo: &[u8]) -> Result<Answer> {
        const EDGE: &str = "----cunkou-tests-6f0b2d";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!(
                "--{EDGE}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{EDGE}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"photo.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(photo);
        body.extend_from_slice(format!("\r\n--{EDGE}--\r\n").as_bytes());
        self.send(path, &format!("multipart/form-data; boundary={EDGE}"), body)
    }

    /// Sends a form with one file.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn send_file(&self, path: &str, field: &str, name: &str, bytes: &[u8]) -> Result<Answer> {
        const EDGE: &str = "----cunkou-tests-0b4e71";
        let head = format!(
            "--{EDGE}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), bytes, format!("\r\n--{EDGE}--\r\n").as_bytes()].concat();
        self.send(path, &format!("multipart/form-data; boundary={EDGE}"), body)
    }

    /// Addresses of the residents that a search finds.
    ///
    /// # Errors
    /// When the search does not answer.
    pub fn search(&self, text: &str) -> Result<Vec<String>> {
        let found = self.post("/residents", &[("q", text)])?.done()?;
        Ok(residents(&self.get(&found)?.page()?))
    }

    /// Addresses of the residents that the list shows while somebody types: one request, as the
    /// script of the page sends it.
    ///
    /// # Errors
    /// When the search does not answer.
    pub fn search_live(&self, text: &str) -> Result<Vec<String>> {
        let request = self
            .http
            .post(format!("{}/residents", self.url))
            .header("cookie", &self.cookie)
            .header("origin", &self.url)
            .header("hx-request", "true")
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = Self::answer(request.body(pairs(&[("q", text)])).send()?)?;
        Ok(residents(&answer.page()?))
    }

    /// Addresses of the residents after so many of the whole list.
    ///
    /// # Errors
    /// When the list does not answer.
    pub fn residents(&self, from: usize) -> Result<Vec<String>> {
        let html = self.get(&format!("/residents?from={from}"))?.page()?;
        Ok(residents(&html))
    }

    /// Begins a case for a resident, or finds the one that is open; gives its id.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn begin(&self, resident: &str, item: &str) -> Result<String> {
        let none: [(&str, &str); 0] = [];
        let to = self.post(&format!("{resident}/file/{item}"), &none)?.done()?;
        let id = to.strip_prefix("/cases/").context("no case")?;
        Ok(id.split(['/', '?']).next().unwrap_or_default().to_owned())
    }

    /// The applicant files in person.
    ///
    /// # Errors
    /// When the form is refused.
    pub fn in_person(&self, case: &str) -> Result<()> {
        self.post(&format!("/cases/{case}/who"), &[("filer", "applicant")])?.done()?;
        Ok(())
    }

    /// Answers every question of eligibility with its first choice.
    ///
    /// # Errors
    /// When the form is refused.
    pub fn answer_questions(&self, case: &str) -> Result<()> {
        let path = format!("/cases/{case}/check");
        let html = self.get(&path)?.page()?;
        let answers = fields(&html, &path);
        if !answers.is_empty() {
            self.post(&path, &answers)?.done()?;
        }
        Ok(())
    }

    /// Gives every material that is needed; gives the number of photos taken.
    ///
    /// # Errors
    /// When a photo or form is refused.
    pub fn give_materials(&self, case: &str, papers: &mut Papers) -> Result<usize> {
        let list = self.get(&format!("/cases/{case}/materials"))?.page()?;
        let mut taken = 0;
        for path in links(&list, "href", &format!("/cases/{case}/materials/")) {
            let mut html = self.get(&path)?.page()?;
            let asked = format!("{path}/asked");
            if html.contains(&asked) {
                self.post(&asked, &[("asked", "yes")])?.done()?;
                html = self.get(&path)?.page()?;
            }
            let defer = format!("{path}/defer");
            if matches!(papers, Papers::Least(_)) && html.contains(&defer) {
                self.post(&defer, &[("reason", "证件在家里")])?.done()?;
                continue;
            }
            for camera in links(&html, "action", &format!("{path}/photo/")) {
                let photo = papers.photo(taken);
                self.upload(&camera, &[], &photo)?.done()?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Fills the item's form with what stands in it, and `own`.
    ///
    /// # Errors
    /// When the form is refused.
    pub fn fill_form(&self, case: &str, own: &[(&str, &str)]) -> Result<()> {
        let path = format!("/cases/{case}/form");
        let html = self.get(&path)?.page()?;
        let mut all = fields(&html, &path);
        for (name, value) in &mut all {
            if let Some((_, own)) = own.iter().find(|(n, _)| n == name) {
                (*own).clone_into(value);
            } else if name == "address" && value.is_empty() {
                value.push_str("云溪县清河镇");
            }
        }
        self.post(&path, &all)?.done()?;
        Ok(())
    }

    /// The applicant has signed on paper: submits. The answer shows the case.
    ///
    /// # Errors
    /// When it is refused, or something is missing.
    pub fn sign(&self, case: &str, photo: &[u8]) -> Result<()> {
        let to =
            self.upload(&format!("/cases/{case}/sign"), &[("base", ""), ("how", "paper")], photo)?;
        let to = to.done()?;
        ensure!(to.contains("done=submitted"), "not submitted, sent to {to}");
        Ok(())
    }

    /// Prepares a case up to the signature; gives its id and number of photos.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn prepare(
        &self,
        resident: &str,
        item: &str,
        papers: &mut Papers,
    ) -> Result<(String, usize)> {
        let case = self.begin(resident, item)?;
        self.in_person(&case)?;
        self.answer_questions(&case)?;
        let photos = self.give_materials(&case, papers)?;
        self.fill_form(&case, &[])?;
        Ok((case, photos))
    }

    /// Files a whole case.
    ///
    /// # Errors
    /// When a step is refused.
    pub fn file(&self, resident: &str, item: &str, papers: &mut Papers) -> Result<Filed> {
        let (case, photos) = self.prepare(resident, item, papers)?;
        let signature = papers.photo(photos);
        self.sign(&case, &signature)?;
        Ok(Filed { number: self.number(&case)?, case, photos: photos + 1 })
    }

    /// The number on the page of a case, grouped.
    ///
    /// # Errors
    /// When the case is not there.
    pub fn number(&self, case: &str) -> Result<String> {
        let html = self.get(&format!("/cases/{case}/progress"))?.page()?;
        let text = html.split_once("class=\"num\">").map(|(_, rest)| rest);
        let number = text.and_then(|t| t.split('<').next()).unwrap_or_default().trim().to_owned();
        ensure!(number.len() == 14, "no number on the page: {}", plain(&html));
        Ok(number)
    }

    /// Words of the state of a case.
    ///
    /// # Errors
    /// When the case is not there.
    pub fn phase(&self, case: &str) -> Result<String> {
        let html = self.get(&format!("/cases/{case}/progress"))?.page()?;
        let text = html.split_once("id=\"phase\">").map(|(_, rest)| rest);
        Ok(text.and_then(|t| t.split('<').next()).unwrap_or_default().to_owned())
    }

    /// Whether the receipt is shown.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn receipt(&self, case: &str) -> Result<bool> {
        let answer = self.get(&format!("/cases/{case}/receipt.pdf"))?;
        Ok(answer.status == 200 && answer.body.starts_with(b"%PDF"))
    }

    /// Gets every photo that the page of a case shows and decodes it; gives how many there are.
    ///
    /// # Errors
    /// When one is not whole.
    pub fn whole_photos(&self, case: &str) -> Result<usize> {
        let html = self.get(&format!("/cases/{case}"))?.page()?;
        let all = links(&html, "src", &format!("/cases/{case}/photo/"));
        for path in &all {
            let answer = self.get(path)?;
            ensure!(answer.status == 200, "{path}: status {}", answer.status);
            let decoded = image::load_from_memory(&answer.body);
            if let Err(error) = decoded {
                bail!("{path}: {} bytes: {error}", answer.body.len());
            }
        }
        // A preview is shown until its photo has come.
        let small = html.matches("这是小图").count();
        Ok(all.len() - small)
    }

    /// Does one of the actions on the page of a case: take, forward, accept, approve…
    ///
    /// # Errors
    /// When it is refused.
    pub fn act(&self, case: &str, action: &str, fields: &[(&str, &str)]) -> Result<()> {
        self.post(&format!("/cases/{case}/do/{action}"), fields)?.done()?;
        Ok(())
    }
}

fn residents(html: &str) -> Vec<String> {
    let all = links(html, "href", "/residents/").into_iter();
    let id = |path: &String| path["/residents/".len()..].chars().all(|c| c.is_ascii_hexdigit());
    all.filter(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_form_are_read_as_a_browser_reads_them() {
        let html = r#"<form action="/other"><input name="no" value="x"></form>
            <form method="post" action="/a"><input type="hidden" name="base" value="1-2">
            <input type="radio" name="r" value="one">
            <input type="radio" name="r" value="two" checked>
            <input type="radio" name="s" value="first"><input type="radio" name="s" value="last">
            <textarea name="t" rows="4">words</textarea>
            <input id="u" name="u" value="a &amp; b"></form>"#;
        let expected =
            [("base", "1-2"), ("r", "two"), ("s", "first"), ("t", "words"), ("u", "a & b")];
        let expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        assert_eq!(fields(html, "/a"), expected);
    }

    #[test]
    fn two_photos_differ_and_can_be_decoded() {
        let mut dice = Dice::new(1);
        let (a, b) = (photo(&mut dice, 64, 48), photo(&mut dice, 64, 48));
        assert_ne!(a, b);
        assert_eq!(image::load_from_memory(&a).expect("a picture").width(), 64);
    }
}
