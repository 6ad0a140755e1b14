//! Which addresses a run may speak to: names resolved, then checked against
//! `[safety] allow_targets`, before anything is sent.

use super::failure::Failure;
use crate::net::resolve::{Family, resolve};
use crate::plan::{Plan, RegistrarChoice, TrunkPlan};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The address every trunk sends to, by trunk; trunks on the embedded registrar get `embedded`.
///
/// # Errors
/// A name that does not resolve could not run (3); an address outside the allowed ones is bad usage
/// (2).
pub(super) fn resolve_all(plan: &Plan, embedded: Option<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
    plan.trunks.iter().map(|trunk| resolve_trunk(plan, trunk, embedded)).collect()
}

/// The address a trunk sends to.
///
/// # Errors
/// As [`resolve_all`].
pub(super) fn resolve_trunk(
    plan: &Plan,
    trunk: &TrunkPlan,
    embedded: Option<SocketAddr>,
) -> Result<SocketAddr, Failure> {
    let target = match (&trunk.outbound_proxy, &trunk.registrar) {
        (Some(proxy), _) => &proxy.target,
        (None, RegistrarChoice::Target(target)) => target,
        (None, RegistrarChoice::Embedded) => {
            return embedded.ok_or_else(|| Failure::could_not("the embedded registrar has no address"));
        }
    };
    let family = trunk.source.first().map(|source| if source.is_ipv4() { Family::V4 } else { Family::V6 });
    let addresses = resolve(&target.host, target.port, family).map_err(|error| {
        Failure::could_not(format!("trunk {}: the name {} does not resolve: {error}", trunk.id, target.host))
    })?;
    let Some(&address) = addresses.first() else {
        return Err(Failure::could_not(format!(
            "trunk {}: the name {} has no address of the family of its source",
            trunk.id, target.host
        )));
    };
    if allowed(&plan.allow_targets, address.ip()) {
        Ok(address)
    } else {
        Err(Failure::usage(refusal(plan, trunk, &target.host, address.ip())))
    }
}

fn allowed(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

fn refusal(plan: &Plan, trunk: &TrunkPlan, host: &str, address: IpAddr) -> String {
    let nets: Vec<String> = plan.allow_targets.iter().map(ToString::to_string).collect();
    let named = if host == address.to_string() { String::new() } else { format!(" ({host})") };
    format!(
        "trunk {}: {address}{named} is not among the allowed targets [{}]; nothing was sent.\n\
         If this registrar is yours to test, add its address to [safety] allow_targets, for example \
         allow_targets = [\"{address}\"]",
        trunk.id,
        nets.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_do_not_slip_through() {
        let nets: Vec<IpNet> = vec!["127.0.0.0/8".parse().expect("net"), "::1/128".parse().expect("net")];
        let is = |text: &str| allowed(&nets, text.parse().expect("address"));
        assert!(is("127.0.0.1") && is("127.1.2.3") && is("::1") && is("::ffff:127.0.0.1"));
        assert!(!is("10.0.0.1") && !is("::ffff:10.0.0.1") && !is("2001:db8::1") && !is("0.0.0.0"));
    }
}
