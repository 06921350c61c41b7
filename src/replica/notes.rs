//! What authors wrote beside the ops of their changesets. Histories show it, so it is at hand without the rows: reading these
//! from the store and opening them takes a hundred times as long as listing what is known.

use crate::causal::ChangesetIx;
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use crate::crypto::NameKey;
use crate::event::{Content, NameEntry, NamedId, Skeleton, Sort, Value};
use crate::sorted::sort_by_key;
use foldhash::HashMap;

/// Bytes of a note; longer ones stay in their rows.
const NOTE_BYTES_MAX: usize = 1_024;

/// What its author wrote beside the ops.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub message: Option<String>,
    pub headers: Option<Value>,
    /// Confirmed by its HMAC.
    pub command: Option<String>,
}

/// The notes of all changesets that have some.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    notes: HashMap<u32, Note>,
    in_rows: usize,
}

#[derive(Clone, Debug)]
enum Note {
    Here(Box<Said>),
    InRow,
}

impl Said {
    /// What a content says.
    pub fn of(skeleton: &Skeleton, content: &Content, names: &NameKey) -> Self {
        let confirmed = |command| {
            content.names.iter().find_map(|entry| match entry {
                NameEntry::Name { sort, clear }
                    if *sort == Sort::Command as u8 && entry.id(names) == Some(NamedId::Name(command)) =>
                {
                    String::from_utf8(clear.clone()).ok()
                }
                _ => None,
            })
        };
        Self {
            message: content.meta.message.clone(),
            headers: content.meta.headers.clone(),
            command: skeleton.command.and_then(confirmed),
        }
    }

    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.message)
            + text(&self.command)
            + self.headers.as_ref().map_or(0, |headers| headers.to_bytes().len())
    }
}

impl Notes {
    /// Keeps what was said with a changeset, if anything was.
    pub fn keep(&mut self, changeset: ChangesetIx, said: Said) {
        if said == Said::default() {
            return;
        }
        let note = if said.bytes() > NOTE_BYTES_MAX { Note::InRow } else { Note::Here(said.into()) };
        self.in_rows += usize::from(matches!(note, Note::InRow));
        let before = self.notes.insert(changeset.0, note);
        self.in_rows -= usize::from(matches!(before, Some(Note::InRow)));
    }

    /// What was said with a changeset; none if it has to be looked for in its row.
    pub fn get(&self, changeset: ChangesetIx) -> Option<Said> {
        match self.notes.get(&changeset.0) {
            None => Some(Said::default()),
            Some(Note::Here(said)) => Some((**said).clone()),
            Some(Note::InRow) => None,
        }
    }

    /// Whether some are in rows alone.
    pub fn any_in_rows(&self) -> bool {
        self.in_rows > 0
    }
}

impl Saved for Notes {
    fn save(&self, out: &mut Writer) {
        let mut notes: Vec<(&u32, &Note)> = self.notes.iter().collect();
        sort_by_key(&mut notes, |(changeset, _)| **changeset);
        out.varint(notes.len() as u64);
        for (changeset, note) in notes {
            changeset.save(out);
            let said = if let Note::Here(said) = note { Some(said) } else { None };
            said.is_some().save(out);
            if let Some(Said { message, headers, command }) = said.map(|said| &**said) {
                for text in [message, command] {
                    text.as_ref().map(|text| Box::<[u8]>::from(text.as_bytes())).save(out);
                }
                headers.as_ref().map(|headers| Box::<[u8]>::from(headers.to_bytes())).save(out);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut notes = Self::default();
        let count = from.count("notes", u32::MAX as usize, 2)?;
        for _ in 0..count {
            let changeset = u32::load(from)?;
            let note = match bool::load(from)? {
                true => Note::Here(Box::new(load_said(from)?)),
                false => Note::InRow,
            };
            notes.in_rows += usize::from(matches!(note, Note::InRow));
            let is_new = notes.notes.insert(changeset, note).is_none();
            saved::check(is_new, from, "notes", "each changeset has one")?;
        }
        Ok(notes)
    }
}

fn load_said(from: &mut Reader<'_>) -> Result<Said, DecodeError> {
    let text = |from: &mut Reader<'_>| {
        let bytes = Option::<Box<[u8]>>::load(from)?;
        let text = bytes.map(|bytes| String::from_utf8(bytes.into())).transpose().ok();
        saved::check(text.is_some(), from, "note", "it is text")?;
        Ok(text.flatten())
    };
    let (message, command) = (text(from)?, text(from)?);
    let headers = Option::<Box<[u8]>>::load(from)?;
    Ok(Said { message, command, headers: headers.map(|headers| Value::decode(&headers)).transpose()? })
}
