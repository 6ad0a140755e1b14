//! What a registrar says in words: its reason phrase, `Warning`, `Reason`, the comment of
//! `Retry-After`, a body of text, read with a small dictionary. Words are evidence beside what was
//! counted. They are never the only evidence, because anybody can configure any phrase.

/// What a phrase speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    /// How many may be registered, or are licensed.
    Limit,
    /// How many contacts one user may have.
    Contacts,
    /// How often something may be asked.
    Rate,
    /// More than the server can do.
    Overload,
    /// Somebody shut out on purpose.
    Ban,
    /// Work on the server.
    Maintenance,
    /// An account that is unknown, locked, disabled or not paid for, or its password.
    Account,
    /// A domain that is not served.
    Domain,
    /// A fault inside the server or behind it.
    Fault,
}

impl Speaks {
    /// As the end of "the registrar's own words speak of …".
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Speaks::Limit => "a limit on registrations",
            Speaks::Contacts => "a limit on the contacts of a user",
            Speaks::Rate => "a limit on the rate",
            Speaks::Overload => "overload",
            Speaks::Ban => "a ban",
            Speaks::Maintenance => "maintenance",
            Speaks::Account => "the account",
            Speaks::Domain => "the domain",
            Speaks::Fault => "a fault of the server",
        }
    }
}

/// What a text speaks of, if the dictionary knows it.
pub(super) fn read(text: &str) -> Option<Speaks> {
    let text = text.to_lowercase();
    // Of several words the first in the dictionary counts: the more particular ones stand first.
    DICTIONARY.iter().find(|(word, _)| text.contains(word)).map(|(_, speaks)| *speaks)
}

/// Parts of phrases in lower case: English, German, French, Spanish, Portuguese, Italian, Dutch.
const DICTIONARY: [(&str, Speaks); 111] = [
    ("rate limit", Speaks::Rate),
    ("rate exceed", Speaks::Rate),
    ("too many requests", Speaks::Rate),
    ("too frequent", Speaks::Rate),
    ("too fast", Speaks::Rate),
    ("throttl", Speaks::Rate),
    ("flood", Speaks::Rate),
    ("zu viele anfragen", Speaks::Rate),
    ("trop de requ", Speaks::Rate),
    ("demasiadas solicitudes", Speaks::Rate),
    ("demasiadas peticiones", Speaks::Rate),
    ("muitas solicita", Speaks::Rate),
    ("troppe richieste", Speaks::Rate),
    ("te veel verzoeken", Speaks::Rate),
    ("too many contacts", Speaks::Contacts),
    ("too many registered contacts", Speaks::Contacts),
    ("max contacts", Speaks::Contacts),
    ("maximum contacts", Speaks::Contacts),
    ("contact limit", Speaks::Contacts),
    ("domain not", Speaks::Domain),
    ("unknown domain", Speaks::Domain),
    ("no such domain", Speaks::Domain),
    ("invalid domain", Speaks::Domain),
    ("unbekannte domain", Speaks::Domain),
    ("domaine inconnu", Speaks::Domain),
    ("dominio desconocido", Speaks::Domain),
    ("account block", Speaks::Account),
    ("user block", Speaks::Account),
    ("konto gesperrt", Speaks::Account),
    ("benutzer gesperrt", Speaks::Account),
    ("compte bloqu", Speaks::Account),
    ("cuenta bloquead", Speaks::Account),
    ("conta bloquead", Speaks::Account),
    ("registration limit", Speaks::Limit),
    ("limit exceeded", Speaks::Limit),
    ("limit reached", Speaks::Limit),
    ("maximum regist", Speaks::Limit),
    ("max regist", Speaks::Limit),
    ("maximum number", Speaks::Limit),
    ("too many regist", Speaks::Limit),
    ("too many users", Speaks::Limit),
    ("too many endpoints", Speaks::Limit),
    ("seats", Speaks::Limit),
    ("licence", Speaks::Limit),
    ("license", Speaks::Limit),
    ("lizenz", Speaks::Limit),
    ("licenci", Speaks::Limit),
    ("licença", Speaks::Limit),
    ("licenza", Speaks::Limit),
    ("licentie", Speaks::Limit),
    ("höchstzahl", Speaks::Limit),
    ("quota", Speaks::Limit),
    ("límite", Speaks::Limit),
    ("limite", Speaks::Limit),
    ("limiet", Speaks::Limit),
    ("overload", Speaks::Overload),
    ("server busy", Speaks::Overload),
    ("congestion", Speaks::Overload),
    ("überlast", Speaks::Overload),
    ("surcharg", Speaks::Overload),
    ("sobrecarga", Speaks::Overload),
    ("sovraccaric", Speaks::Overload),
    ("overbelast", Speaks::Overload),
    ("capacity", Speaks::Limit),
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
    ("password", Speaks::Account),
    ("credentials", Speaks::Account),
    ("passwort", Speaks::Account),
    ("kennwort", Speaks::Account),
    ("mot de passe", Speaks::Account),
    ("contraseña", Speaks::Account),
    ("senha", Speaks::Account),
    ("wachtwoord", Speaks::Account),
    ("konto", Speaks::Account),
    ("compte ", Speaks::Account),
    ("cuenta", Speaks::Account),
    ("unknown user", Speaks::Account),
    ("user unknown", Speaks::Account),
    ("no such user", Speaks::Account),
    ("unknown subscriber", Speaks::Account),
    ("not provisioned", Speaks::Account),
    ("unpaid", Speaks::Account),
    ("database", Speaks::Fault),
    ("datenbank", Speaks::Fault),
    ("base de donn", Speaks::Fault),
    ("base de datos", Speaks::Fault),
    ("banco de dados", Speaks::Fault),
    ("db error", Speaks::Fault),
    ("sql", Speaks::Fault),
    ("backend error", Speaks::Fault),
    ("backend unavail", Speaks::Fault),
    ("storage error", Speaks::Fault),
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
            ("Too many registered contacts", Some(Speaks::Contacts)),
            ("IP gesperrt", Some(Speaks::Ban)),
            ("Konto gesperrt", Some(Speaks::Account)),
            ("Account locked", Some(Speaks::Account)),
            ("Your IP has been blocked", Some(Speaks::Ban)),
            ("System under maintenance", Some(Speaks::Maintenance)),
            ("Domain not served here", Some(Speaks::Domain)),
            ("Server overloaded", Some(Speaks::Overload)),
            ("Forbidden", None),
            ("Service Unavailable", None),
            ("", None),
        ] {
            assert_eq!(read(phrase), speaks, "{phrase}");
        }
    }

    #[test]
    fn no_word_hides_behind_another_of_another_meaning() {
        for (n, (word, speaks)) in DICTIONARY.iter().enumerate() {
            assert!(
                DICTIONARY[..n].iter().all(|(earlier, meaning)| !word.contains(earlier) || meaning == speaks),
                "{word} is never reached"
            );
        }
    }
}
