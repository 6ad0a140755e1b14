//! What a server asks of those before it (RFC 7339): the overload control parameters of the topmost
//! Via, and a time to retry that is written as a date.

use super::scan::Response;

impl<'a> Response<'a> {
    /// `oc` and the parameters with it, where it has a value; a client that only says it
    /// understands them sends it without one.
    pub fn overload(&self) -> Option<&'a [u8]> {
        let start = memchr::memmem::find_iter(self.via, b"oc=")
            .find(|&at| at > 0 && matches!(self.via[at - 1], b';' | b' '))?;
        let parameters = &self.via[start..];
        // Of another Via behind a comma they are not ours; values with commas are quoted.
        let end = super::fields::find_unquoted(parameters, b',', b',');
        Some(parameters[..end].trim_ascii())
    }

    /// `Retry-After` as a date, in seconds from the `Date` of the answer: HTTP has that form, SIP
    /// has not (RFC 3261 §20.33), and some servers write it.
    pub fn retry_at(&self) -> Option<u32> {
        let of = |name| self.headers(name).next().and_then(seconds);
        let (until, now) = (of("Retry-After")?, of("Date")?);
        u32::try_from(until.checked_sub(now)?).ok()
    }
}

/// `Sat, 13 Nov 2010 23:29:00 GMT` in seconds since 1970 (RFC 3261 §20.17).
fn seconds(date: &[u8]) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = std::str::from_utf8(date).ok()?;
    let mut words = text.split_once(',')?.1.split_ascii_whitespace();
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days before a month of a year that begins in March, so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - BEFORE_1970) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from March of the year 0 to 1970.
const BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan;

    #[test]
    fn a_date_is_so_many_seconds() {
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sat, 13 Nov 2010 23:29:00 GMT", Some(1_289_690_940)),
            ("Thu, 29 Feb 2024 12:00:01 GMT", Some(1_709_208_001)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(946_684_799)),
            ("120", None),
            ("Fri, 00 Dec 1999 23:59:59 GMT", None),
            ("Fri, 31 Foo 1999 23:59:59 GMT", None),
            ("Fri, 31 Dec 1999", None),
        ] {
            assert_eq!(seconds(date.as_bytes()), expected, "{date}");
        }
    }

    fn with_response(headers: &str, via: &str, check: impl FnOnce(&Response<'_>)) {
        let text = format!(
            "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx{via}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 2 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        check(&scan::response(text.as_bytes()).expect("a response"));
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n";
        for (headers, expected) in [
            ("Retry-After: 18000\r\n".to_owned(), Some(18_000)),
            ("Retry-After: 18000;duration=3600\r\n".to_owned(), Some(18_000)),
            ("Retry-After: 120 (I'm in a meeting)\r\n".to_owned(), Some(120)),
            ("Retry-After: 120 (until noon) ;duration=60\r\n".to_owned(), Some(120)),
            (format!("{now}Retry-After: Sat, 13 Nov 2010 23:31:00 GMT\r\n"), Some(120)),
            (format!("{now}Retry-After: Sat, 13 Nov 2010 23:28:00 GMT\r\n"), None),
            ("Retry-After: Sat, 13 Nov 2010 23:31:00 GMT\r\n".to_owned(), None),
            (String::new(), None),
        ] {
            with_response(&headers, "", |response| assert_eq!(response.retry_after(), expected, "{headers}"));
        }
    }

    #[test]
    fn overload_control_is_read_of_the_topmost_via() {
        let of = |via: &str, expected: Option<&str>| {
            with_response("", via, |response| {
                let found = response.overload().map(|text| String::from_utf8_lossy(text).into_owned());
                assert_eq!(found.as_deref(), expected, "{via}");
            });
        };
        let all = "oc=20;oc-algo=\"loss,rate\";oc-validity=500;oc-seq=1282321615.782";
        of(&format!(";{all}"), Some(all));
        of(";rport=5060;oc=0", Some("oc=0"));
        of(";oc=7, SIP/2.0/UDP other;oc=9", Some("oc=7"));
        of(";oc;oc-algo=\"loss\"", None);
        of(";floc=3", None);
        of("", None);
    }
}
