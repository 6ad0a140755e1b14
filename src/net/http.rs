//! Questions over HTTP and HTTPS to systems that say something about a registrar or a trunk.
//!
//! It asks and never changes: there are GET and POST, and a POST is a query. Nothing is waited for
//! without end, no body is longer than agreed, nobody is asked whom the caller has not allowed, and
//! neither the environment (proxies) nor an answer (redirects) sends a question elsewhere. What
//! goes into a question may be secret, so an error names the host and never the URL.

use super::tls::TlsSetupError;
use super::tls::check::{told, trusted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

/// Whom a client may ask, and for how long and how much.
#[derive(Clone, Debug)]
pub struct HttpOptions<'a> {
    /// Host names or addresses, without a port.
    pub hosts: Vec<String>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca: Option<&'a [u8]>,
    /// For the name's addresses, and again for the connection with its TLS.
    pub connect: Duration,
    /// For a question and its whole answer.
    pub whole: Duration,
    /// The longest body, in bytes.
    pub body: u64,
}

impl Default for HttpOptions<'_> {
    fn default() -> Self {
        HttpOptions {
            hosts: Vec::new(),
            ca: None,
            connect: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            body: 16 << 20,
        }
    }
}

/// A client; its connections are kept for the next question.
#[derive(Debug)]
pub struct HttpClient {
    agent: Agent,
    hosts: Vec<String>,
    whole: Duration,
    body: u64,
    /// Why nobody can be asked over HTTPS.
    untrusting: Option<TlsSetupError>,
}

/// Whatever was answered, a refusal too.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    pub status: u16,
    headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no such URL can be asked: {0}")]
    Url(String),
    #[error("{host} is none of the hosts that may be asked")]
    NotAllowed { host: String },
    #[error("the name {host} has no address")]
    NoAddress { host: String },
    #[error("{host} cannot be connected to: {why}")]
    NoConnection { host: String, why: String },
    #[error("{host} cannot be spoken to over TLS: {why}")]
    NotSecured { host: String, why: String },
    #[error("{host} took too long: {step}")]
    TooSlow { host: String, step: String },
    #[error("{host} answers with more than {limit} bytes")]
    TooMuch { host: String, limit: u64 },
    #[error("{host} sends to {to} instead of answering ({status}), and that is not followed")]
    Elsewhere { host: String, to: String, status: u16 },
    #[error("{host} does not answer as HTTP has it: {why}")]
    Broken { host: String, why: String },
}

/// What `Authorization` says of a user and a password (RFC 7617 §2).
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

impl HttpAnswer {
    /// A header that stands in it once or more, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl HttpClient {
    /// # Errors
    /// When `ca` holds no certificates that can be used.
    pub fn new(options: &HttpOptions<'_>) -> Result<HttpClient, TlsSetupError> {
        let (roots, untrusting) = match trusted(options.ca) {
            Ok(roots) => (roots, None),
            Err(error) if options.ca.is_some() => return Err(error),
            // Plain HTTP to this machine needs none.
            Err(error) => (Vec::new(), Some(error)),
        };
        let roots: Vec<_> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("regstorm/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .timeout_resolve(Some(options.connect))
            .timeout_connect(Some(options.connect))
            .timeout_global(Some(options.whole))
            .build();
        let hosts = options.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let (whole, body) = (options.whole, options.body);
        Ok(HttpClient { agent: config.into(), hosts, whole, body, untrusting })
    }

    /// Asks for what is at `url`.
    ///
    /// # Errors
    /// When there is no answer; a status that refuses is one.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer, HttpError> {
        let (uri, host) = self.allowed(url)?;
        let request = headers.iter().fold(self.agent.get(uri), |request, (name, value)| request.header(*name, *value));
        self.answer(host, request.call())
    }

