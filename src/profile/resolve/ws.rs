//! `ws` of a trunk: what its agents ask for when they upgrade a connection to WebSocket.

use super::check::Checker;
use super::headers::headers;
use crate::profile::file::{WsFile, defaults};
use crate::profile::meant::WsProfile;
use crate::profile::places::Path;

pub(super) fn ws(check: &mut Checker, at: &Path, file: WsFile) -> WsProfile {
    let path = file.path.unwrap_or_else(|| defaults::WS_PATH.to_owned());
    let sound = |c: char| c.is_ascii_graphic() && c != '#';
    if !path.starts_with('/') || !path.chars().all(sound) {
        let message = format!("\"{path}\" is no path of a URL, with its query");
        check.advise(&at.key("path"), message, "write it like \"/ws\" or \"/sip?tenant=a\", what is not ASCII as %xx");
    }
    WsProfile {
        path,
        headers: headers(
            check,
            &at.key("headers"),
            file.headers.unwrap_or_default(),
            ("request to upgrade", &UPGRADE_HEADERS),
        ),
        host: check.word(&at.key("host"), file.host.as_ref(), defaults::WS_HOST),
    }
}

/// Header fields that every request to upgrade has.
const UPGRADE_HEADERS: [&str; 6] =
    ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"];
