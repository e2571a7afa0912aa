//! The bundle of `docs/vectors/bundle.json`, opened by somebody who has `docs/formats.md` and none of
//! our code.
#![allow(missing_docs)]

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::{Deserializable, OpModeR};
use minicbor::Decoder;
use serde_json::Value;

const CHUNK: usize = 65_536 + 16;

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    let digits = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16));
    digits.collect::<Result<_, _>>().expect("hexadecimal")
}

fn vector() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/bundle.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the vector")).expect("JSON")
}

fn seed(value: &Value) -> SigningKey {
    SigningKey::from_bytes(&unhex(value).try_into().expect("32 bytes"))
}

/// The file's key, and what is in the file.
fn opened(file: &[u8], receiver: &SigningKey) -> (Vec<u8>, Vec<u8>) {
    let (magic, rest) = file.split_at(4);
    let (code, rest) = rest.split_at(8);
    let (sealed, rest) = rest.split_at(80);
    let (nonce, chunks) = rest.split_at(19);
    assert_eq!(magic, b"CKC1");
    let public = receiver.verifying_key();
    assert_eq!(code, &blake3::derive_key("cunkou bundle receiver v1", public.as_bytes())[..8]);
    // X25519 form of a device key: RFC 8032's secret scalar of its seed.
    let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(&receiver.to_scalar_bytes());
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed[..32]);
    let key = hpke::single_shot_open::<hpke::aead::ChaCha20Poly1305, hpke::kdf::HkdfSha256, Kem>(
        &OpModeR::Base,
        &secret.expect("a key"),
        &encapsulated.expect("a key"),
        b"cunkou bundle v1\0",
        &sealed[32..],
        b"",
    )
    .expect("it is for this receiver");
    let cipher = XChaCha20Poly1305::new_from_slice(&key).expect("32 bytes");
    let aad = [b"cunkou bundle v1\0", code].concat();
    let count = chunks.chunks(CHUNK).count();
    let mut content = Vec::new();
    for (n, chunk) in chunks.chunks(CHUNK).enumerate() {
        // STREAM: the nonce, the number of the chunk, and whether it is the last one.
        let number = u32::try_from(n).expect("few");
        let last = u8::from(n + 1 == count);
        let nonce = [nonce, &number.to_be_bytes(), &[last]].concat();
        let nonce = XNonce::from_slice(&nonce);
        content.extend(cipher.decrypt(nonce, Payload { msg: chunk, aad: &aad }).expect("whole"));
    }
    (key, content)
}

/// The records with their number, and where each ends.
fn records(mut content: &[u8]) -> Vec<(u32, &[u8])> {
    let mut records = Vec::new();
    while let Some((length, rest)) = content.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let mut from = Decoder::new(record);
        assert_eq!(from.array().ok().flatten(), Some(2), "a variant");
        records.push((from.u32().expect("its number"), record));
        content = rest;
    }
    records
}

/// The fields of a record, behind its number.
fn fields<'r>(record: &'r [u8], count: u64) -> Decoder<'r> {
    let mut from = Decoder::new(record);
    from.array().and_then(|_| from.u32()).expect("a variant");
    assert_eq!(from.array().ok().flatten(), Some(count));
    from
}

fn signed(by: &VerifyingKey, parts: &[&[u8]], proof: &[u8]) {
    let proof = Signature::from_slice(proof).expect("64 bytes");
    by.verify_strict(&parts.concat(), &proof).expect("the sender's");
}

#[test]
fn whoever_has_the_page_alone_opens_the_bundle_and_trusts_it_for_what_it_says() {
    let vector = vector();
    let receiver = seed(&vector["receiver_seed"]);
    let (key, content) = opened(&unhex(&vector["file"]), &receiver);
    let records = records(&content);
    let numbers: Vec<u32> = records.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 3, 4]);

    let mut head = fields(records[0].1, 3);
    let sender: [u8; 32] = head.bytes().expect("a key").try_into().expect("32 bytes");
    let sender = VerifyingKey::from_bytes(&sender).expect("a key");
    assert_eq!(sender, seed(&vector["sender_seed"]).verifying_key());
    let body = head.bytes().expect("the head");
    assert_eq!(body, unhex(&vector["head"]));
    let named = blake3::derive_key("cunkou bundle key v1", &key);
    let to = receiver.verifying_key();
    let parts = [b"cunkou bundle head v1\0", &to.as_bytes()[..], &named, body];
    signed(&sender, &parts, head.bytes().expect("a proof"));
    let mut body = Decoder::new(body);
    assert_eq!(body.array().ok().flatten(), Some(8));
    let id = body.bytes().expect("an id");

    for (record, told) in records[1..4].iter().zip(vector["records"].as_array().expect("some")) {
        assert_eq!(record.1, unhex(told));
    }

    let mut end = fields(records[4].1, 2);
    let said = end.bytes().expect("the end");
    let parts = [b"cunkou bundle end v1\0", id, said];
    signed(&sender, &parts, end.bytes().expect("a proof"));
    let mut said = Decoder::new(said);
    assert_eq!(said.array().ok().flatten(), Some(2));
    let before = content.len() - records[4].1.len() - 4;
    assert_eq!(said.bytes().expect("a hash"), blake3::hash(&content[..before]).as_bytes());
    assert_eq!(said.bool().ok(), vector["more"].as_bool());
}
