//! The bytes of simulated datagrams: buffers that go round instead of being allocated for each
//! packet.

/// The longest datagram an agent or the registrar writes.
pub(super) const DATAGRAM: usize = 4096;

/// Buffers of packets that have been delivered, to be filled again.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// What `write` puts into a buffer of [`DATAGRAM`] bytes and returns the length of; `None` when
    /// that is 0.
    pub(super) fn written(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Option<Vec<u8>> {
        let mut bytes = self.0.pop().unwrap_or_default();
        bytes.resize(DATAGRAM, 0);
        let length = write(&mut bytes);
        bytes.truncate(length);
        if length > 0 {
            return Some(bytes);
        }
        self.reuse(bytes);
        None
    }

    /// A packet of these bytes.
    pub(super) fn copied(&mut self, from: &[u8]) -> Vec<u8> {
        let mut bytes = self.0.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(from);
        bytes
    }

    /// Takes back what was delivered.
    pub(super) fn reuse(&mut self, bytes: Vec<u8>) {
        self.0.push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_round_and_shows_nothing_of_before() {
        let mut buffers = Buffers::default();
        let first = buffers.copied(b"a long answer of before");
        buffers.reuse(first);
        let second = buffers.written(|buffer| {
            buffer[..2].copy_from_slice(b"ok");
            2
        });
        assert_eq!(second.as_deref(), Some(&b"ok"[..]));
        assert!(buffers.0.is_empty(), "the same buffer");
    }

    #[test]
    fn nothing_written_is_no_packet_and_loses_no_buffer() {
        let mut buffers = Buffers::default();
        assert_eq!(buffers.written(|_| 0), None);
        assert_eq!(buffers.0.len(), 1);
    }
}
