//! Cures for counties that cannot be called: they lie at the node above, and the county collects them.
//!
//! What lies here lies in memory. A restart loses nothing for good: whoever compares again finds the same differences, and
//! leaves the same cures.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::reconcile::calls::{
    CARRY_OUT_AT_ONCE, Collected, HandedBack, LEFT_AT_ONCE, Left, ReceiptAgain,
};
use exchange::reconcile::difference::Difference;

use super::{Reconcile, Trouble, in_time, not_for_us};
use crate::app::AppError;
use crate::app::each::First;
use crate::time::SystemClock;

/// Differences that lie for one county at most; what is more is found again.
const DIFFERENCES_MAX: usize = 16_384;
/// Cures that one county may leave for another.
const LEFT_BY_ONE: usize = 128;
/// Bytes of all cures that lie here.
const LEFT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What nobody collects for so long is let go of; it is found again.
const LEFT_FOR: Duration = Duration::from_secs(86_400);
/// Answers that a county takes in one go.
const ANSWERS_MAX: usize = 256;

/// What lies for the counties below.
pub(super) type Waiting = BTreeMap<AreaCode, Lying>;

/// What lies for one county.
#[derive(Debug, Default)]
pub(super) struct Lying {
    differences: BTreeMap<MessageId, Difference>,
    /// By who has left it, and what it is about.
    left: BTreeMap<(AreaCode, MessageId), Brought>,
    report: bool,
}

/// A cure that another county has left.
#[derive(Debug)]
struct Brought {
    left: Left,
    bytes: usize,
    at: UnixMillis,
}

impl Reconcile {
    /// Notes what a county that cannot be called is to cure; without differences, that it is to report.
    pub(super) fn lay_down(&self, county: AreaCode, differences: &[Difference]) {
        let mut waiting = self.waiting();
        let lying = waiting.entry(county).or_default();
        lying.report = true;
        for difference in differences {
            if let Some(id) = difference.id()
                && lying.differences.len() < DIFFERENCES_MAX
            {
                lying.differences.insert(id, difference.clone());
            }
        }
    }

    /// Takes a cure of so many bytes for a county below us, which cannot be called by whoever brings it. A cure about the
    /// same message takes the place of one before.
    ///
    /// # Errors
    /// `NOT_FOR_US` when the county is not below us, or the message is not between the two; `BUSY` when too much lies here.
    pub fn leave_for(
        &self,
        caller: AreaCode,
        county: AreaCode,
        (left, bytes): (Left, usize),
    ) -> Result<(), AppError> {
        let own = self.own();
        if county == own || caller == county || !self.counties_below().contains(&county) {
            return Err(not_for_us());
        }
        let (id, sides) = about(&left)?;
        if sides != (caller, county) && sides != (county, caller) {
            return Err(not_for_us());
        }
        let now = SystemClock.now();
        let mut waiting = self.waiting();
        let lie = |waiting: &Waiting| -> usize {
            waiting.values().flat_map(|lying| lying.left.values()).map(|it| it.bytes).sum()
        };
        if lie(&waiting).saturating_add(bytes) > LEFT_BYTES_MAX {
            let fresh = |brought: &Brought| now.since(brought.at) < LEFT_FOR;
            waiting.values_mut().for_each(|lying| lying.left.retain(|_, it| fresh(it)));
            if lie(&waiting).saturating_add(bytes) > LEFT_BYTES_MAX {
                return Err(AppError::Busy);
            }
        }
        let lying = &mut waiting.entry(county).or_default().left;
        let by_it = lying.keys().filter(|(by, other)| *by == caller && *other != id).count();
        if by_it >= LEFT_BY_ONE {
            return Err(AppError::Busy);
        }
        lying.insert((caller, id), Brought { left, bytes, at: now });
        Ok(())
    }

    /// Gives a county below us what lies for it; it is gone from here then.
    ///
    /// # Errors
    /// `NOT_FOR_US` when it is not below us.
    pub fn collected_by(&self, county: AreaCode) -> Result<Collected, AppError> {
        if county == self.own() || !self.own().contains(&county) {
            return Err(not_for_us());
        }
        let mut waiting = self.waiting();
        let Some(mut lying) = waiting.remove(&county) else { return Ok(Collected::default()) };
        let some: Vec<_> = lying.left.keys().take(LEFT_AT_ONCE).copied().collect();
        let left = some.iter().filter_map(|key| lying.left.remove(key)).map(|it| it.left).collect();
        let rest = lying.differences.keys().nth(CARRY_OUT_AT_ONCE).copied();
        let rest = rest.map(|id| lying.differences.split_off(&id)).unwrap_or_default();
        let differences = std::mem::replace(&mut lying.differences, rest);
        let report = std::mem::take(&mut lying.report);
        if !lying.left.is_empty() || !lying.differences.is_empty() {
            waiting.insert(county, lying);
        }
        Ok(Collected { differences: differences.into_values().collect(), left, report })
    }

    /// Leaves a cure for a county at the node above it. Says whether it lies there.
    pub(super) async fn leave(&self, county: AreaCode, left: Left) -> bool {
        let above = county.province();
        if above == county || above == self.own() {
            return false;
        }
        let told = async {
            let mut client = self.dial(above).await?;
            in_time(above, client.leave(county, left)).await
        };
        let told = told.await;
        if let Err(trouble) = &told {
            tracing::warn!(%county, %trouble, "a cure was not left for a county that cannot be called");
        }
        told.is_ok()
    }

    /// Takes what lies for us at the node above, does it, and reports.
    pub(super) async fn collect(&self) -> Result<(), Trouble> {
        let Some(above) = self.above() else { return Ok(()) };
        let mut client = self.dial(above).await?;
        let (mut any, mut first) = (false, First::default());
        for _ in 0..ANSWERS_MAX {
            let collected = in_time(above, client.collect()).await?;
            if collected.is_empty() {
                break;
            }
            any = true;
            // What others have left for us is taken all the same.
            first.take(self.carry_out(&collected.differences).await);
            for left in collected.left {
                if let Err(error) = self.take_left(left).await {
                    tracing::warn!(%error, code = error.reason().code(), "a cure that was left for us was not taken");
                }
            }
        }
        if any {
            self.report().await?;
        }
        Ok(first.end()?)
    }

    /// Does what another county has left. Who it comes from is proven by what is signed in it.
    async fn take_left(&self, left: Left) -> Result<(), AppError> {
        let (id, (from, to)) = about(&left)?;
        match left {
            Left::TakeBack(back) => self.take_back(to, *back).await.map(drop),
            Left::TakeWord(_, word) => {
                let other = if from == self.own() { to } else { from };
                self.take_word(other, id, *word).await
            }
        }
    }
}

/// The message that a cure is about, and its sender and recipient, as the cure says.
fn about(left: &Left) -> Result<(MessageId, (AreaCode, AreaCode)), AppError> {
    let malformed = |_| AppError::from(Reason::Malformed);
    match left {
        Left::TakeBack(back) => {
            let HandedBack { envelope, .. } = back.as_ref();
            let header = wire::decode_header(&envelope.header_bytes).map_err(malformed)?;
            Ok((header.message_id, (header.from, header.to)))
        }
        Left::TakeWord(id, word) => {
            let ReceiptAgain { parcel_manifest, .. } = word.as_ref();
            let manifest = wire::decode_manifest(parcel_manifest).map_err(malformed)?;
            Ok((*id, (manifest.from, manifest.to)))
        }
    }
}
