//! What a peer tells of others: everything proves itself, and the telling comes to an end.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::area::AreaCode;
use exchange::directory::{CURSOR_BYTES_MAX, DirectoryAnswer, DirectoryQuestion};
use trust::refused::Refused;

use crate::conformance::line::{Line, in_time};
use crate::conformance::{Deviation, Subject, ensure};
use crate::errors::chain;
use crate::time::SystemClock;

/// Pages after which a directory has no end.
const PAGES_MAX: usize = 256;

async fn ask(line: &mut Line, cursor: Bytes) -> Result<DirectoryAnswer, Deviation> {
    let question = DirectoryQuestion { cursor, own_card: None, revocation_lists: Vec::new() };
    let answer = in_time(line.client.sync_directory(question)).await?;
    let answer = answer.map_err(|e| Deviation::new(chain(&e)))?;
    ensure(answer.cursor.len() <= CURSOR_BYTES_MAX, || "its cursor is too long".to_owned())?;
    Ok(answer)
}

/// All pages from a cursor on, and the last cursor.
async fn read(
    line: &mut Line,
    mut cursor: Bytes,
) -> Result<(Vec<DirectoryAnswer>, Bytes), Deviation> {
    let mut pages = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = ask(line, cursor.clone()).await?;
        let (more, next) = (page.more, page.cursor.clone());
        pages.push(page);
        if !more {
            return Ok((pages, next));
        }
        ensure(next != cursor, || "more of it is promised, but none comes".to_owned())?;
        cursor = next;
    }
    Err(Deviation::new("it has no end"))
}

fn areas(pages: &[DirectoryAnswer]) -> Result<BTreeSet<AreaCode>, Deviation> {
    let cards = pages.iter().flat_map(|page| &page.cards);
    let area = |card: &exchange::card::SignedCard| {
        wire::decode_card(&card.card_bytes).map(|card| card.area)
    };
    cards.map(|card| area(card).map_err(|fault| Deviation::new(fault.to_string()))).collect()
}

pub(super) async fn proves_itself(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (pages, _) = read(&mut line, Bytes::new()).await?;
    let chains = subject.material.chains();
    for page in &pages {
        for card in &page.cards {
            let said = wire::decode_card(&card.card_bytes);
            let said = said.map_err(|fault| Deviation::new(fault.to_string()))?;
            // The caller may lack the list of an authority it has never met; a signature needs none.
            let now = SystemClock.now();
            let (bytes, signature) = (&card.card_bytes, &card.signature);
            match trust::card::verify(chains, bytes, signature, &card.chain, said.area, now) {
                Ok(_) | Err(Refused::RevocationListMissing | Refused::RevocationListTooOld) => {}
                Err(refused) => {
                    return Err(Deviation::new(format!("card of {}: {refused}", said.area)));
                }
            }
        }
        for list in &page.revocation_lists {
            chains
                .verify_list(list, &page.authorities)
                .map_err(|refused| Deviation::new(format!("a revocation list: {refused}")))?;
        }
    }
    ensure(areas(&pages)?.contains(&subject.area), || "its own card is not in it".to_owned())
}

pub(super) async fn tells_what_is_new(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (_, last) = read(&mut line, Bytes::new()).await?;
    let (again, _) = read(&mut line, last).await?;
    let told = again.iter().map(|page| page.cards.len() + page.revocation_lists.len());
    let told: usize = told.sum();
    // Something may really have changed meanwhile.
    ensure(told <= 2, || format!("{told} things are told again"))
}

pub(super) async fn strange_cursor(subject: &Subject) -> Result<(), Deviation> {
    let mut line = subject.line().await?;
    let (whole, _) = read(&mut line, Bytes::new()).await?;
    let strange = Bytes::from_static(&[0xA5; CURSOR_BYTES_MAX]);
    let (over, _) = read(&mut line, strange).await?;
    let (whole, over) = (areas(&whole)?, areas(&over)?);
    ensure(over.is_superset(&whole), || "it does not start over".to_owned())
}
