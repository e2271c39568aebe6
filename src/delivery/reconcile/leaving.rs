//! Cures for counties that cannot be called: they lie at the node above, and the county collects them.
//!
//! What lies here lies in memory. A restart loses nothing for good: whoever compares again finds the same differences, and
//! leaves the same cures.

use std::collections::{BTreeMap, VecDeque};

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use exchange::reconcile::calls::{
    CARRY_OUT_AT_ONCE, Collected, HandedBack, LEFT_AT_ONCE, Left, ReceiptAgain,
};
use exchange::reconcile::difference::Difference;

use super::{Reconcile, Trouble, in_time, not_for_us};
use crate::app::AppError;
use crate::app::each::First;

/// Differences that lie for one county at most; what is more is found again.
const DIFFERENCES_MAX: usize = 16_384;
/// Cures of others that lie for one county at most.
const LEFT_MAX: usize = 512;
/// Answers that a county takes in one go.
const ANSWERS_MAX: usize = 256;

/// What lies for the counties below.
pub(super) type Waiting = BTreeMap<AreaCode, Lying>;

/// What lies for one county.
#[derive(Debug, Default)]
pub(super) struct Lying {
    differences: BTreeMap<MessageId, Difference>,
    left: VecDeque<Left>,
    report: bool,
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

    /// Takes a cure for a county below us, which cannot be called by whoever brings it.
    ///
    /// # Errors
    /// `NOT_FOR_US` when the county is not below us, `BUSY` when too many lie there.
    pub fn leave_for(
        &self,
        caller: AreaCode,
        county: AreaCode,
        left: Left,
    ) -> Result<(), AppError> {
        let own = self.own();
        if county == own || caller == county || !self.counties_below().contains(&county) {
            return Err(not_for_us());
        }
        let mut waiting = self.waiting();
        let lying = &mut waiting.entry(county).or_default().left;
        if lying.contains(&left) {
            return Ok(());
        }
        if lying.len() >= LEFT_MAX {
            return Err(AppError::Busy);
        }
        lying.push_back(left);
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
        let count = lying.left.len().min(LEFT_AT_ONCE);
        let left = lying.left.drain(..count).collect();
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
        let malformed = |_| AppError::from(Reason::Malformed);
        match left {
            Left::TakeBack(back) => {
                let HandedBack { envelope, .. } = back.as_ref();
                let header = wire::decode_header(&envelope.header_bytes).map_err(malformed)?;
                self.take_back(header.to, *back).await.map(drop)
            }
            Left::TakeWord(id, word) => {
                let ReceiptAgain { parcel_manifest, .. } = word.as_ref();
                let manifest = wire::decode_manifest(parcel_manifest).map_err(malformed)?;
                let other = if manifest.from == self.own() { manifest.to } else { manifest.from };
                self.take_word(other, id, *word).await
            }
        }
    }
}
