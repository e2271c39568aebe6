//! Signing what came of a comparison: asking the other side to, and answering it when it asks. By which rules days are
//! closed once, and both sides hold the same statement about them, stands in [`exchange::reconcile::signing`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use domain::time::UnixMillis;
use exchange::digest::Digest;
use exchange::keys::{SignContext, Signer as _};
use exchange::ledger::{LedgerHead, OwnHead, SeenHead};
use exchange::reconcile::calls::{Agreed, Signature, SignedStatement};
use exchange::reconcile::difference::Difference;
use exchange::reconcile::set::Scope;
use exchange::reconcile::signing::waits_for;
use exchange::reconcile::statement::{Correction, Left, Statement};
use exchange::reconcile::totals::Digests;
use store::letters::NoticeKind;
use store::reconcile::{RunRow, RunState};
use tokio::sync::OwnedMutexGuard;
use wire::reconcile::{decode_statement, encode_statement};

use super::asking::Compared;
use super::running::DIFFERENCES_LEFT;
use super::{Reconcile, Trouble, in_time, not_for_us};
use crate::app::reconcile::statements::{self, Kept};
use crate::app::reconcile::{corrections, figures, runs};
use crate::app::{AppError, Refusal, blocking, notices};
use crate::delivery::proof::{self, Claim};
use crate::errors::chain;
use crate::time::{SystemClock, random};

/// The longest that an asker waits until we have our answer of it.
const TURN_MAX: Duration = Duration::from_secs(60);

/// Whose turn it is to have days closed, by the other side: one mutex each, held while we ask it, or answer it.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<AreaCode, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn with(&self, area: AreaCode) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(area).or_default())
    }

    /// Until it is ours to ask.
    async fn to_ask(&self, area: AreaCode) -> OwnedMutexGuard<()> {
        self.with(area).lock_owned().await
    }

    /// To answer; `None` when it is not the other's turn.
    async fn to_answer(&self, own: AreaCode, area: AreaCode) -> Option<OwnedMutexGuard<()>> {
        let turn = self.with(area);
        match waits_for(own, area) {
            true => tokio::time::timeout(TURN_MAX, turn.lock_owned()).await.ok(),
            false => turn.try_lock_owned().ok(),
        }
    }
}

/// How a comparison was signed.
pub(super) enum Signed {
    /// The run has come to its end.
    Ended,
    /// The other side finds something else by now; if only the corrections, those.
    Again(Option<Vec<Correction>>),
    /// The other side did not answer, or ended the call.
    Cut(Trouble),
}

impl Reconcile {
    /// Our signature under a statement.
    fn sign(&self, statement: &[u8]) -> Result<Signature, AppError> {
        self.signature(SignContext::Statement, statement)
    }

    fn signature(&self, context: SignContext, bytes: &[u8]) -> Result<Signature, AppError> {
        let material = self.0.parts.identity.material();
        let signer = material.identity();
        let signature = signer.sign(context, bytes);
        let signature = signature.map_err(|error| AppError::Signing(error.to_string()))?;
        Ok(Signature { signature, chain: signer.chain_der().to_vec() })
    }

    /// The present head of our ledger, with our signature.
    ///
    /// # Errors
    /// When the node's key does not sign.
    pub fn sign_head(&self) -> Result<(OwnHead, Signature), AppError> {
        let (head, signed) = self.store().head_to_sign(SystemClock.now());
        let head = LedgerHead { size: head.size, root: head.root };
        let own = OwnHead { of: self.own(), seen: SeenHead { head, signed } };
        let signature = self.signature(SignContext::LedgerHead, &own.canonical_bytes())?;
        Ok((own, signature))
    }

    /// Signs a statement of `caller`, if our books say the same; or says why not.
    ///
    /// # Errors
    /// `MALFORMED`, `NOT_FOR_US`, `STATE_FORBIDS` for days that are not over or of which some are closed, and those of a
    /// signature that does not hold.
    pub async fn agree(
        &self,
        caller: AreaCode,
        bytes: Vec<u8>,
        theirs: Signature,
    ) -> Result<Agreed, AppError> {
        let (own, now) = (self.own(), SystemClock.now());
        let statement = decode_statement(&bytes).map_err(|_| AppError::from(Reason::Malformed))?;
        // What is not read is not signed.
        if encode_statement(&statement) != bytes {
            return Err(Refusal::new(Reason::Malformed).field("statement").into());
        }
        let scope = statement.scope;
        if scope.asker != caller || scope.answerer != own || !scope.is_between_two() {
            return Err(not_for_us());
        }
        let claim = claim(caller, &bytes, &theirs, now);
        proof::check(&self.0.parts.identity, &claim, now).map_err(unproven)?;
        in_its_time(&statement, now)?;
        let _turn = match statement.closes() {
            false => None,
            true => match self.0.turns.to_answer(own, caller).await {
                Some(turn) => Some(turn),
                None => return Ok(Agreed::Differs),
            },
        };
        if let Some(kept) = statements::closing(self.store(), own, &scope)? {
            // The node may have ended before it did so when it kept it.
            self.reassure(caller).await?;
            return Ok(Agreed::Closed(Box::new(kept.signed())));
        }
        if statement.closes() {
            statements::must_be_open(self.store(), own, &scope)?;
        }
        if let Some(other) = self.finds_otherwise(&statement).await? {
            return Ok(other);
        }
        let (digest, ours) = (Digest::of(&bytes), self.sign(&bytes)?);
        let signed = SignedStatement { statement: bytes, asker: theirs, answerer: ours.clone() };
        let kept = statements::keep(self.store(), own, signed, now).await?;
        if kept.row.digest != digest {
            return Ok(Agreed::Closed(Box::new(kept.signed())));
        }
        if kept.row.closes {
            self.reassure(caller).await?;
        }
        self.look_at_closed(kept.statement.clone());
        self.leave_to_people(kept.statement);
        Ok(Agreed::Signed(ours))
    }

