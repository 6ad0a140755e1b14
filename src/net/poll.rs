//! Waiting for sockets, a wake-up or a deadline: epoll, an eventfd, and the thread's timer slack.

use super::{check, counted};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Waits for any number of sockets of one thread.
///
/// Level-triggered: a socket is reported until it has been drained of datagrams *and* of errors,
/// see
/// [`super::udp::Udp::errors_waiting`].
#[derive(Debug)]
pub struct Poller {
    epoll: Arc<OwnedFd>,
    waker: Waker,
    wait: Wait,
    streams: Vec<StreamReady>,
}

/// What a connection is ready for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamReady {
    pub token: StreamToken,
    /// There are bytes, an end or an error to read.
    pub readable: bool,
    /// There is room to write, or the outcome of connecting.
    pub writable: bool,
}

/// A connection's place among its thread's, and how many had that place before: what is said of one
/// that is gone must not be taken for its successor's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamToken {
    pub slot: u32,
    /// Of 31 bits.
    pub generation: u32,
}

impl StreamToken {
    fn word(self) -> u64 {
        STREAM | u64::from(self.generation & GENERATIONS) << 32 | u64::from(self.slot)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
    fn of(word: u64) -> Option<StreamToken> {
        (word & STREAM != 0).then_some(StreamToken { slot: word as u32, generation: (word >> 32) as u32 & GENERATIONS })
    }
}

/// Adds connections to a [`Poller`] while that is elsewhere.
#[derive(Clone, Debug)]
pub struct StreamRegistry {
    epoll: Arc<OwnedFd>,
}

impl StreamRegistry {
    /// Reports a connection from now on: what there is to read, and, if asked for, room to write.
    /// Closing it takes it out.
    ///
    /// # Errors
    /// When it is registered already or the kernel's limit on watches is reached.
    pub fn add(&self, socket: &impl AsFd, token: StreamToken, writable: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, token, writable)
    }

    /// As [`Poller::add`], for a socket that comes later.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub fn add_socket(&self, socket: &impl AsFd, token: u32) -> io::Result<()> {
        let fd = socket.as_fd().as_raw_fd();
        control(&self.epoll, libc::EPOLL_CTL_ADD, fd, u64::from(token), libc::EPOLLIN.cast_unsigned())
    }

    /// Asks, or no longer asks, for room to write.
    ///
    /// # Errors
    /// None is expected for a connection that was added.
    pub fn modify(&self, socket: &impl AsFd, token: StreamToken, writable: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, token, writable)
    }

    fn control(&self, how: libc::c_int, socket: &impl AsFd, token: StreamToken, writable: bool) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLRDHUP | if writable { libc::EPOLLOUT } else { 0 };
        control(&self.epoll, how, socket.as_fd().as_raw_fd(), token.word(), events.cast_unsigned())
    }
}

/// Wakes a [`Poller`] from another thread. A wake-up before the wait ends that wait at once;
/// several count as one.
#[derive(Clone, Debug)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

/// How a deadline is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    /// epoll_pwait2 (Linux 5.11), which counts in nanoseconds.
    Precise,
    /// ppoll on the epoll descriptor, which counts in nanoseconds too, then epoll_wait without
    /// waiting.
    TwoCalls,
}

