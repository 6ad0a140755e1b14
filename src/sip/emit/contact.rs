//! What sets the Contact of a trunk's requests apart from the plain one: phones that share a user,
//! phones that name themselves (RFC 5626 §4.2), several Contacts of one phone, and an address that
//! was learnt from answers.

use super::{Out, Overflow, RegisterTemplate, TemplateMemory, TemplateText};
use std::ops::Range;
use std::sync::Arc;

/// The URI parameter by which the Contacts of phones differ that share a user and a socket. Phones
/// in use write it so (CounterPath's), and registrars take Contacts that differ in it for two (RFC
/// 3261 §19.1.4: a parameter that both have must match).
pub const INSTANCE: &str = "rinstance";

/// What a Contact has beyond its URI. Requests with it are written piece by piece.
#[derive(Clone, Default, Debug)]
pub(super) struct ContactExtras {
    /// Where in the template's text the number of a phone's own UUID begins, its last two groups
    /// but for the variant.
    uuid: Option<usize>,
    /// Contacts after the first.
    further: u8,
}

impl RegisterTemplate {
    /// Host and port of the Contact as written: what [`granted`](crate::sip::contact::granted)
    /// looks for in the answer.
    pub fn contact_host(&self) -> &[u8] {
        self.learnt.as_deref().or(self.shared.contact_host.as_deref()).unwrap_or(&self.sent_by)
    }

    /// Whether the Contact has [`INSTANCE`], or may be one of several.
    pub fn tells_phones_apart(&self) -> bool {
        self.shared.tells_phones_apart() || self.shared.extras.is_some()
    }

    /// For agents that share users: the Contact of each has the parameter [`INSTANCE`] with its
    /// From tag, which is the phone's own for its whole life. Their Contacts would be one
    /// otherwise, and a registrar would hold one binding for all of them (RFC 3261 §10.3 step 7,
    /// §19.1.4).
    pub fn of_shared_users(self) -> Self {
        let TemplateText { mut text, mut ends, contact_end: at, .. } = Arc::unwrap_or_clone(self.shared.clone());
        let parameter = [b";", INSTANCE.as_bytes(), b"=", &[b'-'; 16]].concat();
        text.splice(at..at, parameter.iter().copied());
        ends.iter_mut().filter(|end| **end > at).for_each(|end| *end += parameter.len());
        let contact_end = at + parameter.len();
        let instance = contact_end - 16;
        let shared = TemplateText { text, ends, contact_end, instance, ..Arc::unwrap_or_clone(self.shared) };
        RegisterTemplate { shared: Arc::new(shared), ..self }
    }

    /// Each phone names itself: `+sip.instance` with a UUID of its own, and `reg-id` (RFC 5626
    /// §4.2). After [`of_shared_users`](Self::of_shared_users), where that is called too.
    pub fn naming_instances(self) -> Self {
        let TemplateText { mut text, mut ends, contact_end, extras, .. } = Arc::unwrap_or_clone(self.shared.clone());
        // Behind the bracket that ends the URI.
        let at = contact_end + 1;
        text.splice(at..at, NAMED.concat().bytes());
        ends.iter_mut().filter(|end| **end > at).for_each(|end| *end += NAMED.concat().len());
        let extras = ContactExtras { uuid: Some(at + NAMED[0].len()), ..extras.unwrap_or_default() };
        let shared = TemplateText { text, ends, extras: Some(extras), ..Arc::unwrap_or_clone(self.shared) };
        RegisterTemplate { shared: Arc::new(shared), kept: None, ..self }
    }

    /// Each phone registers so many Contacts, which differ in the parameter `line`.
    pub fn with_contacts(self, contacts: u8) -> Self {
        let text = Arc::unwrap_or_clone(self.shared);
        let extras = ContactExtras { further: contacts.saturating_sub(1), ..text.extras.unwrap_or_default() };
        RegisterTemplate { shared: Arc::new(TemplateText { extras: Some(extras), ..text }), kept: None, ..self }
    }

    /// Whoever sends these requests takes the address that answers say it has for its Contact.
    pub fn learning(self) -> Self {
        let text = Arc::unwrap_or_clone(self.shared);
        RegisterTemplate { shared: Arc::new(TemplateText { learns: true, ..text }), ..self }
    }

    /// Whether [`learning`](Self::learning).
    pub fn learns(&self) -> bool {
        self.shared.learns
    }

    /// The same with another `host[:port]` in the Contact.
    pub fn with_learnt(&self, host: &str) -> Self {
        let kept = self.kept.is_some().then(Box::<TemplateMemory>::default);
        RegisterTemplate { learnt: Some(host.as_bytes().into()), kept, ..self.clone() }
    }

    /// What the Contact would have without what was learnt, if something was.
    pub fn host_before(&self) -> Option<&[u8]> {
        self.learnt.is_some().then_some(&*self.sent_by)
    }

    /// Several Contacts of ours are in each request.
    pub fn has_several_contacts(&self) -> bool {
        self.shared.extras.as_ref().is_some_and(|extras| extras.further > 0)
    }
}

