//! The presets beside the clients they are named after.
//!
//! The table is of captures made on 2026-11-30 of Asterisk 22.10.1, pjsua 2.15.1 and baresip 1.1.0
//! (libre 2.0.1), each registering over UDP with a registrar that follows a script, `expires` 300
//! granted for 60 s. Times are seconds from an attempt's first REGISTER to that of the next.

use super::*;

/// What the registrar does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum ServerScript {
    /// Refuses before any challenge.
    Refuse(u16),
    RefuseWithRetryAfter(u16, u32),
    /// Refuses good credentials.
    RefuseAfterAuth(u16),
    Silence,
    /// Its port is closed.
    Icmp,
    /// Challenges whatever comes, with a fresh nonce each time.
    ChallengeAgain,
    Stale,
    /// Grants a minute to whoever answers its challenge; nonces stay good.
    Grant,
    /// The same, each nonce once.
    GrantOnce,
    /// Wants 60 s at least, and then grants them.
    TooBrief,
}

/// One client under one script: requests of each attempt (copies of one are one), and the waits
/// between attempts as captured. An attempt that nothing follows is the last.
struct ClientSeen {
    preset: &'static RetryPolicy,
    script: ServerScript,
    requests: &'static [usize],
    waits: &'static [f64],
}

const fn seen(
    preset: &'static RetryPolicy,
    script: ServerScript,
    requests: &'static [usize],
    waits: &'static [f64],
) -> ClientSeen {
    ClientSeen { preset, script, requests, waits }
}

const A: &RetryPolicy = &RetryPolicy::ASTERISK;
const P: &RetryPolicy = &RetryPolicy::PJSUA;
const B: &RetryPolicy = &RetryPolicy::BARESIP;

use ServerScript::{
    ChallengeAgain, Grant, GrantOnce, Icmp, Refuse, RefuseAfterAuth, RefuseWithRetryAfter, Silence, Stale, TooBrief,
};

const CAPTURED: [ClientSeen; 41] = [
    seen(A, Refuse(403), &[1], &[]),
    seen(A, RefuseAfterAuth(403), &[2], &[]),
    seen(A, Refuse(404), &[1], &[]),
    seen(A, Refuse(480), &[1], &[]),
    seen(A, Refuse(500), &[1, 1, 1, 1], &[60.33, 60.0, 60.02]),
    seen(A, Refuse(503), &[1, 1, 1, 1], &[60.33, 60.0, 60.02]),
    seen(A, Refuse(603), &[1, 1, 1, 1], &[60.0, 60.0, 60.47]),
    seen(A, RefuseWithRetryAfter(503, 20), &[1, 1, 1, 1], &[20.01, 20.0, 20.0]),
    seen(A, Silence, &[1, 1, 1], &[92.0, 92.0]),
    seen(A, Icmp, &[1, 1, 1, 1], &[92.01, 92.0, 92.0]),
    seen(A, ChallengeAgain, &[2], &[]),
    seen(A, Stale, &[2], &[]),
    seen(A, Grant, &[2, 2, 2, 2], &[50.04, 50.0, 50.0]),
    seen(A, GrantOnce, &[2, 2, 2], &[51.8, 50.0]),
    seen(P, Refuse(403), &[1], &[]),
    seen(P, RefuseAfterAuth(403), &[2], &[]),
    seen(P, Refuse(404), &[1], &[]),
    seen(P, Refuse(480), &[1, 1, 1], &[3.93, 300.97]),
    seen(P, Refuse(500), &[1, 1, 1], &[3.58, 307.53]),
    seen(P, Refuse(503), &[1, 1, 1], &[3.1, 293.8]),
    seen(P, Refuse(603), &[1, 1, 1], &[6.43, 300.8]),
    seen(P, RefuseWithRetryAfter(503, 20), &[1, 1, 1], &[7.11, 305.88]),
    seen(P, Silence, &[1, 1, 1], &[41.59, 336.1]),
    seen(P, Icmp, &[1, 1, 1], &[39.55, 336.09]),
    seen(P, ChallengeAgain, &[6], &[]),
    seen(P, Stale, &[4], &[]),
    seen(P, Grant, &[2, 2, 2, 2], &[55.0, 55.08, 55.0]),
    seen(P, TooBrief, &[4, 2, 2], &[55.0, 55.08]),
    seen(B, Refuse(403), &[1, 1, 1, 1], &[42.36, 85.81, 141.6]),
    seen(B, RefuseAfterAuth(403), &[2, 2, 2, 2], &[45.54, 62.04, 160.81]),
    seen(B, Refuse(404), &[1, 1, 1], &[53.88, 67.68]),
    seen(B, Refuse(480), &[1, 1, 1], &[48.67, 76.08]),
    seen(B, Refuse(503), &[1, 1, 1], &[39.95, 69.58]),
    seen(B, Refuse(603), &[1, 1, 1], &[53.77, 89.64]),
    seen(B, RefuseWithRetryAfter(503, 20), &[1, 1, 1], &[59.08, 81.49]),
    seen(B, Silence, &[1, 1, 1], &[71.06, 145.98]),
    seen(B, Icmp, &[1, 1], &[67.41]),
    seen(B, ChallengeAgain, &[16, 16, 16], &[59.07, 95.66]),
    seen(B, Stale, &[16, 16], &[56.74]),
    seen(B, Grant, &[2, 1, 1, 1], &[54.0, 54.0, 54.01]),
    seen(B, GrantOnce, &[2, 2, 2], &[54.0, 54.0]),
];

