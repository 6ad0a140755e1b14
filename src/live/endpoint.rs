//! `GET /metrics` over HTTP/1.1, for Prometheus and whoever speaks its language.
//!
//! A thread of its own answers, with a runtime of its own: a slow reader holds up nobody, and the
//! values can still be read while the run's files are being written. Who has read the last values
//! is remembered, so that a run can wait for that before it ends.

use super::metrics::Metrics;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Readers at the same time; one more takes the place of whoever has been there longest.
const CONNECTIONS: usize = 32;
/// How long one connection may last, whatever its reader does with it: they come back.
const LONGEST: Duration = Duration::from_secs(30);
/// Addresses remembered as readers.
const READERS: usize = 64;
/// How long a request's head may take, and how long an answer may at the end.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// By address: whether it has read the last values. A reader is somebody who has read values at
/// all.
type Readers = BTreeMap<IpAddr, bool>;

/// A running endpoint; it ends when it is dropped, with the answers under way.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    readers: watch::Receiver<Readers>,
    /// Dropped first: the thread ends when it is gone.
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Answers on a listener that is bound already.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn serve(listener: TcpListener, metrics: Metrics) -> io::Result<Self> {
        let (tell, readers) = watch::channel(Readers::new());
        let site = Arc::new(Site { metrics, readers: tell });
        let mut endpoint = Endpoint::open(listener, site, CONNECTIONS)?;
        endpoint.readers = readers;
        Ok(endpoint)
    }

    /// Answers with what a site says, to so many callers at the same time.
    pub(super) fn open(listener: TcpListener, site: Arc<dyn Served>, connections: usize) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = watch::channel(());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (_, readers) = watch::channel(Readers::new());
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || runtime.block_on(accept(listener, site, connections, stopped)))?;
        Ok(Endpoint { address, readers, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens; never port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until everybody who read values during the run has read the last ones; without a
    /// reader so far, until there is one.
    pub async fn last_values_read(&self) {
        let mut readers = self.readers.clone();
        // The sender lives as long as the thread; without it nobody can read any more.
        let _ = readers.wait_for(|readers| !readers.is_empty() && readers.values().all(|has_last| *has_last)).await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it is on standard error already, and no reason to lose a run.
            let _ = thread.join();
        }
    }
}

/// What is served: whatever is asked is answered at once.
pub(super) trait Served: Send + Sync + 'static {
    fn answer(&self, method: &Method, path: &str, peer: IpAddr) -> Response<Full<Bytes>>;
}

/// A run's metrics.
struct Site {
    metrics: Metrics,
    readers: watch::Sender<Readers>,
}

async fn accept(listener: TcpListener, site: Arc<dyn Served>, most: usize, mut stopped: watch::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    let mut places: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            connection = listener.accept() => match connection {
                Ok((stream, peer)) => {
                    places.retain(|place| !place.is_finished());
                    // Readers that do not read must not keep out one that does.
                    if places.len() >= most && let Some(longest) = places.pop_front() {
                        longest.abort();
                    }
                    let (site, stopped) = (Arc::clone(&site), stopped.clone());
                    let conversation = converse(stream, peer.ip(), site, stopped);
                    places.push_back(connections.spawn(async {
                        // Whoever has not read by then goes without.
                        let _ = tokio::time::timeout(LONGEST, conversation).await;
                    }));
                }
                // Out of descriptors, or a reader that went away again: the next one may fare
                // better.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever does not take its answer by then goes without.
    let _ = tokio::time::timeout(PATIENCE, all).await;
}

/// Answers one reader's requests until either side has had enough.
async fn converse(stream: TcpStream, peer: IpAddr, site: Arc<dyn Served>, mut stopped: watch::Receiver<()>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = site.answer(request.method(), request.uri().path(), peer);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A reader that breaks off or sends no HTTP concerns nobody else.
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

impl Served for Site {
    fn answer(&self, method: &Method, path: &str, peer: IpAddr) -> Response<Full<Bytes>> {
        if let Some(refused) = reads_only(method) {
            return refused;
        }
        match path {
            "/metrics" => {
                // Asked first: values that end in between are read again.
                let last = self.metrics.has_ended();
                let text = self.metrics.render();
                if *method == Method::GET {
                    self.remember(peer, last);
                }
                response(StatusCode::OK, OPENMETRICS, text)
            }
            "/" => response(StatusCode::OK, PLAIN, "regstorm: a run's metrics are at /metrics\n".to_owned()),
            _ => response(StatusCode::NOT_FOUND, PLAIN, "there is /metrics\n".to_owned()),
        }
    }
}

impl Site {
    fn remember(&self, peer: IpAddr, last: bool) {
        self.readers.send_if_modified(|readers| {
            let room = readers.len() < READERS || readers.contains_key(&peer);
            room && readers.insert(peer, last) != Some(last)
        });
    }
}

/// The refusal of a method that would change something.
pub(super) fn reads_only(method: &Method) -> Option<Response<Full<Bytes>>> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET and HEAD only\n".to_owned());
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(refused)
}

pub(super) fn response(status: StatusCode, content: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response
}
