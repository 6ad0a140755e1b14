//! What an X.509 certificate says of itself (RFC 5280 §4.1): for whom, by whom, until when. Only
//! for people to read; whether it can be trusted is decided elsewhere.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What stands in a certificate, as far as it can be read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CertificateFacts {
    /// The last common name of each.
    pub subject: Option<String>,
    pub issuer: Option<String>,
    /// Host names and addresses it is for.
    pub names: Vec<String>,
    /// Dates, `2026-11-30`.
    pub not_before: Option<String>,
    pub not_after: Option<String>,
}

impl CertificateFacts {
    /// Of a certificate in DER; what is not understood is left out.
    pub fn read(der: &[u8]) -> CertificateFacts {
        read(der).unwrap_or_default()
    }
}

impl fmt::Display for CertificateFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "somebody without a name".to_owned());
        write!(f, "a certificate of {}, issued by {}", named(&self.subject), named(&self.issuer))?;
        match self.names.len() {
            0 => f.write_str(", for no host name or address (it has no subjectAltName)")?,
            1..=MOST_NAMES => write!(f, ", for {}", self.names.join(", "))?,
            more => write!(f, ", for {} and {} more", self.names[..MOST_NAMES].join(", "), more - MOST_NAMES)?,
        }
        match (&self.not_before, &self.not_after) {
            (Some(from), Some(until)) => write!(f, ", valid from {from} to {until}"),
            _ => Ok(()),
        }
    }
}

const MOST_NAMES: usize = 4;

/// One element of DER (X.690 §8.1): its tag and contents, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The elements in a row.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, contents, rest) = element(der)?;
        der = rest;
        Some((tag, contents))
    })
}

fn read(der: &[u8]) -> Option<CertificateFacts> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    // Version [0], serial number, signature, issuer, validity, subject, key, extensions [3].
    let mut fields = elements(signed).skip_while(|(tag, _)| *tag == 0xa0).skip(2);
    let issuer = common_name(fields.next()?.1);
    let mut dates = elements(fields.next()?.1).map(|(tag, text)| date(tag, text));
    let (not_before, not_after) = (dates.next().flatten(), dates.next().flatten());
    let subject = common_name(fields.next()?.1);
    let extensions = fields.find(|(tag, _)| *tag == 0xa3).and_then(|(_, inside)| element(inside));
    let names = extensions.map_or_else(Vec::new, |(_, list, _)| alternative_names(list));
    Some(CertificateFacts { subject, issuer, names, not_before, not_after })
}

/// The last common name of a distinguished name, or the last of whatever it has.
fn common_name(name: &[u8]) -> Option<String> {
    let text = |(_, set): (u8, &[u8])| {
        let (_, attribute, _) = element(set)?;
        let mut parts = elements(attribute);
        let (kind, value) = (parts.next()?.1.to_vec(), parts.next()?.1);
        Some((kind, String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(64).collect::<String>()))
    };
    let all: Vec<_> = elements(name).filter_map(text).collect();
    let common = all.iter().rev().find(|(kind, _)| kind == COMMON_NAME);
    common.or(all.last()).map(|(_, text)| text.clone())
}

/// UTCTime has two digits of the year (RFC 5280 §4.1.2.5.1), GeneralizedTime four.
fn date(tag: u8, text: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match tag {
        0x17 => {
            let (short, rest) = digits.split_at_checked(2)?;
            (format!("{}{short}", if short < "50" { "20" } else { "19" }), rest)
        }
        _ => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

/// The host names and addresses among the extensions (RFC 5280 §4.2.1.6).
fn alternative_names(extensions: &[u8]) -> Vec<String> {
    let is_names = |(_, extension): &(u8, &[u8])| elements(extension).next().is_some_and(|(_, id)| id == ALT_NAMES);
    let Some((_, extension)) = elements(extensions).find(is_names) else { return Vec::new() };
    let Some((_, wrapped)) = elements(extension).last() else { return Vec::new() };
    let Some((_, names, _)) = element(wrapped) else { return Vec::new() };
    let text = |(tag, value): (u8, &[u8])| match tag {
        0x82 => Some(String::from_utf8_lossy(value).into_owned()),
        0x87 => match (<[u8; 4]>::try_from(value), <[u8; 16]>::try_from(value)) {
            (Ok(four), _) => Some(Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(Ipv6Addr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    };
    elements(names).filter_map(text).collect()
}

/// Object identifiers 2.5.4.3 and 2.5.29.17.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALT_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_certificate_says_for_whom_and_until_when() {
        let names = ["edge.example", "127.0.0.1", "::1"].map(str::to_owned);
        let mut parts = rcgen::CertificateParams::new(names).expect("names");
        parts.distinguished_name = rcgen::DistinguishedName::new();
        parts.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
        parts.distinguished_name.push(rcgen::DnType::CommonName, "edge");
        parts.not_before = rcgen::date_time_ymd(2025, 1, 2);
        parts.not_after = rcgen::date_time_ymd(2051, 12, 31);
        let made = parts.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("signed");
        assert_eq!(
            CertificateFacts::read(made.der()).to_string(),
            "a certificate of edge, issued by edge, for edge.example, 127.0.0.1, ::1, valid from 2025-01-02 to 2051-12-31"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = CertificateFacts::read(&bytes).to_string();
        }
    }
}
