//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

use super::NetworkError;

/// Below the range that systems give to outgoing calls, so that nobody gets a port between our look and the start.
const FREE_RANGE: std::ops::Range<u16> = 10_000..32_000;
/// Ports that are tried for each that is wanted.
const TRIES: usize = 200;

/// So many ports: counted from `base`, or free ones.
pub(super) fn choose(base: Option<u16>, count: u16) -> Result<Vec<u16>, NetworkError> {
    if let Some(base) = base {
        let end = base.checked_add(count).ok_or(NetworkError::NoPorts)?;
        return Ok((base..end).collect());
    }
    // All are held until all are found, so that none is found twice.
    let mut held = Vec::with_capacity(usize::from(count));
    for _ in 0..usize::from(count) * TRIES {
        if held.len() == usize::from(count) {
            break;
        }
        let port = rand::rng().random_range(FREE_RANGE);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|door| (port, door)));
    }
    if held.len() < usize::from(count) {
        return Err(NetworkError::NoPorts);
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_free_and_different() {
        let mut ports = choose(None, 12).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 12);
    }

    #[test]
    fn ports_are_counted_from_the_base() {
        assert_eq!(choose(Some(7_400), 3).unwrap(), [7_400, 7_401, 7_402]);
        assert!(choose(Some(65_530), 12).is_err());
    }
}
