//! Somebody who asks for pages without a browser: for what a browser cannot do, or would hide.

use anyhow::{Context, Result};
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Client, RequestBuilder, Response};
use std::time::Duration;

/// A visitor with cookies. Redirects are followed.
#[derive(Debug)]
pub struct Visitor {
    client: Client,
    base: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Where the redirects ended: path and query.
    pub at: String,
    /// Body as text.
    pub text: String,
    /// Body as it came.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Whether the page shows these words.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// The value of a hidden input.
    #[must_use]
    pub fn hidden(&self, name: &str) -> Option<String> {
        let at = self.text.split_once(&format!("name=\"{name}\" value=\""))?.1;
        Some(at.split_once('"')?.0.to_owned())
    }

    /// The first address that contains `part`.
    #[must_use]
    pub fn link(&self, part: &str) -> Option<String> {
        let mut links = self.text.split("href=\"").skip(1).filter_map(|l| l.split_once('"'));
        links.map(|(link, _)| link.to_owned()).find(|link| link.contains(part))
    }
}

impl Visitor {
    /// A visitor of a node's pages.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(base: &str) -> Result<Self> {
        let client = Client::builder()
            .cookie_store(true)
            .timeout(Duration::from_secs(120))
            .no_proxy()
            .build()?;
        Ok(Self { client, base: base.to_owned() })
    }

    /// A visitor who has signed in.
    ///
    /// # Errors
    /// When signing in fails.
    pub fn signed_in(base: &str, login: &str, pin: &str) -> Result<Self> {
        let visitor = Self::new(base)?;
        let answer = visitor.post("/login", &[("login", login), ("pin", pin), ("next", "")])?;
        anyhow::ensure!(answer.at != "/login", "{login} was not let in: {}", answer.text);
        Ok(visitor)
    }

    fn read(response: Response) -> Result<Answer> {
        let (status, url) = (response.status().as_u16(), response.url().clone());
        let at = url.query().map_or_else(|| url.path().into(), |q| format!("{}?{q}", url.path()));
        let bytes = response.bytes()?.to_vec();
        Ok(Answer { status, at, text: String::from_utf8_lossy(&bytes).into_owned(), bytes })
    }

    fn own(&self, request: RequestBuilder) -> Result<Answer> {
        Self::read(request.header("origin", &self.base).send().context("no answer")?)
    }

    /// A page.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn get(&self, path: &str) -> Result<Answer> {
        Self::read(self.client.get(format!("{}{path}", self.base)).send().context("no answer")?)
    }

    /// A form as a page of ours would send it.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        self.own(self.client.post(format!("{}{path}", self.base)).form(fields))
    }

    /// A form as a page of somebody else would send it.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn post_from(&self, origin: &str, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.base)).form(fields);
        Self::read(request.header("origin", origin).send().context("no answer")?)
    }

    /// A form without any word about where it comes from.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn post_from_nowhere(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.base)).form(fields);
        Self::read(request.send().context("no answer")?)
    }

    /// A form with a photo.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file: &str,
        bytes: Vec<u8>,
    ) -> Result<Answer> {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let photo = Part::bytes(bytes).file_name(file.to_owned()).mime_str("image/jpeg")?;
        let form = form.part("photo", photo);
        self.own(self.client.post(format!("{}{path}", self.base)).multipart(form))
    }
}
