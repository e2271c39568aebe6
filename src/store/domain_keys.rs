//! Keys made of the domain's own types.

use domain::area::AreaCode;
use domain::id::{
    AgreementId, CaseId, ConsentId, EndorsementId, MessageId, PersonId, RegistrationId, RequestId,
};
use domain::time::UnixMillis;

use crate::error::Corrupt;
use crate::key::{Key, KeyBuf, TextKey};

macro_rules! id_keys {
    ($($id:ty),* $(,)?) => {$(
        impl Key for $id {
            const WIDTH: usize = 16;
            fn write(&self, out: &mut KeyBuf) {
                out.push(self.as_bytes());
            }
            fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
                <[u8; 16]>::read(bytes).map(Self::from_bytes)
            }
        }
    )*};
}
id_keys!(
    AgreementId,
    CaseId,
    ConsentId,
    EndorsementId,
    MessageId,
    PersonId,
    RegistrationId,
    RequestId,
);

/// Milliseconds, so that a queue keyed by the due time begins with what is due first.
impl Key for UnixMillis {
    const WIDTH: usize = 8;
    fn write(&self, out: &mut KeyBuf) {
        out.push(&self.get().to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        u64::read(bytes).map(Self::new)
    }
}

const AREA_DIGITS: usize = 15;

/// The digits, filled up with zero bytes: a county comes before its towns.
impl Key for AreaCode {
    const WIDTH: usize = AREA_DIGITS;
    fn write(&self, out: &mut KeyBuf) {
        let mut padded = [0; AREA_DIGITS];
        for (to, digit) in padded.iter_mut().zip(self.as_str().as_bytes()) {
            *to = *digit;
        }
        out.push(&padded);
    }
    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let text = TextKey::<AREA_DIGITS>::read(bytes)?;
        text.as_str().parse().map_err(|_| Corrupt::Key)
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

    proptest! {
        #[test]
        fn bytes_sort_as_values_do(a: (u64, [u8; 16]), b: (u64, [u8; 16])) {
            let [a, b] = [a, b].map(|(at, id)| (UnixMillis::new(at), MessageId::from_bytes(id)));
            prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), a.cmp(&b));
            prop_assert_eq!(<(UnixMillis, MessageId)>::read(&bytes(&a)), Ok(a));
        }
    }

    #[test]
    fn areas_of_every_level_come_back() {
        let codes: Vec<AreaCode> =
            ["410000", "410522", "410522104", "410522104202"].map(|c| c.parse().unwrap()).into();
        for code in &codes {
            assert_eq!(&AreaCode::read(&bytes(code)).unwrap(), code);
        }
        assert!(codes.windows(2).all(|pair| bytes(&pair[0]) < bytes(&pair[1])));
    }
}
