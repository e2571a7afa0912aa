//! What every disk under a session must do, model or real: the same questions to both.

use cunkou_engine::{Hello, Part, PeerInfo, Port, ScopeState};
use cunkou_world::{Disk, Id, Rng};
use std::collections::BTreeSet;

/// Two machines that know each other, and a scope of both in which the box works.
pub(crate) struct Pair<D> {
    pub(crate) relay: D,
    pub(crate) village: D,
    pub(crate) scope: String,
}

impl<D: Disk> Pair<D> {
    /// How the relay knows the box, and the box the relay.
    fn peers(&self) -> (PeerInfo, PeerInfo) {
        let of_box = self.relay.port().admit_peer(&self.village.key()).expect("enrolled");
        let of_relay = self.village.port().admit_peer(&self.relay.key()).expect("enrolled");
        (of_box, of_relay)
    }

    fn meet(&self) -> (PeerInfo, PeerInfo) {
        let (of_box, of_relay) = self.peers();
        let from_relay = self.relay.port().hello(&of_box).expect("a hello");
        let from_box = self.village.port().hello(&of_relay).expect("a hello");
        self.relay.port().greeted(&of_box, &from_box).expect("greeted");
        self.village.port().greeted(&of_relay, &from_relay).expect("greeted");
        (of_box, of_relay)
    }

    fn work(&mut self, times: usize) {
        let mut rng = Rng::new(times as u64);
        for _ in 0..times {
            self.village.work(&self.scope, &mut rng).expect("saved");
        }
    }

    /// All of one machine's log that the other has not read, stored and acknowledged.
    fn give(&self, from: &D, to: &D, from_as: &PeerInfo, to_as: &PeerInfo) {
        let read = state(&to.port().hello(from_as).expect("a hello"), &self.scope).read;
        let part = from.port().load(to_as, &self.scope, read, usize::MAX).expect("loaded");
        to.port().store(from_as, &self.scope, part.upto, &part.entries).expect("stored");
        from.port().acked(to_as, &self.scope, part.upto).expect("noted");
    }

    fn exchange(&self) {
        let (of_box, of_relay) = self.meet();
        for _ in 0..2 {
            self.give(&self.village, &self.relay, &of_box, &of_relay);
            self.give(&self.relay, &self.village, &of_relay, &of_box);
        }
    }

    fn restart(&mut self) {
        let mut rng = Rng::new(9);
        for disk in [&mut self.relay, &mut self.village] {
            disk.cut(&mut rng);
            disk.start(&mut rng);
        }
    }
}

fn state(hello: &Hello, scope: &str) -> ScopeState {
    hello.scopes.iter().find(|s| s.scope == scope).expect("the scope is named").clone()
}

fn names<D: Disk>(entries: &[Vec<u8>]) -> BTreeSet<Id> {
    entries.iter().map(|bytes| D::id_of(bytes).expect("an entry")).collect()
}

fn in_order_and_without_gaps<D: Disk>(mut pair: Pair<D>) {
    pair.work(5);
    let (_, of_relay) = pair.meet();
    let port: &dyn Port = pair.village.port();
    let whole = port.load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    assert_eq!(whole.upto, whole.head);
    assert!(port.heads(&of_relay).expect("heads").contains(&(pair.scope.clone(), whole.head)));
    let (mut at, mut parts) = (0, Vec::new());
    while at < whole.head {
        let part = port.load(&of_relay, &pair.scope, at, 1).expect("loaded");
        assert!(part.entries.len() <= 1, "a small batch is one entry");
        assert!(part.upto > at, "a part goes on");
        at = part.upto;
        parts.extend(part.entries);
    }
    assert_eq!(parts, whole.entries, "in parts it is the same");
    assert_eq!(whole.entries.len() as u64, whole.head, "every position has its entry");
}

fn never_an_echo<D: Disk>(mut pair: Pair<D>) {
    pair.work(4);
    pair.exchange();
    let (of_box, of_relay) = pair.peers();
    let given = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let back = pair.relay.port().load(&of_box, &pair.scope, 0, usize::MAX).expect("loaded");
    assert!(names::<D>(&back.entries).is_disjoint(&names::<D>(&given.entries)));
    assert_eq!(back.upto, back.head, "what is left out is passed over");
}

fn twice_is_once<D: Disk>(mut pair: Pair<D>) {
    pair.work(3);
    let (of_box, of_relay) = pair.meet();
    let part = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let store = |upto| pair.relay.port().store(&of_box, &pair.scope, upto, &part.entries);
    store(part.upto).expect("stored");
    let held = pair.relay.held();
    let again = store(part.upto).expect("stored");
    assert_eq!((again.new, again.refused), (0, 0));
    assert_eq!(pair.relay.held(), held);
}

