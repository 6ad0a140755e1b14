//! Choices between a few words: a profile writes the word, a room acts on the value. Each is one
//! type for both, so that the words, what the schema offers and what an error suggests cannot
//! differ.

/// A choice between a few words.
pub trait Word: Copy + serde::Serialize + 'static {
    /// All there are, in the order in which they are named to a person.
    const ALL: &'static [Self];

    /// The word that is written for it.
    fn as_str(self) -> &'static str;
}

/// Writes an enum with a word beside each value: [`Word`] and what serde does follow from them.
macro_rules! words {
    ($(#[$about:meta])* $visibility:vis enum $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
        $visibility enum $name { $($(#[$of])* #[serde(rename = $word)] $value,)+ }

        impl $crate::vocab::Word for $name {
            const ALL: &'static [Self] = &[$($name::$value,)+];

            fn as_str(self) -> &'static str {
                match self { $($name::$value => $word,)+ }
            }
        }
    };
}
pub(crate) use words;
