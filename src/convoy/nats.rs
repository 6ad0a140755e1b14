//! The board as a NATS server with JetStream, 2.9 or newer.
//!
//! Notes are a key-value bucket, records a stream. The bucket is made as the stream that it is:
//! what a client needs to make one as a bucket is missing in 2.9. Everything is asked for, nothing
//! is delivered: a consumer may be left hanging when its server restarts, a position is not, and
//! whoever asks for what comes after a position misses nothing.

use super::board::{Board, BoardError, BoardNote};
use crate::vocab::Secret;
use async_nats::ConnectOptions;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{Config, RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How a NATS server is reached.
#[derive(Clone, Debug)]
pub struct NatsAccess {
    /// It may hold a user and a password, so it is never shown whole.
    pub url: Secret,
    /// A file with a JWT and its key.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// Certificates of those that may vouch for the server.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What the server lists the connection as.
    pub name: String,
}

/// Notes and records on a NATS server. Its connection is looked after while something is asked of
/// it, so it is to be asked some times a second.
#[derive(Debug)]
pub struct NatsBoard {
    runtime: Runtime,
    context: Context,
    notes: Stream,
    records: Stream,
}

/// A server that does not answer for so long is out of reach.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// The server is asked for a sign of life so often; two that are missing end the connection.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long a connection may take at first.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// The longest wait before the next connection is tried.
const CALM: Duration = Duration::from_secs(1);
/// Notes and records of a run that nobody took down are gone after a day.
const KEPT_FOR: Duration = Duration::from_secs(86_400);

const NOTES: &str = "KV_regstorm";
const NOTES_PREFIX: &str = "$KV.regstorm.";
const RECORDS: &str = "REGSTORM";
const RECORDS_PREFIX: &str = "regstorm.";

impl NatsBoard {
    /// Connects to a server, and makes bucket and stream where they are missing.
    ///
    /// # Errors
    /// When a file of the access cannot be used, the server is not reached, or it has no JetStream.
    pub fn open(access: &NatsAccess) -> Result<NatsBoard, BoardError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| BoardError(format!("its thread could not be started: {error}")))?;
        let (context, notes, records) = runtime.block_on(opened(access))?;
        Ok(NatsBoard { runtime, context, notes, records })
    }

    /// Publishes a message, and returns its number.
    fn publish(&self, subject: String, message: PublishMessage) -> Result<u64, BoardError> {
        let published = async {
            let acknowledged = self.context.send_publish(subject, message).await.map_err(refused)?;
            Ok(acknowledged.await.map_err(refused)?.sequence)
        };
        self.runtime.block_on(in_time(published))
    }
}

async fn opened(access: &NatsAccess) -> Result<(Context, Stream, Stream), BoardError> {
    let client = tokio::time::timeout(CONNECTS_WITHIN, options(access).await?.connect(access.url.reveal()))
        .await
        .map_err(|_| BoardError(format!("no connection within {} s", CONNECTS_WITHIN.as_secs())))?
        // The error may quote the URL; its kind does not.
        .map_err(|error| BoardError(format!("no connection: {}", error.kind())))?;
    let mut context = jetstream::new(client);
    context.set_timeout(ANSWERS_WITHIN * 5);
    let notes = Config {
        name: NOTES.to_owned(),
        description: Some("regstorm: notes of fleets".to_owned()),
        subjects: vec![format!("{NOTES_PREFIX}>")],
        max_messages_per_subject: 1,
        max_age: KEPT_FOR,
        ..Config::default()
    };
    let records = Config {
        name: RECORDS.to_owned(),
        description: Some("regstorm: records of fleets on their way".to_owned()),
        subjects: vec![format!("{RECORDS_PREFIX}>")],
        max_age: KEPT_FOR,
        ..Config::default()
    };
    let made = |error: &dyn Display| BoardError(format!("JetStream is needed, and the server says: {error}"));
    let notes = context.get_or_create_stream(notes).await.map_err(|error| made(&error))?;
    let records = context.get_or_create_stream(records).await.map_err(|error| made(&error))?;
    context.set_timeout(ANSWERS_WITHIN);
    Ok((context, notes, records))
}

