//! The command line.

use crate::home::{self, Guards, Naming};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cunkou_casework::county::Power;
use cunkou_edge::carry::ferry::FerryLimits;
use cunkou_edge::carry::files::BundleLimits;
use cunkou_edge::cli::Failure;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The county's relay and console.
#[derive(Debug, Parser)]
#[command(
    name = "cunkou-relay",
    version,
    about = "The county's relay and console of Cunkou",
    after_help = "Examples:
  cunkou-relay --data /var/lib/cunkou init --name 云溪县 --code 130999 --administrators 张敏,李强,王芳
  cunkou-relay --data /var/lib/cunkou catalogue publish ./catalogue
  cunkou-relay --data /var/lib/cunkou serve --https 0.0.0.0:443 --http 0.0.0.0:80 --quic 0.0.0.0:4443
  cunkou-relay --data /var/lib/cunkou status --json

Exit codes: 0 ok, 1 failed, 2 usage, 3 not running, 4 not founded, 5 refused by a rule."
)]
pub(crate) struct Options {
    /// Folder of the county's data.
    #[arg(long, env = "CUNKOU_RELAY_DATA", default_value = "/var/lib/cunkou-relay", global = true)]
    pub(crate) data: PathBuf,
    /// Answer with one JSON object that carries a schema number.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log JSON lines.
    #[arg(long, env = "CUNKOU_RELAY_LOG_JSON", global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Found a county: its administrators, its log, its certificates.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county init --name 云溪县 --code 130999 --administrators 张敏,李强,王芳 --offline /media/stick\n  cunkou-relay --data ./demo init --name 云溪县 --code 130999 --single-key\n\nOne passphrase for each administrator is read from standard input, a line each."
    )]
    Init(InitOptions),
    /// Make an administrator's key on a machine of their own; passphrase on standard input.
    #[command(
        after_help = "Example:\n  cunkou-relay new-key --county 云溪县 --name 张敏 --out zhang.key"
    )]
    NewKey {
        /// Name of the county, for the file.
        #[arg(long)]
        county: String,
        /// The administrator's name.
        #[arg(long)]
        name: String,
        /// Where to write the file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign an act as an administrator, on any machine; passphrase on standard input.
    #[command(
        after_help = "Example:\n  cunkou-relay sign act-1f0c.json --key /media/stick/administrator-1.key\n\nWhat the act says is printed before the passphrase is read."
    )]
    Sign {
        /// The act's file.
        file: PathBuf,
        /// The administrator's key file.
        #[arg(long)]
        key: PathBuf,
    },
    /// Give a signed act its place in the county log.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county submit act-1f0c.json")]
    Submit {
        /// The act's file.
        file: PathBuf,
    },
    /// Exchange sealed bundles through watched folders, both ways: where a gate (网闸) moves files
    /// one way per folder. Runs until it is stopped.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county ferry /srv/gate --to 6f1c…\n  cunkou-relay --data ./county ferry /srv/gate --to 6f1c… --once --json\n\nThe gate takes away what lies in out/ and puts what came into in/. What was read goes to done/, what will never be taken to refused/, with a sentence beside it."
    )]
    Ferry {
        /// The folder with out, in, done and refused.
        folder: PathBuf,
        /// Id of the machine on the other side, or its beginning.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        limits: FerryLimits,
    },
    /// Carry what a link would carry on a stick, both ways.
    #[command(
        subcommand,
        after_help = "Examples:\n  cunkou-relay --data ./county bundle export --box 6f1c… /media/stick\n  cunkou-relay --data ./county bundle import /media/stick"
    )]
    Bundle(BundleAction),
    /// Who guards the county.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county administrators list"
    )]
    Administrators(Administrators),
    /// Rights handed on: who may state what by themselves.
    #[command(subcommand, after_help = "Example:\n  cunkou-relay --data ./county grant list")]
    Grant(GrantAction),
    /// Boxes with two histories: a disk restored or copied, or a box that says two things.
    #[command(subcommand, after_help = "Example:\n  cunkou-relay --data ./county forks list")]
    Forks(Forks),
    /// Serve the console over HTTPS, guides over HTTP, and boxes over QUIC.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county serve --https 0.0.0.0:443 --http 0.0.0.0:80 --quic 0.0.0.0:4443\n\nThe same keys stand in a TOML file (--config) or in the environment as CUNKOU_RELAY_HTTPS and so on."
    )]
    Serve(ServeOptions),
    /// Make a one-time file that enrols a box, and the same as a QR code.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county enrol --kind village --name 云岭村代办服务点 --places 101,102,103 --relay 192.0.2.1:4443 --out yunling.enrol --qr\n  cunkou-relay --data ./county enrol --kind village --name 备用机1 --spare --relay 192.0.2.1:4443 --out spare1.enrol"
    )]
    Enrol(Enrol),
    /// Enrol a box whose request was carried here as a file: where no link is.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county enrol-answer yunling.request --out yunling.answer"
    )]
    EnrolAnswer {
        /// The file that `cunkou-node enrol-request` wrote.
        request: PathBuf,
        /// Where to write the answer.
        #[arg(long)]
        out: PathBuf,
    },
    /// Say that a new box shows the same six words as the console.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county confirm 6f1c…")]
    Confirm {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
    },
    /// Make a one-time code that binds a spare box to its places.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county bind-code --places 101,102 --hours 72"
    )]
    BindCode {
        /// Ids of the villages it will serve, with commas.
        #[arg(long, value_delimiter = ',', required = true)]
        places: Vec<u32>,
        /// The code is valid for so many hours.
        #[arg(long, default_value_t = 72)]
        hours: u32,
    },
    /// People who work with Cunkou.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county staff list --json"
    )]
    Staff(Staff),
    /// The catalogue of items.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county catalogue publish ./catalogue"
    )]
    Catalogue(Catalogue),
    /// Import from spreadsheets.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county import residents residents.xlsx --as it"
    )]
    Import(Import),
    /// Which box serves which village.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county villages serve 6f1c… --places 101,102"
    )]
    Villages(Villages),
    /// Revoke a box: it is cut off at once.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county revoke 6f1c… --reason stolen")]
    Revoke {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Let a suspended box in again: one that sent too much that does not count. What is in
    /// quarantine stays there.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county lift 6f1c…")]
    Lift {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
    },
    /// Write one case as a file that cunkou-verify checks anywhere.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county export case 0004-7000-0015 --out case.cunkou"
    )]
    Export(Export),
    /// Checkpoints of the relay's log, signed by an auditor, too.
    #[command(subcommand, after_help = "Example:\n  cunkou-relay --data ./county checkpoint list")]
    Checkpoint(CheckpointAction),
    /// The county's certificate authority.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county ca renew-issuing --root-key /media/stick/root-key.pem"
    )]
    Ca(Ca),
    /// Answer the renewal request of a box that was carried here as a file.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county renew yunling.request --out yunling.renewed"
    )]
    Renew {
        /// The file that `cunkou-node renew-request` wrote.
        file: PathBuf,
        /// Where to write the answer.
        #[arg(long)]
        out: PathBuf,
    },
    /// Every address of the console, for tests.
    #[command(hide = true)]
    Routes,
    /// The lease of a box that has not reached the county for long.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county lease extend 6f1c… --challenge 12345678"
    )]
    Lease(LeaseAction),
    /// The code with which somebody who has forgotten their PIN sets a new one; to be read out over
    /// the phone. It is noted who was helped.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county pin-code --box 6f1c… --person li --number 12345678\n\nBe sure who is calling before you read the code: whoever has it can act in that person's name.\nIt works at that box, for this person and this number alone, once within the hour."
    )]
    PinCode {
        /// Id of the box, or its beginning, as the box shows it.
        #[arg(long = "box")]
        device: String,
        /// Login of the person.
        #[arg(long = "person")]
        login: String,
        /// The number that the box shows.
        #[arg(long)]
        number: String,
    },
    /// Make every list and search row again from the log of entries; also while serving. What a
    /// power cut interrupts goes on when asked again.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county rebuild\n\nWith --json each line of progress is an object with done and of; the last line is the answer."
    )]
    Rebuild,
    /// Read the whole store now and hold it against its own hashes; also while serving. A serving
    /// relay does this by itself in small steps about once in 30 days.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county scrub --json\n\nWhat has rotted is not shown and not sent, and comes back from boxes with their next contact."
    )]
    Scrub,
    /// Pack closed cases now, so that they take less room: entries keep their names, signatures and
    /// bytes. Also while serving; a serving relay does this by itself, once a day.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county compact --days 30")]
    Compact {
        /// Only cases to which nothing has come for so many days.
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Write a backup, sealed to the county's recovery key; also while serving.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county backup --out county.ckb")]
    Backup {
        /// Where to write it; must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make a county's folder from a backup, on any machine. The folder must be empty.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county restore --from county.ckb --key /media/safe/recovery.key"
    )]
    Restore {
        /// The backup.
        #[arg(long)]
        from: PathBuf,
        /// The county's recovery key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Open the data of a box for the county and say whether it is whole. The box must be stopped.
    #[command(
        after_help = "Example:\n  cunkou-relay recover /var/lib/cunkou-node --key /media/safe/recovery.key --give-slots"
    )]
    Recover {
        /// The box's data folder, with its machine's secret.
        folder: PathBuf,
        /// The county's recovery key.
        #[arg(long)]
        key: PathBuf,
        /// Give everybody who works there a slot, so that they can open it again.
        #[arg(long)]
        give_slots: bool,
    },
    /// How the relay is.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county status --json")]
    Status,
}

