//! Connections that cannot be opened (`connect.refused`), whose server shows a certificate that is
//! not accepted (`tls.certificate`), that end before their agents do (`flow.closed-by-server`), or
//! whose keep-alives are not answered (`keepalive.unanswered`).
//!
//! What became of every connection is counted, with its reason; there is nothing to infer but whose
//! doing it was. What this machine could not do itself is not told here, nor a connection that we
//! gave up because nothing came over it any more: that silence has its own finding.

use super::cost::Cost;
use super::draft::{Draft, SOME, confidence};
use super::rivals::Rival;
use super::silence::{of_agents, severity, target, when_unreachable};
use super::view::{Tick, View};
use super::wording::{at, counted, window};
use crate::measure::{FlowCounts, Sightings};
use crate::vocab::{Class, Confidence, FlowLoss, Severity, SocketUse, Trouble};

pub(super) fn find(view: &View<'_>) -> Vec<Draft> {
    let found = [certificate(view), not_opened(view), speaks_no_sip(view), closed(view), unanswered(view)];
    found.into_iter().flatten().collect()
}

/// Counts of connections, by reason.
type LossCounts = [u64; FlowLoss::COUNT];

/// Connections that ended alike, over the whole run.
struct FlowEnds {
    count: u64,
    /// The most frequent first.
    reasons: Vec<(FlowLoss, u64)>,
    /// From the beginning of the interval of the first to the end of that of the last.
    first_ns: u64,
    last_ns: u64,
    /// Connections that were opened in these intervals, and over the run.
    opened_meanwhile: u64,
    opened: u64,
    /// How long nothing had come over connections that ended from the other side, the least and the
    /// most.
    quiet_ns: Option<(u64, u64)>,
}

impl FlowEnds {
    /// Those of `which` among the connections that `part` counts.
    fn of(view: &View<'_>, part: fn(&FlowCounts) -> &LossCounts, which: &[FlowLoss]) -> Option<FlowEnds> {
        let mut group = FlowEnds {
            count: 0,
            reasons: Vec::new(),
            first_ns: 0,
            last_ns: 0,
            opened_meanwhile: 0,
            opened: 0,
            quiet_ns: None,
        };
        let mut by_reason: LossCounts = [0; FlowLoss::COUNT];
        for interval in &view.results.intervals {
            let Some(flows) = interval.trunks.get(usize::from(view.trunk)).and_then(|trunk| trunk.flows.as_deref())
            else {
                continue;
            };
            group.opened += flows.opened;
            let count: u64 = which.iter().map(|why| part(flows)[why.index()]).sum();
            if count == 0 {
                continue;
            }
            which.iter().for_each(|why| by_reason[why.index()] += part(flows)[why.index()]);
            group.first_ns = if group.count == 0 { interval.start_ns } else { group.first_ns };
            group.last_ns = interval.end_ns;
            group.opened_meanwhile += flows.opened;
            group.quiet_ns = match (group.quiet_ns, flows.quiet_ns) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
            group.count += count;
        }
        group.reasons = which.iter().map(|why| (*why, by_reason[why.index()])).filter(|(_, n)| *n > 0).collect();
        group.reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        (group.count > 0).then_some(group)
    }

    /// The reason of most of them.
    fn main(&self) -> FlowLoss {
        self.reasons.first().map_or(FlowLoss::Refused, |(why, _)| *why)
    }

    /// When it was, for a sentence. One interval is as near as the counts are.
    fn when(&self, view: &View<'_>) -> String {
        if self.last_ns - self.first_ns <= view.results.header.interval_ns {
            format!(" at about {}", at(self.first_ns))
        } else {
            format!(" from {} of the run", window(self.first_ns, self.last_ns))
        }
    }

    /// A finding about them, and about the attempts that failed with them.
    fn draft(&self, view: &View<'_>, id: &'static str) -> Draft {
        let mut draft = Draft::new(id, Severity::Warning, Some(view.trunk));
        let ours = |why| self.reasons.iter().any(|(reason, _)| *reason == why);
        let failed = view.outcomes.iter().filter(|row| row.class == Class::Transport);
        let failed = failed.filter(|row| matches!(row.trouble, Some(Trouble::Connection(why)) if ours(why)));
        let seen = Sightings::together(failed.map(|row| &row.seen));
        if seen.count > 0 {
            draft.saw(seen);
            draft.agents = view.met(&[Class::Transport]).count() as u64;
            draft.severity = severity(view, Class::Transport, draft.attempts);
            draft.cost = Some(Cost::new(view, Class::Transport, draft.agents, draft.attempts));
        } else {
            (draft.first_ns, draft.last_ns) = (self.first_ns, self.last_ns);
        }
        draft.confidence = confidence(self.count, 0);
        draft.evidence = self.reasons.iter().map(|(why, count)| format!("{count} x {why}")).collect();
        let remarks = view.results.evidence.remarks.iter().filter(|row| row.trunk == view.trunk);
        let said = remarks.filter(|row| row.why.is_some_and(ours)).take(MOST_REMARKS);
        draft.evidence.extend(said.map(|row| format!("{} x {}", row.count, row.text)));
        draft
    }
}

