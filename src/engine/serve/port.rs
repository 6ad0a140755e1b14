//! A port of the embedded registrar at which connections are accepted.

use crate::net::tcp::TcpPort;
use crate::net::tls::TlsServer;
use crate::vocab::Transport;
use std::io;
use std::net::SocketAddr;

/// Where connections are accepted.
pub struct StreamPort {
    /// `None`: nobody can connect for now.
    pub port: Option<TcpPort>,
    pub local: SocketAddr,
    /// What secures them.
    pub tls: Option<TlsServer>,
    /// Whether they are to become WebSockets.
    pub web: bool,
}

impl StreamPort {
    /// Listens on `local`; see [`TcpPort::bind`].
    ///
    /// # Errors
    /// As there.
    pub fn bind(local: SocketAddr, tls: Option<TlsServer>, web: bool) -> io::Result<StreamPort> {
        let port = TcpPort::bind(local)?;
        Ok(StreamPort { local: port.local_addr(), port: Some(port), tls, web })
    }

    pub(super) fn transport(&self) -> Transport {
        match (self.tls.is_some(), self.web) {
            (false, false) => Transport::Tcp,
            (true, false) => Transport::Tls,
            (false, true) => Transport::Ws,
            (true, true) => Transport::Wss,
        }
    }

    /// The same for another thread.
    pub(super) fn share(&self) -> io::Result<StreamPort> {
        let port = self.port.as_ref().map(TcpPort::share).transpose()?;
        Ok(StreamPort { port, local: self.local, tls: self.tls.clone(), web: self.web })
    }
}
