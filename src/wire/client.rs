//! A client of the node service that speaks the protocol's types.

use std::pin::Pin;

use exchange::card::SignedCard;
use exchange::directory::DirectoryAnswer;
use exchange::directory::DirectoryQuestion;
use exchange::parcel::FRAME_BYTES_MAX;
use tokio_stream::Stream;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::transport::Channel;

use crate::card::signed_card_from_pb;
use crate::directory::answer_from_pb;
use crate::directory::question_to_pb;
use crate::frame::Frame;
use crate::malformed::Malformed;
use crate::pb::exchange::GetNodeCardRequest;
use crate::pb::exchange::node_service_client::NodeServiceClient;

/// Calls the node service over a channel that somebody else has opened.
#[derive(Clone, Debug)]
pub struct NodeClient(NodeServiceClient<Channel>);

/// The frames that come from a peer; an error is the last item.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Frame, CallError>> + Send>>;

/// What can go wrong between two nodes, after the handshake.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer ended the call, or the link broke.
    #[error("the peer ended the call: {}", .0.message())]
    Status(#[source] Box<Status>),
    /// The peer sent something that is not the protocol.
    #[error("the peer sent what is not the protocol")]
    Malformed(#[from] Malformed),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The peer ended the call without a word.
#[must_use]
pub fn ended() -> Status {
    Status::unavailable("the stream has ended")
}

impl NodeClient {
    /// Speaks over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let client = NodeServiceClient::new(channel)
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        Self(client)
    }

    /// Opens the stream of mail.
    ///
    /// # Errors
    /// [`CallError`]; also as an item of the stream, which then ends.
    pub async fn exchange(
        &mut self,
        outgoing: impl Stream<Item = Frame> + Send + 'static,
    ) -> Result<Frames, CallError> {
        let incoming = self.0.exchange(outgoing.map(Frame::into_request)).await?.into_inner();
        Ok(Box::pin(incoming.map(|frame| Ok(Frame::from_response(frame?)?))))
    }

    /// Asks for the peer's card.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn card(&mut self) -> Result<SignedCard, CallError> {
        let response = self.0.get_node_card(GetNodeCardRequest {}).await?.into_inner();
        let card = response.card.ok_or(Malformed::Missing { field: "card" })?;
        Ok(signed_card_from_pb(card)?)
    }

    /// Asks what is new in the peer's directory, and tells it our own card and lists.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn sync_directory(
        &mut self,
        question: DirectoryQuestion,
    ) -> Result<DirectoryAnswer, CallError> {
        let response = self.0.sync_directory(question_to_pb(question)).await?.into_inner();
        Ok(answer_from_pb(response)?)
    }
}
