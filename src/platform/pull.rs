//! Everything a platform tells of a window: source after source, in windows as large as it answers.

use super::pages::{AfterPage, Paging};
use super::session::{AsksPlatform, PlatformError, PlatformReply, refusal};
use super::{AskWindow, Dialect, PlatformRequest, PlatformRow, PlatformSource, SourceFacts, TrunkNames, rfc3339};
use crate::record::platform::{PullGap, SeenCount, SeenState, SourceOutcome, SourceSeen};
use crate::sip::mask::mask_credentials;
use serde_json::Value;
use std::collections::BTreeMap;

/// What was told, and what was not.
#[derive(Debug, Default)]
pub struct Pulled {
    pub states: Vec<SeenState>,
    pub counts: Vec<SeenCount>,
    /// In the order of their times, where they have one.
    pub events: Vec<Value>,
    pub sources: Vec<SourceSeen>,
    pub gaps: Vec<PullGap>,
    pub remarks: Vec<String>,
    /// Answers as they came, but for what proves a password.
    pub raw: Vec<(String, Vec<u8>)>,
}

/// Windows are whole minutes, and never shorter than one.
const MINUTE_S: i64 = 60;

impl AskWindow {
    /// The whole minutes around two times.
    pub fn around(from_s: i64, to_s: i64) -> AskWindow {
        let from_s = from_s - from_s.rem_euclid(MINUTE_S);
        let to_s = to_s + (MINUTE_S - to_s.rem_euclid(MINUTE_S)) % MINUTE_S;
        AskWindow { from_s, to_s: to_s.max(from_s + MINUTE_S) }
    }

    fn holds(self, at_s: i64) -> bool {
        (self.from_s..self.to_s).contains(&at_s)
    }

    /// Two parts of whole minutes; `None` where it is a minute already.
    fn halves(self) -> Option<(AskWindow, AskWindow)> {
        let minutes = (self.to_s - self.from_s) / MINUTE_S;
        let middle = self.from_s + minutes / 2 * MINUTE_S;
        let parts = (AskWindow { to_s: middle, ..self }, AskWindow { from_s: middle, ..self });
        (minutes >= 2).then_some(parts)
    }
}

/// Asks everything the dialect can ask. `host` is what links to further pages may begin with.
///
/// # Errors
/// When the platform gives no token; whatever else fails is in what was pulled.
pub fn pull(
    dialect: &dyn Dialect,
    asked: &mut dyn AsksPlatform,
    trunks: &[TrunkNames],
    host: &str,
    window: AskWindow,
) -> Result<Pulled, PlatformError> {
    pull_of(dialect, asked, (trunks, host), window, |_| true)
}

/// Asks for nothing but how the trunks stand now.
///
/// # Errors
/// As [`pull`].
pub fn pull_states(
    dialect: &dyn Dialect,
    asked: &mut dyn AsksPlatform,
    trunks: &[TrunkNames],
    host: &str,
) -> Result<Pulled, PlatformError> {
    let window = AskWindow::around(0, 0);
    pull_of(dialect, asked, (trunks, host), window, |source| source == PlatformSource::States)
}

/// How many questions it takes to learn how the trunks stand.
pub fn questions_for_states(dialect: &dyn Dialect, trunks: usize) -> usize {
    let by_trunk = dialect.sources().iter().any(|facts| facts.source == PlatformSource::States && facts.by_trunk);
    if by_trunk { trunks.max(1) } else { 1 }
}

fn pull_of(
    dialect: &dyn Dialect,
    asked: &mut dyn AsksPlatform,
    (trunks, host): (&[TrunkNames], &str),
    window: AskWindow,
    wanted: impl Fn(PlatformSource) -> bool,
) -> Result<Pulled, PlatformError> {
    let mut work = PullWork { dialect, asked, trunks, host, pulled: Pulled::default(), times: Vec::new(), twice: 0 };
    for facts in dialect.sources().iter().filter(|facts| wanted(facts.source)) {
        let subjects: Vec<Option<&TrunkNames>> =
            if facts.by_trunk { trunks.iter().map(Some).collect() } else { vec![None] };
        for trunk in subjects {
            work.source(facts, trunk, window)?;
        }
    }
    Ok(work.finish())
}

