//! Questions and answers come back as they went, and limits hold.

use exchange::directory::DIRECTORY_BYTES_FULL;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;

fn question() -> impl Strategy<Value = DirectoryQuestion> {
    let card = prop::option::of(arbitrary::signed_card());
    (arbitrary::bytes(0..CURSOR_BYTES_MAX), card, arbitrary::chain(0)).prop_map(
        |(cursor, own_card, revocation_lists)| DirectoryQuestion {
            cursor,
            own_card,
            revocation_lists,
        },
    )
}

fn answer() -> impl Strategy<Value = DirectoryAnswer> {
    let cards = prop::collection::vec(arbitrary::signed_card(), 0..3);
    let lists = (arbitrary::chain(0), arbitrary::chain(0));
    (cards, lists, arbitrary::bytes(0..CURSOR_BYTES_MAX), any::<bool>()).prop_map(
        |(cards, (revocation_lists, authorities), cursor, more)| DirectoryAnswer {
            cards,
            revocation_lists,
            authorities,
            cursor,
            more,
        },
    )
}

proptest! {
    #[test]
    fn a_question_comes_back(question in question()) {
        prop_assert_eq!(decode_question(encode_question(question.clone()).into()), Ok(question));
    }

    #[test]
    fn an_answer_comes_back(answer in answer()) {
        prop_assert_eq!(decode_answer(encode_answer(answer.clone()).into()), Ok(answer));
    }

    #[test]
    fn anything_can_be_offered(bytes in arbitrary::damaged(answer().prop_map(encode_answer))) {
        let bytes = Bytes::from(bytes);
        if let Ok(question) = decode_question(bytes.clone()) {
            prop_assert_eq!(decode_question(encode_question(question.clone()).into()), Ok(question));
        }
        if let Ok(answer) = decode_answer(bytes) {
            prop_assert_eq!(decode_answer(encode_answer(answer.clone()).into()), Ok(answer));
        }
    }
}

#[test]
fn limits_hold() {
    let field = |answer: pb::exchange::SyncDirectoryResponse| match answer_from_pb(answer) {
        Err(Malformed::TooMuch { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let empty = pb::exchange::SyncDirectoryResponse::default;
    assert!(answer_from_pb(empty()).is_ok());
    let cards = vec![pb::exchange::SignedNodeCard::default(); DIRECTORY_CARDS_MAX + 1];
    let too_many = pb::exchange::SyncDirectoryResponse { cards, ..empty() };
    assert_eq!(field(too_many), "sync_directory.cards");
    let revocation_lists = vec![vec![1]; DIRECTORY_LISTS_MAX + 1];
    let too_many = pb::exchange::SyncDirectoryResponse { revocation_lists, ..empty() };
    assert_eq!(field(too_many), "sync_directory.revocation_lists");
    let revocation_lists = vec![vec![1; REVOCATION_LIST_BYTES_MAX + 1]];
    let too_large = pb::exchange::SyncDirectoryResponse { revocation_lists, ..empty() };
    assert_eq!(field(too_large), "sync_directory.revocation_lists");
    let authorities = vec![vec![1]; DIRECTORY_AUTHORITIES_MAX + 1];
    let too_many = pb::exchange::SyncDirectoryResponse { authorities, ..empty() };
    assert_eq!(field(too_many), "sync_directory.authorities");
    let cursor = vec![1; CURSOR_BYTES_MAX + 1].into();
    let too_long = pb::exchange::SyncDirectoryResponse { cursor, ..empty() };
    assert_eq!(field(too_long), "sync_directory.cursor");
}

#[test]
fn an_answer_that_is_all_but_full_and_one_list_more_still_fits() {
    let all_but_full = vec![1; DIRECTORY_BYTES_FULL - CERTIFICATE_BYTES_MAX - 1];
    let answer = DirectoryAnswer {
        cards: Vec::new(),
        revocation_lists: vec![all_but_full, vec![1; REVOCATION_LIST_BYTES_MAX]],
        authorities: vec![vec![1; CERTIFICATE_BYTES_MAX]; 2],
        cursor: vec![1; CURSOR_BYTES_MAX].into(),
        more: true,
    };
    let bytes = encode_answer(answer);
    assert!(bytes.len() <= FRAME_BYTES_MAX, "{}", bytes.len());
    assert!(decode_answer(bytes.into()).is_ok());
}
