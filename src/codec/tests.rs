//! Primitives at their edges.

use super::*;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    out.into_bytes()
}

#[test]
fn varints_round_trip_at_the_edges_of_every_length() {
    for shift in 0..64 {
        for value in [1u64 << shift, (1 << shift) - 1, (1 << shift) | 1] {
            let bytes = written(|out| {
                out.varint(value);
            });
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint("n", u64::MAX), Ok(value));
            assert_eq!(reader.finish("n"), Ok(()));
        }
    }
}

#[test]
fn varints_are_minimal_and_bounded() {
    let read = |bytes: &[u8], max| Reader::new(bytes).varint("n", max).map_err(|error| error.code());
    assert_eq!(read(&[0x80, 0x00], u64::MAX), Err("non-minimal"));
    assert_eq!(read(&[0xff, 0x80, 0x00], u64::MAX), Err("non-minimal"));
    assert_eq!(read(&[0x80], u64::MAX), Err("truncated"));
    assert_eq!(read(&[], u64::MAX), Err("truncated"));
    assert_eq!(read(&[0x80, 0x02], 255), Err("over-limit"));
    assert_eq!(read(&[0xff; 10], u64::MAX), Err("over-limit"));
    let greatest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(read(&greatest, u64::MAX), Ok(u64::MAX));
    let above = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(read(&above, u64::MAX), Err("over-limit"));
}

#[test]
fn zigzag_is_limited_to_what_a_double_holds() {
    for value in [0, 1, -1, 63, -64, 64, limits::SAFE_INTEGER_MAX, -limits::SAFE_INTEGER_MAX] {
        let bytes = written(|out| {
            out.zigzag(value);
        });
        assert_eq!(Reader::new(&bytes).zigzag("n"), Ok(value));
    }
    for value in [limits::SAFE_INTEGER_MAX + 1, -limits::SAFE_INTEGER_MAX - 1, i64::MIN] {
        let bytes = written(|out| {
            out.zigzag(value);
        });
        assert_eq!(Reader::new(&bytes).zigzag("n").map_err(|error| error.code()), Err("over-limit"));
    }
}

#[test]
fn lengths_of_2_to_the_63_allocate_nothing() {
    let mut bytes = written(|out| {
        out.varint(1 << 63);
    });
    bytes.extend_from_slice(b"short");
    assert!(Reader::new(&bytes).bytes("b", usize::MAX).is_err());
    assert!(Reader::new(&bytes).count("list", usize::MAX, 1).is_err());
    assert!(Reader::new(&bytes).sorted_arrays::<32>("list", usize::MAX).is_err());
    assert!(Tlv::decode(&mut Reader::new(&bytes), "ext", usize::MAX).is_err());
    assert!(BigInt::decode(&mut Reader::new(&bytes), "n").is_err());
}

#[test]
fn counts_must_fit_the_rest() {
    let bytes = [3, 0, 0, 0, 0, 0];
    assert_eq!(Reader::new(&bytes).count("list", 9, 1), Ok(3));
    assert_eq!(Reader::new(&bytes).count("list", 9, 2).map_err(|error| error.code()), Err("truncated"));
    assert_eq!(Reader::new(&bytes).count("list", 2, 1).map_err(|error| error.code()), Err("over-limit"));
}

#[test]
fn errors_say_what_was_found_where() {
    let mut reader = Reader::new(&[5, 1, 2, 9]);
    assert_eq!(reader.u8("version"), Ok(5));
    let mut part = reader.clone();
    assert_eq!(reader.bytes("name", 10), Ok(&[2][..]));
    assert_eq!(
        reader.finish("header").expect_err("a byte is left").to_string(),
        "header: 1 bytes too many at byte 3"
    );
    let mut part = part.part("name", 10).expect("one byte");
    assert_eq!((part.position(), part.u8("a")), (2, Ok(2)));
    assert_eq!(part.u8("b").expect_err("at its end").to_string(), "b: input ends at byte 3");
}

#[test]
fn strings_are_strict_utf8() {
    for bad in [&[2, 0xc0, 0x80][..], &[3, 0xed, 0xa0, 0x80], &[1, 0xff], &[4, 0xf4, 0x90, 0x80, 0x80]] {
        assert_eq!(Reader::new(bad).string("s", 10).map_err(|error| error.code()), Err("utf-8"), "{bad:x?}");
    }
    assert_eq!(Reader::new(&[4, 0xf0, 0x9f, 0x98, 0x80]).string("s", 10), Ok("😀"));
}

