//! RFC 3263 as a table: a zone, a URI's parts, and where requests go.

use super::*;
use proptest::prelude::*;

/// A zone in lines like `example.net SRV 10 60 5061 a.example.net`.
struct Zone {
    lines: Vec<(String, RecordKind, NameRecord)>,
    asked: Vec<(String, RecordKind)>,
    given: Vec<&'static str>,
}

fn zone(text: &str) -> Zone {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |n: usize| words[n].parse().expect("a number");
        let (kind, record) = match words[1] {
            "NAPTR" => (
                RecordKind::Naptr,
                NameRecord::Naptr {
                    order: number(2),
                    preference: number(3),
                    flags: "s".to_owned(),
                    service: words[4].to_owned(),
                    replacement: words[5].to_owned(),
                },
            ),
            "SRV" => (
                RecordKind::Srv,
                NameRecord::Srv {
                    priority: number(2),
                    weight: number(3),
                    port: number(4),
                    target: words[5].to_owned(),
                },
            ),
            "A" => (RecordKind::A, NameRecord::Address(words[2].parse().expect("an address"))),
            _ => (RecordKind::Aaaa, NameRecord::Address(words[2].parse().expect("an address"))),
        };
        (words[0].to_owned(), kind, record)
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(line).collect();
    Zone { lines, asked: Vec::new(), given: Vec::new() }
}

impl Names for Zone {
    fn ask(&mut self, name: &str, kind: RecordKind) -> NameAnswer {
        self.asked.push((name.to_owned(), kind));
        let fits = |line: &&(String, RecordKind, NameRecord)| line.0 == name && line.1 == kind;
        let records = self.lines.iter().filter(fits).map(|line| line.2.clone()).collect();
        NameAnswer { records, ttl: Some(Duration::from_secs(60)), ..NameAnswer::default() }
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }
}

const NAME: Wanted<'static> = Wanted { host: "example.net", port: None, transport: None, secure: false, family: None };

fn found(wanted: &Wanted<'_>, zone: &mut Zone) -> (Option<Transport>, Vec<String>) {
    let located = locate(wanted, zone);
    (located.transport, located.places.iter().map(|place| place.address.to_string()).collect())
}

fn asked(zone: &Zone) -> Vec<String> {
    zone.asked.iter().map(|(name, kind)| format!("{name} {}", kind.as_str())).collect()
}

const WHOLE: &str = "
    example.net NAPTR 20 1 SIP+D2T _sip._tcp.example.net
    example.net NAPTR 10 2 SIP+D2U _sip._udp.example.net
    example.net NAPTR 10 1 SIPS+D2T _sips._tcp.example.net
    _sips._tcp.example.net SRV 1 0 5071 a.example.net
    _sip._udp.example.net SRV 1 0 5072 a.example.net
    _sip._tcp.example.net SRV 1 0 5073 a.example.net
    a.example.net A 127.0.0.1
    example.net A 127.0.0.9";

#[test]
fn naptr_says_which_transport_and_srv_which_port() {
    use Transport::{Tcp, Tls, Udp};
    let all = |wanted: Wanted<'_>| found(&wanted, &mut zone(WHOLE));
    let at = |transport, port: u16| (Some(transport), vec![format!("127.0.0.1:{port}")]);
    assert_eq!(all(NAME), at(Tls, 5071), "order 10, preference 1");
    assert_eq!(all(Wanted { transport: Some(Udp), ..NAME }), at(Udp, 5072));
    assert_eq!(all(Wanted { transport: Some(Tcp), ..NAME }), at(Tcp, 5073));
    assert_eq!(all(Wanted { transport: Some(Tls), ..NAME }), at(Tls, 5071));
    assert_eq!(all(Wanted { secure: true, ..NAME }), at(Tls, 5071));
}

/// livekit/sip #810: the address of the domain itself was asked for first, the port of the SRV
/// record lost, and `_sips._tcp` never asked.
#[test]
fn naptr_leads_to_websocket_as_to_any_other_transport() {
    let text = "example.net NAPTR 10 1 SIPS+D2W _wss.edge.example.net\n\
                example.net NAPTR 20 1 SIP+D2W _ws.edge.example.net\n\
                example.net NAPTR 30 1 SIP+D2U _sip._udp.example.net\n\
                _wss.edge.example.net SRV 1 1 8443 a.example.net\n\
                _ws.edge.example.net SRV 1 1 8080 a.example.net\n\
                _sip._udp.example.net SRV 1 1 5060 a.example.net\n\
                a.example.net A 127.0.0.1";
    let of = |lines: usize, wanted: Wanted<'_>| {
        let rest: Vec<&str> = text.lines().skip(lines).collect();
        found(&wanted, &mut zone(&rest.join("\n")))
    };
    let at = |transport, port: u16| (Some(transport), vec![format!("127.0.0.1:{port}")]);
    assert_eq!(of(0, NAME), at(Transport::Wss, 8443));
    assert_eq!(of(1, NAME), at(Transport::Ws, 8080));
    assert_eq!(of(2, NAME), at(Transport::Udp, 5060));
    let secure = Wanted { secure: true, ..NAME };
    assert_eq!(of(0, secure), at(Transport::Wss, 8443));
    assert_eq!(of(1, secure).1, Vec::<String>::new(), "nothing of it is secured");
}

