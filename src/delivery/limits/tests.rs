//! Peers do not share their bounds, and the disk is everybody's.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
const RATE: RateSettings = RateSettings { messages_per_second: 100, bytes_per_second: 1_000_000 };

fn limits(disk_min: u64) -> Limits {
    let here = tempfile::tempdir().unwrap();
    Limits::new(RATE, DiskGuard::new(here.path().to_owned(), disk_min))
}

fn area(code: &str) -> AreaCode {
    code.parse().unwrap()
}

/// What a future says when it is asked once.
fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[test]
fn one_peer_s_flood_is_not_another_s() {
    let limits = limits(0);
    let (flood, quiet) = (area("410522"), area("440305"));
    assert_eq!(limits.admit(flood, 512, 10, NOW), Ok(()));
    let put_off = limits.admit(flood, 1, 10, NOW).unwrap_err();
    assert_eq!((put_off.reason, put_off.pause), (Reason::RateLimited, Duration::ZERO));
    assert!(put_off.until > NOW);
    assert_eq!(limits.admit(quiet, 1, 10, NOW), Ok(()));
    assert_eq!(limits.admit(flood, 1, 10, put_off.until), Ok(()));
}

#[test]
fn a_peer_has_two_turns_at_a_time_and_its_others_wait_in_order() {
    let limits = limits(0);
    let (flood, quiet) = (area("410522"), area("440305"));
    let first = once(limits.turn(flood, NOW)).unwrap();
    let _second = once(limits.turn(flood, NOW)).unwrap();
    let (mut third, mut fourth) =
        (Box::pin(limits.turn(flood, NOW)), Box::pin(limits.turn(flood, NOW)));
    assert!(once(third.as_mut()).is_none() && once(fourth.as_mut()).is_none());
    assert!(once(limits.turn(quiet, NOW)).is_some());
    drop(first);
    assert!(once(fourth.as_mut()).is_none(), "the third was first");
    let third = once(third.as_mut()).unwrap();
    drop(third);
    assert!(once(fourth.as_mut()).is_some());
}

#[test]
fn a_peer_has_so_many_streams_and_no_more() {
    let limits = limits(0);
    let mut open: Vec<_> =
        (0..STREAMS).map(|_| limits.stream(area("410522"), NOW).unwrap()).collect();
    assert!(limits.stream(area("410522"), NOW).is_none());
    assert!(limits.stream(area("440305"), NOW).is_some());
    open.pop();
    assert!(limits.stream(area("410522"), NOW).is_some());
}

#[test]
fn a_disk_that_is_nearly_full_puts_everybody_off_for_a_minute() {
    let limits = limits(u64::MAX);
    let put_off = PutOff {
        reason: Reason::DiskNearlyFull,
        until: NOW.saturating_add(DISK_RETRY),
        pause: CLOSED_PAUSE,
    };
    assert_eq!(limits.admit(area("410522"), 1, 1, NOW), Err(put_off));
}
