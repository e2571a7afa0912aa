//! Search keys of residents.

use cunkou_casework::names::spellings;
use cunkou_casework::resident::Resident;
use cunkou_casework::suite::id_number_index;
use cunkou_store::{KeyKind, SearchHit, StoreError};

use crate::Replica;

/// The keys under which a resident is found.
pub(crate) fn keys(resident: &Resident, secret: &[u8; 32]) -> Vec<(KeyKind, String)> {
    let mut keys = Vec::new();
    let mut add = |kind, key: &str| {
        if !key.is_empty() {
            keys.push((kind, key.to_lowercase()));
        }
    };
    let name: Vec<char> = resident.name.chars().filter(|c| *c != '·').collect();
    // The given name alone finds its bearer, too.
    for from in 0..name.len() {
        add(KeyKind::Name, &name[from..].iter().collect::<String>());
    }
    let spelt = spellings(&resident.name);
    spelt.initials.iter().for_each(|s| add(KeyKind::Initials, s));
    spelt.full.iter().for_each(|s| add(KeyKind::Pinyin, s));
    add(KeyKind::Nickname, &resident.nickname);
    if resident.head != resident.name {
        add(KeyKind::Head, &resident.head);
    }
    add(KeyKind::Phone, &resident.phone);
    if let Some(tail) = resident.id_number.get(14..) {
        add(KeyKind::Tail, tail);
        add(KeyKind::Id, &id_key(secret, &resident.id_number));
    }
    keys
}

/// The key of a whole ID number.
pub(crate) fn id_key(secret: &[u8; 32], id_number: &str) -> String {
    id_number_index(secret, id_number).iter().map(|b| format!("{b:02x}")).collect()
}

impl Replica {
    /// Finds residents by what was typed: name, any reading, initials, head of household,
    /// nickname, phone, ID number or its last four; `3组` alone lists a village group, and
    /// `3组 张` narrows to it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn search(&self, typed: &str, limit: usize) -> Result<Vec<SearchHit>, StoreError> {
        let typed = typed.trim().to_lowercase();
        let mut group = None;
        let mut rest = Vec::new();
        for word in typed.split_whitespace() {
            match word.strip_suffix('组').filter(|n| n.parse::<u8>().is_ok()) {
                Some(number) => group = Some(number.to_owned()),
                None => rest.push(word),
            }
        }
        let text: String = rest.concat().replace('·', "");
        self.store().read(|view| {
            if text.is_empty() {
                let Some(group) = &group else { return Ok(Vec::new()) };
                let (rows, _) = view.residents(None, Some(group), limit as u32, 0)?;
                return Ok(rows.into_iter().map(|row| SearchHit { row, by: Vec::new() }).collect());
            }
            let whole_id = text.len() == 18 && text.is_ascii();
            let key = if whole_id {
                id_key(&self.me().index_secret, &text.to_uppercase())
            } else {
                text.clone()
            };
            view.search_residents(&key, group.as_deref(), limit)
        })
    }

    /// The residents with exactly this ID number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn residents_by_id_number(&self, id_number: &str) -> Result<Vec<[u8; 16]>, StoreError> {
        let key = id_key(&self.me().index_secret, id_number);
        self.store().read(|view| view.residents_with_key(KeyKind::Id, &key))
    }
}
