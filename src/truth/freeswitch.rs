//! FreeSWITCH, module `mod_event_socket`: `show registrations count` over its event socket.
//!
//! Messages are header fields up to an empty line; a `Content-Length` announces a body.

use super::wire::{connect, next, send};
use super::{Adapter, Deadline, TruthPlace, TruthSource, shown};
use crate::vocab::Secret;
use std::net::TcpStream;

/// A connection that is kept between two questions.
pub(super) struct EventSocket {
    place: TruthPlace,
    secret: Secret,
    open: Option<(TcpStream, Vec<u8>)>,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
struct EslMessage {
    head: String,
    body: String,
}

impl EventSocket {
    pub(super) fn new(source: &TruthSource) -> EventSocket {
        EventSocket { place: source.place.clone(), secret: source.secret.clone(), open: None }
    }

    fn ask(&mut self, wait: Deadline) -> Result<u64, String> {
        let (stream, rest) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(log_in(&self.place, &self.secret, wait)?),
        };
        send(stream, b"api show registrations count\n\n", wait)?;
        loop {
            let message = next(stream, rest, first, wait)?;
            match message.kind() {
                "api/response" => return count(&message.body),
                "text/disconnect-notice" => return Err("the connection was closed".to_owned()),
                // Events nobody asked for.
                _ => {}
            }
        }
    }
}

impl Adapter for EventSocket {
    fn count(&mut self, wait: Deadline) -> Result<u64, String> {
        let count = self.ask(wait);
        if count.is_err() {
            // An answer that is late must not be taken for that to the next question.
            self.open = None;
        }
        count
    }
}

fn log_in(place: &TruthPlace, secret: &Secret, wait: Deadline) -> Result<(TcpStream, Vec<u8>), String> {
    let TruthPlace::Tcp(at) = place else { return Err("cannot be asked but over a connection".to_owned()) };
    let (mut stream, mut rest) = (connect(*at, wait)?, Vec::new());
    loop {
        let message = next(&mut stream, &mut rest, first, wait)?;
        match message.kind() {
            "auth/request" => send(&mut stream, format!("auth {}\n\n", secret.reveal()).as_bytes(), wait)?,
            "command/reply" if message.field("Reply-Text").is_some_and(|text| text.starts_with("+OK")) => {
                return Ok((stream, rest));
            }
            "command/reply" => return Err("the password was refused".to_owned()),
            "text/rude-rejection" => return Err("this address is refused by the server's access list".to_owned()),
            other => return Err(format!("no event socket: {}", shown(other))),
        }
    }
}

/// The first whole message of these bytes, and its length.
fn first(bytes: &[u8]) -> Option<(EslMessage, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")? + 2;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut message = EslMessage { head, body: String::new() };
    let length = message.field("Content-Length").and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let body = bytes.get(end..end.checked_add(length)?)?;
    message.body = String::from_utf8_lossy(body).into_owned();
    Some((message, end + length))
}

impl EslMessage {
    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    fn kind(&self) -> &str {
        self.field("Content-Type").unwrap_or_default()
    }
}

/// `N total.`
fn count(body: &str) -> Result<u64, String> {
    let told = body.lines().rev().find_map(|line| line.trim().strip_suffix(" total.")?.parse().ok());
    told.ok_or_else(|| format!("an answer without a count: {}", shown(body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock::Clock;
    use crate::vocab::TruthKind;
    use proptest::prelude::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    #[test]
    fn the_count_is_read() {
        assert_eq!(count("\n0 total.\n"), Ok(0));
        assert_eq!(count("\n137 total.\n"), Ok(137));
        assert!(count("-ERR show Command not found!\n").expect_err("none").contains("-ERR"));
        assert!(count("").is_err());
    }

    #[test]
    fn a_message_ends_where_it_says() {
        let bytes = b"Content-Type: api/response\nContent-Length: 10\n\n\n3 total.\nContent-Type: auth/request\n\n";
        let (message, length) = first(bytes).expect("a whole one");
        assert_eq!((message.kind(), message.body.as_str()), ("api/response", "\n3 total.\n"));
        assert_eq!(first(&bytes[length..]).expect("another").0.kind(), "auth/request");
        for cut in 0..length {
            assert_eq!(first(&bytes[..cut]), None, "{cut} bytes");
        }
    }

    /// A server that says what it is told to, one text for each text that comes.
    fn server(texts: &'static [&'static str]) -> TruthSource {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut asked = [0; 256];
            for text in texts {
                stream.write_all(text.as_bytes()).expect("a reader");
                if stream.read(&mut asked).unwrap_or(0) == 0 {
                    return;
                }
            }
        });
        TruthSource {
            kind: TruthKind::FreeswitchEsl,
            place: TruthPlace::Tcp(at),
            every: Duration::from_secs(1),
            pointer: String::new(),
            username: String::new(),
            secret: Secret::new("ClueCon"),
        }
    }

    #[test]
    fn one_connection_serves_many_questions() {
        let source = server(&[
            "Content-Type: auth/request\n\n",
            "Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
            "Content-Type: api/response\nContent-Length: 11\n\n\n41 total.\n",
            "Content-Type: api/response\nContent-Length: 11\n\n\n42 total.\n",
        ]);
        let mut socket = EventSocket::new(&source);
        let mut ask = || socket.count(Deadline::new(Clock::new(), Duration::from_secs(60)));
        assert_eq!((ask(), ask()), (Ok(41), Ok(42)));
    }

    #[test]
    fn a_password_that_is_refused_is_told_and_not_shown() {
        let source =
            server(&["Content-Type: auth/request\n\n", "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n"]);
        let said = EventSocket::new(&source).count(Deadline::new(Clock::new(), Duration::from_secs(60)));
        assert_eq!(said, Err("the password was refused".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, length)) = first(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn whatever_is_counted_is_read(total in any::<u64>()) {
            prop_assert_eq!(count(&format!("\n{total} total.\n")), Ok(total));
        }
    }
}
