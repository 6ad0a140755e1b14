//! A registrar that sends everybody elsewhere: 302 with one Contact, to whoever asks.

use regstorm::sip::{emit, scan};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Redirects everybody to an address, and counts who asks.
pub struct Redirecting {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<usize>>,
}

impl Redirecting {
    pub fn start(contact: String) -> Redirecting {
        Self::at(UdpSocket::bind("127.0.0.1:0").expect("loopback"), Some(contact))
    }

    /// `None`: to itself.
    pub fn at(socket: UdpSocket, contact: Option<String>) -> Redirecting {
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a duration above zero");
        let (address, stop) = (socket.local_addr().expect("bound"), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let contact = contact.unwrap_or_else(|| format!("sip:{address}"));
        let server = std::thread::spawn(move || {
            let (mut bytes, mut answer, mut asked) = ([0; 4096], [0; 4096], 0);
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, phone)) = socket.recv_from(&mut bytes) else { continue };
                let Ok(request) = scan::request(&bytes[..length]) else { continue };
                asked += 1;
                let contact = format!("Contact: <{contact}>\r\n");
                let length =
                    emit::write_response(&request, 302, "Moved", phone, b"tag", contact.as_bytes(), &mut answer);
                socket.send_to(&answer[..length.expect("room")], phone).expect("loopback");
            }
            asked
        });
        Redirecting { address, stop, server: Some(server) }
    }

    pub fn asked(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.server.take().map_or(0, |server| server.join().expect("no panic"))
    }
}