    /// What our books say otherwise than a statement.
    async fn finds_otherwise(&self, statement: &Statement) -> Result<Option<Agreed>, AppError> {
        let (own, scope) = (self.own(), statement.scope);
        let incomplete = self.incomplete(self.counties_below(), scope).await?;
        let entries = self.entries(scope).await?;
        let corrections = statement.corrections.clone();
        let checked = statement.clone();
        let check = move || Ok(checked.is_true_for(own, &entries, &incomplete));
        if !blocking(check).await? {
            return Ok(Some(Agreed::Differs));
        }
        if corrections.is_empty() {
            return Ok(None);
        }
        let ours = self.corrected(scope).await?;
        let same = corrections.iter().all(|it| ours.contains(it));
        Ok((!same).then_some(Agreed::Corrects(ours)))
    }

    /// Looks whether days that are closed have changed here alone: that the asker would not tell.
    fn look_at_closed(&self, signed: Statement) {
        let this = self.clone();
        self.0.parts.tasks.spawn("closed days", async move {
            let looked = async {
                let ours = this.corrected(signed.scope).await?;
                this.look_at_days(signed.scope.asker, &ours, &signed.corrections).await
            };
            if let Err(error) = looked.await {
                tracing::error!(%error, "it could not be looked whether closed days have changed");
            }
        });
    }

    async fn corrected(&self, scope: Scope) -> Result<Vec<Correction>, AppError> {
        let (own, store, seen) = (self.own(), self.store().clone(), Arc::clone(&self.0.seen));
        let _turn = self.0.correcting.acquire().await.ok();
        blocking(move || corrections::corrected(&store, own, &scope, &seen)).await
    }

    /// Signs what came of a run, and has the other side sign. Of corrections only those are told that it has found as well,
    /// if it has told which.
    pub(super) async fn finish(
        &self,
        number: u64,
        scope: Scope,
        compared: Compared,
        theirs: Option<&[Correction]>,
    ) -> Result<Signed, AppError> {
        let row = runs::get(self.store(), number)?;
        let mut corrections = self.corrected(scope).await?;
        if let Some(theirs) = theirs {
            self.look_at_days(scope.answerer, &corrections, theirs).await?;
        }
        corrections.retain(|it| theirs.is_none_or(|theirs| theirs.contains(it)));
        let lost = runs::lost_ones(self.store(), number, (scope.first, scope.last))?;
        let statement = statement(scope, &row, compared, (&lost, corrections));
        let area = scope.answerer;
        let _turn = match statement.closes() {
            true => Some(self.0.turns.to_ask(area).await),
            false => None,
        };
        // What an answer of ours has handed in to be written is on disk after this.
        self.store().commit(|_| Ok::<_, AppError>(())).await.map_err(AppError::from)?;
        if self.end_if_closed(number, scope).await? {
            return Ok(Signed::Ended);
        }
        let bytes = encode_statement(&statement);
        let ours = self.sign(&bytes)?;
        let asked = async {
            let mut client = self.dial(area).await?;
            in_time(area, client.agree(bytes.clone(), &ours)).await
        };
        let kept = match asked.await {
            Ok(Agreed::Signed(theirs)) => {
                let signed = SignedStatement { statement: bytes, asker: ours, answerer: theirs };
                self.take_signed(scope, signed).await
            }
            Ok(Agreed::Closed(signed)) => self.take_closed(scope, *signed).await,
            Ok(Agreed::Differs) => return Ok(Signed::Again(None)),
            Ok(Agreed::Corrects(theirs)) => return Ok(Signed::Again(Some(theirs))),
            Err(trouble) => return Ok(Signed::Cut(trouble)),
        };
        match kept {
            Ok(kept) => self.end_with(number, kept).await?,
            Err(fault) => self.give_up(number, chain(&fault)).await?,
        }
        Ok(Signed::Ended)
    }

