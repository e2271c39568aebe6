//! A client of the reconcile service that speaks the protocol's types.

use std::pin::Pin;

use domain::area::AreaCode;
use domain::id::MessageId;
use exchange::digest::Digest;
use exchange::ledger::LedgerHead;
use exchange::reconcile::calls::Agreed;
use exchange::reconcile::calls::CarriedOut;
use exchange::reconcile::calls::Collected;
use exchange::reconcile::calls::FormerPart;
use exchange::reconcile::calls::FormerPlace;
use exchange::reconcile::calls::HELD_MAX;
use exchange::reconcile::calls::HandedBack;
use exchange::reconcile::calls::ReceiptAgain;
use exchange::reconcile::calls::ReportPart;
use exchange::reconcile::calls::SealedLeft;
use exchange::reconcile::calls::Signature;
use exchange::reconcile::difference::Difference;
use exchange::reconcile::session::Answer;
use exchange::reconcile::session::Ask;
use exchange::reconcile::told;
use exchange::tree::PROOF_HASHES_MAX;
use tokio_stream::Stream;
use tokio_stream::StreamExt;
use tonic::transport::Channel;

use super::RECONCILE_BYTES_MAX;
use super::agreed_from_pb;
use super::answer_from_pb;
use super::ask_to_pb;
use super::carried_out_from_pb;
use super::collected_from_pb;
use super::former_from_pb;
use super::handed_back_to_pb;
use super::left_to_pb;
use super::months_from_pb;
use super::recall_to_pb;
use super::receipt_again_from_pb;
use super::receipt_again_to_pb;
use super::report_to_pb;
use super::version_to_pb;
use crate::client::CallError;
use crate::fields::array;
use crate::fields::at_most;
use crate::pb::exchange as pb;
use crate::pb::exchange::reconcile_service_client::ReconcileServiceClient;

/// Calls the reconcile service over a channel that somebody else has opened.
#[derive(Clone, Debug)]
pub struct ReconcileClient(ReconcileServiceClient<Channel>);

/// What an answerer says; an error is the last item.
pub type Answers = Pin<Box<dyn Stream<Item = Result<Answer, CallError>> + Send>>;

impl ReconcileClient {
    /// Speaks over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let client = ReconcileServiceClient::new(channel)
            .max_decoding_message_size(RECONCILE_BYTES_MAX)
            .max_encoding_message_size(RECONCILE_BYTES_MAX);
        Self(client)
    }

    /// Opens a comparison.
    ///
    /// # Errors
    /// [`CallError`]; also as an item of the stream, which then ends.
    pub async fn compare(
        &mut self,
        asks: impl Stream<Item = Ask> + Send + 'static,
    ) -> Result<Answers, CallError> {
        let answers = self.0.compare(asks.map(ask_to_pb)).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| Ok(answer_from_pb(answer?)?))))
    }

    /// Hands over a part of our book; gives where the callee stands, by month.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn report(&mut self, part: &ReportPart) -> Result<Vec<(u32, u64)>, CallError> {
        let response = self.0.report(report_to_pb(part)).await?.into_inner();
        Ok(months_from_pb(response)?)
    }

    /// Asks the node above what earlier incarnations of our data have told, from a place on.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn recall(
        &mut self,
        incarnation: u32,
        from: FormerPlace,
    ) -> Result<FormerPart, CallError> {
        let response = self.0.recall(recall_to_pb(incarnation, from)).await?.into_inner();
        Ok(former_from_pb(response)?)
    }

    /// Asks a node below to cure differences.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn carry_out(&mut self, differences: &[Difference]) -> Result<CarriedOut, CallError> {
        let differences = told::pack_differences(differences);
        let request = pb::CarryOutRequest { differences };
        Ok(carried_out_from_pb(self.0.carry_out(request).await?.into_inner())?)
    }

    /// Hands a sender its own envelope; says whether it has it now.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn take_back(&mut self, back: HandedBack) -> Result<bool, CallError> {
        let response = self.0.take_back(handed_back_to_pb(back)).await?.into_inner();
        Ok(response.taken)
    }

    /// Asks for the receipt of a message of ours again.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn issue_again(&mut self, id: MessageId) -> Result<ReceiptAgain, CallError> {
        let request = pb::IssueAgainRequest { message_id: id.as_bytes().to_vec() };
        let response = self.0.issue_again(request).await?.into_inner();
        Ok(receipt_again_from_pb(response)?)
    }

    /// Shows the other side of a message the signed refusal of it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn take_word(&mut self, id: MessageId, word: ReceiptAgain) -> Result<(), CallError> {
        let word = Some(receipt_again_to_pb(word));
        let request = pb::TakeWordRequest { message_id: id.as_bytes().to_vec(), word };
        self.0.take_word(request).await?;
        Ok(())
    }

    /// Shows a sender what we hold under the id of a message of its own.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn show_version(&mut self, version: HandedBack) -> Result<(), CallError> {
        self.0.show_version(version_to_pb(version)).await?;
        Ok(())
    }

    /// Leaves a cure for a county below the callee.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn leave(&mut self, area: AreaCode, left: SealedLeft) -> Result<(), CallError> {
        self.0.leave(left_to_pb(area, left)).await?;
        Ok(())
    }

    /// Takes what lies for us at the node above.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn collect(&mut self) -> Result<Collected, CallError> {
        let response = self.0.collect(pb::CollectRequest {}).await?.into_inner();
        Ok(collected_from_pb(response)?)
    }

    /// Asks a relay which messages of ours it holds; and whether there may be others.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_held(&mut self) -> Result<(Vec<MessageId>, bool), CallError> {
        let pb::ListHeldResponse { message_ids, more } =
            self.0.list_held(pb::ListHeldRequest {}).await?.into_inner();
        let (ids, rest) = message_ids.as_chunks();
        let is_whole = rest.is_empty();
        at_most("list_held.message_ids", if is_whole { ids.len() } else { usize::MAX }, HELD_MAX)?;
        Ok((ids.iter().copied().map(MessageId::from_bytes).collect(), more))
    }

    /// Asks the other side to sign a statement.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn agree(
        &mut self,
        statement: Vec<u8>,
        ours: &Signature,
    ) -> Result<Agreed, CallError> {
        let Signature { signature, chain } = ours.clone();
        let request = pb::AgreeStatementRequest { statement, signature, chain };
        let response = self.0.agree_statement(request).await?.into_inner();
        Ok(agreed_from_pb(response)?)
    }

    /// Asks for a proof that the callee's ledger only grew; gives the head that it leads to.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn prove_ledger(
        &mut self,
        old_size: u64,
        new_size: u64,
    ) -> Result<(LedgerHead, Vec<Digest>), CallError> {
        let request = pb::ProveLedgerRequest { old_size, new_size };
        let response = self.0.prove_ledger(request).await?.into_inner();
        at_most("prove_ledger.proof", response.proof.len(), PROOF_HASHES_MAX)?;
        let root = Digest::new(array("prove_ledger.new_root", &response.new_root)?);
        let proof = response.proof.iter();
        let proof = proof.map(|hash| array("prove_ledger.proof", hash).map(Digest::new));
        let head = LedgerHead { size: response.new_size, root };
        Ok((head, proof.collect::<Result<_, _>>()?))
    }
}