struct PullWork<'a> {
    dialect: &'a dyn Dialect,
    asked: &'a mut dyn AsksPlatform,
    trunks: &'a [TrunkNames],
    host: &'a str,
    pulled: Pulled,
    /// Times of the events, in their order.
    times: Vec<i64>,
    /// Counts that came more than once.
    twice: u64,
}

/// What came of one window of one source.
enum Collected {
    Rows { rows: Vec<PlatformRow>, short: bool },
    TooLarge,
    Refused(String),
}

/// One answer of a platform.
enum PageTaken {
    Page { rows: Vec<PlatformRow>, after: AfterPage },
    Ends(Collected),
}

impl PullWork<'_> {
    fn source(
        &mut self,
        facts: &SourceFacts,
        trunk: Option<&TrunkNames>,
        window: AskWindow,
    ) -> Result<(), PlatformError> {
        let mut seen = SourceSeen {
            source: facts.source.name().to_owned(),
            trunk: trunk.map(|(ours, _)| ours.clone()).unwrap_or_default(),
            outcome: SourceOutcome::Told,
            rows: 0,
            said: String::new(),
        };
        let (mut windows, mut halved, mut counts) = (vec![window], 0u32, BTreeMap::new());
        while let Some(window) = windows.pop() {
            let collected = match self.window(facts.source, trunk, window) {
                Err(error @ PlatformError::NoToken(_)) => return Err(error),
                Err(error) => Collected::Refused(error.to_string()),
                Ok(collected) => collected,
            };
            match (collected, window.halves().filter(|_| facts.by_time)) {
                (Collected::Rows { rows, short }, _) => {
                    if short {
                        seen.outcome = SourceOutcome::Incomplete;
                    }
                    let within = |row: &PlatformRow| !facts.by_time || row.at_s().is_none_or(|at| window.holds(at));
                    for row in rows.into_iter().filter(within) {
                        seen.rows += 1;
                        self.take(row, &mut counts);
                    }
                }
                (Collected::TooLarge, Some((first, second))) => {
                    halved += 1;
                    windows.extend([second, first]);
                }
                (Collected::TooLarge, None) => self.gap(&mut seen, window, "413 for a single minute"),
                (Collected::Refused(said), _) => {
                    // What refuses one window refuses the others.
                    let to_s = windows.first().map_or(window.to_s, |last| last.to_s.max(window.to_s));
                    self.gap(&mut seen, AskWindow { to_s, ..window }, &said);
                    if seen.rows == 0 {
                        seen.outcome = SourceOutcome::Refused;
                    }
                    seen.said = said;
                    break;
                }
            }
        }
        if halved > 0 {
            let what = about(&seen);
            let times = if halved == 1 { "once".to_owned() } else { format!("{halved} times") };
            self.pulled
                .remarks
                .push(format!("{what}: too much for one answer (413), so the window was halved {times}"));
        }
        if seen.rows == 0 && seen.outcome == SourceOutcome::Told {
            seen.outcome = SourceOutcome::Empty;
        }
        self.pulled.counts.extend(counts.into_values());
        self.pulled.sources.push(seen);
        Ok(())
    }

    fn gap(&mut self, seen: &mut SourceSeen, window: AskWindow, why: &str) {
        seen.outcome = SourceOutcome::Incomplete;
        self.pulled.gaps.push(PullGap {
            source: seen.source.clone(),
            trunk: seen.trunk.clone(),
            from_s: window.from_s,
            to_s: window.to_s,
            why: why.to_owned(),
        });
    }

    fn take(&mut self, row: PlatformRow, counts: &mut BTreeMap<(String, String, String), SeenCount>) {
        match row {
            PlatformRow::State(state) => self.pulled.states.push(state),
            PlatformRow::Event { at_s, record } => {
                self.times.push(at_s.unwrap_or(i64::MAX));
                self.pulled.events.push(masked(record));
            }
            PlatformRow::Count(count) => {
                let key = (count.interval_start.clone(), count.trunk_id.clone(), count.status.clone());
                if let Some(before) = counts.get_mut(&key) {
                    self.twice += 1;
                    before.count = before.count.max(count.count);
                } else {
                    counts.insert(key, count);
                }
            }
        }
    }

    /// All pages of a window.
    fn window(
        &mut self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        window: AskWindow,
    ) -> Result<Collected, PlatformError> {
        let mut request = self.dialect.request(source, trunk, window, 1);
        let mut paging = Paging::new(&request.path);
        let (mut all, mut short) = (Vec::new(), false);
        loop {
            let (rows, after) = match self.page(source, trunk, &request, &mut paging)? {
                PageTaken::Page { rows, after } => (rows, after),
                PageTaken::Ends(ending) => return Ok(ending),
            };
            let what = || source.name().to_owned() + &trunk.map(|(ours, _)| format!(" of {ours}")).unwrap_or_default();
            match after {
                AfterPage::Again => {
                    self.pulled.remarks.push(format!("{}: a page came a second time, and is counted once", what()));
                    break;
                }
                after => {
                    all.extend(rows);
                    match after {
                        AfterPage::Link(path) => request = PlatformRequest { path, body: request.body },
                        AfterPage::Number(page) => request = self.dialect.request(source, trunk, window, page),
                        AfterPage::Short { rows, total } => {
                            let says = format!("{}: {rows} rows came where it says there are {total}", what());
                            self.pulled.remarks.push(says);
                            short = true;
                            break;
                        }
                        AfterPage::End | AfterPage::Again => break,
                    }
                }
            }
        }
        Ok(Collected::Rows { rows: all, short })
    }

    fn page(
        &mut self,
        source: PlatformSource,
        trunk: Option<&TrunkNames>,
        request: &PlatformRequest,
        paging: &mut Paging,
    ) -> Result<PageTaken, PlatformError> {
        let PlatformReply { status, body } = self.asked.ask(request)?;
        if status == 413 {
            return Ok(PageTaken::Ends(Collected::TooLarge));
        }
        self.keep(source, trunk, &body);
        if !(200..300).contains(&status) {
            return Ok(PageTaken::Ends(Collected::Refused(refusal(status, &body))));
        }
        let parsed = serde_json::from_slice::<Value>(&body).map_err(|error| format!("it is no JSON: {error}"));
        let read = parsed.and_then(|page| {
            let rows = self.dialect.rows(source, trunk, self.trunks, &page)?;
            Ok((page, rows))
        });
        Ok(match read {
            Ok((page, rows)) => {
                let after = paging.after(&page, listed(&page, &rows), self.host);
                PageTaken::Page { rows, after }
            }
            Err(why) => PageTaken::Ends(Collected::Refused(format!("the answer cannot be understood: {why}"))),
        })
    }

    fn keep(&mut self, source: PlatformSource, trunk: Option<&TrunkNames>, body: &[u8]) {
        let mut kept = body.to_vec();
        mask_credentials(&mut kept);
        // Whatever is JSON is kept as JSON, with what proves a password overwritten in each text.
        if let Ok(parsed) = serde_json::from_slice::<Value>(body) {
            kept = masked(parsed).to_string().into_bytes();
        }
        let trunk = trunk.map(|(ours, _)| format!("-{ours}")).unwrap_or_default();
        let name = format!("{:04}-{}{trunk}.json", self.pulled.raw.len() + 1, source.name());
        self.pulled.raw.push((name, kept));
    }

    fn finish(self) -> Pulled {
        let PullWork { mut pulled, times, twice, .. } = self;
        let mut events: Vec<(i64, Value)> = times.into_iter().zip(std::mem::take(&mut pulled.events)).collect();
        events.sort_by_key(|(at, _)| *at);
        pulled.events = events.into_iter().map(|(_, record)| record).collect();
        pulled.counts.sort_by(|a, b| {
            (&a.interval_start, &a.trunk_id, &a.status).cmp(&(&b.interval_start, &b.trunk_id, &b.status))
        });
        if twice > 0 {
            pulled.remarks.push(format!("counts: {twice} came more than once, and the largest is taken"));
        }
        pulled
    }
}