async fn options(access: &NatsAccess) -> Result<ConnectOptions, BoardError> {
    let mut options = ConnectOptions::new()
        .name(&access.name)
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECTS_WITHIN)
        .request_timeout(Some(ANSWERS_WITHIN))
        .reconnect_delay_callback(|attempts| {
            let tenths = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
            (Duration::from_millis(100) * tenths).min(CALM)
        });
    let unusable = |file: &PathBuf, error: &dyn Display| BoardError(format!("{}: {error}", file.display()));
    if let Some(file) = &access.credentials {
        options = options.credentials_file(file).await.map_err(|error| unusable(file, &error))?;
    }
    if let Some(file) = &access.nkey {
        let seed = std::fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(file) = &access.ca {
        options = options.add_root_certificates(file.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &access.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(options)
}

impl Board for NatsBoard {
    fn pin(&mut self, key: &str, note: Vec<u8>) -> Result<u64, BoardError> {
        self.publish(format!("{NOTES_PREFIX}{key}"), PublishMessage::build().payload(note.into()))
    }

    fn read(&mut self, key: &str) -> Result<Option<BoardNote>, BoardError> {
        let asked = self.notes.raw_message_builder().last_by_subject(format!("{NOTES_PREFIX}{key}"));
        let found = async { found(asked.send().await.map_err(|error| (error.kind(), error.to_string()))) };
        Ok(self.runtime.block_on(in_time(found))?.map(|message| note(message, NOTES_PREFIX)))
    }

    fn next(&mut self, keys: &str, from: u64) -> Result<Option<BoardNote>, BoardError> {
        let asked = self.notes.raw_message_builder().sequence(from).next_by_subject(format!("{NOTES_PREFIX}{keys}"));
        let found = async { found(asked.send().await.map_err(|error| (error.kind(), error.to_string()))) };
        Ok(self.runtime.block_on(in_time(found))?.map(|message| note(message, NOTES_PREFIX)))
    }

    fn append(&mut self, lane: &str, id: &str, piece: Vec<u8>) -> Result<(), BoardError> {
        let message = PublishMessage::build().payload(piece.into()).message_id(id);
        self.publish(format!("{RECORDS_PREFIX}{lane}"), message).map(|_| ())
    }

    fn next_piece(&mut self, lanes: &str, from: u64) -> Result<Option<BoardNote>, BoardError> {
        let lanes = format!("{RECORDS_PREFIX}{lanes}");
        let asked = self.records.raw_message_builder().sequence(from).next_by_subject(lanes);
        let found = async { found(asked.send().await.map_err(|error| (error.kind(), error.to_string()))) };
        Ok(self.runtime.block_on(in_time(found))?.map(|message| note(message, RECORDS_PREFIX)))
    }

    fn take_down(&mut self, keys: &str) -> Result<(), BoardError> {
        let taken = async {
            self.notes.purge().filter(format!("{NOTES_PREFIX}{keys}")).await.map_err(refused)?;
            self.records.purge().filter(format!("{RECORDS_PREFIX}{keys}")).await.map_err(refused)?;
            Ok(())
        };
        self.runtime.block_on(in_time(taken))
    }
}

/// What a server says to a request, as long as it is not waited for too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, BoardError>>) -> Result<T, BoardError> {
    tokio::time::timeout(ANSWERS_WITHIN, answer).await.unwrap_or_else(|_| {
        Err(BoardError(format!("the NATS server has not answered for {} s", ANSWERS_WITHIN.as_secs())))
    })
}

fn refused(error: impl Display) -> BoardError {
    BoardError(format!("the NATS server refuses: {error}"))
}

/// That there is nothing is an answer.
fn found(answer: Result<StreamMessage, (RawMessageErrorKind, String)>) -> Result<Option<StreamMessage>, BoardError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err((RawMessageErrorKind::NoMessageFound, _)) => Ok(None),
        Err((_, error)) => Err(refused(error)),
    }
}

fn note(message: StreamMessage, prefix: &str) -> BoardNote {
    BoardNote {
        number: message.sequence,
        key: message.subject.strip_prefix(prefix).unwrap_or_default().to_owned(),
        left_unix_ns: i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or_default(),
        bytes: message.payload.into(),
    }
}

/// A URL as it may be shown: without user and password.
pub fn without_credentials(url: &str) -> String {
    let one = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
        // An @ in a password is no rule that everybody keeps, so the last one counts.
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") }
    };
    one(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        for (url, shown) in [
            ("nats://10.0.0.1:4222", "nats://10.0.0.1:4222"),
            ("nats://user:pass@host:4222", "nats://host:4222"),
            ("tls://token@host", "tls://host"),
            ("user:p@ss@host:1", "host:1"),
            ("nats://u:a/b@host", "nats://host"),
            ("host", "host"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
        let access = NatsAccess {
            url: Secret::new("nats://user:hidden@host"),
            credentials: None,
            nkey: None,
            ca: None,
            certificate: None,
            name: "n".to_owned(),
        };
        assert!(!format!("{access:?}").contains("hidden"));
    }
}