#[test]
fn srv_is_asked_before_addresses_and_its_port_is_kept() {
    let mut of_srv = zone(
        "_sips._tcp.example.net SRV 1 0 15061 edge.example.net
         edge.example.net A 127.0.0.2
         example.net A 127.0.0.9",
    );
    assert_eq!(found(&NAME, &mut of_srv), (Some(Transport::Tls), vec!["127.0.0.2:15061".to_owned()]));
    assert_eq!(
        asked(&of_srv),
        [
            "example.net NAPTR",
            "_sip._udp.example.net SRV",
            "_sip._tcp.example.net SRV",
            "_sips._tcp.example.net SRV",
            "edge.example.net A",
        ]
    );
}

#[test]
fn what_is_written_is_not_asked_for() {
    let mut numeric = zone(WHOLE);
    let wanted = Wanted { host: "127.0.0.3", ..NAME };
    assert_eq!(found(&wanted, &mut numeric), (Some(Transport::Udp), vec!["127.0.0.3:5060".to_owned()]));
    let wanted = Wanted { host: "::1", port: Some(7), secure: true, ..NAME };
    assert_eq!(found(&wanted, &mut numeric), (Some(Transport::Tls), vec!["[::1]:7".to_owned()]));
    assert!(asked(&numeric).is_empty());
    let mut ported = zone(WHOLE);
    let wanted = Wanted { port: Some(5080), ..NAME };
    assert_eq!(found(&wanted, &mut ported), (Some(Transport::Udp), vec!["127.0.0.9:5080".to_owned()]));
    assert_eq!(asked(&ported), ["example.net A"]);
    let mut given = Zone { given: vec!["example.net"], ..zone(WHOLE) };
    assert_eq!(found(&NAME, &mut given), (Some(Transport::Udp), vec!["127.0.0.9:5060".to_owned()]));
    let mut tcp = zone(WHOLE);
    found(&Wanted { transport: Some(Transport::Tcp), ..NAME }, &mut tcp);
    assert_eq!(asked(&tcp), ["_sip._tcp.example.net SRV", "a.example.net A"]);
}

#[test]
fn without_services_the_domain_itself_is_the_target() {
    let mut plain = zone("example.net A 127.0.0.4\nexample.net AAAA ::1");
    assert_eq!(found(&NAME, &mut plain), (Some(Transport::Udp), vec!["127.0.0.4:5060".to_owned()]));
    let secure = Wanted { secure: true, ..NAME };
    assert_eq!(found(&secure, &mut plain), (Some(Transport::Tls), vec!["127.0.0.4:5061".to_owned()]));
    let v6 = Wanted { family: Some(AddressFamily::V6), ..NAME };
    assert_eq!(found(&v6, &mut plain), (Some(Transport::Udp), vec!["[::1]:5060".to_owned()]));
    let mut absent =
        zone("_sip._udp.example.net SRV 0 0 0 .\n_sip._tcp.example.net SRV 0 0 5060 a.test\na.test A 127.0.0.5");
    assert_eq!(found(&NAME, &mut absent), (Some(Transport::Tcp), vec!["127.0.0.5:5060".to_owned()]), "no UDP there");
    let nothing = locate(&NAME, &mut zone(""));
    assert!(nothing.places.is_empty());
    assert_eq!(nothing.trouble(), "no AAAA record");
}

#[test]
fn a_dead_pointer_is_passed_over_and_a_target_without_address_too() {
    let mut dangling = zone(
        "example.net NAPTR 10 1 SIP+D2T _sip._tcp.nowhere.test
         example.net NAPTR 20 1 SIP+D2U _sip._udp.example.net
         _sip._udp.example.net SRV 10 1 5060 gone.example.net
         _sip._udp.example.net SRV 20 1 5060 b.example.net
         b.example.net A 127.0.0.6
         b.example.net A 127.0.0.7",
    );
    let at = vec!["127.0.0.6:5060".to_owned(), "127.0.0.7:5060".to_owned()];
    assert_eq!(found(&NAME, &mut dangling), (Some(Transport::Udp), at));
}

