//! Closed lists whose values have a number on the wire, a code and a Chinese name.

/// A closed list with stable numbers: the number is what is sent and stored, the code is what programs print.
///
/// Numbers are those of the protobuf enum of the same name and are never given to another meaning.
pub trait Numbered: Copy + Eq + 'static {
    /// Every value, in the order of the numbers.
    const ALL: &'static [Self];
    /// Name of the list in error texts.
    const LIST: &'static str;
    /// Number on the wire; never 0, which means "not stated".
    fn number(self) -> u8;
    /// Code in capitals (kinds of message: their name), as in the proto file without the prefix.
    fn code(self) -> &'static str;

    /// The value with that number, if there is one.
    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.number() == number)
    }

    /// The value with that code, if there is one.
    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.code() == code)
    }
}

/// Declares such a list: `Variant = number, "CODE", "中文";`.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident {
        $( $(#[$doc:meta])* $variant:ident = $number:literal, $code:literal, $chinese:literal; )+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$doc])* $variant, )+ }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// Number on the wire and in the store.
            pub const fn number(self) -> u8 { match self { $( Self::$variant => $number, )+ } }

            /// Code, as in the proto file without the prefix.
            pub const fn code(self) -> &'static str { match self { $( Self::$variant => $code, )+ } }

            /// Chinese name, as clerks say it.
            pub const fn chinese(self) -> &'static str { match self { $( Self::$variant => $chinese, )+ } }

            /// The value with that number, if there is one.
            pub fn from_number(number: u8) -> Option<Self> {
                <Self as $crate::numbered::Numbered>::from_number(number)
            }

            /// The value with that code, if there is one.
            pub fn from_code(code: &str) -> Option<Self> {
                <Self as $crate::numbered::Numbered>::from_code(code)
            }
        }

        impl $crate::numbered::Numbered for $name {
            const ALL: &'static [Self] = Self::ALL;
            const LIST: &'static str = stringify!($name);
            fn number(self) -> u8 { Self::number(self) }
            fn code(self) -> &'static str { Self::code(self) }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                $crate::numbered::serialize(*self, out)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::numbered::deserialize(from)
            }
        }
    };
}
pub(crate) use numbered;

/// Writes the number to compact formats and the code to readable ones.
pub(crate) fn serialize<T: Numbered, S: serde::Serializer>(
    value: T,
    out: S,
) -> Result<S::Ok, S::Error> {
    if out.is_human_readable() {
        out.serialize_str(value.code())
    } else {
        out.serialize_u8(value.number())
    }
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, T: Numbered, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    use serde::Deserialize;
    use serde::de::Error;
    if from.is_human_readable() {
        let code = std::borrow::Cow::<str>::deserialize(from)?;
        T::from_code(&code).ok_or_else(|| D::Error::custom(format_args!("no such {}", T::LIST)))
    } else {
        let number = u8::deserialize(from)?;
        T::from_number(number)
            .ok_or_else(|| D::Error::custom(format_args!("{} has no number {number}", T::LIST)))
    }
}