    /// Ends a run whose days both have signed meanwhile.
    pub(super) async fn end_if_closed(&self, number: u64, scope: Scope) -> Result<bool, AppError> {
        match statements::closing(self.store(), self.own(), &scope)? {
            Some(kept) => self.end_with(number, kept).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn end_with(&self, number: u64, kept: Kept) -> Result<(), AppError> {
        let statement = &kept.statement;
        let (state, digest) = (state_after(statement), kept.row.digest);
        let mut trouble = statements::not_reported(&statement.incomplete);
        if state == RunState::Left {
            let both = [DIFFERENCES_LEFT.to_owned(), trouble];
            trouble = both.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ");
        }
        self.leave_to_people(kept.statement);
        let row = runs::change(self.store(), number, SystemClock.now(), move |row| {
            (row.state, row.statement) = (state, Some(digest));
            row.trouble = trouble;
        });
        let with = row.await?.with;
        if state == RunState::Left { self.alarm(with).await } else { self.reassure(with).await }
    }

    /// Takes back what was told of a side with which no reconciliation had come to its end, unless one is overdue still.
    async fn reassure(&self, with: AreaCode) -> Result<(), AppError> {
        let now = SystemClock.now();
        if figures::is_overdue(self.store(), &self.0.parts.settings, with, now)? {
            return Ok(());
        }
        let write = move |unit: &mut store::Unit<'_>| {
            notices::take_back(unit, &NoticeKind::NotReconciled { with }, now)
        };
        self.store().commit(write).await.map_err(AppError::from)
    }

    async fn take_signed(&self, scope: Scope, signed: SignedStatement) -> Result<Kept, AppError> {
        let now = SystemClock.now();
        let claim = claim(scope.answerer, &signed.statement, &signed.answerer, now);
        proof::check(&self.0.parts.identity, &claim, now).map_err(unproven)?;
        statements::keep(self.store(), self.own(), signed, now).await
    }

    /// Takes a statement over the same days that the other side says both have signed: one signature is ours.
    async fn take_closed(&self, scope: Scope, signed: SignedStatement) -> Result<Kept, AppError> {
        let now = SystemClock.now();
        let malformed = |_| AppError::from(Reason::Malformed);
        let statement = decode_statement(&signed.statement).map_err(malformed)?;
        if !statement.is_about(&scope) {
            return Err(Reason::Malformed.into());
        }
        let Scope { asker, answerer, .. } = statement.scope;
        for (by, signature) in [(asker, &signed.asker), (answerer, &signed.answerer)] {
            let claim = claim(by, &signed.statement, signature, statement.made);
            // The other side hands it over under its present certificate, which one of them may be older than.
            self.holds(&claim, true, now)?;
        }
        statements::keep(self.store(), self.own(), signed, now).await
    }
}

/// How a run ends that has come to a statement.
fn state_after(statement: &Statement) -> RunState {
    match (statement.left_count(), statement.leaves_work()) {
        (0, _) => RunState::Equal,
        (_, false) => RunState::Decisions,
        (_, true) => RunState::Left,
    }
}

fn statement(
    scope: Scope,
    row: &RunRow,
    compared: Compared,
    (lost, corrections): (&BTreeSet<MessageId>, Vec<Correction>),
) -> Statement {
    let Compared { differences, held, incomplete, .. } = compared;
    let held = held.end();
    let Left { named: left, more: left_more, rest: left_rest } =
        Left::of(differences, lost, &scope);
    let named: BTreeSet<MessageId> = left.iter().filter_map(Difference::id).collect();
    let statement = Statement {
        id: random(),
        scope,
        made: SystemClock.now(),
        totals: held.totals,
        digests: Digests::default(),
        found: row.found,
        cured: row.cured,
        left,
        left_more,
        left_rest,
        lost: lost.intersection(&named).copied().collect(),
        corrections,
        incomplete,
    };
    statement.attesting(held.digests)
}

/// What an asker's clock says is not far ahead of ours, and what it would close is over by ours.
fn in_its_time(statement: &Statement, now: UnixMillis) -> Result<(), AppError> {
    if !statement.is_in_time(now) {
        let detail = "by the clock of the side that is to sign it, its time has not come";
        return Err(Refusal::new(Reason::StateForbids).field("until").detail(detail).into());
    }
    Ok(())
}

/// The claim that a signature under a statement makes.
fn claim<'a>(
    by: AreaCode,
    bytes: &'a [u8],
    signature: &'a Signature,
    signed: UnixMillis,
) -> Claim<'a> {
    let leaf = signature.chain.first().map(Vec::as_slice);
    Claim {
        context: SignContext::Statement,
        by,
        // Nothing but the chain itself names the certificate.
        signer: Digest::of(leaf.unwrap_or_default()),
        chain: &signature.chain,
        bytes,
        signature: &signature.signature,
        signed,
    }
}

fn unproven(fault: proof::Unproven) -> AppError {
    tracing::warn!(%fault, code = fault.reason().code(), "a signature under a statement does not hold");
    fault.reason().into()
}
