//! One request and its answer over a datagram socket or a connection, never longer than it is
//! waited for.

use super::{Deadline, PATIENCE, TruthPlace};
use crate::net::http::{HttpClient, HttpOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};

/// The most bytes taken of one answer.
const LONGEST: usize = 1 << 20;

/// One request.
pub(super) struct WireQuestion<'a> {
    pub place: &'a TruthPlace,
    pub request: &'a [u8],
    /// Whether the bytes of a connection are a whole answer.
    pub whole: fn(&[u8]) -> bool,
}

/// Sends a request and returns its answer.
///
/// # Errors
/// Why there is none.
pub(super) fn exchange(exchange: &WireQuestion<'_>, wait: Deadline) -> Result<Vec<u8>, String> {
    let WireQuestion { place, request, whole } = exchange;
    match place {
        TruthPlace::Unix(path) => by_unix(path, request, wait),
        TruthPlace::Udp(at) => by_udp(*at, request, wait),
        TruthPlace::Tcp(at) => {
            let mut stream = connect(*at, wait)?;
            send(&mut stream, request, wait)?;
            let mut answer = Vec::new();
            while !whole(&answer) {
                if receive(&mut stream, &mut answer, wait)? == 0 {
                    break;
                }
            }
            Ok(answer)
        }
        TruthPlace::Http { url, .. } => {
            let answer = web(place)?.post(url, &[("Content-Type", "application/json")], request);
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("answers {}", answer.status)) }
        }
        TruthPlace::Command(_) => Err("cannot be asked but by being run".to_owned()),
    }
}

fn by_unix(path: &str, request: &[u8], wait: Deadline) -> Result<Vec<u8>, String> {
    let socket = UnixDatagram::bind_addr(&own_name()?).map_err(why)?;
    socket.set_write_timeout(Some(wait.left()?)).map_err(why)?;
    socket.send_to(request, path).map_err(why)?;
    socket.set_read_timeout(Some(wait.left()?)).map_err(why)?;
    let mut answer = vec![0; DATAGRAM];
    let length = socket.recv(&mut answer).map_err(why)?;
    answer.truncate(length);
    Ok(answer)
}

/// A name for our end that no file system knows, and nobody else has: an answer needs somewhere to
/// go.
fn own_name() -> Result<UnixAddr, String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    UnixAddr::from_abstract_name(format!("regstorm-truth-{}-{number}", std::process::id())).map_err(why)
}

fn by_udp(at: SocketAddr, request: &[u8], wait: Deadline) -> Result<Vec<u8>, String> {
    let any = if at.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).map_err(why)?;
    // Answers of others are not taken.
    socket.connect(at).map_err(why)?;
    socket.send(request).map_err(why)?;
    socket.set_read_timeout(Some(wait.left()?)).map_err(why)?;
    let mut answer = vec![0; DATAGRAM];
    let length = socket.recv(&mut answer).map_err(why)?;
    answer.truncate(length);
    Ok(answer)
}

/// A client that asks the host of this URL and nobody else.
pub(super) fn web(place: &TruthPlace) -> Result<HttpClient, String> {
    let TruthPlace::Http { host, .. } = place else { return Err("has no URL".to_owned()) };
    let options = HttpOptions {
        hosts: vec![host.clone()],
        connect: PATIENCE,
        whole: PATIENCE,
        body: LONGEST as u64,
        ..HttpOptions::default()
    };
    HttpClient::new(&options).map_err(|error| error.to_string())
}

/// A connection.
pub(super) fn connect(at: SocketAddr, wait: Deadline) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&at, wait.left()?).map_err(why)?;
    stream.set_nodelay(true).map_err(why)?;
    Ok(stream)
}

pub(super) fn send(stream: &mut TcpStream, bytes: &[u8], wait: Deadline) -> Result<(), String> {
    stream.set_write_timeout(Some(wait.left()?)).map_err(why)?;
    stream.write_all(bytes).map_err(why)
}

/// Appends what came; 0: nothing more comes.
pub(super) fn receive(stream: &mut TcpStream, into: &mut Vec<u8>, wait: Deadline) -> Result<usize, String> {
    stream.set_read_timeout(Some(wait.left()?)).map_err(why)?;
    let mut buffer = [0; 16 * 1_024];
    let length = stream.read(&mut buffer).map_err(why)?;
    into.extend_from_slice(&buffer[..length]);
    if into.len() > LONGEST { Err("an answer without end".to_owned()) } else { Ok(length) }
}

/// The next message of a connection, cut off what came; `first` finds a whole one at the beginning
/// of it, and its length.
pub(super) fn next<M>(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
    first: fn(&[u8]) -> Option<(M, usize)>,
    wait: Deadline,
) -> Result<M, String> {
    loop {
        if let Some((message, length)) = first(rest) {
            rest.drain(..length);
            return Ok(message);
        }
        if receive(stream, rest, wait)? == 0 {
            return Err("the connection was closed".to_owned());
        }
    }
}

/// An error of the system, in words.
pub(super) fn why(error: io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time".to_owned(),
        ErrorKind::NotFound => "there is no such socket".to_owned(),
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was closed".to_owned(),
        _ => error.to_string(),
    }
}

/// The longest datagram there is.
const DATAGRAM: usize = 65_536;
