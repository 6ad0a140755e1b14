//! How agents learn the address that a registrar sees them at (RFC 3581 §4), take it for their
//! Contact, and register with it at once, as phones behind a translator of addresses do.
//!
//! What is learnt belongs to a flow: agents that share one are seen at the same address. A binding
//! that was made with the address before stays until it lapses.

use super::{Driver, Subject, Ways, Who, Witness};
use crate::agent::Input;
use crate::measure::{Event, RoutingWord};
use crate::sip::Response;
use crate::sip::contact::{self, Own, SentContact};
use crate::vocab::{FlowId, Time};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// When agents last registered anew because of what was learnt.
#[derive(Debug, Default)]
pub(super) struct Learning {
    renewed: BTreeMap<u32, Time>,
}

impl<W: Witness> Driver<W> {
    /// An answer for an agent that takes its Contact from answers.
    #[cold]
    pub(super) fn hear_and_learn(
        &mut self,
        local: u32,
        now: Time,
        (serial, at): (u32, Time),
        (flow, response): (FlowId, &Response<'_>),
        out: &mut impl Ways,
    ) {
        let input = Input::Response { serial, response, at };
        let granted = (200..300).contains(&response.code);
        if !granted {
            // The next request of the attempt has it already.
            self.learn(local, flow, response);
            return self.drive(local, now, input, out);
        }
        self.drive(local, now, input, out);
        let is_new = self.learn(local, flow, response);
        if (is_new || self.is_bound_as_before(local, flow, response)) && self.may_renew(local, now) {
            self.drive(local, now, Input::Renew, out);
        }
    }

    /// Takes the address of a response for the flow's Contact; whether it is another one.
    fn learn(&mut self, local: u32, flow: FlowId, response: &Response<'_>) -> bool {
        let via = response.topmost_via();
        let template = &self.config.flows.get(flow).template;
        if !template.learns() {
            return false;
        }
        let own = template.contact_host();
        let Some(seen) = seen_at(via.received, via.rport, template.host_before().unwrap_or(own)) else { return false };
        if seen.as_bytes() == own {
            return false;
        }
        let word = if template.host_before().is_some() { RoutingWord::LearntAnew } else { RoutingWord::Learnt };
        // The ports of many phones are many.
        let host = seen.rsplit_once(':').map_or(&*seen, |(host, _)| host);
        self.say_of(local, flow, &Event::Routing { word, text: host.as_bytes() });
        let template = self.config.flows.get(flow).template.with_learnt(&seen);
        self.config.flows.get_mut(flow).template = template;
        true
    }

    /// Whether the registrar has bound an agent of this flow with the address that it had before
    /// another agent's answer taught them.
    fn is_bound_as_before(&self, local: u32, flow: FlowId, response: &Response<'_>) -> bool {
        let template = &self.config.flows.get(flow).template;
        let Some(before) = template.host_before() else { return false };
        let user = self.config.identities.get(self.witness.user(self.id(local))).user.as_bytes();
        let is_bound = |host| {
            let sent = SentContact { user, host, instance: None };
            contact::binding(response, &sent).own == Own::Listed
        };
        is_bound(before) && !is_bound(template.contact_host())
    }

    /// A translator that gives out another port each time would have its agents register without
    /// end.
    fn may_renew(&mut self, local: u32, now: Time) -> bool {
        let Some(learning) = &mut self.learning else { return false };
        let last = learning.renewed.insert(local, now);
        let may = last.is_none_or(|last| last + BETWEEN_RENEWALS <= now);
        if let Some(last) = last.filter(|_| !may) {
            learning.renewed.insert(local, last);
        }
        may
    }

    fn say_of(&mut self, local: u32, flow_id: FlowId, event: &Event<'_>) {
        let id = self.id(local);
        let (cx, is_routed) = self.config.context((id, self.witness.user(id)), flow_id, self.draining);
        let flow = self.config.flows.get(flow_id);
        let subject = Subject { agent: id, trunk: cx.identity.trunk, source: flow.source };
        self.witness.saw(&Who { local, subject, flow, is_routed }, event, None);
    }
}

/// `host:port` that a Via says the request came from; what it leaves out is as it was sent from.
fn seen_at(received: Option<&[u8]>, rport: Option<&[u8]>, sent_by: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
    let own: Option<SocketAddr> = text(sent_by).and_then(|own| own.parse().ok());
    let port = match rport.filter(|port| !port.is_empty()) {
        Some(port) => text(port)?.parse().ok().filter(|port| *port > 0)?,
        None => own?.port(),
    };
    let address: IpAddr = match received {
        Some(received) => {
            let bare = received.strip_prefix(b"[").and_then(|inside| inside.strip_suffix(b"]")).unwrap_or(received);
            text(bare)?.parse().ok()?
        }
        None => own?.ip(),
    };
    (received.is_some() || rport.is_some()).then(|| SocketAddr::new(address, port).to_string())
}

const BETWEEN_RENEWALS: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::seen_at;

    #[test]
    fn an_address_is_read_however_it_is_written() {
        let own = b"10.0.0.2:5060";
        let seen = |received: Option<&str>, rport: Option<&str>| {
            seen_at(received.map(str::as_bytes), rport.map(str::as_bytes), own)
        };
        assert_eq!(seen(Some("198.51.100.1"), Some("1024")).as_deref(), Some("198.51.100.1:1024"));
        assert_eq!(seen(None, Some("1024")).as_deref(), Some("10.0.0.2:1024"));
        assert_eq!(seen(Some("198.51.100.1"), Some("")).as_deref(), Some("198.51.100.1:5060"));
        assert_eq!(seen(Some("2001:db8::1"), Some("7")).as_deref(), Some("[2001:db8::1]:7"));
        assert_eq!(seen(Some("[2001:db8::1]"), Some("7")).as_deref(), Some("[2001:db8::1]:7"));
        for (received, rport) in [(None, None), (Some("a.name"), Some("7")), (Some("198.51.100.1"), Some("x"))] {
            assert_eq!(seen(received, rport), None);
        }
    }
}
