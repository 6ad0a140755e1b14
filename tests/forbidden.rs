//! Nothing is ever sent to an address that the profile does not allow: every command, every way in
//! which an address comes to be known, held against a capture of all that left for it.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use support::capture::Capture;
use support::dns::Dnsmasq;
use support::program::{Regstorm, profile};
use support::redirecting::Redirecting;

const LIMIT: Duration = Duration::from_secs(90);
/// Loopback, and not among the allowed targets.
const FORBIDDEN: &str = "127.0.0.66";

/// What a capture of every packet to [`FORBIDDEN`] holds, of any protocol and to any port, but for
/// the one that ends it.
fn packets(capture: Capture) -> String {
    let file = capture.stop(SocketAddr::new(FORBIDDEN.parse().expect("an address"), 9));
    let read = Command::new("tshark").args(["-n", "-r"]).arg(&file).output().expect("tshark");
    let all = String::from_utf8_lossy(&read.stdout).into_owned();
    let lines: Vec<&str> = all.lines().collect();
    let (last, before) = lines.split_last().expect("the packet of this test's own");
    assert!(last.contains(FORBIDDEN), "{last}");
    before.join("\n")
}

#[test]
fn nothing_leaves_for_an_address_that_is_not_allowed() {
    let dir = tempfile::tempdir().expect("a directory under /tmp");
    let records =
        [format!("host-record=out.d.test,{FORBIDDEN}"), "srv-host=_sip._udp.d.test,out.d.test,5060,10,1".to_owned()];
    let server = Dnsmasq::start(60, &records);
    let redirecting = Redirecting::start(format!("sip:{FORBIDDEN}:5060"));
    let allowed = redirecting.address;
    let hosts = format!("hosts = {{ \"edge.test\" = [\"{FORBIDDEN}\"] }}");
    let proxy = format!("outbound_proxy = \"sip:{FORBIDDEN};lr\"");
    // What the trunk says, and whether a command can know before it sends anything.
    let ways = [
        (format!("registrar = \"sip:{FORBIDDEN}\""), true),
        (format!("registrar = \"sip:{FORBIDDEN};transport=tcp\""), true),
        (format!("registrar = \"sips:{FORBIDDEN}\""), true),
        (format!("registrar = \"sip:{allowed}\"\n{proxy}"), true),
        ("registrar = \"sip:d.test\"".to_owned(), true),
        ("registrar = \"sip:out.d.test:5060\"".to_owned(), true),
        (format!("registrar = \"sip:edge.test\"\n{hosts}"), true),
        (format!("registrar = \"sip:{allowed}\""), false),
    ];
    let commands: [&[&str]; 5] = [
        &["run", "profile.toml", "--live", "off"],
        &["limits", "profile.toml", "--only", "concurrent"],
        &["watch", "profile.toml", "--for", "2s", "--every", "200ms"],
        &["preflight", "profile.toml"],
        &["diagnose", "--live", "profile.toml", "--rate", "20"],
    ];
    let capture = Capture::start(dir.path(), &format!("dst host {FORBIDDEN}"));
    for (way, known) in &ways {
        let text = format!(
            "[run]\nname = \"forbidden\"\ninterval = \"1s\"\ndrain = \"3s\"\nresolver = \"{}\"\n\
             [safety]\nallow_targets = [\"127.0.0.1\"]\n[[trunk]]\nid = \"t\"\n{way}\ndomain = \"d.test\"\n\
             agents = {{ count = 3, user = \"a{{n}}\", password = \"secret\" }}\n[[load]]\nrate = 20\nfor = \"1s\"\n",
            server.address()
        );
        profile(dir.path(), &text);
        for args in commands {
            let ended = Regstorm::run(dir.path(), args, LIMIT);
            if *known {
                assert_eq!(ended.status.code(), Some(2), "{way}, {args:?}: {ended:?}");
                let said = ended.stderr();
                assert!(said.contains(FORBIDDEN) && said.contains("allow"), "{way}, {args:?}: {said}");
            } else {
                assert_ne!(ended.status.code(), Some(0), "{way}, {args:?}: {ended:?}");
            }
        }
    }
    assert_eq!(packets(capture), "");
    assert!(redirecting.asked() > commands.len(), "those that were sent elsewhere did ask");
}
