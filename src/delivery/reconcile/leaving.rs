//! Cures for counties that cannot be called: they lie at the node above ([`exchange::reconcile::leaving`]), and the county
//! collects them.

use bytes::Bytes;
use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use exchange::envelope::{AlgorithmProfile, SealHeader};
use exchange::keys::Opener as _;
use exchange::reconcile::calls::{
    Collected, HandedBack, Left, ReceiptAgain, SealedFor, SealedLeft, leave_data, pad_left,
    unpad_left,
};
use exchange::reconcile::difference::Difference;
use exchange::reconcile::leaving::Lot;

use super::{Reconcile, Trouble, in_time, not_for_us};
use crate::app::AppError;
use crate::app::each::First;
use crate::app::messages::send::Outlet as _;
use crate::time::SystemClock;

/// Answers that a county takes in one go.
const ANSWERS_MAX: usize = 256;

/// What lies for the counties below.
pub(super) type Waiting = exchange::reconcile::leaving::Waiting<SealedLeft>;

impl Reconcile {
    /// Notes what a county that cannot be called is to cure; without differences, that it is to report.
    pub(super) fn lay_down(&self, county: AreaCode, differences: &[Difference]) {
        self.waiting().lay_down(county, differences);
    }

    /// Differences and cures that lie here for counties that have not collected them.
    #[must_use]
    pub fn cures_waiting(&self) -> usize {
        self.waiting().count()
    }

    /// Whether a county is one below us that cannot be called.
    pub(super) fn must_collect(&self, county: AreaCode) -> bool {
        let peer = self.0.parts.peers.get(county);
        county != self.own() && peer.is_some_and(|peer| peer.endpoints().is_empty())
    }

    /// Takes a cure of so many bytes for a county below us, which cannot be called by whoever brings it. A cure about the
    /// same message takes the place of one before.
    ///
    /// # Errors
    /// `NOT_FOR_US` when the county is not below us; `BUSY` when too much lies here.
    pub fn leave_for(
        &self,
        caller: AreaCode,
        county: AreaCode,
        (left, bytes): (SealedLeft, usize),
    ) -> Result<(), AppError> {
        let own = self.own();
        if county == own || caller == county || !self.counties_below().contains(&county) {
            return Err(not_for_us());
        }
        // What it is, and whether the message is between the two, only the county can see.
        let about = (caller, left.id);
        let told = self.waiting().leave(county, about, (left, bytes), SystemClock.now());
        told.map_err(|_| AppError::Busy)
    }

    /// Gives a county below us what lies for it; it is gone from here then.
    ///
    /// # Errors
    /// `NOT_FOR_US` when it is not below us.
    pub fn collected_by(&self, county: AreaCode) -> Result<Collected, AppError> {
        if county == self.own() || !self.own().contains(&county) {
            return Err(not_for_us());
        }
        let Lot { differences, left, report } = self.waiting().collect(county);
        Ok(Collected { differences, left, report })
    }

    /// Leaves a cure for a county at the node above it, sealed for the county. Says whether it lies there.
    pub(super) async fn leave(&self, county: AreaCode, left: Left) -> bool {
        let above = county.province();
        if above == county || above == self.own() {
            return false;
        }
        let told = async {
            let left = self.seal_left(county, left)?;
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
                let taken = match self.open_left(&left) {
                    Ok(left) => self.take_left(left).await,
                    Err(fault) => Err(fault),
                };
                if let Err(error) = taken {
                    tracing::warn!(%error, code = error.reason().code(), "a cure that was left for us was not taken");
                }
            }
        }
        if any {
            self.report().await?;
        }
        Ok(first.end()?)
    }

    /// Seals a cure for a county: the node above it carries it, and sees whom it is for and which message it is about.
    fn seal_left(&self, county: AreaCode, left: Left) -> Result<SealedLeft, AppError> {
        let cannot = |_| AppError::Signing("nothing can be sealed for this peer".to_owned());
        let sealer = self.0.parts.peers.sealer(county)?;
        let (id, _) = about(&left)?;
        let padded = pad_left(&wire::reconcile::encode_left(left));
        let padded = padded.ok_or(AppError::Internal("a cure is too large"))?;
        let seal = sealer.next_seal().map_err(cannot)?;
        let sealed = sealer.seal(seal.counter, &leave_data(county, id), padded).map_err(cannot)?;
        let SealHeader { recipient_key_id, encapsulated_key, counter, .. } = seal;
        let sealed = Bytes::from(sealed);
        let sealed = SealedFor { encapsulated_key, recipient_key_id, counter, sealed };
        Ok(SealedLeft { id, sealed })
    }

    /// Opens what was left for us.
    fn open_left(&self, left: &SealedLeft) -> Result<Left, AppError> {
        let malformed = || AppError::from(Reason::Malformed);
        let SealedLeft { id, sealed } = left;
        let seal = SealHeader {
            profile: AlgorithmProfile::International,
            recipient_key_id: sealed.recipient_key_id,
            encapsulated_key: sealed.encapsulated_key,
            counter: sealed.counter,
        };
        let data = leave_data(self.own(), *id);
        let padded = self.0.parts.opener.open(&seal, &data, &sealed.sealed);
        let padded = padded.map_err(|_| AppError::from(Reason::SealedForOtherKey))?;
        let cure = unpad_left(&padded).ok_or_else(malformed)?;
        let left = wire::reconcile::decode_left(cure).map_err(|_| malformed())?;
        if about(&left)?.0 == *id { Ok(left) } else { Err(malformed()) }
    }

    /// Does what another county has left. Who it comes from is proven by what is signed in it.
    async fn take_left(&self, left: Left) -> Result<(), AppError> {
        let (id, (from, to)) = about(&left)?;
        match left {
            Left::TakeBack(back) => self.take_back(to, *back).await.map(drop),
            Left::ShowVersion(version) => self.take_version(to, *version).await,
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
        Left::TakeBack(back) | Left::ShowVersion(back) => {
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
