//! SIP messages out of traces written as text: Asterisk's `pjsip set logger on` and `sip set
//! debug`, sngrep's and Homer's text files, `ngrep -W byline`.
//!
//! All of them write a line that says who sent what follows, to whom and mostly when, and behind it
//! the message as it was. A message ends where its head and its Content-Length say, or at the next
//! such line. What a trace leaves out is said in the [`TraceAccount`]: Asterisk names only the
//! other side, a console no times, a log no year. Memory: one line and one message, each of at most
//! `LONGEST` bytes.

use super::capture::CapturedMessage;
use crate::vocab::Transport;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};

/// Who an address stands for that a trace does not name.
pub const UNNAMED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What was found in a trace beside its messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceAccount {
    pub messages: u64,
    /// Messages without a time of their own.
    pub untimed: u64,
    /// Its times name no year.
    pub no_year: bool,
    /// Messages that were longer than can be held.
    pub cut_short: u64,
    /// Time of the newest message, nanoseconds since the Unix epoch.
    pub last_ns: u64,
}

impl TraceAccount {
    /// What a reader of the findings has to know of the trace, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.untimed > 0 {
            remarks.push(format!(
                "{} messages carry no time: their order is known, and not how long anything took",
                self.untimed
            ));
        }
        if self.no_year {
            remarks.push(format!("its times name no year; {NO_YEAR} stands for it"));
        }
        if self.cut_short > 0 {
            remarks.push(format!("{} messages are too long and were cut", self.cut_short));
        }
        remarks
    }
}

/// Hands every SIP message of a trace to `each`, in the order of the file.
///
/// # Errors
/// When the source fails.
pub fn read(mut source: impl BufRead, mut each: impl FnMut(CapturedMessage<'_>)) -> io::Result<TraceAccount> {
    let mut reader = TraceReader { account: TraceAccount::default(), state: TraceState::Nothing, year: NO_YEAR };
    let mut line = Vec::new();
    while next_line(&mut source, &mut line)? {
        reader.line(&line, &mut each);
    }
    reader.end(&mut each);
    Ok(reader.account)
}

/// Whether bytes may begin a text: no control characters but those of lines.
pub fn is_text(beginning: &[u8]) -> bool {
    !beginning.is_empty() && beginning.iter().all(|b| *b >= b' ' || matches!(b, b'\t' | b'\r' | b'\n' | 0x1b))
}

/// The next line without its end; of one that is longer than can be held the beginning.
fn next_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.unwrap_or(bytes.len());
        line.extend_from_slice(&bytes[..taken.min(LONGEST - line.len().min(LONGEST))]);
        source.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            // Marks where a line ended that was empty, and the file did not.
            line.push(b'\n');
            return Ok(true);
        }
    }
}

struct TraceReader {
    account: TraceAccount,
    state: TraceState,
    /// For times that name none: a trace may run over New Year.
    year: i16,
}

enum TraceState {
    Nothing,
    /// A line has said what follows; blank lines may stand between.
    Announced(Announcement),
    /// The message so far, and how much of its body is to come once its head is whole.
    Message {
        of: Announcement,
        bytes: Vec<u8>,
        body: Option<usize>,
        dotted: bool,
    },
}

/// What the line before a message says.
#[derive(Clone, Copy, Debug)]
struct Announcement {
    at_ns: Option<u64>,
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    /// ngrep writes a dot for what cannot be printed, a line's own carriage return among it.
    dots: bool,
}

impl TraceReader {
    fn line(&mut self, line: &[u8], each: &mut impl FnMut(CapturedMessage<'_>)) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(announced) = self.announcement(line) {
            self.end(each);
            self.state = TraceState::Announced(announced);
            return;
        }
        match &mut self.state {
            TraceState::Nothing => {}
            TraceState::Announced(of) => {
                let dotted = of.dots && line.ends_with(b".");
                let text = if dotted { &line[..line.len() - 1] } else { line };
                if is_start_line(text) {
                    let (of, bytes) = (*of, [text, b"\r\n"].concat());
                    self.state = TraceState::Message { of, bytes, body: None, dotted };
                } else if !text.trim_ascii().is_empty() {
                    self.state = TraceState::Nothing;
                }
            }
            TraceState::Message { bytes, body, dotted, .. } => {
                let text = if *dotted { line.strip_suffix(b".").unwrap_or(line) } else { line };
                let fits = bytes.len() + text.len() + 2 <= LONGEST;
                if fits {
                    bytes.extend_from_slice(text);
                    bytes.extend_from_slice(b"\r\n");
                } else {
                    self.account.cut_short += 1;
                }
                match body {
                    None if text.is_empty() => *body = Some(content_length(bytes)),
                    None => {}
                    Some(left) => *left = left.saturating_sub(text.len() + 2),
                }
                if !fits || *body == Some(0) {
                    self.end(each);
                }
            }
        }
    }

