//! The county's certificates as whole programs use them: the root that goes offline, chains on the
//! wire, renewal by file, a new root, a new issuing certificate while everything runs.

use anyhow::{Context, Result, ensure};
use cunkou_tests::agent::Agent;
use cunkou_tests::bare::{Bare, Serving};
use cunkou_tests::county::{free_ports, programs, until};
use cunkou_tests::trust;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RELAY_NAME: &str = "relay.c130999.home.arpa";

fn found() -> Result<(Bare, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let bare = Bare::found(&programs()?, folder.path(), free_ports()?, "甲县")?;
    Ok((bare, folder))
}

fn enrolled(county: &Bare, name: &str) -> Result<()> {
    let file = county.offer(name, "village", "101", &county.quic())?;
    county.node(name, &["enrol", &file])?.json()?;
    Ok(())
}

/// Shakes hands as a browser would that trusts these roots; gives the chain that was shown.
fn chain(
    roots: &Path,
    address: &str,
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Vec<Vec<u8>>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots)? {
        store.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned())?;
    let mut tls = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = TcpStream::connect(address)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    let shown = tls.peer_certificates().context("a chain")?;
    Ok(shown.iter().map(|c| c.to_vec()).collect())
}

const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn ca(county: &Bare) -> PathBuf {
    county.data.join("relay/ca.pem")
}

fn warnings(county: &Bare) -> Result<String> {
    let status = county.relay(&["status"], "")?.json()?;
    Ok(status["certificates"]["warnings"].to_string())
}

#[test]
fn the_roots_key_is_set_aside_and_status_reminds_until_it_is_gone() -> Result<()> {
    let (county, folder) = found()?;
    let _relay = county.serve_relay()?;
    let key = folder.path().join("relay/offline/root-key.pem");
    ensure!(std::fs::read_to_string(&key)?.contains("PRIVATE KEY"));
    ensure!(warnings(&county)?.contains("root-key.pem"));
    std::fs::remove_dir_all(folder.path().join("relay/offline"))?;
    ensure!(warnings(&county)? == "[]", "{}", warnings(&county)?);
    // Set aside at once: nothing lies in the data folder.
    let (data, stick) = (folder.path().join("b"), folder.path().join("stick"));
    let (data, aside) = (data.display().to_string(), stick.display().to_string());
    let init = [
        "--data",
        &data,
        "init",
        "--name",
        "乙县",
        "--code",
        "130998",
        "--offline",
        &aside,
        "--single-key",
    ];
    let ran = cunkou_tests::bare::run(&county.bin.join("cunkou-relay"), &init, "")?;
    ensure!(ran.code == 0, "{}", ran.err);
    ensure!(stick.join("root-key.pem").exists() && !folder.path().join("b/offline").exists());
    Ok(())
}

#[test]
fn pages_come_over_tls_13_with_two_certificates_that_only_the_countys_root_vouches_for()
-> Result<()> {
    let (county, _one) = found()?;
    let (other, _two) = found()?;
    let _relay = county.serve_relay()?;
    let address = county.http(0);
    ensure!(chain(&ca(&county), &address, RELAY_NAME, TLS13)?.len() == 2, "leaf and issuing");
    ensure!(chain(&ca(&other), &address, RELAY_NAME, TLS13).is_err(), "another county's root");
    ensure!(chain(&ca(&county), &address, "box-1.c130999.home.arpa", TLS13).is_err(), "a name");
    ensure!(chain(&ca(&county), &address, RELAY_NAME, &[&rustls::version::TLS12]).is_err());
    Ok(())
}

#[test]
fn a_box_renews_by_file_and_takes_no_other_answer() -> Result<()> {
    let (county, folder) = found()?;
    let relay = county.serve_relay()?;
    enrolled(&county, "one")?;
    enrolled(&county, "two")?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (request, answer, wrong) =
        (path("one.request"), path("one.renewed"), path("wrong.renewed"));
    let kept = || std::fs::read(folder.path().join("one/certificates.sealed"));
    let before = kept()?;
    county.node("one", &["renew-request", "--out", &request])?.json()?;
    county.relay(&["renew", &request, "--out", &answer], "")?.json()?;
    // Another box's answer, and one that was written over.
    let two = county.node("two", &["renew", &answer])?;
    ensure!(two.code != 0 && two.err.contains("another box"), "{}", two.err);
    let text = std::fs::read_to_string(&answer)?;
    let at = text.len() / 2;
    let digit = if &text[at..=at] == "0" { "1" } else { "0" };
    std::fs::write(&wrong, format!("{}{digit}{}", &text[..at], &text[at + 1..]))?;
    let tampered = county.node("one", &["renew", &wrong])?;
    ensure!(tampered.code == 5, "{}: {}", tampered.code, tampered.err);
    ensure!(kept()? == before, "nothing was taken");
    let done = county.node("one", &["renew", &answer])?.json()?;
    ensure!(done["certificate_days"] == 89 || done["certificate_days"] == 90, "{done}");
    ensure!(kept()? != before);
    // And it talks with them; by the running box, too.
    let running = county.serve_node("one", 1, &county.quic())?;
    let completed = || {
        let status = county.node("one", &["status"]).ok()?.json().ok()?;
        status["last_completed_sync"].as_i64()
    };
    until("a completed sync", 60, completed)?;
    let (again, next) = (path("again.request"), path("again.renewed"));
    county.node("one", &["renew-request", "--out", &again])?.json()?;
    county.relay(&["renew", &again, "--out", &next], "")?.json()?;
    county.node("one", &["renew", &next])?.json()?;
    // A box that the county no longer counts gets nothing.
    let status = county.relay(&["status"], "")?.json()?;
    let device = status["boxes"][0]["device"].as_str().context("the box")?[..8].to_owned();
    county.relay(&["revoke", &device, "--reason", "被盗"], "")?.json()?;
    let refused = county.relay(&["renew", &again, "--out", &path("late.renewed")], "")?;
    ensure!(refused.code == 5 && refused.err.contains("count"), "{}", refused.err);
    drop((running, relay));
    Ok(())
}

