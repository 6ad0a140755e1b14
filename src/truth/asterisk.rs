//! Asterisk, manager interface (AMI): the contacts of PJSIP's inbound registrations, and the
//! security events that say why somebody was let in or refused.
//!
//! Messages are header fields up to an empty line. The manager user needs `write =
//! system,reporting` for the list and `read = security` for the events; without the latter the
//! count is all there is.

use super::wire::{self, connect, send};
use super::{Adapter, Deadline, Heard, TruthPlace, TruthSource, shown};
use crate::vocab::Secret;
use std::net::TcpStream;

/// The events that say why a registration was answered as it was.
const REASONS: [&str; 6] = [
    "InvalidPassword",
    "ChallengeResponseFailed",
    "InvalidAccountID",
    "FailedACL",
    "LoadAverageLimit",
    "SuccessfulAuth",
];

/// A session that is kept between two questions.
pub(super) struct Manager {
    place: TruthPlace,
    username: String,
    secret: Secret,
    open: Option<Session>,
    /// What was heard since somebody asked, by [`REASONS`].
    heard: [u64; REASONS.len()],
}

struct Session {
    stream: TcpStream,
    rest: Vec<u8>,
    /// Numbers its actions.
    action: u64,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
struct AmiMessage(String);

impl Manager {
    pub(super) fn new(source: &TruthSource) -> Manager {
        Manager {
            place: source.place.clone(),
            username: source.username.clone(),
            secret: source.secret.clone(),
            open: None,
            heard: [0; REASONS.len()],
        }
    }

    fn ask(&mut self, wait: Deadline) -> Result<u64, String> {
        let session = match &mut self.open {
            Some(session) => session,
            None => self.open.insert(Session::log_in(&self.place, &self.username, &self.secret, wait)?),
        };
        let id = session.act("PJSIPShowRegistrationInboundContactStatuses", &[], wait)?;
        let mut contacts = 0;
        loop {
            let message = session.next(wait)?;
            if let Some(reason) = message.reason() {
                self.heard[reason] += 1;
            }
            if message.field("ActionID") != Some(&id) {
                continue;
            }
            if message.field("Response").is_some_and(|response| response != "Success") {
                return Err(refusal("the list of contacts", &message));
            }
            contacts += u64::from(message.field("Event") == Some("ContactStatusDetail"));
            if message.field("EventList") == Some("Complete") {
                let told = message.field("ListItems").and_then(|digits| digits.parse().ok());
                return Ok(told.unwrap_or(contacts));
            }
        }
    }
}

impl Adapter for Manager {
    fn count(&mut self, wait: Deadline) -> Result<u64, String> {
        let count = self.ask(wait);
        if count.is_err() {
            // What is late belongs to no later question.
            self.open = None;
        }
        count
    }