impl PlatformRow {
    /// When it was, where that is known.
    fn at_s(&self) -> Option<i64> {
        match self {
            PlatformRow::State(_) => None,
            PlatformRow::Count(count) => count.interval_start.parse::<jiff::Timestamp>().ok().map(|at| at.as_second()),
            PlatformRow::Event { at_s, .. } => *at_s,
        }
    }
}

/// How many things a page lists, those that nobody asked about too.
fn listed(page: &Value, rows: &[PlatformRow]) -> u64 {
    let lists = page.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_array());
    let own = page.as_array().map(Vec::len);
    own.or_else(|| lists.map(Vec::len).max()).unwrap_or(rows.len()) as u64
}

fn about(seen: &SourceSeen) -> String {
    if seen.trunk.is_empty() { seen.source.clone() } else { format!("{} of {}", seen.source, seen.trunk) }
}

/// The same with what proves a password overwritten, and without what opens a door by itself.
fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let mut bytes = text.into_bytes();
            mask_credentials(&mut bytes);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let signed = ["X-Amz-Signature=", "X-Amz-Credential=", "Signature=", "access_token="];
            Value::String(if signed.iter().any(|mark| text.contains(mark)) { "***".to_owned() } else { text })
        }
        Value::Array(list) => Value::Array(list.into_iter().map(masked).collect()),
        Value::Object(object) => {
            let pairs = object.into_iter().map(|(key, value)| {
                let secret = ["password", "secret", "access_token", "token", "authorization"];
                let hidden = value.is_string() && secret.contains(&key.to_ascii_lowercase().as_str());
                (key, if hidden { Value::from("***") } else { masked(value) })
            });
            Value::Object(pairs.collect())
        }
        other => other,
    }
}