impl Poller {
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        Self::waiting(Wait::Precise)
    }

    /// Reports `token` from [`wait`](Self::wait) while `socket` has datagrams or errors to read.
    /// Closing the socket takes it out.
    ///
    /// # Errors
    /// When the socket is registered already or the kernel's limit on watches is reached.
    pub fn add(&mut self, socket: &impl AsFd, token: u32) -> io::Result<()> {
        self.watch(socket.as_fd().as_raw_fd(), u64::from(token), 0)
    }

    /// As [`add`](Self::add), for a socket that the pollers of several threads watch: a datagram
    /// wakes one of them, where it would wake all, of which all but one would find nothing.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_shared(&mut self, socket: &impl AsFd, token: u32) -> io::Result<()> {
        self.watch(socket.as_fd().as_raw_fd(), u64::from(token), libc::EPOLLEXCLUSIVE as u32)
    }

    /// What connections are added with.
    pub fn registry(&self) -> StreamRegistry {
        StreamRegistry { epoll: self.epoll.clone() }
    }

    /// The connections that the last [`wait`](Self::wait) found ready.
    pub fn streams(&self) -> &[StreamReady] {
        &self.streams
    }

    /// A handle that ends a [`wait`](Self::wait) from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits until a socket is ready, a [`Waker`] was used, or `deadline` has passed (`None`: for
    /// ever), and replaces `ready` by the tokens of the sockets that are.
    ///
    /// After a wake-up, a signal or the deadline `ready` may be empty. It does not return before
    /// the deadline for any other reason.
    ///
    /// # Errors
    /// None is expected of a valid poller; what the kernel says is passed on.
    pub fn wait(&mut self, deadline: Option<Duration>, ready: &mut Vec<u32>) -> io::Result<()> {
        ready.clear();
        self.streams.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let count = match self.wait_for_events(deadline, &mut events) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        for event in &events[..count] {
            // Copied: the field of a packed struct.
            let (word, events) = (event.u64, event.events);
            match u32::try_from(word) {
                Ok(token) => ready.push(token),
                Err(_) if word == WAKER => self.waker.rest(),
                Err(_) => self.streams.extend(StreamToken::of(word).map(|token| StreamReady {
                    token,
                    readable: events & !(libc::EPOLLOUT as u32) != 0,
                    writable: events & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0,
                })),
            }
        }
        Ok(())
    }

    /// Whether more sockets may be ready than one wait can report.
    pub fn is_crowded(&self, ready: &[u32]) -> bool {
        ready.len() >= EVENTS - 1
    }

    fn waiting(wait: Wait) -> io::Result<Self> {
        // SAFETY: no pointers are passed; a descriptor that is returned belongs to nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let (epoll, streams) = (Arc::new(epoll), Vec::new());
        let mut poller = Self { epoll, waker: Waker::new()?, wait, streams };
        poller.watch(poller.waker.event.as_raw_fd(), WAKER, 0)?;
        Ok(poller)
    }

    fn watch(&mut self, fd: RawFd, token: u64, how: u32) -> io::Result<()> {
        control(&self.epoll, libc::EPOLL_CTL_ADD, fd, token, libc::EPOLLIN as u32 | how)
    }

    fn wait_for_events(&mut self, deadline: Option<Duration>, events: &mut [libc::epoll_event]) -> io::Result<usize> {
        if self.wait == Wait::Precise {
            match epoll_pwait2(self.epoll.as_raw_fd(), events, deadline) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    // An old kernel or a sandbox: once is enough to know.
                    self.wait = Wait::TwoCalls;
                }
                result => return result,
            }
        }
        wait_ready(self.epoll.as_raw_fd(), libc::POLLIN, deadline)?;
        let most = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the kernel writes at most `most` events to the slice, which has room for them and
        // outlives the call.
        counted(unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), most, 0) })
    }
}

fn control(epoll: &OwnedFd, how: libc::c_int, fd: RawFd, token: u64, events: u32) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: the kernel copies `event`, which outlives the call; both descriptors are open, being
    // borrowed from their owners.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), how, fd, &raw mut event) })?;
    Ok(())
}

