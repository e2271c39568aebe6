//! What nodes ask and tell of the directory.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use exchange::card::SignedCard;
use exchange::directory::CURSOR_BYTES_MAX;
use exchange::directory::DIRECTORY_AUTHORITIES_MAX;
use exchange::directory::DIRECTORY_CARDS_MAX;
use exchange::directory::DIRECTORY_LISTS_MAX;
use exchange::directory::DirectoryAnswer;
use exchange::directory::DirectoryQuestion;
use exchange::directory::REVOCATION_LIST_BYTES_MAX;
use exchange::parcel::CERTIFICATE_BYTES_MAX;
use exchange::parcel::FRAME_BYTES_MAX;
use prost::Message;

use crate::card::signed_card_from_pb;
use crate::card::signed_card_to_pb;
use crate::fields::at_most;
use crate::fields::check_ders;
use crate::malformed::Malformed;
use crate::pb;

/// A question as a generated type; moves the bytes.
#[must_use]
pub fn question_to_pb(question: DirectoryQuestion) -> pb::exchange::SyncDirectoryRequest {
    let DirectoryQuestion { cursor, own_card, revocation_lists } = question;
    let own_card = own_card.map(signed_card_to_pb);
    pb::exchange::SyncDirectoryRequest { cursor, own_card, revocation_lists }
}

/// A question from its generated type; moves the bytes. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`] when a limit is exceeded or a part is missing.
pub fn question_from_pb(
    question: pb::exchange::SyncDirectoryRequest,
) -> Result<DirectoryQuestion, Malformed> {
    let pb::exchange::SyncDirectoryRequest { cursor, own_card, revocation_lists } = question;
    at_most("sync_directory.cursor", cursor.len(), CURSOR_BYTES_MAX)?;
    check_lists(&revocation_lists)?;
    let own_card = own_card.map(signed_card_from_pb).transpose()?;
    Ok(DirectoryQuestion { cursor, own_card, revocation_lists })
}

/// An answer as a generated type; moves the bytes.
#[must_use]
pub fn answer_to_pb(answer: DirectoryAnswer) -> pb::exchange::SyncDirectoryResponse {
    let DirectoryAnswer { cards, revocation_lists, authorities, cursor, more } = answer;
    let cards = cards.into_iter().map(signed_card_to_pb).collect();
    pb::exchange::SyncDirectoryResponse { cards, revocation_lists, cursor, more, authorities }
}

/// An answer from its generated type; moves the bytes. Nothing in it is proven yet.
///
/// # Errors
/// [`Malformed`] when a limit is exceeded or a part is missing.
pub fn answer_from_pb(
    answer: pb::exchange::SyncDirectoryResponse,
) -> Result<DirectoryAnswer, Malformed> {
    let pb::exchange::SyncDirectoryResponse { cards, revocation_lists, cursor, more, authorities } =
        answer;
    at_most("sync_directory.cards", cards.len(), DIRECTORY_CARDS_MAX)?;
    at_most("sync_directory.cursor", cursor.len(), CURSOR_BYTES_MAX)?;
    check_lists(&revocation_lists)?;
    let field = "sync_directory.authorities";
    check_ders(field, &authorities, DIRECTORY_AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX)?;
    let cards = cards.into_iter().map(signed_card_from_pb).collect::<Result<Vec<SignedCard>, _>>();
    Ok(DirectoryAnswer { cards: cards?, revocation_lists, authorities, cursor, more })
}

/// Serialises a question.
#[must_use]
pub fn encode_question(question: DirectoryQuestion) -> Vec<u8> {
    question_to_pb(question).encode_to_vec()
}

/// Reads a question.
///
/// # Errors
/// As [`question_from_pb`].
pub fn decode_question(bytes: Bytes) -> Result<DirectoryQuestion, Malformed> {
    at_most("sync_directory", bytes.len(), FRAME_BYTES_MAX)?;
    question_from_pb(pb::exchange::SyncDirectoryRequest::decode(bytes)?)
}

/// Serialises an answer.
#[must_use]
pub fn encode_answer(answer: DirectoryAnswer) -> Vec<u8> {
    answer_to_pb(answer).encode_to_vec()
}

/// Reads an answer.
///
/// # Errors
/// As [`answer_from_pb`].
pub fn decode_answer(bytes: Bytes) -> Result<DirectoryAnswer, Malformed> {
    at_most("sync_directory", bytes.len(), FRAME_BYTES_MAX)?;
    answer_from_pb(pb::exchange::SyncDirectoryResponse::decode(bytes)?)
}

fn check_lists(lists: &[Vec<u8>]) -> Result<(), Malformed> {
    let field = "sync_directory.revocation_lists";
    check_ders(field, lists, DIRECTORY_LISTS_MAX, REVOCATION_LIST_BYTES_MAX)
}
