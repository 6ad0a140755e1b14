//! TLS over a connection's bytes: rustls, and which check it was that failed.
//!
//! Nothing here reads or writes a socket: bytes of the wire go in and come out, and so do those
//! that are carried. Which certificates are trusted is decided once, when a [`TlsClient`] is made.

pub(super) mod check;
mod pem;

pub use pem::{TlsPart, TlsSetupError};

use super::layer::{LayerFailure, begins};
use crate::net::certificate::CertificateFacts;
use crate::vocab::{FlowLoss, Secured, ShownCertificate};
use check::{Checked, Unchecked};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Connection, HandshakeKind, ServerConfig};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// What a client is given, as PEM.
#[derive(Clone, Copy, Default, Debug)]
pub struct TlsClientParts<'a> {
    /// Trusted instead of the system's.
    pub ca: Option<&'a [u8]>,
    /// Its own certificate, its issuers behind it, and its key.
    pub identity: Option<(&'a [u8], &'a [u8])>,
    /// Whether the server's certificate is checked.
    pub verify: bool,
    /// Whether a connection takes up the session of the one before it.
    pub resumption: bool,
}

/// How connections to one server are secured; a copy is cheap.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: Arc<ServerName<'static>>,
    /// Knows the certificate it refused last.
    checked: Option<Arc<Checked>>,
}

/// A certificate that clients show, with its key; a copy is cheap.
#[derive(Clone)]
pub struct TlsIdentity(Arc<SingleCertAndKey>);

impl TlsIdentity {
    /// Of a certificate, its issuers behind it, and its key, as PEM.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let (chain, key) = pem::identity(chain, key)?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let certified = certified.map_err(|error| pem::unfit(&error))?;
        Ok(TlsIdentity(Arc::new(SingleCertAndKey::from(certified))))
    }
}

/// How connections to us are secured.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

/// The TLS of one connection.
pub struct Tls {
    connection: Box<Connection>,
    checked: Option<Arc<Checked>>,
    /// Whether a record of TLS ever came.
    spoke: bool,
}

impl TlsClient {
    /// `name` is what the server's certificate must be for: a host name or an address.
    ///
    /// # Errors
    /// When certificates or keys cannot be used, or there are no system certificates.
    pub fn new(parts: &TlsClientParts<'_>, name: &str) -> Result<Self, TlsSetupError> {
        let no_name = || TlsSetupError::new(TlsPart::Name, format!("\"{name}\" is no host name or address"));
        let name = ServerName::try_from(name.to_owned()).map_err(|_| no_name())?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::other)?
            .dangerous();
        let checked = parts.verify.then(|| Checked::new(parts.ca, &provider)).transpose()?.map(Arc::new);
        let builder = match &checked {
            Some(checked) => builder.with_custom_certificate_verifier(checked.clone()),
            None => builder.with_custom_certificate_verifier(Arc::new(Unchecked(provider))),
        };
        let mut config = match parts.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let (chain, key) = pem::identity(chain, key)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| pem::unfit(&error))?
            }
        };
        // Every phone has sessions of its own: one must not take up another's, or a storm of phones
        // that come for the first time would cost the server next to nothing.
        config.resumption = if parts.resumption { one_session() } else { Resumption::disabled() };
        Ok(TlsClient { config: Arc::new(config), name: Arc::new(name), checked })
    }

    /// The same for another phone, which has no session yet.
    pub fn for_another(&self, resumption: bool) -> TlsClient {
        if !resumption {
            return self.clone();
        }
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = one_session();
        TlsClient { config: Arc::new(config), ..self.clone() }
    }

    /// The same for a phone that shows this certificate, with no session yet.
    pub fn showing(&self, identity: &TlsIdentity, resumption: bool) -> TlsClient {
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = identity.0.clone();
        config.resumption = if resumption { one_session() } else { Resumption::disabled() };
        TlsClient { config: Arc::new(config), ..self.clone() }
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// None is expected of a usable configuration.
    pub fn begin(&self) -> io::Result<Tls> {
        let name = ServerName::clone(&self.name);
        let client = rustls::ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        Ok(Tls { connection: Box::new(client.into()), checked: self.checked.clone(), spoke: false })
    }
}

