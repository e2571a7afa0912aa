//! Stopping and starting one node of a running demo.

use anyhow::{Context, Result, bail};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Asks the running demo; prints its answer.
#[expect(clippy::print_stdout, reason = "answers of a command go to the terminal")]
pub(crate) async fn tell(data: &Path, what: &str, name: &str) -> Result<()> {
    let socket = data.join("demo.sock");
    let mut stream = UnixStream::connect(&socket)
        .await
        .with_context(|| format!("no demo is running on {}", data.display()))?;
    stream.write_all(format!("{what} {name}\n").as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    match answer.trim().split_once(' ') {
        Some(("ok", words)) => {
            println!("{words}");
            Ok(())
        }
        Some((_, words)) => bail!("{words}"),
        None => bail!("the demo did not answer"),
    }
}
