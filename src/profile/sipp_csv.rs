//! SIPp's injection files (`-inf`): who registers, as an existing load test already lists it.
//!
//! The first line says `SEQUENTIAL`, `RANDOM` or `USER`, and may say `PRINTF=n` with `PRINTFOFFSET`
//! and `PRINTFMULTIPLE`: then the lines are patterns for n virtual ones, `%d` and its kin standing
//! for offset + multiple · n. Every other line is a row of fields between semicolons; lines that
//! begin with `#` are comments. A row's credentials stand in any field as
//! `[authentication username=… password=…]`, values bare, in quotes, or in hex behind `0x`.
//!
//! Read as SIPp does (`infile.cpp`, `message.cpp` of its 3.7 series), with these differences: line
//! ends may be CR LF in rows too, blanks around fields do not count, `%%` is one per cent sign, and
//! an empty line is passed over where SIPp stops reading. A semicolon ends a field even between
//! quotes, there as here; `0x3b` writes one.
//!
//! Messages carry the line's number and never its text: it may hold a password.

use crate::vocab::Secret;

/// In which order rows become agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InjectionOrder {
    /// As in the file.
    Sequential,
    /// Each row once, in an order drawn from the run's seed. SIPp draws a row anew for each call,
    /// so that some users come twice and some never; an agent comes once.
    Random,
    /// As in the file: SIPp's user n, counted from 1, is row n.
    User,
}

/// One agent of an injection file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct InjectionRow {
    pub user: String,
    /// `None`: the user.
    pub auth_user: Option<String>,
    /// `None` when the row has no `password`.
    pub password: Option<Secret>,
}

/// What is wrong with one line, counted from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct WrongLine {
    pub line: usize,
    pub message: String,
}

/// An injection file whose first line has been understood.
#[derive(Debug)]
pub(super) struct Injection<'a> {
    pub order: InjectionOrder,
    /// The first empty line with rows behind it.
    pub gap: Option<usize>,
    lines: Vec<(usize, &'a [u8])>,
    numbering: Option<Numbering>,
}

/// The virtual lines of a `PRINTF` file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Numbering {
    count: u32,
    offset: u32,
    multiple: u32,
}

impl<'a> Injection<'a> {
    /// Reads the first line and finds the rows.
    ///
    /// # Errors
    /// When the first line is not that of an injection file, or no row follows.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, WrongLine> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = bytes.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).zip(1..);
        let head = lines.next().map_or(&b""[..], |(text, _)| text);
        let (order, numbering) = header(head).map_err(|message| WrongLine { line: 1, message })?;
        let (mut rows, mut empty, mut gap) = (Vec::new(), None, None);
        for (text, line) in lines {
            match text {
                [] => _ = empty.get_or_insert(line),
                [b'#', ..] => {}
                _ => {
                    gap = gap.or(empty);
                    rows.push((line, text));
                }
            }
        }
        if rows.is_empty() {
            return Err(WrongLine { line: 1, message: "no rows follow the first line".to_owned() });
        }
        Ok(Injection { order, gap, lines: rows, numbering })
    }

    /// How many agents the file names.
    pub(super) fn len(&self) -> usize {
        self.numbering.map_or(self.lines.len(), |numbering| numbering.count as usize)
    }

    /// How many rows are written; those behind are the same ones with other numbers.
    pub(super) fn written(&self) -> usize {
        self.lines.len().min(self.len())
    }

    /// Agent `n` below [`Injection::len`], with the line it comes from. Its user is the field
    /// numbered `user_field`, from 0.
    ///
    /// # Errors
    /// What is wrong with its line.
    pub(super) fn row(&self, n: usize, user_field: usize) -> Result<(usize, InjectionRow), WrongLine> {
        let (line, bytes) = self.lines[n % self.lines.len()];
        self.read(bytes, n, user_field).map(|row| (line, row)).map_err(|message| WrongLine { line, message })
    }

    fn read(&self, bytes: &[u8], n: usize, user_field: usize) -> Result<InjectionRow, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
        let numbered = match self.numbering {
            Some(Numbering { offset, multiple, .. }) => {
                Some(printf(text, u64::from(offset) + n as u64 * u64::from(multiple))?)
            }
            None => None,
        };
        let text = numbered.as_deref().unwrap_or(text);
        let user = text.split(';').nth(user_field).map(str::trim);
        let user = user.ok_or_else(|| format!("has {} fields, none numbered {user_field}", text.split(';').count()))?;
        let keyword = text.split(';').find_map(|field| field.split_once(AUTHENTICATION)).map(|(_, after)| after);
        let Some(keyword) = keyword else {
            return Ok(InjectionRow { user: user.to_owned(), auth_user: None, password: None });
        };
        let (mut auth_user, mut password) = (None, None);
        parameters(keyword, |name, value| match name {
            "username" => auth_user = auth_user.take().or(Some(value)),
            "password" => password = password.take().or(Some(Secret::new(value))),
            // AKA's keys among others: they do not take part in these digests.
            _ => {}
        })?;
        let auth_user = auth_user.filter(|name| !name.is_empty());
        let password = password.filter(|password| !password.reveal().is_empty());
        Ok(InjectionRow { user: user.to_owned(), auth_user, password })
    }
}

