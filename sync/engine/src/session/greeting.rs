//! How a conversation begins: two hellos, or two brief ones when both remember the same.

use super::cold::{Giving, Taking};
use super::{Call, Lane, Output, Session};
use crate::sums::first16;
use crate::wire::{
    Brief, Frame, Hello, News, PROTOCOL, SCOPES_MAX, ScopeState, Violation, features,
};

/// What this side has said of itself so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Brief,
    Hello,
}

/// What a side remembers of itself and of a peer: how far each has read the other in each scope.
/// Nothing when there is no such memory. `dials` says whose memory it is, so that both sides name
/// the same.
fn memory(hello: &Hello, dials: bool) -> Option<[u8; 16]> {
    let peer = hello.scopes.first()?.epoch;
    if peer == [0; 16] {
        return None;
    }
    let mut hash = blake3::Hasher::new_derive_key("cunkou brief hello v1");
    let (dialled, answered) = if dials { (hello.epoch, peer) } else { (peer, hello.epoch) };
    hash.update(&dialled).update(&answered);
    for state in by_name(hello) {
        // A brief hello has no room to ask for whole subjects.
        if state.whole.is_some() {
            return None;
        }
        let acked = state.acked.filter(|_| state.epoch == peer)?;
        let (dialled, answered) = if dials { (state.read, acked) } else { (acked, state.read) };
        hash.update(&(state.scope.len() as u64).to_le_bytes()).update(state.scope.as_bytes());
        hash.update(&dialled.to_le_bytes()).update(&answered.to_le_bytes());
    }
    Some(first16(&hash))
}

fn by_name(hello: &Hello) -> Vec<&ScopeState> {
    let mut states: Vec<&ScopeState> = hello.scopes.iter().collect();
    states.sort_by(|a, b| a.scope.cmp(&b.scope));
    states
}

fn sum_of_all(hello: &Hello) -> Option<[u8; 16]> {
    let mut hash = blake3::Hasher::new_derive_key("cunkou sum of scopes v1");
    for state in by_name(hello) {
        hash.update(&state.sum?);
    }
    Some(first16(&hash))
}

fn brief(hello: &Hello, base: [u8; 16]) -> Brief {
    let news = by_name(hello).into_iter().enumerate().filter(|(_, s)| s.acked != Some(s.head));
    Brief {
        protocol: hello.protocol,
        features: hello.features.unwrap_or(0),
        incarnation: hello.incarnation,
        time_ms: hello.time_ms,
        base,
        sum: sum_of_all(hello),
        news: news.map(|(n, s)| News { scope: n as u32, head: s.head }).collect(),
    }
}

impl Session {
    pub(super) fn open(&mut self) {
        let Call::Out { knows } = self.call else { return };
        let ours = self.hello.features.unwrap_or(0);
        match memory(&self.hello, true) {
            Some(base) if knows & ours & features::BRIEF != 0 => self.say_brief(base),
            _ => self.say_hello(),
        }
    }

    fn say_brief(&mut self, base: [u8; 16]) {
        self.said = Said::Brief;
        self.say(&Frame::Brief(brief(&self.hello, base)));
    }

    fn say_hello(&mut self) {
        self.said = Said::Hello;
        self.say(&Frame::Hello(self.hello.clone()));
    }

    pub(super) fn heard_hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.greeted {
            return Err(Violation::OutOfTurn);
        }
        if hello.protocol != PROTOCOL {
            return Err(Violation::Protocol(hello.protocol));
        }
        if hello.scopes.len() > SCOPES_MAX {
            return Err(Violation::TooManyScopes(hello.scopes.len()));
        }
        if self.said != Said::Hello {
            self.say_hello();
        }
        self.features = self.hello.features.unwrap_or(0) & hello.features.unwrap_or(0);
        let mut still = Vec::new();
        let offers = self.both(features::OFFER);
        // Without offers afterwards everything would go twice.
        let wholes = offers && self.both(features::SNAPSHOT);
        for theirs in &hello.scopes {
            // What only one side names is not talked about: a peer cannot widen its scope.
            let Some(ours) = self.hello.scopes.iter().find(|s| s.scope == theirs.scope) else {
                continue;
            };
            // A cursor of another epoch is void: the log may have gone back since. One beyond what
            // was acknowledged here may be of another log: our disk was restored, or is a copy.
            let known = ours.acked.unwrap_or(0).min(ours.head);
            let acked = if theirs.epoch == self.hello.epoch { theirs.read.min(known) } else { 0 };
            let same = ours.epoch == hello.epoch;
            let read = if same { ours.read.min(theirs.head) } else { 0 };
            let mut lane = Lane::new(ours.head, acked, theirs.head, read);
            if !same && acked > 0 {
                // What it had acknowledged in another epoch is forgotten; this it still has.
                still.push((theirs.scope.clone(), acked));
            }
            if offers && acked == 0 && theirs.head > 0 {
                // It has read nothing of ours and is not empty: others may have given it the same.
                lane.offer_all();
            }
            if wholes
                && acked == 0
                && ours.head > 0
                && let Some(after) = &theirs.whole
            {
                lane.giving = Some(Giving::after(after));
            }
            lane.taking = Taking::new(wholes && ours.whole.is_some());
            if ours.sum.is_some() && ours.sum == theirs.sum {
                self.repair.is_equal(&theirs.scope);
            }
            self.lanes.insert(theirs.scope.clone(), lane);
        }
        self.greeted = true;
        self.out.push_back(Output::Greeted(hello));
        self.out.extend(still.into_iter().map(|(scope, upto)| Output::Acked { scope, upto }));
        // The county log first: what follows is judged by it.
        self.send_first();
        Ok(())
    }

    pub(super) fn heard_brief(&mut self, theirs: &Brief) -> Result<(), Violation> {
        let dials = matches!(self.call, Call::Out { .. });
        let in_turn = if dials { self.said == Said::Brief } else { self.said == Said::Nothing };
        if self.greeted || !in_turn {
            return Err(Violation::OutOfTurn);
        }
        if theirs.protocol != PROTOCOL {
            return Err(Violation::Protocol(theirs.protocol));
        }
        let base = memory(&self.hello, dials);
        if base != Some(theirs.base) {
            if dials {
                // It said that it remembers the same.
                return Err(Violation::Inconsistent);
            }
            self.say_hello();
            return Ok(());
        }
        if !dials {
            self.say_brief(theirs.base);
        }
        self.features = self.hello.features.unwrap_or(0) & theirs.features;
        let states = by_name(&self.hello);
        // What both remember, the peer has read to the end.
        let mut lanes: Vec<(String, Lane)> = states
            .iter()
            .map(|ours| {
                let acked = ours.acked.unwrap_or(0).min(ours.head);
                (ours.scope.clone(), Lane::new(ours.head, acked, ours.read, ours.read))
            })
            .collect();
        for news in &theirs.news {
            let lane = lanes.get_mut(news.scope as usize).ok_or(Violation::Scope)?;
            lane.1.peer_grew(news.head)?;
        }
        if theirs.sum.is_some() && theirs.sum == sum_of_all(&self.hello) {
            lanes.iter().for_each(|(scope, _)| self.repair.is_equal(scope));
        }
        self.lanes.extend(lanes);
        self.greeted = true;
        self.out.push_back(Output::GreetedAgain {
            incarnation: theirs.incarnation,
            time_ms: theirs.time_ms,
            features: theirs.features,
        });
        self.send_first();
        Ok(())
    }
}
