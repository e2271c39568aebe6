//! What we tell whoever asks: page by page from the log, from where they stopped.

use std::ops::Bound;

use bytes::Bytes;
use domain::area::AreaCode;
use exchange::directory::{
    DIRECTORY_AUTHORITIES_MAX, DIRECTORY_BYTES_FULL, DIRECTORY_CARDS_MAX, DIRECTORY_LISTS_MAX,
    DirectoryAnswer, DirectoryQuestion,
};
use store::messages::peer_key;
use store::network::DirectoryChange;
use store::tables::{CARD, DIRECTORY_LOG, REVOCATION_LIST};
use wire::decode_card;

use super::rows::signed_card;
use super::{Directory, Said};
use crate::app::AppError;

/// Where somebody is in our log. A restored store is another incarnation, also when one backup is restored twice: whoever comes
/// with a cursor of the one before starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    incarnation: u32,
    number: u64,
}

impl Cursor {
    fn to_bytes(self) -> Bytes {
        let mut bytes = self.incarnation.to_be_bytes().to_vec();
        bytes.extend(self.number.to_be_bytes());
        Bytes::from(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (incarnation, number) = bytes.split_first_chunk()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { incarnation: u32::from_be_bytes(*incarnation), number })
    }
}

impl Directory {
    /// Answers a neighbour: takes what it tells of itself, and tells what is new since its cursor.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn answer(
        &self,
        caller: AreaCode,
        question: DirectoryQuestion,
    ) -> Result<DirectoryAnswer, AppError> {
        let DirectoryQuestion { cursor, own_card, revocation_lists: lists } = question;
        let theirs = |card: &exchange::card::SignedCard| {
            decode_card(&card.card_bytes).is_ok_and(|card| card.area == caller)
        };
        let cards: Vec<_> = own_card.into_iter().filter(theirs).collect();
        let authorities =
            cards.iter().flat_map(|card| card.chain.iter().skip(1)).cloned().collect();
        if !(cards.is_empty() && lists.is_empty()) {
            self.take(caller, Said { cards, lists, authorities, cursor: None }).await?;
        }
        self.page(caller, &cursor)
    }

    /// A page for a caller. Numbers that are not in the log any more were taken by something newer further on.
    fn page(&self, caller: AreaCode, cursor: &[u8]) -> Result<DirectoryAnswer, AppError> {
        let (parts, incarnation) = (&self.0.parts, self.0.incarnation);
        let known = Cursor::from_bytes(cursor).filter(|cursor| {
            cursor.incarnation == incarnation && cursor.number <= self.0.numbers.last()
        });
        let mut number = known.map_or(0, |cursor| cursor.number);
        let mut answer = DirectoryAnswer {
            cards: Vec::new(),
            revocation_lists: Vec::new(),
            authorities: Vec::new(),
            cursor: Bytes::new(),
            more: false,
        };
        let range = (Bound::Excluded(number), Bound::Unbounded);
        let rows = parts.store.scan(&DIRECTORY_LOG, range, DIRECTORY_CARDS_MAX)?;
        answer.more = rows.len() == DIRECTORY_CARDS_MAX;
        let mut bytes = 0;
        for (at, row) in rows {
            if bytes >= DIRECTORY_BYTES_FULL || is_full(&answer) {
                answer.more = true;
                break;
            }
            bytes += self.add(&mut answer, caller, row.change)?;
            number = at;
        }
        answer.cursor = Cursor { incarnation, number }.to_bytes();
        Ok(answer)
    }

    /// Adds what changed, if it can be news to the caller, and says how many bytes that are.
    fn add(
        &self,
        answer: &mut DirectoryAnswer,
        caller: AreaCode,
        change: DirectoryChange,
    ) -> Result<usize, AppError> {
        let store = &self.0.parts.store;
        match change {
            DirectoryChange::Card { area, .. } if area == caller => Ok(0),
            DirectoryChange::Card { area, .. } => {
                let Some(row) = store.get(&CARD, &peer_key(area))? else { return Ok(0) };
                let card = signed_card(row);
                let chain: usize = card.chain.iter().map(Vec::len).sum();
                let bytes = card.card_bytes.len() + card.signature.len() + chain;
                answer.cards.push(card);
                Ok(bytes)
            }
            DirectoryChange::RevocationList { authority } => {
                let Some(row) = store.get(&REVOCATION_LIST, &authority)? else { return Ok(0) };
                let bytes = row.list.0.len() + row.authority.0.len();
                answer.revocation_lists.push(row.list.0);
                if !answer.authorities.contains(&row.authority.0) {
                    answer.authorities.push(row.authority.0);
                }
                Ok(bytes)
            }
        }
    }
}

fn is_full(answer: &DirectoryAnswer) -> bool {
    answer.revocation_lists.len() >= DIRECTORY_LISTS_MAX
        || answer.authorities.len() >= DIRECTORY_AUTHORITIES_MAX
}
