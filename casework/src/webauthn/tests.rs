use super::*;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use proptest::prelude::*;

const RP: &str = "c130999.home.arpa";
const ORIGIN: &str = "https://relay.c130999.home.arpa";
const CHALLENGE: [u8; 32] = [0x5c; 32];

fn ec() -> SigningKey {
    SigningKey::from_slice(&[0x31; 32]).expect("a scalar")
}

fn ec_public() -> Vec<u8> {
    ec().verifying_key().to_sec1_point(true).as_bytes().to_vec()
}

fn client_data(kind: &str, challenge: &[u8; 32], origin: &str) -> Vec<u8> {
    let challenge = base64url(challenge);
    format!(
        r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
    )
    .into_bytes()
}

fn data(rp_id: &str, flags: u8) -> Vec<u8> {
    [&Sha256::digest(rp_id.as_bytes())[..], &[flags], &[0, 0, 0, 7]].concat()
}

fn sign(client: &[u8], data: &[u8]) -> Vec<u8> {
    let signed = [data, &Sha256::digest(client)[..]].concat();
    let signature: EcSignature = ec().sign(&signed);
    let assertion = Assertion {
        authenticator_data: data.to_vec().into(),
        client_data: client.to_vec().into(),
        signature: signature.to_der().as_bytes().to_vec().into(),
    };
    crate::event::encode(&assertion)
}

fn good() -> Vec<u8> {
    sign(&client_data("webauthn.get", &CHALLENGE, ORIGIN), &data(RP, 0x05))
}

fn verdict(bytes: &[u8]) -> Result<(), BadWebauthn> {
    verify(&ec_public(), RP, &CHALLENGE, bytes)
}

#[test]
fn an_assertion_for_the_challenge_by_the_key_on_the_countys_own_site_holds() {
    assert_eq!(verdict(&good()), Ok(()));
    for origin in [
        "https://c130999.home.arpa",
        "https://relay.c130999.home.arpa:8443",
        "https://a.b.c130999.home.arpa",
    ] {
        let bytes = sign(&client_data("webauthn.get", &CHALLENGE, origin), &data(RP, 0x1d));
        assert_eq!(verdict(&bytes), Ok(()), "{origin}");
    }
}

#[test]
fn a_key_that_signs_with_ed25519_is_taken_too() {
    let key = crate::suite::SecretKey::from_seed(&[9; 32]);
    let (client, data) = (client_data("webauthn.get", &CHALLENGE, ORIGIN), data(RP, 0x05));
    let signed = [&data[..], &Sha256::digest(&client)[..]].concat();
    let assertion = Assertion {
        authenticator_data: data.into(),
        client_data: client.into(),
        signature: key.sign(&signed).into(),
    };
    let bytes = assertion.encode().expect("short");
    assert_eq!(verify(&key.public().0, RP, &CHALLENGE, &bytes), Ok(()));
    assert_eq!(verify(&ec_public(), RP, &CHALLENGE, &bytes), Err(BadWebauthn::Signature));
}

