//! The location service: which contacts each address of record has, and until when (RFC 3261 §10.3
//! steps 6–8).
//!
//! It stores and expires; whether a request may change anything is decided in `register`.
//!
//! Memory, per address of record with one contact on a 64-bit machine: its key ~48, its place in
//! the table ~130 and among the expiries ~45, the binding 48, its text ~112: about 400 bytes, so a
//! million agents take 400 MB.
//!
//! A table that doubles moves all it holds: at a million records that is a pause of tens of
//! milliseconds, in which the sockets overflow. So there are many small tables, each of which
//! doubles in the time of a few requests.

use crate::vocab::{Time, saturating_u32};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// All bindings. Expired ones stay until [`Bindings::expire`]; callers expire before they look.
#[derive(Debug)]
pub(super) struct Bindings {
    records: Records,
    /// Each record once, no later than its first binding expires. A refresh leaves it where it is;
    /// when its time comes, it moves to where it belongs by then. So a record costs a search here
    /// once in a lifetime, however often it is refreshed.
    due: BTreeMap<(Time, u64), Arc<[u8]>>,
    next_id: u64,
    contacts: usize,
    /// The most contacts of one address of record.
    room: usize,
}

/// All records, by address of record. Only looked up, never walked: their order is not defined.
#[derive(Debug)]
struct Records {
    tables: Box<[HashMap<Arc<[u8]>, AorRecord>]>,
    len: usize,
}

/// One address of record. It has at least one binding.
#[derive(Debug)]
pub(super) struct AorRecord {
    key: Arc<[u8]>,
    /// Sets records of equal due time apart.
    id: u64,
    /// Where the request came from that made the record: limits by source count it there.
    pub source: IpAddr,
    /// The key under which the record stands in `due`.
    due: Time,
    /// In the order they were made.
    bindings: Vec<StoredBinding>,
}

/// One contact of an address of record.
#[derive(Clone, Debug)]
pub(super) struct StoredBinding {
    /// Contact URI, then Call-ID, in one allocation.
    text: Box<[u8]>,
    contact_len: u32,
    /// CSeq of the request that made or last refreshed it.
    pub cseq: u32,
    pub expires: Time,
    /// When it was made or last refreshed.
    updated: Time,
}

const _: () = assert!(size_of::<AorRecord>() <= 80 && size_of::<StoredBinding>() <= 40);

/// What a request writes into a binding.
#[derive(Clone, Copy, Debug)]
pub(super) struct BindingUpdate<'a> {
    pub contact: &'a [u8],
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub expires: Time,
}

/// What [`Bindings::put`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Put {
    /// The first binding of its address of record.
    NewRecord,
    Added,
    /// Added in place of the binding that had gone longest without a refresh.
    Replaced,
    Refreshed,
}

/// What a removal did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Removed {
    /// Number of bindings removed.
    pub bindings: usize,
    /// Set when the address of record has none left: where its record had come from.
    pub emptied: Option<IpAddr>,
}

/// The most contacts of one address of record unless the profile says otherwise; an agent restarted
/// on new ports must not fill the memory.
pub const MAX_CONTACTS: usize = 10;

impl Bindings {
    /// A table where an address of record has at most `room` contacts: a further one pushes out the
    /// oldest.
    pub(super) fn new(room: usize) -> Self {
        let (records, due) = (Records::new(), BTreeMap::new());
        Bindings { records, due, next_id: 0, contacts: 0, room }
    }

    /// Addresses of record, and contacts over all of them, as of the last [`Bindings::expire`].
    pub(super) fn len(&self) -> usize {
        self.records.len
    }

    pub(super) fn contacts(&self) -> usize {
        self.contacts
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&AorRecord> {
        self.records.get(key)
    }

    /// Addresses of record that have a binding living beyond `now`, whether or not the others were
    /// expired yet.
    pub(super) fn live(&self, now: Time) -> usize {
        let dead = |key: &[u8]| self.get(key).is_none_or(|record| record.bindings.iter().all(|b| b.expires <= now));
        self.records.len - self.due.range(..=(now, u64::MAX)).filter(|(_, key)| dead(key)).count()
    }

    /// When [`Bindings::expire`] may find something to do; nothing expires before.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.due.first_key_value().map(|(&(time, _), _)| time)
    }

