//! What a registrar says in words: its reason phrases, read with a small dictionary. Words are evidence beside what was
//! counted. They are never the only evidence, because anybody can configure any phrase.

/// What a phrase speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    /// How many may be registered, or have a licence.
    OfALimit,
    /// How often something may be asked.
    OfARate,
    /// Somebody shut out on purpose.
    OfABan,
    /// Work on the server.
    OfMaintenance,
    /// An account that is locked, disabled or not paid for.
    OfTheAccount,
}

impl Speaks {
    /// As the end of "the registrar's own words speak of …".
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Speaks::OfALimit => "a limit on registrations",
            Speaks::OfARate => "a limit on the rate",
            Speaks::OfABan => "a ban",
            Speaks::OfMaintenance => "maintenance",
            Speaks::OfTheAccount => "the account",
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
    ("rate limit", Speaks::OfARate),
    ("too many requests", Speaks::OfARate),
    ("too fast", Speaks::OfARate),
    ("throttl", Speaks::OfARate),
    ("flood", Speaks::OfARate),
    ("zu viele anfragen", Speaks::OfARate),
    ("trop de requ", Speaks::OfARate),
    ("demasiadas solicitudes", Speaks::OfARate),
    ("registration limit", Speaks::OfALimit),
    ("limit exceeded", Speaks::OfALimit),
    ("limit reached", Speaks::OfALimit),
    ("maximum regist", Speaks::OfALimit),
    ("max regist", Speaks::OfALimit),
    ("maximum number", Speaks::OfALimit),
    ("too many regist", Speaks::OfALimit),
    ("too many users", Speaks::OfALimit),
    ("too many endpoints", Speaks::OfALimit),
    ("too many contacts", Speaks::OfALimit),
    ("capacity", Speaks::OfALimit),
    ("licence", Speaks::OfALimit),
    ("license", Speaks::OfALimit),
    ("lizenz", Speaks::OfALimit),
    ("licenci", Speaks::OfALimit),
    ("höchstzahl", Speaks::OfALimit),
    ("quota", Speaks::OfALimit),
    ("límite", Speaks::OfALimit),
    ("limite", Speaks::OfALimit),
    ("limiet", Speaks::OfALimit),
    ("banned", Speaks::OfABan),
    ("blacklist", Speaks::OfABan),
    ("blocklist", Speaks::OfABan),
    ("blocked", Speaks::OfABan),
    ("gesperrt", Speaks::OfABan),
    ("bloqué", Speaks::OfABan),
    ("bloquead", Speaks::OfABan),
    ("bloccat", Speaks::OfABan),
    ("geblokkeerd", Speaks::OfABan),
    ("maintenance", Speaks::OfMaintenance),
    ("wartung", Speaks::OfMaintenance),
    ("mantenimiento", Speaks::OfMaintenance),
    ("manutenção", Speaks::OfMaintenance),
    ("manutenzione", Speaks::OfMaintenance),
    ("onderhoud", Speaks::OfMaintenance),
    ("account", Speaks::OfTheAccount),
    ("subscriber", Speaks::OfTheAccount),
    ("suspend", Speaks::OfTheAccount),
    ("disabled", Speaks::OfTheAccount),
    ("locked", Speaks::OfTheAccount),
    ("expired", Speaks::OfTheAccount),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_read_as_people_write_them() {
        for (phrase, speaks) in [
            ("Registration limit exceeded", Some(Speaks::OfALimit)),
            ("License Exceeded", Some(Speaks::OfALimit)),
            ("Límite de registros alcanzado", Some(Speaks::OfALimit)),
            ("Too Many Requests", Some(Speaks::OfARate)),
            ("IP gesperrt", Some(Speaks::OfABan)),
            ("Account locked", Some(Speaks::OfTheAccount)),
            ("System under maintenance", Some(Speaks::OfMaintenance)),
            ("Forbidden", None),
            ("", None),
        ] {
            assert_eq!(read(phrase), speaks, "{phrase}");
        }
    }
}
