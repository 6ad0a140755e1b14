//! A TCP connection that never blocks, and the listening socket.
//!
//! Small messages are not held back for company (TCP_NODELAY): a REGISTER is one, and waits for its
//! answer. Where the kernel stamps what arrives, [`Tcp::read`] says when that was: the time of the
//! last segment that was merged into what is read, so never before a message was complete.

use super::udp::control::{self, Control};
use super::udp::header;
use super::{check, size_for_kernel};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// One connection.
#[derive(Debug)]
pub struct Tcp {
    socket: Socket,
}

/// A socket that accepts connections.
#[derive(Debug)]
pub struct TcpPort {
    socket: Socket,
    local: SocketAddr,
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpRead {
    /// 0: the other end has closed its half.
    pub len: usize,
    /// CLOCK_REALTIME of its arrival, in nanoseconds.
    pub kernel_ns: Option<u64>,
}

impl Tcp {
    /// Begins to connect to `remote`, from a port of the kernel's choice on `source` (`None`: on
    /// the address the kernel would route from). When it is ready to be written to,
    /// [`connected`](Self::connected) says what came of it.
    ///
    /// # Errors
    /// When there is no socket or port to be had, `source` is not ours, or `remote` has no route.
    pub fn connect(source: Option<IpAddr>, remote: SocketAddr) -> io::Result<Tcp> {
        let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
        prepare(&socket)?;
        if let Some(source) = source {
            // The kernel then picks the port in connect(), where it only has to be free towards
            // that target.
            let _saves_ports_where_known = set(&socket, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&remote.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(Tcp { socket }),
        }
    }

    /// The outcome of connecting: its local address.
    ///
    /// # Errors
    /// Why there is no connection.
    pub fn connected(&self) -> io::Result<SocketAddr> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => {
                self.socket.peer_addr()?;
                self.local_addr()
            }
        }
    }

    /// Where it comes from.
    ///
    /// # Errors
    /// When it is not connected.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is; else the connection is gone.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<TcpRead> {
        let mut stamp = Control::default();
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut header = header::empty();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = stamp.0.as_mut_ptr().cast();
        header.msg_controllen = stamp.0.len() as _;
        // SAFETY: the header points to the vector and the control buffer on this stack, and the
        // vector to `buffer`, with their true lengths; all outlive the call, during which nothing
        // else touches them. The kernel writes no further than the lengths, and keeps no pointer.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
        let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
        Ok(TcpRead { len, kernel_ns: control::told(header::told(&header, &stamp.0)).kernel_ns })
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else the connection is gone.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    }
}

impl Tcp {
    /// What is not sent yet is dropped when it is closed, and the other end hears of a reset.
    pub fn forget(&self) {
        // A socket that cannot be told so is closed the usual way.
        let _ = self.socket.set_linger(Some(std::time::Duration::ZERO));
    }
}

impl TcpPort {
    /// Listens on `local`; port 0 lets the kernel choose. An IPv6 one takes no IPv4.
    ///
    /// # Errors
    /// When there is no socket to be had, or `local` is not ours or in use.
    pub fn bind(local: SocketAddr) -> io::Result<TcpPort> {
        let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // A registrar that is started again must not wait for what is left of its connections.
        socket.set_reuse_address(true)?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&local.into())?;
        socket.listen(BACKLOG)?;
        let bound = socket.local_addr()?.as_socket().unwrap_or(local);
        Ok(TcpPort { socket, local: bound })
    }

    /// The same socket for another thread.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub fn share(&self) -> io::Result<TcpPort> {
        Ok(TcpPort { socket: self.socket.try_clone()?, local: self.local })
    }

    /// The address it is bound to, with the port the kernel chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection, and where it comes from; `None` when there is none.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub fn accept(&self) -> io::Result<Option<(Tcp, SocketAddr)>> {
        loop {
            match self.socket.accept() {
                Ok((socket, from)) => {
                    prepare(&socket)?;
                    let from = from.as_socket().unwrap_or(self.local);
                    return Ok(Some((Tcp { socket }, from)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // It was gone before we came to it.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EINTR)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for TcpPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let _times_of_our_own_will_do = set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
    Ok(())
}

fn set(socket: &Socket, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let (on, len): (libc::c_int, _) = (1, size_for_kernel::<libc::c_int>());
    // SAFETY: the kernel reads one integer from `on`, which outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), len) })?;
    Ok(())
}

/// Connections that may wait to be accepted; the kernel takes less where net.core.somaxconn is.
const BACKLOG: i32 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::poll::{Poller, StreamReady, StreamToken};

    const LOCALHOST: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn ready(poller: &mut Poller) -> Vec<StreamReady> {
        poller.wait(Some(std::time::Duration::from_secs(20)), &mut Vec::new()).expect("wait");
        poller.streams().to_vec()
    }

    #[test]
    fn bytes_go_both_ways_and_an_end_is_seen() {
        let port = TcpPort::bind(LOCALHOST).expect("a port");
        let mut poller = Poller::new().expect("a poller");
        let near = Tcp::connect(Some(LOCALHOST.ip()), port.local_addr()).expect("begun");
        let token = StreamToken { slot: 3, generation: 7 };
        poller.registry().add(&near, token, true).expect("added");
        assert_eq!(ready(&mut poller), [StreamReady { token, readable: false, writable: true }]);
        let local = near.connected().expect("connected");
        let (far, from) = port.accept().expect("accept").expect("one waits");
        assert_eq!((from, port.accept().expect("accept").is_none()), (local, true));
        poller.registry().modify(&near, token, false).expect("modified");
        let mut buffer = [0; 16];
        let mut receive = || {
            assert_eq!(far.write(b"hello").expect("room"), 5);
            assert_eq!(ready(&mut poller), [StreamReady { token, readable: true, writable: false }]);
            near.read(&mut buffer).expect("bytes")
        };
        assert_eq!(receive().len, 5);
        // The kernel begins to stamp a little after it was first asked to, in its own time.
        assert!((0..10_000).any(|_| receive().kernel_ns.is_some()));
        assert_eq!(near.read(&mut buffer).expect_err("nothing left").kind(), io::ErrorKind::WouldBlock);
        drop(far);
        assert!(ready(&mut poller)[0].readable);
        assert_eq!(near.read(&mut buffer).expect("an end").len, 0);
    }

    #[test]
    fn a_port_nobody_listens_on_refuses() {
        let free = TcpPort::bind(LOCALHOST).expect("a port").local_addr();
        let mut poller = Poller::new().expect("a poller");
        // On loopback it may be refused at once.
        let Ok(tcp) = Tcp::connect(None, free) else { return };
        poller.registry().add(&tcp, StreamToken { slot: 0, generation: 0 }, true).expect("added");
        assert!(ready(&mut poller)[0].writable);
        assert_eq!(tcp.connected().expect_err("nobody").kind(), io::ErrorKind::ConnectionRefused);
    }
}