    /// A message that is not whole yet ends here.
    fn end(&mut self, each: &mut impl FnMut(CapturedMessage<'_>)) {
        let TraceState::Message { of, mut bytes, body, .. } = std::mem::replace(&mut self.state, TraceState::Nothing)
        else {
            return;
        };
        if body.is_none() {
            bytes.extend_from_slice(b"\r\n");
        }
        self.account.messages += 1;
        self.account.untimed += u64::from(of.at_ns.is_none());
        let at_ns = of.at_ns.unwrap_or(self.account.last_ns + STEP_NS);
        self.account.last_ns = self.account.last_ns.max(at_ns);
        let Announcement { from, to, transport, .. } = of;
        each(CapturedMessage { at_ns, from, to, transport, bytes: &bytes });
    }

    /// What a line says of a message that follows; `None` for a line of another sort.
    fn announcement(&mut self, line: &[u8]) -> Option<Announcement> {
        // Cheap before dear: a log has millions of other lines.
        if memchr::memchr(b':', line).is_none() || line.len() > LONGEST_ANNOUNCEMENT {
            return None;
        }
        let text = std::str::from_utf8(line).ok()?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let arrow = words.iter().position(|word| matches!(*word, "->" | "-->" | "--->" | "=>"));
        let (from, to, transport, dots) = match arrow.and_then(|at| between(&words, at)) {
            Some((from, to)) => {
                let named = words.iter().find_map(|word| protocol(word.strip_prefix("proto:").unwrap_or(word)));
                // ngrep begins a line so.
                let transport = match words[0] {
                    "T" => Transport::Tcp,
                    _ => named.unwrap_or(Transport::Udp),
                };
                (from, to, transport, matches!(words[0], "U" | "T"))
            }
            None => {
                let (from, to, transport) = one_side(&words)?;
                (from, to, transport, false)
            }
        };
        let at_ns = self.time(&words);
        Some(Announcement { at_ns, from, to, transport, dots })
    }

    /// The time in a line, in nanoseconds since the Unix epoch; one without a zone is taken for
    /// UTC.
    fn time(&mut self, words: &[&str]) -> Option<u64> {
        let bare = |word: &str| word.trim_matches(|c| matches!(c, '[' | ']' | '<' | '>')).replace(',', ".");
        let words: Vec<String> = words.iter().take(MOST_WORDS).map(|word| bare(word)).collect();
        for (n, word) in words.iter().enumerate() {
            let next = words.get(n + 1).map_or("", String::as_str);
            let whole = word.parse::<Timestamp>().ok();
            let joined = || format!("{}T{next}", word.replace('/', "-")).parse::<DateTime>().ok();
            let alone = || word.contains('T').then(|| word.parse::<DateTime>().ok()).flatten();
            let zoneless = || alone().or_else(joined).and_then(|time| Offset::UTC.to_timestamp(time).ok());
            if let Some(time) = whole.or_else(zoneless) {
                return u64::try_from(time.as_nanosecond()).ok();
            }
            let month = MONTHS.iter().position(|month| month == word);
            if let (Some(month), Some(clock)) = (month, words.get(n + 2)) {
                return self.without_year(month + 1, next, clock);
            }
        }
        None
    }

    /// "Nov 30 07:30:54".
    fn without_year(&mut self, month: usize, day: &str, clock: &str) -> Option<u64> {
        let day: u8 = day.parse().ok()?;
        let ns = |year: i16| {
            let time = format!("{year:04}-{month:02}-{day:02}T{clock}").parse::<DateTime>().ok()?;
            u64::try_from(Offset::UTC.to_timestamp(time).ok()?.as_nanosecond()).ok()
        };
        let mut at_ns = ns(self.year)?;
        if at_ns + HALF_A_YEAR_NS < self.account.last_ns {
            self.year += 1;
            at_ns = ns(self.year)?;
        }
        self.account.no_year = true;
        Some(at_ns)
    }
}

/// The addresses before and behind an arrow.
fn between(words: &[&str], arrow: usize) -> Option<(SocketAddr, SocketAddr)> {
    Some((address(words.get(arrow.checked_sub(1)?)?)?.1, address(words.get(arrow + 1)?)?.1))
}

/// Asterisk's lines name the other side: whom a message came from, or goes to.
fn one_side(words: &[&str]) -> Option<(SocketAddr, SocketAddr, Transport)> {
    let has = |word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    let behind = |word: &str| {
        let at = words.iter().rposition(|known| *known == word)?;
        address(words.get(at + 1)?)
    };
    if has("received") || has("read") {
        let (transport, from) = behind("from")?;
        return Some((from, UNNAMED, transport.unwrap_or(Transport::Udp)));
    }
    if has("transmitting") || has("retransmitting") {
        let (transport, to) = behind("to")?;
        return Some((UNNAMED, to, transport.unwrap_or(Transport::Udp)));
    }
    None
}

/// `192.0.2.1:5060`, `[2001:db8::1]:5060`, `UDP:192.0.2.1:5060`, with or without a colon behind.
fn address(word: &str) -> Option<(Option<Transport>, SocketAddr)> {
    let word = word.trim_end_matches([':', ',']);
    if let Ok(address) = word.parse() {
        return Some((None, address));
    }
    let (named, rest) = word.split_once(':')?;
    Some((Some(protocol(named)?), rest.parse().ok()?))
}

fn protocol(word: &str) -> Option<Transport> {
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
        .into_iter()
        .find(|transport| transport.as_str().eq_ignore_ascii_case(word))
}

/// RFC 3261 §7.1 and §7.2.
fn is_start_line(line: &[u8]) -> bool {
    let is_method = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
    line.starts_with(b"SIP/2.0 ")
        || (line.ends_with(b" SIP/2.0") && line.split(|b| *b == b' ').next().is_some_and(is_method))
}

/// RFC 3261 §20.14, and `l` for short.
fn content_length(head: &[u8]) -> usize {
    let lines = head.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
    let length = |(name, value): (&str, &str)| {
        let name = name.trim();
        let is_it = name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l");
        is_it.then(|| value.trim().parse().ok()).flatten()
    };
    lines.filter_map(length).next().unwrap_or(0)
}

/// A leap year, so that any day is in it.
const NO_YEAR: i16 = 1972;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const HALF_A_YEAR_NS: u64 = 182 * 86_400 * 1_000_000_000;
/// Between messages without times.
const STEP_NS: u64 = 1_000_000;
/// Of a line, and of a message.
const LONGEST: usize = 64 * 1024;
const LONGEST_ANNOUNCEMENT: usize = 400;
/// A time stands among the first words.
const MOST_WORDS: usize = 8;