fn one_session() -> Resumption {
    Resumption::store(Arc::new(ClientSessionMemoryCache::new(1)))
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsServer {
    /// With a certificate, its issuers behind it, and its key, as PEM.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let (chain, key) = pem::identity(chain, key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| pem::unfit(&error))?;
        // However many phones there are, the server keeps nothing of their sessions.
        config.ticketer = ring::Ticketer::new().map_err(TlsSetupError::other)?;
        config.send_tls13_tickets = 1;
        Ok(TlsServer { config: Arc::new(config) })
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// None is expected of a usable configuration.
    pub fn begin(&self) -> io::Result<Tls> {
        let server = rustls::ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        Ok(Tls { connection: Box::new(server.into()), checked: None, spoke: false })
    }
}

impl Tls {
    /// Takes bytes of the wire and appends what they carry to `plain`; what is to be answered is
    /// fetched with [`to_wire`](Self::to_wire). True when the other end has said that it ends.
    ///
    /// # Errors
    /// Why the connection cannot go on; what is to be told the other end is fetched all the same.
    pub fn from_wire(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<bool, LayerFailure> {
        let mut ended = false;
        while !wire.is_empty() {
            let first = wire;
            match self.connection.read_tls(&mut wire) {
                // After the peer's close_notify, rustls reads nothing more.
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) => return Err(LayerFailure { why: FlowLoss::Handshake, said: error.to_string() }),
            }
            let state = self.connection.process_new_packets().map_err(|error| self.failure(&error, first))?;
            self.spoke = true;
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            let read = self.connection.reader().read(&mut plain[from..]).unwrap_or(0);
            plain.truncate(from + read);
            ended |= state.peer_has_closed();
        }
        Ok(ended)
    }

    /// Takes bytes that are to be carried.
    pub fn send(&mut self, plain: &[u8]) {
        // rustls buffers whatever it is given; the caller bounds how much.
        let _kept = self.connection.writer().write_all(plain);
    }

    /// Says that nothing more comes.
    pub fn end(&mut self) {
        self.connection.send_close_notify();
    }

    /// Appends what is to leave on the wire.
    pub fn to_wire(&mut self, wire: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(wire).is_err() {
                return;
            }
        }
    }

    /// Whether the two ends have not agreed yet.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// What was agreed on, once it is.
    pub fn secured(&self) -> Option<Secured> {
        Some(Secured {
            version: self.connection.protocol_version()?.as_str()?,
            suite: self.connection.negotiated_cipher_suite()?.suite().as_str()?,
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// What was agreed on, and what the other end's certificate says, for people; and its last day.
    pub fn told(&self) -> Option<(String, Option<String>)> {
        let Secured { version, suite, .. } = self.secured()?;
        let shown = self.connection.peer_certificates()?.first().map(|der| CertificateFacts::read(der))?;
        let unchecked = if self.checked.is_none() { "; nobody checks it (verify = false)" } else { "" };
        Some((format!("{version} {suite}; {shown}{unchecked}"), shown.not_after))
    }

    /// What an error means for its connection; `wire` is what it came of.
    fn failure(&self, error: &rustls::Error, wire: &[u8]) -> LayerFailure {
        use rustls::Error;
        let (why, said) = match error {
            Error::InvalidCertificate(about) => {
                let seen = self.checked.as_ref().and_then(|checked| checked.take_refused());
                (certificate_loss(about), check::told(about, seen))
            }
            Error::NoCertificatesPresented => (FlowLoss::Certificate, "the server showed no certificate".to_owned()),
            Error::AlertReceived(alert) => (FlowLoss::Handshake, format!("the other end said {alert:?}")),
            // What is no TLS record at all.
            Error::InvalidMessage(_) if !self.spoke => (FlowLoss::NotTls, format!("what came begins {}", begins(wire))),
            error => (FlowLoss::Handshake, error.to_string()),
        };
        LayerFailure { why, said }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Which check of a certificate failed.
fn certificate_loss(about: &CertificateError) -> FlowLoss {
    match about {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            FlowLoss::CertificateName
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => FlowLoss::CertificateTime,
        // Signed by somebody who only has the name of one we trust.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => FlowLoss::CertificateIssuer,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            FlowLoss::CertificatePurpose
        }
        _ => FlowLoss::Certificate,
    }
}

/// A certificate of our own making, for a registrar that has been given none.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// PEM.
    pub certificate: String,
    pub key: String,
}

impl SelfSigned {
    /// One for these names and addresses.
    ///
    /// # Errors
    /// When one of them can be in no certificate.
    pub fn new(names: Vec<String>) -> Result<SelfSigned, TlsSetupError> {
        let parts = SelfSigned::parts(names)?;
        let key = rcgen::KeyPair::generate().map_err(TlsSetupError::other)?;
        SelfSigned::signed(&parts, &key)
    }

    fn parts(names: Vec<String>) -> Result<rcgen::CertificateParams, TlsSetupError> {
        let mut parts = rcgen::CertificateParams::new(names).map_err(TlsSetupError::other)?;
        parts.distinguished_name = rcgen::DistinguishedName::new();
        parts.distinguished_name.push(rcgen::DnType::CommonName, "regstorm");
        Ok(parts)
    }

    /// One for the same names with something wrong: whoever trusts this one accepts that one but
    /// for what is wrong with it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(&self, names: Vec<String>, wrong: ShownCertificate) -> Result<SelfSigned, TlsSetupError> {
        let own = rcgen::KeyPair::from_pem(&self.key).map_err(TlsSetupError::other)?;
        match wrong {
            ShownCertificate::UnknownCa => SelfSigned::new(names),
            ShownCertificate::WrongName => SelfSigned::signed(&SelfSigned::parts(vec![NOBODY.to_owned()])?, &own),
            ShownCertificate::Expired => {
                let mut parts = SelfSigned::parts(names)?;
                parts.not_before = rcgen::date_time_ymd(2024, 1, 1);
                parts.not_after = rcgen::date_time_ymd(2025, 1, 1);
                SelfSigned::signed(&parts, &own)
            }
        }
    }

    fn signed(parts: &rcgen::CertificateParams, key: &rcgen::KeyPair) -> Result<SelfSigned, TlsSetupError> {
        let certificate = parts.self_signed(key).map_err(TlsSetupError::other)?.pem();
        Ok(SelfSigned { certificate, key: key.serialize_pem() })
    }
}

/// A name that is nobody's (RFC 2606 §2).
const NOBODY: &str = "another-server.invalid";

/// SHA-256 of the first certificate in a PEM text, as people compare it: `AB:CD:…`.
///
/// # Errors
/// When there is none.
pub fn fingerprint(pem: &[u8]) -> Result<String, TlsSetupError> {
    let first = pem::certificates(TlsPart::Certificate, pem)?.swap_remove(0);
    let sha256 = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let digest = sha256.map(|suite| suite.common.hash_provider.hash(&first));
    let bytes = digest.iter().flat_map(|digest| digest.as_ref()).map(|byte| format!("{byte:02X}"));
    Ok(bytes.collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(client: &TlsClient, server: &TlsServer) -> (Tls, Tls) {
        (client.begin().expect("begun"), server.begin().expect("begun"))
    }

    /// Lets the two ends speak until neither has anything to say; the first error of each.
    fn handshake(near: &mut Tls, far: &mut Tls) -> [Result<bool, FlowLoss>; 2] {
        let mut ends = [Ok(false), Ok(false)];
        for _ in 0..8 {
            let (mut up, mut down, mut plain) = (Vec::new(), Vec::new(), Vec::new());
            near.to_wire(&mut up);
            ends[1] = ends[1].and_then(|_| far.from_wire(&up, &mut plain).map_err(|failure| failure.why));
            far.to_wire(&mut down);
            ends[0] = ends[0].and_then(|_| near.from_wire(&down, &mut plain).map_err(|failure| failure.why));
        }
        ends
    }

    fn server(names: &[&str]) -> (SelfSigned, TlsServer) {
        let made = SelfSigned::new(names.iter().map(|name| (*name).to_owned()).collect()).expect("names");
        let server = TlsServer::new(made.certificate.as_bytes(), made.key.as_bytes()).expect("usable");
        (made, server)
    }

    fn client(ca: Option<&SelfSigned>, name: &str) -> TlsClient {
        let ca = ca.map(|made| made.certificate.as_bytes());
        TlsClient::new(&TlsClientParts { ca, verify: true, ..TlsClientParts::default() }, name).expect("usable")
    }

    #[test]
    fn what_is_trusted_is_carried_both_ways() {
        let (made, server) = server(&["localhost", "127.0.0.1"]);
        for name in ["localhost", "127.0.0.1"] {
            let (mut near, mut far) = both(&client(Some(&made), name), &server);
            assert_eq!(handshake(&mut near, &mut far), [Ok(false), Ok(false)], "{name}");
            assert!(!near.is_handshaking() && !far.is_handshaking());
            assert_eq!(near.secured().map(|secured| (secured.version, secured.resumed)), Some(("TLSv1_3", false)));
            let (mut wire, mut plain) = (Vec::new(), Vec::new());
            near.send(b"REGISTER");
            near.end();
            near.to_wire(&mut wire);
            // In pieces of any size.
            let ended = wire.chunks(3).map(|piece| far.from_wire(piece, &mut plain).expect("TLS")).last();
            assert_eq!((plain.as_slice(), ended), (&b"REGISTER"[..], Some(true)));
            assert_eq!(far.from_wire(b"behind its end", &mut plain), Ok(true), "nobody listens");
        }
    }

    #[test]
    fn a_check_that_fails_says_which() {
        let (made, named) = server(&["other.example"]);
        let (stranger, _) = server(&["other.example"]);
        for (client, why) in [
            (client(Some(&made), "localhost"), FlowLoss::CertificateName),
            (client(Some(&stranger), "other.example"), FlowLoss::CertificateIssuer),
        ] {
            let (mut near, mut far) = both(&client, &named);
            assert_eq!(handshake(&mut near, &mut far)[0], Err(why));
        }
        let unchecked = TlsClientParts { verify: false, ..TlsClientParts::default() };
        let (mut near, mut far) = both(&TlsClient::new(&unchecked, "localhost").expect("usable"), &named);
        assert_eq!(handshake(&mut near, &mut far)[0], Ok(false), "asked for");
    }

    #[test]
    fn what_speaks_no_tls_is_named() {
        let (made, _) = server(&["localhost"]);
        let mut near = client(Some(&made), "localhost").begin().expect("begun");
        let said = "what came begins \"HTTP/1.1 400 Bad Request\"".to_owned();
        let failure = near.from_wire(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new());
        assert_eq!(failure, Err(LayerFailure { why: FlowLoss::NotTls, said }));
    }

    /// A certificate as `openssl req -x509` makes it: its own issuer, and called an authority.
    fn authority(change: impl FnOnce(&mut rcgen::CertificateParams)) -> SelfSigned {
        let mut parts = rcgen::CertificateParams::new(vec!["pbx.example".to_owned()]).expect("a name");
        parts.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        change(&mut parts);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parts.self_signed(&key).expect("signed").pem();
        SelfSigned { certificate, key: key.serialize_pem() }
    }

    fn said(made: &SelfSigned, ca: Option<&SelfSigned>, name: &str) -> Result<bool, LayerFailure> {
        let server = TlsServer::new(made.certificate.as_bytes(), made.key.as_bytes()).expect("usable");
        let (mut near, mut far) = both(&client(ca, name), &server);
        let (mut up, mut down, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        near.to_wire(&mut up);
        far.from_wire(&up, &mut plain).expect("a hello");
        far.to_wire(&mut down);
        near.from_wire(&down, &mut plain)
    }

    #[test]
    fn the_very_certificate_that_is_trusted_is_accepted_and_none_other_of_its_kind() {
        let made = authority(|_| {});
        assert_eq!(said(&made, Some(&made), "pbx.example"), Ok(false));
        let why = |failed: Result<bool, LayerFailure>| failed.expect_err("refused").why;
        assert_eq!(why(said(&made, Some(&made), "other.example")), FlowLoss::CertificateName);
        let stranger = authority(|_| {});
        assert_eq!(why(said(&made, Some(&stranger), "pbx.example")), FlowLoss::Certificate);
        let old = authority(|parts| parts.not_after = rcgen::date_time_ymd(2025, 6, 1));
        let failure = said(&old, Some(&old), "pbx.example").expect_err("it expired");
        assert_eq!(failure.why, FlowLoss::CertificateTime);
        for part in ["for pbx.example", "valid from 1975-01-01 to 2025-06-01", "it expired ", " days ago"] {
            assert!(failure.said.contains(part), "{}", failure.said);
        }
    }

    #[test]
    fn a_session_is_taken_up_by_the_phone_that_had_it_and_by_no_other() {
        let (made, server) = server(&["localhost"]);
        let parts = TlsClientParts { ca: Some(made.certificate.as_bytes()), verify: true, ..TlsClientParts::default() };
        let resumed = |client: &TlsClient| {
            let (mut near, mut far) = both(client, &server);
            assert_eq!(handshake(&mut near, &mut far)[0], Ok(false));
            near.secured().map(|secured| secured.resumed)
        };
        let never = TlsClient::new(&parts, "localhost").expect("usable");
        assert_eq!([resumed(&never), resumed(&never)], [Some(false); 2]);
        let one = TlsClient::new(&TlsClientParts { resumption: true, ..parts }, "localhost").expect("usable");
        assert_eq!(
            [resumed(&one), resumed(&one), resumed(&one.for_another(true))],
            [Some(false), Some(true), Some(false)]
        );
    }

    #[test]
    fn a_file_that_is_something_else_is_named_with_what_to_do() {
        let (made, _) = server(&["localhost"]);
        let (other, _) = server(&["localhost"]);
        let print = fingerprint(made.certificate.as_bytes()).expect("a certificate");
        assert_eq!((print.len(), print.matches(':').count()), (95, 31));
        let unusable = |chain: &str, key: &str| {
            TlsServer::new(chain.as_bytes(), key.as_bytes())
                .err()
                .map(|error| (error.part, error.message, error.remedy))
        };
        assert_eq!(unusable(&made.certificate, &made.key), None);
        let of = |chain: &str, key: &str| unusable(chain, key).expect("unusable");
        assert_eq!(of(&made.key, &made.certificate).2, Some("it holds a private key: that one goes to `key`"));
        assert_eq!(of(&made.certificate, &made.certificate).2, Some("it holds a certificate: that one goes to `cert`"));
        assert_eq!(of(&made.certificate, &other.key).1, "it is not the key of the certificate in `cert`");
        assert_eq!(of("nothing", &made.key).0, TlsPart::Certificate);
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(of(&made.certificate, locked).2.is_some_and(|remedy| remedy.starts_with("it is encrypted")));
    }
}