#[test]
fn what_was_signed_for_something_else_does_not_hold() {
    use BadWebauthn as Bad;
    let get = |origin: &str| client_data("webauthn.get", &CHALLENGE, origin);
    let ours = get(ORIGIN);
    let text = |json: &str| json.as_bytes().to_vec();
    let c = base64url(&CHALLENGE);
    let table: Vec<(&str, Vec<u8>, Vec<u8>, Bad)> = vec![
        (
            "another event",
            client_data("webauthn.get", &[1; 32], ORIGIN),
            data(RP, 5),
            Bad::Challenge,
        ),
        (
            "a registration",
            client_data("webauthn.create", &CHALLENGE, ORIGIN),
            data(RP, 5),
            Bad::ClientData,
        ),
        ("another site", get("https://evil.example"), data(RP, 5), Bad::Origin),
        ("a name that ends alike", get("https://evilc130999.home.arpa"), data(RP, 5), Bad::Origin),
        (
            "a name that begins alike",
            get("https://c130999.home.arpa.evil.example"),
            data(RP, 5),
            Bad::Origin,
        ),
        (
            "user information",
            get("https://c130999.home.arpa:1@evil.example"),
            data(RP, 5),
            Bad::Origin,
        ),
        ("a path", get("https://evil.example/c130999.home.arpa"), data(RP, 5), Bad::Origin),
        ("plain HTTP", get("http://relay.c130999.home.arpa"), data(RP, 5), Bad::Origin),
        ("plain localhost", get("http://localhost:8800"), data(RP, 5), Bad::Origin),
        (
            "a page inside another",
            text(&format!(
                r#"{{"type":"webauthn.get","challenge":"{c}","origin":"{ORIGIN}","crossOrigin":true}}"#
            )),
            data(RP, 5),
            Bad::Origin,
        ),
        (
            "a page on top",
            text(&format!(
                r#"{{"type":"webauthn.get","challenge":"{c}","origin":"{ORIGIN}","topOrigin":"https://x.example"}}"#
            )),
            data(RP, 5),
            Bad::Origin,
        ),
        (
            "two challenges",
            text(&format!(
                r#"{{"type":"webauthn.get","challenge":"{c}","challenge":"{c}","origin":"{ORIGIN}"}}"#
            )),
            data(RP, 5),
            Bad::ClientData,
        ),
        (
            "something after it",
            text(&format!(
                r#"{{"type":"webauthn.get","challenge":"{c}","origin":"{ORIGIN}"}} "x""#
            )),
            data(RP, 5),
            Bad::ClientData,
        ),
        ("no JSON", text("webauthn.get"), data(RP, 5), Bad::ClientData),
        ("a deep one", text(&"[".repeat(900)), data(RP, 5), Bad::ClientData),
        ("another relying party", ours.clone(), data("example.org", 5), Bad::RelyingParty),
        ("nobody there", ours.clone(), data(RP, 4), Bad::Flags),
        ("somebody, but who", ours.clone(), data(RP, 1), Bad::Flags),
        ("backed up without leave", ours.clone(), data(RP, 0x15), Bad::Flags),
        ("a key inside", ours.clone(), data(RP, 0x45), Bad::Form),
        ("something after the counter", ours.clone(), [data(RP, 5), vec![0]].concat(), Bad::Form),
        ("half of it", ours, data(RP, 5)[..36].to_vec(), Bad::Form),
    ];
    for (what, client, data, why) in table {
        assert_eq!(verdict(&sign(&client, &data)), Err(why), "{what}");
    }
}

#[test]
fn plain_localhost_counts_only_where_it_is_the_relying_party() {
    let bytes = sign(
        &client_data("webauthn.get", &CHALLENGE, "http://localhost:8800"),
        &data("localhost", 5),
    );
    assert_eq!(verify(&ec_public(), "localhost", &CHALLENGE, &bytes), Ok(()));
    let other =
        sign(&client_data("webauthn.get", &CHALLENGE, "http://a.localhost"), &data("localhost", 5));
    let verdict = verify(&ec_public(), "localhost", &CHALLENGE, &other);
    assert_eq!(verdict, Err(BadWebauthn::Origin));
}

#[test]
fn an_assertion_longer_than_a_signature_may_be_is_refused_unread() {
    let long = format!("https://{}.{RP}", "a".repeat(1000));
    let bytes = sign(&client_data("webauthn.get", &CHALLENGE, &long), &data(RP, 5));
    assert_eq!(verdict(&bytes), Err(BadWebauthn::Form));
}

/// What a browser sends at a registration, with this COSE key.
fn attestation(fmt: &str, cose: &[u8], credential: &[u8], flags: u8) -> Vec<u8> {
    let length = u16::try_from(credential.len()).expect("short").to_be_bytes();
    let data = [&data(RP, flags)[..], &[0xaa; 16], &length[..], credential, cose].concat();
    let mut out = Vec::new();
    let mut e = minicbor::Encoder::new(&mut out);
    e.map(3)
        .and_then(|e| e.str("fmt")?.str(fmt)?.str("attStmt")?.map(0)?.str("authData")?.bytes(&data))
        .expect("memory");
    out
}

