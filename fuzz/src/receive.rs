//! Ops folded: a member signs what it likes, replicas get it in different orders, and must agree and go on.

use crate::Input;
use crate::attacker::{World, encoded, read, write};
use crate::common::{Disk, assert_same, sync};
use crate::plain::plain;
use std::cell::Cell;
use stemma::{ObjectIx, Value};

thread_local! {
    /// A world and its disks as they were made: reopening is cheaper than founding a space for every input.
    static WORLD: Cell<Option<(World, [Disk; 2])>> = const { Cell::new(None) };
}

/// Up to four bodies, each a skeleton and a content: in two lanes, each changeset after its lane's last, some after all.
pub fn receive(data: &[u8]) {
    let (World { mut a, mut b, attacker, first }, disks) = WORLD.take().unwrap_or_else(|| {
        let world = World::new();
        let disks = [world.a.disk.clone(), world.b.disk.clone()];
        (world, disks)
    });
    (a.disk, b.disk) = (disks[0].clone(), disks[1].clone());
    (a, b) = (a.reopen(), b.reopen());

    let mut input = Input(data);
    let mut lanes = [attacker.lane(1), attacker.lane(2)];
    let mut heads = vec![first];
    let mut rows = Vec::new();
    while !input.is_empty() && rows.len() < 4 {
        let how = input.byte();
        let (skeleton, content) = (input.part(), input.part());
        let lane = &mut lanes[usize::from(how & 1)];
        let mut deps = if how & 2 == 0 { vec![first] } else { heads.clone() };
        deps.retain(|dep| Some(*dep) != lane.prev);
        let changeset = attacker.seal(lane, &deps, skeleton, (how & 4 == 0).then_some(content));
        (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
        heads = vec![changeset.id()];
        rows.push(encoded(&changeset));
    }
    attacker.give(&mut a, &rows);
    rows.reverse();
    attacker.give(&mut b, &rows);
    assert_same(&a, &b);
    write(&mut a, "from a");
    sync(&mut a, &mut b);
    assert_same(&a, &b);
    assert_eq!(read(&mut b, "from a"), Some(Value::from("here")), "an honest changeset is never inert");
    for node in [&mut a, &mut b] {
        node.replica.dbg_check();
        for object in (0..node.replica.object_count()).map(ObjectIx) {
            plain(&mut node.replica, object);
        }
    }
    WORLD.set(Some((World { a, b, attacker, first }, disks)));
}