/// Connections whose server shows a certificate that we do not accept.
fn certificate(view: &View<'_>) -> Option<Draft> {
    let group = FlowEnds::of(view, |counts| &counts.failed, &CERTIFICATE)?;
    let mut draft = group.draft(view, "tls.certificate");
    draft.summary = format!(
        "the certificate of {} is not accepted, {}: {} of {} failed",
        target(view),
        group.main(),
        group.count,
        counted(group.count + group.opened, "connection")
    );
    if group.opened_meanwhile > 0 {
        draft.evidence.push(format!("{} opened in the same intervals", group.opened_meanwhile));
        draft.advice.push("several servers behind one address may show different certificates".to_owned());
    }
    if group.opened_meanwhile == 0 && group.reasons.iter().all(|(why, _)| *why == FlowLoss::CertificateName) {
        // Names are looked at last: whoever issued it is trusted here.
        let because = "something in between that shows a certificate of its own making for the name it is asked for: this \
                       one is of an authority that is trusted here, and for another name";
        draft.excludes(Rival::Front, because);
    }
    if group.reasons.iter().any(|(why, _)| *why == FlowLoss::CertificateTime) {
        draft
            .advice
            .push("the clock of this machine decides what has expired: compare it with `date -u` elsewhere".to_owned());
    }
    draft.rejected.push("a server that is away: each time it was there and showed a certificate".to_owned());
    draft.rejected.push("a refusal by the server: we ended the handshake, and no request was sent".to_owned());
    Some(draft)
}

/// Connections that never came to be.
fn not_opened(view: &View<'_>) -> Option<Draft> {
    let which = &NOT_OPENED;
    let group = FlowEnds::of(view, |counts| &counts.failed, which)?;
    let mut draft = group.draft(view, "connect.refused");
    let (when, hit) = if draft.attempts > 0 {
        (when_unreachable(view, &draft), format!(", of {}", of_agents(view, draft.agents)))
    } else {
        // Of un-REGISTERs, which are no attempts.
        (group.when(view), String::new())
    };
    let there = target(view);
    let what = match group.main() {
        FlowLoss::Refused => {
            let answered = "a filter that drops packets, or a path that is gone: each attempt was answered at once";
            draft.rejected.push(answered.to_owned());
            format!("{there} refuses connections{when}")
        }
        FlowLoss::ConnectTimeout => {
            let nobody = "a port that nobody listens on: its host would have refused at once";
            draft.rejected.push(nobody.to_owned());
            draft.advice.push(NOT_TAKEN_UP.to_owned());
            format!("{there} does not take up connections{when}: nothing came back within connect_timeout")
        }
        FlowLoss::Unreachable => format!("the network knows no way to {there}{when}"),
        FlowLoss::TlsTimeout => {
            draft.rejected.push("a server that is away: it took the connections up".to_owned());
            draft.advice.push("a port that speaks plain TCP waits for a message as long as this does".to_owned());
            format!("{there} takes connections up and does not answer TLS{when}")
        }
        FlowLoss::NotTls => format!("what listens on {there} speaks no TLS{when}"),
        FlowLoss::UpgradeRefused | FlowLoss::NoSubprotocol | FlowLoss::NotWebSocket | FlowLoss::UpgradeTimeout => {
            draft.rejected.push("a server that is away: it took the connections up".to_owned());
            let (what, advice) = no_web_socket(group.main());
            draft.advice.push(advice.to_owned());
            format!("{there} {what}{when}")
        }
        FlowLoss::Handshake => {
            draft.rejected.push("a server that is away: it took the connections up".to_owned());
            draft.advice.push(NO_AGREEMENT.to_owned());
            format!("{there} and this machine do not agree on TLS{when}")
        }
        _ => format!("{there} ends connections before they are open{when}"),
    };
    let tried = group.count + group.opened;
    draft.summary = format!("{what}: {} of {} failed{hit}", group.count, counted(tried, "connection"));
    draft.evidence.push(format!("{} opened at other times", group.opened - group.opened_meanwhile));
    if group.opened_meanwhile > 0 {
        // Somebody listens, and has no room for everybody; or only some of the ways there are shut.
        draft.confidence = draft.confidence.min(Confidence::Medium);
        draft.evidence.push(format!("{} opened in the same intervals", group.opened_meanwhile));
    }
    draft.rejected.push("this machine: what it could not do itself is counted apart".to_owned());
    draft.excludes(Rival::Accounts, "a registrar that refuses its users: no request was sent, so none was judged");
    if !matches!(group.main(), FlowLoss::ConnectTimeout | FlowLoss::TlsTimeout | FlowLoss::UpgradeTimeout) {
        draft.excludes(Rival::PacketLoss, "packets lost by chance: the failures were reported, not waited for");
    } else if group.opened_meanwhile == 0 {
        draft.excludes(Rival::PacketLoss, "packets lost by chance: not one connection came to be meanwhile");
    }
    Some(draft)
}

