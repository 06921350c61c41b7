//! What an operator does to a store: look after it, keep it, move it.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use stemma::causal::SpaceId;
use stemma_relay::archive::{self, ArchiveError, Counts};
use stemma_relay::check::check;
use stemma_relay::store::{PostgresStore, SqliteStore, Store, StoreError};

/// Where a store is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// Folder of the store [default: relay-data]
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// Database to store in instead, which several relays may share: postgres://user:password@host/database
    #[arg(long, global = true, env = "STEMMA_STORE", hide_env_values = true)]
    store: Option<String>,
}

impl Place {
    /// That one place is named, and not two.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match (&self.data, &self.store) {
            (Some(_), Some(_)) => Err(
                "a folder (--data) and a database (--store, or STEMMA_STORE in the environment) are named: \
                     which of the two holds the store?",
            ),
            _ => Ok(()),
        }
    }

    fn folder(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new("relay-data"))
    }

    /// Opens what is there, or makes it.
    pub(crate) fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.store {
            Some(url) => Arc::new(PostgresStore::open(url)?),
            None => Arc::new(SqliteStore::open(self.folder())?),
        })
    }

    /// Opens what is there, and makes nothing.
    fn open_existing(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.store {
            Some(url) => Arc::new(PostgresStore::open_existing(url)?),
            None => Arc::new(SqliteStore::open_existing(self.folder())?),
        })
    }

    /// Opens what is there to read it, beside a relay that serves it perhaps.
    fn open_to_read(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.store {
            Some(url) => Arc::new(PostgresStore::open_existing(url)?),
            None => Arc::new(SqliteStore::open_to_read(self.folder())?),
        })
    }
}

/// What is done, instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Read everything and check it: cursors, chains, signatures, sums. Ends with 1 if something is wrong
    Check {
        /// Remove what nothing reaches. No relay may have the folder open then
        #[arg(long)]
        sweep: bool,
    },
    /// Write everything to a file, the key of the relay included; beside a relay that serves it, too
    Backup {
        /// The file, or - for standard output
        file: PathBuf,
    },
    /// Read a backup into an empty store. Its logs get new ids, so that clients compare what they have and send what is missing.
    /// Where it was cut off, `import` goes on
    Restore {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Write one space to a file
    Export {
        /// Its id, 64 hex digits
        space: SpaceHex,
        /// The file, or - for standard output
        file: PathBuf,
    },
    /// Add the spaces of a file; what is there already is skipped
    Import {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Forget a space and everything in it
    Remove {
        /// Its id, 64 hex digits
        space: SpaceHex,
    },
}

/// The id of a space as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpaceHex(SpaceId);

impl std::str::FromStr for SpaceHex {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "the id of a space has 64 hex digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong);
        }
        let mut id = [0; 32];
        for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self(SpaceId(id)))
    }
}

/// Does it; whether all is well.
pub(crate) fn run(command: Command, place: &Place) -> Result<bool, ArchiveError> {
    match command {
        Command::Check { sweep } => {
            let store = if sweep { place.open_existing()? } else { place.open_to_read()? };
            let report = check(&*store, sweep)?;
            report.faults.iter().for_each(|fault| println!("{fault}"));
            let strays = if sweep { "strays removed" } else { "strays" };
            println!(
                "{} spaces, {} rows, {} bytes, {} {strays}, {} faults",
                report.spaces,
                report.rows,
                report.bytes,
                report.strays,
                report.faults.len()
            );
            return Ok(report.faults.is_empty());
        }
        Command::Backup { file } => {
            let store = place.open_to_read()?;
            say("wrote", to_file(&file, |out| archive::backup(&*store, out))?);
        }
        Command::Export { space, file } => {
            let store = place.open_to_read()?;
            say("wrote", to_file(&file, |out| archive::export(&*store, space.0, out))?);
        }
        Command::Restore { file } => {
            say("read", archive::restore(&*place.open()?, &mut from_file(&file)?)?);
        }
        Command::Import { file } => say("read", archive::import(&*place.open()?, &mut from_file(&file)?)?),
        Command::Remove { space } => {
            if !place.open_existing()?.remove_space(space.0)? {
                return Err(ArchiveError::NoSpace(space.0));
            }
            eprintln!("removed");
        }
    }
    Ok(true)
}

fn say(did: &str, counts: Counts) {
    eprintln!("{did} {} spaces and {} rows, {} of them known", counts.spaces, counts.rows, counts.known);
}

/// A file has its name once it is whole and on disk.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Counts, ArchiveError>,
) -> Result<Counts, ArchiveError> {
    if path == Path::new("-") {
        return write(&mut std::io::stdout().lock());
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = to_new_file(part.as_ref(), write).and_then(|counts| {
        std::fs::rename(&part, path)?;
        Ok(counts)
    });
    if written.is_err() {
        // A disk that is full has no use for a piece; what was wrong is told in any case.
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn to_new_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Counts, ArchiveError>,
) -> Result<Counts, ArchiveError> {
    // What an earlier try left may be open to others, and the key of the relay is in a backup.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = BufWriter::new(options.open(path)?);
    let counts = write(&mut out)?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(counts)
}

fn from_file(path: &Path) -> Result<Box<dyn Read>, ArchiveError> {
    Ok(if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path)?))
    })
}
