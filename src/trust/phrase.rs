//! Words as text: `verb subject argument`, the last two where the verb has them. It is how an edge passes them on.
//!
//! ```text
//! exclude T | include T | unsay T            T = changeset id, or id:index
//! ban S all | ban S here | ban S time MS | ban S changeset ID | ban S lifted     S = member ID | actor ID
//! trust ID WEIGHT | threshold WEIGHT | review on | review off
//! accept T | accept member ID | unaccept T | unaccept member ID
//! ```

use super::{Subject, Word};
use crate::causal::{ActorId, ChangesetId, MemberId};
use crate::codec::limits;
use crate::event::{Accepted, BanScope, BanSubject, Op, Target, Verdict};

/// Reads a word; none for what is not one.
#[must_use]
pub fn parse(phrase: &str) -> Option<Op> {
    let parts: Vec<&str> = phrase.split(' ').collect();
    Some(match parts.as_slice() {
        ["exclude", target] => exclude(Verdict::Exclude, target)?,
        ["include", target] => exclude(Verdict::Include, target)?,
        ["unsay", target] => exclude(Verdict::None, target)?,
        ["ban", sort, id, scope @ ..] => {
            let subject = match *sort {
                "member" => BanSubject::Member(MemberId(id32(id)?)),
                "actor" => BanSubject::Actor(ActorId(id32(id)?)),
                _ => return None,
            };
            let scope = match scope {
                ["lifted"] => BanScope::Lifted,
                ["all"] => BanScope::All,
                ["here"] => BanScope::FromHere,
                ["time", ms] => BanScope::SinceTime(ms.parse().ok().filter(|ms| *ms <= limits::TIME_MS_MAX)?),
                ["changeset", id] => BanScope::SinceChangeset(ChangesetId(id32(id)?)),
                _ => return None,
            };
            Op::PolicyBan { subject, scope }
        }
        ["trust", id, weight] => {
            let weight = weight
                .parse()
                .ok()
                .filter(|weight: &i64| weight.unsigned_abs() <= limits::SAFE_INTEGER_MAX.unsigned_abs())?;
            Op::PolicyTrust { member: MemberId(id32(id)?), weight }
        }
        ["threshold", weight] => {
            let weight = weight.parse().ok().filter(|weight| *weight <= limits::SAFE_INTEGER_MAX as u64)?;
            Op::PolicyThreshold { weight }
        }
        ["review", "on"] => Op::PolicyMode { review: true },
        ["review", "off"] => Op::PolicyMode { review: false },
        [verb @ ("accept" | "unaccept"), subject @ ..] => {
            let subject = match subject {
                ["member", id] => Accepted::Member(MemberId(id32(id)?)),
                [target] => Accepted::Target(parse_target(target)?),
                _ => return None,
            };
            Op::PolicyAccept { accepted: *verb == "accept", subject }
        }
        _ => return None,
    })
}

/// Reads words, each with a line end behind it: one verdict on many targets in a row is one op. Fails with what is not a word.
pub fn parse_lines(phrases: &str) -> Result<Vec<Op>, &str> {
    let mut words: Vec<Op> = Vec::new();
    for phrase in phrases.split_terminator('\n') {
        match (words.last_mut(), parse(phrase).ok_or(phrase)?) {
            (
                Some(Op::PolicyExclude { verdict: before, targets: all }),
                Op::PolicyExclude { verdict, mut targets },
            ) if *before == verdict => all.append(&mut targets),
            (_, word) => words.push(word),
        }
    }
    Ok(words)
}

