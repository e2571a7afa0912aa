//! Which roots the harness trusts and how it finds names: really trusted, as on a tablet; no error
//! of a certificate is ever ignored.

use anyhow::{Context, Result};
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

static ROOTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// From now on the roots in this PEM file are trusted.
pub fn trust(file: &Path) {
    let mut all = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.iter().any(|known| known == file) {
        all.push(file.to_owned());
    }
}

/// The files with the roots that are trusted and still there.
#[must_use]
pub fn roots() -> Vec<PathBuf> {
    let all = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter(|file| file.exists()).cloned().collect()
}

/// A county's names lead to this machine.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, name: Name) -> Resolving {
        let own = name.as_str().ends_with(".home.arpa");
        Box::pin(async move {
            if !own {
                return Err("only names of counties are known here".into());
            }
            let here: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
            Ok(here)
        })
    }
}

/// The one cryptography for every client of this process, the browser driver's included.
pub fn provider() {
    // Several tests may come here at once; the first stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What an HTTP client of the tests begins with.
///
/// # Errors
/// When a root cannot be read.
pub fn builder() -> Result<ClientBuilder> {
    provider();
    let mut certificates = Vec::new();
    for file in roots() {
        let Ok(pem) = std::fs::read(&file) else { continue };
        let read = reqwest::Certificate::from_pem_bundle(&pem);
        certificates.extend(read.with_context(|| file.display().to_string())?);
    }
    let builder = Client::builder().no_proxy().dns_resolver(Arc::new(Loopback));
    Ok(builder.tls_certs_only(certificates))
}
