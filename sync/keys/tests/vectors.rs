//! The frozen vector of the way back for a forgotten PIN (docs/vectors/rescue.json).
#![allow(missing_docs)]

use cunkou_keys::{Behind, BoxSecret, Key, RescueFor, Spoken, open_sealed};
use serde_json::Value;

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    let digits = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16));
    digits.collect::<Result<_, _>>().expect("hexadecimal")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().expect("its length")
}

#[test]
fn what_was_sealed_to_a_helper_gives_the_code_that_the_box_takes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors/rescue.json");
    let text = std::fs::read_to_string(path).expect("the vector");
    let v: Value = serde_json::from_str(&text).expect("JSON");
    let of = RescueFor {
        device: bytes(&v["device"]),
        person: bytes(&v["person"]),
        id: v["id"].as_u64().expect("an id"),
    };
    let helper: [u8; 32] = bytes(&v["helper_seed"]);
    let sealed = unhex(&v["sealed"]);
    let info = unhex(&v["helper_info"]);
    let own = [b"cunkou rescue helper v1\0", &of.device[..], &of.person, &of.id.to_be_bytes()];
    assert_eq!(info, own.concat());
    let plain = open_sealed(&BoxSecret::of_seed(&helper), None, &info, &sealed).expect("opens");
    let digits: u64 = v["digits"].as_str().and_then(|d| d.parse().ok()).expect("digits");
    assert_eq!(plain[..8], digits.to_be_bytes());
    assert_eq!(plain[8..], bytes::<32>(&v["mask"]));

    let spoken = Spoken::open(&helper, &of, &sealed).expect("opens");
    let machine = Key::of(bytes(&v["machine_key"]));
    let kept: Behind = minicbor::decode(&unhex(&v["behind"])).expect("what the box keeps");
    for line in v["codes"].as_array().expect("codes") {
        let (number, code) = (line["number"].as_str(), line["code"].as_str());
        let (number, code) = (number.expect("a number"), code.expect("a code"));
        assert!(of.may_be(number));
        assert_eq!(spoken.code(&of, number), code);
        let seed = kept.open(&machine, &of, number, code).expect("it opens");
        assert_eq!(*seed, bytes::<32>(&v["person_seed"]));
    }
}