/// What a server does that gives no WebSocket for SIP, and what to look at.
fn no_web_socket(why: FlowLoss) -> (&'static str, &'static str) {
    match why {
        FlowLoss::UpgradeRefused => (
            "takes connections up and refuses to make WebSockets of them",
            "the HTTP code says why: 404 another path (ws.path), 401 or 403 a header it wants (ws.headers, Origin \
             among them), 426 or 400 a proxy that passes no upgrade on, 3xx another address",
        ),
        FlowLoss::NoSubprotocol => (
            "makes WebSockets of connections and speaks no SIP over them",
            "the server behind this path may be another one: SIP is its subprotocol \"sip\" (RFC 7118 §4)",
        ),
        FlowLoss::UpgradeTimeout => (
            "takes connections up and does not answer the upgrade to WebSocket",
            "a port that speaks SIP over TCP, or one that wants TLS first (transport=wss), waits as long as this does",
        ),
        _ => ("takes connections up and speaks no WebSocket", "another port, or TLS on one side only (ws and wss)"),
    }
}

/// Connections over which something else than SIP came.
fn speaks_no_sip(view: &View<'_>) -> Option<Draft> {
    let group = FlowEnds::of(view, |counts| &counts.lost, &[FlowLoss::NotSip, FlowLoss::NotWebSocket])?;
    let mut draft = group.draft(view, "connect.refused");
    draft.summary = format!(
        "what listens on {} speaks no SIP: {} of {} brought something else, or a message longer than any answer",
        target(view),
        group.count,
        counted(group.opened, "connection")
    );
    draft.rejected.push("a server that is down: it took the connections up and sent something".to_owned());
    draft.excludes_all(
        &[Rival::Accounts, Rival::PacketLoss],
        "a registrar that refuses its users, or packets lost by chance: what came was no SIP",
    );
    Some(draft)
}

/// Connections that the other end, or something on the way, ended.
fn closed(view: &View<'_>) -> Option<Draft> {
    let which = &ENDED;
    let group = FlowEnds::of(view, |counts| &counts.lost, which)?;
    let mut draft = group.draft(view, "flow.closed-by-server");
    if view.header().sockets == SocketUse::PerAgent {
        draft.agents = draft.agents.max(group.count.min(view.agents.len() as u64));
    }
    let when = group.when(view);
    let how = match group.main() {
        FlowLoss::Closed => "closed",
        FlowLoss::Reset => "reset",
        // With TLS 1.3 a client hears that its certificate is refused after it thought it was in.
        FlowLoss::Handshake => "ended in TLS",
        _ => "cut off",
    };
    draft.summary = format!(
        "{} of {} to {} were {how} from there{when}, before their agents were done",
        group.count,
        counted(group.opened, "connection"),
        target(view)
    );
    draft.evidence.push(format!("{} failed with them", counted(draft.attempts, "attempt")));
    if let Some((least, most)) = group.quiet_ns {
        draft.evidence.push(format!("nothing had come over them for {} to {}", at(least), at(most)));
        if is_idle_timeout(&group, least, most) {
            draft.summary.push_str(&format!("; each after {} without traffic", at(least)));
            draft.advice.push(IDLE.to_owned());
        }
    }
    draft.rejected.push("our own end: connections that we close are counted apart".to_owned());
    if matches!(group.main(), FlowLoss::Closed | FlowLoss::Reset) {
        draft.excludes(Rival::PacketLoss, "packets lost by chance: most were ended by a message from there");
    }
    Some(draft)
}

