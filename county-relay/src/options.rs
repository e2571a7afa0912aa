//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The county's relay and console.
#[derive(Debug, Parser)]
#[command(
    name = "cunkou-relay",
    version,
    about = "The county's relay and console of Cunkou",
    after_help = "Examples:
  cunkou-relay --data /var/lib/cunkou init --name 云溪县 --code 130999
  cunkou-relay --data /var/lib/cunkou catalogue publish ./catalogue
  cunkou-relay --data /var/lib/cunkou serve --http 0.0.0.0:8080 --quic 0.0.0.0:4443
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
    /// Found a county: its keys, its log, its certificates.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county init --name 云溪县 --code 130999 --host relay.example"
    )]
    Init {
        /// Name of the county.
        #[arg(long)]
        name: String,
        /// Six-digit code of the county.
        #[arg(long)]
        code: String,
        /// Name by which boxes know the relay in its certificate.
        #[arg(long, default_value = "relay.cunkou.home.arpa")]
        host: String,
    },
    /// Serve the console over HTTP and boxes over QUIC.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county serve --http 127.0.0.1:8080 --quic 127.0.0.1:4443\n\nThe same keys stand in a TOML file (--config) or in the environment as CUNKOU_RELAY_HTTP and so on."
    )]
    Serve(ServeOptions),
    /// Make a one-time file that enrols a box.
    #[command(
        after_help = "Example:\n  cunkou-relay --data ./county enrol --kind village --name 云岭村代办服务点 --places 101,102,103 --relay 192.0.2.1:4443 --out yunling.enrol"
    )]
    Enrol {
        /// What the box is.
        #[arg(long)]
        kind: BoxKind,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Ids of the villages it serves, with commas.
        #[arg(long, value_delimiter = ',', required = true)]
        places: Vec<u32>,
        /// Telephone of the point, printed on receipts.
        #[arg(long, default_value = "")]
        phone: String,
        /// Address of the relay as the box reaches it, host:port; may be given several times.
        #[arg(long, required = true)]
        relay: Vec<String>,
        /// The file is valid for so many hours.
        #[arg(long, default_value_t = 72)]
        hours: u32,
        /// Where to write the file.
        #[arg(long)]
        out: PathBuf,
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
    /// Revoke a box: it is cut off at once.
    #[command(after_help = "Example:\n  cunkou-relay --data ./county revoke 6f1c… --reason stolen")]
    Revoke {
        /// Id of the box, or its beginning, as the console lists it.
        device: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// The lease of a box that has not reached the county for long.
    #[command(
        subcommand,
        after_help = "Example:\n  cunkou-relay --data ./county lease extend 6f1c… --challenge 12345678"
    )]
    Lease(LeaseAction),
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

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// TOML file with the keys http and quic.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Address of the console, e.g. 0.0.0.0:8080.
    #[arg(long)]
    pub(crate) http: Option<String>,
    /// Address for boxes, e.g. 0.0.0.0:4443.
    #[arg(long)]
    pub(crate) quic: Option<String>,
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
        after_help = "Example:\n  cunkou-relay --data ./county staff remove --login li --reason 离职"
    )]
    Remove {
        /// Login.
        #[arg(long)]
        login: String,
        /// Why.
        #[arg(long)]
        reason: String,
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
    /// 县信息员
    It,
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
