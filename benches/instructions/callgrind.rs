//! What callgrind counted, as a graph of functions, and its costs room by room.
//!
//! Line tables say from which file an instruction comes, inlined or not, so most costs name their
//! room. What has no room of its own (the standard library, memchr, libc, the lexical ground
//! `sip/fields`) is charged to the function it was inlined into, else to its callers in proportion
//! to what they spent in it.
//!
//! Read first: the Valgrind manual, "Callgrind Format Specification".

use std::collections::BTreeMap;

/// What an instruction counts for.
pub const ROOMS: [&str; 12] = [
    "sip/scan",
    "sip/challenge",
    "sip/contact",
    "sip/digest",
    "sip/emit",
    "sip/branch",
    "agent",
    "fleet",
    "load",
    "measure",
    "seed",
    "other",
];

const OTHER: usize = ROOMS.len() - 1;

/// Instructions by room.
pub type Bill = [f64; ROOMS.len()];

/// Crates that do one room's work and nothing else.
const CRATES: [(&str, &str); 9] = [
    ("/md-5-", "sip/digest"),
    ("/sha2-", "sip/digest"),
    ("/digest-", "sip/digest"),
    ("/block-buffer-", "sip/digest"),
    ("/hybrid-array-", "sip/digest"),
    ("/chacha20-", "seed"),
    ("/rand_chacha-", "seed"),
    ("/rand_core-", "seed"),
    ("/hdrhistogram-", "measure"),
];

/// The room of a source file; `None` for what serves several.
fn room(file: &str) -> Option<usize> {
    let own = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).map_or(file, |rest| rest.trim_start_matches('/'));
    let name = match own.strip_prefix("src/") {
        // A file of the SIP room, with its own folder, is a room by itself.
        Some(path) if path.starts_with("sip/") => path.match_indices(['/', '.']).nth(1).map(|(end, _)| &path[..end])?,
        Some(path) => path.split(['/', '.']).next()?,
        None if own.starts_with("benches/") => "other",
        None => CRATES.iter().find(|(part, _)| file.contains(part))?.1,
    };
    ROOMS.iter().position(|room| *room == name)
}

/// The costs of one run, or the difference of two.
#[derive(Default)]
pub struct Profile {
    /// Instructions by function and source file.
    own: BTreeMap<(String, String), f64>,
    /// Instructions spent in a callee, by caller, the file the call stands in, and callee.
    calls: BTreeMap<(String, String, String), f64>,
    /// The file in which a function begins.
    homes: BTreeMap<String, String>,
    total: f64,
}

/// Callgrind writes a name once, with a number, and the number alone from then on.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn read(&mut self, text: &str) -> String {
        let Some((number, name)) = text.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            return text.to_owned();
        };
        match name.trim_start() {
            "" => self.0.get(number).cloned().unwrap_or_default(),
            name => {
                self.0.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
        }
    }
}

impl Profile {
    /// Reads what callgrind wrote.
    ///
    /// # Errors
    /// A line that cannot be read, or costs that do not add up to what callgrind says they do.
    pub fn read(text: &str) -> Result<Profile, String> {
        let mut profile = Profile::default();
        let (mut files, mut functions) = (Names::default(), Names::default());
        let (mut function, mut file, mut home, mut callee, mut total) =
            (String::new(), String::new(), String::new(), None, None);
        for line in text.lines() {
            match line.split_once('=') {
                Some(("fl", name)) => {
                    home = files.read(name);
                    file.clone_from(&home);
                }
                Some(("fi" | "fe", name)) => file = files.read(name),
                Some(("fn", name)) => {
                    function = functions.read(name);
                    file.clone_from(&home);
                    profile.homes.insert(function.clone(), home.clone());
                }
                Some(("cfi" | "cfl", name)) => _ = files.read(name),
                Some(("cfn", name)) => callee = Some(functions.read(name)),
                Some(_) => {}
                None if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                    let cost: f64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).ok_or(line)?;
                    let (function, file) = (function.clone(), file.clone());
                    match callee.take() {
                        Some(callee) => *profile.calls.entry((function, file, callee)).or_default() += cost,
                        None => *profile.own.entry((function, file)).or_default() += cost,
                    }
                }
                None => {
                    let sum = line.strip_prefix("totals: ").or(line.strip_prefix("summary: "));
                    total = sum.and_then(|sum| sum.parse::<f64>().ok()).or(total);
                }
            }
        }
        profile.total = profile.own.values().sum();
        match total {
            Some(total) if total == profile.total => Ok(profile),
            _ => Err(format!("costs add up to {}, callgrind says {total:?}", profile.total)),
        }
    }

    /// What this run spent beyond `less`.
    pub fn beyond(mut self, less: &Profile) -> Profile {
        for (key, cost) in &less.own {
            *self.own.entry(key.clone()).or_default() -= cost;
        }
        for (key, cost) in &less.calls {
            *self.calls.entry(key.clone()).or_default() -= cost;
        }
        self.total -= less.total;
        self
    }

    pub fn total(&self) -> f64 {
        self.total
    }

    /// Its instructions by room; they add up to the total.
    pub fn bill(&self) -> Bill {
        let shares = self.shares();
        let mut bill = [0.0; ROOMS.len()];
        for ((function, file), cost) in &self.own {
            add(&mut bill, &self.charged(&shares, function, file), *cost);
        }
        bill
    }

    /// For each function without a room: how its callers share its costs.
    fn shares(&self) -> BTreeMap<&str, Bill> {
        let mut shares = BTreeMap::new();
        // A chain of such functions is a few long; each round settles one link.
        for _ in 0..24 {
            let mut spent: BTreeMap<&str, Bill> = BTreeMap::new();
            for ((caller, file, callee), cost) in &self.calls {
                let charged = self.charged(&shares, caller, file);
                add(spent.entry(callee).or_insert([0.0; ROOMS.len()]), &charged, cost.max(0.0));
            }
            for bill in spent.values_mut() {
                let sum: f64 = bill.iter().sum();
                bill.iter_mut().for_each(|part| *part = if sum > 0.0 { *part / sum } else { 0.0 });
            }
            spent.retain(|_, bill| bill.iter().sum::<f64>() > 0.0);
            shares = spent;
        }
        shares
    }

    /// Who pays for the code of `file` within `function`.
    fn charged(&self, shares: &BTreeMap<&str, Bill>, function: &str, file: &str) -> Bill {
        let home = || room(self.homes.get(function)?);
        match (room(file).or_else(home), shares.get(function)) {
            (Some(room), _) => only(room),
            (None, Some(shares)) => *shares,
            (None, None) => only(OTHER),
        }
    }
}

fn only(room: usize) -> Bill {
    let mut bill = [0.0; ROOMS.len()];
    bill[room] = 1.0;
    bill
}

fn add(bill: &mut Bill, shares: &Bill, cost: f64) {
    for (part, share) in bill.iter_mut().zip(shares) {
        *part += share * cost;
    }
}