/// What to enrol.
#[derive(Debug, Args)]
pub(crate) struct Enrol {
    /// What the box is.
    #[arg(long)]
    pub(crate) kind: BoxKind,
    /// What people call it.
    #[arg(long)]
    pub(crate) name: String,
    /// Ids of the villages it serves, with commas.
    #[arg(long, value_delimiter = ',', required_unless_present = "spare")]
    pub(crate) places: Vec<u32>,
    /// A spare box: it gets its places later, with a code.
    #[arg(long, conflicts_with = "places")]
    pub(crate) spare: bool,
    /// Telephone of the point, printed on receipts.
    #[arg(long, default_value = "")]
    pub(crate) phone: String,
    /// Address of the relay as the box reaches it, host:port; may be given several times.
    #[arg(long, required = true)]
    pub(crate) relay: Vec<String>,
    /// The file is valid for so many hours.
    #[arg(long, default_value_t = 72)]
    pub(crate) hours: u32,
    /// Where to write the file.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Print a QR code, too.
    #[arg(long)]
    pub(crate) qr: bool,
    /// Write the QR code as an SVG file.
    #[arg(long)]
    pub(crate) qr_out: Option<PathBuf>,
}

/// How to found.
#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// Name of the county.
    #[arg(long)]
    name: String,
    /// Six-digit code of the county.
    #[arg(long)]
    code: String,
    /// A further name of the relay beside `relay.c<CODE>.home.arpa`; may be given several times.
    #[arg(long)]
    host: Vec<String>,
    /// Subnets in which boxes and the relay may have addresses, with commas. No certificate of
    /// this county is believed outside of them.
    #[arg(long, value_delimiter = ',', default_values_t = cunkou_link::SUBNETS.map(str::to_owned))]
    subnet: Vec<String>,
    /// An address under which browsers reach the console; may be given several times.
    #[arg(long)]
    address: Vec<IpAddr>,
    /// Names of the administrators, with commas.
    #[arg(long, value_delimiter = ',', required_unless_present = "single_key")]
    administrators: Vec<String>,
    /// So many of them must sign what binds the county.
    #[arg(long, default_value_t = 2)]
    threshold: u8,
    /// Folder for the root's key and the administrators' key files, best on a stick; by default
    /// offline in --data.
    #[arg(long)]
    offline: Option<PathBuf>,
    /// The relay enrols boxes and names agents and township staff by itself for so many days.
    #[arg(long, default_value_t = 90)]
    grant_days: u32,
    /// And for so many statements.
    #[arg(long, default_value_t = 5000)]
    grant_count: u32,
    /// One key that the relay keeps itself: for demonstrations, never for a county.
    #[arg(long, conflicts_with = "administrators")]
    single_key: bool,
}

