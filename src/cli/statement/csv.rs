//! A statement as tables for a spreadsheet: one after the other, each with its headings, an empty line between them.

use exchange::reconcile::Entry;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::LeftMore;
use exchange::reconcile::totals::Counts;

use super::{Read, Signer, attested, corrections_are_cut, name, named, state};
use crate::cli::exit::Failure;
use crate::errors::chain;

/// The tables, as bytes of a file.
///
/// # Errors
/// When a line cannot be written.
pub(super) fn tables(read: &Read) -> Result<Vec<u8>, Failure> {
    let tables = [
        about(read),
        totals(read),
        differences(read),
        left(read),
        left_more(read),
        left_rest(read),
        corrections(read),
        incomplete(read),
    ];
    // Without this sign Excel takes the names of counties for something else.
    let (mut all, mut is_first) = ("\u{feff}".as_bytes().to_vec(), true);
    for (headings, rows) in tables.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        if !std::mem::take(&mut is_first) {
            all.extend_from_slice(b"\r\n");
        }
        let mut lines =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        lines.write_record(headings).map_err(|e| Failure::failed(chain(&e)))?;
        for row in rows {
            lines.write_record(row).map_err(|e| Failure::failed(chain(&e)))?;
        }
        all.extend(lines.into_inner().map_err(|e| Failure::failed(e.to_string()))?);
    }
    Ok(all)
}

/// Headings, and rows of as many cells.
type Table = (Vec<&'static str>, Vec<Vec<String>>);

fn about(Read { statement, digest, signers: [asker, answerer], .. }: &Read) -> Table {
    let scope = &statement.scope;
    let day = |day: domain::time::Date| day.to_string();
    let rows = [
        ("statement", digest.to_string()),
        ("asker", scope.asker.to_string()),
        ("asker_name", name(&scope.asker)),
        ("answerer", scope.answerer.to_string()),
        ("answerer_name", name(&scope.answerer)),
        ("first_day", day(scope.first)),
        ("last_day", day(scope.last)),
        ("until_ms", scope.until.get().to_string()),
        ("made_ms", statement.made.get().to_string()),
        ("closes", statement.closes().to_string()),
        ("pairs", attested(statement).1.to_string()),
        ("pairs_attested", attested(statement).0.to_string()),
        ("left", statement.left_count().to_string()),
        ("corrections_cut", corrections_are_cut(statement).to_string()),
        ("asker_certificate", asker.certificate.clone()),
        ("asker_signature", verified(asker)),
        ("answerer_certificate", answerer.certificate.clone()),
        ("answerer_signature", verified(answerer)),
    ];
    let rows = rows.into_iter().map(|(field, value)| vec![field.to_owned(), value]);
    (vec!["field", "value"], rows.collect())
}

fn verified(signer: &Signer) -> String {
    match &signer.fault {
        None => "verified".to_owned(),
        Some(why) => format!("NOT verified: {why}"),
    }
}

fn digest(digest: Option<exchange::digest::Digest>) -> String {
    digest.map(|digest| digest.to_string()).unwrap_or_default()
}

fn cells<const N: usize>(counts: [u64; N]) -> impl Iterator<Item = String> {
    counts.into_iter().map(|count| count.to_string())
}

fn totals(Read { statement, .. }: &Read) -> Table {
    let rows = statement.totals.0.iter().map(|((from, to), counts)| {
        let Counts { waiting, stored, refused } = *counts;
        let pair = [from.to_string(), name(from), to.to_string(), name(to)];
        let entries = digest(statement.digests.0.get(&(*from, *to)).copied());
        pair.into_iter().chain(cells([stored, refused, waiting])).chain([entries]).collect()
    });
    let headings =
        ["from", "from_name", "to", "to_name", "stored", "refused", "waiting", "entries_sha256"];
    (headings.to_vec(), rows.collect())
}

fn differences(Read { statement, .. }: &Read) -> Table {
    let counts = statement.found.iter().zip(&statement.cured);
    let rows = DifferenceName::ALL.iter().zip(counts).map(|(name, (found, cured))| {
        let (code, words) = (name.name().to_owned(), named(*name));
        vec![code, found.to_string(), cured.to_string(), words]
    });
    (vec!["difference", "found", "cured", "difference_name"], rows.collect())
}

fn left(Read { statement, .. }: &Read) -> Table {
    let rows = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        let says = |entry: &Option<Entry>| state(entry.map(|it| it.state)).to_owned();
        let sealed = |entry: &Option<Entry>| digest(entry.map(|it| it.digest));
        Some(vec![
            it.name.name().to_owned(),
            id.to_string(),
            from.to_string(),
            to.to_string(),
            says(&it.sender),
            says(&it.recipient),
            statement.lost.contains(&id).to_string(),
            sealed(&it.sender),
            sealed(&it.recipient),
        ])
    });
    let headings = [
        "left",
        "message_id",
        "from",
        "to",
        "sender_state",
        "recipient_state",
        "lost",
        "sender_sha256",
        "recipient_sha256",
    ];
    (headings.to_vec(), rows.collect())
}

fn left_more(Read { statement, .. }: &Read) -> Table {
    let rows = statement.left_more.iter().map(|LeftMore { what, count }| {
        vec![
            what.name.name().to_owned(),
            what.pair.0.to_string(),
            what.pair.1.to_string(),
            state(what.sender).to_owned(),
            state(what.recipient).to_owned(),
            count.to_string(),
        ]
    });
    let headings = vec!["left_more", "from", "to", "sender_state", "recipient_state", "count"];
    (headings, rows.collect())
}

fn left_rest(Read { statement, .. }: &Read) -> Table {
    let rest = &statement.left_rest;
    let rows = rest.pairs.iter().map(|((from, to), words)| {
        let of = |counts: &Counts| [counts.stored, counts.refused, counts.waiting];
        let about = [rest.count.to_string(), from.to_string(), to.to_string()];
        let both = cells(of(&words.asker)).chain(cells(of(&words.answerer)));
        about.into_iter().chain(both).collect()
    });
    let headings = [
        "left_rest",
        "from",
        "to",
        "asker_stored",
        "asker_refused",
        "asker_waiting",
        "answerer_stored",
        "answerer_refused",
        "answerer_waiting",
    ];
    (headings.to_vec(), rows.collect())
}

fn corrections(Read { statement, .. }: &Read) -> Table {
    let rows = statement.corrections.iter().map(|it| {
        let of = |counts: &Counts| [counts.stored, counts.refused, counts.waiting];
        let about = [it.statement.to_string(), it.pair.0.to_string(), it.pair.1.to_string()];
        let both = cells(of(&it.before.counts)).chain(cells(of(&it.now.counts)));
        let entries = [digest(it.before.digest), digest(it.now.digest)];
        about.into_iter().chain(both).chain(entries).collect()
    });
    let headings = vec![
        "correction_of",
        "from",
        "to",
        "stored_before",
        "refused_before",
        "waiting_before",
        "stored_now",
        "refused_now",
        "waiting_now",
        "entries_sha256_before",
        "entries_sha256_now",
    ];
    (headings, rows.collect())
}

fn incomplete(Read { statement, .. }: &Read) -> Table {
    let rows = statement.incomplete.iter();
    let rows = rows.map(|(area, since)| vec![area.to_string(), name(area), since.to_string()]);
    (vec!["incomplete", "incomplete_name", "since_day"], rows.collect())
}
