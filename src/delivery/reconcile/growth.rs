//! Asking peers to prove that their ledgers only grew, whenever they have signed a new head.

use domain::area::AreaCode;
use wire::client::CallError;

use super::{ANSWER_TIMEOUT, Reconcile, Trouble};
use crate::app::AppError;
use crate::app::ledger::growth::{self, Answer, Question};
use crate::errors::chain;
use crate::time::SystemClock;

/// What is doubted, and what is new.
const QUESTIONS_AT_ONCE: usize = 2;

impl Reconcile {
    /// Asks every peer that has signed a new head since it was last asked.
    pub(super) async fn look_at_ledgers(&self) {
        for peer in self.0.parts.peers.all() {
            let can_be_asked = !peer.endpoints().is_empty();
            if let Err(error) = self.look_at_one(peer.area, can_be_asked).await {
                tracing::warn!(peer = %peer.area, %error, "it could not be noted that a peer was not asked");
            }
        }
    }

    async fn look_at_one(&self, peer: AreaCode, can_be_asked: bool) -> Result<(), AppError> {
        let now = SystemClock.now();
        if !can_be_asked {
            // Nobody can ask who only dials out: that alone is no fault of it, but what is doubted has to come out.
            let is_doubted = growth::owed(self.store(), peer, now)?.is_some();
            return if is_doubted {
                growth::unanswered(self.store(), peer, now).await
            } else {
                Ok(())
            };
        }
        let Err(trouble) = self.look_at_ledger(peer).await else { return Ok(()) };
        tracing::debug!(%trouble, "a peer was not asked whether its ledger only grew");
        growth::unanswered(self.store(), peer, SystemClock.now()).await
    }

    /// Asks a peer for the proof (RFC 9162, 2.1.4) that its newest signed head continues the one that was proven last; before
    /// that, if two heads of it are doubted, for the one that the longer continues the shorter.
    ///
    /// # Errors
    /// When the peer cannot be asked, or rows cannot be read or written.
    pub(crate) async fn look_at_ledger(&self, peer: AreaCode) -> Result<(), Trouble> {
        for _ in 0..QUESTIONS_AT_ONCE {
            let Some(question) = growth::question(self.store(), peer).await? else { break };
            self.ask_ledger(peer, question).await?;
        }
        Ok(())
    }

    async fn ask_ledger(&self, peer: AreaCode, question: Question) -> Result<(), Trouble> {
        let mut client = self.dial(peer).await?;
        let (old, new) = (question.known.head.size, question.seen.head.size);
        let asked = tokio::time::timeout(ANSWER_TIMEOUT, client.prove_ledger(old, new)).await;
        let answer = match asked {
            Ok(Ok((head, proof))) => Answer::Proof(head, proof),
            Ok(Err(CallError::Status(status))) if status.code() == tonic::Code::InvalidArgument => {
                Answer::Denied
            }
            Ok(Err(error)) => return Err(Trouble::Call { area: peer, why: chain(&error) }),
            Err(_) => {
                let why = "no answer came in time".to_owned();
                return Err(Trouble::Call { area: peer, why });
            }
        };
        let now = SystemClock.now();
        if !growth::answered(self.store(), peer, question, &answer, now).await? {
            tracing::warn!(
                %peer,
                before = question.known.head.size,
                after = question.seen.head.size,
                "a peer's ledger is not the continuation of what it has signed; see: liangdi ledger peer"
            );
        }
        Ok(())
    }
}
