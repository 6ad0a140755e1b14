//! Asking a platform over HTTP: a token, a budget, patience with one that is busy, and what its
//! `Date` says of its clock.

use super::PlatformRequest;
use super::budget::AskBudget;
use crate::net::Clock;
use crate::net::http::{HttpAnswer, HttpClient, HttpError, basic};
use crate::record::refusal::PlatformRefusal;
use crate::vocab::Secret;
use serde_json::Value;
use std::time::Duration;

/// Somebody who answers a platform's requests: the platform itself, or a test.
pub trait AsksPlatform {
    /// # Errors
    /// When there is no answer at all; one that refuses is an answer.
    fn ask(&mut self, request: &PlatformRequest) -> Result<PlatformReply, PlatformError>;
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformReply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why a platform could not be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("it gives no token: {0}")]
    NoToken(String),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answered {times} times in a row that it is asked too often (429)")]
    Busy { times: u32 },
}

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum PlatformCredentials {
    Token(Secret),
    Client { id: String, secret: Secret },
}

/// A platform that is asked.
pub struct PlatformSession<'a> {
    http: HttpClient,
    api_url: String,
    login_url: String,
    credentials: PlatformCredentials,
    token: Option<Secret>,
    budget: AskBudget,
    clock: Clock,
    clock_off: ClockOff,
    requests: u64,
    wait: &'a dyn Fn(Duration),
    /// What a person should know while it goes on.
    say: &'a dyn Fn(&str),
}

/// How far another clock is ahead of ours, in seconds: between these.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ClockOff {
    bounds: Option<(f64, f64)>,
}

/// 429s in a row before it is given up.
const MOST_BUSY: u32 = 6;
/// Failures in a row before it is given up.
const MOST_FAILED: u32 = 2;
/// The first wait where nothing says how long, and the longest of all.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A wait that a person should be told of.
const TOLD_WAIT: Duration = Duration::from_secs(5);

impl<'a> PlatformSession<'a> {
    pub fn new(
        http: HttpClient,
        (api_url, login_url): (&str, &str),
        credentials: PlatformCredentials,
        clock: Clock,
        wait: &'a dyn Fn(Duration),
        say: &'a dyn Fn(&str),
    ) -> PlatformSession<'a> {
        PlatformSession {
            http,
            api_url: api_url.to_owned(),
            login_url: login_url.to_owned(),
            credentials,
            token: None,
            budget: AskBudget::new(),
            clock,
            clock_off: ClockOff::default(),
            requests: 0,
            wait,
            say,
        }
    }

    /// The platform's clock minus ours, as far as its answers tell.
    pub fn clock_off(&self) -> ClockOff {
        self.clock_off
    }

    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Gets a token, unless there is one.
    ///
    /// # Errors
    /// When none is given out.
    pub fn token(&mut self) -> Result<Secret, PlatformError> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let token = match &self.credentials {
            PlatformCredentials::Token(token) => token.clone(),
            PlatformCredentials::Client { id, secret } => {
                let basic = Secret::new(basic(id, secret.reveal()));
                self.new_token(&basic)?
            }
        };
        self.token = Some(token.clone());
        Ok(token)
    }

    fn new_token(&mut self, basic: &Secret) -> Result<Secret, PlatformError> {
        let url = format!("{}/oauth/token", self.login_url);
        let headers = [("Authorization", basic.reveal()), ("Content-Type", "application/x-www-form-urlencoded")];
        let answer = self.timed(|http| http.post(&url, &headers, b"grant_type=client_credentials"))?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match body.get("access_token").and_then(Value::as_str) {
            Some(token) if answer.status == 200 => Ok(Secret::new(token)),
            _ => Err(PlatformError::NoToken(refusal(answer.status, &answer.body))),
        }
    }

    /// Does something with the client, within the budget; the answer's `Date` is noted.
    fn timed(
        &mut self,
        act: impl FnOnce(&HttpClient) -> Result<HttpAnswer, HttpError>,
    ) -> Result<HttpAnswer, HttpError> {
        let wait = self.budget.take(self.clock.now());
        if !wait.is_zero() {
            (self.wait)(wait);
        }
        self.requests += 1;
        let sent = self.clock.unix_ns();
        let answer = act(&self.http)?;
        let received = self.clock.unix_ns();
        // An answer out of a cache is as old as that says.
        if answer.header("age").is_none()
            && let Some(date) = answer.header("date").and_then(http_date)
        {
            self.clock_off.narrow(date, sent, received);
        }
        Ok(answer)
    }

    fn once(&mut self, request: &PlatformRequest) -> Result<HttpAnswer, PlatformError> {
        let bearer = Secret::new(format!("Bearer {}", self.token()?.reveal()));
        let url = format!("{}{}", self.api_url, request.path);
        let answer = match &request.body {
            None => self.timed(|http| http.get(&url, &[("Authorization", bearer.reveal())])),
            Some(body) => {
                let headers = [("Authorization", bearer.reveal()), ("Content-Type", "application/json")];
                let body = body.to_string();
                self.timed(|http| http.post(&url, &headers, body.as_bytes()))
            }
        };
        Ok(answer?)
    }

    fn rest(&self, wait: Duration, why: &str) {
        if wait >= TOLD_WAIT {
            (self.say)(&format!("{why}: going on in {} s", wait.as_secs()));
        }
        (self.wait)(wait);
    }
}

