//! What each trunk's messages go over, with what secures it.

use super::failure::Failure;
use crate::engine::{Carrier, Server};
use crate::net::tls::{TlsClient, TlsClientParts, TlsPart, TlsSetupError};
use crate::plan::{PemFile, Plan, RegistrarChoice, TrunkPlan};
use crate::profile::ProfileError;
use crate::vocab::Transport;

/// By trunk; those on the embedded registrar trust the certificate it made itself.
///
/// # Errors
/// When a certificate or a key cannot be used.
pub(super) fn carriers(plan: &Plan, server: Option<&Server>) -> Result<Vec<Carrier>, Failure> {
    plan.trunks.iter().map(|trunk| carrier(trunk, server)).collect()
}

fn carrier(trunk: &TrunkPlan, server: Option<&Server>) -> Result<Carrier, Failure> {
    match trunk.transport() {
        Transport::Udp => Ok(Carrier::Datagrams),
        Transport::Tls => secured(trunk, server).map(Carrier::Tls),
        _ => Ok(Carrier::Tcp),
    }
}

fn secured(trunk: &TrunkPlan, server: Option<&Server>) -> Result<TlsClient, Failure> {
    let given = trunk.tls.as_ref();
    let own = server.and_then(Server::certificate).filter(|_| trunk.registrar == RegistrarChoice::Embedded);
    let ca = given.and_then(|tls| tls.ca.as_ref()).map(|ca| ca.pem.reveal()).or(own);
    let identity = given.and_then(|tls| tls.cert.as_ref().zip(tls.key.as_ref()));
    let parts = TlsClientParts {
        ca: ca.map(str::as_bytes),
        identity: identity.map(|(cert, key)| (cert.pem.reveal().as_bytes(), key.pem.reveal().as_bytes())),
        verify: given.is_none_or(|tls| tls.verify),
        resumption: given.is_some_and(|tls| tls.resumption),
    };
    let host = match (&trunk.outbound_proxy, &trunk.registrar) {
        (Some(proxy), _) => &proxy.target.host,
        (None, RegistrarChoice::Target(target)) => &target.host,
        (None, RegistrarChoice::Embedded) => LOCALHOST,
    };
    let name = given.and_then(|tls| tls.server_name.as_deref()).unwrap_or(host);
    let files = given.map_or([None, None, None], |tls| [tls.ca.as_ref(), tls.cert.as_ref(), tls.key.as_ref()]);
    TlsClient::new(&parts, name).map_err(|error| unusable(&error, files, &format!("trunk {}: tls", trunk.id)))
}

/// What is wrong with the files that secure something, in this order: authorities, certificate,
/// key.
pub(super) fn unusable(error: &TlsSetupError, [ca, cert, key]: [Option<&PemFile>; 3], of: &str) -> Failure {
    let file = match error.part {
        TlsPart::Ca => ca,
        TlsPart::Certificate => cert,
        TlsPart::Key => key,
        TlsPart::Name | TlsPart::Other => None,
    };
    match file {
        Some(file) => ProfileError::new(vec![file.problem(&error.message, error.remedy)]).into(),
        None => {
            let remedy = error.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            Failure::usage(format!("{of}: {error}{remedy}"))
        }
    }
}

/// What the certificate that the embedded registrar makes is for, besides its addresses.
pub(super) const LOCALHOST: &str = "localhost";

/// Trunks whose server nobody checks.
pub(super) fn unchecked(plan: &Plan) -> Vec<&str> {
    let trunks = plan.trunks.iter().filter(|trunk| trunk.transport() == Transport::Tls);
    trunks.filter(|trunk| trunk.tls.as_ref().is_some_and(|tls| !tls.verify)).map(|trunk| trunk.id.as_str()).collect()
}

/// What secures the next connection of a trunk, where anything does.
pub(super) fn tls_of(carrier: &Carrier, trunk: &TrunkPlan) -> Option<TlsClient> {
    match carrier {
        Carrier::Tls(tls) => Some(tls.for_another(trunk.tls.as_ref().is_some_and(|tls| tls.resumption))),
        Carrier::Datagrams | Carrier::Tcp => None,
    }
}
