//! What a registrar is made of, as far as advice differs by it.

use super::words;

words! {
    /// The product that answers on a trunk.
    #[derive(PartialOrd, Ord)]
    pub enum Platform {
        Kamailio = "kamailio",
        OpenSips = "opensips",
        Asterisk = "asterisk",
        FreeSwitch = "freeswitch",
        Genesys = "genesys",
        Oracle = "oracle",
        /// Another one: no advice that is of one product alone.
        Other = "other",
    }
}

words! {
    /// What a platform speaks that is asked about trunks.
    pub enum PlatformKind {
        Genesys = "genesys",
        AnalyticsExport = "analytics-export",
    }
}

words! {
    /// How a platform wants the user of a trunk's credentials.
    pub enum UserForm {
        Bare = "bare",
        WithDomain = "with-domain",
    }
}

impl Platform {
    /// The product that calls itself so in `Server` or `User-Agent`, if it is one of those known.
    pub fn of_software(software: &str) -> Option<Platform> {
        let software = software.to_ascii_lowercase();
        let named = |(mark, _): &&(&str, Platform)| software.contains(mark);
        MARKS.iter().find(named).map(|(_, platform)| *platform)
    }

    /// What it is called in advice.
    pub const fn system(self) -> &'static str {
        match self {
            Platform::Kamailio => "Kamailio",
            Platform::OpenSips => "OpenSIPS",
            Platform::Asterisk => "Asterisk PJSIP",
            Platform::FreeSwitch => "FreeSWITCH",
            Platform::Genesys => "Genesys Cloud",
            Platform::Oracle => "Oracle SBC",
            Platform::Other => "another product",
        }
    }
}

/// What software says of itself, in small letters.
const MARKS: [(&str, Platform); 9] = [
    ("kamailio", Platform::Kamailio),
    ("opensips", Platform::OpenSips),
    ("asterisk", Platform::Asterisk),
    ("fpbx", Platform::Asterisk),
    ("freeswitch", Platform::FreeSwitch),
    ("genesys", Platform::Genesys),
    ("purecloud", Platform::Genesys),
    ("acme packet", Platform::Oracle),
    ("oracle", Platform::Oracle),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_known_by_what_it_calls_itself() {
        for (software, platform) in [
            ("kamailio (5.6.3 (x86_64/linux))", Some(Platform::Kamailio)),
            ("Asterisk PBX 20.5.0", Some(Platform::Asterisk)),
            ("FPBX-16.0.33(18.20.2)", Some(Platform::Asterisk)),
            ("FreeSWITCH-mod_sofia/1.10.9", Some(Platform::FreeSwitch)),
            ("OpenSIPS (3.3.5 (x86_64/linux))", Some(Platform::OpenSips)),
            ("edge-2", None),
            ("", None),
        ] {
            assert_eq!(Platform::of_software(software), platform, "{software}");
        }
    }
}