impl InitOptions {
    /// Founds the county.
    pub(crate) fn found(&self, data: &Path) -> Result<Value, Failure> {
        let guards = if self.single_key {
            Guards::Single
        } else {
            Guards::Several {
                names: &self.administrators,
                threshold: self.threshold,
                offline: self.offline.clone().unwrap_or_else(|| data.join("offline")),
                grant_days: self.grant_days,
                grant_count: self.grant_count,
            }
        };
        let naming = Naming {
            hosts: &self.host,
            subnets: &self.subnet,
            addresses: &self.address,
            offline: self.offline.as_deref(),
        };
        home::found(data, &self.name, &self.code, &naming, &guards)
    }
}

/// Villages.
#[derive(Debug, Subcommand)]
pub(crate) enum Villages {
    /// List villages with the boxes that serve them.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county villages list")]
    List,
    /// Say which villages a box serves from now on. What it serves no more leaves it once all that
    /// was written there is at the county.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county villages serve 6f1c… --places 101,102\n\nWithout --places the box serves none."
    )]
    Serve {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
        /// Ids of all villages it serves, with commas.
        #[arg(long, value_delimiter = ',')]
        places: Vec<u32>,
    },
    /// One village becomes a part of another (撤并): the boxes of that one serve both. Cases and
    /// residents keep their ids and numbers.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county villages merge 103 --into 101"
    )]
    Merge {
        /// Id of the village that becomes a part.
        place: u32,
        /// Id of the village that it becomes a part of.
        #[arg(long)]
        into: u32,
    },
}

