//! The county: founded once, started, watched, ended.

use crate::processes::Node;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;

/// Role, login, name, PIN, places, departments, and the node where they sign in.
type PersonRow = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const PEOPLE: [PersonRow; 8] = [
    ("agent", "li", "李建国", "246810", "101,102,103", "", "village1"),
    ("agent", "sun", "孙丽", "135790", "104", "", "village2"),
    ("township", "wang", "王芳", "112233", "10", "", "township"),
    ("reviewer", "zhao", "赵敏", "445566", "1", "县民政局", "relay"),
    (
        "reviewer",
        "qian",
        "钱伟",
        "556677",
        "1",
        "县退役军人事务局,县农业农村局,县卫生健康局",
        "relay",
    ),
    ("finance", "zhou", "周洁", "667788", "1", "", "relay"),
    ("it", "he", "何平", "778899", "1", "", "relay"),
    ("data-officer", "lu", "卢静", "889900", "1", "", "relay"),
];

/// Name, kind, enrolment's name, places, and how many residents they hold.
const BOXES: [(&str, &str, &str, &str, u64); 3] = [
    ("township", "township", "清河镇便民服务中心", "10,101,102,103,104", 2100),
    ("village1", "village", "云岭村代办服务点", "101,102,103", 1520),
    ("village2", "village", "石桥村代办服务点", "104", 580),
];

const RESIDENTS: u64 = 3000;
const HOURS: &str = "周一至周五 8:30–17:30";
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct County {
    root: PathBuf,
    bin: PathBuf,
    data: PathBuf,
    port_base: u16,
    json: bool,
    begun: Instant,
    nodes: Vec<Node>,
}

impl County {
    pub(crate) fn new(
        root: PathBuf,
        bin: PathBuf,
        data: PathBuf,
        port_base: u16,
        json: bool,
    ) -> Self {
        Self { root, bin, data, port_base, json, begun: Instant::now(), nodes: Vec::new() }
    }

    #[expect(clippy::print_stderr, reason = "progress goes to the terminal")]
    fn say(&self, words: &str) {
        eprintln!("[{:5.1} s] {words}", self.begun.elapsed().as_secs_f32());
    }

    fn relay_data(&self) -> PathBuf {
        self.data.join("relay")
    }

    fn http(&self, i: u16) -> String {
        format!("127.0.0.1:{}", self.port_base + i)
    }

    /// Where guides and the county's certificate are, without TLS.
    fn open(&self, i: u16) -> String {
        format!("127.0.0.1:{}", self.port_base + 20 + i)
    }

    fn quic(&self) -> String {
        format!("127.0.0.1:{}", self.port_base + 10)
    }