#[test]
fn presets_do_what_their_clients_did() {
    for ClientSeen { preset, script, requests, waits } in CAPTURED {
        let what = format!("{}, {script:?}", preset.preset);
        let lives: Vec<Life> = (0..40).map(|seed| Life::of(preset, script, seed, requests.len())).collect();
        for life in &lives {
            assert_eq!(life.requests, requests, "{what}");
            assert_eq!(life.goes_on, goes_on(preset, script), "{what}");
        }
        for (n, &wait) in waits.iter().enumerate() {
            let ours = |life: &Life| life.starts[n + 1] - life.starts[n];
            let (least, most) =
                (lives.iter().map(ours).fold(f64::MAX, f64::min), lives.iter().map(ours).fold(0.0, f64::max));
            assert!(
                least * 0.95 <= wait && wait <= most * 1.05,
                "{what}: {wait} s captured before attempt {}, {least} to {most} s of ours",
                n + 2
            );
        }
    }
}

/// Whether the client was seen to try for ever, or is said to by its source.
fn goes_on(preset: &RetryPolicy, script: ServerScript) -> bool {
    match script {
        Refuse(403 | 404) | RefuseAfterAuth(_) | ChallengeAgain | Stale => preset == B,
        Refuse(480) => preset != A,
        _ => true,
    }
}

/// Timer E ran for all of them as here, the last copy half a second before Timer F.
#[test]
fn clients_that_hear_of_icmp_send_all_eleven_copies() {
    let copies = [0.0, 0.5, 1.5, 3.5, 7.5, 11.51, 15.51, 19.51, 23.52, 27.52, 31.52];
    for preset in [A, P, B] {
        for script in [Silence, Icmp] {
            let life = Life::of(preset, script, 1, 1);
            assert_eq!(life.copies.len(), copies.len(), "{} {script:?}", preset.preset);
            for (ours, captured) in life.copies.iter().zip(copies) {
                assert!((ours - captured).abs() <= captured * 0.05, "{ours} beside {captured}");
            }
            let ended = if script == Icmp { "ended transport_error 0" } else { "ended request_timeout 0" };
            assert_eq!(life.phone.seen(ended), 1, "{:?}", life.phone.events);
        }
    }
    let life = Life::of(&RetryPolicy::RFC, Icmp, 1, 1);
    assert_eq!((life.copies.len(), life.phone.seen("ended transport_error 0")), (1, 1), "others heed it");
}

/// A server that comes up again within Timer F is found by those who went on asking.
#[test]
fn an_answer_after_icmp_is_taken() {
    let mut phone = Phone::retrying(RetryPolicy::BARESIP);
    phone.arrive(0).input(1, Input::Transport { serial: 1, why: UNREACHABLE }).until(3_600);
    phone.challenge(3_700, "n1", "").input(3_701, Input::Transport { serial: 2, why: UNREACHABLE });
    phone.until(4_300).ok(4_400, 60);
    assert_eq!((phone.seen("ended registered 200"), phone.seen("ended")), (1, 1));
    // What cannot be sent at all is no news of the network.
    let mut phone = Phone::retrying(RetryPolicy::BARESIP);
    phone.arrive(0).input(1, Input::Transport { serial: 1, why: Trouble::NotSent(NotSent::Firewall) });
    assert_eq!(phone.seen("ended transport_error 0"), 1);
}