    /// Makes or refreshes a binding; `source` is kept if the record is new.
    pub(super) fn put(&mut self, now: Time, key: &[u8], source: IpAddr, update: &BindingUpdate<'_>) -> Put {
        let Some(record) = self.records.get_mut(key) else {
            self.insert(now, key, source, update);
            return Put::NewRecord;
        };
        let put = record.put(now, update, self.room);
        self.contacts += usize::from(put == Put::Added);
        record.bring_forward(&mut self.due);
        put
    }

    fn insert(&mut self, now: Time, key: &[u8], source: IpAddr, update: &BindingUpdate<'_>) {
        let key: Arc<[u8]> = key.into();
        let bindings = vec![StoredBinding::new(now, update)];
        let record = AorRecord { key: key.clone(), id: self.next_id, source, due: update.expires, bindings };
        self.next_id += 1;
        self.contacts += 1;
        self.due.insert((record.due, record.id), key.clone());
        self.records.insert(key, record);
    }

    /// Removes one contact, if it is there.
    pub(super) fn remove(&mut self, key: &[u8], contact: &[u8]) -> Removed {
        self.retain(key, |binding| binding.contact() != contact)
    }

    /// Removes all contacts.
    pub(super) fn clear(&mut self, key: &[u8]) -> Removed {
        self.retain(key, |_| false)
    }

    /// Removes what has expired at `now` and hands each record that is gone for good to `gone`,
    /// with its key. Returns the number of bindings removed.
    pub(super) fn expire(&mut self, now: Time, mut gone: impl FnMut(&[u8], IpAddr)) -> usize {
        let mut expired = 0;
        while self.next_expiry().is_some_and(|due| due <= now) {
            let Some((_, key)) = self.due.pop_first() else { break };
            let removed = self.retain(&key, |binding| binding.expires > now);
            expired += removed.bindings;
            match removed.emptied {
                Some(source) => gone(&key, source),
                None => self.put_back(key),
            }
        }
        expired
    }

    /// Loses every binding; `gone` hears of each address of record.
    pub(super) fn lose_all(&mut self, mut gone: impl FnMut(&[u8], IpAddr)) {
        let keys: Vec<Arc<[u8]>> = self.due.values().cloned().collect();
        for key in keys {
            if let Some(source) = self.retain(&key, |_| false).emptied {
                gone(&key, source);
            }
        }
    }

    /// Lets a record that was taken from `due` stand at its first expiry.
    fn put_back(&mut self, key: Arc<[u8]>) {
        if let Some(record) = self.records.get_mut(&key) {
            record.due = record.first_expiry();
            self.due.insert((record.due, record.id), key);
        }
    }

    fn retain(&mut self, key: &[u8], keep: impl FnMut(&StoredBinding) -> bool) -> Removed {
        let Some(record) = self.records.get_mut(key) else { return Removed { bindings: 0, emptied: None } };
        let before = record.bindings.len();
        record.bindings.retain(keep);
        let bindings = before - record.bindings.len();
        self.contacts -= bindings;
        if !record.bindings.is_empty() {
            record.bring_forward(&mut self.due);
            return Removed { bindings, emptied: None };
        }
        let source = record.source;
        self.due.remove(&(record.due, record.id));
        self.records.remove(key);
        Removed { bindings, emptied: Some(source) }
    }
}

impl Records {
    fn new() -> Self {
        Records { tables: std::iter::repeat_with(HashMap::new).take(TABLES).collect(), len: 0 }
    }