impl AsksPlatform for PlatformSession<'_> {
    fn ask(&mut self, request: &PlatformRequest) -> Result<PlatformReply, PlatformError> {
        let (mut busy, mut failed, mut renewed) = (0, 0, false);
        loop {
            let answer = match self.once(request) {
                Ok(answer) => answer,
                // It may be a moment's; what is refused on our side stays so.
                Err(PlatformError::Http(
                    error @ (HttpError::TooSlow { .. } | HttpError::NoConnection { .. } | HttpError::Broken { .. }),
                )) if failed < MOST_FAILED => {
                    failed += 1;
                    self.rest(growing(failed), &error.to_string());
                    continue;
                }
                // As 413: it is more than one answer should be.
                Err(PlatformError::Http(HttpError::TooMuch { .. })) => {
                    return Ok(PlatformReply { status: 413, body: Vec::new() });
                }
                Err(error) => return Err(error),
            };
            match answer.status {
                401 if !renewed && matches!(self.credentials, PlatformCredentials::Client { .. }) => {
                    renewed = true;
                    self.token = None;
                }
                429 => {
                    busy += 1;
                    if busy > MOST_BUSY {
                        return Err(PlatformError::Busy { times: busy });
                    }
                    let asked = retry_after(&answer).unwrap_or_else(|| growing(busy));
                    self.rest(asked.min(LONGEST_WAIT), "it is asked too often (429)");
                }
                500..=599 if failed < MOST_FAILED => {
                    failed += 1;
                    self.rest(growing(failed), &format!("it answers {}", answer.status));
                }
                status => return Ok(PlatformReply { status, body: answer.body }),
            }
        }
    }
}

impl ClockOff {
    /// An answer that was made between two times of ours (nanoseconds since 1970) says `date`,
    /// whole seconds.
    fn narrow(&mut self, date: i64, sent: u64, received: u64) {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let (low, high) = (date as f64 - seconds(received), (date + 1) as f64 - seconds(sent));
        self.bounds = Some(match self.bounds {
            Some((lowest, highest)) if low.max(lowest) <= high.min(highest) => (low.max(lowest), high.min(highest)),
            // One of the clocks was set, or another machine answered: both may be true.
            Some((lowest, highest)) => (low.min(lowest), high.max(highest)),
            None => (low, high),
        });
    }

    /// The difference in seconds, and how far from it the truth may be.
    pub fn seconds(self) -> Option<(f64, f64)> {
        self.bounds.map(|(low, high)| (f64::midpoint(low, high), (high - low) / 2.0))
    }
}

fn growing(times: u32) -> Duration {
    (FIRST_WAIT * 2u32.saturating_pow(times.saturating_sub(1))).min(LONGEST_WAIT)
}

/// How long to wait, in seconds or until a date (RFC 9110 §10.2.3).
fn retry_after(answer: &HttpAnswer) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = answer.header("date").and_then(http_date)?;
    Some(Duration::from_secs(u64::try_from(http_date(text)? - now).unwrap_or(0)))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second())
}

/// What an answer says that refuses, in one line: the code, what it says, and of which field.
pub fn refusal(status: u16, body: &[u8]) -> String {
    PlatformRefusal::of(status, body).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_narrow_down_how_far_a_clock_is_off() {
        let mut off = ClockOff::default();
        assert_eq!(off.seconds(), None);
        let ns = |seconds: f64| (seconds * 1e9) as u64;
        off.narrow(137, ns(100.0), ns(100.2));
        let (seconds, within) = off.seconds().expect("known");
        assert!((seconds - 37.4).abs() < 0.01 && (within - 0.6).abs() < 0.01, "{seconds} {within}");
        // The platform's clock stood at 138.0 or later by then.
        off.narrow(138, ns(100.6), ns(100.8));
        let (seconds, within) = off.seconds().expect("known");
        assert!((seconds - 37.6).abs() < 0.01 && within < 0.45, "{seconds} {within}");
    }

    #[test]
    fn a_refusal_says_which_field_and_shows_no_digest() {
        let body = br#"{"message":"Invalid SIP credentials provided","code":"bad.request",
            "details":[{"errorCode":"invalid.value","fieldName":"credentials.password"}]}"#;
        assert_eq!(
            refusal(400, body),
            "400 \"Invalid SIP credentials provided\", field credentials.password: invalid.value"
        );
        assert_eq!(refusal(502, b"<html>"), "502");
        let echoed = refusal(400, br#"{"message":"no 0123456789abcdef0123456789abcdef\u001b[31m"}"#);
        assert!(!echoed.contains("0123456789") && !echoed.contains('\u{1b}'), "{echoed}");
    }

    #[test]
    fn dates_are_read_as_http_has_them() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("tomorrow"), None);
    }
}
