//! The Unix socket by which a running daemon is reached: one JSON line asked, JSON lines answered.

use crate::cli::{Exit, Failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// A request is never longer. Bytes.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// How far a long work is, in words.
    Progress(String),
    /// Done.
    Done(Value),
    /// Not done: exit code and words.
    Failed(u8, String),
}

/// Does what is asked; may block. Progress goes through the function.
pub trait Execute: Send + Sync + 'static {
    /// Does it.
    ///
    /// # Errors
    /// [`Failure`].
    fn execute(&self, command: Value, progress: &dyn Fn(String)) -> Result<Value, Failure>;
}

/// The socket in a data folder.
#[must_use]
pub fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Makes the socket: from now on commands find the daemon.
///
/// # Errors
/// When the socket cannot be made.
pub fn bind(data: &Path) -> std::io::Result<UnixListener> {
    let path = socket(data);
    // What a killed process left behind; the lock on the data folder says that nobody is there.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers at the socket until dropped.
///
/// # Errors
/// When the socket breaks.
pub async fn serve(listener: UnixListener, executor: Arc<dyn Execute>) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let executor = Arc::clone(&executor);
        tokio::spawn(async move {
            if let Err(error) = answer(stream, executor).await {
                tracing::info!(%error, "a command broke off");
            }
        });
    }
}

async fn answer(stream: UnixStream, executor: Arc<dyn Execute>) -> std::io::Result<()> {
    use tokio::io::AsyncReadExt;
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await?;
    let command = serde_json::from_str(&line)?;
    let (sender, mut answers) = mpsc::unbounded_channel();
    let work = tokio::task::spawn_blocking(move || {
        let told = sender.clone();
        let progress = move |words| {
            let _ = told.send(Answer::Progress(words));
        };
        let last = match executor.execute(command, &progress) {
            Ok(value) => Answer::Done(value),
            Err(failure) => Answer::Failed(failure.exit.code(), failure.words),
        };
        let _ = sender.send(last);
    });
    while let Some(answer) = answers.recv().await {
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        write.write_all(&line).await?;
    }
    work.await.map_err(std::io::Error::other)
}

/// Asks a running daemon. `None` when none is running.
///
/// # Errors
/// What the daemon answers, or a broken socket.
pub async fn ask(
    data: &Path,
    command: &Value,
    progress: &dyn Fn(String),
) -> Result<Option<Value>, Failure> {
    let Ok(mut stream) = UnixStream::connect(socket(data)).await else { return Ok(None) };
    let broken =
        |e: std::io::Error| Failure::new(Exit::Failed, format!("the daemon broke off: {e}"));
    let mut line = command.to_string();
    line.push('\n');
    stream.write_all(line.as_bytes()).await.map_err(broken)?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        match serde_json::from_str(&line) {
            Ok(Answer::Progress(words)) => progress(words),
            Ok(Answer::Done(value)) => return Ok(Some(value)),
            Ok(Answer::Failed(code, words)) => {
                let exit = match code {
                    2 => Exit::Usage,
                    4 => Exit::NotEnrolled,
                    5 => Exit::Refused,
                    _ => Exit::Failed,
                };
                return Err(Failure::new(exit, words));
            }
            Err(e) => return Err(Failure::new(Exit::Failed, e.to_string())),
        }
    }
    Err(Failure::new(Exit::Failed, "the daemon ended before it had answered"))
}
