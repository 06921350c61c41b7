//! What authors wrote beside the ops of their changesets. Histories show it, so it is at hand without the rows: reading these
//! from the store and opening them takes a hundred times as long as listing what is known.

use crate::causal::{ChangesetIx, NameId};
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
    /// Its clear form is confirmed by the HMAC.
    pub command: Option<(NameId, String)>,
    /// How many steps before this changeset the transaction began, if it has a command.
    pub steps: u32,
}

/// The notes of all changesets that have some.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    notes: HashMap<u32, Note>,
    in_rows: usize,
    /// The changesets that have a command, as they came, by its number.
    by_command: Vec<Vec<ChangesetIx>>,
    commands: HashMap<NameId, u32>,
}

#[derive(Clone, Debug)]
struct Note {
    /// Of one that is too long only the command.
    said: Box<Said>,
    is_whole: bool,
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
        let command = skeleton.command.and_then(|id| Some((id, confirmed(id)?)));
        Self {
            message: content.meta.message.clone(),
            headers: content.meta.headers.clone(),
            steps: skeleton.goes_on().filter(|_| command.is_some()).unwrap_or(0),
            command,
        }
    }

    /// Bytes of what is kept only while it is short.
    fn bytes(&self) -> usize {
        self.message.as_ref().map_or(0, String::len)
            + self.headers.as_ref().map_or(0, |headers| headers.to_bytes().len())
    }
}

impl Notes {
    /// Keeps what was said with a changeset, if anything was.
    pub fn keep(&mut self, changeset: ChangesetIx, said: Said) {
        if said == Said::default() {
            return;
        }
        let is_whole = said.bytes() <= NOTE_BYTES_MAX;
        let said = if is_whole { said } else { Said { message: None, headers: None, ..said } };
        self.put(changeset.0, Note { said: said.into(), is_whole });
    }

    /// Forgets what was said with a changeset.
    pub fn forget(&mut self, changeset: ChangesetIx) {
        if let Some(note) = self.notes.remove(&changeset.0) {
            self.in_rows -= usize::from(!note.is_whole);
            if let Some((command, _)) = &note.said.command
                && let Some(at) = self.commands.get(command)
            {
                self.by_command[*at as usize].retain(|of| *of != changeset);
            }
        }
    }

    /// Whether it is the first about its changeset.
    fn put(&mut self, changeset: u32, note: Note) -> bool {
        self.in_rows += usize::from(!note.is_whole);
        let command = note.said.command.as_ref().map(|(id, _)| *id);
        let before = self.notes.insert(changeset, note);
        self.in_rows -= usize::from(before.as_ref().is_some_and(|before| !before.is_whole));
        if before.is_none()
            && let Some(command) = command
        {
            let at = *self.commands.entry(command).or_insert(self.by_command.len() as u32) as usize;
            self.by_command.resize_with(self.by_command.len().max(at + 1), Vec::new);
            self.by_command[at].push(ChangesetIx(changeset));
        }
        before.is_none()
    }

    /// The number of the command of a changeset, and how many steps before it the transaction began.
    pub fn command(&self, changeset: ChangesetIx) -> Option<(u32, u32)> {
        let said = &self.notes.get(&changeset.0)?.said;
        Some((self.commands[&said.command.as_ref()?.0], said.steps))
    }

    /// The changesets that have a command.
    pub fn with_command(&self, command: u32) -> &[ChangesetIx] {
        &self.by_command[command as usize]
    }

    /// What was said with a changeset; none if it has to be looked for in its row.
    pub fn get(&self, changeset: ChangesetIx) -> Option<Said> {
        match self.notes.get(&changeset.0) {
            None => Some(Said::default()),
            Some(note) => note.is_whole.then(|| (*note.said).clone()),
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
            note.is_whole.save(out);
            let Said { message, headers, command, steps } = &*note.said;
            for text in [message.as_ref(), command.as_ref().map(|(_, text)| text)] {
                text.map(|text| Box::<[u8]>::from(text.as_bytes())).save(out);
            }
            command.iter().for_each(|(id, _)| id.save(out));
            headers.as_ref().map(|headers| Box::<[u8]>::from(headers.to_bytes())).save(out);
            steps.save(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut notes = Self::default();
        let count = from.count("notes", u32::MAX as usize, 2)?;
        for _ in 0..count {
            let changeset = u32::load(from)?;
            let note = Note { is_whole: bool::load(from)?, said: Box::new(load_said(from)?) };
            let is_new = notes.put(changeset, note);
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
    let command = command.map(|text| Ok::<_, DecodeError>((NameId::load(from)?, text))).transpose()?;
    let headers = Option::<Box<[u8]>>::load(from)?;
    let headers = headers.map(|headers| Value::decode(&headers)).transpose()?;
    Ok(Said { message, command, headers, steps: u32::load(from)? })
}
