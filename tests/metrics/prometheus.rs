//! A real Prometheus with a data directory of its own, on a free port of 127.0.0.1; killed by its
//! pid.

use super::http;
use crate::support::clock;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Opening its storage takes seconds on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// A running Prometheus. Dropping it ends it.
pub struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    /// Scrapes `target` (host and port) five times a second; its files go to `dir`.
    pub fn start(dir: &Path, target: &str) -> Prometheus {
        let config = format!(
            "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n  - job_name: regstorm\n    \
             static_configs:\n      - targets: [\"{target}\"]\n"
        );
        std::fs::write(dir.join("prometheus.yml"), config).expect("the test's own directory");
        let log = File::create(dir.join("prometheus.log")).expect("the test's own directory");
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus is installed (Debian package prometheus)");
        let mut prometheus = Prometheus { child, address };
        clock::until("Prometheus to be ready", READY, || {
            let ended = prometheus.child.try_wait().expect("our own child");
            let log = || std::fs::read_to_string(dir.join("prometheus.log")).unwrap_or_default();
            assert!(ended.is_none(), "prometheus ended: {ended:?}\n{}", log());
            let ready = http::ask("GET", &prometheus.address, "/-/ready").ok()?;
            (ready.status == 200).then_some(())
        });
        // Ready is not yet scraping: `up` is there from the first try on, also when nobody answered
        // it.
        clock::until("Prometheus to scrape", READY, || prometheus.value("up"));
        prometheus
    }

    /// The value of an expression now, summed over its series; `None` without any.
    pub fn value(&self, expr: &str) -> Option<f64> {
        let answer = self.data(&format!("/api/v1/query?query={}", http::encoded(expr)));
        let series = answer["result"].as_array().expect("a vector");
        let number = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        let numbers: Vec<f64> = series.iter().filter_map(number).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum())
    }

    /// Series of an expression in the last `seconds`, and how many of their values are numbers.
    pub fn range(&self, expr: &str, seconds: u64) -> (usize, usize) {
        let now = self.value("vector(time())").expect("it knows the time");
        let (start, expr) = (now - seconds as f64, http::encoded(expr));
        let answer = self.data(&format!("/api/v1/query_range?query={expr}&start={start}&end={now}&step=1"));
        let series = answer["result"].as_array().expect("a matrix");
        let values = series.iter().flat_map(|series| series["values"].as_array().into_iter().flatten());
        let numbers = values.filter(|value| value[1].as_str().is_some_and(|text| text != "NaN")).count();
        (series.len(), numbers)
    }

    /// The values of a label.
    pub fn label_values(&self, metric: &str, label: &str) -> Vec<String> {
        let answer = self.data(&format!("/api/v1/label/{label}/values?match[]={}", http::encoded(metric)));
        answer.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    #[track_caller]
    fn data(&self, path: &str) -> Value {
        let answer = http::ask("GET", &self.address, path).expect("an answer");
        let mut answer: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{path}: {answer:?}"));
        assert_eq!(answer["status"], "success", "{path}: {answer:#}");
        answer["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail harmlessly on a process that has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago: who is to be scraped must be known before it runs.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
