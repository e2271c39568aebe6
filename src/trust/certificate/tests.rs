//! Tests of the readers of certificates, requests and lists with what no honest side would send.

use proptest::prelude::*;

use super::*;
use crate::{
    crl::RevocationList,
    leaf::request,
    samples::{NOW, Net, area},
};

struct Samples {
    leaf: Vec<u8>,
    ca: Vec<u8>,
    request: Vec<u8>,
    list: Vec<u8>,
}

thread_local! {
    static SAMPLES: Samples = {
        let net = Net::new();
        let name = CertificateName::Node(area("410522"));
        let csr = request(&name, &Suffix::default()).unwrap().csr_pem;
        Samples {
            leaf: net.node("410522").chain()[0].clone(),
            ca: net.henan.certificate().to_vec(),
            request: pem::parse(csr).unwrap().into_contents(),
            list: net.henan.revocation_list(NOW).unwrap().der().to_vec(),
        }
    };
}

/// None of the readers may panic, whatever they are given.
fn read_all(bytes: &[u8]) -> [bool; 4] {
    let name = CertificateName::Node(area("410522"));
    [
        Leaf::read(bytes, &Suffix::default()).is_ok(),
        check_province(bytes, &name, &Suffix::default()).is_ok(),
        read_request(bytes).is_ok(),
        RevocationList::from_der(bytes).is_ok(),
    ]
}

#[test]
fn each_reader_reads_its_own_kind_only() {
    SAMPLES.with(|samples| {
        assert_eq!(read_all(&samples.leaf), [true, false, false, false]);
        assert_eq!(read_all(&samples.ca), [false, true, false, false]);
        assert_eq!(read_all(&samples.request), [false, false, true, false]);
        assert_eq!(read_all(&samples.list), [false, false, false, true]);
    });
}

#[test]
fn a_request_is_bound_to_its_signature() {
    SAMPLES.with(|samples| {
        let good = read_request(&samples.request).unwrap();
        for at in 0..samples.request.len() {
            let mut changed = samples.request.clone();
            changed[at] ^= 1;
            // What stands outside the signed part may be written in several ways.
            if let Ok(read) = read_request(&changed) {
                assert_eq!(read, good, "byte {at}");
            }
        }
    });
}

proptest! {
    #[test]
    fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(read_all(&bytes), [false; 4]);
    }

    #[test]
    fn damage_never_panics(kind in 0..4_u8, at in 0..700_usize, to: u8, cut in 0..700_usize) {
        SAMPLES.with(|samples| {
            let mut bytes = match kind {
                0 => samples.leaf.clone(),
                1 => samples.ca.clone(),
                2 => samples.request.clone(),
                _ => samples.list.clone(),
            };
            let at = at % bytes.len();
            bytes[at] = to;
            read_all(&bytes);
            bytes.truncate(cut);
            read_all(&bytes);
        });
    }
}
