//! The branch parameter of the topmost Via: it names the agent and its transaction, so an answer finds its way back
//! without a table (RFC 3261 §8.1.1.7, §17.1.3).

use crate::vocab::{AgentId, RunTag};

/// A branch value: `z9hG4bK`, then run tag, agent and transaction serial as eight hex digits each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Branch {
    text: [u8; Branch::LEN],
}

/// What a branch of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub agent: AgentId,
    /// Transaction number within the agent's life, from 1.
    pub serial: u32,
}

impl Branch {
    /// Every branch has this length, so that messages of one trunk can have equal lengths.
    pub const LEN: usize = 7 + 24;
    const COOKIE: &'static [u8; 7] = b"z9hG4bK";

    pub fn new(run: RunTag, token: Token) -> Self {
        let mut text = [0; Self::LEN];
        text[..7].copy_from_slice(Self::COOKIE);
        hex8(&mut text[7..15], run.0 as u32);
        hex8(&mut text[15..23], token.agent.0);
        hex8(&mut text[23..31], token.serial);
        Branch { text }
    }

    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.text
    }

    /// Reads a branch of this run; `None` for any other.
    pub fn parse(run: RunTag, text: &[u8]) -> Option<Token> {
        let rest = text.strip_prefix(Self::COOKIE.as_slice())?;
        if rest.len() != 24 || unhex8(&rest[..8])? != run.0 as u32 {
            return None;
        }
        Some(Token { agent: AgentId(unhex8(&rest[8..16])?), serial: unhex8(&rest[16..])? })
    }
}

/// Writes `value` as eight lower-case hex digits.
pub fn hex8(out: &mut [u8], value: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = DIGITS[(value >> (28 - 4 * i)) as usize & 15];
    }
}

/// `value` as sixteen lower-case hex digits.
pub fn hex16(value: u64) -> [u8; 16] {
    let mut text = [0; 16];
    hex8(&mut text[..8], (value >> 32) as u32);
    hex8(&mut text[8..], value as u32);
    text
}

fn unhex8(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |value, &byte| {
        let digit = (byte as char).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back(run: u64, agent: u32, serial: u32) {
            let token = Token { agent: AgentId(agent), serial };
            let branch = Branch::new(RunTag(run), token);
            prop_assert_eq!(Branch::parse(RunTag(run), branch.as_bytes()), Some(token));
            prop_assert_eq!(Branch::parse(RunTag(run ^ 1), branch.as_bytes()), None);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Branch::parse(RunTag(1), &bytes);
        }
    }
}
