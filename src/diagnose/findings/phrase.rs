//! What a registrar says in words: its reason phrases, read with a small dictionary. Words are
//! evidence beside what was counted. They are never the only evidence, because anybody can
//! configure any phrase.

/// What a phrase speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    /// How many may be registered, or are licensed.
    Limit,
    /// How often something may be asked.
    Rate,
    /// Somebody shut out on purpose.
    Ban,
    /// Work on the server.
    Maintenance,
    /// An account that is locked, disabled or not paid for.
    Account,
}

impl Speaks {
    /// As the end of "the registrar's own words speak of …".
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Speaks::Limit => "a limit on registrations",
            Speaks::Rate => "a limit on the rate",
            Speaks::Ban => "a ban",
            Speaks::Maintenance => "maintenance",
            Speaks::Account => "the account",
        }
    }
}

/// What a reason phrase speaks of, if the dictionary knows it.
pub(super) fn read(phrase: &str) -> Option<Speaks> {
    let phrase = phrase.to_lowercase();
    // Of several words the first in the dictionary counts: the more particular ones stand first.
    DICTIONARY.iter().find(|(word, _)| phrase.contains(word)).map(|(_, speaks)| *speaks)
}

/// Parts of phrases in lower case: English, German, French, Spanish, Portuguese, Italian, Dutch.
const DICTIONARY: [(&str, Speaks); 49] = [
    ("rate limit", Speaks::Rate),
    ("too many requests", Speaks::Rate),
    ("too fast", Speaks::Rate),
    ("throttl", Speaks::Rate),
    ("flood", Speaks::Rate),
    ("zu viele anfragen", Speaks::Rate),
    ("trop de requ", Speaks::Rate),
    ("demasiadas solicitudes", Speaks::Rate),
    ("registration limit", Speaks::Limit),
    ("limit exceeded", Speaks::Limit),
    ("limit reached", Speaks::Limit),
    ("maximum regist", Speaks::Limit),
    ("max regist", Speaks::Limit),
    ("maximum number", Speaks::Limit),
    ("too many regist", Speaks::Limit),
    ("too many users", Speaks::Limit),
    ("too many endpoints", Speaks::Limit),
    ("too many contacts", Speaks::Limit),
    ("capacity", Speaks::Limit),
    ("licence", Speaks::Limit),
    ("license", Speaks::Limit),
    ("lizenz", Speaks::Limit),
    ("licenci", Speaks::Limit),
    ("höchstzahl", Speaks::Limit),
    ("quota", Speaks::Limit),
    ("límite", Speaks::Limit),
    ("limite", Speaks::Limit),
    ("limiet", Speaks::Limit),
    ("banned", Speaks::Ban),
    ("blacklist", Speaks::Ban),
    ("blocklist", Speaks::Ban),
    ("blocked", Speaks::Ban),
    ("gesperrt", Speaks::Ban),
    ("bloqué", Speaks::Ban),
    ("bloquead", Speaks::Ban),
    ("bloccat", Speaks::Ban),
    ("geblokkeerd", Speaks::Ban),
    ("maintenance", Speaks::Maintenance),
    ("wartung", Speaks::Maintenance),
    ("mantenimiento", Speaks::Maintenance),
    ("manutenção", Speaks::Maintenance),
    ("manutenzione", Speaks::Maintenance),
    ("onderhoud", Speaks::Maintenance),
    ("account", Speaks::Account),
    ("subscriber", Speaks::Account),
    ("suspend", Speaks::Account),
    ("disabled", Speaks::Account),
    ("locked", Speaks::Account),
    ("expired", Speaks::Account),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_read_as_people_write_them() {
        for (phrase, speaks) in [
            ("Registration limit exceeded", Some(Speaks::Limit)),
            ("License Exceeded", Some(Speaks::Limit)),
            ("Límite de registros alcanzado", Some(Speaks::Limit)),
            ("Too Many Requests", Some(Speaks::Rate)),
            ("IP gesperrt", Some(Speaks::Ban)),
            ("Account locked", Some(Speaks::Account)),
            ("System under maintenance", Some(Speaks::Maintenance)),
            ("Forbidden", None),
            ("", None),
        ] {
            assert_eq!(read(phrase), speaks, "{phrase}");
        }
    }
}
