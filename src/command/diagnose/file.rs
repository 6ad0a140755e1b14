//! `diagnose DIR|FILE…`: what past results, a capture or a platform's event log say of the failures
//! in them.

use crate::cli::DiagnoseArgs;
use crate::command::failure::{Exit, Failure};
use crate::command::output::{RECORD, check_holds_run, print, say};
use crate::command::source::why_unreadable;
use crate::diagnose::Diagnosis;
use crate::observe::{self, Observation};
use crate::record::capture;
use crate::record::eventlog::{self, Fields};
use crate::record::texttrace;
use crate::record::{self, schema};
use crate::report::diagnosis::{self, Diagnosed};
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// # Errors
/// When a source does not exist, cannot be read, or is of no known kind.
pub(super) fn execute(sources: &[PathBuf], args: &DiagnoseArgs) -> Result<Exit, Failure> {
    let mut fields = Fields::default();
    for assignment in &args.fields {
        fields.assign(assignment).map_err(|error| Failure::usage(format!("--field {assignment}: {error}")))?;
    }
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

/// Reads a source; what it is is told by how it begins, not by its name.
fn read(path: &Path, fields: &Fields) -> Result<Observation, Failure> {
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
    let whole = beginning.as_slice().chain(source);
    if capture::is_capture(&beginning) {
        return observe::of_capture(whole, &name_of(&file)).map_err(|error| unreadable(&error));
    }
    if beginning.starts_with(&schema::MAGIC) {
        let results = record::read(whole).map_err(|error| unreadable(&error))?;
        return Ok(Observation { remarks: results.torn.iter().cloned().collect(), results });
    }
    if eventlog::is_json(&beginning) {
        let log = eventlog::read_from(whole, fields).map_err(|error| unreadable(&error))?;
        return observe::of_log(log, &name_of(&file)).map_err(|error| unreadable(&error));
    }
    if beginning.starts_with(&GZIP) {
        return Err(unreadable(&"it is compressed; unpack it first (gunzip)"));
    }
    if file.extension().is_some_and(|ending| ending == "toml") {
        let profile = "this looks like a profile; to experiment on one of its agents, write diagnose --live PROFILE";
        return Err(unreadable(&profile));
    }
    if texttrace::is_text(&beginning)
        && let Some(seen) = observe::of_trace(whole, &name_of(&file)).map_err(|error| unreadable(&error))?
    {
        return Ok(seen);
    }
    Err(unreadable(
        &"this is no capture (pcap, pcapng), no event log (JSON), no trace in text (Asterisk's pjsip logger, sngrep, \
          ngrep -W byline) and no record of a run",
    ))
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// What is looked at to tell the kind of a file. Blanks may stand before a JSON text.
const BEGINNING: u64 = 512;
/// RFC 1952 §2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