    /// Runs a public command and gives its answer.
    async fn command(
        &self,
        program: &str,
        data: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Result<Value> {
        let mut child = Command::new(self.bin.join(program))
            .arg("--json")
            .arg("--data")
            .arg(data)
            .args(arguments)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!(
                "{program} {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }

    async fn relay(&self, arguments: &[&str], input: &str) -> Result<Value> {
        self.command("cunkou-relay", &self.relay_data(), arguments, input).await
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        let marker = self.data.join("demo.json");
        let fresh = !marker.exists();
        std::fs::create_dir_all(self.data.join("logs"))?;
        // Taken before anything else, so that two demos cannot run on one folder.
        let socket = self.data.join("demo.sock");
        if UnixStream::connect(&socket).await.is_ok() {
            bail!("a demo is running on {} already", self.data.display());
        }
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let result = tokio::select! {
            result = self.live(fresh, &marker, listener) => result,
            _ = interrupted() => {
                self.say("ending the county");
                Ok(())
            }
        };
        for node in self.nodes.iter_mut().rev() {
            if node.child.is_some() {
                let _ = node.stop().await;
            }
        }
        let _ = std::fs::remove_file(&socket);
        result
    }

    async fn live(&mut self, fresh: bool, marker: &Path, listener: UnixListener) -> Result<()> {
        if fresh {
            if self.relay_data().join("county.sealed").exists() {
                self.say("the last founding was cut off; beginning again");
                for name in ["relay", "township", "village1", "village2"] {
                    let _ = std::fs::remove_dir_all(self.data.join(name));
                    let _ = std::fs::remove_file(self.data.join(format!("{name}.enrol")));
                }
            }
            self.found().await?;
        } else {
            self.say("continuing the county of last time");
        }
        self.prepare_nodes()?;
        self.nodes[0].start()?;
        self.say("the relay is starting");
        self.wait_http(0).await?;
        if fresh {
            self.enrol().await?;
            std::fs::write(marker, json!({ "schema": 1 }).to_string())?;
        }
        for node in &mut self.nodes[1..] {
            node.start()?;
        }
        self.wait_residents().await?;
        self.nodes[0].named = format!("https://relay.c130999.home.arpa:{}", self.port_base);
        self.announce();
        self.watch(listener).await
    }

    async fn found(&self) -> Result<()> {
        let county = self.root.join("tests/demo/county");
        let path = |file: &str| county.join(file).display().to_string();
        let catalogue = self.root.join("county-relay/catalogue").display().to_string();
        self.say("founding 云溪县");
        // The address, so that a person can look at the demo without names being resolved.
        let init = [
            "init",
            "--name",
            "云溪县",
            "--code",
            "130999",
            "--address",
            "127.0.0.1",
            "--single-key",
        ];
        self.relay(&init, "").await?;
        let published = self
            .relay(&["catalogue", "publish", &catalogue, "--places", &path("places.json")], "")
            .await?;
        self.say(&format!(
            "published the catalogue: {} items, {} places",
            published["items"], published["places"]
        ));
        for (role, login, name, pin, places, department, _) in PEOPLE {
            let mut arguments = vec![
                "staff", "add", "--login", login, "--name", name, "--role", role, "--places",
                places,
            ];
            if !department.is_empty() {
                arguments.extend(["--department", department]);
            }
            self.relay(&arguments, pin).await?;
        }
        self.say(&format!("added {} people", PEOPLE.len()));
        for file in ["residents-qinghe.xlsx", "residents-baiyun.csv"] {
            let done = self.relay(&["import", "residents", &path(file), "--as", "he"], "").await?;
            self.say(&format!("imported {} residents from {file}", done["imported"]));
        }
        Ok(())
    }

    fn prepare_nodes(&mut self) -> Result<()> {
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = self.data.join(format!("{name}.toml"));
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let program = |name: &str| self.bin.join(name).display().to_string();
        let config = write(
            "relay",
            format!(
                "https = \"{}\"\nhttp = \"{}\"\nquic = \"{}\"\nhours = \"{HOURS}\"\n",
                self.http(0),
                self.open(0),
                self.quic(),
            ),
        )?;
        let mut nodes = vec![Node {
            name: "relay",
            kind: "relay",
            place: "云溪县".into(),
            argv: vec![
                program("cunkou-relay"),
                "--data".into(),
                self.relay_data().display().to_string(),
                "serve".into(),
                "--config".into(),
                config.display().to_string(),
            ],
            config,
            url: format!("https://{}", self.http(0)),
            named: String::new(),
            open: format!("http://{}", self.open(0)),
            quic: Some(self.quic()),
            log: self.data.join("logs/relay.log"),
            child: None,
        }];
        for (i, (name, kind, place, ..)) in (1u16..).zip(BOXES) {
            let config = write(
                name,
                format!(
                    "https = \"{}\"\nhttp = \"{}\"\nrelays = [\"{}\"]\naddresses = [\"127.0.0.1\"]\nhours = \"{HOURS}\"\nlink = \"wired\"\nneighbours = false\n",
                    self.http(i),
                    self.open(i),
                    self.quic(),
                ),
            )?;
            nodes.push(Node {
                name,
                kind,
                place: place.into(),
                argv: vec![
                    program("cunkou-node"),
                    "--data".into(),
                    self.data.join(name).display().to_string(),
                    "serve".into(),
                    "--config".into(),
                    config.display().to_string(),
                ],
                config,
                url: format!("https://{}", self.http(i)),
                named: String::new(),
                open: format!("http://{}", self.open(i)),
                quic: None,
                log: self.data.join(format!("logs/{name}.log")),
                child: None,
            });
        }
        self.nodes = nodes;
        Ok(())
    }

    async fn enrol(&self) -> Result<()> {
        for (name, kind, place, places, _) in BOXES {
            let file = self.data.join(format!("{name}.enrol"));
            let shown = file.display().to_string();
            let phone = if kind == "village" { "0317-5550101" } else { "0317-5550110" };
            self.relay(
                &[
                    "enrol",
                    "--kind",
                    kind,
                    "--name",
                    place,
                    "--places",
                    places,
                    "--phone",
                    phone,
                    "--relay",
                    &self.quic(),
                    "--out",
                    &shown,
                ],
                "",
            )
            .await?;
            self.command(
                "cunkou-node",
                &self.data.join(name),
                &["enrol", &shown, "--address", "127.0.0.1"],
                "",
            )
            .await?;
            std::fs::remove_file(&file)?;
        }
        self.say("enrolled three boxes with their one-time files");
        Ok(())
    }

    async fn wait_http(&mut self, i: usize) -> Result<()> {
        let address = self.nodes[i].url.trim_start_matches("https://").to_owned();
        let until = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            if let Some(status) = self.nodes[i].reap() {
                bail!(
                    "{} ended with {status}; see {}",
                    self.nodes[i].name,
                    self.nodes[i].log.display()
                );
            }
            if Instant::now() > until {
                bail!(
                    "{} does not answer; see {}",
                    self.nodes[i].name,
                    self.nodes[i].log.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn wait_residents(&mut self) -> Result<()> {
        for (i, (name, _, place, _, residents)) in BOXES.iter().enumerate() {
            self.wait_http(i + 1).await?;
            let until = Instant::now() + PATIENCE;
            let mut told = Instant::now();
            loop {
                let status =
                    self.command("cunkou-node", &self.data.join(name), &["status"], "").await;
                if status.as_ref().is_ok_and(|s| s["locked"] == true)
                    && let Some((_, login, _, pin, ..)) =
                        PEOPLE.iter().find(|person| person.6 == *name)
                {
                    // As the first of the day does; until the wrapped key has come it fails.
                    let arguments = ["unlock", "--login", login];
                    let _ =
                        self.command("cunkou-node", &self.data.join(name), &arguments, pin).await;
                }
                let (held, catalogue) = match &status {
                    Ok(s) => {
                        let host = s["host"].as_str().unwrap_or_default();
                        let port = self.port_base + u16::try_from(i + 1).unwrap_or(0);
                        self.nodes[i + 1].named = format!("https://{host}:{port}");
                        (s["residents"].as_u64().unwrap_or(0), s["catalogue"].is_string())
                    }
                    Err(_) => (0, false),
                };
                if held >= *residents && catalogue {
                    self.say(&format!("{place} holds its {held} residents"));
                    break;
                }
                if let Some(status) = self.nodes[i + 1].reap() {
                    bail!("{name} ended with {status}; see {}", self.nodes[i + 1].log.display());
                }
                if Instant::now() > until {
                    bail!(
                        "{name} did not get its residents; see {}",
                        self.nodes[i + 1].log.display()
                    );
                }
                if told.elapsed() > Duration::from_secs(2) {
                    self.say(&format!("{place}: {held} of {residents} residents"));
                    told = Instant::now();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the table is the demo's answer")]
    fn announce(&self) {
        let ready_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.json {
            let nodes: Vec<Value> = self.nodes.iter().map(|n| json!({
                "name": n.name, "kind": n.kind, "place": n.place, "url": n.url, "named": n.named, "open": n.open, "quic": n.quic,
                "pid": n.pid(), "argv": n.argv, "config": n.config,
            })).collect();
            let people: Vec<Value> = PEOPLE.iter().map(|(role, login, name, pin, places, _, node)| json!({
                "role": role, "login": login, "name": name, "pin": pin, "node": node,
                "places": places.split(',').filter_map(|p| p.parse::<u32>().ok()).collect::<Vec<_>>(),
            })).collect();
            println!(
                "{}",
                json!({
                    "schema": 1, "ready_ms": ready_ms, "ca": self.relay_data().join("ca.pem"),
                    "data": self.data, "nodes": nodes, "people": people,
                })
            );
            return;
        }
        println!(
            "\n云溪县 is ready: {RESIDENTS} residents, ready in {:.1} s\n",
            ready_ms as f64 / 1000.0
        );
        println!("  {:<10} {:<24} where", "node", "address");
        for node in &self.nodes {
            println!("  {:<10} {:<24} {}", node.name, node.url, node.place);
        }
        println!("\n  {:<10} {:<8} {:<8} name, role", "at", "login", "PIN");
        for (role, login, name, pin, _, department, node) in PEOPLE {
            println!("  {node:<10} {login:<8} {pin:<8} {name}, {role} {department}");
        }
        println!(
            "\nYour browser does not know this made-up county's certificate: click through, or install\n{}\n(only for the demo; how an office does it: {}/ca)",
            self.relay_data().join("ca.pem").display(),
            self.nodes[2].open,
        );
        println!("\nTry: sign in at {} as 李建国, find 张桂兰, file 高龄津贴.", self.nodes[2].url);
        println!(
            "cargo demo stop relay / start relay cuts and restores the county. Ctrl-C ends all."
        );
    }

    /// Serves `stop` and `start` and notices nodes that end by themselves.
    async fn watch(&mut self, listener: UnixListener) -> Result<()> {
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    if let Err(error) = self.answer(stream).await {
                        self.say(&format!("a command broke off: {error}"));
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    for i in 0..self.nodes.len() {
                        if let Some(status) = self.nodes[i].reap() {
                            let name = self.nodes[i].name;
                            self.say(&format!("{name} ended ({status}); start it again with: cargo demo start {name}"));
                        }
                    }
                }
            }
        }
    }

    async fn answer(&mut self, stream: UnixStream) -> Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).await?;
        let (what, name) = line.trim().split_once(' ').unwrap_or_default();
        let known: Vec<&str> = self.nodes.iter().map(|n| n.name).collect();
        let answer = match self.nodes.iter().position(|n| n.name == name) {
            None => format!("no there is no node {name}; there are {}", known.join(", ")),
            Some(i) => {
                self.nodes[i].reap();
                let done =
                    if what == "stop" { self.nodes[i].stop().await } else { self.nodes[i].start() };
                match done {
                    Ok(()) => {
                        if what == "start" {
                            self.wait_http(i).await?;
                        }
                        self.say(&format!("{what} {name}"));
                        format!("ok {name}: {what} done")
                    }
                    Err(error) => format!("no {error}"),
                }
            }
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
        Ok(())
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