/// Writes a word.
///
/// # Panics
/// If the word is not of the sort of its subject.
#[must_use]
pub fn print(subject: &Subject, word: &Word) -> String {
    match (subject, word) {
        (Subject::Target(target), Word::Verdict(verdict)) => {
            let verb = match verdict {
                Verdict::None => "unsay",
                Verdict::Exclude => "exclude",
                Verdict::Include => "include",
            };
            format!("{verb} {}", print_target(target))
        }
        (Subject::Ban(subject), Word::Ban(scope)) => {
            let scope = match scope {
                BanScope::Lifted => "lifted".to_owned(),
                BanScope::All => "all".to_owned(),
                BanScope::FromHere => "here".to_owned(),
                BanScope::SinceTime(ms) => format!("time {ms}"),
                BanScope::SinceChangeset(id) => format!("changeset {id}"),
            };
            match subject {
                BanSubject::Member(member) => format!("ban member {member} {scope}"),
                BanSubject::Actor(actor) => format!("ban actor {actor} {scope}"),
            }
        }
        (Subject::Trust(member), Word::Weight(weight)) => format!("trust {member} {weight}"),
        (Subject::Threshold, Word::Threshold(weight)) => format!("threshold {weight}"),
        (Subject::Mode, Word::Review(on)) => format!("review {}", if *on { "on" } else { "off" }),
        (Subject::Accept(accepted), Word::Accepted(on)) => {
            let verb = if *on { "accept" } else { "unaccept" };
            match accepted {
                Accepted::Member(member) => format!("{verb} member {member}"),
                Accepted::Target(target) => format!("{verb} {}", print_target(target)),
            }
        }
        _ => unreachable!("a word is of the sort of its subject"),
    }
}

/// Reads a changeset id, or one and the number of an op in it behind a colon.
#[must_use]
pub fn parse_target(written: &str) -> Option<Target> {
    let Some((id, index)) = written.split_once(':') else {
        return Some(Target::Changeset(ChangesetId(id32(written)?)));
    };
    let is_number = !index.is_empty() && index.bytes().all(|digit| digit.is_ascii_digit());
    let index = index.parse().ok().filter(|index| is_number && *index < limits::OPS_MAX as u32)?;
    Some(Target::Op(ChangesetId(id32(id)?), index))
}

/// Writes it.
#[must_use]
pub fn print_target(target: &Target) -> String {
    match target {
        Target::Changeset(id) => id.to_string(),
        Target::Op(id, index) => format!("{id}:{index}"),
    }
}

fn exclude(verdict: Verdict, target: &str) -> Option<Op> {
    Some(Op::PolicyExclude { verdict, targets: vec![parse_target(target)?] })
}

fn id32(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| (digit as char).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let id = "ab".repeat(32);
        let phrases = [
            format!("exclude {id}"),
            format!("include {id}:7"),
            format!("unsay {id}:65535"),
            format!("ban member {id} all"),
            format!("ban actor {id} here"),
            format!("ban member {id} time 1234"),
            format!("ban actor {id} changeset {id}"),
            format!("ban member {id} lifted"),
            format!("trust {id} -3"),
            "threshold 12".to_owned(),
            "review on".to_owned(),
            "review off".to_owned(),
            format!("accept {id}"),
            format!("unaccept {id}:0"),
            format!("accept member {id}"),
        ];
        for phrase in phrases {
            let op = parse(&phrase).expect("a word");
            let said = Subject::said_by(&op);
            assert_eq!(said.len(), 1);
            assert_eq!(print(&said[0].0, &said[0].1), phrase);
        }
    }

    #[test]
    fn targets_in_a_row_are_one_op() {
        let [a, b] = ["ab", "cd"].map(|byte| byte.repeat(32));
        let words = parse_lines(&format!(
            "exclude {a}\nexclude {b}:1\ninclude {a}\nthreshold 2\ninclude {b}\ninclude {a}:0\n"
        ))
        .map_err(str::to_owned)
        .expect("words");
        let said: Vec<usize> = words.iter().map(|word| Subject::said_by(word).len()).collect();
        assert_eq!(said, [2, 1, 1, 2]);
        assert_eq!(parse_lines(""), Ok(Vec::new()));
        assert_eq!(parse_lines("threshold 2\n\n"), Err(""));
    }

    #[test]
    fn what_is_no_word_is_refused() {
        let id = "ab".repeat(32);
        let phrases = [
            String::new(),
            "exclude".to_owned(),
            format!("exclude {id} {id}"),
            format!("exclude {}", &id[1..]),
            format!("exclude {id}:"),
            format!("exclude {id}:-1"),
            format!("exclude {id}:+1"),
            format!("exclude {id}:65536"),
            format!("trust {id} {}", i64::MIN),
            format!("exclude é{}", &id[2..]),
            format!("ban {id} all"),
            format!("ban member {id}"),
            format!("ban member {id} time -1"),
            format!("ban member {id} time 281474976710656"),
            format!("trust {id} 9007199254740992"),
            "threshold -1".to_owned(),
            "review maybe".to_owned(),
            format!("accept actor {id}"),
        ];
        for phrase in phrases {
            assert_eq!(parse(&phrase), None, "{phrase}");
        }
    }
}
