//! What goes wrong, when it does.

use crate::disk::Disk;
use crate::hostile::Hostile;
use crate::plan::{Failure, MS, Plan, SECOND, Seat, What};
use crate::world::{Event, World};

impl<D: Disk> World<D> {
    pub(crate) fn fault(&mut self, nr: usize) -> Result<(), Failure> {
        let what = self.plan.faults[nr].what.clone();
        self.say(|| format!("{what:?}"));
        match what {
            What::Break { machine, clean } => {
                let conns: Vec<usize> = self.machines[machine].conns.iter().copied().collect();
                if conns.is_empty() {
                    return Ok(());
                }
                let conn = conns[self.rng.index(conns.len())];
                if clean { self.close(conn, self.rng.clone().index(2)) } else { self.sever(conn) }
            }
            What::Partition { machines, lasts } => {
                let parted: Vec<usize> = self
                    .conns
                    .iter()
                    .filter(|(_, c)| {
                        let [a, b] =
                            [&c.ends[0], &c.ends[1]].map(|e| machines.contains(&e.machine));
                        a != b
                    })
                    .map(|(conn, _)| *conn)
                    .collect();
                for conn in parted {
                    self.sever(conn);
                }
                let until = (self.now + lasts).min(self.plan.well);
                self.partitions.push((until, machines));
            }
            What::Crash { machine, off } => self.dark(machine, off),
            What::CrashAt { machine, commits, point, off } => {
                if self.machines[machine].on {
                    self.machines[machine].armed = Some((commits, point, off));
                }
            }
            What::Backup { machine } => {
                let image = self.machines[machine].seat.disk.image();
                self.machines[machine].backup = Some(image);
            }
            What::Restore { machine, new_epoch } => self.restore(machine, new_epoch),
            What::Clone { machine } => self.copy(machine),
            What::Jump { machine, ms } => self.machines[machine].seat.disk.jump(ms),
            What::Full { machine, lasts } => {
                self.machines[machine].seat.disk.set_full(true);
                self.at((self.now + lasts).min(self.plan.well), Event::Roomy { machine });
            }
            What::Rot { machine } => {
                let mut rng = self.rng.fork(nr as u64);
                self.machines[machine].seat.disk.rot(&mut rng);
            }
            What::Lose { machine, scope } => self.shrinks(machine, &scope, true),
            What::Regain { machine, scope } => self.shrinks(machine, &scope, false),
            What::Again { machine } => {
                let me = &self.machines[machine];
                if !me.on || me.retired || me.seat.dials.is_empty() {
                    return Ok(());
                }
                let to = me.seat.dials[self.rng.clone().index(me.seat.dials.len())];
                if self.machines[to].on && !self.parted(machine, to) {
                    self.open(machine, to);
                    // Both conversations may say all of it at the same time.
                    self.machines[machine].resets += 1;
                }
            }
            What::Hostile { machine, relay, frames } => self.hostile(nr, machine, relay, frames),
        }
        Ok(())
    }

    /// The county takes a scope from a box, or gives it back.
    fn shrinks(&mut self, machine: usize, scope: &str, away: bool) {
        let device = self.machines[machine].seat.device;
        self.machines[machine].seat.disk.shrinks(device, scope, away);
        for nr in 0..self.machines.len() {
            let me = &mut self.machines[nr];
            if me.seat.device == device {
                if away {
                    me.seat.scopes.remove(scope)
                } else {
                    me.seat.scopes.insert(scope.into())
                };
                me.ever.insert(scope.to_owned());
                // All of it may go over the line once more.
                me.resets += 1;
            }
            if me.on && !me.retired {
                me.seat.disk.scopes_changed();
                self.news(nr);
            }
        }
    }

    fn parted(&self, a: usize, b: usize) -> bool {
        let now = self.now;
        self.partitions.iter().any(|(until, p)| *until > now && p.contains(&a) != p.contains(&b))
    }

    fn restore(&mut self, machine: usize, new_epoch: bool) {
        let Some(image) = self.machines[machine].backup.clone() else { return };
        if self.machines[machine].retired {
            return;
        }
        self.dark(machine, SECOND);
        let me = &mut self.machines[machine];
        me.resets += 1;
        me.seat.disk.restore(&image, new_epoch, &mut self.rng);
        self.disk_is_another(machine);
    }