    fn heard(&mut self) -> Heard {
        let counts = std::mem::take(&mut self.heard);
        let named = REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        named.map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

impl Session {
    fn log_in(place: &TruthPlace, username: &str, secret: &Secret, wait: Deadline) -> Result<Session, String> {
        let TruthPlace::Tcp(at) = place else { return Err("cannot be asked but over a connection".to_owned()) };
        let mut session = Session { stream: connect(*at, wait)?, rest: Vec::new(), action: 0 };
        session.greeting(wait)?;
        let fields = [("Username", username), ("Secret", secret.reveal()), ("Events", "off")];
        let id = session.act("Login", &fields, wait)?;
        let answer = session.answer(&id, wait)?;
        if answer.field("Response") != Some("Success") {
            return Err(refusal("the log-in", &answer));
        }
        // A user who may not read them is told so, and asked for the count all the same.
        let id = session.act("Events", &[("EventMask", "security")], wait)?;
        session.answer(&id, wait)?;
        Ok(session)
    }

    /// The line a manager says before anything else.
    fn greeting(&mut self, wait: Deadline) -> Result<(), String> {
        let line = wire::next(&mut self.stream, &mut self.rest, first_line, wait)?;
        let known = line.starts_with("Asterisk Call Manager");
        if known { Ok(()) } else { Err(format!("no manager interface: {}", shown(&line))) }
    }

    /// Sends an action; its id, by which its answers are known.
    fn act(&mut self, name: &str, fields: &[(&str, &str)], wait: Deadline) -> Result<String, String> {
        self.action += 1;
        let id = format!("regstorm-{}", self.action);
        let mut text = format!("Action: {name}\r\nActionID: {id}\r\n");
        for (name, value) in fields {
            // A line end would begin a field of somebody else's choice.
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        send(&mut self.stream, text.as_bytes(), wait)?;
        Ok(id)
    }

    fn answer(&mut self, id: &str, wait: Deadline) -> Result<AmiMessage, String> {
        loop {
            let message = self.next(wait)?;
            if message.field("ActionID") == Some(id) && message.field("Response").is_some() {
                return Ok(message);
            }
        }
    }

    fn next(&mut self, wait: Deadline) -> Result<AmiMessage, String> {
        wire::next(&mut self.stream, &mut self.rest, first, wait)
    }
}

/// The first whole line of these bytes, and its length.
fn first_line(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 2))
}

/// The first whole message of these bytes, and its length.
fn first(bytes: &[u8]) -> Option<(AmiMessage, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((AmiMessage(String::from_utf8_lossy(&bytes[..end]).into_owned()), end + 4))
}

impl AmiMessage {
    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.0.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// Which of [`REASONS`] it is, if it is one of a SIP registration.
    fn reason(&self) -> Option<usize> {
        let event = self.field("Event")?;
        // The manager's own log-ins are told as well.
        let of_sip = self.field("Service").is_none_or(|service| service.eq_ignore_ascii_case("PJSIP"));
        REASONS.iter().position(|reason| *reason == event).filter(|_| of_sip)
    }
}

fn refusal(what: &str, message: &AmiMessage) -> String {
    format!("{what} was refused: {}", shown(message.field("Message").unwrap_or("without a reason")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock::Clock;
    use crate::vocab::TruthKind;
    use proptest::prelude::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    /// A manager that answers each action with what it is told to; `@ID@` is that of the action.
    fn manager(answers: &'static [&'static str]) -> TruthSource {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            stream.write_all(b"Asterisk Call Manager/11.0.0\r\n").expect("a reader");
            for answer in answers {
                let mut id = String::new();
                for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                    if let Some(told) = line.strip_prefix("ActionID: ") {
                        told.clone_into(&mut id);
                    }
                }
                if stream.write_all(answer.replace("@ID@", &id).as_bytes()).is_err() {
                    return;
                }
            }
        });
        TruthSource {
            kind: TruthKind::AsteriskAmi,
            place: TruthPlace::Tcp(at),
            every: Duration::from_secs(1),
            pointer: String::new(),
            username: "regstorm".to_owned(),
            secret: Secret::new("hunter2"),
        }
    }

    fn wait() -> Deadline {
        Deadline::new(Clock::new(), Duration::from_secs(60))
    }

    const LOGGED_IN: &str = "Response: Success\r\nActionID: @ID@\r\nMessage: Authentication accepted\r\n\r\n";
    const EVENTS_ON: &str = "Response: Success\r\nActionID: @ID@\r\nEvents: On\r\n\r\n";

    #[test]
    fn contacts_are_counted_and_reasons_are_heard() {
        let source = manager(&[
            LOGGED_IN,
            EVENTS_ON,
            "Event: InvalidPassword\r\nService: PJSIP\r\nAccountID: agent00001\r\n\r\n\
             Event: SuccessfulAuth\r\nService: AMI\r\nAccountID: regstorm\r\n\r\n\
             Response: Success\r\nActionID: @ID@\r\nEventList: start\r\nMessage: Following are Events\r\n\r\n\
             Event: ContactStatusDetail\r\nActionID: @ID@\r\nAOR: agent00002\r\n\r\n\
             Event: FailedACL\r\nService: PJSIP\r\n\r\n\
             Event: ContactStatusDetailComplete\r\nActionID: @ID@\r\nEventList: Complete\r\nListItems: 1\r\n\r\n",
            "Response: Success\r\nActionID: @ID@\r\nEventList: start\r\n\r\n\
             Event: ContactStatusDetailComplete\r\nActionID: @ID@\r\nEventList: Complete\r\nListItems: 0\r\n\r\n",
        ]);
        let mut asked = Manager::new(&source);
        assert_eq!(asked.count(wait()), Ok(1));
        let heard = [("InvalidPassword".to_owned(), 1), ("FailedACL".to_owned(), 1)];
        assert_eq!(asked.heard(), heard);
        assert_eq!((asked.count(wait()), asked.heard()), (Ok(0), Vec::new()));
    }

    #[test]
    fn a_refusal_is_told_and_the_secret_is_not() {
        let source = manager(&["Response: Error\r\nActionID: @ID@\r\nMessage: Authentication failed\r\n\r\n"]);
        let said = Manager::new(&source).count(wait()).expect_err("refused");
        assert_eq!(said, "the log-in was refused: Authentication failed");
        let refused = "Response: Error\r\nActionID: @ID@\r\nMessage: Permission denied\r\n\r\n";
        let source = manager(Box::leak(Box::new([LOGGED_IN, refused, refused])));
        let said = Manager::new(&source).count(wait()).expect_err("refused");
        assert_eq!(said, "the list of contacts was refused: Permission denied");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((message, length)) = first(&bytes) {
                prop_assert!(length <= bytes.len());
                let _ = (message.reason(), message.field("Event"));
            }
        }
    }
}