#[test]
fn the_shortest_life_of_what_was_used_counts() {
    let located = locate(&NAME, &mut zone(WHOLE));
    assert_eq!((located.ttl(), located.by_srv), (Some(Duration::from_secs(60)), true));
    assert_eq!(locate(&Wanted { host: "127.0.0.1", ..NAME }, &mut zone("")).ttl(), None);
}

fn places(list: &[(u16, u16)]) -> Vec<Destination> {
    let place = |(n, &(priority, weight)): (usize, &(u16, u16))| Destination {
        address: SocketAddr::from(([127, 0, 0, 1], 6000 + n as u16)),
        priority,
        weight,
        host: digest([n as u8]),
    };
    list.iter().enumerate().map(place).collect()
}

/// A number in `[0, 1)` of an agent's for a key, as good as any.
fn draw(agent: u64) -> impl Fn(u64) -> f64 {
    move |key| {
        let mut word = agent.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key;
        for _ in 0..3 {
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        }
        (word >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn counted(list: &[Destination], agents: u64) -> Vec<f64> {
    let mut firsts = vec![0u32; list.len()];
    (0..agents).for_each(|agent| firsts[first(list, draw(agent)).expect("a place")] += 1);
    firsts.into_iter().map(|count| f64::from(count) / agents as f64).collect()
}

#[test]
fn shares_follow_the_weights() {
    let weighted = places(&[(10, 60), (10, 30), (10, 10), (20, 100)]);
    assert_eq!(shares(&weighted), [0.6, 0.3, 0.1, 0.0]);
    for (share, due) in counted(&weighted, 200_000).into_iter().zip([0.6, 0.3, 0.1, 0.0]) {
        assert!((share - due).abs() < 0.004, "{share} {due}");
    }
    let even = counted(&places(&[(1, 0), (1, 0)]), 200_000);
    assert!((even[0] - 0.5).abs() < 0.004, "{even:?}");
    let last = counted(&places(&[(1, 0), (1, 9)]), 200_000);
    assert!(last[0] < 0.001, "{last:?}");
    // Two addresses of one host share what the host has.
    let mut shared = places(&[(1, 50), (1, 50), (1, 50)]);
    shared[1].host = shared[0].host;
    assert_eq!(shares(&shared), [0.25, 0.25, 0.5]);
    let split = counted(&shared, 200_000);
    assert!((split[2] - 0.5).abs() < 0.004 && (split[0] - 0.25).abs() < 0.004, "{split:?}");
}

#[test]
fn the_second_choice_follows_the_weights_too() {
    let list = places(&[(1, 60), (1, 30), (1, 10)]);
    let orders: Vec<Vec<usize>> = (0..100_000).map(|agent| order(&list, draw(agent))).collect();
    let after_first: Vec<&Vec<usize>> = orders.iter().filter(|order| order[0] == 0).collect();
    let second = after_first.iter().filter(|order| order[1] == 1).count() as f64 / after_first.len() as f64;
    assert!((second - 0.75).abs() < 0.01, "30 of 40: {second}");
}

proptest! {
    #[test]
    fn every_place_once_and_priorities_in_order(list in prop::collection::vec((0u16..4, 0u16..100), 1..12), agent: u64) {
        let places = places(&list);
        let order = order(&places, draw(agent));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..list.len()).collect::<Vec<_>>());
        prop_assert!(order.windows(2).all(|pair| list[pair[0]].0 <= list[pair[1]].0));
        prop_assert_eq!(first(&places, draw(agent)), Some(order[0]));
    }

    /// Who does not prefer what has gone stays where it is.
    #[test]
    fn a_place_that_goes_moves_only_its_own(list in prop::collection::vec((0u16..2, 0u16..100), 2..8), gone: prop::sample::Index, agent: u64) {
        let all = places(&list);
        let gone = gone.index(list.len());
        let mut left = all.clone();
        left.remove(gone);
        let before = order(&all, draw(agent));
        let names = |list: &[Destination], order: Vec<usize>| order.into_iter().map(|n| list[n].address).collect::<Vec<_>>();
        let expected = names(&all, before.into_iter().filter(|n| *n != gone).collect());
        prop_assert_eq!(names(&left, order(&left, draw(agent))), expected);
    }

    #[test]
    fn any_zone_ends_in_an_answer(text in "[a-c]{1,2}", port in prop::option::of(1u16..), secure: bool) {
        let mut zone = zone(WHOLE);
        let located = locate(&Wanted { host: &text, port, transport: None, secure, family: None }, &mut zone);
        prop_assert!(located.places.is_empty() && zone.asked.len() <= 6);
    }
}
