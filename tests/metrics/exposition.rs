//! OpenMetrics text, read as a scraper reads it.

use std::collections::BTreeMap;

/// One sample: name and labels as written, and its value.
#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// What stood at the endpoint at one moment.
#[derive(Debug)]
pub struct Exposition {
    pub text: String,
    pub samples: Vec<Sample>,
    /// Type by family.
    pub types: BTreeMap<String, String>,
}

impl Exposition {
    #[track_caller]
    pub fn read(text: String) -> Exposition {
        assert!(text.ends_with("# EOF\n"), "{text}");
        let mut types = BTreeMap::new();
        let mut samples = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
                Some((family, kind)) => {
                    assert!(types.insert(family.to_owned(), kind.to_owned()).is_none(), "{family} comes twice");
                }
                None if line.starts_with('#') => {}
                None => samples.push(sample(line)),
            }
        }
        Exposition { text, samples, types }
    }

    /// The sum of all samples of a name with these labels.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|own| own == value))
        };
        let found: Vec<f64> = self.samples.iter().filter(fits).map(|sample| sample.value).collect();
        assert!(!found.is_empty(), "no {name} {labels:?} in:\n{}", self.text);
        found.iter().sum()
    }

    /// The same in the older text format: a counter's family has the name of its samples, and a few
    /// comments are gone.
    pub fn classic(&self) -> String {
        let rename = |line: &str| {
            let mut words = line.splitn(4, ' ').map(str::to_owned).collect::<Vec<_>>();
            if let [_, what, family, ..] = words.as_mut_slice()
                && matches!(what.as_str(), "TYPE" | "HELP")
                && self.types.get(family).is_some_and(|kind| kind == "counter")
            {
                *family += "_total";
            }
            words.join(" ") + "\n"
        };
        let kept = self.text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF");
        kept.map(|line| if line.starts_with('#') { rename(line) } else { format!("{line}\n") }).collect()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    // The labels of these runs have no comma, quote or brace in them.
    let label = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
        (key.to_owned(), value.trim_matches('"').to_owned())
    };
    Sample {
        name: name.to_owned(),
        labels: labels.split(',').filter(|pair| !pair.is_empty()).map(label).collect(),
        value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")),
    }
}