fn cose_of(point: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = minicbor::Encoder::new(&mut out);
    e.map(5)
        .and_then(|e| {
            e.i8(1)?
                .i8(2)?
                .i8(3)?
                .i8(-7)?
                .i8(-1)?
                .i8(1)?
                .i8(-2)?
                .bytes(&point[1..33])?
                .i8(-3)?
                .bytes(&point[33..])
        })
        .expect("memory");
    out
}

fn cose() -> Vec<u8> {
    cose_of(ec().verifying_key().to_sec1_point(false).as_bytes())
}

#[test]
fn a_registration_gives_the_key_its_name_and_its_model() {
    let client = client_data("webauthn.create", &CHALLENGE, ORIGIN);
    let made = register(&attestation("none", &cose(), &[7; 64], 0x4d), &client, &CHALLENGE, RP);
    let made = made.expect("a good registration");
    assert_eq!((made.key, made.credential), (ec_public(), vec![7; 64]));
    assert_eq!((made.aaguid, made.copies), ([0xaa; 16], true));
}

#[test]
fn a_registration_that_is_not_for_us_or_not_whole_is_refused() {
    use BadWebauthn as Bad;
    let client = client_data("webauthn.create", &CHALLENGE, ORIGIN);
    let good = attestation("none", &cose(), &[7; 16], 0x45);
    let mut off_curve = ec().verifying_key().to_sec1_point(false).as_bytes().to_vec();
    off_curve[64] ^= 1;
    let table = [
        ("another's statement", attestation("tpm", &cose(), &[7; 16], 0x45), Bad::Form),
        ("no key in it", attestation("none", &cose(), &[7; 16], 0x05), Bad::Form),
        ("nobody verified", attestation("none", &cose(), &[7; 16], 0x41), Bad::Flags),
        ("no name", attestation("none", &cose(), &[], 0x45), Bad::Form),
        (
            "a point off the curve",
            attestation("none", &cose_of(&off_curve), &[7; 16], 0x45),
            Bad::Key,
        ),
        ("half a key", attestation("none", &cose()[..20], &[7; 16], 0x45), Bad::Key),
        ("nothing", Vec::new(), Bad::Form),
        ("too long", vec![0; 20_000], Bad::Form),
    ];
    for (what, bytes, why) in table {
        assert_eq!(register(&bytes, &client, &CHALLENGE, RP), Err(why), "{what}");
    }
    let get = client_data("webauthn.get", &CHALLENGE, ORIGIN);
    assert_eq!(register(&good, &get, &CHALLENGE, RP), Err(Bad::ClientData));
    assert_eq!(register(&good, &client, &[1; 32], RP), Err(Bad::Challenge));
    assert_eq!(register(&good, &client, &CHALLENGE, "other.home.arpa"), Err(Bad::Origin));
}

#[test]
fn both_twin_forms_of_a_p256_signature_are_taken() {
    let signature: EcSignature = ec().sign(b"m");
    let (r, s) = signature.split_scalars();
    let twin = EcSignature::from_scalars(r.to_bytes(), (-s).to_bytes()).expect("a signature");
    for form in [signature, twin] {
        assert!(verifies_raw(&ec_public(), b"m", form.to_der().as_bytes()));
    }
}

proptest! {
    #[test]
    fn one_changed_byte_spoils_an_assertion(at in 0usize..400, by in 1u8..) {
        let mut bytes = good();
        let at = at % bytes.len();
        bytes[at] ^= by;
        prop_assert!(verdict(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = verdict(&bytes);
        let _ = register(&bytes, &client_data("webauthn.create", &CHALLENGE, ORIGIN), &CHALLENGE, RP);
        let _ = register(&attestation("none", &bytes, &[1], 0x45), &client_data("webauthn.create", &CHALLENGE, ORIGIN), &CHALLENGE, RP);
    }

    #[test]
    fn base64_goes_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
        prop_assert_eq!(from_base64url(&base64url(&bytes)), Some(bytes));
    }
}

#[test]
fn base64_has_one_form_only() {
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    for wrong in ["-_9", "-_8=", "a", "+/8", "-_8\n"] {
        assert_eq!(from_base64url(wrong), None, "{wrong}");
    }
}