/// A window in words.
pub fn in_words(window: AskWindow) -> String {
    format!("{} to {}", rfc3339(window.from_s), rfc3339(window.to_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::export::AnalyticsExport;
    use serde_json::json;

    const HOST: &str = "https://api.example.com";
    const FROM: i64 = 1_716_105_600;

    /// A platform that has one count and one event in each of so many minutes.
    struct PlayedPlatform {
        minutes: i64,
        /// The most minutes in one answer.
        most: i64,
        status: u16,
        asked: Vec<PlatformRequest>,
        /// Minutes that are too much by themselves.
        heavy: Vec<i64>,
    }

    impl PlayedPlatform {
        fn new(minutes: i64) -> PlayedPlatform {
            PlayedPlatform { minutes, most: minutes.max(1), status: 200, asked: Vec::new(), heavy: Vec::new() }
        }

        fn pull(&mut self) -> Pulled {
            let trunks = [("nj".to_owned(), "t-1".to_owned())];
            let window = AskWindow::around(FROM, FROM + 60 * self.minutes);
            pull(&AnalyticsExport, self, &trunks, HOST, window).expect("pulled")
        }
    }

    fn seconds(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().expect("a time").as_second()
    }

    impl AsksPlatform for PlayedPlatform {
        fn ask(&mut self, request: &PlatformRequest) -> Result<PlatformReply, PlatformError> {
            self.asked.push(request.clone());
            let reply = |status, body: Value| Ok(PlatformReply { status, body: body.to_string().into_bytes() });
            if self.status != 200 {
                return reply(self.status, json!({ "message": "missing permission" }));
            }
            let Some(body) = &request.body else {
                let is_log = request.path.contains("/logs?");
                // At the edges of a window it shows both.
                let log = json!({ "entities": [
                    { "method": "REGISTER", "sip_from": "a", "response_code": 403, "timestamp": rfc3339(FROM) },
                    { "method": "REGISTER", "sip_from": "a", "response_code": 403, "timestamp": rfc3339(FROM + 60 * self.minutes) },
                ] });
                return reply(200, if is_log { log } else { json!({ "status": "Active" }) });
            };
            let of = |key: &str| seconds(body[key].as_str().expect("a time"));
            let (from, to) = (of("dateFrom"), of("dateTo"));
            let minutes: Vec<i64> = (from..to).step_by(60).collect();
            if minutes.len() as i64 > self.most || minutes.iter().any(|minute| self.heavy.contains(minute)) {
                return reply(413, json!({}));
            }
            let row =
                |at: &i64| json!({ "interval": rfc3339(*at), "trunkId": "t-1", "status": "registered", "count": 1 });
            let told = minutes.iter().filter(|_| self.minutes > 0).map(row);
            reply(200, json!({ "results": told.collect::<Vec<_>>() }))
        }
    }

    #[test]
    fn what_is_too_much_for_one_answer_is_asked_in_halves_and_nothing_is_lost() {
        let mut platform = PlayedPlatform { most: 7, ..PlayedPlatform::new(60) };
        let pulled = platform.pull();
        assert_eq!(pulled.counts.len(), 60);
        assert!(pulled.gaps.is_empty(), "{:?}", pulled.gaps);
        assert!(
            pulled.remarks.iter().any(|said| said.contains("413") && said.contains("halved")),
            "{:?}",
            pulled.remarks
        );
        // No window is asked for twice, and none is shorter than a minute.
        let windows: Vec<i64> = platform
            .asked
            .iter()
            .filter_map(|request| request.body.as_ref())
            .map(|body| {
                seconds(body["dateTo"].as_str().expect("a time")) - seconds(body["dateFrom"].as_str().expect("a time"))
            })
            .collect();
        assert!(windows.iter().all(|span| *span >= 60 && span % 60 == 0), "{windows:?}");
    }

    #[test]
    fn a_minute_that_cannot_be_had_is_a_gap_and_the_others_are_there() {
        let mut platform = PlayedPlatform { heavy: vec![FROM + 180], ..PlayedPlatform::new(10) };
        let pulled = platform.pull();
        assert_eq!(pulled.counts.len(), 9);
        let gaps: Vec<_> = pulled.gaps.iter().map(|gap| (gap.from_s, gap.to_s)).collect();
        assert_eq!(gaps, [(FROM + 180, FROM + 240)]);
    }

    #[test]
    fn nothing_told_is_not_zero_and_a_refusal_is_told() {
        let pulled = PlayedPlatform::new(0).pull();
        let counts = pulled.sources.iter().find(|seen| seen.source == "counts").expect("asked");
        assert_eq!((counts.outcome, counts.rows), (SourceOutcome::Empty, 0));
        assert!(pulled.counts.is_empty(), "{:?}", pulled.counts);
        let pulled = PlayedPlatform { status: 403, ..PlayedPlatform::new(10) }.pull();
        assert!(pulled.sources.iter().all(|seen| seen.outcome == SourceOutcome::Refused), "{:?}", pulled.sources);
        assert!(pulled.sources.iter().all(|seen| seen.said == "403 \"missing permission\""), "{:?}", pulled.sources);
        assert_eq!(pulled.gaps.len(), 3);
    }

    #[test]
    fn what_stands_at_the_edge_of_two_windows_is_counted_once() {
        let pulled = PlayedPlatform::new(10).pull();
        assert_eq!(pulled.events.len(), 1, "{:?}", pulled.events);
        assert_eq!(pulled.events[0]["trunk_id"], "nj");
    }

    #[test]
    fn digests_and_signed_links_are_kept_nowhere() {
        let kept = masked(json!({
            "msg": "REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"a\", response=\"0123456789abcdef0123456789abcdef\"\r\n\r\n",
            "url": "https://bucket/x?X-Amz-Signature=abc", "access_token": "hidden",
        }));
        let text = kept.to_string();
        assert!(
            !text.contains("0123456789abcdef") && !text.contains("Signature") && !text.contains("hidden"),
            "{text}"
        );
        assert!(text.contains("username"), "{text}");
    }
}