    fn get(&self, key: &[u8]) -> Option<&AorRecord> {
        self.tables[table_of(key)].get(key)
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut AorRecord> {
        self.tables[table_of(key)].get_mut(key)
    }

    fn insert(&mut self, key: Arc<[u8]>, record: AorRecord) {
        let before = self.tables[table_of(&key)].insert(key, record);
        self.len += usize::from(before.is_none());
    }

    fn remove(&mut self, key: &[u8]) {
        let gone = self.tables[table_of(key)].remove(key);
        self.len -= usize::from(gone.is_some());
    }
}

/// A million records make a thousand each.
const TABLES: usize = 1 << 10;

/// Where a key is kept: FNV-1a. Whoever chooses names so that they meet makes one table large, and
/// no more.
fn table_of(key: &[u8]) -> usize {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325, fold);
    (hash >> 32) as usize % TABLES
}

impl AorRecord {
    pub(super) fn bindings(&self) -> &[StoredBinding] {
        &self.bindings
    }

    pub(super) fn binding(&self, contact: &[u8]) -> Option<&StoredBinding> {
        self.bindings.iter().find(|binding| binding.contact() == contact)
    }

    fn put(&mut self, now: Time, update: &BindingUpdate<'_>, room: usize) -> Put {
        if let Some(binding) = self.bindings.iter_mut().find(|binding| binding.contact() == update.contact) {
            binding.refresh(now, update);
            return Put::Refreshed;
        }
        let full = self.bindings.len() >= room;
        if full && let Some(oldest) = (0..self.bindings.len()).min_by_key(|&n| self.bindings[n].updated) {
            self.bindings.remove(oldest);
        }
        self.bindings.push(StoredBinding::new(now, update));
        if full { Put::Replaced } else { Put::Added }
    }

    fn first_expiry(&self) -> Time {
        self.bindings.iter().map(|binding| binding.expires).min().unwrap_or(Time::NEVER)
    }

    /// Brings the record forward to the time its first binding expires, if it stands behind that.
    fn bring_forward(&mut self, due: &mut BTreeMap<(Time, u64), Arc<[u8]>>) {
        let first = self.first_expiry();
        if first < self.due {
            due.remove(&(self.due, self.id));
            self.due = first;
            due.insert((first, self.id), self.key.clone());
        }
    }
}

impl StoredBinding {
    fn new(now: Time, update: &BindingUpdate<'_>) -> Self {
        StoredBinding {
            text: [update.contact, update.call_id].concat().into(),
            contact_len: saturating_u32(update.contact.len()),
            cseq: update.cseq,
            expires: update.expires,
            updated: now,
        }
    }

    /// A refresh by the same agent has the same Call-ID (RFC 3261 §10.2.4) and allocates nothing.
    fn refresh(&mut self, now: Time, update: &BindingUpdate<'_>) {
        if self.call_id() != update.call_id {
            *self = StoredBinding::new(now, update);
        }
        (self.cseq, self.expires, self.updated) = (update.cseq, update.expires, now);
    }

    pub(super) fn contact(&self) -> &[u8] {
        &self.text[..self.contact_len as usize]
    }

    pub(super) fn call_id(&self) -> &[u8] {
        &self.text[self.contact_len as usize..]
    }

