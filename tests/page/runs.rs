//! The runs whose pages are looked at, each made by the program itself in virtual time.

use crate::support::program::{Regstorm, profile};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);

/// A result directory, kept as long as it is looked at.
pub struct Run {
    directory: tempfile::TempDir,
}

impl Run {
    /// Simulates a profile; the exit status must be `code`.
    pub fn simulated(text: &str, code: i32) -> Run {
        let directory = tempfile::tempdir().expect("a directory under /tmp");
        let file = profile(directory.path(), text);
        Regstorm::run(directory.path(), &["simulate", file, "--out", "out"], LIMIT).expect_code(code);
        Run { directory }
    }

    /// What is left of a run that was killed when this share of its record had been written.
    pub fn cut(&self, keep: impl Fn(&[u8]) -> usize) -> Run {
        let record = fs::read(self.out().join("record.bin")).expect("every run has one");
        let directory = tempfile::tempdir().expect("a directory under /tmp");
        fs::create_dir(directory.path().join("out")).expect("the test's own directory");
        let whole = keep(&record);
        fs::write(directory.path().join("out/record.bin"), &record[..whole]).expect("the test's own directory");
        let run = Run { directory };
        run.report(&[]);
        run
    }

    /// `regstorm report` on it, with options.
    pub fn report(&self, options: &[&str]) {
        let arguments: Vec<&str> = ["report", "out"].into_iter().chain(options.iter().copied()).collect();
        Regstorm::run(self.directory.path(), &arguments, LIMIT).expect_code(0);
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    pub fn page_file(&self) -> PathBuf {
        self.out().join("report.html")
    }

    pub fn page(&self) -> String {
        fs::read_to_string(self.page_file()).expect("every run has a page")
    }
}

/// Every agent registers, refreshes and leaves; all targets are met.
pub fn pass() -> Run {
    Run::simulated(&format!("{}{}", go_live("400ms"), TARGETS), 0)
}

/// A morning in which the registrar takes 40 of 50 agents.
pub fn limit() -> Run {
    let fault = "[[registrar.fault]]\nkind = \"limit\"\nconcurrent = 40\ncode = 403\n\
                 reason = \"Registration limit exceeded\"\n";
    Run::simulated(&format!("{}{TARGETS}{fault}", go_live("400ms")), 1)
}

/// Every agent is refused with the right password, again and again.
pub fn looping() -> Run {
    let fault = "[[registrar.fault]]\nkind = \"realm\"\nchallenge = \"genesyscloud.test\"\n\
                 verify = \"genesyscloud.test;tenant=acme\"\n";
    Run::simulated(&format!("{}{TARGETS}{fault}", go_live("400ms")), 1)
}

fn go_live(interval: &str) -> String {
    format!(
        "[run]\nname = \"go-live\"\nseed = 7\ninterval = \"{interval}\"\n\
         [registrar]\nrealm = \"genesyscloud.test\"\n\
         [[trunk]]\nid = \"trunk_nj_01\"\nregistrar = \"embedded\"\ndomain = \"genesyscloud.test\"\nexpires = \"10s\"\n\
         retry = {{ preset = \"hammer\", interval = \"2s\" }}\n\
         agents = {{ count = 50, user = \"agent{{n:05}}\", password = \"secret\" }}\n\
         [[load]]\nrate = 25\nfor = \"2s\"\n[[load]]\nhold = \"28s\"\n"
    )
}

const TARGETS: &str = "[thresholds]\nsuccess_ratio = \">= 0.999\"\n\"register.p99\" = \"< 250ms\"\nloops = \"== 0\"\n";

/// Eight hours of fifteen trunks, one of which comes and goes.
pub fn soak() -> Run {
    let mut text = "[run]\nname = \"soak\"\nseed = 15\ninterval = \"30s\"\n\
                    [[load]]\nrate = 5\nfor = \"60s\"\n[[load]]\nhold = \"7h59m\"\n\
                    [[registrar.fault]]\nkind = \"delay\"\nlognormal = { median = \"20ms\", sigma = 0.5 }\n\
                    [[registrar.fault]]\nkind = \"oscillate\"\nperiod = \"90m\"\ncode = 503\ntrunk = \"trunk_03\"\n"
        .to_owned();
    for trunk in 0..15 {
        write!(
            text,
            "[[trunk]]\nid = \"trunk_{trunk:02}\"\nregistrar = \"embedded\"\ndomain = \"site{trunk:02}.test\"\n\
             expires = \"10m\"\nretry = {{ preset = \"asterisk\", max = \"unlimited\" }}\n\
             agents = {{ count = 20, user = \"t{trunk:02}a{{n:03}}\", password = \"secret\" }}\n"
        )
        .expect("a string grows");
    }
    text.push_str("[thresholds]\navailability_pct = \">= 99.9\"\n");
    Run::simulated(&text, 1)
}

/// Where the header's frame ends: magic and version, kind, length, checksum, payload.
pub fn header_alone(record: &[u8]) -> usize {
    let length = record[13..17].first_chunk::<4>().expect("four bytes");
    12 + 9 + u32::from_le_bytes(*length) as usize
}
