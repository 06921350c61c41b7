//! What a device stores, altered: a replica opens from it, or says why not, and takes no harm.

use crate::Input;
use crate::attacker::{World, write};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use stemma::replica::{Env, IdentityError, Replica, Settings};
use stemma::store::StoreName;

type Records = BTreeMap<(StoreName, String), Vec<u8>>;

struct Device {
    keyed: Records,
    tail: Vec<Vec<u8>>,
    export: Vec<u8>,
}

/// A device that knows two members and what both wrote.
static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let World { mut a, .. } = World::new();
    write(&mut a, "more");
    Device { export: a.replica.export_space(), keyed: a.disk.keyed, tail: a.disk.tail }
});

/// Records altered at places that the input names, a record missing or of another name, then the rest of a start.
pub fn device(data: &[u8]) {
    let mut input = Input(data);
    let (mut keyed, mut tail) = (DEVICE.keyed.clone(), DEVICE.tail.clone());
    while !input.is_empty() {
        let (what, at) = (input.byte(), usize::from(input.byte()));
        let names: Vec<_> = keyed.keys().cloned().collect();
        match what {
            _ if names.is_empty() => break,
            0..8 => drop(keyed.remove(&names[at % names.len()])),
            8..16 => {
                let value = keyed.remove(&names[at % names.len()]).expect("it was listed");
                let name = String::from_utf8_lossy(input.part()).into_owned();
                keyed.insert((names[usize::from(what) % names.len()].0, name), value);
            }
            16..160 => alter(keyed.get_mut(&names[at % names.len()]).expect("it was listed"), &mut input),
            _ => {
                let record = at % tail.len();
                alter(&mut tail[record], &mut input);
            }
        }
    }
    let Ok(mut replica) = open(&keyed) else { return };
    tail.iter().for_each(|record| replica.load_tail(record));
    work(&mut replica, |replica, env| while replica.finish_load(env) {});
    let actor = replica.actor_candidates().first().copied();
    work(&mut replica, |replica, env| match actor {
        Some(actor) => replica.use_actor(actor, env),
        None => drop(replica.new_actor(true, env)),
    });
    replica.dbg_check();
}

/// An export of the space, altered, comes to a device that has all of it.
pub fn import(data: &[u8]) {
    let mut input = Input(data);
    let mut export = DEVICE.export.clone();
    while !input.is_empty() {
        alter(&mut export, &mut input);
    }
    let mut replica = open(&DEVICE.keyed).expect("nothing was altered");
    let _ = work(&mut replica, |replica, env| replica.import_space(&export, env));
    replica.dbg_check();
}

fn open(keyed: &Records) -> Result<Replica, IdentityError> {
    let records = |store: StoreName| -> BTreeMap<String, Vec<u8>> {
        let of_store = keyed.iter().filter(|((name, _), _)| *name == store);
        of_store.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    };
    let [meta, keys, actors] = [StoreName::Meta, StoreName::Keys, StoreName::Actors].map(records);
    Replica::open(&meta, &keys, &actors, Settings::default())
}

/// Replaces, inserts or cuts out a few bytes.
fn alter(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let at = input.short() % (bytes.len() + 1);
    let (old, new) = (usize::from(input.byte() % 40), usize::from(input.byte() % 40));
    let end = (at + old).min(bytes.len());
    bytes.splice(at..end, input.take(new).iter().copied());
}

fn work<T>(replica: &mut Replica, call: impl FnOnce(&mut Replica, &mut Env<'_>) -> T) -> T {
    let mut random = |bytes: &mut [u8]| bytes.fill(7);
    let result = call(replica, &mut Env { now_ms: 1_000_000, random: &mut random });
    while replica.poll().is_some() {}
    result
}
