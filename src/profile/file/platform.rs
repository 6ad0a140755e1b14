//! `[[platform]]` as written.

use super::WordText;
use crate::vocab::{PlatformKind, UserForm};
use schemars::JsonSchema;
use std::collections::BTreeMap;

/// One `[[platform]]`: a contact-centre cloud that is asked what it knows of the trunks. It is only
/// asked; nothing there is changed.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["id", "kind", "trunks"]))]
pub struct PlatformFile {
    /// Names it in what is printed and written; unique.
    pub id: Option<String>,
    /// What it speaks: `"genesys"`: the public API of Genesys Cloud; `"analytics-export"`: minutes
    /// from `/api/v2/analytics/voicetrunk/queries` and logs of external trunks.
    pub kind: Option<WordText<PlatformKind>>,
    /// genesys: the region, by its name (`"ap-southeast-1"`) or its domain (`"mypurecloud.de"`).
    pub region: Option<String>,
    /// Where its API is, instead of a region: `"https://api.example.com"`. Plain `http://` is for
    /// this machine only.
    pub base_url: Option<String>,
    /// Who asks, as the platform named the client.
    pub client_id: Option<String>,
    /// Name of the environment variable that holds the client's secret. It is read by `regstorm
    /// platform` and by the gate of `watch --listen`, and nothing else.
    pub client_secret_env: Option<String>,
    /// Instead of both: name of the environment variable that holds an access token.
    pub token_env: Option<String>,
    /// PEM file of the certificates that are trusted, instead of the system's.
    pub ca: Option<String>,
    /// Our trunks and the platform's ids of them: `{ trunk_nj_01 = "4f6e…" }`.
    pub trunks: Option<BTreeMap<String, String>>,
    /// What it takes as the credentials of a trunk, for `regstorm platform credentials`: from its
    /// documentation, or from its administrator.
    pub rules: Option<CredentialRulesFile>,
}

/// `rules` of a `[[platform]]`: what its fields for credentials take.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialRulesFile {
    /// The fewest characters of a password.
    pub password_min: Option<u32>,
    /// The most characters of a password.
    pub password_max: Option<u32>,
    /// Characters that no password may have.
    pub password_without: Option<String>,
    /// The most characters of a user.
    pub user_max: Option<u32>,
    /// The form of a user: `"bare"` (agent) or `"with-domain"` (agent@example.com).
    pub user: Option<WordText<UserForm>>,
}
