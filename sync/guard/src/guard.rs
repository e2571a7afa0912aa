//! The guard as its owner sees it: jobs in, verdicts out.

use crate::apply::judge_here;
use crate::child::{Outcome, Worker};
use crate::gate::envelope;
use crate::job::{
    Candidate, JOB_BYTES_MAX, JOBS_MAX, Job, Judged, Part, Verdict, job_bytes, read_judged,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// The hidden command by which a program becomes a worker.
pub const WORKER_COMMAND: &str = "guard-worker";
/// Two, so that one that chews on something bad does not hold up everybody.
const WORKERS: usize = 2;
/// So many verdicts are remembered.
const REMEMBERED_MAX: usize = 512;
/// An actor that ended so many workers in one job is not listened to any more in this job.
const FATAL_MAX: usize = 3;
/// Jobs go together up to about so many bytes.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// Judges strangers' changes.
pub struct Guard {
    kind: Kind,
    remembered: Mutex<BTreeMap<[u8; 32], Judged>>,
}

enum Kind {
    Here,
    Child { program: PathBuf, workers: [Mutex<Option<Worker>>; WORKERS] },
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Here => "Guard(here)",
            Kind::Child { .. } => "Guard(child)",
        })
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    /// Judges in a child process of this very program, whose `main` must begin with
    /// [`crate::worker::is_asked_for`]. What programs use.
    #[must_use]
    pub fn child() -> Self {
        // The running image, even when the file was replaced by an update.
        Self::child_of(PathBuf::from("/proc/self/exe"))
    }

    /// Judges in a child process of another program. What tests of the child use.
    #[must_use]
    pub fn child_of(program: PathBuf) -> Self {
        let workers = std::array::from_fn(|_| Mutex::default());
        Self { kind: Kind::Child { program, workers }, remembered: Mutex::default() }
    }

    /// Judges in this process: panics are caught, nothing else. **Only** for tests of crates that
    /// have no program.
    #[must_use]
    pub fn in_this_process() -> Self {
        Self { kind: Kind::Here, remembered: Mutex::default() }
    }

    /// Judges jobs. Never fails: what could not be looked at is [`Verdict::Unjudged`].
    #[must_use]
    pub fn judge(&self, jobs: &[Job]) -> Vec<Judged> {
        let names: Vec<[u8; 32]> = jobs.iter().map(Job::digest).collect();
        let mut out: Vec<Option<Judged>> = {
            let remembered = held(&self.remembered);
            names.iter().map(|name| remembered.get(name).cloned()).collect()
        };
        let todo: Vec<usize> = (0..jobs.len()).filter(|i| out[*i].is_none()).collect();
        let mut part = Vec::new();
        let mut weight = 0;
        for i in todo {
            let more = jobs[i].weight();
            if !part.is_empty() && (part.len() >= JOBS_MAX || weight + more > MESSAGE_BYTES) {
                self.judge_part(jobs, &std::mem::take(&mut part), &mut out);
                weight = 0;
            }
            part.push(i);
            weight += more;
        }
        self.judge_part(jobs, &part, &mut out);
        let out = jobs.iter().zip(out);
        let out: Vec<Judged> = out
            .map(|(job, judged)| judged.unwrap_or_else(|| Judged::all(job, &Verdict::Unjudged)))
            .collect();
        let mut remembered = held(&self.remembered);
        for (name, judged) in names.into_iter().zip(&out) {
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            if !judged.verdicts.contains(&Verdict::Unjudged) {
                remembered.insert(name, judged.clone());
            }
        }
        out
    }

    /// Judges one job.
    #[must_use]
    pub fn judge_one(&self, job: &Job) -> Judged {
        let judged = self.judge(std::slice::from_ref(job));
        judged.into_iter().next().unwrap_or_else(|| Judged::all(job, &Verdict::Unjudged))
    }

    /// Takes strangers' documents apart into the changes that they were made of; nothing for one that
    /// does not hold, or ended the worker. Never fails.
    #[must_use]
    pub fn apart(&self, documents: &[Job]) -> Vec<Option<Vec<Part>>> {
        let mut out = vec![None; documents.len()];
        self.judge_part(documents, &(0..documents.len()).collect::<Vec<_>>(), &mut out);
        out.into_iter().map(|judged| judged.and_then(|judged| judged.parts)).collect()
    }

    fn judge_part(&self, jobs: &[Job], part: &[usize], out: &mut [Option<Judged>]) {
        let asked: Vec<Job> = part.iter().map(|i| jobs[*i].clone()).collect();
        if let Some(Ok(all)) = self.ask(&asked) {
            for (i, judged) in part.iter().zip(all) {
                out[*i] = Some(judged);
            }
            return;
        }
        // One of them ended the worker: each for itself.
        for i in part {
            out[*i] = Some(self.alone(&jobs[*i]));
        }
    }

    /// A job for itself: whole if it can be, else change by change, siblings first to be saved.
    fn alone(&self, job: &Job) -> Judged {
        match self.ask(std::slice::from_ref(job)) {
            Some(Ok(mut judged)) if judged.len() == 1 => return judged.remove(0),
            Some(Err(Fatal)) => {}
            _ => return Judged::all(job, &Verdict::Unjudged),
        }
        let mut judged = Judged::all(job, &Verdict::Waiting);
        let mut good: Vec<usize> = Vec::new();
        let mut fatal: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        loop {
            let before = good.len();
            for (i, candidate) in job.candidates().iter().enumerate() {
                if judged.verdicts[i] != Verdict::Waiting {
                    continue;
                }
                if fatal.get(&candidate.actor).is_some_and(|n| *n >= FATAL_MAX) {
                    judged.verdicts[i] = Verdict::Unjudged;
                    continue;
                }
                if let Err(refusal) = envelope(&candidate.chunk) {
                    judged.verdicts[i] = Verdict::Refused(refusal.to_string());
                    continue;
                }
                let verdict = self.among(job, &good, candidate);
                match verdict {
                    Verdict::Good => good.push(i),
                    Verdict::Fatal => *fatal.entry(candidate.actor).or_default() += 1,
                    _ => {}
                }
                judged.verdicts[i] = verdict;
            }
            if good.len() == before {
                break;
            }
        }
        judged.order = good.iter().filter_map(|i| u32::try_from(*i).ok()).collect();
        judged
    }

    /// What becomes of a candidate on top of what was found good.
    fn among(&self, job: &Job, good: &[usize], candidate: &Candidate) -> Verdict {
        let before = good.iter().filter_map(|i| job.candidates().get(*i)).cloned();
        let candidates: Vec<Candidate> = before.chain([candidate.clone()]).collect();
        match self.ask(&[job.with(candidates)]) {
            Some(Ok(judged)) => {
                let verdict = judged.first().and_then(|j| j.verdicts.last());
                verdict.cloned().unwrap_or(Verdict::Unjudged)
            }
            Some(Err(Fatal)) => Verdict::Fatal,
            None => Verdict::Unjudged,
        }
    }

    /// Asks a worker: its answer, or that the jobs ended it; nothing when there is none.
    fn ask(&self, jobs: &[Job]) -> Option<Result<Vec<Judged>, Fatal>> {
        if jobs.is_empty() {
            return Some(Ok(Vec::new()));
        }
        let Kind::Child { program, workers } = &self.kind else {
            return Some(Ok(jobs.iter().map(judge_here).collect()));
        };
        let message = job_bytes(jobs);
        if message.len() > JOB_BYTES_MAX {
            warn!(bytes = message.len(), "a document is too long for the guard; its changes wait");
            return None;
        }
        let free = workers.iter().find_map(|worker| worker.try_lock().ok());
        let mut place = free.unwrap_or_else(|| held(&workers[0]));
        // Twice: what ended from outside says nothing about the jobs.
        for _ in 0..2 {
            let mut worker = match place.take().filter(|worker| !worker.is_spent()) {
                Some(worker) => worker,
                None => Worker::start(program)?,
            };
            match worker.ask(message.clone()) {
                Outcome::Answer(answer) => match read_judged(&answer, jobs) {
                    Some(judged) => {
                        *place = Some(worker);
                        return Some(Ok(judged));
                    }
                    None => warn!("the guard's worker said what does not fit"),
                },
                Outcome::Died => return Some(Err(Fatal)),
                Outcome::Unavailable => {}
            }
        }
        None
    }
}

/// The jobs ended the worker.
struct Fatal;
