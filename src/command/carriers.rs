//! What each trunk's messages go over, with what secures it.

use super::failure::Failure;
use crate::engine::{Carrier, ClientLayers, SUBPROTOCOL, Server};
use crate::net::tls::{TlsClient, TlsClientParts, TlsIdentity, TlsPart, TlsSetupError};
use crate::net::ws::WsClient;
use crate::plan::{ClientCertificate, PemFile, Plan, RegistrarChoice, TrunkPlan};
use crate::profile::ProfileError;
use crate::sip::locate::usual_port;
use crate::vocab::Transport;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// By trunk; those on the embedded registrar trust the certificate it made itself.
///
/// # Errors
/// When a certificate or a key cannot be used.
pub(super) fn carriers(plan: &Plan, server: Option<&Server>) -> Result<Vec<Carrier>, Failure> {
    plan.trunks.iter().map(|trunk| carrier(trunk, server)).collect()
}

/// Of one trunk.
///
/// # Errors
/// As [`carriers`].
pub(super) fn carrier(trunk: &TrunkPlan, server: Option<&Server>) -> Result<Carrier, Failure> {
    let transport = trunk.transport();
    if !transport.is_stream() {
        return Ok(Carrier::Datagrams);
    }
    let tls = transport.is_secured().then(|| secured(trunk, server)).transpose()?;
    let ws = transport.is_web().then(|| upgrading(trunk, transport, server));
    Ok(Carrier::Connection(ClientLayers { tls, ws }))
}

/// The host a trunk's messages go to, and its port where that is written.
fn host(trunk: &TrunkPlan) -> (&str, Option<u16>) {
    trunk
        .target()
        .map_or((LOCALHOST, None), |target| (target.host.as_str(), target.written.port.then_some(target.port)))
}

/// What a trunk's agents ask for.
fn upgrading(trunk: &TrunkPlan, transport: Transport, server: Option<&Server>) -> WsClient {
    let (host, port) = host(trunk);
    let own = || server?.addresses().iter().find(|(over, _)| *over == transport).map(|(_, address)| address.port());
    let port = port.or_else(own).filter(|port| *port != usual_port(transport));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let host = port.map_or(host.clone(), |port| format!("{host}:{port}"));
    WsClient::new(&host, &trunk.ws.path, SUBPROTOCOL, &trunk.ws.headers)
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
    let name = given.and_then(|tls| tls.server_name.as_deref()).unwrap_or(host(trunk).0);
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
    let trunks = plan.trunks.iter().filter(|trunk| trunk.transport().is_secured());
    trunks.filter(|trunk| trunk.tls.as_ref().is_some_and(|tls| !tls.verify)).map(|trunk| trunk.id.as_str()).collect()
}

/// Certificates of agents as TLS shows them: each is made ready once, however many agents show it.
#[derive(Default)]
pub(super) struct AgentCertificates {
    /// By what they are made of.
    ready: HashMap<*const ClientCertificate, TlsIdentity>,
}

impl AgentCertificates {
    /// What lies between bytes and messages of one more phone's connections, which shows this
    /// certificate, or what its trunk's agents do.
    ///
    /// # Errors
    /// When certificate or key cannot be used.
    pub(super) fn layers(
        &mut self,
        carrier: &Carrier,
        trunk: &TrunkPlan,
        certificate: Option<&Arc<ClientCertificate>>,
    ) -> Result<ClientLayers, Failure> {
        match (certificate, carrier) {
            (Some(certificate), Carrier::Connection(ClientLayers { tls: Some(tls), ws })) => {
                let resumption = trunk.tls.as_ref().is_some_and(|tls| tls.resumption);
                let tls = tls.showing(self.identity(certificate)?, resumption);
                Ok(ClientLayers { tls: Some(tls), ws: ws.clone() })
            }
            _ => Ok(layers_of(carrier, trunk)),
        }
    }

    fn identity(&mut self, certificate: &Arc<ClientCertificate>) -> Result<&TlsIdentity, Failure> {
        match self.ready.entry(Arc::as_ptr(certificate)) {
            Entry::Occupied(ready) => Ok(ready.into_mut()),
            Entry::Vacant(place) => {
                let ClientCertificate { cert, key } = &**certificate;
                let made = TlsIdentity::new(cert.pem.reveal().as_bytes(), key.pem.reveal().as_bytes());
                let made = made.map_err(|error| unusable(&error, [None, Some(cert), Some(key)], &cert.path))?;
                Ok(place.insert(made))
            }
        }
    }
}

/// What a single phone's messages go over, which shows this certificate, or what its trunk's agents
/// do.
///
/// # Errors
/// When certificate or key cannot be used.
pub(super) fn showing(
    carrier: &Carrier,
    trunk: &TrunkPlan,
    certificate: Option<&Arc<ClientCertificate>>,
) -> Result<Carrier, Failure> {
    match carrier {
        Carrier::Connection(_) if certificate.is_some() => {
            AgentCertificates::default().layers(carrier, trunk, certificate).map(Carrier::Connection)
        }
        carrier => Ok(carrier.clone()),
    }
}

/// What lies between bytes and messages of one more phone's connections.
pub(super) fn layers_of(carrier: &Carrier, trunk: &TrunkPlan) -> ClientLayers {
    let Carrier::Connection(ClientLayers { tls, ws }) = carrier else { return ClientLayers::default() };
    let resumption = trunk.tls.as_ref().is_some_and(|tls| tls.resumption);
    ClientLayers { tls: tls.as_ref().map(|tls| tls.for_another(resumption)), ws: ws.clone() }
}