#[test]
fn sorted_arrays_ascend_strictly() {
    let list = |items: &[[u8; 2]]| {
        let bytes = written(|out| {
            out.varint(items.len() as u64);
            items.iter().for_each(|item| {
                out.raw(item);
            });
        });
        Reader::new(&bytes).sorted_arrays::<2>("list", 3).map_err(|error| error.code())
    };
    assert_eq!(list(&[[0, 1], [0, 2], [1, 0]]), Ok(vec![[0, 1], [0, 2], [1, 0]]));
    assert_eq!(list(&[[0, 1], [0, 1]]), Err("unsorted"));
    assert_eq!(list(&[[0, 2], [0, 1]]), Err("unsorted"));
    assert_eq!(list(&[[0, 1], [0, 2], [0, 3], [0, 4]]), Err("over-limit"));
}

#[test]
fn tlv_keeps_its_bytes_and_finds_critical_strangers() {
    let bytes = written(|out| {
        TlvWriter::new().entry(2, b"abc").entry(5, b"").finish(out);
        out.u8(0xee);
    });
    let mut reader = Reader::new(&bytes);
    let tlv = Tlv::decode(&mut reader, "ext", 100).expect("well-formed");
    assert_eq!(reader.rest(), [0xee]);
    assert_eq!(tlv.as_bytes(), &bytes[..bytes.len() - 1]);
    assert_eq!(tlv.get(2).map(|entry| entry.value), Some(&b"abc"[..]));
    assert_eq!(tlv.get(3), None);
    assert_eq!((tlv.unknown_critical(&[]), tlv.unknown_critical(&[5])), (Some(5), None));
    assert_eq!(
        tlv.iter().map(|entry| (entry.tag, entry.is_critical(), entry.at)).collect::<Vec<_>>(),
        [(2, false, 1), (5, true, 6)]
    );
}

#[test]
fn tlv_refuses_disorder_and_loose_ends() {
    let read = |bytes: &[u8]| {
        Tlv::decode(&mut Reader::new(bytes), "ext", 100).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(read(&[0]), Ok(()));
    assert_eq!(read(&[4, 4, 0, 2, 0]), Err("unsorted"));
    assert_eq!(read(&[4, 2, 0, 2, 0]), Err("unsorted"));
    assert_eq!(read(&[1, 2]), Err("truncated"));
    assert_eq!(read(&[3, 2, 5, 0]), Err("truncated"));
    assert_eq!(read(&[3, 0x82, 0x00, 0]), Err("non-minimal"));
    assert_eq!(read(&[101]), Err("over-limit"));
}

#[test]
fn bigints_are_canonical_and_ordered() {
    let numbers = [i128::MIN, -257, -256, -255, -1, 0, 1, 255, 256, i128::MAX].map(BigInt::from);
    assert!(numbers.is_sorted() && numbers[5].is_zero() && numbers[0].is_negative());
    for number in &numbers {
        let bytes = written(|out| number.encode(out));
        assert_eq!(BigInt::decode(&mut Reader::new(&bytes), "n").as_ref(), Ok(number));
    }
    assert_eq!(BigInt::new(true, &[0, 0]), Some(BigInt::from(0)));
    assert_eq!(BigInt::new(false, &[1; 1025]), None);
    let read = |bytes: &[u8]| BigInt::decode(&mut Reader::new(bytes), "n").map_err(|error| error.code());
    assert_eq!(read(&[1]), Err("non-minimal"), "minus zero");
    assert_eq!(read(&[4, 0, 7]), Err("non-minimal"), "leading zero");
    assert_eq!(read(&[4, 7]), Err("truncated"));
    assert_eq!(read(&[0x82, 0x10]), Err("over-limit"), "1,025 bytes");
}

#[test]
fn base64url_matches_the_rfc_and_is_canonical() {
    let pairs = [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg"),
        ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ];
    for (clear, coded) in pairs {
        assert_eq!(base64url::encode(clear.as_bytes()), coded);
        assert_eq!(base64url::decode(coded).as_deref(), Some(clear.as_bytes()));
    }
    assert_eq!(base64url::encode(&[0xfb, 0xff]), "-_8");
    for bad in ["Z", "Zh", "Zm9", "Zg==", "Zm 8", "Zm+v", "Zm9vY"] {
        assert_eq!(base64url::decode(bad), None, "{bad}");
    }
    assert!(base64url::is_digit('-') && !base64url::is_digit('+') && !base64url::is_digit('ü'));
}
