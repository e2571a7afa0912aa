//! What the worker may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Memory of the worker above what the bare program takes. Bytes.
pub const WORKER_BYTES: u64 = 256 * 1024 * 1024;
/// Processor time for one job. Seconds; the kernel counts whole ones, so up to one more.
pub const JOB_CPU_S: u64 = 2;

fn hold(resource: Resource, most: u64) -> std::io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// The address space in use. Bytes.
fn in_use() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| std::io::Error::other("no VmSize in /proc"))
}

/// Gives away everything that judging does not need. For good. Says whether the kernel filters
/// system calls too.
///
/// # Errors
/// When a limit cannot be set: the worker must then not work.
pub(crate) fn contain() -> std::io::Result<bool> {
    hold(Resource::As, in_use()? + WORKER_BYTES)?;
    // No core dump: the bytes may hold particulars.
    hold(Resource::Core, 0)?;
    hold(Resource::Fsize, 0)?;
    // Three pipes are open; nothing else can be opened, no file and no socket.
    hold(Resource::Nofile, 3)?;
    Ok(filter())
}

/// System calls left: reading and writing the pipes, memory, and the end. Anything else is
/// refused with an error instead of a signal, so that a newer libc cannot make an honest change
/// look fatal.
fn filter() -> bool {
    let left = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_prlimit64,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_sched_yield,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let Ok(arch) = std::env::consts::ARCH.try_into() else { return false };
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rules = left.into_iter().map(|call| (call, Vec::new())).collect();
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)
        .and_then(TryInto::<BpfProgram>::try_into)
        .is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
}

/// A new job begins: it gets its own processor time.
///
/// # Errors
/// When the limit cannot be set.
pub(crate) fn begin_job() -> std::io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let maximum = getrlimit(Resource::Cpu).maximum;
    let most = Rlimit { current: Some(used + JOB_CPU_S + 1), maximum };
    Ok(setrlimit(Resource::Cpu, most)?)
}