    /// Asks with a body: a query.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<HttpAnswer, HttpError> {
        let (uri, host) = self.allowed(url)?;
        let request = headers.iter().fold(self.agent.post(uri), |request, (name, value)| request.header(*name, *value));
        self.answer(host, request.send(body))
    }

    /// The URL and the host in it, if that one may be asked.
    fn allowed(&self, url: &str) -> Result<(Uri, String), HttpError> {
        let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| HttpError::Url(error.to_string()))?;
        let secured = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url("it begins neither with https:// nor with http://".to_owned())),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        if !self.hosts.contains(&host) {
            return Err(HttpError::NotAllowed { host });
        }
        match &self.untrusting {
            Some(error) if secured => Err(HttpError::NotSecured { host, why: error.to_string() }),
            _ => Ok((uri, host)),
        }
    }

    fn answer(&self, host: String, answered: Result<Response<Body>, ureq::Error>) -> Result<HttpAnswer, HttpError> {
        let mut response = match answered {
            Ok(response) => response,
            Err(error) => return Err(self.told(host, error)),
        };
        let status = response.status().as_u16();
        if response.status().is_redirection()
            && let Some(to) = response.headers().get(header::LOCATION)
        {
            let to = to.to_str().ok().and_then(|to| to.parse::<Uri>().ok());
            let to = to.as_ref().and_then(Uri::host).unwrap_or("another place").to_owned();
            return Err(HttpError::Elsewhere { host, to, status });
        }
        let body = response.body_mut().with_config().limit(self.body).read_to_vec();
        match body {
            Ok(body) => Ok(HttpAnswer { status, headers: response.headers().clone(), body }),
            Err(error) => Err(self.told(host, error)),
        }
    }

    fn told(&self, host: String, error: ureq::Error) -> HttpError {
        use ureq::Error;
        match error {
            Error::HostNotFound => HttpError::NoAddress { host },
            Error::Timeout(step) => HttpError::TooSlow { host, step: self.slow(step) },
            Error::BodyExceedsLimit(_) => HttpError::TooMuch { host, limit: self.body },
            Error::Rustls(error) => HttpError::NotSecured { host, why: tls_failure(&error) },
            Error::Tls(why) => HttpError::NotSecured { host, why: why.to_owned() },
            Error::ConnectionFailed => {
                HttpError::NoConnection { host, why: "none of its addresses answers".to_owned() }
            }
            Error::Http(error) => HttpError::Url(error.to_string()),
            Error::BadUri(why) => HttpError::Url(why),
            Error::Io(error) => io_failure(host, &error),
            error => HttpError::Broken { host, why: error.to_string() },
        }
    }

    fn slow(&self, step: Timeout) -> String {
        match step {
            Timeout::Resolve => "looking up its name".to_owned(),
            Timeout::Connect => "connecting".to_owned(),
            _ => format!("there was no whole answer within {} s", self.whole.as_secs_f32()),
        }
    }
}

fn io_failure(host: String, error: &io::Error) -> HttpError {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return HttpError::NotSecured { host, why: tls_failure(error) };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            HttpError::Broken { host, why: "it hung up".to_owned() }
        }
        _ => HttpError::NoConnection { host, why: error.to_string() },
    }
}

