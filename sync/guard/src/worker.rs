//! The child's side: answers jobs on standard input and output until its parent is gone.

use crate::apply::judge_here;
use crate::guard::WORKER_COMMAND;
use crate::job::{JOB_BYTES_MAX, Judged, judged_bytes, read_jobs};
use crate::limits;
use std::io::{Read, Write};

/// First bytes of the worker: it is contained and ready. The last says whether system calls are
/// filtered.
pub(crate) const READY: [u8; 7] = *b"guard1\0";
pub(crate) const READY_FILTERED: [u8; 7] = *b"guard1\x01";

/// True when this process was started as a worker. Programs ask first thing in `main`, before
/// any thread or runtime is started.
#[must_use]
pub fn is_asked_for() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == WORKER_COMMAND)
}

/// Works until standard input ends.
///
/// # Errors
/// When the limits cannot be set, or the parent says what is no job.
pub fn run() -> std::io::Result<()> {
    // What a panic says may hold particulars.
    std::panic::set_hook(Box::new(|_| ()));
    let ready = if limits::contain()? { READY_FILTERED } else { READY };
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    to.write_all(&ready)?;
    to.flush()?;
    while let Some(message) = receive(&mut from, JOB_BYTES_MAX)? {
        let jobs = read_jobs(&message).ok_or_else(|| std::io::Error::other("no jobs"))?;
        let mut judged: Vec<Judged> = Vec::new();
        for job in &jobs {
            limits::begin_job()?;
            judged.push(judge_here(job));
        }
        limits::begin_job()?;
        send(&mut to, &judged_bytes(&judged))?;
    }
    Ok(())
}

/// Writes one message behind its length.
pub(crate) fn send(to: &mut impl Write, message: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).map_err(std::io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(message)?;
    to.flush()
}

/// Reads one message of at most `most` bytes; nothing when the other side is gone.
pub(crate) fn receive(from: &mut impl Read, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(std::io::Error::other("a message too long"));
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(Some(message))
}