/// What a field with credentials holds.
const AUTHENTICATION: &str = "[authentication";

/// Reads the first line.
fn header(line: &[u8]) -> Result<(InjectionOrder, Option<Numbering>), String> {
    let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8 text".to_owned())?;
    let words = || text.split([',', ';', ' ', '\t']).filter(|word| !word.is_empty());
    let order = words().find_map(|word| match word {
        "SEQUENTIAL" => Some(InjectionOrder::Sequential),
        "RANDOM" => Some(InjectionOrder::Random),
        "USER" => Some(InjectionOrder::User),
        _ => None,
    });
    let order = order.ok_or("an injection file begins with SEQUENTIAL, RANDOM or USER")?;
    let (mut count, mut offset, mut multiple) = (None, None, None);
    for word in words().filter(|word| word.starts_with("PRINTF")) {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word} has no value; write {word}=n"))?;
        let slot = match name {
            "PRINTF" => &mut count,
            "PRINTFOFFSET" => &mut offset,
            "PRINTFMULTIPLE" => &mut multiple,
            _ => return Err(format!("{name} is unknown; there are PRINTF, PRINTFOFFSET and PRINTFMULTIPLE")),
        };
        *slot = Some(c_number(value).ok_or_else(|| format!("{name} must be a number of at most 32 bits"))?);
    }
    match count {
        None if offset.is_some() || multiple.is_some() => {
            Err("PRINTFOFFSET and PRINTFMULTIPLE need PRINTF=n".to_owned())
        }
        None => Ok((order, None)),
        Some(0) => Err("PRINTF must be at least 1".to_owned()),
        Some(count) => {
            let (offset, multiple) = (offset.unwrap_or(0), multiple.unwrap_or(1));
            Ok((order, Some(Numbering { count, offset, multiple })))
        }
    }
}

/// A number as C writes it: decimal, `0x` hexadecimal or `0` octal.
fn c_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    digits.starts_with(|c: char| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
}

/// The line with the number in the place of each `%d`, `%05d`, `%-5d`, `%.5d`.
fn printf(text: &str, number: u64) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(after.len());
        let (format, after) = after.split_at(end);
        rest = after.strip_prefix('d').ok_or("has a % that is not %d with a width, like %05d")?;
        out.push_str(&formatted(format, number)?);
    }
    out.push_str(rest);
    Ok(out)
}

/// The number in C's `%{format}d`.
fn formatted(format: &str, number: u64) -> Result<String, String> {
    let flags = format.len() - format.trim_start_matches(['-', '0']).len();
    let (flags, sizes) = format.split_at(flags);
    let (width, precision) = sizes.split_once('.').map_or((sizes, None), |(width, precision)| (width, Some(precision)));
    let size = |text: &str| match text {
        "" => Ok(0),
        _ => text.parse().ok().filter(|&size| size <= MAX_WIDTH).ok_or(format!("has the unusable format %{format}d")),
    };
    let (width, digits) = (size(width)?, precision.map(size).transpose()?);
    let number = format!("{number:0>digits$}", digits = digits.unwrap_or(1));
    Ok(if flags.contains('-') {
        format!("{number:<width$}")
    } else if flags.contains('0') && digits.is_none() {
        format!("{number:0>width$}")
    } else {
        format!("{number:>width$}")
    })
}

/// The widest number; names are not longer.
const MAX_WIDTH: usize = 255;

/// The `name=value` pairs between `[authentication` and its closing bracket.
fn parameters(text: &str, mut each: impl FnMut(&str, String)) -> Result<(), String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.starts_with(']') {
            return Ok(());
        }
        let end = rest.find(|c: char| c == '=' || c == ']' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = value_of(value)?;
                each(name, value);
                after
            }
            None if after.is_empty() => {
                return Err("has an [authentication …] without its closing bracket (a \";\" ends the field)".to_owned());
            }
            None => after,
        };
    }
}

/// One value of a keyword, and what follows it.
fn value_of(text: &str) -> Result<(String, &str), String> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return Ok((value, chars.as_str())),
                '\\' => value.extend(chars.next()),
                c => value.push(c),
            }
        }
        return Err("has a quote that is never closed (a \";\" ends the field)".to_owned());
    }
    if let Some(hex) = text.strip_prefix("0x") {
        let (digits, after) = hex.split_at(hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len()));
        let nibble =
            |&b: &u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
        let bytes = digits.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, b| byte << 4 | nibble(b)));
        let value = String::from_utf8(bytes.collect()).map_err(|_| "has a value in hex that is not UTF-8 text")?;
        return Ok((value, after));
    }
    let (value, after) = text.split_at(text.find(|c: char| c == ']' || c.is_whitespace()).unwrap_or(text.len()));
    Ok((value.to_owned(), after))
}

#[cfg(test)]
#[path = "sipp_csv_tests.rs"]
mod tests;
