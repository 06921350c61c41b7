//! Ops folded: a member signs what it likes, replicas get it in different orders, and must agree and go on.

use crate::Input;
use crate::attacker::{World, encoded, read, write};
use crate::common::{assert_same, sync};
use stemma::Value;

/// Up to four bodies, each a skeleton and a content: in two lanes, each changeset after its lane's last, some after all.
pub fn receive(data: &[u8]) {
    let mut input = Input(data);
    let World { mut a, mut b, attacker, first } = World::new();
    let mut lanes = [attacker.lane(1), attacker.lane(2)];
    let mut heads = vec![first];
    let mut rows = Vec::new();
    while !input.is_empty() && rows.len() < 4 {
        let how = input.byte();
        let (skeleton, content) = (input.part(), input.part());
        let lane = &mut lanes[usize::from(how & 1)];
        let mut deps = if how & 2 == 0 { vec![first] } else { heads.clone() };
        deps.retain(|dep| Some(*dep) != lane.prev);
        deps.sort_unstable();
        deps.dedup();
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
    a.replica.dbg_check();
    b.replica.dbg_check();
}