impl Waker {
    /// Ends the poller's current wait, or its next one.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the kernel reads the eight bytes of `one`, which outlives the call. It can only
        // refuse because the counter is about to overflow, and then the poller is awake.
        unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn new() -> io::Result<Self> {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
        // SAFETY: no pointers are passed; a descriptor that is returned belongs to nobody else.
        let event = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, flags))?) };
        Ok(Self { event: Arc::new(event) })
    }

    /// Takes the wake-ups so far, so that the next wait waits.
    fn rest(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the kernel writes at most eight bytes to `count`, which outlives the call. It can
        // only fail because there is nothing to take.
        unsafe { libc::read(self.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// Lets the calling thread's timers fire to the nanosecond instead of up to 50 µs late (the default
/// slack of Linux).
///
/// Where the kernel refuses, as in some sandboxes, waits are coarser and nothing else changes; the
/// schedule lag then says so.
pub fn lower_timer_slack() {
    // SAFETY: this prctl takes a number and no pointer, and concerns the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Lets time pass, whatever is ready meanwhile; a signal may end it early.
pub fn pause(span: Duration) {
    let span = libc::timespec {
        tv_sec: span.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: span.subsec_nanos().into(),
    };
    // SAFETY: the kernel reads one timespec that outlives the call; what was left after a signal is
    // not asked for.
    unsafe { libc::nanosleep(&raw const span, std::ptr::null_mut()) };
}

/// Waits until something can be read from a terminal or pipe; false when the time is up first.
///
/// # Errors
/// When its other end is gone, which reading would not tell.
pub fn wait_input(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads and writes one pollfd that outlives the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    match check(ready) {
        // A signal, of a window that changed its size, for instance.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
        Ok(_) if poll.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 => {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, "the terminal is gone"))
        }
        Ok(ready) => Ok(ready > 0),
    }
}

/// Waits until something can be written to a terminal or pipe; false when the time is up first. One
/// that is gone counts as ready: writing to it tells.
pub fn wait_output(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let millis = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads and writes one pollfd that outlives the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    ready != 0
}

/// Waits until a pipe can be read without waiting, also of its end; false when the time is up
/// first.
pub(super) fn wait_output_of(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads and writes one pollfd that outlives the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
    ready > 0 && poll.revents != 0
}

/// Waits until `fd` is ready for `interest` (POLLIN, POLLOUT) or `timeout` has passed (`None`: for
/// ever).
pub(super) fn wait_ready(fd: RawFd, interest: libc::c_short, timeout: Option<Duration>) -> io::Result<()> {
    let mut poll = libc::pollfd { fd, events: interest, revents: 0 };
    let span = timeout.map(|span| libc::timespec {
        tv_sec: span.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: span.subsec_nanos().into(),
    });
    let span = span.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel reads and writes one pollfd and reads one timespec or nothing; both
    // outlive the call. A null signal mask leaves the mask as it is.
    check(unsafe { libc::ppoll(&raw mut poll, 1, span, std::ptr::null()) })?;
    Ok(())
}

/// By system call number: glibc has the function only since 2.35.
fn epoll_pwait2(epoll: RawFd, events: &mut [libc::epoll_event], deadline: Option<Duration>) -> io::Result<usize> {
    /// The kernel's own 64-bit timespec, the same on every architecture.
    #[repr(C)]
    struct KernelTimespec {
        seconds: i64,
        nanos: i64,
    }
    let span = deadline.map(|span| KernelTimespec {
        seconds: span.as_secs().try_into().unwrap_or(i64::MAX),
        nanos: span.subsec_nanos().into(),
    });
    let span = span.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel writes at most `events.len()` events to the slice and reads one timespec
    // or nothing; both outlive the call. A null signal mask (its size is then ignored) leaves the
    // mask as it is.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll,
            events.as_mut_ptr(),
            libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX),
            span,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        )
    };
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Events taken per call; what is left comes with the next.
const EVENTS: usize = 64;
/// No socket's token: those have 32 bits.
const WAKER: u64 = u64::MAX;
/// The tokens of connections. The highest of them is the waker's, and belongs to no connection: no
/// thread has 2^32 of them.
const STREAM: u64 = 1 << 63;
const GENERATIONS: u32 = u32::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Clock;

    fn pollers() -> [Poller; 2] {
        [Wait::Precise, Wait::TwoCalls].map(|wait| Poller::waiting(wait).expect("a poller"))
    }

    #[test]
    fn returns_at_the_deadline_and_not_before() {
        let clock = Clock::new();
        for mut poller in pollers() {
            for span in [Duration::ZERO, Duration::from_micros(150), Duration::from_millis(3)] {
                let before = clock.now();
                poller.wait(Some(span), &mut Vec::new()).expect("wait");
                let waited = clock.now().since(before);
                assert!(waited >= span, "{:?} {span:?} {waited:?}", poller.wait);
            }
        }
    }

    #[test]
    fn a_waker_ends_the_wait_once() {
        for mut poller in pollers() {
            let waker = poller.waker();
            let other = waker.clone();
            let thread = std::thread::spawn(move || other.wake());
            let mut ready = vec![7];
            poller.wait(None, &mut ready).expect("woken");
            thread.join().expect("the other thread");
            assert!(ready.is_empty());
            waker.wake();
            waker.wake();
            poller.wait(None, &mut ready).expect("woken before the wait");
            let clock = Clock::new();
            let before = clock.now();
            poller.wait(Some(Duration::from_millis(1)), &mut ready).expect("wait");
            assert!(clock.now().since(before) >= Duration::from_millis(1), "wake-ups must not pile up");
        }
    }

    #[test]
    fn timer_slack_is_lowered_for_this_thread() {
        lower_timer_slack();
        // SAFETY: this prctl takes no pointer.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1);
    }
}