    fn disk_is_another(&mut self, machine: usize) {
        let held = self.machines[machine].seat.disk.held();
        self.oracle.changed_disk(machine, &held);
    }

    /// A read met rotten bytes: the machine throws them out and begins a new epoch.
    pub(crate) fn heal(&mut self, machine: usize) {
        self.say(|| format!("machine {machine} heals its disk"));
        self.dark(machine, SECOND);
        let me = &mut self.machines[machine];
        me.resets += 1;
        me.seat.disk.heal(&mut self.rng);
        self.disk_is_another(machine);
    }

    fn copy(&mut self, machine: usize) {
        let me = &self.machines[machine];
        if !me.on || me.retired {
            return;
        }
        let disk = me.seat.disk.copied(&mut self.rng);
        let held = disk.held();
        let seat = Seat {
            disk,
            device: me.seat.device,
            scopes: me.seat.scopes.clone(),
            access: me.seat.access,
            dials: me.seat.dials.clone(),
            commit: me.seat.commit,
        };
        self.oracle.copied(&held);
        self.seat(seat);
    }

    /// Somebody notices that there are two and takes the later one away.
    pub(crate) fn copies_leave(&mut self) {
        for machine in 0..self.machines.len() {
            let device = self.machines[machine].seat.device;
            let first = self.machines.iter().position(|m| m.seat.device == device);
            if first == Some(machine) || self.machines[machine].retired {
                continue;
            }
            self.dark(machine, SECOND);
            self.machines[machine].retired = true;
            self.oracle.changed_disk(machine, &std::collections::BTreeMap::new());
        }
    }

    fn hostile(&mut self, nr: usize, machine: usize, relay: usize, frames: u32) {
        if !self.machines[machine].on || !self.machines[relay].on {
            return;
        }
        let foreign = self
            .machines
            .iter()
            .flat_map(|m| m.seat.scopes.iter())
            .find(|scope| !self.machines[machine].seat.scopes.contains(*scope));
        let foreign = foreign.cloned().unwrap_or_else(|| "place:999".to_owned());
        let rng = self.rng.fork(nr as u64);
        // It has taken the box over: the box's own conversation with this relay is no more.
        let of_box = self
            .conns
            .iter()
            .filter(|(_, c)| (c.ends[0].machine, c.ends[1].machine) == (machine, relay) && !c.cut);
        for conn in of_box.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            self.close(conn, 0);
        }
        let conn = self.open(machine, relay);
        if let Some(found) = self.conns.get_mut(&conn) {
            found.ends[0].hostile = Some(Hostile::new(rng, frames, foreign));
        }
        // What it says may make the relay forget what the box had read.
        self.machines[machine].resets += 2;
    }

    pub(crate) fn evil(&mut self, conn: usize) -> Result<(), Failure> {
        let Some(found) = self.conns.get_mut(&conn) else { return Ok(()) };
        if found.cut || found.ends[0].gone {
            return Ok(());
        }
        let Some(hostile) = &mut found.ends[0].hostile else { return Ok(()) };
        if hostile.left == 0 {
            self.close(conn, 0);
            return Ok(());
        }
        hostile.left -= 1;
        let frame = hostile.speaks();
        let wait = hostile.rng.within(MS, SECOND);
        let (machine, fetches) = (found.ends[0].machine, hostile.asks_for_entries(&frame));
        // What it asks for by name it may have had already.
        self.machines[machine].resets += u64::from(fetches);
        self.send(conn, 0, frame)?;
        self.after(wait, Event::Evil { conn });
        Ok(())
    }

    pub(crate) fn evil_leaves(&mut self) {
        let evil = self.conns.iter().filter(|(_, c)| c.ends[0].hostile.is_some());
        let evil: Vec<usize> = evil.map(|(conn, _)| *conn).collect();
        for conn in evil {
            self.close(conn, 0);
        }
    }
}

impl Plan {
    /// The same without some of its faults.
    #[must_use]
    pub fn with_faults(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.faults.iter().enumerate().filter(|(nr, _)| keep(*nr));
        Self {
            work: self.work.clone(),
            faults: kept.map(|(_, fault)| fault.clone()).collect(),
            well: self.well,
        }
    }
}
