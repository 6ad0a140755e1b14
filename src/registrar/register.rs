//! REGISTER as a registrar handles it: RFC 3261 §10.3, step by step.
//!
//! Nothing is sent from here: each step either ends in a [`RegisterAnswer`] or hands over to the
//! next.

use super::address::split_canonical;
use super::authenticate::{Proof, RealmPair};
use super::bindings::{AorRecord, BindingUpdate, Put, Removed, StoredBinding};
use super::fault::{Effect, FaultRefusal, FaultSubject, Rechallenge};
use super::{Incoming, MaxContacts, Registrar};
use crate::sip::Request;
use crate::sip::challenge::{self, Role};
use crate::sip::contact::{self, Contact};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// The status line of a reply; its further headers are in the registrar's `extra`.
#[derive(Clone, Debug)]
pub(super) struct RegisterAnswer {
    pub code: u16,
    pub reason: Reason,
}

/// A reason phrase: ours, or a fault's.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    Fixed(&'static str),
    Told(Arc<str>),
}

/// What a request wants of the bindings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Intent {
    /// No Contact: only the list.
    Query,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Make, refresh or remove single bindings; `adds` when at least one is not a removal.
    Update { adds: bool },
}

impl Registrar {
    pub(super) fn register(&mut self, incoming: &Incoming<'_>) -> RegisterAnswer {
        if let Some(answer) = self.refuse_extensions(incoming.request) {
            return answer;
        }
        if let Some(answer) = self.authenticate(incoming) {
            return answer;
        }
        if incoming.subject.user.is_none() {
            return RegisterAnswer::fixed(400, "Unreadable To");
        }
        let intent = self.intent(incoming.request);
        if let Some(refusal) = self.gate(incoming, &intent) {
            return self.refuse(refusal);
        }
        let applied = intent.and_then(|intent| self.apply(incoming, intent));
        match applied {
            Ok(()) => {
                self.list(incoming);
                RegisterAnswer::fixed(200, "OK")
            }
            Err(answer) => answer,
        }
    }

    /// Step 2: no extension is supported, so any required one is refused (§8.2.2.3).
    fn refuse_extensions(&mut self, request: &Request<'_>) -> Option<RegisterAnswer> {
        for value in request.headers("Require") {
            self.extra.extend_from_slice(b"Unsupported: ");
            self.extra.extend(value.iter().filter(|b| b.is_ascii_graphic() || **b == b' '));
            self.extra.extend_from_slice(b"\r\n");
        }
        (!self.extra.is_empty()).then(|| RegisterAnswer::fixed(420, "Bad Extension"))
    }

    /// Step 3. `None` when the credentials are good. Who proved an identity may register any
    /// address of record (step 4): the users of a load test often have other names than their
    /// addresses.
    fn authenticate(&mut self, incoming: &Incoming<'_>) -> Option<RegisterAnswer> {
        let &Incoming { now, request, ref subject, .. } = incoming;
        let protection = self.faults.realm(now, subject).unwrap_or_else(|| self.authority.protection());
        let proof = self.authority.check(now, request, &protection);
        let rechallenge = self.faults.rechallenge(now, subject);
        let stale = match (proof, rechallenge) {
            (Some(Proof::OtherRealm), _) => return Some(RegisterAnswer::fixed(403, "Forbidden")),
            (Some(Proof::OtherUri), _) => return Some(RegisterAnswer::fixed(400, "Digest URI Mismatch")),
            (Some(Proof::Valid), None) => return None,
            (Some(Proof::Stale), None) | (Some(Proof::Valid | Proof::Stale), Some(Rechallenge::Stale)) => true,
            (Some(Proof::Wrong) | None, _) | (_, Some(Rechallenge::Plain)) => false,
        };
        let RealmPair { challenge, .. } = protection;
        self.authority.write_challenges(now, challenge, stale, &mut self.extra);
        self.counts.stale_challenges += u64::from(stale);
        self.counts.rejected_credentials += u64::from(proof == Some(Proof::Wrong));
        Some(RegisterAnswer::fixed(401, "Unauthorized"))
    }

