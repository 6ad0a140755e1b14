//! `diagnose DIR|FILE…`: what past results, a capture or a platform's event log say of the failures
//! in them.

use crate::cli::DiagnoseArgs;
use crate::command::failure::{Exit, Failure};
use crate::command::output::{RECORD, check_holds_run, print, say};
use crate::command::report::check_is_whole;
use crate::command::source::why_unreadable;
use crate::diagnose::Diagnosis;
use crate::observe::{self, Observation};
use crate::record::capture;
use crate::record::eventlog::{self, EventLog, Fields};
use crate::record::texttrace;
use crate::record::{self, schema};
use crate::report::diagnosis::{self, Diagnosed};
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// # Errors
/// When a source does not exist, cannot be read, or is of no known kind.
pub(super) fn execute(sources: &[PathBuf], args: &DiagnoseArgs) -> Result<Exit, Failure> {
    let fields = Fields::with(&args.fields).map_err(Failure::usage)?;
    let all = sources.iter().map(|path| diagnosed(path, &fields)).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        print(&diagnosis::render_json(&all))?;
    } else {
        for one in &all {
            for remark in &one.remarks {
                say(&format!("{}: {remark}", one.source));
            }
        }
        print(&diagnosis::render(&all))?;
    }
    let open = all.iter().any(|one| one.diagnosis.conclusion.is_open());
    Ok(if open { Exit::CausesOpen } else { Exit::Success })
}

fn diagnosed(path: &Path, fields: &Fields) -> Result<Diagnosed, Failure> {
    let Observation { results, remarks } = read(path, fields)?;
    let diagnosis = Diagnosis::of(&results);
    Ok(Diagnosed { source: path.display().to_string(), results, diagnosis, remarks })
}

/// Reads a source.
fn read(path: &Path, fields: &Fields) -> Result<Observation, Failure> {
    let file = if path.is_dir() { path.join(RECORD) } else { path.to_owned() };
    let name = name_of(&file);
    let unreadable = |error: &dyn Display| Failure::could_not(format!("{}: {error}", file.display()));
    let observed = match opened(path, fields)? {
        OpenedSource::Capture(source) => observe::of_capture(source, &name),
        OpenedSource::Log(log) => observe::of_log(log, &name),
        OpenedSource::Text(source) => match observe::of_text(source, &name) {
            Ok(None) => return Err(unreadable(&UNKNOWN)),
            Ok(Some(seen)) => Ok(seen),
            Err(error) => Err(error),
        },
        OpenedSource::Run(source) => {
            let results = record::read(source).map_err(|error| unreadable(&error))?;
            check_is_whole(path, &results.header)?;
            return Ok(Observation { remarks: results.torn.iter().cloned().collect(), results });
        }
    };
    observed.map_err(|error| unreadable(&error))
}

/// A source by its kind, at its beginning.
pub(in crate::command) enum OpenedSource {
    Capture(Box<dyn Read>),
    Log(EventLog),
    /// It may be a trace in text, or any other text.
    Text(Box<dyn BufRead>),
    Run(Box<dyn Read>),
}

/// Opens a source; what it is is told by how it begins, not by its name.
///
/// # Errors
/// When it does not exist, cannot be read, or is of no known kind.
pub(in crate::command) fn opened(path: &Path, fields: &Fields) -> Result<OpenedSource, Failure> {
    if !path.exists() {
        return Err(Failure::usage(format!("{}: there is no such file or directory", path.display())));
    }
    let file = if path.is_dir() {
        check_holds_run(path)?;
        path.join(RECORD)
    } else {
        path.to_owned()
    };
    let unreadable = |error: &dyn Display| Failure::could_not(format!("{}: {error}", file.display()));
    let mut source = File::open(&file).map(BufReader::new).map_err(|error| unreadable(&why_unreadable(&error)))?;
    let mut beginning = Vec::new();
    source.by_ref().take(BEGINNING).read_to_end(&mut beginning).map_err(|error| unreadable(&error))?;
    let whole = Cursor::new(beginning.clone()).chain(source);
    if capture::is_capture(&beginning) {
        return Ok(OpenedSource::Capture(Box::new(whole)));
    }
    if beginning.starts_with(&schema::MAGIC) {
        return Ok(OpenedSource::Run(Box::new(whole)));
    }
    if eventlog::is_json(&beginning) {
        return Ok(OpenedSource::Log(eventlog::read_from(whole, fields).map_err(|error| unreadable(&error))?));
    }
    if beginning.starts_with(&GZIP) {
        return Err(unreadable(&"it is compressed; unpack it first (gunzip)"));
    }
    if file.extension().is_some_and(|ending| ending == "toml") {
        let profile = "this looks like a profile; to experiment on one of its agents, write diagnose --live PROFILE";
        return Err(unreadable(&profile));
    }
    if texttrace::is_text(&beginning) {
        return Ok(OpenedSource::Text(Box::new(whole)));
    }
    Err(unreadable(&UNKNOWN))
}

/// What a file of no known kind is not.
pub(in crate::command) const UNKNOWN: &str = "this is no capture (pcap, pcapng), no event log (JSON), no trace in text (Asterisk's pjsip logger, sngrep, ngrep -W byline) \
     and no record of a run";

/// What results call it.
pub(in crate::command) fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// What is looked at to tell the kind of a file. Blanks may stand before a JSON text.
const BEGINNING: u64 = 512;
/// RFC 1952 §2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
