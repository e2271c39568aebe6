//! Values that name their layout; old layouts stay readable for ever.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Corrupt;

/// What can be the value of a row.
pub trait Value: Sized {
    /// Appends the stored form.
    ///
    /// # Errors
    /// [`EncodeFailed`] when the value has no stored form.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeFailed>;

    /// Reads the stored form, of this or any older layout.
    ///
    /// # Errors
    /// [`Corrupt`] when the bytes are none of these layouts.
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt>;
}

/// A value that serde cannot express (such as a sequence of unknown length).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value has no stored form")]
pub struct EncodeFailed;

/// A value stored as one byte of layout version and postcard.
///
/// When the layout changes, the old struct moves to a module named after its version, the new one
/// gets the next number, and `upgrade` turns the one into the other:
///
/// ```ignore
/// impl Versioned for Case {
///     const VERSION: u8 = 2;
///     type Older = v1::Case;
///     fn upgrade(older: v1::Case) -> Self { Self { id: older.id, due: None } }
/// }
/// ```
pub trait Versioned: Serialize + DeserializeOwned {
    /// First byte of every stored value.
    const VERSION: u8;
    /// The layout before this one, or [`NoOlder`].
    type Older: Value;
    /// Makes this layout of the one before it.
    fn upgrade(older: Self::Older) -> Self;
}

impl<T: Versioned> Value for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        out.push(T::VERSION);
        let taken = std::mem::take(out);
        *out = postcard::to_extend(self, taken).map_err(|_| EncodeFailed)?;
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&version, body)) if version == T::VERSION => {
                match postcard::take_from_bytes(body) {
                    Ok((value, [])) => Ok(value),
                    Ok(_) | Err(_) => Err(Corrupt::Body(version)),
                }
            }
            Some((&version, _)) if version < T::VERSION => T::Older::decode(bytes).map(T::upgrade),
            Some((&version, _)) => Err(Corrupt::FromTheFuture(version)),
            None => Err(Corrupt::Empty),
        }
    }
}

/// Declares rows that still have their first layout.
macro_rules! first_layouts {
    ($($row:ty),* $(,)?) => {$(
        impl $crate::value::Versioned for $row {
            const VERSION: u8 = 1;
            type Older = $crate::value::NoOlder;
            fn upgrade(older: $crate::value::NoOlder) -> Self {
                match older {}
            }
        }
    )*};
}
pub(crate) use first_layouts;

/// The end of a chain of layouts: no bytes decode as it, so no value of it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOlder {}

impl Value for NoOlder {
    fn encode(&self, _: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        match *self {}
    }
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Err(bytes.first().map_or(Corrupt::Empty, |version| Corrupt::UnknownLayout(*version)))
    }
}

/// Bytes stored as they are, whose format somebody else owns (a signed manifest, a receipt).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Vec<u8>);

impl Value for Raw {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Ok(Self(bytes.to_vec()))
    }
}

/// Nothing: the key says it all, as in an index.
impl Value for () {
    fn encode(&self, _: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        Ok(())
    }
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(Corrupt::Length { expected: 0, found: bytes.len() })
        }
    }
}

impl<const N: usize> Value for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        out.extend_from_slice(self);
        Ok(())
    }
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        bytes.try_into().map_err(|_| Corrupt::Length { expected: N, found: bytes.len() })
    }
}

/// A counter, 8 bytes big-endian.
impl Value for u64 {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeFailed> {
        out.extend_from_slice(&self.to_be_bytes());
        Ok(())
    }
    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        <[u8; 8]>::decode(bytes).map(Self::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    mod v1 {
        use super::*;
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(super) struct Note {
            pub(super) text: String,
        }
        impl Versioned for Note {
            const VERSION: u8 = 1;
            type Older = NoOlder;
            fn upgrade(older: NoOlder) -> Self {
                match older {}
            }
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
        pinned: bool,
    }
    impl Versioned for Note {
        const VERSION: u8 = 2;
        type Older = v1::Note;
        fn upgrade(older: v1::Note) -> Self {
            Self { text: older.text, pinned: false }
        }
    }

    fn stored<V: Value>(value: &V) -> Vec<u8> {
        let mut out = vec![];
        value.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn an_old_layout_is_read_as_the_new_one() {
        let old = stored(&v1::Note { text: "甲".to_owned() });
        assert_eq!(old, [1, 3, 0xE7, 0x94, 0xB2], "golden bytes of layout 1");
        let note = Note { text: "甲".to_owned(), pinned: false };
        assert_eq!(Note::decode(&old), Ok(note.clone()));
        assert_eq!(stored(&note), [2, 3, 0xE7, 0x94, 0xB2, 0], "golden bytes of layout 2");
    }

    #[test]
    fn what_no_version_wrote_is_named() {
        assert_eq!(Note::decode(&[]), Err(Corrupt::Empty));
        assert_eq!(Note::decode(&[0, 1]), Err(Corrupt::UnknownLayout(0)));
        assert_eq!(Note::decode(&[3, 1]), Err(Corrupt::FromTheFuture(3)));
        assert_eq!(Note::decode(&[2, 1]), Err(Corrupt::Body(2)));
        assert_eq!(Note::decode(&[2, 0, 0, 9]), Err(Corrupt::Body(2)), "bytes left over");
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(text: String, pinned: bool, number: u64, raw: Vec<u8>) {
            let note = Note { text, pinned };
            prop_assert_eq!(Note::decode(&stored(&note)), Ok(note));
            prop_assert_eq!(u64::decode(&stored(&number)), Ok(number));
            prop_assert_eq!(Raw::decode(&stored(&Raw(raw.clone()))), Ok(Raw(raw)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            drop(Note::decode(&bytes));
            drop(<[u8; 4]>::decode(&bytes));
            drop(<()>::decode(&bytes));
        }
    }
}