fn what_is_stored_is_there_after_the_power_went<D: Disk>(mut pair: Pair<D>) {
    pair.work(3);
    pair.exchange();
    let held = (pair.relay.held(), pair.village.held());
    let (of_box, of_relay) = pair.peers();
    let before = (pair.relay.port().hello(&of_box), pair.village.port().hello(&of_relay));
    pair.restart();
    assert_eq!((pair.relay.held(), pair.village.held()), held);
    let after = (pair.relay.port().hello(&of_box), pair.village.port().hello(&of_relay));
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        let (before, after) = (before.expect("a hello"), after.expect("a hello"));
        assert_eq!(before.scopes, after.scopes);
        assert_eq!((before.store, before.epoch), (after.store, after.epoch));
        assert_ne!(before.incarnation, after.incarnation, "another run");
        let state = state(&after, &pair.scope);
        assert!(state.read > 0 && state.acked.is_some_and(|acked| acked > 0));
    }
}

fn rubbish_moves_the_cursor_and_nothing_else<D: Disk>(mut pair: Pair<D>) {
    pair.work(1);
    let (of_box, of_relay) = pair.meet();
    let part = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let mut changed = part.entries[0].clone();
    let middle = changed.len() / 2;
    changed.truncate(middle);
    let held = pair.relay.held();
    let stored = pair.relay.port().store(&of_box, &pair.scope, 7, &[changed]).expect("stored");
    assert_eq!((stored.new, stored.quarantined, stored.refused), (0, 0, 1));
    assert_eq!(pair.relay.held(), held);
    let hello = pair.relay.port().hello(&of_box).expect("a hello");
    assert_eq!(state(&hello, &pair.scope).read, 7);
}

fn another_epoch_voids_what_was_known<D: Disk>(mut pair: Pair<D>) {
    pair.work(3);
    pair.exchange();
    let mut rng = Rng::new(4);
    pair.village.cut(&mut rng);
    let image = pair.village.image();
    pair.village.restore(&image, true, &mut rng);
    pair.village.start(&mut rng);
    let (of_box, of_relay) = pair.meet();
    let knows = state(&pair.relay.port().hello(&of_box).expect("a hello"), &pair.scope);
    assert_eq!((knows.read, knows.acked), (0, Some(0)));
    let given = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let back = pair.relay.port().load(&of_box, &pair.scope, 0, usize::MAX).expect("loaded");
    assert!(!names::<D>(&given.entries).is_empty());
    assert!(names::<D>(&given.entries).is_subset(&names::<D>(&back.entries)), "all is sent back");
}

fn an_older_disk_gets_back_what_it_gave<D: Disk>(mut pair: Pair<D>) {
    pair.work(2);
    pair.exchange();
    let mut rng = Rng::new(4);
    pair.village.cut(&mut rng);
    let image = pair.village.image();
    pair.village.start(&mut rng);
    pair.work(3);
    pair.exchange();
    let all = pair.village.held();
    pair.village.cut(&mut rng);
    pair.village.restore(&image, false, &mut rng);
    pair.village.start(&mut rng);
    assert!(pair.village.held().len() < all.len());
    pair.exchange();
    assert_eq!(pair.village.held().keys().collect::<Vec<_>>(), all.keys().collect::<Vec<_>>());
}

fn who_has_not_said_hello_gets_nothing<D: Disk>(pair: Pair<D>) {
    let stranger = PeerInfo {
        device: [0x77; 16],
        name: "?".into(),
        scopes: vec![pair.scope.clone()],
        handed_in: vec![],
    };
    assert!(pair.relay.port().store(&stranger, &pair.scope, 1, &[]).is_err());
    assert!(pair.relay.port().acked(&stranger, &pair.scope, 1).is_err());
    assert!(pair.relay.port().admit_peer(&[0x77; 32]).is_err());
}

fn sum<D: Disk>(of: &D, peer: &PeerInfo, scope: &str) -> [u8; 16] {
    let sums = of.port().sums(peer, &[scope.to_owned()]).expect("sums");
    let (named, head, sum) = sums.first().expect("the scope").clone();
    assert_eq!(named, scope);
    let hello = of.port().hello(peer).expect("a hello");
    assert_eq!((head, Some(sum)), (state(&hello, scope).head, state(&hello, scope).sum));
    sum
}

fn what_both_hold_has_one_sum<D: Disk>(mut pair: Pair<D>) {
    pair.work(4);
    pair.exchange();
    let (of_box, of_relay) = pair.peers();
    let same = |pair: &Pair<D>| {
        sum(&pair.relay, &of_box, &pair.scope) == sum(&pair.village, &of_relay, &pair.scope)
    };
    assert!(same(&pair));
    pair.work(1);
    assert!(!same(&pair));
    pair.restart();
    pair.exchange();
    assert!(same(&pair), "and after the power went");
}