    /// Steps 6 and 7, what can be judged without the bindings: the wildcard, lifetimes, unusable
    /// contacts.
    fn intent(&mut self, request: &Request<'_>) -> Result<Intent, RegisterAnswer> {
        let (mut count, mut wildcard, mut adds, mut brief) = (0, false, false, false);
        for contact in contact::contacts(request) {
            count += 1;
            wildcard |= contact.uri == b"*";
            if contact.uri.is_empty() || contact.uri.iter().any(|b| b.is_ascii_control() || b"<>".contains(b)) {
                return Err(RegisterAnswer::fixed(400, "Unreadable Contact"));
            }
            let asked = self.asked(request, &contact);
            adds |= asked > 0;
            brief |= asked > 0 && asked < self.min_expires_s.min(NEVER_TOO_BRIEF_S);
        }
        match (count, wildcard) {
            (0, _) => Ok(Intent::Query),
            (1, true) if request.expires == Some(0) => Ok(Intent::RemoveAll),
            (_, true) => Err(RegisterAnswer::fixed(400, "Wildcard Contact Needs Expires 0")),
            _ if brief => {
                write_number(&mut self.extra, "Min-Expires: ", self.min_expires_s.into());
                Err(RegisterAnswer::fixed(423, "Interval Too Brief"))
            }
            _ => Ok(Intent::Update { adds }),
        }
    }

    /// The faults that speak after correct credentials.
    fn gate(&self, incoming: &Incoming<'_>, intent: &Result<Intent, RegisterAnswer>) -> Option<FaultRefusal> {
        let adds = matches!(intent, Ok(Intent::Update { adds: true }));
        let record = self.bindings.get(incoming.key);
        let repeats = |record: &AorRecord| record.bindings().iter().any(|binding| repeats(incoming.request, binding));
        let effect = Effect {
            registers: adds && !record.is_some_and(repeats),
            adds: (adds && record.is_none()).then(|| incoming.aor()),
            account: self.account_of(incoming.request),
        };
        self.faults.gate(incoming.now, &incoming.subject, &effect).cloned()
    }