/// Connections that we gave up because a keep-alive was not answered.
fn unanswered(view: &View<'_>) -> Option<Draft> {
    let group = FlowEnds::of(view, |counts| &counts.lost, &[FlowLoss::NoPong])?;
    let mut draft = group.draft(view, "keepalive.unanswered");
    if view.header().sockets == SocketUse::PerAgent {
        draft.agents = draft.agents.max(group.count.min(view.agents.len() as u64));
    }
    let totals = &view.results.trunk_totals[usize::from(view.trunk)];
    let (pings, pongs) = totals.sums.flows.as_deref().map_or((0, 0), |flows| (flows.pings, flows.pongs));
    draft.summary = format!(
        "{} of {} to {} were not answered within 10 s{}: their connections were given up",
        group.count,
        counted(pings, "keep-alive"),
        target(view),
        group.when(view)
    );
    let served = view.ticks.iter().map(Tick::answered).sum::<u64>();
    draft.evidence.push(format!("{pongs} answered"));
    if pongs == 0 && served >= SOME {
        draft.advice.push("the server may not know keep-alives of RFC 5626 at all".to_owned());
        draft.excludes_all(
            &[Rival::Overload, Rival::PacketLoss],
            format!("a server that is too busy, or lost packets: {served} requests over the same connections were answered, and not one keep-alive"),
        );
    }
    Some(draft)
}

/// Whether connections end when they have been idle for a certain time: they end over a stretch of
/// time that is much longer than what their idle times differ by.
fn is_idle_timeout(group: &FlowEnds, least_ns: u64, most_ns: u64) -> bool {
    let (spread, stretch) = (most_ns - least_ns, group.last_ns - group.first_ns);
    group.count >= SOME && least_ns >= SHORTEST_IDLE_NS && spread * 4 < stretch && spread * 5 < least_ns
}

/// What was said of failures is quoted so often.
const MOST_REMARKS: usize = 3;
/// No server calls a connection idle sooner.
const SHORTEST_IDLE_NS: u64 = 2_000_000_000;
const CERTIFICATE: [FlowLoss; 5] = [
    FlowLoss::CertificateName,
    FlowLoss::CertificateTime,
    FlowLoss::CertificateIssuer,
    FlowLoss::CertificatePurpose,
    FlowLoss::Certificate,
];
const NOT_OPENED: [FlowLoss; 13] = [
    FlowLoss::Refused,
    FlowLoss::Unreachable,
    FlowLoss::ConnectTimeout,
    FlowLoss::Reset,
    FlowLoss::Closed,
    FlowLoss::NotTls,
    FlowLoss::Handshake,
    FlowLoss::TlsTimeout,
    FlowLoss::UpgradeRefused,
    FlowLoss::NoSubprotocol,
    FlowLoss::NotWebSocket,
    FlowLoss::UpgradeTimeout,
    // A frame longer than any answer instead of one.
    FlowLoss::NotSip,
];
const ENDED: [FlowLoss; 6] = [
    FlowLoss::Closed,
    FlowLoss::Reset,
    FlowLoss::ConnectTimeout,
    FlowLoss::Unreachable,
    FlowLoss::Refused,
    FlowLoss::Handshake,
];
const NO_AGREEMENT: &str = "the server may want a client certificate (cert and key of the trunk's tls), or offer no \
                            protocol version or cipher of ours (TLS 1.3 and 1.2)";
const IDLE: &str = "an idle timeout of the server or of something on the way: refreshes or a keep-alive must come \
                    more often";
const NOT_TAKEN_UP: &str = "a firewall that drops, a host that is off, or a listening socket whose queue is full: \
                            a capture at the server tells whether the SYN arrives";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_timeout_is_told_from_a_restart() {
        let second = 1_000_000_000;
        let is_idle = |count, stretch_s: u64, least_s: u64, most_s: u64| {
            let ends = FlowEnds {
                count,
                reasons: Vec::new(),
                first_ns: 100 * second,
                last_ns: (100 + stretch_s) * second,
                opened_meanwhile: 0,
                opened: count,
                quiet_ns: None,
            };
            is_idle_timeout(&ends, least_s * second, most_s * second)
        };
        assert!(is_idle(500, 60, 120, 121), "each two minutes after its last message");
        assert!(!is_idle(500, 1, 60, 120), "all at once, whenever they last spoke");
        assert!(!is_idle(500, 60, 5, 65), "now and then");
        assert!(!is_idle(500, 60, 0, 1), "while they spoke");
        assert!(!is_idle(4, 60, 120, 121), "too few to say");
    }
}