#[test]
fn pjsua_takes_the_same_nonce_again_for_a_refusal() {
    let mut phone = Phone::retrying(RetryPolicy::PJSUA);
    phone.arrive(0).challenge(1, "n1", "").challenge(2, "n1", "");
    assert_eq!((phone.sent.len(), phone.seen("ended authentication_failed 401")), (2, 1));
    let mut phone = Phone::retrying(RetryPolicy::PJSUA);
    phone.arrive(0).challenge(1, "n1", "").challenge(2, "n1", ", stale=true").challenge(3, "n2", "");
    assert_eq!(phone.sent.len(), 4);
}

#[test]
fn baresip_goes_on_with_its_nonce_unless_it_was_forbidden() {
    let mut phone = Phone::retrying(RetryPolicy::BARESIP);
    phone.arrive(0).challenge(1, "n1", "").reply(2, 503, "").due();
    phone.reply(phone.now + 1, 403, "").due();
    let credentials: Vec<String> = phone.requests().into_iter().map(|request| request.3).collect();
    assert_eq!(credentials, ["", "n1/1", "n1/2", ""]);
}

/// A phone from its arrival on, under a script.
struct Life {
    phone: Phone,
    /// Requests of each attempt.
    requests: Vec<usize>,
    /// Seconds from the first attempt's first REGISTER.
    starts: Vec<f64>,
    /// The same of the first request and its copies.
    copies: Vec<f64>,
    /// Another attempt is due.
    goes_on: bool,
}

impl Life {
    /// So many attempts.
    fn of(preset: &RetryPolicy, script: ServerScript, seed: u64, attempts: usize) -> Life {
        let mut phone = Phone::retrying(*preset);
        phone.policy.reuse_nonce = preset.reuse_nonce;
        phone.policy.expires_s = if script == TooBrief { 30 } else { 300 };
        phone.seed = Seed(seed);
        phone.arrive(0);
        let mut life = Life { phone, requests: vec![], starts: vec![], copies: vec![], goes_on: false };
        let (mut answered, mut known) = (0, String::new());
        // Each round looks at what was sent since the last, or waits for the next deadline.
        for _ in 0..10_000 {
            let phone = &mut life.phone;
            let Some((at, text)) = phone.sent.get(answered).cloned() else {
                let begun = phone.seen("began");
                if begun == attempts && !phone.agent.has_open_attempt() {
                    break;
                }
                if phone.deadline().is_none() {
                    break;
                }
                phone.due();
                continue;
            };
            answered += 1;
            let s = at as f64 / 1e3;
            if text != known {
                let ended = phone.seen("ended");
                if life.requests.len() == ended {
                    life.requests.push(0);
                    life.starts.push(s);
                }
                life.requests[ended] += 1;
                known = text;
            }
            if life.requests == [1] {
                life.copies.push(s - life.starts[0]);
            }
            answer(phone, script);
        }
        life.goes_on = life.phone.deadline().is_some() && life.phone.seen("began") == attempts;
        life
    }
}

/// Answers the request sent last, by the script.
fn answer(phone: &mut Phone, script: ServerScript) {
    let at = phone.now + 1;
    let (_, _, expires, credentials) = phone.requests().pop().expect("a request");
    let fresh = format!("n{}", phone.sent.len());
    let with = !credentials.is_empty();
    let nonce = |request: &str| request.split('/').next().map(str::to_owned);
    let known = phone.requests().iter().rev().skip(1).any(|earlier| nonce(&earlier.3) == nonce(&credentials));
    match script {
        Silence => {}
        Icmp => {
            let serial = phone.agent.serial();
            phone.input(at, Input::Transport { serial, why: UNREACHABLE });
        }
        Refuse(code) => {
            phone.reply(at, code, "");
        }
        RefuseWithRetryAfter(code, after) => {
            phone.reply(at, code, &format!("Retry-After: {after}\r\n"));
        }
        RefuseAfterAuth(code) if with => {
            phone.reply(at, code, "");
        }
        Stale if with => {
            phone.challenge(at, &fresh, ", stale=true");
        }
        GrantOnce if with && known => {
            phone.challenge(at, &fresh, ", stale=true");
        }
        TooBrief if with && expires < 60 => {
            phone.reply(at, 423, "Min-Expires: 60\r\n");
        }
        Grant | GrantOnce | TooBrief if with => {
            phone.ok(at, 60);
        }
        _ => {
            phone.challenge(at, &fresh, "");
        }
    }
}