/// Administrators.
#[derive(Debug, Subcommand)]
pub(crate) enum Administrators {
    /// List them.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county administrators list --json")]
    List,
    /// Propose who guards the county from now on: to replace a lost key or a person.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county administrators replace --who 张敏=9f3c… --who 李强=77ab… --who 赵雷=0d41… --threshold 2\n\nThe old administrators sign by their number, and enough of the new ones, too."
    )]
    Replace {
        /// NAME=KEY, once for each; the key as new-key or list prints it.
        #[arg(long, required = true)]
        who: Vec<String>,
        /// So many of them must sign.
        #[arg(long, default_value_t = 2)]
        threshold: u8,
    },
}

/// Bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleAction {
    /// Write what a box lacks into a sealed file that only this box opens.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county bundle export --box 6f1c… /media/stick\n  cunkou-relay --data ./county bundle export --box 6f1c… /media/stick --size 2G\n\nIt carries the county's word for what came from the box. When one stick is full, run the same again for the next."
    )]
    Export {
        /// Id of the box, or its beginning, as the console lists it.
        #[arg(long = "box")]
        device: String,
        /// A folder, where the file gets a name of its own, or a file that is not there yet.
        to: PathBuf,
        #[command(flatten)]
        limits: BundleLimits,
    },
    /// Take in a bundle of a box, or all in a folder that are for this relay. Twice is harmless.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county bundle import /media/stick")]
    Import {
        /// A file or a folder.
        from: PathBuf,
    },
}

/// Boxes with two histories.
#[derive(Debug, Subcommand)]
pub(crate) enum Forks {
    /// List them.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county forks list --json")]
    List,
    /// Say that both histories of a box stay: it was restored or set up again on purpose.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county forks clear 6f1c… --reason 换硬盘后恢复"
    )]
    Clear {
        /// Id of the box, or its beginning.
        device: String,
        /// What happened.
        #[arg(long)]
        reason: String,
    },
}

