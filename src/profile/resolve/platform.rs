//! `[[platform]]`: which hosts that means, and that they may be asked.

use super::check::Checker;
use super::tls::pem;
use super::trunk::required;
use crate::profile::file::platform::{CredentialRulesFile, PlatformFile};
use crate::profile::meant::{CredentialRules, PlatformProfile, host_of};
use crate::profile::places::Path;
use crate::vocab::{PlatformKind, UserForm};
use std::net::IpAddr;

/// `allowed` are the hosts of `[safety] allow_platforms`, `ids` those of the trunks.
pub(super) fn platforms(
    check: &mut Checker,
    files: Vec<PlatformFile>,
    allowed: &[String],
    ids: &[&str],
) -> Vec<PlatformProfile> {
    let mut platforms: Vec<PlatformProfile> = Vec::new();
    for (n, file) in files.into_iter().enumerate() {
        let at = Path::root("platform").index(n);
        let Some(platform) = platform(check, &at, file, ids) else { continue };
        if platforms.iter().any(|earlier| earlier.id == platform.id) {
            check.bad(&at.key("id"), format!("two platforms have the id \"{}\"", platform.id));
        }
        let place = at.key(if platform.of_region { "region" } else { "base_url" });
        let hosts = platform.hosts();
        if let Some(host) = hosts.iter().find(|host| !allowed.contains(host)) {
            let all: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
            check.advise(
                &place,
                format!("{host} is not in allow_platforms, so it is not asked"),
                format!("if you may ask it: [safety] allow_platforms = [{}]", all.join(", ")),
            );
        }
        platforms.push(platform);
    }
    platforms
}

fn platform(check: &mut Checker, at: &Path, file: PlatformFile, ids: &[&str]) -> Option<PlatformProfile> {
    let id = required(check, &at.key("id"), file.id, "name it: id = \"gc\"");
    let Some(kind) = file.kind.as_ref() else {
        check.missing(&at.key("kind"), "write kind = \"genesys\" or kind = \"analytics-export\"");
        return None;
    };
    let kind = check.word(&at.key("kind"), Some(kind), PlatformKind::Genesys);
    let of_region = file.region.is_some();
    let (api_url, login_url) = urls(check, at, kind, file.region.as_deref(), file.base_url.as_deref())?;
    match (&file.client_id, &file.client_secret_env, &file.token_env) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (Some(_), None, None) => {
            check.missing(
                &at.key("client_secret_env"),
                "name the variable with the secret: client_secret_env = \"GC_SECRET\"",
            );
        }
        (None, Some(_), None) => check.missing(&at.key("client_id"), "the secret goes with its client_id"),
        (None, None, None) => {
            check.missing(&at.key("client_id"), "write client_id and client_secret_env, or token_env");
        }
        (_, _, Some(_)) => {
            check.bad(&at.key("token_env"), "a token takes the place of client_id and client_secret_env")
        }
    }
    let ca = file.ca.and_then(|path| pem(check, &at.key("ca"), path));
    let trunks: Vec<(String, String)> = file.trunks.unwrap_or_default().into_iter().collect();
    if trunks.is_empty() {
        check.missing(&at.key("trunks"), "say what it calls our trunks: trunks = { trunk_nj_01 = \"its id\" }");
    }
    for (ours, theirs) in &trunks {
        let place = at.key("trunks").key(ours);
        if !ids.is_empty() && !ids.contains(&ours.as_str()) {
            let message = format!("there is no trunk \"{ours}\"");
            check.bad_key(&place, message, format!("the trunks are {}", ids.join(", ")));
        }
        if theirs.is_empty() || !theirs.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) {
            check.bad(&place, "must be an id as the platform writes it: letters, digits, - _ . :");
        }
    }
    let rules = rules(check, &at.key("rules"), file.rules.unwrap_or_default());
    Some(PlatformProfile {
        id,
        kind,
        of_region,
        api_url,
        login_url,
        client_id: file.client_id,
        client_secret_env: file.client_secret_env,
        token_env: file.token_env,
        ca,
        trunks,
        rules,
    })
}

fn rules(check: &mut Checker, at: &Path, file: CredentialRulesFile) -> CredentialRules {
    if let (Some(least), Some(most)) = (file.password_min, file.password_max)
        && least > most
    {
        check.bad(&at.key("password_min"), format!("is more than password_max, {most}"));
    }
    let user = file.user.as_ref().map(|word| check.word(&at.key("user"), Some(word), UserForm::Bare));
    CredentialRules {
        password_min: file.password_min,
        password_max: file.password_max,
        password_without: file.password_without.unwrap_or_default(),
        user_max: file.user_max,
        user,
    }
}

/// Where the API is, and where tokens are given out.
fn urls(
    check: &mut Checker,
    at: &Path,
    kind: PlatformKind,
    region: Option<&str>,
    base_url: Option<&str>,
) -> Option<(String, String)> {
    match (region, base_url) {
        (Some(region), None) if kind == PlatformKind::Genesys => {
            let domain = domain_of(region);
            if domain.is_none() {
                let known: Vec<&str> = REGIONS.iter().map(|(name, _)| *name).collect();
                let message = format!("\"{region}\" is no region that is known");
                check.advise(&at.key("region"), message, format!("write one of {}, or its domain", known.join(", ")));
            }
            domain.map(|domain| (format!("https://api.{domain}"), format!("https://login.{domain}")))
        }
        (Some(_), None) => {
            check.bad_key(&at.key("region"), "is of genesys only", "write base_url = \"https://api.example.com\"");
            None
        }
        (None, Some(url)) => base(check, &at.key("base_url"), url),
        (None, None) => {
            check.missing(&at.key("base_url"), "say where it is: region = \"eu-central-1\", or a base_url");
            None
        }
        (Some(_), Some(_)) => {
            check.bad(&at.key("base_url"), "region and base_url exclude each other");
            None
        }
    }
}

fn base(check: &mut Checker, at: &Path, url: &str) -> Option<(String, String)> {
    let whole = url.trim_end_matches('/');
    let parts = whole.split_once("://").filter(|(_, rest)| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
    });
    let Some((scheme @ ("http" | "https"), authority)) = parts else {
        check.advise(at, "is no base URL", "write a scheme and a host: \"https://api.example.com\"");
        return None;
    };
    if scheme == "http" && !is_this_machine(&host_of(whole)) {
        let remedy = "write https://: a secret is sent to it";
        check.advise(at, "goes over the network without TLS", remedy);
        return None;
    }
    // The two names of one service, as regions have them.
    let login = match authority.strip_prefix("api.") {
        Some(domain) => format!("{scheme}://login.{domain}"),
        None => whole.to_owned(),
    };
    Some((whole.to_owned(), login))
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn domain_of(region: &str) -> Option<&str> {
    let known = REGIONS.iter().find(|(name, domain)| *name == region || *domain == region);
    known.map(|(_, domain)| *domain)
}

/// Names of regions and their domains, as the vendor's developer centre lists them.
const REGIONS: [(&str, &str); 17] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
];