    /// Whole seconds left, rounded down so as never to promise more than is held, but at least 1: 0
    /// would mean gone.
    pub(super) fn remaining_s(&self, now: Time) -> u64 {
        self.expires.since(now).as_secs().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    fn put(bindings: &mut Bindings, now: u64, key: &str, contact: &str, expires: u64) -> Put {
        let update = BindingUpdate { contact: contact.as_bytes(), call_id: b"call", cseq: 1, expires: at(expires) };
        bindings.put(at(now), key.as_bytes(), HERE, &update)
    }

    #[test]
    fn a_binding_lives_until_its_time() {
        let mut bindings = Bindings::new(MAX_CONTACTS);
        assert_eq!(put(&mut bindings, 1, "a@x", "c1", 10), Put::NewRecord);
        assert_eq!(put(&mut bindings, 1, "a@x", "c2", 20), Put::Added);
        assert_eq!(put(&mut bindings, 2, "a@x", "c1", 12), Put::Refreshed);
        assert_eq!((bindings.live(at(11)), bindings.live(at(12)), bindings.live(at(20))), (1, 1, 0));
        assert_eq!(
            (bindings.expire(at(11), |_, _| {}), bindings.next_expiry()),
            (0, Some(at(12))),
            "refreshed in time"
        );
        let mut gone = Vec::new();
        assert_eq!(bindings.expire(at(12), |key, _| gone.push(key.to_vec())), 1);
        assert_eq!((bindings.len(), bindings.contacts(), gone.len()), (1, 1, 0));
        assert_eq!(bindings.expire(at(20), |key, _| gone.push(key.to_vec())), 1);
        assert_eq!((bindings.len(), bindings.contacts(), gone), (0, 0, vec![b"a@x".to_vec()]));
        assert_eq!(bindings.next_expiry(), None);
    }

    #[test]
    fn the_contact_longest_without_a_refresh_makes_room() {
        let mut bindings = Bindings::new(MAX_CONTACTS);
        for n in 0..MAX_CONTACTS as u64 {
            put(&mut bindings, n + 1, "a@x", &format!("c{n}"), 100);
        }
        put(&mut bindings, 50, "a@x", "c0", 100);
        assert_eq!(put(&mut bindings, 51, "a@x", "new", 100), Put::Replaced);
        let record = bindings.get(b"a@x").expect("bound");
        assert_eq!((record.bindings().len(), bindings.contacts()), (MAX_CONTACTS, MAX_CONTACTS));
        assert!(record.binding(b"c1").is_none() && record.binding(b"c0").is_some());
    }

    #[test]
    fn seconds_left_never_promise_too_much() {
        let update = BindingUpdate { contact: b"c", call_id: b"i", cseq: 1, expires: at(10) };
        let binding = StoredBinding::new(at(1), &update);
        assert_eq!([1_000, 1_001, 9_500].map(|ms| binding.remaining_s(Time::from_millis(ms))), [9, 8, 1]);
    }

    proptest! {
        /// Against a plain map of (key, contact) to expiry.
        #[test]
        fn books_balance(operations in proptest::collection::vec((0u8..8, 0u8..4, 0u8..3, 1u64..40), 0..200)) {
            let mut bindings = Bindings::new(MAX_CONTACTS);
            let mut model = BTreeMap::<(String, String), u64>::new();
            let mut now = 1;
            for (what, key, contact, span) in operations {
                let (key, contact) = (format!("k{key}@x"), format!("c{contact}"));
                match what {
                    0..=3 => {
                        put(&mut bindings, now, &key, &contact, now + span);
                        model.insert((key, contact), now + span);
                    }
                    4 => {
                        bindings.remove(key.as_bytes(), contact.as_bytes());
                        model.remove(&(key, contact));
                    }
                    5 => {
                        bindings.clear(key.as_bytes());
                        model.retain(|(k, _), _| *k != key);
                    }
                    _ => {
                        now += span / 4;
                        let live: std::collections::BTreeSet<_> =
                            model.iter().filter(|(_, e)| **e > now).map(|((k, _), _)| k).collect();
                        prop_assert_eq!(bindings.live(at(now)), live.len());
                        let before = model.len();
                        model.retain(|_, expires| *expires > now);
                        prop_assert_eq!(bindings.expire(at(now), |_, _| {}), before - model.len());
                    }
                }
                let keys: std::collections::BTreeSet<_> = model.keys().map(|(k, _)| k).collect();
                prop_assert_eq!((bindings.len(), bindings.contacts()), (keys.len(), model.len()));
                prop_assert_eq!(bindings.due.len(), bindings.records.len);
                let first = model.values().min().map(|&e| at(e));
                prop_assert_eq!(bindings.next_expiry().is_some(), first.is_some());
                prop_assert!(bindings.next_expiry() <= first, "something would expire unseen");
            }
        }
    }
}
