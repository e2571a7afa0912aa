//! The command line.

use clap::{Args, Parser, Subcommand};
use cunkou_edge::carry::ferry::FerryLimits;
use cunkou_edge::carry::files::BundleLimits;
use std::net::IpAddr;
use std::path::PathBuf;

/// The box at a village service point or in a township centre.
#[derive(Debug, Parser)]
#[command(
    name = "cunkou-node",
    version,
    about = "The village or township box of Cunkou",
    after_help = "Examples:
  cunkou-node --data /var/lib/cunkou enrol yunling.enrol
  cunkou-node --data /var/lib/cunkou serve --https 0.0.0.0:443 --http 0.0.0.0:80
  cunkou-node --data /var/lib/cunkou status --json

Exit codes: 0 ok, 1 failed, 2 usage, 3 not running, 4 not enrolled, 5 refused by a rule."
)]
pub(crate) struct Options {
    /// Folder of the box's data.
    #[arg(long, env = "CUNKOU_NODE_DATA", default_value = "/var/lib/cunkou-node", global = true)]
    pub(crate) data: PathBuf,
    /// Answer with one JSON object that carries a schema number.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log JSON lines.
    #[arg(long, env = "CUNKOU_NODE_LOG_JSON", global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Become a box of the county with a one-time file, or the code of a QR, from county IT. Needs
    /// the relay.
    #[command(
        after_help = "Examples:\n  cunkou-node --data ./box enrol yunling.enrol --address 192.168.1.5\n  cunkou-node --data ./box enrol --code CUNKOU1/…"
    )]
    Enrol {
        /// The file.
        #[arg(required_unless_present = "code", conflicts_with = "code")]
        file: Option<PathBuf>,
        /// What the QR code says.
        #[arg(long)]
        code: Option<String>,
        /// An address under which tablets reach this box; may be given several times.
        #[arg(long)]
        address: Vec<IpAddr>,
        /// An HTTP proxy that is asked to CONNECT, where UDP does not get through, e.g.
        /// http://10.1.1.1:8080.
        #[arg(long, env = "CUNKOU_NODE_PROXY")]
        proxy: Option<String>,
    },
    /// Write a request to be carried to the county: enrolment where no link is.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box enrol-request yunling.enrol --out yunling.request"
    )]
    EnrolRequest {
        /// The one-time file from county IT.
        file: PathBuf,
        /// Where to write the request.
        #[arg(long)]
        out: PathBuf,
        /// An address under which tablets reach this box; may be given several times.
        #[arg(long)]
        address: Vec<IpAddr>,
    },
    /// Become a box of the county with the answer that came back as a file.
    #[command(after_help = "Example:\n  cunkou-node --data ./box enrol-finish yunling.answer")]
    EnrolFinish {
        /// The file that `cunkou-relay enrol-answer` wrote.
        file: PathBuf,
    },
    /// Bind this spare box to its places with a code from the county. Needs the relay.
    #[command(after_help = "Example:\n  cunkou-node --data ./box bind --code ABCD-EFGH-JK")]
    Bind {
        /// The code that `cunkou-relay bind-code` made.
        #[arg(long)]
        code: String,
        /// An HTTP proxy, as in `enrol`; a running box uses its own.
        #[arg(long, env = "CUNKOU_NODE_PROXY")]
        proxy: Option<String>,
    },
    /// Write a request for new certificates, to be carried to the county: where no link is.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box renew-request --out yunling.request"
    )]
    RenewRequest {
        /// Where to write it.
        #[arg(long)]
        out: PathBuf,
    },
    /// Take the new certificates that came back as a file.
    #[command(after_help = "Example:\n  cunkou-node --data ./box renew yunling.renewed")]
    Renew {
        /// The file that `cunkou-relay renew` wrote.
        file: PathBuf,
    },
    /// Every address of the pages, for tests.
    #[command(hide = true)]
    Routes,
    /// Serve the pages over HTTPS, guides over HTTP, and keep in touch with the relay.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box serve --https 0.0.0.0:443 --http 0.0.0.0:80\n\nThe same keys stand in a TOML file (--config) or in the environment as CUNKOU_NODE_HTTPS, CUNKOU_NODE_HTTP, CUNKOU_NODE_RELAYS and so on."
    )]
    Serve(ServeOptions),
    /// Write one case as a file that cunkou-verify checks anywhere. The box must be running.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box export 0004-7000-0015 --out case.cunkou\n\nThe file holds personal data and the county log with the names of all staff. Check it with: cunkou-verify case.cunkou"
    )]
    Export {
        /// Number of the case, 12 digits, with or without dashes.
        number: String,
        /// Where to write the file.
        #[arg(long)]
        out: PathBuf,
        /// Leave out the bytes of photos; their hashes stay.
        #[arg(long)]
        no_photos: bool,
    },
    /// Exchange sealed bundles with the county through watched folders, both ways: where a gate (网闸)
    /// moves files one way per folder. Runs until it is stopped; the box must be running and open.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box ferry /srv/gate\n\nThe gate takes away what lies in out/ and puts what came into in/. What was read goes to done/, what will never be taken to refused/, with a sentence beside it."
    )]
    Ferry {
        /// The folder with out, in, done and refused.
        folder: PathBuf,
        #[command(flatten)]
        limits: FerryLimits,
    },
    /// Carry what a link would carry on a stick, both ways. The box must be running and open.
    #[command(
        subcommand,
        after_help = "Examples:\n  cunkou-node --data ./box bundle export /media/stick\n  cunkou-node --data ./box bundle import /media/stick"
    )]
    Bundle(BundleAction),
    /// Send and fetch the photos of one case now, whatever today's bytes for photos are. The box must
    /// be running.
    #[command(after_help = "Example:\n  cunkou-node --data ./box send-photos 0004-7000-0015")]
    SendPhotos {
        /// Number of the case, 12 digits, with or without dashes.
        number: String,
    },
    /// Open a running box without a browser, as somebody who works there.
    #[command(
        after_help = "Example:\n  echo 2468 | cunkou-node --data ./box unlock --login li\n\nThe PIN is read from standard input and counted like one typed on the page."
    )]
    Unlock {
        /// Short name to sign in with.
        #[arg(long)]
        login: String,
    },
    /// Lock a running box now: everybody is signed out; it goes on receiving.
    #[command(after_help = "Example:\n  cunkou-node --data ./box lock")]
    Lock,
    /// Make every list and search row again from the log of entries. The box must be running and
    /// open; people may go on working. What a power cut interrupts goes on when asked again.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box rebuild\n\nWith --json each line of progress is an object with done and of; the last line is the answer."
    )]
    Rebuild,
    /// Read the whole store now and hold it against its own hashes. The box must be running and
    /// open; it does this by itself in small steps about once in 30 days.
    #[command(
        after_help = "Example:\n  cunkou-node --data ./box scrub --json\n\nWhat has rotted is not shown and not sent, and comes back from the county with the next contact."
    )]
    Scrub,
    /// Pack closed cases now, so that they take less room: entries keep their names, signatures and
    /// bytes. The box must be running and open; it does this by itself, once a day.
    #[command(after_help = "Example:\n  cunkou-node --data ./box compact --days 30")]
    Compact {
        /// Only cases to which nothing has come for so many days.
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Write a backup of the whole box, sealed to the county's recovery key: without that key the file
    /// says nothing to anybody, whatever PINs they know. The box must be running and open; people may
    /// go on working.
    #[command(
        after_help = "Examples:\n  cunkou-node --data ./box backup /media/stick\n  cunkou-node --data ./box backup /media/stick/yunling.ckn\n\nA folder gets a file of its own name. The stick must take large files (exFAT or ext4, not FAT32). The file is read back before the command says that it is done."
    )]
    Backup {
        /// A folder, or a file that is not there yet.
        to: PathBuf,
    },
    /// Make a box of a backup, on any machine, with the county's recovery key: at the county's
    /// office, never in the village. The folder must be empty; the old machine must never run again.
    #[command(
        after_help = "Example:\n  cunkou-node --data /var/lib/cunkou-node restore /media/stick/box-6f1c2a9b-2026-11-23.ckn --key /media/safe/recovery.key\n\nIt is checked before it is put in place. What was sent after the backup comes back from the county with the first contact; what was erased meanwhile is erased again. People sign in with the PINs of the day of the backup."
    )]
    Restore {
        /// The backup.
        from: PathBuf,
        /// The county's recovery key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Measure the link to the first relay, with both ways of congestion control, and say which
    /// settings fit. Says first how much it will use. Needs UDP to the relay.
    #[command(
        after_help = "Examples:\n  cunkou-node --data ./box link-test\n  cunkou-node --data ./box link-test --kilobytes 256 --json"
    )]
    LinkTest(LinkTest),
    /// How the box is.
    #[command(after_help = "Example:\n  cunkou-node --data ./box status --json")]
    Status,
}

/// Bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleAction {
    /// Write what the county lacks into a sealed file that only the county opens.
    #[command(
        after_help = "Examples:\n  cunkou-node --data ./box bundle export /media/stick\n  cunkou-node --data ./box bundle export /media/stick --size 2G\n\nWhen one stick is full, run the same again for the next. Everything stays on the box until the county has said, by a bundle of its own or over a link, that it has it."
    )]
    Export {
        /// A folder, where the file gets a name of its own, or a file that is not there yet.
        to: PathBuf,
        #[command(flatten)]
        limits: BundleLimits,
    },
    /// Take in a bundle of the county, or all in a folder that are for this box. Twice is harmless.
    #[command(after_help = "Example:\n  cunkou-node --data ./box bundle import /media/stick")]
    Import {
        /// A file or a folder.
        from: PathBuf,
    },
}

/// How much a test of the link may use.
#[derive(Debug, Args)]
pub(crate) struct LinkTest {
    /// One transfer moves so many kilobytes at most; there are four. 24 to 8192.
    #[arg(long, default_value_t = 1024)]
    pub(crate) kilobytes: u64,
    /// One transfer lasts about so many seconds. 1 to 20.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// TOML file with the keys https, http, relays, addresses, hours, lock_after, photo_bytes, link
    /// (wired, 4g, 2g or satellite), congestion, mtu_discovery, proxy, neighbours (false: boxes nearby
    /// are neither looked for nor answered) and neighbours_after (seconds without a relay).
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Address of the pages, e.g. 0.0.0.0:443.
    #[arg(long)]
    pub(crate) https: Option<String>,
    /// Address for guides and the county's root certificate, without input, e.g. 0.0.0.0:80; not
    /// served when it is not given.
    #[arg(long)]
    pub(crate) http: Option<String>,
    /// Lock by itself when nobody was signed in for so many minutes; without it the box stays open
    /// until it is locked or switched off.
    #[arg(long)]
    pub(crate) lock_after: Option<u64>,
    /// Move at most so many bytes of photos on one day, both ways together; without it as many as
    /// there are.
    #[arg(long)]
    pub(crate) photo_bytes: Option<u64>,
    /// Address of the relay, host:port, instead of those in the enrolment file.
    #[arg(long)]
    pub(crate) relay: Vec<String>,
}