/// Grants.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantAction {
    /// Propose a grant to a relay, a box or a person.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county grant add --to relay --powers village-boxes,numbers --count 800 --days 60\n  cunkou-relay --data ./county grant add --to 6f1c… --powers agents,village-boxes --places 2 --count 40 --days 365"
    )]
    Add {
        /// relay, the id of a box, or the login of a person with a key.
        #[arg(long)]
        to: String,
        /// village-boxes, township-boxes, agents, township-staff, numbers, places, catalogue, revoke.
        #[arg(long, value_delimiter = ',', required = true, value_parser = power)]
        powers: Vec<Power>,
        /// Ids of places, a township with its villages; none means the whole county.
        #[arg(long, value_delimiter = ',')]
        places: Vec<u32>,
        /// So many statements.
        #[arg(long)]
        count: u32,
        /// So many days from now.
        #[arg(long)]
        days: u32,
        /// May be handed on so often.
        #[arg(long, default_value_t = 0)]
        depth: u8,
    },
    /// End a grant now.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county grant end 3ac1… --reason 离岗"
    )]
    End {
        /// Its id, or its beginning.
        grant: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// List grants and what is left of them.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county grant list --json")]
    List,
}

fn power(word: &str) -> Result<Power, String> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|_| "no such power".to_owned())
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// TOML file with the keys https, http, quic, hours, rp_id, require_security_key and congestion
    /// (bbr or cubic).
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Address of the console, e.g. 0.0.0.0:443.
    #[arg(long)]
    pub(crate) https: Option<String>,
    /// Address for guides and the county's root certificate, without input, e.g. 0.0.0.0:80; not
    /// served when it is not given.
    #[arg(long)]
    pub(crate) http: Option<String>,
    /// Address for boxes, e.g. 0.0.0.0:4443.
    #[arg(long)]
    pub(crate) quic: Option<String>,
    /// Name that security keys are bound to: the part that all addresses of the console end with.
    /// Unless given: c, the county's code, and .home.arpa. Keys do not move to another name.
    #[arg(long)]
    pub(crate) rp_id: Option<String>,
    /// Whoever has no security key takes no step on a case.
    #[arg(long)]
    pub(crate) require_security_key: bool,
}

/// Certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Make a new issuing certificate with the root's key: every two years.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county ca renew-issuing --root-key /media/stick/root-key.pem"
    )]
    RenewIssuing {
        /// The root's private key.
        #[arg(long)]
        root_key: PathBuf,
    },
    /// Make a new root that is trusted beside the old one.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county ca new-root --offline /media/stick"
    )]
    NewRoot {
        /// Where its private key goes, and nowhere else.
        #[arg(long)]
        offline: PathBuf,
    },
}

/// What a box is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BoxKind {
    /// At a village service point.
    Village,
    /// In a township centre.
    Township,
}

/// Leases.
#[derive(Debug, Subcommand)]
pub(crate) enum LeaseAction {
    /// The code that gives a box 14 more days; to be read back over the phone.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county lease extend 6f1c… --challenge 12345678\n\nAsk who is calling before you read the code."
    )]
    Extend {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
        /// The number that the box shows.
        #[arg(long)]
        challenge: String,
    },
}

