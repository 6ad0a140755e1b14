//! Choices of a profile that no other room knows; those shared with a room stand in `vocab`.

use crate::vocab::words;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

words! {
    /// What an agent gets wrong on purpose.
    pub enum Wrong {
        Password = "password",
        Realm = "realm",
        User = "user",
    }
}

words! {
    /// A behaviour with a name.
    pub enum RetryPreset {
        Rfc = "rfc",
        Pjsua = "pjsua",
        Asterisk = "asterisk",
        Baresip = "baresip",
        Hammer = "hammer",
        None = "none",
    }
}

/// `max` of a retry policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryMax {
    Unlimited,
    Times(u32),
}

impl<'de> Deserialize<'de> for RetryMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RetryMaxWords;
        impl Visitor<'_> for RetryMaxWords {
            type Value = RetryMax;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of retries or \"unlimited\"")
            }
            fn visit_u64<E: de::Error>(self, times: u64) -> Result<RetryMax, E> {
                u32::try_from(times)
                    .map(RetryMax::Times)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(times), &self))
            }
            fn visit_i64<E: de::Error>(self, times: i64) -> Result<RetryMax, E> {
                u32::try_from(times)
                    .map(RetryMax::Times)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(times), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryMax, E> {
                match text {
                    "unlimited" => Ok(RetryMax::Unlimited),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(RetryMaxWords)
    }
}

impl serde::Serialize for RetryMax {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RetryMax::Unlimited => serializer.serialize_str("unlimited"),
            RetryMax::Times(times) => serializer.serialize_u32(*times),
        }
    }
}

impl JsonSchema for RetryMax {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RetryMax".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "const": "unlimited" }] })
    }
}
