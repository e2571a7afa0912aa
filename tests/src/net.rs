//! Networks as they are: a web server that ends TLS, and a namespace that lets little out.

use crate::county::until;
use anyhow::{Context, Result, ensure};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A real nginx that ends TLS with a certificate of its own and hands on to a relay.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Listens on `at` and hands `/link` on to the relay's pages at `relay` (host:port).
    ///
    /// # Errors
    /// When nginx is not installed or does not come up.
    pub fn start(at: SocketAddr, relay: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = rcgen::KeyPair::generate()?;
        let own = rcgen::CertificateParams::new(vec!["gate.example".into()])?.self_signed(&key)?;
        std::fs::write(folder.path().join("own.pem"), own.pem())?;
        std::fs::write(folder.path().join("own.key"), key.serialize_pem())?;
        let root = folder.path().display();
        let config = format!(
            "daemon off; pid {root}/pid; error_log {root}/error.log info; worker_processes 1;
             user root;
             events {{ worker_connections 64; }}
             http {{
                 access_log {root}/access.log;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                 server {{
                     listen {at} ssl;
                     ssl_certificate {root}/own.pem; ssl_certificate_key {root}/own.key;
                     location /link {{
                         proxy_pass https://{relay};
                         proxy_ssl_protocols TLSv1.3;
                         proxy_http_version 1.1;
                         proxy_set_header Upgrade $http_upgrade;
                         proxy_set_header Connection \"upgrade\";
                         proxy_read_timeout 90s;
                     }}
                 }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config)?;
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .context("nginx is not installed; run ./tests/run link")?;
        let this = Self { process, folder };
        until("nginx listens", 10, || TcpStream::connect(at).ok())?;
        Ok(this)
    }

    /// What it wrote of requests that have ended.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(pid) =
            i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// A network namespace behind one cable. Needs root.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The address of this side of the cable.
    pub here: &'static str,
}

/// A subnet for documentation: nobody's.
const HERE: &str = "198.51.100.1";
const THERE: &str = "198.51.100.2";

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let done = Command::new(program).args(arguments).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

impl Namespace {
    /// A new one, which lets everything out.
    ///
    /// # Errors
    /// When it is not permitted.
    pub fn new() -> Result<Self> {
        let name = format!("cunkou{}", std::process::id());
        let (near, far) = Self::cable();
        run("ip", &["netns", "add", &name])?;
        let this = Self { name, here: HERE };
        run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far])?;
        run("ip", &["link", "set", &far, "netns", &this.name])?;
        run("ip", &["addr", "add", &format!("{HERE}/30"), "dev", &near])?;
        run("ip", &["link", "set", &near, "up"])?;
        this.inside("ip", &["addr", "add", &format!("{THERE}/30"), "dev", &far])?;
        this.inside("ip", &["link", "set", "lo", "up"])?;
        this.inside("ip", &["link", "set", &far, "up"])?;
        Ok(this)
    }

    /// Makes the cable a local network besides: private addresses at both ends. Gives the one of this
    /// side.
    ///
    /// # Errors
    /// When it is not permitted.
    pub fn local_network(&self) -> Result<&'static str> {
        let (near, far) =
            (format!("ck{}a", std::process::id()), format!("ck{}b", std::process::id()));
        run("ip", &["addr", "add", "10.213.47.1/24", "dev", &near])?;
        self.inside("ip", &["addr", "add", "10.213.47.2/24", "dev", &far])?;
        for (end, inside) in [(&near, false), (&far, true)] {
            let on = ["link", "set", end, "multicast", "on"];
            if inside { self.inside("ip", &on)? } else { run("ip", &on)? }
        }
        Ok("10.213.47.1")
    }

    /// Runs a command inside.
    ///
    /// # Errors
    /// When it fails.
    pub fn inside(&self, program: &str, arguments: &[&str]) -> Result<()> {
        run("ip", &[&["netns", "exec", &self.name, program][..], arguments].concat())
    }

    /// From now on nothing leaves but TCP to port 443.
    ///
    /// # Errors
    /// When the kernel has no nftables.
    pub fn only_443(&self) -> Result<()> {
        let chain = "{ type filter hook output priority 0; policy drop; }";
        self.inside("nft", &["add", "table", "inet", "gate"])?;
        self.inside("nft", &["add", "chain", "inet", "gate", "out", chain])?;
        self.inside("nft", &["add", "rule", "inet", "gate", "out", "oif", "lo", "accept"])?;
        self.inside("nft", &["add", "rule", "inet", "gate", "out", "tcp", "dport", "443", "accept"])
    }

    /// Starts a program inside.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, argv: &[String], log: &Path) -> Result<Child> {
        let log = std::fs::File::create(log)?;
        Ok(Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?)
    }
}

/// A prefix for documentation: nobody's.
const SIX: &str = "2001:db8:ca5e::";

impl Namespace {
    /// From now on there is IPv6 alone, to the returned address of this side.
    ///
    /// # Errors
    /// When the kernel has no IPv6.
    pub fn only_six(&self) -> Result<String> {
        let (near, far) = Self::cable();
        let (here, there) = (format!("{SIX}1"), format!("{SIX}2"));
        run("ip", &["-6", "addr", "add", &format!("{here}/64"), "dev", &near, "nodad"])?;
        self.inside("ip", &["-6", "addr", "add", &format!("{there}/64"), "dev", &far, "nodad"])?;
        self.inside("ip", &["-4", "addr", "flush", "dev", &far])?;
        Ok(here)
    }

    /// Another modem: the address inside is another, and the first one is gone.
    ///
    /// # Errors
    /// When it cannot be changed.
    pub fn moves(&self) -> Result<()> {
        let (_, far) = Self::cable();
        let (old, new) = (format!("{SIX}2/64"), format!("{SIX}77/64"));
        self.inside("ip", &["-6", "addr", "add", &new, "dev", &far, "nodad"])?;
        self.inside("ip", &["-6", "addr", "del", &old, "dev", &far])
    }

    /// The names of both ends of the cable.
    fn cable() -> (String, String) {
        let number = std::process::id();
        (format!("ck{number}a"), format!("ck{number}b"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}
