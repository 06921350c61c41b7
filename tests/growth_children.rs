//! How work on objects under keys grows, by counted steps as in `growth.rs`.

mod common;

use common::Node;
use stemma::doc::ObjectIx;
use stemma::event::{ObjectKind, Options, Value};
use stemma::steps;

const N: usize = 400;

/// A map with `n` children, each with a value in it.
fn family(n: usize) -> (Node, ObjectIx, Vec<ObjectIx>) {
    let mut node = Node::create(1);
    let map = node.replica.object("m", ObjectKind::Map).expect("a map");
    let none = Options::default();
    let child =
        |at: usize| node.replica.map_child(map, &format!("k{at}"), ObjectKind::Map, &none).expect("a map");
    let children: Vec<ObjectIx> = (0..n).map(child).collect();
    children.iter().for_each(|child| set(&mut node, *child));
    node.with(|replica, env| replica.flush(env));
    (node, map, children)
}

fn set(node: &mut Node, map: ObjectIx) {
    let random = &mut node.random.clone();
    let mut fill = |bytes: &mut [u8]| random.fill(bytes);
    let env = &mut stemma::replica::Env { now_ms: node.now_ms, random: &mut fill };
    node.replica.map_set(map, "v", Value::Null, env).expect("a writer");
}

/// How many times the steps at `N` are those at twice that.
fn growth(run: impl Fn(usize) -> u64) -> f64 {
    let (at_n, at_2n) = (run(N), run(2 * N));
    assert!(at_n > 0, "nothing was counted");
    at_2n as f64 / at_n as f64
}

fn steps_of(work: impl FnOnce()) -> u64 {
    let before = steps::taken();
    work();
    steps::taken() - before
}

#[test]
fn an_edit_of_one_child_does_not_look_at_the_others() {
    let grows = growth(|n| {
        let (mut node, _, children) = family(n);
        steps_of(|| {
            set(&mut node, children[n / 2]);
            node.with(|_, _| {});
        })
    });
    assert!(grows <= 1.2, "{grows}");
}

#[test]
fn telling_of_many_children_and_deleting_them_is_linear() {
    for deletes in [false, true] {
        let grows = growth(|n| {
            let (mut node, map, children) = family(n);
            steps_of(|| match deletes {
                false => {
                    children.iter().for_each(|child| set(&mut node, *child));
                    node.with(|_, _| {});
                }
                true => {
                    for at in 0..n {
                        node.with(|replica, env| replica.map_delete(map, &format!("k{at}"), env))
                            .expect("a writer");
                    }
                }
            })
        });
        assert!(grows <= 2.4, "{grows}");
    }
}
