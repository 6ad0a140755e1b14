//! A probe's connection: opened while somebody waits for it, opened again when it was lost.

use crate::agent::probe::Todo;
use crate::engine::channels::{Channels, ClientLayers, Inbox, Layers, Progress};
use crate::net::clock::Clock;
use crate::net::poll::{Poller, StreamReady, StreamToken};
use crate::net::tcp::Tcp;
use crate::vocab::{FlowLoss, LayersTold, Trouble};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One connection, one after another.
pub(super) struct ProbeConnection {
    /// The address its requests come from, where that is given, and where they go.
    ends: (Option<IpAddr>, SocketAddr),
    layers: ClientLayers,
    channels: Channels<()>,
    token: Option<StreamToken>,
    inbox: Box<Inbox>,
    local: Option<SocketAddr>,
    lost: Option<FlowLoss>,
    /// What there is to say of its layers: what was agreed on, or why nothing was.
    said: Option<Result<LayersTold, String>>,
}

/// How long opening it may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl ProbeConnection {
    pub(super) fn new(ends: (Option<IpAddr>, SocketAddr), layers: ClientLayers, poller: &Poller) -> Self {
        let channels = Channels::new(poller.registry());
        ProbeConnection {
            ends,
            layers,
            channels,
            token: None,
            inbox: Box::new(Inbox::new()),
            local: None,
            lost: None,
            said: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.token.is_some() && self.lost.is_none()
    }

    pub(super) fn local(&self) -> SocketAddr {
        let nowhere = SocketAddr::new(self.ends.0.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 0);
        self.local.unwrap_or(nowhere)
    }

    /// What there is to say of its layers: what was agreed on, or why nothing was.
    pub(super) fn said(&self) -> Option<&Result<LayersTold, String>> {
        self.said.as_ref()
    }

    /// Why it is not open.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.lost.map(Trouble::Connection)
    }

    /// Opens it; what the network or the other end says to that is its [`trouble`](Self::trouble).
    ///
    /// # Errors
    /// When this machine has no socket for it.
    pub(super) fn connect(&mut self, poller: &mut Poller, clock: &Clock) -> io::Result<()> {
        (self.local, self.lost) = (None, None);
        let tcp = match Tcp::connect(self.ends.0, self.ends.1) {
            Ok(tcp) => tcp,
            Err(error) => {
                let why = crate::engine::channels::loss_of(&error);
                self.lost = Some(why);
                return if why == FlowLoss::Local { Err(error) } else { Ok(()) };
            }
        };
        self.token = Some(self.channels.add((), tcp, Layers::of_client(&self.layers), true)?);
        let end = clock.now() + PATIENCE;
        while self.local.is_none() && self.lost.is_none() {
            let now = clock.now();
            if now >= end {
                let why = self.token.map_or(FlowLoss::ConnectTimeout, |token| self.channels.too_late(token));
                self.fail(why);
                break;
            }
            poller.wait(Some(end.since(now)), &mut Vec::new())?;
            self.read(poller.streams(), |_, _| Todo::Wait);
        }
        Ok(())
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Why it is not open.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if let Some(token) = self.token {
            self.channels.put(token, |buffer| {
                buffer.get_mut(..bytes.len()).map_or(0, |place| {
                    place.copy_from_slice(bytes);
                    bytes.len()
                })
            });
            self.channels.flush();
        }
        for ((), why) in self.channels.take_broken() {
            self.fail(why);
        }
        self.trouble().map_or(Ok(()), Err)
    }

    /// Hands out what came, with the kernel's time of its arrival, as long as that is waited for.
    pub(super) fn read(&mut self, ready: &[StreamReady], mut each: impl FnMut(Option<u64>, &[u8]) -> Todo) {
        for event in ready {
            match self.channels.progress(*event, &mut self.inbox) {
                Progress::Nothing => {}
                Progress::Opened((), opened) => {
                    self.local = Some(opened.local);
                    let told = self.token.and_then(|token| self.channels.told(token));
                    self.said = told.map(Ok);
                }
                Progress::Lost((), why) => self.fail(why),
                Progress::Came(()) => {
                    let kernel_ns = self.inbox.kernel_ns;
                    while let Some(message) = self.inbox.next() {
                        if each(kernel_ns, message) != Todo::Wait {
                            break;
                        }
                    }
                    if let Progress::Lost((), why) = self.channels.settle(&mut self.inbox) {
                        self.fail(why);
                    }
                }
            }
        }
    }

    fn fail(&mut self, why: FlowLoss) {
        if let Some(token) = self.token.take() {
            self.channels.remove(token);
        }
        (self.local, self.lost) = (None, Some(why));
        if let Some(said) = self.channels.take_said() {
            self.said = Some(Err(said));
        }
    }
}
