//! samod over TCP: `serve FOLDER CASES` or `pull FOLDER ADDRESS NAMES`.
//!
//! Both keep their documents in files. Answers are lines of JSON, orders are lines on standard
//! input, and when that ends so does the program.

use anyhow::{Context, Result, bail};
use automerge::transaction::Transactable;
use automerge::{Automerge, ROOT, ReadDoc};
use futures_util::StreamExt;
use samod::storage::TokioFilesystemStorage;
use samod::tokio_io::TcpDialer;
use samod::{BackoffConfig, DocHandle, DocumentId, Repo, Transport, Url};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;

/// So many documents are asked for at once.
const IN_FLIGHT: usize = 20;

fn say(words: &Value) {
    println!("{words}");
}

/// Carries orders out until there are no more.
async fn orders(mut known: impl AsyncFnMut(&str) -> Result<()>) -> Result<()> {
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tokio::io::stdin()));
    while let Some(line) = lines.next_line().await? {
        known(&line).await?;
    }
    Ok(())
}

async fn repo(folder: &Path) -> Repo {
    let storage = TokioFilesystemStorage::new(folder.join("documents"));
    Repo::build_tokio().with_storage(storage).load().await
}

async fn seed(repo: &Repo, cases: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for line in BufReader::new(std::fs::File::open(cases)?).lines() {
        let document: Value = serde_json::from_str(&line?)?;
        let bytes = document["automerge"].as_str().context("no document")?;
        let bytes = hex::decode(bytes)?;
        let handle = repo.create(Automerge::load(&bytes)?).await?;
        names.push(handle.document_id().to_string());
    }
    Ok(names)
}

fn change(handle: &DocHandle, n: u32) -> Result<()> {
    handle.with_document(|document| {
        let mut tx = document.transaction();
        let (_, notes) = tx.get(ROOT, "notes")?.context("no notes")?;
        tx.put(&notes, "changed", format!("changed {n}"))?;
        tx.commit();
        Ok(())
    })
}

async fn serve(folder: &Path, cases: &Path) -> Result<()> {
    let repo = repo(folder).await;
    let list = folder.join("names.json");
    let names: Vec<String> = if list.exists() {
        serde_json::from_slice(&std::fs::read(&list)?)?
    } else {
        let names = seed(&repo, cases).await?;
        std::fs::write(&list, serde_json::to_vec(&names)?)?;
        names
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = repo.make_acceptor(Url::parse(&format!("tcp://{address}"))?)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // One that does not come through is gone; the next one is accepted.
            let _ = acceptor.accept(Transport::from_tokio_io(stream));
        }
    });
    say(&json!({"ready": true, "address": address.to_string(), "names": list}));
    let mut changes = 0;
    orders(async |order| {
        if order == "change" {
            changes += 1;
            let name: DocumentId = names.last().context("no document")?.parse()?;
            let handle = repo.find(name).await?.context("the document is gone")?;
            change(&handle, changes)?;
            say(&json!({"changed": true}));
        }
        Ok(())
    })
    .await
}

async fn pull(folder: &Path, address: &str, names: &Path) -> Result<()> {
    let names: Vec<String> = serde_json::from_slice(&std::fs::read(names)?)?;
    let repo = repo(folder).await;
    say(&json!({"up": true}));
    let begun = Instant::now();
    let dialer = TcpDialer::new(Url::parse(&format!("tcp://{address}"))?)?;
    let dialing = repo.dial(BackoffConfig::default(), Arc::new(dialer))?;
    dialing.established().await?;
    let found = futures_util::stream::iter(names)
        .map(|name| {
            let repo = &repo;
            async move {
                let name: DocumentId = name.parse()?;
                let found = repo.find(name);
                anyhow::Ok(found.await?)
            }
        })
        .buffer_unordered(IN_FLIGHT);
    let handles: Vec<DocHandle> =
        found.filter_map(async |found| found.ok().flatten()).collect().await;
    let seconds = begun.elapsed().as_secs_f64();
    say(&json!({"done": true, "documents": handles.len(), "seconds": seconds}));
    orders(async |_| Ok(())).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", folder, cases] => serve(&PathBuf::from(folder), Path::new(cases)).await,
        ["pull", folder, address, names] => {
            pull(Path::new(folder), address, Path::new(names)).await
        }
        _ => bail!("serve FOLDER CASES | pull FOLDER ADDRESS NAMES"),
    }
}
