//! Keys of fixed width whose bytes sort as their values do.

use crate::error::Corrupt;
use crate::limits::KEY_BYTES_MAX;

/// A key under construction, on the stack.
#[derive(Clone, Copy)]
pub struct KeyBuf {
    bytes: [u8; KEY_BYTES_MAX],
    len: usize,
}

impl KeyBuf {
    /// A key that so far has only the prefix of its table.
    pub(crate) fn new(prefix: u8) -> Self {
        let mut key = Self::empty();
        key.push(&[prefix]);
        key
    }

    pub(crate) fn empty() -> Self {
        Self { bytes: [0; KEY_BYTES_MAX], len: 0 }
    }

    /// Adds bytes. What goes over [`KEY_BYTES_MAX`] cannot happen: a table checks the width of its
    /// key when it is declared.
    pub fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        debug_assert!(end <= KEY_BYTES_MAX, "key wider than KEY_BYTES_MAX");
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(part);
            self.len = end;
        }
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl std::fmt::Debug for KeyBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyBuf({} bytes)", self.len)
    }
}

/// What can be a key: always [`WIDTH`](Key::WIDTH) bytes, big-endian, so that the order of the
/// bytes is the order of the values. Tuples of keys are keys.
pub trait Key: Sized {
    /// Bytes of every key of this type.
    const WIDTH: usize;

    /// Appends exactly [`WIDTH`](Key::WIDTH) bytes.
    fn write(&self, out: &mut KeyBuf);

    /// Reads them back.
    ///
    /// # Errors
    /// [`Corrupt::Key`] when the bytes are not what [`write`](Key::write) makes.
    fn read(bytes: &[u8]) -> Result<Self, Corrupt>;
}

/// A key whose first fields are `P`: all rows under one `P` lie together and can be scanned.
pub trait StartsWith<P: Key>: Key {}

impl Key for () {
    const WIDTH: usize = 0;
    fn write(&self, _: &mut KeyBuf) {}
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.is_empty() { Ok(()) } else { Err(Corrupt::Key) }
    }
}

impl<const N: usize> Key for [u8; N] {
    const WIDTH: usize = N;
    fn write(&self, out: &mut KeyBuf) {
        out.push(self);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        bytes.try_into().map_err(|_| Corrupt::Key)
    }
}

macro_rules! number_keys {
    ($($number:ty),*) => {$(
        impl Key for $number {
            const WIDTH: usize = size_of::<$number>();
            fn write(&self, out: &mut KeyBuf) {
                out.push(&self.to_be_bytes());
            }
            fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
                bytes.try_into().map(Self::from_be_bytes).map_err(|_| Corrupt::Key)
            }
        }
    )*};
}
number_keys!(u8, u16, u32, u64);

/// Text of at most `N` bytes as a key, filled up with zero bytes: sorts as the text does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TextKey<const N: usize>(String);

impl<const N: usize> TextKey<N> {
    /// Takes text of at most `N` bytes without a zero byte; anything else is `None`.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= N && !text.contains('\0')).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> Key for TextKey<N> {
    const WIDTH: usize = N;
    fn write(&self, out: &mut KeyBuf) {
        let mut padded = [0; N];
        for (to, from) in padded.iter_mut().zip(self.0.as_bytes()) {
            *to = *from;
        }
        out.push(&padded);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text = bytes.get(..end).and_then(|text| std::str::from_utf8(text).ok());
        let key = text.and_then(Self::new).ok_or(Corrupt::Key)?;
        if bytes.len() == N { Ok(key) } else { Err(Corrupt::Key) }
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    const WIDTH: usize = A::WIDTH + B::WIDTH;
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (a, b) = bytes.split_at_checked(A::WIDTH).ok_or(Corrupt::Key)?;
        Ok((A::read(a)?, B::read(b)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    const WIDTH: usize = A::WIDTH + B::WIDTH + C::WIDTH;
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (a, rest) = bytes.split_at_checked(A::WIDTH).ok_or(Corrupt::Key)?;
        let (b, c) = rest.split_at_checked(B::WIDTH).ok_or(Corrupt::Key)?;
        Ok((A::read(a)?, B::read(b)?, C::read(c)?))
    }
}

impl<A: Key, B: Key, C: Key, D: Key> Key for (A, B, C, D) {
    const WIDTH: usize = A::WIDTH + B::WIDTH + C::WIDTH + D::WIDTH;
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
        self.3.write(out);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (ab, cd) = bytes.split_at_checked(A::WIDTH + B::WIDTH).ok_or(Corrupt::Key)?;
        let ((a, b), (c, d)) = (<(A, B)>::read(ab)?, <(C, D)>::read(cd)?);
        Ok((a, b, c, d))
    }
}

impl<K: Key> StartsWith<()> for K {}
impl<A: Key, B: Key> StartsWith<(A,)> for (A, B) {}
impl<A: Key, B: Key, C: Key> StartsWith<(A,)> for (A, B, C) {}
impl<A: Key, B: Key, C: Key> StartsWith<(A, B)> for (A, B, C) {}
impl<A: Key, B: Key, C: Key, D: Key> StartsWith<(A,)> for (A, B, C, D) {}
impl<A: Key, B: Key, C: Key, D: Key> StartsWith<(A, B)> for (A, B, C, D) {}
impl<A: Key, B: Key, C: Key, D: Key> StartsWith<(A, B, C)> for (A, B, C, D) {}

impl<A: Key> Key for (A,) {
    const WIDTH: usize = A::WIDTH;
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        A::read(bytes).map(|a| (a,))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<K: Key>(key: &K) -> Vec<u8> {
        let mut buf = KeyBuf::new(7);
        key.write(&mut buf);
        assert_eq!(buf.as_slice().len(), 1 + K::WIDTH);
        buf.as_slice()[1..].to_vec()
    }

    fn sorts_and_returns<K: Key + Ord + std::fmt::Debug>(a: &K, b: &K) {
        assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(b), "{a:?} {b:?}");
        assert_eq!(&K::read(&bytes(a)).unwrap(), a);
    }

    proptest! {
        #[test]
        fn numbers_sort_as_values_do(a: u64, b: u64, c: u32, d: u32) {
            sorts_and_returns(&a, &b);
            sorts_and_returns(&c, &d);
        }

        #[test]
        fn tuples_sort_as_values_do(a: (u64, [u8; 6]), b: (u64, [u8; 6]), c: u8, d: u8) {
            sorts_and_returns(&a, &b);
            sorts_and_returns(&(a.0, a.1, c), &(b.0, b.1, d));
            sorts_and_returns(&(a.0, c, a.1, d), &(a.0, c, b.1, c));
            sorts_and_returns(&(a.0,), &(b.0,));
        }

        #[test]
        fn text_sorts_as_text_does(a in "[a-z甲乙]{0,4}", b in "[a-z甲乙]{0,4}") {
            let (a, b) = (TextKey::<12>::new(&a).unwrap(), TextKey::<12>::new(&b).unwrap());
            sorts_and_returns(&a, &b);
        }

        #[test]
        fn other_widths_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if bytes.len() != 17 {
                prop_assert!(<(u64, u8, u64)>::read(&bytes).is_err());
            }
        }
    }

    #[test]
    fn text_over_its_width_is_no_key() {
        assert!(TextKey::<3>::new("abcd").is_none());
        assert!(TextKey::<3>::new("a\0").is_none());
    }
}
