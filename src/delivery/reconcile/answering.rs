//! Answering others: comparisons, statements, receipts, what is handed back, proofs.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::reason::Reason;
use exchange::digest::Digest;
use exchange::ledger::LedgerHead;
use exchange::reconcile::calls::ReceiptAgain;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::{
    Answer, Answerer, Ask, ENTRIES_AT_ONCE, INCOMPLETE_MAX, ITEMS_AT_ONCE, Lacks,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::{
    ANSWERED_AT_ONCE, COMPARISON_MAX, Reconcile, SHORT_TIMEOUT, WORKING_EVERY, not_for_us,
};
use crate::app::reconcile::cures;
use crate::app::{AppError, blocking, ledger};
use crate::time::{SystemClock, random};

/// Answers that are not taken yet.
const ANSWERS_QUEUE: usize = 64;
/// The longest that an asker may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// The longest that an asker may take, where there is little to tell.
const TALK_MIN: Duration = Duration::from_secs(600);
/// What each message of the talk has beside that.
const FOR_EACH: Duration = Duration::from_secs(1);

/// What an asker says, as it comes.
pub type Asks = Pin<Box<dyn Stream<Item = Result<Ask, Reason>> + Send>>;

/// What is answered; an error is the last item.
type Answers = ReceiverStream<Result<Answer, AppError>>;

impl Reconcile {
    /// Answers a comparison of `caller`.
    ///
    /// # Errors
    /// `BUSY` while too many are answered, or one of this caller.
    pub fn answer(&self, caller: AreaCode, asks: Asks) -> Result<Answers, AppError> {
        {
            let mut answering = self.answering();
            if answering.len() >= ANSWERED_AT_ONCE || !answering.insert(caller) {
                return Err(AppError::Busy);
            }
        }
        let place = Place { reconcile: self.clone(), caller };
        let (answers, out) = mpsc::channel(ANSWERS_QUEUE);
        let (this, mut stopping) = (self.clone(), self.0.parts.tasks.stopping());
        self.0.parts.tasks.spawn("comparison", async move {
            let in_time = tokio::time::timeout(COMPARISON_MAX, this.converse(caller, asks, &answers));
            let ended = tokio::select! {
                () = stopping.stopped() => Ok(()),
                ended = in_time => ended.unwrap_or_else(|_| Err(Reason::PeerUnreachable.into())),
            };
            drop(place);
            if let Err(error) = ended {
                tracing::warn!(peer = %caller, code = error.reason().code(), %error, "a comparison ended early");
                // Whoever has gone, or takes nothing, hears nothing of it.
                let told = tokio::time::timeout(SHORT_TIMEOUT, answers.send(Err(error))).await;
                let _gone = told.is_err();
            }
        });
        Ok(ReceiverStream::new(out))
    }

    async fn converse(
        &self,
        caller: AreaCode,
        mut asks: Asks,
        answers: &mpsc::Sender<Result<Answer, AppError>>,
    ) -> Result<(), AppError> {
        let open = next(&mut asks).await?;
        let Ask::Open { scope, .. } = &open else { return Err(Reason::Malformed.into()) };
        let scope = *scope;
        if scope.asker != caller || scope.answerer != self.own() {
            return Err(not_for_us());
        }
        let mut silent = at_work(answers, self.refresh_counties()).await?;
        silent.retain(|it| scope.stands_for(self.own(), *it) && !self.has_ended(*it));
        silent.truncate(INCOMPLETE_MAX);
        // Before the entries are read: what is reported meanwhile may not be among them.
        let incomplete = self.incomplete(self.counties_below(), scope).await?;
        let own = self.entries(scope).await?;
        let (lacks, most) = (Lacks { incomplete, silent }, talk_max(own.len()));
        let unmatched_max = self.0.parts.settings.unmatched_max;
        let begin = move || Ok(Answerer::open(open, own, random(), lacks, unmatched_max));
        let begun = blocking(begin).await?;
        let (answerer, first) = begun.map_err(refused)?;
        let found = talk(answerer, first, (&mut asks, answers), most).await?;
        // Our part of the cure comes first, so that whoever compares again soon finds it done.
        let mut lost = at_work(answers, self.cure(&scope, &found)).await??.lost;
        lost.truncate(ENTRIES_AT_ONCE);
        say(answers, vec![Answer::Taken { lost }]).await
    }

    /// The receipt of a message of `caller`, again.
    ///
    /// # Errors
    /// `NOT_FOUND`; when rows cannot be read or the node does not sign.
    pub fn issue_again(&self, caller: AreaCode, id: MessageId) -> Result<ReceiptAgain, AppError> {
        let material = self.0.parts.identity.material();
        let (signing, now) = (self.signing(&material), SystemClock.now());
        cures::issue_again(self.store(), signing, caller, id, now)
    }

    /// A proof that our ledger of one size is the beginning of that of another; 0 for the present one.
    ///
    /// # Errors
    /// `INVALID_FIELD` for sizes that our ledger never had; `BUSY` while another proof is made.
    pub async fn prove(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<(LedgerHead, Vec<Digest>), AppError> {
        let Ok(turn) = Arc::clone(&self.0.proving).try_acquire_owned() else {
            return Err(AppError::Busy);
        };
        let (inner, sizes) = (Arc::clone(&self.0), (old_size, new_size));
        blocking(move || {
            let _until_it_is_made = turn;
            ledger::consistency(&inner.parts.store, &inner.blocks, sizes)
        })
        .await
    }
}

/// The place of a caller among those that are answered, until it is over, in whatever way.
struct Place {
    reconcile: Reconcile,
    caller: AreaCode,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.reconcile.answering().remove(&self.caller);
    }
}

/// How long an asker may take until it has told what it has found, when we have so many entries: each page of the list, or
/// message of symbols, has a second. So has each of its messages, of which there are no more than both sides have entries.
fn talk_max(entries: usize) -> Duration {
    let pages = u64::try_from(entries / ITEMS_AT_ONCE).unwrap_or(u64::MAX);
    TALK_MIN.saturating_add(FOR_EACH.saturating_mul(u32::try_from(pages).unwrap_or(u32::MAX)))
}

/// Answers until the asker has told everything that it has found, and gives that. No answer is made before the one before
/// it was taken.
async fn talk(
    mut answerer: Answerer,
    mut said: Vec<Answer>,
    (asks, answers): (&mut Asks, &mpsc::Sender<Result<Answer, AppError>>),
    most: Duration,
) -> Result<Vec<Difference>, AppError> {
    let mut until = Instant::now() + most;
    while !answerer.is_done() {
        let turn = turn(answerer, said, asks, answers);
        let turned = tokio::time::timeout_at(until, turn).await;
        (answerer, said) = turned.unwrap_or_else(|_| Err(Reason::PeerUnreachable.into()))?;
        until += FOR_EACH;
    }
    Ok(answerer.into_found())
}

/// Says what is to be said, and all symbols that follow, hears what the asker says to it, and gives what is to be said next.
async fn turn(
    mut answerer: Answerer,
    said: Vec<Answer>,
    asks: &mut Asks,
    answers: &mpsc::Sender<Result<Answer, AppError>>,
) -> Result<(Answerer, Vec<Answer>), AppError> {
    say(answers, said).await?;
    loop {
        let made = blocking(move || {
            let symbols = answerer.next_symbols();
            Ok((answerer, symbols))
        });
        let (back, symbols) = made.await?;
        answerer = back;
        let Some(symbols) = symbols else { break };
        say(answers, vec![symbols]).await?;
    }
    let ask = next(asks).await?;
    let stepped = blocking(move || {
        let said = answerer.step(ask);
        Ok((answerer, said))
    });
    let (answerer, said) = stepped.await?;
    Ok((answerer, said.map_err(refused)?))
}

async fn next(asks: &mut Asks) -> Result<Ask, AppError> {
    match tokio::time::timeout(SILENCE_MAX, asks.next()).await {
        Ok(Some(Ok(ask))) => Ok(ask),
        Ok(Some(Err(reason))) => Err(reason.into()),
        Ok(None) | Err(_) => Err(Reason::PeerUnreachable.into()),
    }
}

async fn say(
    answers: &mpsc::Sender<Result<Answer, AppError>>,
    said: Vec<Answer>,
) -> Result<(), AppError> {
    for answer in said {
        let gone = |_| AppError::from(Reason::PeerUnreachable);
        answers.send(Ok(answer)).await.map_err(gone)?;
    }
    Ok(())
}

/// Shows the asker that there is work going on that it waits for. Ends when the asker has gone: it will ask again.
async fn at_work<T>(
    answers: &mpsc::Sender<Result<Answer, AppError>>,
    work: impl Future<Output = T>,
) -> Result<T, AppError> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(WORKING_EVERY) => say(answers, vec![Answer::Working]).await?,
        }
    }
}

fn refused(fault: exchange::reconcile::session::SessionError) -> AppError {
    use exchange::reconcile::session::SessionError as S;
    let reason = match fault {
        S::Scope => Reason::NotForUs,
        S::TooMany | S::TooLarge { .. } => Reason::TooLarge,
        S::OutOfTurn | S::Malformed => Reason::Malformed,
        S::Inconsistent => Reason::ReconcileInconsistent,
    };
    reason.into()
}
