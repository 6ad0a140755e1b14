//! A profile rehearsed in virtual time, its record read back: what the detectors see of a run.

use regstorm::command::simulate::{rehearse as carry_out, rehearse_facing, rehearse_in_parts};
use regstorm::link::{Delay, LinkConfig};
use regstorm::plan::Plan;
use regstorm::profile::{self, Source};
use regstorm::record::{Results, read};
use regstorm::seed::Seed;
use regstorm::sim::Opposite;
use std::time::Duration;

/// A profile that exists only in memory.
struct Text<'a>(&'a str);

impl Source for Text<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "scenario.toml" => Ok(self.0.as_bytes().to_vec()),
            // Sixty phones of twenty users.
            "three-a-user.csv" => {
                let rows = (0..60).map(|n| format!("agent{:05},secret\n", n % 20));
                Ok(("user,password\n".to_owned() + &rows.collect::<String>()).into_bytes())
            }
            _ => Err("there is no such file".to_owned()),
        }
    }

    fn env(&self, _name: &str) -> Option<String> {
        None
    }
}

/// The results of a profile's text, over a link of 2 ms each way that loses this share of the
/// packets.
#[allow(dead_code, reason = "not every suite is content with it")]
pub fn rehearse(text: &str, seed: u64, loss: f64) -> Results {
    let mut record = Vec::new();
    carry_out(&mut plan(text), Seed(seed), link(loss), &mut record).expect("memory takes every byte");
    read(&record[..]).expect("a record just written")
}

/// The record of a profile's text, rehearsed by one process.
#[allow(dead_code, reason = "most suites read it at once")]
pub fn record(text: &str, seed: u64, loss: f64) -> Vec<u8> {
    let mut record = Vec::new();
    carry_out(&mut plan(text), Seed(seed), link(loss), &mut record).expect("memory takes every byte");
    record
}

/// The records of so many machines that share the rehearsal.
#[allow(dead_code, reason = "one suite shares rehearsals")]
pub fn records(text: &str, seed: u64, loss: f64, machines: u32) -> Vec<Vec<u8>> {
    rehearse_in_parts(&mut plan(text), Seed(seed), link(loss), machines).expect("memory takes every byte")
}

/// The same at another registrar than the embedded one.
#[allow(dead_code, reason = "not every suite brings a registrar along")]
pub fn rehearse_with(text: &str, seed: u64, loss: f64, registrar: Box<dyn Opposite>) -> Results {
    let mut record = Vec::new();
    rehearse_facing(&mut plan(text), Seed(seed), link(loss), registrar, &mut record).expect("memory takes every byte");
    read(&record[..]).expect("a record just written")
}

fn plan(text: &str) -> Plan {
    let profile = profile::load(&Text(text), "scenario.toml", &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Plan::new(&profile).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn link(loss: f64) -> LinkConfig {
    LinkConfig { delay: Some(Delay::Fixed(Duration::from_millis(2))), drop: loss }
}
