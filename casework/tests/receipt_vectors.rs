//! The code of a receipt, as released: docs/vectors/receipt.json.
//! `CUNKOU_WRITE_VECTORS=1` writes it anew.

use cunkou_casework::ids::{DeviceId, EntryId};
use cunkou_casework::receipt::{Receipt, SignedReceipt};
use cunkou_casework::suite::SecretKey;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_code_of_a_receipt_is_made_and_read_as_it_was_released() {
    let receipt = Receipt {
        number: 470_000_015,
        submission: EntryId([0x5b; 32]),
        item: "S1-gaoling".into(),
        at_ms: 1_795_000_000_000,
        device: DeviceId([0x33; 16]),
    };
    let signed = SignedReceipt::new(&receipt, &SecretKey::from_seed(&[0x33; 32]));
    let made = json!({
        "number": receipt.number, "submission": receipt.submission, "item": receipt.item,
        "at_ms": receipt.at_ms, "device": receipt.device,
        "seed": cunkou_casework::hex::encode(&[0x33; 32]), "code": signed.code(),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/receipt.json");
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("plain values") + "\n";
        std::fs::write(&path, text).expect("the vector is written");
    }
    let text = std::fs::read_to_string(&path).expect("the vector is in the repository");
    let frozen: Value = serde_json::from_str(&text).expect("the vector is JSON");
    assert_eq!(made, frozen, "receipt.json is frozen: today's program makes something else");
    let read = SignedReceipt::parse(frozen["code"].as_str().expect("text"));
    assert_eq!(read, Ok(signed));
}
