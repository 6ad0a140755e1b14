//! Control messages (ancillary data): read as bytes, so that nothing here needs `unsafe`.
//!
//! The layout is that of `cmsg(3)`: a header of length, level and type, the data, and padding to
//! the size of a word.

use crate::net::clock;

/// Room for the control messages of one datagram: a timestamp (32 bytes), a drop count (24) and the
/// segment size of GRO (24), with room to spare.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(in crate::net) struct Control(pub(in crate::net) [u8; 96]);

impl Default for Control {
    fn default() -> Self {
        Self([0; 96])
    }
}

/// One control message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message<'a> {
    pub(super) level: libc::c_int,
    pub(super) kind: libc::c_int,
    pub(super) data: &'a [u8],
}

/// What the control messages of a datagram tell.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::net) struct ControlFacts {
    /// SCM_TIMESTAMPNS: arrival on CLOCK_REALTIME.
    pub(in crate::net) kernel_ns: Option<u64>,
    /// SO_RXQ_OVFL: datagrams the socket had dropped when this one was queued, modulo 2^32; absent
    /// while zero.
    pub(super) drops: Option<u32>,
    /// UDP_GRO: several datagrams were coalesced, each but the last of so many bytes.
    pub(super) segment: Option<usize>,
}

/// The messages in a control buffer, up to the first that is not whole.
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(*rest.first_chunk()?);
        let level = libc::c_int::from_ne_bytes(*rest.get(LEVEL_AT..)?.first_chunk()?);
        let kind = libc::c_int::from_ne_bytes(*rest.get(LEVEL_AT + size_of::<libc::c_int>()..)?.first_chunk()?);
        let data = rest.get(DATA_AT..len)?;
        rest = rest.get(len.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
        Some(Message { level, kind, data })
    })
}

/// Reads the timestamp, the drop count and the segment size, where they are present.
pub(in crate::net) fn told(control: &[u8]) -> ControlFacts {
    let mut told = ControlFacts::default();
    let word = |data: &[u8]| data.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    for message in messages(control) {
        match (message.level, message.kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => told.kernel_ns = timespec_ns(message.data),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => told.drops = word(message.data),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                told.segment = word(message.data).and_then(|bytes| usize::try_from(bytes).ok());
            }
            _ => {}
        }
    }
    told
}

/// The control message that lets one send leave as datagrams of `segment` bytes each (UDP_SEGMENT).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Segmented(pub(super) [u8; SEGMENTED]);

const SEGMENTED: usize = (DATA_AT + size_of::<u16>()).next_multiple_of(size_of::<usize>());

impl Segmented {
    pub(super) fn into(segment: u16) -> Self {
        let mut bytes = [0; SEGMENTED];
        bytes[..LEVEL_AT].copy_from_slice(&(DATA_AT + size_of::<u16>()).to_ne_bytes());
        bytes[LEVEL_AT..][..4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        bytes[LEVEL_AT + 4..][..4].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        bytes[DATA_AT..][..2].copy_from_slice(&segment.to_ne_bytes());
        Self(bytes)
    }
}

/// A timespec of two 64-bit words, as 64-bit kernels write it.
fn timespec_ns(data: &[u8]) -> Option<u64> {
    let (seconds, rest) = data.split_first_chunk()?;
    Some(clock::nanos(i64::from_ne_bytes(*seconds), i64::from_ne_bytes(*rest.first_chunk()?)))
}

const LEVEL_AT: usize = size_of::<usize>();
const DATA_AT: usize = size_of::<libc::cmsghdr>().next_multiple_of(size_of::<usize>());

const _: () = assert!(size_of::<libc::cmsghdr>() == LEVEL_AT + 2 * size_of::<libc::c_int>());
const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(level: libc::c_int, kind: libc::c_int, data: &[u8]) -> Vec<u8> {
        let mut bytes = (DATA_AT + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    #[test]
    fn reads_a_timestamp_behind_a_drop_count() {
        let stamp = [3i64.to_ne_bytes(), 7i64.to_ne_bytes()].concat();
        let control = [
            message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &9u32.to_ne_bytes()),
            message(libc::IPPROTO_IP, libc::SCM_TIMESTAMPNS, &[1; 16]),
            message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &stamp),
        ]
        .concat();
        assert_eq!(told(&control), ControlFacts { kernel_ns: Some(3_000_000_007), drops: Some(9), segment: None });
        assert_eq!(told(&[]), ControlFacts::default());
    }

    #[test]
    fn reads_the_size_of_coalesced_datagrams() {
        let control = message(libc::SOL_UDP, libc::UDP_GRO, &560u32.to_ne_bytes());
        assert_eq!(told(&control).segment, Some(560));
        let sent = Segmented::into(560);
        let read: Vec<_> = messages(&sent.0).collect();
        assert_eq!(read, [Message { level: libc::SOL_UDP, kind: libc::UDP_SEGMENT, data: &560u16.to_ne_bytes() }]);
    }

    #[test]
    fn a_torn_message_ends_the_list() {
        let whole = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &9u32.to_ne_bytes());
        let torn = &message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[1; 16])[..24];
        assert_eq!(messages(&[&whole, torn].concat()).count(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..128), len in 0usize..140) {
            let mut bytes = bytes;
            if bytes.len() >= 8 {
                bytes[..8].copy_from_slice(&len.to_ne_bytes());
            }
            prop_assert!(messages(&bytes).count() <= bytes.len());
            told(&bytes);
        }
    }
}