    /// The name that stands in a request's credentials, which were found right; empty where no
    /// limit asks for it.
    fn account_of<'r>(&self, request: &Request<'r>) -> &'r [u8] {
        if !self.faults.count_accounts() {
            return b"";
        }
        let given = challenge::all_credentials(request).find(|given| given.role == Role::Registrar);
        given.map_or(b"", |given| given.username)
    }

    /// A fault's refusal, with its `Retry-After`.
    pub(super) fn refuse(&mut self, refusal: FaultRefusal) -> RegisterAnswer {
        // A refusal is all there is to say, whatever an earlier step had begun to.
        self.extra.clear();
        if let Some(seconds) = refusal.retry_after_s {
            write_number(&mut self.extra, "Retry-After: ", seconds.into());
        }
        refusal.into()
    }

    /// Step 7: all changes or none.
    fn apply(&mut self, incoming: &Incoming<'_>, intent: Intent) -> Result<(), RegisterAnswer> {
        let record = self.bindings.get(incoming.key);
        let &Incoming { now, request, key, .. } = incoming;
        let outdated = intent != Intent::Query && self.departed.outdates(key, request.call_id, request.cseq);
        if outdated || record.is_some_and(|record| out_of_order(record, request, intent)) {
            return Err(RegisterAnswer::fixed(500, "CSeq Out Of Order"));
        }
        if let Some(MaxContacts { contacts, code }) = self.max_contacts
            && self.contacts_after(incoming, record) > Some(contacts as usize)
        {
            return Err(RegisterAnswer::fixed(code, "Too Many Contacts"));
        }
        match intent {
            Intent::Query => {}
            Intent::RemoveAll => {
                self.departed.note(now, key, request.call_id, request.cseq);
                let removed = self.bindings.clear(incoming.key);
                self.removed(incoming.key, removed);
            }
            Intent::Update { .. } => {
                for contact in contact::contacts(incoming.request) {
                    self.update(incoming, &contact);
                }
            }
        }
        self.counts.bindings = self.bindings.len() as u64;
        self.counts.bindings_peak = self.counts.bindings_peak.max(self.counts.bindings);
        Ok(())
    }

    fn update(&mut self, incoming: &Incoming<'_>, contact: &Contact<'_>) {
        let &Incoming { now, request, key, .. } = incoming;
        let old = self.bindings.get(key).and_then(|record| record.binding(contact.uri));
        if old.is_some_and(|old| repeats(request, old)) {
            // A retransmission whose answer was lost: what it asked for is done (there is no
            // transaction layer here).
            return;
        }
        let asked = self.asked(request, contact);
        if asked == 0 {
            self.departed.note(now, key, request.call_id, request.cseq);
            let removed = self.bindings.remove(key, contact.uri);
            return self.removed(key, removed);
        }
        let granted = asked.max(self.min_expires_s).min(self.max_expires_s);
        let update = BindingUpdate {
            contact: contact.uri,
            call_id: request.call_id,
            cseq: request.cseq,
            expires: now + Duration::from_secs(granted.into()),
        };
        match self.bindings.put(now, key, incoming.subject.source, &update) {
            Put::Refreshed => self.counts.refreshed += 1,
            Put::Added => self.counts.added += 1,
            Put::Replaced => {
                self.counts.added += 1;
                self.counts.replaced += 1;
            }
            Put::NewRecord => {
                self.counts.added += 1;
                let account = self.account_of(request);
                self.faults.joined(&incoming.aor(), account);
            }
        }
    }

    /// How many contacts the address of record would have after the request; `None` when it makes
    /// no new one.
    fn contacts_after(&self, incoming: &Incoming<'_>, record: Option<&AorRecord>) -> Option<usize> {
        let request = incoming.request;
        let mut count = record.map_or(0, |record| record.bindings().len());
        let mut new = false;
        for (n, contact) in contact::contacts(request).enumerate() {
            let known = record.is_some_and(|record| record.binding(contact.uri).is_some());
            let named_before = contact::contacts(request).take(n).any(|earlier| earlier.uri == contact.uri);
            match self.asked(request, &contact) {
                _ if named_before => {}
                0 => count -= usize::from(known),
                _ => {
                    new |= !known;
                    count += usize::from(!known);
                }
            }
        }
        new.then_some(count)
    }

    fn removed(&mut self, key: &[u8], removed: Removed) {
        self.counts.removed += removed.bindings as u64;
        if let Some(source) = removed.emptied {
            let (user, domain) = split_canonical(key);
            self.faults.left(&FaultSubject { user: Some(user), domain, source, asked: None });
        }
    }

    /// Step 8: the current bindings. A `Date` is left out, since there is no clock here.
    fn list(&mut self, incoming: &Incoming<'_>) {
        for binding in self.bindings.get(incoming.key).map_or(&[][..], AorRecord::bindings) {
            self.extra.extend_from_slice(b"Contact: <");
            self.extra.extend_from_slice(binding.contact());
            write_number(&mut self.extra, ">;expires=", binding.remaining_s(incoming.now));
        }
    }

    /// The lifetime asked for: the contact's own, else the header's, else the longest we grant.
    fn asked(&self, request: &Request<'_>, contact: &Contact<'_>) -> u32 {
        contact.expires.or(request.expires).unwrap_or(self.max_expires_s)
    }
}

impl RegisterAnswer {
    pub(super) fn fixed(code: u16, reason: &'static str) -> Self {
        RegisterAnswer { code, reason: Reason::Fixed(reason) }
    }
}

impl From<FaultRefusal> for RegisterAnswer {
    fn from(refusal: FaultRefusal) -> Self {
        RegisterAnswer { code: refusal.code, reason: Reason::Told(refusal.reason) }
    }
}

impl Reason {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Reason::Fixed(text) => text,
            Reason::Told(text) => text,
        }
    }
}

/// Whether a binding is what this very request made: a retransmission then, since its answer was
/// lost.
fn repeats(request: &Request<'_>, binding: &StoredBinding) -> bool {
    binding.call_id() == request.call_id && binding.cseq == request.cseq
}

/// Whether a request is older than what it would change: same Call-ID, lower CSeq.
fn out_of_order(record: &AorRecord, request: &Request<'_>, intent: Intent) -> bool {
    let mut newer = record.bindings().iter().filter(|b| b.call_id() == request.call_id && b.cseq > request.cseq);
    match intent {
        Intent::Query => false,
        Intent::RemoveAll => newer.next().is_some(),
        Intent::Update { .. } => newer.any(|b| contact::contacts(request).any(|c| c.uri == b.contact())),
    }
}

/// Writes `before`, a number and the end of the line.
fn write_number(extra: &mut Vec<u8>, before: &str, number: u64) {
    write!(extra, "{before}{number}\r\n").expect("a Vec takes every byte");
}

/// From one hour on no lifetime may be called too brief, whatever the minimum (RFC 3261 §10.3 step
/// 7).
const NEVER_TOO_BRIEF_S: u32 = 3_600;
