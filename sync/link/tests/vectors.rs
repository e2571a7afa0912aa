//! The bytes of renewal, as `docs/vectors/renewal.json` has them.

use cunkou_link::{BindRequest, EnrolRequest, RenewRequest, Renewed, SealedOffer, SignedRenewal};
use std::fmt::Write;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Name, bytes.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let (device, relay) = ([2; 32], [1; 32]);
    let addresses = vec![vec![192, 168, 1, 5].into()];
    let request = RenewRequest::new(&device, vec![4, 5, 6], addresses.clone());
    let renewed = Renewed {
        certificate: vec![1].into(),
        issuing: vec![2].into(),
        roots: vec![vec![3].into()],
        web_certificate: vec![4].into(),
    };
    let answer = SignedRenewal::new(&renewed, &relay);
    let enrol = EnrolRequest::new([7; 32], &device, vec![4, 5, 6], addresses);
    let old = EnrolRequest { web_key: None, addresses: None, ..enrol.clone() };
    let bind = BindRequest::new([9; 32], &device);
    let sealed = SealedOffer::new(vec![5, 6], vec![vec![1], vec![2]], &relay);
    vec![
        ("renew_request", minicbor::to_vec(request).expect("as the test made it")),
        ("signed_renewal", minicbor::to_vec(answer).expect("as the test made it")),
        ("enrol_request", minicbor::to_vec(enrol).expect("as the test made it")),
        ("enrol_request_before_https", minicbor::to_vec(old).expect("as the test made it")),
        ("bind_request", minicbor::to_vec(bind).expect("as the test made it")),
        ("sealed_offer", minicbor::to_vec(sealed).expect("as the test made it")),
    ]
}

#[test]
fn the_bytes_are_those_of_the_documents() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/renewal.json");
    let lines: Vec<String> =
        made().iter().map(|(name, bytes)| format!("  \"{name}\": \"{}\"", hex(bytes))).collect();
    let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        std::fs::write(path, &text).expect("as the test made it");
    }
    assert_eq!(std::fs::read_to_string(path).expect("as the test made it"), text);
}

#[test]
fn a_request_of_the_first_version_is_still_read() {
    let made = made();
    let old: EnrolRequest = minicbor::decode(&made[3].1).expect("as the test made it");
    assert_eq!((old.web_key, old.addresses), (None, None));
}
