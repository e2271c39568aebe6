//! A statement as tables for a spreadsheet: one after the other, each with its headings, an empty line between them.

use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::{Counts, LeftMore};

use super::{Read, Signer, name, state};
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
        corrections(read),
        incomplete(read),
    ];
    let mut all = Vec::new();
    for (headings, rows) in tables.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        if !all.is_empty() {
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
        ("asker_certificate", certificate(asker)),
        ("answerer_certificate", certificate(answerer)),
    ];
    let rows = rows.into_iter().map(|(field, value)| vec![field.to_owned(), value]);
    (vec!["field", "value"], rows.collect())
}

fn certificate(signer: &Signer) -> String {
    signer.certificate.clone()
}

fn cells<const N: usize>(counts: [u64; N]) -> impl Iterator<Item = String> {
    counts.into_iter().map(|count| count.to_string())
}

fn totals(Read { statement, .. }: &Read) -> Table {
    let rows = statement.totals.0.iter().map(|((from, to), counts)| {
        let Counts { waiting, stored, refused } = *counts;
        let pair = [from.to_string(), name(from), to.to_string(), name(to)];
        pair.into_iter().chain(cells([stored, refused, waiting])).collect()
    });
    let headings = vec!["from", "from_name", "to", "to_name", "stored", "refused", "waiting"];
    (headings, rows.collect())
}

fn differences(Read { statement, .. }: &Read) -> Table {
    let counts = statement.found.iter().zip(&statement.cured);
    let rows = DifferenceName::ALL.iter().zip(counts).map(|(name, (found, cured))| {
        vec![name.name().to_owned(), found.to_string(), cured.to_string()]
    });
    (vec!["difference", "found", "cured"], rows.collect())
}

fn left(Read { statement, .. }: &Read) -> Table {
    let rows = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        let says = |entry: &Option<_>| {
            state(entry.as_ref().map(|it: &exchange::reconcile::Entry| it.state)).to_owned()
        };
        Some(vec![
            it.name.name().to_owned(),
            id.to_string(),
            from.to_string(),
            to.to_string(),
            says(&it.sender),
            says(&it.recipient),
            statement.lost.contains(&id).to_string(),
        ])
    });
    let headings =
        vec!["left", "message_id", "from", "to", "sender_state", "recipient_state", "lost"];
    (headings, rows.collect())
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

fn corrections(Read { statement, .. }: &Read) -> Table {
    let rows = statement.corrections.iter().map(|it| {
        let of = |counts: &Counts| [counts.stored, counts.refused, counts.waiting];
        let about = [it.statement.to_string(), it.pair.0.to_string(), it.pair.1.to_string()];
        about.into_iter().chain(cells(of(&it.before))).chain(cells(of(&it.now))).collect()
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
    ];
    (headings, rows.collect())
}

fn incomplete(Read { statement, .. }: &Read) -> Table {
    let rows = statement.incomplete.iter();
    let rows = rows.map(|(area, since)| vec![area.to_string(), name(area), since.to_string()]);
    (vec!["incomplete", "incomplete_name", "since_day"], rows.collect())
}
