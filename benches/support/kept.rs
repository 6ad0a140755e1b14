//! An outbox that keeps what is sent.

use regstorm::fleet::Ways;
use regstorm::vocab::FlowId;

/// Datagrams in the order in which they were sent.
pub struct Kept(pub Vec<Vec<u8>>);

impl Ways for Kept {
    fn put(&mut self, _flow: FlowId, _tag: u64, write: impl FnOnce(&mut [u8]) -> usize) {
        let mut buffer = vec![0; 2048];
        let length = write(&mut buffer);
        buffer.truncate(length);
        self.0.push(buffer);
    }
}