#[test]
fn an_address_outside_the_countys_subnets_is_refused_and_the_file_still_works() -> Result<()> {
    let (county, _folder) = found()?;
    let _relay = county.serve_relay()?;
    let file = county.offer("one", "village", "101", &county.quic())?;
    let public = county.node("one", &["enrol", &file, "--address", "8.8.8.8"])?;
    ensure!(public.code == 5 && public.err.contains("8.8.8.8"), "{}", public.err);
    county.node("one", &["enrol", &file, "--address", "192.168.7.7"])?.json()?;
    let second = county.offer("two", "village", "102", &county.quic())?;
    let taken = county.node("two", &["enrol", &second, "--address", "192.168.7.7"])?;
    ensure!(taken.code == 5 && taken.err.contains("another device"), "{}", taken.err);
    county.node("two", &["enrol", &second, "--address", "192.168.7.8"])?.json()?;
    Ok(())
}

/// A county with a running relay and one box that has its agent.
fn working() -> Result<(Bare, tempfile::TempDir, Serving)> {
    let (county, folder) = found()?;
    let relay = county.serve_relay()?;
    let add = ["staff", "add", "--login", "li", "--name", "李建国", "--role", "agent"];
    county.relay(&[&add[..], &["--places", "101"]].concat(), "246810")?.json()?;
    enrolled(&county, "one")?;
    Ok((county, folder, relay))
}

#[test]
fn a_new_root_takes_over_while_everything_runs() -> Result<()> {
    let (county, folder, relay) = working()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let running = county.serve_node("one", 1, &county.quic())?;
    let first = chain(&ca(&county), &county.http(0), RELAY_NAME, TLS13)?;
    let old = path("old-ca.pem");
    std::fs::copy(ca(&county), &old)?;
    // The new root stands beside the old one; a box that renews learns of it.
    let made = county.relay(&["ca", "new-root", "--offline", &path("stick")], "")?.json()?;
    ensure!(made["trusted"] == 2, "{made}");
    let renew = |n: &str| -> Result<()> {
        let (request, answer) = (path(&format!("{n}.request")), path(&format!("{n}.renewed")));
        county.node("one", &["renew-request", "--out", &request])?.json()?;
        county.relay(&["renew", &request, "--out", &answer], "")?.json()?;
        county.node("one", &["renew", &answer])?.json()?;
        Ok(())
    };
    renew("first")?;
    // Only then the relay goes over to it, without a restart.
    let key = folder.path().join("stick/root-key.pem").display().to_string();
    county.relay(&["ca", "renew-issuing", "--root-key", &key], "")?.json()?;
    let second = until("the new chain", 20, || {
        let now = chain(&ca(&county), &county.http(0), RELAY_NAME, TLS13).ok()?;
        (now[1] != first[1]).then_some(now)
    })?;
    ensure!(second.len() == 2);
    ensure!(
        chain(Path::new(&old), &county.http(0), RELAY_NAME, TLS13).is_err(),
        "who trusts the old root alone does not believe the new chain"
    );
    // The box still talks to the relay, and its own pages go over with its next certificate.
    drop(running);
    let running = county.serve_node("one", 1, &county.quic())?;
    trust::trust(&ca(&county));
    until("the agent's key", 60, || {
        Agent::sign_in(&county.url("one", 1).ok()?, "li", "246810").ok()
    })?;
    let host = county.url("one", 1)?;
    let host = host.trim_start_matches("https://").split(':').next().unwrap_or_default().to_owned();
    let before = chain(&ca(&county), &county.http(1), &host, TLS13)?;
    renew("second")?;
    let after = until("the box's new chain", 20, || {
        let now = chain(&ca(&county), &county.http(1), &host, TLS13).ok()?;
        (now[0] != before[0]).then_some(now)
    })?;
    ensure!(after[1] == second[1] && before[1] != second[1], "from the old root to the new");
    // A key that is of no trusted root signs nothing.
    let stranger = path("stranger");
    let init = [
        "--data",
        &path("b"),
        "init",
        "--name",
        "乙县",
        "--code",
        "130998",
        "--offline",
        &stranger,
        "--single-key",
    ];
    cunkou_tests::bare::run(&county.bin.join("cunkou-relay"), &init, "")?;
    let key = folder.path().join("stranger/root-key.pem").display().to_string();
    let refused = county.relay(&["ca", "renew-issuing", "--root-key", &key], "")?;
    ensure!(refused.code == 5, "{}: {}", refused.code, refused.err);
    drop((running, relay));
    Ok(())
}
