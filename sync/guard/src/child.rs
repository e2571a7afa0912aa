//! The parent's side of one worker: started, asked, waited for, and buried.

use crate::guard::WORKER_COMMAND;
use crate::worker::{READY, READY_FILTERED, receive, send};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tracing::{debug, warn};

/// A worker that neither answers nor dies of its limits is left after so long. Its processor time
/// is bounded by the second; this is for a machine that is far too busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// An answer is never longer. Bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A worker is replaced after so many messages, so that nothing gathers in it.
const MESSAGES_MAX: u32 = 10_000;

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With an answer.
    Answer(Vec<u8>),
    /// The job ended the worker.
    Died,
    /// There is no worker, or something else ended it: nothing is known about the job.
    Unavailable,
}

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    jobs: Sender<Vec<u8>>,
    answers: Receiver<std::io::Result<Vec<u8>>>,
    messages: u32,
}

impl Worker {
    /// Starts a worker of `program` and waits until it is contained.
    pub(crate) fn start(program: &Path) -> Option<Self> {
        let command = Command::new(program)
            .arg0("cunkou-guard")
            .arg(WORKER_COMMAND)
            .env_clear()
            .current_dir("/")
            // Its own group: Ctrl-C at a terminal is not a verdict.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match command {
            Ok(child) => child,
            Err(error) => {
                warn!(%error, "the guard's worker could not be started; changes wait");
                return None;
            }
        };
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return None;
        };
        let (jobs, asked) = channel::<Vec<u8>>();
        let (answer, answers) = channel();
        // A thread of its own moves the bytes, so that a worker that hangs cannot hold the caller.
        let moving = std::thread::Builder::new().name("guard".into()).spawn(move || {
            let mut ready = [0; READY.len()];
            let hello = from.read_exact(&mut ready).map(|()| ready.to_vec());
            if answer.send(hello).is_err() {
                return;
            }
            while let Ok(job) = asked.recv() {
                let said = send(&mut to, &job).and_then(|()| {
                    let message = receive(&mut from, ANSWER_BYTES_MAX)?;
                    message.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
                });
                let broken = said.is_err();
                if answer.send(said).is_err() || broken {
                    return;
                }
            }
        });
        let mut worker = Self { child, jobs, answers, messages: 0 };
        let ready = moving.is_ok().then(|| worker.answers.recv_timeout(PATIENCE));
        match ready {
            Some(Ok(Ok(ready))) if ready == READY_FILTERED => {
                debug!("a guard's worker is ready");
                Some(worker)
            }
            Some(Ok(Ok(ready))) if ready == READY => {
                warn!("this kernel does not filter the guard's system calls; its limits hold");
                Some(worker)
            }
            _ => {
                warn!("the guard's worker did not come up; changes wait");
                worker.bury();
                None
            }
        }
    }

    /// Asks once. After anything but an answer the worker is gone.
    pub(crate) fn ask(&mut self, message: Vec<u8>) -> Outcome {
        self.messages += 1;
        if self.jobs.send(message).is_err() {
            return self.buried();
        }
        match self.answers.recv_timeout(PATIENCE) {
            Ok(Ok(answer)) => Outcome::Answer(answer),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => self.buried(),
            Err(RecvTimeoutError::Timeout) => {
                warn!("the guard's worker hangs");
                self.bury();
                Outcome::Unavailable
            }
        }
    }

    /// True when it has done enough.
    pub(crate) fn is_spent(&self) -> bool {
        self.messages >= MESSAGES_MAX
    }

    /// Its pipe broke: how did it end? By a signal that memory, stack, processor time or a broken
    /// invariant raise, the job did it. Whatever else (somebody's kill, the kernel short of
    /// memory for all) says nothing about the job.
    fn buried(&mut self) -> Outcome {
        // Its pipes are closed, so it has ended or is about to.
        let ended = self.child.wait();
        let signal = ended.ok().and_then(|status| status.signal());
        const BY_ITSELF: [i32; 7] = [
            libc::SIGABRT,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
            libc::SIGXCPU,
        ];
        if signal.is_some_and(|signal| BY_ITSELF.contains(&signal)) {
            Outcome::Died
        } else {
            Outcome::Unavailable
        }
    }

    fn bury(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.bury();
    }
}
