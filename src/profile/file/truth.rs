//! `[[truth]]` as written.

use super::{DurationText, WordText, defaults};
use crate::vocab::TruthKind;
use schemars::JsonSchema;

/// One `[[truth]]`: a server that is asked how many bindings it holds, beside our own count.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["kind"]))]
pub struct TruthFile {
    /// `"kamailio"` (JSON-RPC of `jsonrpcs`), `"opensips-mi"`, `"freeswitch-esl"`,
    /// `"asterisk-ami"`, `"exec"` (a command that prints a number) or `"http-json"` (a URL and a
    /// JSON pointer).
    pub kind: Option<WordText<TruthKind>>,
    /// Where it is asked: `"unix:/run/kamailio/kamailio_rpc.sock"`, `"udp:127.0.0.1:8090"`,
    /// `"tcp:127.0.0.1:5038"`, `"http://127.0.0.1:8888/mi"`. Only within `[safety] allow_targets`.
    pub address: Option<String>,
    /// The trunk whose bindings it counts; the only trunk, or all of them together, when left out.
    pub trunk: Option<String>,
    /// The time between two questions.
    #[schemars(extend("default" = defaults::TRUTH_EVERY))]
    pub every: Option<DurationText>,
    /// How long the server may keep a binding in its count that has lapsed: the time between two of
    /// its sweeps.
    #[schemars(extend("default" = defaults::TRUTH_SWEEP))]
    pub sweep: Option<DurationText>,
    /// exec: what `sh -c` runs; it prints one number, and is ended after 2 s.
    pub command: Option<String>,
    /// http-json: where in the answer the number is, `"/sip/bindings"` (RFC 6901); the whole answer
    /// when left out.
    pub pointer: Option<String>,
    /// asterisk-ami: the manager user. http-json: the user of `Authorization: Basic`.
    pub username: Option<String>,
    /// Name of the environment variable that holds the password, or for http-json without
    /// `username` a bearer token; a command finds it as `REGSTORM_SECRET`.
    pub secret_env: Option<String>,
}
