//! How a phone leaves: un-REGISTER, the drain, the end of a run, a power cut.

use super::*;

#[test]
fn unregistering_removes_the_binding_with_the_nonce_at_hand() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").ok(2, 60).input(5_000, Input::Unregister).ok(5_001, 0);
    assert_eq!(phone.requests()[2], (5_000, 3, 0, "n1/2".into()));
    assert_eq!(phone.events[8..], ["retired", "request unregister", "unregistered", "unregister-ended true 200"]);
    assert_eq!(phone.until(200_000).deadline(), None);
}

#[test]
fn unregistering_sends_nothing_where_nothing_can_be_bound() {
    type Story = fn(&mut Phone);
    let stories: [(&str, Story); 5] = [
        ("refused before a challenge", |p| {
            p.arrive(0).reply(1, 403, "");
        }),
        ("refused after credentials", |p| {
            p.arrive(0).challenge(1, "n1", "").reply(2, 403, "");
        }),
        ("a challenge nobody can use", |p| {
            p.arrive(0).reply(1, 401, "");
        }),
        ("sent once and not delivered", |p| {
            p.arrive(0).input(1, Input::Transport { serial: 1, why: UNREACHABLE });
        }),
        ("kept back by the ceiling", |p| {
            p.input_under(0, Input::Arrive { planned: Phone::time(0) }, false);
        }),
    ];
    for (what, story) in stories {
        let mut phone = Phone::new();
        story(&mut phone);
        let sent = phone.sent.len();
        phone.until(40_000).input(50_000, Input::Unregister);
        assert_eq!((phone.sent.len(), phone.deadline()), (sent, None), "{what}: {:?}", phone.events);
    }
}

/// A registrar that asks for no credentials binds at the first request, and its answer can get
/// lost: then the agent never registered, and a binding stays behind all the same.
#[test]
fn unregistering_removes_what_an_unseen_answer_may_have_bound() {
    type Story = fn(&mut Phone);
    let stories: [(&str, Story); 9] = [
        ("refused, but perhaps only one of two copies", |p| {
            p.arrive(0).challenge(1, "n1", "").until(600).reply(700, 403, "");
        }),
        ("refused after a challenge to perhaps only one of two copies", |p| {
            p.arrive(0).challenge(1, "n1", "").until(600).challenge(700, "n2", ", stale=true").reply(701, 403, "");
        }),
        ("refused, and then granted", |p| {
            let request = p.arrive(0).challenge(1, "n1", "").reply(2, 503, "").last();
            p.reply_to(3, &request, 200, "");
        }),
        ("an open registrar is not heard", |p| {
            p.arrive(0).until(40_000);
        }),
        ("credentials sent, no answer", |p| {
            p.arrive(0).challenge(1, "n1", "").until(40_000);
        }),
        ("an answer that cannot be read", |p| {
            p.arrive(0).input(1, Input::Malformed { serial: 1, at: Phone::time(1) });
        }),
        ("a 200 with another CSeq", |p| {
            let swapped = p.arrive(0).last().replace("CSeq: 1000001", "CSeq: 1000009");
            p.reply_to(1, &swapped, 200, "");
        }),
        ("gone after the second transmission", |p| {
            p.arrive(0).until(600).input(700, Input::Transport { serial: 1, why: UNREACHABLE });
        }),
        ("given up long ago", |p| {
            p.arrive(0).input(40_000, Input::Stop);
        }),
    ];
    for (what, story) in stories {
        let mut phone = Phone::new();
        story(&mut phone);
        phone.input(50_000, Input::Unregister).reply(50_001, 200, "");
        let (at, _, expires, _) = phone.requests().pop().expect("a request");
        assert_eq!((at, expires), (50_000, 0), "{what}: {:?}", phone.events);
        assert_eq!(phone.seen("unregister-ended true 200"), 1, "{what}: {:?}", phone.events);
    }
}

#[test]
fn draining_starts_nothing_and_lets_nothing_lapse() {
    let mut phone = Phone::retrying(every(Duration::from_secs(1)));
    phone.arrive(0).challenge(1, "n1", "").ok(2, 20);
    phone.draining = true;
    assert_eq!(phone.deadline(), None);
    phone.input(30_000, Input::Wake);
    assert_eq!(phone.seen("lapsed") + phone.seen("began refresh"), 0);
}

#[test]
fn stopping_abandons_an_open_attempt() {
    let mut phone = Phone::new();
    phone.arrive(0).input(100, Input::Stop);
    assert_eq!(phone.seen("ended abandoned 0"), 1);
    assert_eq!(phone.until(100_000).deadline(), None);
}

/// What is left is the binding at the registrar: it lapses, or the phone finds it when it is back.
#[test]
fn a_phone_without_power_says_nothing_and_begins_anew() {
    let mut phone = Phone::new();
    phone.arrive(0).challenge(1, "n1", "").ok(2, 60).input(10_000, Input::Cut).until(59_000);
    assert_eq!((phone.sent.len(), phone.seen("ended abandoned")), (2, 0), "nothing was open, and nothing is refreshed");
    phone.until(100_000);
    assert_eq!((phone.sent.len(), phone.seen("lapsed")), (2, 1));
    phone.arrive(120_000);
    assert_eq!(phone.requests()[2].3, "", "without the nonce it had");
    phone.challenge(120_001, "n2", "").ok(120_002, 60);
    assert_eq!(phone.seen("ended registered"), 2);

    let mut phone = Phone::retrying(every(Duration::from_secs(5)));
    phone.arrive(0).reply(1, 503, "").input(2, Input::Cut).until(100_000);
    assert_eq!(phone.sent.len(), 1, "a retry it was waiting for is forgotten");
    let mut phone = Phone::new();
    phone.arrive(0).input(100, Input::Cut);
    assert_eq!((phone.seen("ended abandoned 0"), phone.until(100_000).deadline()), (1, None));
}

/// RFC 3261 §10.2: no further registration before the last was answered or timed out. An
/// un-REGISTER that overtakes it would be undone by it.
#[test]
fn unregistering_does_not_overtake_what_was_given_up() {
    let given_up = || {
        let mut phone = Phone::new();
        phone.arrive(0).challenge(1, "n1", "").input(100, Input::Stop).input(200, Input::Unregister);
        assert_eq!((phone.sent.len(), phone.agent.is_busy()), (2, true), "{:?}", phone.events);
        phone
    };
    let mut phone = given_up();
    phone.ok(900, 60).ok(901, 0);
    assert_eq!(phone.requests()[2], (900, 3, 0, "n1/2".into()), "at the answer");
    assert_eq!((phone.seen("unregister-ended true 200"), phone.agent.is_busy()), (1, false), "{:?}", phone.events);

    let mut phone = given_up();
    phone.until(10_000);
    assert_eq!(phone.requests()[2].0, 5_101, "nothing of it is in the network T4 after it was given up");

    let mut phone = given_up();
    phone.input(300, Input::Stop);
    assert_eq!((phone.seen("unregister-ended false 0"), phone.agent.is_busy()), (1, false), "the run is over");
    assert_eq!(phone.until(10_000).sent.len(), 2);

    let mut phone = Phone::new();
    phone.arrive(0).input(100, Input::Stop).reply(200, 403, "").input(300, Input::Unregister);
    assert_eq!(phone.sent.last().expect("sent").0, 300, "answered already");
    let mut phone = Phone::new();
    phone.arrive(0).input(100, Input::Stop).arrive(200);
    assert_eq!(phone.seen("began initial"), 2, "and an arrival begins anew");
}
