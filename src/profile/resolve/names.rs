//! `resolver` and `hosts`: who is asked for names, and which names nobody is asked for.

use super::check::Checker;
use crate::profile::meant::HostTable;
use crate::profile::places::Path;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Where name servers listen (RFC 1035 §4.2).
const PORT: u16 = 53;

pub(super) fn resolver(check: &mut Checker, path: &Path, written: Option<&str>) -> Option<SocketAddr> {
    let text = written?;
    let alone = |text: &str| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
    let read = text.parse().or_else(|_| alone(text)).ok().filter(|server: &SocketAddr| server.port() > 0);
    if read.is_none() {
        check.advise(
            path,
            format!("\"{text}\" is not the address of a name server"),
            "write \"10.0.0.2\", \"127.0.0.1:5353\" or \"[::1]:5353\"",
        );
    }
    read
}

pub(super) fn hosts(check: &mut Checker, path: &Path, written: BTreeMap<String, Vec<String>>) -> HostTable {
    let mut table = HostTable::new();
    for (name, texts) in written {
        let at = path.key(&name);
        let addresses = check.addresses(&at, Some(&texts));
        if texts.is_empty() {
            check.advise(&at, "has no address", "write [\"10.0.0.5\"], or leave the name out");
        }
        let bare = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
        if bare.is_empty() || bare.parse::<IpAddr>().is_ok() || bare.contains([':', '/', ' ']) {
            check.bad_key(&at, "is not a host name", "write the name alone, like \"edge.example.net\"");
        }
        table.insert(bare, addresses);
    }
    table
}
