//! A phone whose registrar has several addresses (RFC 3263 §4.3): what makes it go on to the next
//! one, what it begins anew there, and when it gives up.

use super::*;

fn with_others(others: u8) -> Phone {
    Phone { others, ..Phone::retrying(every(Duration::from_secs(1_000))) }
}

#[test]
fn what_cannot_be_delivered_goes_on_at_once_and_each_place_has_its_turn() {
    let mut phone = with_others(2);
    phone.arrive(0);
    for (ms, serial) in [(1, 1), (2, 2), (3, 3)] {
        phone.input(ms, Input::Transport { serial, why: UNREACHABLE });
    }
    let times: Vec<u64> = phone.requests().iter().map(|request| request.0).collect();
    assert_eq!(times, [0, 1, 2], "a request at each place");
    assert_eq!(phone.events.iter().filter(|event| *event == "went on: Unreachable").count(), 2);
    assert_eq!(phone.events.last().map(String::as_str), Some("ended transport_error 0 Unchallenged"));
    // The next attempt has its turns again.
    phone.until(1_000_003).input(1_000_004, Input::Transport { serial: 4, why: UNREACHABLE });
    assert_eq!(phone.requests().len(), 5, "{:?}", phone.events);
}

#[test]
fn silence_and_503_go_on_and_other_refusals_end() {
    let mut silent = with_others(1);
    silent.arrive(0).until(32_001).then_ok(60);
    assert!(silent.events.contains(&"went on: Silent".to_owned()), "{:?}", silent.events);
    assert_eq!(silent.events.iter().filter(|event| event.starts_with("ended")).count(), 1, "one attempt");
    for (code, goes_on) in [(503, true), (500, false), (403, false), (408, false), (302, false)] {
        let mut phone = with_others(1);
        phone.arrive(0).reply(1, code, "");
        assert_eq!(phone.events.contains(&"went on: Unavailable".to_owned()), goes_on, "{code}: {:?}", phone.events);
    }
}

#[test]
fn another_place_challenges_anew() {
    let mut phone = with_others(1);
    phone.arrive(0).challenge(1, "n1", "").reply(2, 503, "").challenge(3, "n2", "").ok(4, 60);
    let answers: Vec<String> = phone.requests().iter().map(|request| request.3.clone()).collect();
    assert_eq!(answers, ["", "n1/1", "", "n2/1"], "no nonce of the first place at the second");
    assert_eq!(phone.events.last().map(String::as_str), Some("registered 60s"));
}

#[test]
fn who_cannot_send_does_not_go_on() {
    let mut phone = with_others(3);
    phone.arrive(0).input(1, Input::Transport { serial: 1, why: Trouble::NotSent(NotSent::Firewall) });
    assert_eq!(phone.requests().len(), 1);
    assert_eq!(phone.events.last().map(String::as_str), Some("ended transport_error 0 Unchallenged"));
}

#[test]
fn an_unregister_goes_on_too() {
    let mut phone = with_others(1);
    phone.arrive(0).challenge(1, "n1", "").ok(2, 60).input(10, Input::Unregister);
    phone.reply(11, 503, "").challenge(12, "n2", "").ok(13, 0);
    assert_eq!(phone.events.last().map(String::as_str), Some("unregister-ended true 200"), "{:?}", phone.events);
}
