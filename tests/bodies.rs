//! Skeletons, contents and values through the public API: what is malformed for everybody, what waits for a later version,
//! and what costs nothing but its own values.

mod fixture;

use fixture::ops::{all_values, bodies, content_for, every_data_op, hello, with_ops};
use fixture::{keyring, unhex};
use stemma::codec::DecodeError;
use stemma::event::{Class, Content, NameAt, Number, ObjectAt, Op, ReadError, Skeleton, Unsupported, Value};

#[test]
fn one_undecodable_op_amid_a_thousand_makes_the_skeleton_malformed() {
    let mut skeleton = every_data_op();
    skeleton.ops = vec![Op::CounterAdd { object: ObjectAt(2), amount: 1 }; 1_000];
    skeleton.ops[500] = Op::CounterAdd { object: ObjectAt(99), amount: 1 };
    let error = Skeleton::decode(&skeleton.encode(2), Class::Data, 2).expect_err("no object 99");
    assert!(matches!(error, ReadError::Malformed(DecodeError::Invalid { what: "object", .. })), "{error}");
    skeleton.ops[500] = Op::MapSet { object: ObjectAt(2), key: NameAt(0) };
    let error = Skeleton::decode(&skeleton.encode(2), Class::Data, 2).expect_err("a counter is no map");
    assert!(error.to_string().starts_with("op object: the object's kind fits the op"), "{error}");
}

#[test]
fn an_unknown_op_below_0x80_waits_and_one_above_is_skipped() {
    let skeleton = with_ops(vec![Op::Skipped { kind: 0x80, payload: vec![1, 2, 3] }]);
    let mut bytes = skeleton.encode(0);
    assert_eq!(Skeleton::decode(&bytes, Class::Data, 0), Ok(skeleton));
    let op = bytes.len() - 6;
    assert_eq!(bytes[op], 0x80);
    bytes[op] = 0x7f;
    let unsupported = Unsupported { what: "op kind", found: 0x7f };
    assert_eq!(Skeleton::decode(&bytes, Class::Data, 0), Err(ReadError::Unsupported(unsupported)));
}

#[test]
fn ops_stay_in_changesets_of_their_class() {
    let classes = [Class::Control, Class::Data, Class::Policy, Class::Audit, Class::Snapshot, Class::Private];
    for body in bodies().iter().filter(|body| !body.skeleton.ops.is_empty()) {
        for class in classes {
            let read = Skeleton::decode(&body.skeleton.encode(body.deps), class, body.deps);
            let policy = [Class::Policy, Class::Private];
            let fits = class == body.class || policy.contains(&class) && policy.contains(&body.class);
            assert_eq!(read.is_ok(), fits, "{} in {class:?}", body.name);
        }
    }
}

#[test]
fn nobody_inserts_more_than_a_changeset_can_hold() {
    let insert = |len| Op::TextInsert { object: ObjectAt(1), left: None, right: None, len };
    let read = |ops| {
        let skeleton = Skeleton { ops, ..every_data_op() };
        Skeleton::decode(&skeleton.encode(2), Class::Data, 2).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(read(vec![insert(262_144)]), Ok(()));
    assert_eq!(read(vec![insert(262_145)]), Err("over-limit"));
    assert_eq!(read(vec![insert(262_144), insert(1)]), Err("over-limit"));
}

#[test]
fn nesting_of_any_depth_is_refused_without_a_crash() {
    let nested = |depth: usize| [[7, 1].repeat(depth), vec![0]].concat();
    assert!(Value::decode(&nested(100)).is_ok());
    for depth in [101, 1_000, 100_000] {
        assert_eq!(Value::decode(&nested(depth)).map_err(|error| error.code()), Err("over-limit"), "{depth}");
    }
    let objects = [[8, 1, 0].repeat(100_000), vec![0]].concat();
    assert_eq!(Value::decode(&objects).map_err(|error| error.code()), Err("over-limit"));
}

#[test]
fn values_have_one_encoding() {
    for (name, value) in all_values() {
        assert_eq!(Value::decode(&value.to_bytes()), Ok(value), "{name}");
    }
    let refused = [
        ("NaN", "04000000000000f87f"),
        ("infinity", "04000000000000f07f"),
        ("minus infinity", "04000000000000f0ff"),
        ("1.0 as a double", "04000000000000f03f"),
        ("0.0 as a double", "040000000000000000"),
        ("a lone surrogate", "0503eda080"),
        ("an overlong slash", "0502c0af"),
        ("keys out of order", "0802016200016100"),
        ("a key twice", "0802016100016100"),
        ("an unknown tag", "0a"),
    ];
    for (name, bytes) in refused {
        assert!(Value::decode(&unhex(bytes)).is_err(), "{name}");
    }
    // Where integers end, and where those of the machine do.
    for power in [53, 63] {
        for double in
            [2_f64.powi(power), 2_f64.powi(power) - 1.0, -2_f64.powi(power), 1.0 - 2_f64.powi(power)]
        {
            let value = Value::Number(Number::new(double).expect("finite"));
            assert_eq!(Value::decode(&value.to_bytes()), Ok(value), "{double}");
        }
    }
    let minus_zero = Value::decode(&unhex("040000000000000080")).expect("-0 is a double");
    assert_ne!(minus_zero, Value::from(0));
}

#[test]
fn any_fault_makes_the_whole_content_undecodable() {
    let skeleton = every_data_op();
    let content = content_for(&skeleton);
    let read = |content: &Content| {
        Content::decode(&content.encode(), &skeleton).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(read(&content), Ok(()));
    let text = |text: &str| Content { text: text.to_owned(), ..content.clone() };
    assert_eq!(read(&text("abcdefg")), Err("invalid"), "a unit too few");
    assert_eq!(read(&text("abcdefghi")), Err("invalid"), "a unit too many");
    assert_eq!(
        read(&text("ab\u{1f600}defg")),
        Err("invalid"),
        "an insert of 3 units ends inside a character"
    );
    assert_eq!(read(&text("a\u{1f600}defgh")), Ok(()));
    let mut values = content.clone();
    values.values.pop();
    assert!(read(&values).is_err(), "a value too few");
}

#[test]
fn content_is_handed_out_by_op() {
    let (skeleton, content) = hello();
    let parts: Vec<_> = content.by_op(&skeleton.ops).collect();
    assert_eq!(parts, [("hello \u{1f600}", &[][..]), ("", &["Grüße".into()][..])]);
    assert_eq!(content.confirmed_names(&skeleton, keyring(&[]).names()).len(), 4);
    let strangers = content.confirmed_names(&every_data_op(), keyring(&[]).names());
    assert_eq!(strangers, [], "names that no op uses are ignored");
}
