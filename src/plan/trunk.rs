//! One trunk as the rooms take it: whom its agents register with, through what, and how they
//! behave.

use super::{ClientCertificate, HostTable, TlsProfile, WsProfile};
use crate::agent::TrunkPolicy;
use crate::sip::uri::Target;
use crate::vocab::{AcceptFrom, ContactHost, Platform, SocketUse, Transport, WsHost};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// One trunk.
#[derive(Clone, Debug)]
pub struct TrunkPlan {
    pub id: String,
    pub registrar: RegistrarChoice,
    /// The profile's `registrar` value.
    pub registrar_text: String,
    pub platform: Option<Platform>,
    pub outbound_proxy: Option<ProxyPlan>,
    pub policy: TrunkPolicy,
    /// Extra headers in order, without `User-Agent`.
    pub headers: Vec<(String, String)>,
    /// `User-Agent`, when the profile's headers name one.
    pub user_agent: Option<String>,
    /// Local addresses, agent n on the (n mod length)-th; empty: the kernel's choice.
    pub source: Vec<IpAddr>,
    pub sockets: SocketUse,
    pub accept_from: AcceptFrom,
    pub contact: ContactHost,
    /// Of each agent.
    pub contacts: u8,
    /// Agents name themselves (RFC 5626).
    pub outbound: bool,
    /// The name server to ask; `None`: the system's.
    pub resolver: Option<SocketAddr>,
    /// Names nobody is asked for.
    pub hosts: HostTable,
    /// Addresses its name leads to, as far as it was looked up.
    pub places: usize,
    /// What its agents have where messages are no datagrams.
    pub connections: SocketUse,
    pub connect_timeout: Duration,
    /// The longest time between two keep-alives of a flow.
    pub keepalive: Option<Duration>,
    /// How they are secured, where that is not as usual.
    pub tls: Option<TlsProfile>,
    /// Certificates of their own that its agents show, by their numbers; empty where none has one.
    pub certificates: Arc<[Option<Arc<ClientCertificate>>]>,
    /// What they ask for over WebSocket.
    pub ws: WsProfile,
    /// What the embedded registrar's first address carries.
    pub embedded_over: Transport,
    pub agents: u32,
    /// Some of its agents have one user, and are told apart by their Contacts.
    pub shares_users: bool,
    /// Its agents come in an order drawn from the seed, see [`super::Plan::draw`].
    pub drawn_order: bool,
}

impl TrunkPlan {
    /// What carries its messages; of a name that says so itself, as far as it was looked up.
    pub fn transport(&self) -> Transport {
        self.target().map_or(self.embedded_over, |target| target.transport)
    }

    /// Where its requests go, as written; `None`: to the embedded registrar.
    pub fn target(&self) -> Option<&Target> {
        let registrar = match &self.registrar {
            RegistrarChoice::Embedded => None,
            RegistrarChoice::Target(target) => Some(target),
        };
        self.outbound_proxy.as_ref().map(|proxy| &proxy.target).or(registrar)
    }

    /// Its requests go over this transport, as its name's records say.
    pub fn goes_over(&mut self, transport: Transport) {
        match (&mut self.outbound_proxy, &mut self.registrar) {
            (Some(proxy), _) => proxy.target.transport = transport,
            (None, RegistrarChoice::Target(target)) => target.transport = transport,
            (None, RegistrarChoice::Embedded) => {}
        }
    }

    /// What agent `number` shows a server; `None`: what `tls` says of all.
    pub fn certificate(&self, number: u32) -> Option<&Arc<ClientCertificate>> {
        self.certificates.get(number as usize)?.as_ref()
    }

    /// Whether its agents call their host by a name, not by the address they send from.
    pub fn names_hosts(&self) -> bool {
        self.transport().is_web() && self.ws.host == WsHost::Invalid
    }

    /// How its agents share what they send through.
    pub fn sharing(&self) -> SocketUse {
        if self.transport().is_stream() { self.connections } else { self.sockets }
    }
}

/// Whom a trunk registers with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistrarChoice {
    Embedded,
    Target(Target),
}

/// The outbound proxy of a trunk: where packets go instead, and the `Route` value that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyPlan {
    pub target: Target,
    /// `<sip:127.0.0.1:5060;lr>`.
    pub route: String,
}
