//! `tls` of a trunk and of the embedded registrar: which files, and what is in them. Whether they
//! are certificates and keys is for whoever uses them to say.

use super::check::Checker;
use super::rows::beside;
use crate::profile::error::Problem;
use crate::profile::file::{ServerTlsFile, TlsFile, defaults};
use crate::profile::meant::{PemFile, ServerTlsProfile, TlsProfile};
use crate::profile::places::Path;
use crate::vocab::Secret;

pub(super) fn client(check: &mut Checker, at: &Path, file: TlsFile) -> TlsProfile {
    let identity = identity(check, at, file.cert, file.key);
    let ca = file.ca.and_then(|path| pem(check, &at.key("ca"), path));
    let verify = file.verify.unwrap_or(defaults::VERIFY);
    if !verify {
        check.warnings.push(format!(
            "{at}: verify = false: the server's certificate is not checked, anybody may pose as the registrar"
        ));
    }
    let (cert, key) = identity.unzip();
    let resumption = file.resumption.unwrap_or(defaults::RESUMPTION);
    TlsProfile { ca, cert, key, server_name: file.server_name, verify, resumption }
}

pub(super) fn server(check: &mut Checker, at: &Path, file: ServerTlsFile) -> ServerTlsProfile {
    let (cert, key) = identity(check, at, file.cert, file.key).unzip();
    ServerTlsProfile { cert, key }
}

fn identity(check: &mut Checker, at: &Path, cert: Option<String>, key: Option<String>) -> Option<(PemFile, PemFile)> {
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (pem(check, &at.key("cert"), cert), pem(check, &at.key("key"), key));
            cert.zip(key)
        }
        (Some(_), None) => {
            check.missing(&at.key("key"), "a certificate goes with its private key: key = \"k.pem\"");
            None
        }
        (None, Some(_)) => {
            check.missing(&at.key("cert"), "a private key goes with its certificate: cert = \"c.pem\"");
            None
        }
        (None, None) => None,
    }
}

pub(super) fn pem(check: &mut Checker, at: &Path, path: String) -> Option<PemFile> {
    match read(check, at, &path, path.clone()) {
        Ok(file) => Some(file),
        Err(message) => {
            check.bad(at, message);
            None
        }
    }
}

/// The file at `path`, which messages call `called`; the key at `at` names it.
///
/// # Errors
/// When it cannot be read; the text says why.
pub(super) fn read(check: &Checker, at: &Path, path: &str, called: String) -> Result<PemFile, String> {
    let full = beside(&check.places.texts.name, path);
    let text = check.source.read(&full).and_then(|bytes| String::from_utf8(bytes).map_err(|_| NO_TEXT.to_owned()));
    let text = text.map_err(|reason| format!("{full} cannot be read: {reason}"))?;
    Ok(PemFile { path: called, pem: Secret::new(text), place: Problem::with_value(check.places, at, String::new()) })
}

const NO_TEXT: &str = "it is no text, and a PEM file is one; `openssl x509 -inform der -in FILE` and \
                       `openssl pkey -inform der -in FILE` make one of DER";
