//! What binds the county is stated at once where the relay may, and else proposed to the
//! administrators.

use crate::administrators::{self, ActFile};
use crate::home::Home;
use cunkou_casework::county::{Denied, Grant, GrantId, LogError, Power, Statement};
use cunkou_casework::hex;
use cunkou_casework::ids::PlaceId;
use cunkou_casework::suite::PublicKey;
use cunkou_edge::cli::{Exit, Failure};
use cunkou_replica::ActError;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, e.to_string())
}

fn refused(words: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, words)
}

const DAY_MS: i64 = 24 * 3_600_000;

impl Home {
    /// States what the relay may state by itself; writes the rest down for the administrators to
    /// sign, and says where.
    pub(crate) fn say(&self, statements: Vec<Statement>, done: Value) -> Result<Value, Failure> {
        match self.replica.state(&self.authority, statements.clone()) {
            Ok(()) => Ok(done),
            Err(ActError::County(LogError::NotAuthority(Denied::Administrators { .. }))) => {
                self.propose(statements, done)
            }
            Err(e) => Err(refused(e.to_string())),
        }
    }

    fn propose(&self, statements: Vec<Statement>, mut done: Value) -> Result<Value, Failure> {
        let county = self.replica.county();
        let act = administrators::propose(&county, self.replica.now_ms(), statements);
        let folder = self.data.join("proposals");
        fs::create_dir_all(&folder).map_err(failed)?;
        let id = act.read().map_err(failed)?.id;
        let path = folder.join(format!("act-{}.json", &hex::encode(&id)[..8]));
        ActFile::new(&county, &act).write(&path, true)?;
        let threshold = county.constitution().threshold;
        if let Value::Object(fields) = &mut done {
            fields.insert("done".into(), json!(false));
            fields.insert("needs_signatures".into(), json!(threshold));
            fields.insert("file".into(), json!(path));
            let next = format!(
                "{threshold} administrators sign it, each with: cunkou-relay sign {} --key THEIR-KEY; \
                 then: cunkou-relay --data {} submit {}",
                path.display(),
                self.data.display(),
                path.display()
            );
            fields.insert("next".into(), json!(next));
        }
        Ok(done)
    }

    pub(crate) fn submit(&self, file: &Path) -> Result<Value, Failure> {
        let act = ActFile::read(file)?.act()?;
        let body = act.read().map_err(|e| refused(e.to_string()))?;
        let says: Vec<String> = body.statements.iter().map(administrators::in_words).collect();
        self.replica.enact(act).map_err(|e| refused(e.to_string()))?;
        let position = self.replica.county().head().position;
        Ok(json!({ "schema": 1, "position": position, "says": says }))
    }

    pub(crate) fn administrators(&self) -> Value {
        let county = self.replica.county();
        let rows: Vec<Value> = county
            .constitution()
            .administrators
            .iter()
            .map(|a| json!({ "name": a.name, "key": hex::encode(&a.key.0) }))
            .collect();
        json!({
            "schema": 1, "threshold": county.constitution().threshold, "administrators": rows,
            "fingerprint": county.founding().map(|id| id.to_string()),
        })
    }

    fn holder(&self, to: &str) -> Result<PublicKey, Failure> {
        let county = self.replica.county();
        if to == "relay" {
            return Ok(self.replica.me().key.public());
        }
        let person = county.person_by_login(to).map(|p| {
            p.key.ok_or_else(|| {
                refused(format!("{to} has no key of their own to hold a grant with"))
            })
        });
        if let Some(key) = person {
            return key;
        }
        let begins = |id: String| to.len() >= 4 && id.starts_with(to);
        let found: Vec<_> = county.devices().filter(|d| begins(d.id.to_string())).collect();
        match found[..] {
            [device] => Ok(device.key),
            _ => Err(refused(format!("{} boxes or people are called {to}", found.len()))),
        }
    }

    pub(crate) fn grant(
        &self,
        to: &str,
        mut powers: Vec<Power>,
        places: Vec<PlaceId>,
        count: u32,
        days: u32,
        depth: u8,
    ) -> Result<Value, Failure> {
        let mut id = [0; 16];
        self.replica.draw(&mut id);
        powers.sort_unstable();
        powers.dedup();
        let until_ms = self.replica.now_ms() + i64::from(days) * DAY_MS;
        let (id, holder) = (GrantId(id), self.holder(to)?);
        let grant = Grant { id, holder, powers, places, count, until_ms, depth, parent: None };
        self.say(vec![Statement::Grant(grant)], json!({ "schema": 1, "grant": id.to_string() }))
    }

    pub(crate) fn end_grant(&self, grant: &str, reason: String) -> Result<Value, Failure> {
        let county = self.replica.county();
        let begins = |id: GrantId| grant.len() >= 4 && id.to_string().starts_with(grant);
        let found: Vec<GrantId> = county.grants().map(|g| g.id).filter(|id| begins(*id)).collect();
        let [id] = found[..] else {
            return Err(refused(format!("{} grants have an id that begins so", found.len())));
        };
        let ended = Statement::GrantEnded { grant: id, reason };
        self.say(vec![ended], json!({ "schema": 1, "ended": id.to_string() }))
    }

    pub(crate) fn grants(&self) -> Value {
        let county = self.replica.county();
        let rows: Vec<Value> = county
            .grants()
            .map(|g| {
                let device = county.devices().find(|d| d.key == g.holder).map(|d| d.name.clone());
                let person = county.people().find(|p| p.key == Some(g.holder));
                json!({
                    "grant": g.id.to_string(),
                    "holder": device.or_else(|| person.map(|p| p.name.clone())),
                    "powers": g.powers, "places": g.places, "left": county.left(g),
                    "until": cunkou_casework::calendar::china_day(g.until_ms).to_string(),
                    "usable": county.usable(g),
                })
            })
            .collect();
        json!({ "schema": 1, "grants": rows })
    }
}
