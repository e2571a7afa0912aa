//! What two boxes may exchange that meet without the county.

use super::*;
use crate::county::Apart;
use crate::ids::Scope;

const TOWN_BOX: u8 = 41;
const BOX: u8 = 42;
const BOX_TOO: u8 = 43;
const FAR_BOX: u8 = 44;
const SPARE: u8 = 45;
const GONE: u8 = 46;

fn county() -> County {
    let mut county = County::founded();
    let boxes = [
        device(TOWN_BOX, DeviceKind::Township, &[YUNLING]),
        device(BOX, DeviceKind::Village, &[YUNLING]),
        device(BOX_TOO, DeviceKind::Village, &[YUNLING]),
        device(FAR_BOX, DeviceKind::Village, &[FAR]),
        device(SPARE, DeviceKind::Village, &[]),
        device(GONE, DeviceKind::Village, &[YUNLING]),
    ];
    for device in boxes {
        county.enact(Statement::Device(device), &[1, 2]).expect("a box");
    }
    let device = DeviceId([GONE; 16]);
    let revoked = Statement::DeviceRevoked { device, reason: "lost".into() };
    county.enact(revoked, &[1, 2]).expect("it is revoked");
    county
}

#[test]
fn two_boxes_exchange_what_both_serve_and_the_county_log_and_nothing_else() {
    let county = county();
    let all = [TOWN_BOX, BOX, BOX_TOO, FAR_BOX, SPARE];
    let shared = |a: u8, b: u8| {
        let met = county.log.beside(DeviceId([a; 16]), &secret(b).public());
        let (device, scopes) = met.expect("two boxes of the county");
        assert_eq!(device.id, DeviceId([b; 16]));
        scopes
    };
    for a in all {
        for b in all.into_iter().filter(|b| *b != a) {
            let both = [a, b].iter().all(|n| [TOWN_BOX, BOX, BOX_TOO].contains(n));
            let place = both.then_some(Scope::Place(YUNLING));
            let scopes: Vec<Scope> = std::iter::once(Scope::System).chain(place).collect();
            assert_eq!(shared(a, b), scopes, "{a} and {b}");
            assert_eq!(shared(a, b), shared(b, a), "both say the same");
        }
    }
}

#[test]
fn nobody_else_is_met_beside_a_box() {
    let county = county();
    let met = |me: u8, other: u8| {
        let met = county.log.beside(DeviceId([me; 16]), &secret(other).public());
        met.map(|(device, _)| device.id)
    };
    assert_eq!(met(BOX, 99), Err(Apart::Unknown), "a stranger");
    assert_eq!(met(99, BOX), Err(Apart::Unknown), "before the county log has come");
    assert_eq!(met(BOX, BOX), Err(Apart::Ourselves));
    assert_eq!(met(BOX, RELAY), Err(Apart::Relay));
    assert_eq!(met(RELAY, BOX), Err(Apart::Relay));
    assert_eq!(met(BOX, GONE), Err(Apart::Revoked));
    assert_eq!(met(GONE, BOX), Err(Apart::Revoked), "a revoked box asks nobody");
}
