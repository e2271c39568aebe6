//! Enums whose texts live in a data file: the code names the entry.

/// Declares an enum with codes, `ALL`, `code`, `from_code`, and serde as its code, so that stored
/// values survive any reordering.
macro_rules! coded {
    ($(#[$meta:meta])* pub enum $name:ident {
        $( $(#[$doc:meta])* $variant:ident = $code:literal; )+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$doc])* $variant, )+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// Code on the wire, in logs and in the data file.
            pub const fn code(self) -> &'static str { match self { $( Self::$variant => $code, )+ } }

            /// The value with that code, if this version knows it.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $( $code => Some(Self::$variant), )+ _ => None }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.code())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.code())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let code = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(from)?;
                Self::from_code(&code).ok_or_else(|| {
                    <D::Error as ::serde::de::Error>::custom(concat!("no such ", stringify!($name)))
                })
            }
        }
    };
}
pub(crate) use coded;

/// Parses a data file that is part of the program.
pub(crate) fn built_in<T: serde::de::DeserializeOwned>(text: &str) -> T {
    #[expect(
        clippy::expect_used,
        reason = "the text is compiled in and every build's tests parse it"
    )]
    toml::from_str(text).expect("the built-in data file parses")
}
