//! A registrar of the test's own over UDP, or over TLS: there each connection ends before it, and
//! its messages go on as datagrams from a port of their own.

use super::known::KnownRegistrar;
use regstorm::net::tls::{SelfSigned, Tls, TlsServer};
use regstorm::sip::framing::{Framed, frame};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// What carries messages to a registrar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Udp,
    Tls,
}

/// A [`KnownRegistrar`], and the way to it.
pub struct ReachedRegistrar {
    // Ends before what stands behind it.
    front: Option<TlsFront>,
    known: KnownRegistrar,
}

impl ReachedRegistrar {
    /// One that answers at once.
    pub fn start(over: Over) -> ReachedRegistrar {
        Self::delaying(over, Duration::ZERO, Duration::ZERO)
    }

    /// One that challenges and accepts after these times.
    pub fn delaying(over: Over, challenge: Duration, accept: Duration) -> ReachedRegistrar {
        let known = KnownRegistrar::start(challenge, accept);
        let front = (over == Over::Tls).then(|| TlsFront::before(known.address()));
        ReachedRegistrar { front, known }
    }

    /// The lines of a trunk that lead here.
    pub fn trunk(&self) -> String {
        match &self.front {
            None => format!("registrar = \"sip:{}\"", self.known.address()),
            Some(front) => {
                format!("registrar = \"sips:{}\"\ntls = {{ ca = \"{}\" }}", front.address, front.certificate())
            }
        }
    }
}

impl Deref for ReachedRegistrar {
    type Target = KnownRegistrar;

    fn deref(&self) -> &KnownRegistrar {
        &self.known
    }
}

/// Ends TLS before a server that speaks UDP; runs until dropped.
struct TlsFront {
    address: SocketAddr,
    dir: TempDir,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    open: Mutex<Vec<(TcpStream, [JoinHandle<()>; 2])>>,
}

impl TlsFront {
    fn before(server: SocketAddr) -> TlsFront {
        let made = SelfSigned::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let tls = TlsServer::new(made.certificate.as_bytes(), made.key.as_bytes()).expect("just made");
        let dir = tempfile::tempdir().expect("a directory under /tmp");
        std::fs::write(dir.path().join("cert.pem"), made.certificate).expect("our own directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let (address, shared) = (listener.local_addr().expect("bound"), Arc::<Shared>::default());
        let own = shared.clone();
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if own.stop.load(Ordering::Relaxed) {
                    return;
                }
                let carried = carry(&stream, &tls, server);
                own.open.lock().unwrap_or_else(PoisonError::into_inner).push((stream, carried));
            }
        });
        TlsFront { address, dir, shared, accepting: Some(accepting) }
    }

    fn certificate(&self) -> String {
        self.dir.path().join("cert.pem").display().to_string()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Whoever waits for a connection gets one.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.take().map(JoinHandle::join));
        for (stream, threads) in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
            drop(threads.map(JoinHandle::join));
        }
    }
}

/// Carries one connection's messages both ways until it ends.
fn carry(stream: &TcpStream, tls: &TlsServer, server: SocketAddr) -> [JoinHandle<()>; 2] {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    udp.connect(server).expect("loopback");
    udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a duration above zero");
    let tls = Arc::new(Mutex::new(tls.begin().expect("usable")));
    let ended = Arc::new(AtomicBool::new(false));
    let twice = || (stream.try_clone().expect("open"), udp.try_clone().expect("open"), tls.clone(), ended.clone());
    let (up, down) = (twice(), twice());
    [std::thread::spawn(move || carry_up(up)), std::thread::spawn(move || carry_down(down))]
}

type Ends = (TcpStream, UdpSocket, Arc<Mutex<Tls>>, Arc<AtomicBool>);

fn carry_up((mut stream, udp, tls, ended): Ends) {
    let (mut wire, mut plain) = ([0; 16 << 10], Vec::new());
    while let Ok(length @ 1..) = stream.read(&mut wire) {
        let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
        let told = tls.from_wire(&wire[..length], &mut plain);
        if flush(&mut tls, &mut stream).is_err() || !matches!(told, Ok(false)) {
            break;
        }
        drop(tls);
        loop {
            let used = match frame(&plain) {
                Framed::Blank { used } => used,
                Framed::Message { length } => {
                    // A registrar that is gone answers nothing.
                    drop(udp.send(&plain[..length]));
                    length
                }
                Framed::Incomplete | Framed::NotSip => break,
            };
            plain.drain(..used);
        }
    }
    ended.store(true, Ordering::Relaxed);
    drop(stream.shutdown(Shutdown::Both));
}

fn carry_down((mut stream, udp, tls, ended): Ends) {
    let mut answer = [0; 16 << 10];
    while !ended.load(Ordering::Relaxed) {
        let Ok(length) = udp.recv(&mut answer) else { continue };
        let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
        tls.send(&answer[..length]);
        if flush(&mut tls, &mut stream).is_err() {
            return;
        }
    }
}

fn flush(tls: &mut Tls, stream: &mut TcpStream) -> std::io::Result<()> {
    let mut wire = Vec::new();
    tls.to_wire(&mut wire);
    stream.write_all(&wire)
}