fn names_say_what_is_lacking<D: Disk>(mut pair: Pair<D>) {
    pair.work(3);
    let (of_box, of_relay) = pair.meet();
    let named = pair.village.port().named(&of_relay, &pair.scope, 0, 4096).expect("names");
    let all = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    assert_eq!(named.names.len(), named.positions.len());
    assert!(named.upto <= named.head && named.positions.is_sorted());
    assert_eq!(named.names.len(), all.entries.len().min(named.names.len()));
    let lacks = |pair: &Pair<D>| {
        pair.relay.port().lacking(&of_box, &pair.scope, &named.names).expect("an answer")
    };
    assert!(lacks(&pair).iter().all(|lacking| *lacking));
    pair.exchange();
    assert!(!lacks(&pair).iter().any(|lacking| *lacking));
    let back = pair.relay.port().named(&of_box, &pair.scope, 0, 4096).expect("names");
    assert!(named.names.iter().all(|name| !back.names.contains(name)), "no echo");
}

fn a_part_leaves_out_what_is_not_wanted<D: Disk>(mut pair: Pair<D>) {
    pair.work(4);
    let (_, of_relay) = pair.meet();
    let port = pair.village.port();
    let whole = port.load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let mut part = Part::behind(&pair.scope, 0, usize::MAX);
    (part.until, part.skip) = (3, BTreeSet::from([2]));
    let some = port.load_part(&of_relay, &part).expect("loaded");
    assert_eq!((some.upto, some.head), (3, whole.head));
    assert_eq!(some.entries, [whole.entries[0].clone(), whole.entries[2].clone()]);
}

fn what_is_picked_heals_and_moves_no_cursor<D: Disk>(mut pair: Pair<D>) {
    pair.work(3);
    let (of_box, of_relay) = pair.meet();
    let all = pair.village.port().names(&of_relay, &pair.scope).expect("names");
    let one = pair.village.port().pick(&of_relay, &pair.scope, &all, 1).expect("picked");
    assert_eq!((one.dealt, one.entries.len()), (1, 1), "a small batch is one entry");
    let nothing = pair.village.port().pick(&of_relay, &pair.scope, &[[3; 32]], 1).expect("picked");
    assert_eq!((nothing.dealt, nothing.entries.len()), (1, 0));
    let mut rest = &all[..];
    let mut healed = 0;
    while !rest.is_empty() {
        let part = pair.village.port().pick(&of_relay, &pair.scope, rest, usize::MAX);
        let part = part.expect("picked");
        rest = &rest[part.dealt..];
        healed += pair.relay.port().heal(&of_box, &pair.scope, &part.entries).expect("healed");
        assert_eq!(pair.relay.port().heal(&of_box, &pair.scope, &part.entries), Ok(0), "once");
    }
    assert_eq!(healed, all.len() as u64);
    let hello = pair.relay.port().hello(&of_box).expect("a hello");
    assert_eq!(state(&hello, &pair.scope).read, 0);
    let held = pair.relay.held();
    assert!(all.iter().all(|id| held.get(id).is_some_and(|held| held.counts)));
}

fn brought_elsewhere_first_it_still_counts<D: Disk>(mut pair: Pair<D>) {
    pair.work(1);
    let (of_box, of_relay) = pair.meet();
    let all = pair.village.port().load(&of_relay, &pair.scope, 0, usize::MAX).expect("loaded");
    let stored = pair.relay.port().store(&of_box, "system", 9, &all.entries).expect("stored");
    assert_eq!(stored.new, 0);
    let ids = names::<D>(&all.entries);
    let counts = |pair: &Pair<D>| {
        let held = pair.relay.held();
        ids.iter().all(|id| held.get(id).is_some_and(|held| held.counts))
    };
    assert!(!counts(&pair));
    pair.exchange();
    assert!(counts(&pair));
}

/// Asks everything, of a new pair each time.
pub(crate) fn suite<D: Disk>(new: impl Fn() -> Pair<D>) {
    what_both_hold_has_one_sum(new());
    names_say_what_is_lacking(new());
    a_part_leaves_out_what_is_not_wanted(new());
    what_is_picked_heals_and_moves_no_cursor(new());
    brought_elsewhere_first_it_still_counts(new());
    in_order_and_without_gaps(new());
    never_an_echo(new());
    twice_is_once(new());
    what_is_stored_is_there_after_the_power_went(new());
    rubbish_moves_the_cursor_and_nothing_else(new());
    another_epoch_voids_what_was_known(new());
    an_older_disk_gets_back_what_it_gave(new());
    who_has_not_said_hello_gets_nothing(new());
}
