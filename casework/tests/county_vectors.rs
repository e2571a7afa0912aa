//! What administrators sign and relays vouch for, as released: docs/vectors/county.json.
//! `CUNKOU_WRITE_VECTORS=1` writes it anew.

use cunkou_casework::checkpoint::{Checkpoint, SignedCheckpoint};
use cunkou_casework::county::{
    Act, ActBody, Administrator, Constitution, Device, DeviceKind, Grant, GrantId, Numbered,
    Person, Post, Power, Role, Statement,
};
use cunkou_casework::event::{decode, encode};
use cunkou_casework::ids::{DeviceId, EntryId, Incarnation, PersonId, PlaceId, SubjectId};
use cunkou_casework::merkle::{self, Hash, Nodes};
use cunkou_casework::suite::SecretKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn hex(bytes: &[u8]) -> String {
    cunkou_casework::hex::encode(bytes)
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn constitution() -> Constitution {
    let each =
        [1, 2, 3].map(|n| Administrator { name: format!("管理员{n}"), key: secret(n).public() });
    let recovery = Some(secret(9).public());
    Constitution { administrators: each.to_vec(), threshold: 2, recovery }
}

fn relay() -> Device {
    Device {
        id: DeviceId([0x40; 16]),
        key: secret(0x40).public(),
        kind: DeviceKind::Relay,
        name: "清河县平台".into(),
        places: vec![],
        phone: String::new(),
    }
}

fn act() -> Act {
    let body = ActBody {
        county: SubjectId([0xc0; 16]),
        id: [0xac; 16],
        until_ms: 1_800_000_000_000,
        statements: vec![Statement::Roots { roots: vec![vec![1, 2, 3].into()] }],
    };
    let mut act = Act::new(&body);
    [1, 3].iter().for_each(|n| act.sign(&secret(*n)));
    act
}

fn statements() -> Vec<(&'static str, Statement)> {
    let device = DeviceId([0x33; 16]);
    let grant = Grant {
        id: GrantId([0x67; 16]),
        holder: relay().key,
        powers: vec![Power::VillageBoxes, Power::Agents, Power::Numbers],
        places: vec![PlaceId(2)],
        count: 400,
        until_ms: 1_800_000_000_000,
        depth: 1,
        parent: None,
    };
    let person = Person {
        id: PersonId([0x44; 16]),
        login: "zhao".into(),
        name: "赵敏".into(),
        key: None,
        posts: vec![Post { role: Role::DataOfficer, place: PlaceId(1), department: None }],
        phone: String::new(),
        keys: None,
        kin: Some(vec![SubjectId([0x11; 16])]),
    };
    let constituted = Statement::Constituted {
        name: "清河县".into(),
        constitution: constitution(),
        relay: relay(),
    };
    vec![
        ("Constituted", constituted),
        ("Constitution", Statement::Constitution(constitution())),
        ("Grant", Statement::Grant(grant)),
        ("GrantEnded", Statement::GrantEnded { grant: GrantId([0x67; 16]), reason: "收回".into() }),
        ("Act", Statement::Act(act())),
        ("Roots", Statement::Roots { roots: vec![vec![1, 2, 3].into()] }),
        (
            "ForkCleared",
            Statement::ForkCleared {
                device,
                runs: vec![Incarnation([1; 16]), Incarnation([2; 16])],
                reason: "换盘".into(),
            },
        ),
        ("Person with kin", Statement::Person(person)),
    ]
}

#[derive(Default)]
struct Tree(BTreeMap<(u8, u64), Hash>);

impl Nodes for Tree {
    type Error = (u8, u64);
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        self.0.get(&(level, index)).copied().ok_or((level, index))
    }
}

fn tree() -> Value {
    let mut tree = Tree::default();
    let mut roots = vec![json!({ "size": 0, "root": hex(&merkle::empty()) })];
    for n in 0..7_u8 {
        let leaf = merkle::leaf(EntryId([n; 32]));
        let made = merkle::append(&tree, u64::from(n), leaf).expect("kept");
        tree.0.extend(made.into_iter().map(|(level, index, hash)| ((level, index), hash)));
        let size = u64::from(n) + 1;
        let root = merkle::root(&tree, size).expect("kept");
        roots.push(json!({ "size": size, "root": hex(&root) }));
    }
    let nodes = |proof: Vec<Hash>| -> Vec<String> { proof.iter().map(|h| hex(h)).collect() };
    json!({
        "leaves": "leaf i is the entry whose name is the byte i, 32 times",
        "roots": roots,
        "inclusion": { "index": 4, "size": 7,
            "proof": nodes(merkle::inclusion(&tree, 4, 7).expect("kept")) },
        "consistency": { "old": 3, "new": 7,
            "proof": nodes(merkle::consistency(&tree, 3, 7).expect("kept")) },
    })
}

fn checkpoint() -> Value {
    let made = Checkpoint {
        log: [7; 32],
        size: 7,
        root: [8; 32],
        time_ms: 1_795_000_000_000,
        relay: relay().id,
    };
    let signed = SignedCheckpoint::new(&made, &secret(0x40));
    json!({ "key": relay().key, "body": hex(&signed.body), "signed": hex(&encode(&signed)) })
}

#[test]
fn what_administrators_and_relays_sign_is_as_it_was_released() {
    let payloads = statements().into_iter().map(|(name, statement)| {
        let numbered = Numbered { position: 18, previous: EntryId([0x66; 32]), statement };
        let bytes = encode(&numbered);
        assert_eq!(decode::<Numbered>(&bytes).as_ref(), Ok(&numbered), "{name}");
        json!({ "statement": name, "payload": hex(&bytes) })
    });
    let act = act();
    let made = json!({
        "schema": 1,
        "statements": payloads.collect::<Vec<_>>(),
        "act": {
            "body": hex(&act.body), "message": hex(&act.message()),
            "signers": act.signers().iter().map(|k| hex(&k.0)).collect::<Vec<_>>(),
        },
        "merkle": tree(),
        "checkpoint": checkpoint(),
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/county.json");
    if std::env::var_os("CUNKOU_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("JSON") + "\n";
        std::fs::write(&file, text).expect("written");
    }
    let text = std::fs::read_to_string(&file).expect("docs/vectors/county.json");
    let frozen: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(frozen, made);
}
