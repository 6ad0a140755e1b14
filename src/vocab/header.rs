//! Names of header fields that more than one room must know.

/// Headers that an agent writes itself, with their compact names (RFC 3261 §7.3.3), and those that
/// only the way there may add (§20.30): a profile cannot set them, and what is learnt from a
/// phone's requests leaves them out.
pub const OWN_HEADERS: [&str; 19] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Contact",
    "m",
    "Expires",
    "Content-Length",
    "l",
    "Max-Forwards",
    "Authorization",
    "Proxy-Authorization",
    "Route",
    "Record-Route",
];
