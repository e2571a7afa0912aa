//! The practice room: a made-up village on the real box that never meets a link.

use cunkou_casework::catalogue::{Item, Release};
use cunkou_casework::county::{Device, DeviceKind, Person, Place, Post, Role, Statement};
use cunkou_casework::event::{Level, Step};
use cunkou_casework::ids::{DeviceId, PersonId, PlaceId, SubjectId};
use cunkou_casework::resident::Resident;
use cunkou_casework::suite::{SecretKey, attachment_id};
use cunkou_edge::{AppError, Practice};
use cunkou_keys::Key;
use cunkou_replica::{ActError, Authority, Guard, Membership, Replica, SystemWorld, Who, World};
use cunkou_store::{Lock, StoreError};
use std::path::Path;
use std::sync::Arc;

const VILLAGE: PlaceId = PlaceId(9101);
const TOWNSHIP: PlaceId = PlaceId(9010);
const COUNTY: PlaceId = PlaceId(9001);
/// The last block: no county gives it to a box.
const BLOCK: u32 = cunkou_casework::number::BLOCK_MAX;

/// Made-up people: name, ID number (with a true check digit and a region that does not exist),
/// village group, head of household, nickname.
const PEOPLE: [(&str, &str, &str, &str, &str); 6] = [
    ("练习甲", "139999194001011", "1", "练习甲", "甲爷"),
    ("练习乙", "139999195502022", "1", "练习甲", ""),
    ("练习丙", "139999198003033", "2", "练习丙", ""),
    ("练习丁", "139999193604044", "2", "练习丙", "丁奶"),
    ("练习戊", "139999200105055", "3", "练习戊", ""),
    ("练习己", "139999194606066", "3", "练习戊", "老己"),
];

/// Makes the practice room anew in `folder`, with the real catalogue.
pub(crate) fn make(folder: &Path, release: &Release) -> Result<Practice, AppError> {
    let ours = |e: &dyn std::fmt::Display| AppError::Ours(e.to_string());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|e| ours(&e))?;
    }
    std::fs::create_dir_all(folder).map_err(|e| ours(&e))?;
    let world = SystemWorld;
    let id = || {
        let mut out = [0; 16];
        world.random(&mut out);
        out
    };
    let seed = || {
        let mut out = [0; 32];
        world.random(&mut out);
        out
    };
    let authority = Authority(SecretKey::from_seed(&seed()));
    let (device_key, person_key) = (SecretKey::from_seed(&seed()), SecretKey::from_seed(&seed()));
    let (device, person) = (DeviceId(id()), PersonId(id()));
    let me = Membership {
        device,
        key: device_key.clone(),
        county: SubjectId(id()),
        anchor: authority.0.public().into(),
        index_secret: seed(),
    };
    // Its key is never kept: what the last run left cannot be read, and is made anew anyway.
    let lock = Lock::Key(Key::of(seed()));
    let replica = Replica::open(folder, &lock, me, Arc::new(SystemWorld), Guard::child())
        .map_err(|e| ours(&e))?;
    let bytes = release.encode();
    let digest = attachment_id(&bytes);
    replica.store().write_attachment(&digest.0, &bytes)?;
    replica
        .store()
        .write(|tx| tx.attachment_here(&digest.0, bytes.len() as u64))
        .map_err(|e: StoreError| AppError::from(e))?;
    let place = |id, level, name: &str, parent| Place {
        id,
        level,
        code: String::new(),
        name: name.to_owned(),
        name_en: String::new(),
        parent,
    };
    let statements = vec![
        Statement::Founded { name: "练习县".into(), authority: authority.0.public() },
        Statement::Places {
            places: vec![
                place(COUNTY, Level::County, "练习县", None),
                place(TOWNSHIP, Level::Township, "练习镇", Some(COUNTY)),
                place(VILLAGE, Level::Village, "练习村", Some(TOWNSHIP)),
            ],
        },
        Statement::Device(Device {
            id: device,
            key: device_key.public(),
            kind: DeviceKind::Village,
            name: "练习服务点".into(),
            places: vec![VILLAGE],
            phone: String::new(),
        }),
        Statement::Person(Person {
            id: person,
            login: "practice".into(),
            name: "练习代办员".into(),
            key: Some(person_key.public()),
            posts: vec![Post { role: Role::Agent, place: VILLAGE, department: None }],
            phone: String::new(),
            kin: None,
            keys: None,
        }),
        Statement::Numbers { device, blocks: vec![BLOCK] },
        Statement::Catalogue {
            version: release.items.version.clone(),
            digest,
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            routes: Some(release.items.items.iter().map(Item::way).collect()),
        },
    ];
    replica.state(&authority, statements)?;
    let today = cunkou_casework::calendar::china_day(replica.now_ms());
    replica.act(|desk| -> Result<(), ActError> {
        for (name, digits, group, head, nickname) in PEOPLE {
            let mut resident = Resident {
                name: name.into(),
                group: group.into(),
                head: head.into(),
                nickname: nickname.into(),
                hukou: "是".into(),
                ..Resident::default()
            };
            if let Some(number) = full_number(digits)
                && let Ok(id) = cunkou_casework::citizen_id::CitizenId::parse(&number, today)
            {
                resident.fill_from_id(&id);
            }
            let subject = SubjectId(desk.random());
            let who = Who { person, key: Some(&person_key) };
            desk.event(subject, who, Step::ResidentAdded { place: VILLAGE })?;
            desk.edit(subject, who, &resident.writes())?;
        }
        Ok(())
    })?;
    Ok(Practice { replica: Arc::new(replica), person, key: person_key })
}

/// Completes 15 digits with a sequence and the check character.
fn full_number(digits: &str) -> Option<String> {
    let first: [u8; 17] = format!("{digits}11").into_bytes().try_into().ok()?;
    let check = cunkou_casework::citizen_id::check_character(&first);
    Some(format!("{digits}11{check}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cunkou_casework::citizen_id::CitizenId;

    #[test]
    fn the_made_up_numbers_are_well_formed() {
        for (_, digits, ..) in PEOPLE {
            let number = full_number(digits).expect("15 digits");
            CitizenId::parse(&number, jiff::civil::date(2026, 11, 22)).expect("well formed");
        }
    }
}