impl ContactExtras {
    /// The piece of the template that has these parts was just written: the URI's parameters to the
    /// name of the next header. `start` is where it begins in `out`, `piece` where in the text.
    pub(super) fn write(
        &self,
        out: &mut Out<'_>,
        (start, piece): (usize, usize),
        address: Range<usize>,
        (uri_end, from_tag): (usize, &[u8; 16]),
    ) -> Result<(), Overflow> {
        if let Some(uuid) = self.uuid {
            let at = start + uuid - piece;
            out.buffer[at..at + 3].copy_from_slice(&from_tag[1..4]);
            out.buffer[at + 4..at + 16].copy_from_slice(&from_tag[4..]);
        }
        let parameters = start..start + uri_end - piece;
        for line in (b'2'..).take(usize::from(self.further)) {
            out.len -= NEXT.len();
            out.put(b", <sip:")?;
            out.put_again(address.clone())?;
            out.put_again(parameters.clone())?;
            out.put(b";line=")?;
            out.put(&[line])?;
            out.put(b">")?;
            out.put(NEXT)?;
        }
        Ok(())
    }
}

impl Out<'_> {
    /// What was written before, once more.
    fn put_again(&mut self, part: Range<usize>) -> Result<(), Overflow> {
        let end = self.len + part.len();
        if end > self.buffer.len() {
            return Err(Overflow(self.buffer.len()));
        }
        self.buffer.copy_within(part, self.len);
        self.len = end;
        Ok(())
    }
}

/// The parameters around the number of a phone; a UUID of version 4, of which the rest is fixed.
const NAMED: [&str; 2] = [";+sip.instance=\"<urn:uuid:7265c673-746f-4726-8", "000-000000000000>\";reg-id=1"];

/// What stands behind the Contact.
const NEXT: &[u8] = b"\r\nExpires: ";

/// The most Contacts of one phone.
pub const MOST_CONTACTS: u8 = 9;

#[cfg(test)]
mod tests {
    use super::super::{Register, TemplateParts};
    use super::*;
    use crate::sip::contact::contacts;
    use crate::sip::{Branch, Token, scan};
    use crate::vocab::{AgentId, RunTag, Transport};

    fn written(template: &RegisterTemplate) -> String {
        let branch = Branch::new(RunTag(7), Token { agent: AgentId(3), serial: 9 });
        let (call_id, from_tag) = (&[b'c'; 32], b"0123456789abcdef");
        let (cseq, expires, authorizations) = (1_000_001, 600, &[][..]);
        let register = Register { user: b"b@b", branch: &branch, call_id, from_tag, cseq, expires, authorizations };
        let mut out = [0; 2048];
        let length = template.write(&register, &mut out).expect("it fits");
        assert!(template.write(&register, &mut [0; 200]).is_err(), "too little room");
        let request = scan::request(&out[..length]).expect("a request");
        assert_eq!((request.expires, request.headers("User-Agent").count()), (Some(600), 1));
        assert!(contacts(&request).all(|contact| contact.address().is_some_and(|(user, _)| user == b"b%40b")));
        let contact = request.headers("Contact").next().expect("a Contact");
        String::from_utf8_lossy(contact).into_owned()
    }

    fn template() -> RegisterTemplate {
        RegisterTemplate::new(&TemplateParts {
            domain: "example.test",
            transport: Transport::Tcp,
            sent_by: "10.0.0.2:40000",
            route: None,
            user_agent: "phone",
            headers: &[],
        })
    }

    const UUID: &str = "<urn:uuid:7265c673-746f-4726-8123-456789abcdef>";

    #[test]
    fn a_contact_says_all_that_it_is_to() {
        let plain = "<sip:b%40b@10.0.0.2:40000;transport=tcp>";
        assert_eq!(written(&template()), plain);
        let named = format!("{plain};+sip.instance=\"{UUID}\";reg-id=1");
        assert_eq!(written(&template().naming_instances()), named);
        let line = |n: u8| format!(", <sip:b%40b@10.0.0.2:40000;transport=tcp;line={n}>");
        let three = [line(2), line(3)].concat();
        assert_eq!(written(&template().with_contacts(3)), format!("{plain}{three}"));
        assert_eq!(written(&template().with_contacts(3).naming_instances()), format!("{named}{three}"));
        let shared = "<sip:b%40b@10.0.0.2:40000;transport=tcp;rinstance=0123456789abcdef>";
        let both = template().of_shared_users().naming_instances().padded();
        assert_eq!(written(&both), format!("{shared};+sip.instance=\"{UUID}\";reg-id=1"));
    }

    #[test]
    fn what_was_learnt_replaces_the_host() {
        let learning = template().learning();
        assert!(learning.learns() && !template().learns() && learning.host_before().is_none());
        let learnt = learning.with_learnt("198.51.100.1:1024");
        assert_eq!(written(&learnt), "<sip:b%40b@198.51.100.1:1024;transport=tcp>");
        assert_eq!(
            (learnt.contact_host(), learnt.host_before()),
            (&b"198.51.100.1:1024"[..], Some(&b"10.0.0.2:40000"[..]))
        );
        assert!(learnt.learns());
        let moved = learnt.at("10.0.0.2:40001");
        assert_eq!(written(&moved), "<sip:b%40b@10.0.0.2:40001;transport=tcp>", "another socket, another address");
    }
}
