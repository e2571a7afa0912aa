//! What certificates of a county may carry, and what they hold.

use cunkou_link::{Bounds, Facts, Purpose, RootAuthority, WebKey, is_web_key};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::time::Duration;

const DAY: i64 = 24 * 3_600_000;
const NOW: i64 = 1_780_272_000_000;

/// Whether somebody who trusts the root believes a certificate of this name or address.
fn believed(names: &[&str], addresses: &[&str], asked: &str) -> bool {
    let bounds = Bounds { hosts: vec!["relay.example".into()], ..Bounds::of("130999") };
    let root = RootAuthority::found("云溪县", &bounds, NOW).expect("as the test made it");
    let issuing = root.issuing(NOW).expect("as the test made it");
    let key = WebKey::generate().expect("as the test made it").public();
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let addresses: Vec<_> =
        addresses.iter().map(|a| a.parse().expect("as the test made it")).collect();
    let leaf =
        issuing.issue(&key, &names, &addresses, Purpose::Web, NOW).expect("as the test made it");
    let root = CertificateDer::from(root.certificate().to_vec());
    let anchors = [webpki::anchor_from_trusted_cert(&root).expect("as the test made it")];
    let between = [CertificateDer::from(issuing.certificate().to_vec())];
    let leaf = CertificateDer::from(leaf);
    let leaf = webpki::EndEntityCert::try_from(&leaf).expect("as the test made it");
    let at = UnixTime::since_unix_epoch(Duration::from_millis(NOW.unsigned_abs()));
    let chain = leaf.verify_for_usage(
        &[webpki::ring::ECDSA_P256_SHA256],
        &anchors,
        &between,
        at,
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    let name = ServerName::try_from(asked.to_owned()).expect("as the test made it");
    chain.is_ok() && leaf.verify_is_valid_for_subject_name(&name).is_ok()
}

#[test]
fn the_root_vouches_for_the_countys_names_and_addresses_alone() {
    let named = "box-0011aabb.c130999.home.arpa";
    assert!(believed(&[named], &[], named));
    assert!(believed(&[named], &["192.168.1.5"], "192.168.1.5"));
    assert!(believed(&[named], &["127.0.0.1", "fd00::1"], "fd00::1"));
    assert!(believed(&["relay.example"], &[], "relay.example"));
    for other in ["box-1.c130998.home.arpa", "home.arpa", "www.example.com", "xc130999.home.arpa"] {
        assert!(!believed(&[other], &[], other), "{other}");
    }
    for other in ["8.8.8.8", "172.32.0.1", "2001:db8::1"] {
        assert!(!believed(&[], &[other], other), "{other}");
    }
    assert!(!believed(&[named, "www.example.com"], &[], named), "one bad name spoils it");
}

#[test]
fn certificates_live_as_long_as_they_should() {
    let bounds = Bounds::of("130999");
    let root = RootAuthority::found("云溪县", &bounds, NOW).expect("as the test made it");
    let issuing = root.issuing(NOW).expect("as the test made it");
    let key = WebKey::generate().expect("as the test made it").public();
    let issue = |now| {
        let leaf = issuing.issue(&key, &["a.c130999.home.arpa".into()], &[], Purpose::Web, now);
        Facts::read(&leaf.expect("as the test made it")).expect("as the test made it")
    };
    let facts = issue(NOW);
    assert_eq!(facts.from_ms, NOW - 3_600_000);
    assert_eq!(facts.until_ms, NOW + 90 * DAY);
    let ends = Facts::read(issuing.certificate()).expect("as the test made it").until_ms;
    assert_eq!(ends, NOW + 730 * DAY);
    assert_eq!(issue(ends - DAY).until_ms, ends, "none outlives the one that issued it");
    assert_eq!(facts.key, key);
    assert!(is_web_key(&key));
}

#[test]
fn a_root_key_is_matched_with_its_certificate() {
    let bounds = Bounds::of("130999");
    let root = RootAuthority::found("云溪县", &bounds, NOW).expect("as the test made it");
    let other = RootAuthority::found("云溪县", &bounds, NOW).expect("as the test made it");
    let trusted = [other.certificate().to_vec(), root.certificate().to_vec()];
    let read = RootAuthority::read(&root.key_pem(), &trusted).expect("as the test made it");
    assert_eq!(read.certificate(), root.certificate());
    assert!(RootAuthority::read(&root.key_pem(), &trusted[..1]).is_err());
}

#[test]
fn addresses_that_a_box_may_not_carry_are_refused_in_words() {
    let bounds = Bounds::of("130999");
    let ask = |all: &[&[u8]]| {
        bounds.addresses(&all.iter().map(|a| a.to_vec().into()).collect::<Vec<_>>())
    };
    assert!(ask(&[&[192, 168, 1, 5]]).is_ok());
    assert!(ask(&[&[8, 8, 8, 8]]).unwrap_err().to_string().contains("8.8.8.8"));
    assert!(ask(&[&[1, 2, 3]]).is_err());
    assert!(ask(&[&[10, 0, 0, 1][..]; 9]).is_err());
    let bad = Bounds { subnets: vec!["10.0.0.0/33".into()], ..bounds.clone() };
    assert!(RootAuthority::found("x", &bad, NOW).is_err());
}
