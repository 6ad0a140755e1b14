//! Certificates and keys from PEM texts, or what a text holds instead of them.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;

/// Why TLS cannot be set up: what was wrong with what was given.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TlsSetupError {
    pub part: TlsPart,
    pub message: String,
    /// What to do instead, where that is known.
    pub remedy: Option<&'static str>,
}

/// What a [`TlsSetupError`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsPart {
    Ca,
    Certificate,
    Key,
    Name,
    /// None of them alone.
    Other,
}

impl TlsSetupError {
    pub(super) fn new(part: TlsPart, message: impl Into<String>) -> Self {
        TlsSetupError { part, message: message.into(), remedy: None }
    }

    pub(super) fn other(error: impl fmt::Display) -> Self {
        TlsSetupError::new(TlsPart::Other, error.to_string())
    }

    pub(super) fn remedy(self, remedy: &'static str) -> Self {
        TlsSetupError { remedy: Some(remedy), ..self }
    }
}

/// A certificate with its issuers behind it, and its key.
pub(super) fn identity(
    chain: &[u8],
    key: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsSetupError> {
    Ok((certificates(TlsPart::Certificate, chain)?, private_key(key)?))
}

/// All certificates, at least one.
pub(super) fn certificates(part: TlsPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let unreadable = |error| TlsSetupError::new(part, format!("a certificate in it cannot be read: {error}"));
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(unreadable)?;
    if !all.is_empty() {
        return Ok(all);
    }
    let none = TlsSetupError::new(part, "there is no certificate in it");
    Err(if holds(pem, "PRIVATE KEY-----") {
        none.remedy("it holds a private key: that one goes to `key`")
    } else {
        none.remedy(
            "a PEM file has a line -----BEGIN CERTIFICATE-----; `openssl x509 -inform der -in FILE` makes one of DER",
        )
    })
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let none = TlsSetupError::new(TlsPart::Key, "there is no private key in it that can be used");
        if holds(pem, "ENCRYPTED") {
            none.remedy(
                "it is encrypted, and nobody is asked for its password: `openssl pkey -in FILE` writes it plain",
            )
        } else if holds(pem, "BEGIN CERTIFICATE-----") && !holds(pem, "PRIVATE KEY-----") {
            none.remedy("it holds a certificate: that one goes to `cert`")
        } else if holds(pem, "PRIVATE KEY-----") {
            TlsSetupError::new(TlsPart::Key, format!("the private key in it cannot be read: {error}"))
        } else {
            none.remedy("a PEM file has a line -----BEGIN PRIVATE KEY-----")
        }
    })
}

/// Why a certificate and a key do not do together.
pub(super) fn unfit(error: &rustls::Error) -> TlsSetupError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsSetupError::new(TlsPart::Key, "it is not the key of the certificate in `cert`")
        }
        error => TlsSetupError::new(TlsPart::Key, format!("it cannot be used: {error}")),
    }
}

fn holds(pem: &[u8], text: &str) -> bool {
    pem.windows(text.len()).any(|part| part == text.as_bytes())
}