fn tls_failure(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(about) => format!("its certificate is refused: {}", told(about, None)),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS there".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::{SelfSigned, TlsServer};
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    /// Takes up connections; each gets this in a thread of its own.
    fn serve(each: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("bound");
        let each = Arc::new(each);
        std::thread::spawn(move || {
            for mut caller in server.incoming().flatten() {
                let each = each.clone();
                std::thread::spawn(move || each(&mut caller));
            }
        });
        address
    }

    fn says(text: &'static str) -> SocketAddr {
        serve(move |caller| {
            let _asked = caller.read(&mut [0; 4096]);
            let _told = caller.write_all(text.as_bytes());
        })
    }

    fn client(change: impl FnOnce(&mut HttpOptions<'_>)) -> HttpClient {
        let mut options = HttpOptions { hosts: vec!["127.0.0.1".to_owned()], ..HttpOptions::default() };
        change(&mut options);
        HttpClient::new(&options).expect("a client")
    }

    fn fails(client: &HttpClient, address: SocketAddr) -> String {
        let answered = client.get(&format!("http://{address}/api?token=hidden"), &[]);
        let told = answered.expect_err("no answer").to_string();
        assert!(!told.contains("hidden"), "{told}");
        told
    }

    #[test]
    fn basic_credentials_are_written_as_their_rfc_shows() {
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn an_answer_has_its_status_headers_and_body_whatever_it_says() {
        let address = says("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}");
        let answer = client(|_| {}).post(&format!("http://{address}/"), &[("X-A", "1")], b"{}").expect("answered");
        assert_eq!((answer.status, answer.header("retry-after"), &*answer.body), (429, Some("7"), &b"{}"[..]));
    }

    #[test]
    fn silence_and_bytes_that_dribble_end_after_the_time_that_is_given() {
        let short = client(|options| options.whole = Duration::from_millis(300));
        let silent = serve(|caller| while matches!(caller.read(&mut [0; 4096]), Ok(1..)) {});
        assert_eq!(fails(&short, silent), "127.0.0.1 took too long: there was no whole answer within 0.3 s");
        let dribbling = serve(|caller| {
            let _asked = caller.read(&mut [0; 4096]);
            let _told = caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
            while matches!(caller.read(&mut [0; 64]), Ok(1..)) {}
        });
        assert_eq!(fails(&short, dribbling), "127.0.0.1 took too long: there was no whole answer within 0.3 s");
    }

    #[test]
    fn no_body_and_no_header_is_read_without_end() {
        let body = serve(|caller| {
            let _asked = caller.read(&mut [0; 4096]);
            let mut more = caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while more.is_ok() {
                more = caller.write_all(&[b'x'; 1 << 12]);
            }
        });
        let small = client(|options| options.body = 1 << 16);
        assert_eq!(fails(&small, body), "127.0.0.1 answers with more than 65536 bytes");
        let header = serve(|caller| {
            let _asked = caller.read(&mut [0; 4096]);
            let mut more = caller.write_all(b"HTTP/1.1 200 OK\r\nX: ");
            while more.is_ok() {
                more = caller.write_all(&[b'x'; 1 << 12]);
            }
        });
        let told = fails(&small, header);
        assert!(told.starts_with("127.0.0.1 does not answer as HTTP has it: "), "{told}");
    }

    #[test]
    fn nobody_is_asked_who_is_not_allowed_whatever_a_redirect_says() {
        let address =
            says("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n");
        let told = fails(&client(|_| {}), address);
        assert_eq!(told, "127.0.0.1 sends to 169.254.169.254 instead of answering (302), and that is not followed");
        let told = fails(&client(|options| options.hosts = vec!["api.example.com".to_owned()]), address);
        assert_eq!(told, "127.0.0.1 is none of the hosts that may be asked");
        let allowed = |url: &str| client(|_| {}).get(url, &[]).expect_err("refused").to_string();
        assert!(allowed("http://127.0.0.1@other.example/").starts_with("other.example is none"));
        assert!(allowed("ftp://127.0.0.1/").contains("https://"));
    }

    #[test]
    fn whoever_hangs_up_speaks_something_else_or_is_not_there_is_told_apart() {
        let all = client(|_| {});
        let told = fails(&all, says("SIP/2.0 200 OK\r\n\r\n"));
        assert!(told.starts_with("127.0.0.1 does not answer as HTTP has it: "), "{told}");
        let told = fails(&all, serve(|caller| drop(caller.read(&mut [0; 4096]))));
        assert_eq!(told, "127.0.0.1 does not answer as HTTP has it: it hung up");
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let told = fails(&all, nobody);
        assert!(told.starts_with("127.0.0.1 cannot be connected to: "), "{told}");
    }

    /// Answers over TLS.
    fn serve_tls(server: TlsServer) -> SocketAddr {
        serve(move |caller| {
            let mut tls = server.begin().expect("begun");
            let (mut asked, mut answered, mut wire) = (Vec::new(), false, [0; 4096]);
            while let Ok(read @ 1..) = caller.read(&mut wire) {
                let failed = tls.from_wire(&wire[..read], &mut asked).is_err();
                if !answered && asked.ends_with(b"\r\n\r\n") {
                    tls.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                    answered = true;
                }
                let mut out = Vec::new();
                tls.to_wire(&mut out);
                if caller.write_all(&out).is_err() || failed {
                    return;
                }
            }
        })
    }

    #[test]
    fn a_certificate_is_checked_against_the_authorities_that_are_given() {
        let made = |name: &str| {
            let made = SelfSigned::new(vec![name.to_owned()]).expect("a name");
            let server = TlsServer::new(made.certificate.as_bytes(), made.key.as_bytes()).expect("usable");
            (made, serve_tls(server))
        };
        let asks = |ca: &SelfSigned, address: SocketAddr| {
            let options = HttpOptions {
                hosts: vec!["127.0.0.1".to_owned()],
                ca: Some(ca.certificate.as_bytes()),
                ..HttpOptions::default()
            };
            let client = HttpClient::new(&options).expect("a client");
            client.get(&format!("https://{address}/"), &[]).map(|answer| answer.body).map_err(|error| error.to_string())
        };
        let (ours, there) = made("127.0.0.1");
        assert_eq!(asks(&ours, there), Ok(b"hello".to_vec()));
        let (named, elsewhere) = made("api.example.com");
        let told = asks(&named, elsewhere).expect_err("refused");
        assert!(told.contains("its certificate is refused: it is not for 127.0.0.1"), "{told}");
        let told = asks(&named, there).expect_err("refused");
        assert!(told.contains("none of the trusted authorities has issued it"), "{told}");
        let told = asks(&ours, says("HTTP/1.1 400 Bad Request\r\n\r\n")).expect_err("no TLS");
        assert_eq!(told, "127.0.0.1 cannot be spoken to over TLS: it does not speak TLS there");
    }
}
