//! Whether a server's certificate is accepted, and what is said of one that is not.

use super::pem::{self, TlsPart, TlsSetupError};
use crate::net::certificate::CertificateFacts;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes what the trusted authorities have issued, for the right name and at the right time, as
/// WebPKI has it; and a certificate that is itself among the trusted ones.
#[derive(Debug)]
pub(super) struct Checked {
    authorities: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
    /// The certificate that was refused last, until somebody asks.
    refused: Mutex<Option<CertificateFacts>>,
}

impl Checked {
    /// Trusts the certificates in `ca`, or the system's.
    pub(super) fn new(ca: Option<&[u8]>, provider: &Arc<CryptoProvider>) -> Result<Checked, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        let trusted = match ca {
            Some(text) => {
                let trusted = pem::certificates(TlsPart::Ca, text)?;
                for certificate in &trusted {
                    let unusable = |error: Error| {
                        TlsSetupError::new(TlsPart::Ca, format!("a certificate in it cannot be used: {error}"))
                    };
                    roots.add(certificate.clone()).map_err(unusable)?;
                }
                trusted
            }
            None => {
                let (usable, _) = roots.add_parsable_certificates(of_system()?);
                if usable == 0 {
                    return Err(none_trusted());
                }
                Vec::new()
            }
        };
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let authorities = authorities.build().map_err(TlsSetupError::other)?;
        Ok(Checked { authorities, trusted, refused: Mutex::default() })
    }

    /// What the certificate says that was refused last.
    pub(super) fn take_refused(&self) -> Option<CertificateFacts> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The certificates in `ca`, or those the system trusts.
pub(in crate::net) fn trusted(ca: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    ca.map_or_else(of_system, |text| pem::certificates(TlsPart::Ca, text))
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() { Err(none_trusted()) } else { Ok(found) }
}

fn none_trusted() -> TlsSetupError {
    TlsSetupError::new(TlsPart::Other, "this system has no trusted certificates")
        .remedy("install ca-certificates, or name those of your own: tls = { ca = \"ca.pem\" }")
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // Many lab servers present the very certificate their phones are told to trust, and it is
        // marked as a CA. Its dates have been checked by the time WebPKI objects to that.
        let judged = match judged {
            Err(Error::InvalidCertificate(CertificateError::Other(other)))
                if format!("{other:?}").contains("CaUsedAsEndEntity")
                    && self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                let own = ParsedCertificate::try_from(end_entity)?;
                verify_server_name(&own, server_name).map(|()| ServerCertVerified::assertion())
            }
            judged => judged,
        };
        if judged.is_err() {
            let facts = CertificateFacts::read(end_entity);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
        }
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// What is wrong with a certificate, and what it says of itself.
pub(in crate::net) fn told(about: &CertificateError, seen: Option<CertificateFacts>) -> String {
    let what = match about {
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("it is not for {}", expected.to_str())
        }
        CertificateError::ExpiredContext { time, not_after } => {
            format!("it expired {} ago", span(time.as_secs().saturating_sub(not_after.as_secs())))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("it is valid only in {}", span(not_before.as_secs().saturating_sub(time.as_secs())))
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "none of the trusted authorities has issued it".to_owned()
        }
        other => other.to_string(),
    };
    match seen {
        Some(facts) => format!("{facts}: {what}"),
        None => what,
    }
}

/// Seconds in the unit people would use.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Takes any certificate: what `verify = false` asks for.
#[derive(Debug)]
pub(super) struct Unchecked(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