/// People.
#[derive(Debug, Subcommand)]
pub(crate) enum Staff {
    /// Add a person, or change them (same login).
    #[command(
        after_help = "Examples:\n  echo 2468 | cunkou-relay --data ./county staff add --login li --name 李建国 --role agent --places 101,102,103\n  echo 1357 | cunkou-relay --data ./county staff add --login zhao --name 赵敏 --role reviewer --places 1 --department 县民政局\n\nThe PIN (4 to 12 digits) is read from standard input."
    )]
    Add {
        /// Short name to sign in with.
        #[arg(long)]
        login: String,
        /// Name.
        #[arg(long)]
        name: String,
        /// Role.
        #[arg(long)]
        role: RoleArg,
        /// Ids of the places where they work, with commas.
        #[arg(long, value_delimiter = ',', required = true)]
        places: Vec<u32>,
        /// Departments of a reviewer, with commas.
        #[arg(long, value_delimiter = ',')]
        department: Vec<String>,
        /// Telephone.
        #[arg(long, default_value = "")]
        phone: String,
    },
    /// Take away what a person may do, from now on.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county staff remove --login li --reason 离职\n  cunkou-relay --data ./county staff remove --login li --reason 密钥被盗 --distrust\n\nSomebody who leaves keeps what they did: it counts even if it reaches the county later.\nWith --distrust only what the county already has counts; the rest is set aside and shown."
    )]
    Remove {
        /// Login.
        #[arg(long)]
        login: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Their key may be in other hands: what no relay has had yet does not count.
        #[arg(long)]
        distrust: bool,
    },
    /// Register a person's own record and their relatives' in the register of residents: cases of
    /// these they never decide. ID numbers on standard input, one a line; they replace what was
    /// registered before.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county staff kin --login zhao < relatives.txt\n\nOnly the random ids of the records go into the county log, no number."
    )]
    Kin {
        /// Login.
        #[arg(long)]
        login: String,
    },
    /// Make a one-time code with which a person registers or removes one security key; give it to
    /// them in person. It is valid for 72 hours.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county staff key-code zhao")]
    KeyCode {
        /// Login.
        login: String,
    },
    /// List people.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county staff list --json")]
    List,
}

/// A role.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleArg {
    /// 代办员
    Agent,
    /// 乡镇便民服务中心
    Township,
    /// 县级审核
    Reviewer,
    /// 县财政
    Finance,
    /// 系统管理员
    It,
    /// 安全管理员
    Security,
    /// 审计管理员
    Audit,
    /// 数据专员
    DataOfficer,
}

/// Exports.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// One case, with everything needed to check it; photos too unless told otherwise.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county export case 0004-7000-0015 --out case.cunkou\n\nThe file holds personal data and the county log with the names of all staff. Check it with: cunkou-verify case.cunkou"
    )]
    Case {
        /// Number of the case, 12 digits, with or without dashes.
        number: String,
        /// Where to write the file.
        #[arg(long)]
        out: PathBuf,
        /// Leave out the bytes of photos; their hashes stay.
        #[arg(long)]
        no_photos: bool,
    },
}

/// Checkpoints.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointAction {
    /// Write the latest checkpoint to a file that an auditor signs.
    #[command(
        after_help = "Examples:\n  cunkou-relay --data ./county checkpoint export 2026-11.checkpoint\n  cunkou-relay --data ./county checkpoint export 2026-11.checkpoint --from 48211\n\nThe file holds the county log with the names of all staff, and no case. The auditor signs it\nwith: cunkou-verify cosign FILE --key KEYFILE, and gives it back."
    )]
    Export {
        /// Where to write the file.
        file: PathBuf,
        /// Show, too, how the log went on from so many entries: what the auditor says they signed
        /// last. Needed only where their signature never came back.
        #[arg(long, value_name = "ENTRIES")]
        from: Vec<u64>,
    },
    /// Take a file back that an auditor has signed.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county checkpoint cosigned 2026-11.checkpoint --name 市审计局"
    )]
    Cosigned {
        /// The signed file.
        file: PathBuf,
        /// What the auditor is called here; kept from the last time where it is left out.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the latest checkpoint, and who signed which.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county checkpoint list --json")]
    List,
}

/// The catalogue.
#[derive(Debug, Subcommand)]
pub(crate) enum Catalogue {
    /// Publish items, working days and places from a folder with items.json, holidays.json and
    /// places.json. A broken file is named with its line, and the old catalogue stays.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county catalogue publish ./catalogue --places ./places.json"
    )]
    Publish {
        /// The folder.
        folder: PathBuf,
        /// Another file for the places.
        #[arg(long)]
        places: Option<PathBuf>,
    },
}

/// Imports.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Residents from XLSX or CSV. Good rows are imported; each bad one is named with row, column
    /// and reason.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county import residents residents.xlsx --as it"
    )]
    Residents {
        /// The file.
        file: PathBuf,
        /// Login of the IT person who imports.
        #[arg(long = "as")]
        login: String,
    },
}
