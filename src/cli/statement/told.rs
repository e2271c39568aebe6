//! A statement in words and numbers, and for programs.

use domain::area::AreaCode;
use domain::time::Date;
use exchange::digest::Digest;
use exchange::reconcile::Entry;
use exchange::reconcile::difference::{Difference, DifferenceName};
use exchange::reconcile::statement::{Correction, LeftMore, PairHeld, Statement};
use exchange::reconcile::totals::Counts;
use serde_json::{Value, json};

use super::{
    Read, Signer, attested, corrections_are_cut, name, named, nothing_found, said, state, sum,
};
use crate::cli::output::{Answer, record, table, time};

/// A statement for programs and for people.
pub(super) fn told(read: &Read) -> Answer {
    let Read { statement, .. } = read;
    let tables = [
        totals(statement),
        differences(statement),
        left(statement),
        left_more(statement),
        left_rest(statement),
        incomplete(statement),
        corrections(statement),
    ];
    let mut text = about(read);
    for table in tables.into_iter().filter(|table| !table.is_empty()) {
        text.push('\n');
        text.push_str(&table);
    }
    Answer::new(for_programs(read), text)
}

fn about(Read { statement, digest, signers, .. }: &Read) -> String {
    let scope = &statement.scope;
    let [asker, answerer] = signers;
    let (some, all) = attested(statement);
    let digests = match some {
        0 if all > 0 => "没有，仅数目 none, numbers alone".to_owned(),
        some => format!("{some} / {all} 对 pairs"),
    };
    let pairs = [
        ("对账单 statement", digest.to_string()),
        ("发起方 asker", format!("{} {}", scope.asker, name(&scope.asker))),
        ("对方 answerer", format!("{} {}", scope.answerer, name(&scope.answerer))),
        ("期间 days", format!("{} – {}", scope.first, scope.last)),
        ("截至 until", time(scope.until)),
        ("出具 made", time(statement.made)),
        ("已关账 closes its days", if statement.closes() { "yes" } else { "no" }.to_owned()),
        ("条目摘要 digests of entries", digests),
        ("发起方签名 asker's signature", signature(asker)),
        ("对方签名 answerer's signature", signature(answerer)),
    ];
    record(&pairs)
}

fn signature(Signer { certificate, fault, .. }: &Signer) -> String {
    match fault {
        None => format!("已核验 verified, 证书 certificate {certificate}"),
        Some(why) => format!("未核验 NOT verified: {why}; 证书 certificate {certificate}"),
    }
}

fn totals(statement: &Statement) -> String {
    let rows = statement.totals.0.iter().map(|((from, to), counts)| {
        let Counts { waiting, stored, refused } = counts;
        let place = |area: &AreaCode| format!("{area} {}", name(area));
        vec![place(from), place(to), stored.to_string(), refused.to_string(), waiting.to_string()]
    });
    let Counts { waiting, stored, refused } = sum(statement);
    let all = ["总计 all", ""].map(str::to_owned).into_iter();
    let all = all.chain([stored, refused, waiting].map(|count| count.to_string()));
    let headings = ["发出 from", "接收 to", "入库 stored", "拒收 refused", "未签收 waiting"];
    table(&headings, &rows.chain([all.collect()]).collect::<Vec<_>>())
}

fn differences(statement: &Statement) -> String {
    let counts = statement.found.iter().zip(&statement.cured);
    let found = DifferenceName::ALL.iter().zip(counts).filter(|(_, (found, _))| **found > 0);
    let rows = found
        .map(|(name, (found, cured))| vec![named(*name), found.to_string(), cured.to_string()]);
    let rows: Vec<_> = rows.collect();
    match rows.is_empty() {
        true => format!("{}\n", nothing_found(statement)),
        false => table(&["差异 difference", "发现 found", "消除 cured"], &rows),
    }
}

/// A table, or nothing when there are no rows.
fn unless_empty(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { String::new() } else { table(headings, &rows) }
}

fn left(statement: &Statement) -> String {
    let rows = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        let lost = if statement.lost.contains(&id) { "lost" } else { "" }.to_owned();
        let (from, to) = (from.to_string(), to.to_string());
        Some(vec![named(it.name), id.to_string(), from, to, lost])
    });
    let headings = ["遗留 left", "报文 message", "发出 from", "接收 to", "已丢失 lost"];
    unless_empty(&headings, rows)
}

fn left_more(statement: &Statement) -> String {
    let rows = statement.left_more.iter().map(|LeftMore { what, count }| {
        let (from, to) = what.pair;
        let sides = format!("{} / {}", state(what.sender), state(what.recipient));
        let name = named(what.name);
        vec![name, from.to_string(), to.to_string(), sides, count.to_string()]
    });
    let headings = ["另有遗留 more left", "发出 from", "接收 to", "双方 both", "数量 count"];
    unless_empty(&headings, rows)
}

fn left_rest(statement: &Statement) -> String {
    let rest = &statement.left_rest;
    let rows = rest.pairs.iter().map(|((from, to), words)| {
        vec![from.to_string(), to.to_string(), said(&words.asker), said(&words.answerer)]
    });
    let count = format!("其余遗留 {} 项 the rest, from", rest.count);
    let headings = [count.as_str(), "接收 to", "发起方 asker says", "对方 answerer says"];
    unless_empty(&headings, rows)
}

fn incomplete(statement: &Statement) -> String {
    let cells = |(area, since): &(AreaCode, Date)| {
        vec![format!("{area} {}", name(area)), since.to_string()]
    };
    let rows = statement.incomplete.iter().map(cells);
    unless_empty(&["未报全 not all reported", "自 since"], rows)
}

fn corrections(statement: &Statement) -> String {
    let rows = statement.corrections.iter().map(|it| {
        let (from, to) = it.pair;
        let what = if it.keeps_totals() {
            "数目未变，条目有变 same numbers, other entries"
        } else {
            ""
        };
        let [before, now] = [&it.before, &it.now].map(|held| said(&held.counts));
        let of = it.statement.to_string();
        vec![of, from.to_string(), to.to_string(), before, now, what.to_owned()]
    });
    let headings =
        ["更正 correction of", "发出 from", "接收 to", "原 before", "现 now", "说明 what"];
    let mut text = unless_empty(&headings, rows);
    if corrections_are_cut(statement) {
        text.push_str("更正可能未列全，其余见下一份 there may be more, in the next statement\n");
    }
    text
}

fn counts(counts: &Counts) -> Value {
    json!({ "stored": counts.stored, "refused": counts.refused, "waiting": counts.waiting })
}

fn digest(digest: Option<Digest>) -> Option<String> {
    digest.map(|digest| digest.to_string())
}

fn left_for_programs(statement: &Statement, it: &Difference) -> Option<Value> {
    let (id, (from, to)) = it.id().zip(it.pair())?;
    let says = |entry: &Option<Entry>| state(entry.map(|entry| entry.state));
    let sealed = |entry: &Option<Entry>| digest(entry.map(|entry| entry.digest));
    Some(json!({
        "message_id": id.to_string(),
        "name": it.name.name(),
        "from": from.to_string(),
        "to": to.to_string(),
        "sender_state": says(&it.sender),
        "recipient_state": says(&it.recipient),
        "sender_sha256": sealed(&it.sender),
        "recipient_sha256": sealed(&it.recipient),
        "lost": statement.lost.contains(&id),
    }))
}

fn correction_for_programs(it: &Correction) -> Value {
    let held = |held: &PairHeld| {
        let mut value = counts(&held.counts);
        if let Some(object) = value.as_object_mut() {
            object.insert("entries_sha256".to_owned(), json!(digest(held.digest)));
        }
        value
    };
    json!({
        "statement": it.statement.to_string(),
        "from": it.pair.0.to_string(),
        "to": it.pair.1.to_string(),
        "before": held(&it.before),
        "now": held(&it.now),
        "keeps_totals": it.keeps_totals(),
    })
}

fn for_programs(read: &Read) -> Value {
    let Read { statement, digest: of, signers, with_lists } = read;
    let scope = &statement.scope;
    let totals = statement.totals.0.iter().map(|(pair, of)| {
        let (from, to) = (pair.0.to_string(), pair.1.to_string());
        let entries = digest(statement.digests.0.get(pair).copied());
        json!({ "from": from, "to": to, "counts": counts(of), "entries_sha256": entries })
    });
    let names = DifferenceName::ALL.iter().zip(statement.found.iter().zip(&statement.cured));
    let differences = names.map(
        |(name, (found, cured))| json!({ "name": name.name(), "found": found, "cured": cured }),
    );
    let left = statement.left.iter().filter_map(|it| left_for_programs(statement, it));
    let left_more = statement.left_more.iter().map(|LeftMore { what, count }| {
        json!({ "name": what.name.name(), "from": what.pair.0.to_string(), "to": what.pair.1.to_string(),
            "sender_state": state(what.sender), "recipient_state": state(what.recipient), "count": count })
    });
    let rest = &statement.left_rest;
    let rest_pairs = rest.pairs.iter().map(|((from, to), words)| {
        json!({ "from": from.to_string(), "to": to.to_string(),
            "asker": counts(&words.asker), "answerer": counts(&words.answerer) })
    });
    let lost = statement.lost.iter().map(ToString::to_string);
    let signed = signers.iter().map(|Signer { area, certificate, fault }| {
        json!({ "area": area.to_string(), "certificate": certificate, "signed_ms": (*area == scope.asker).then_some(statement.made.get()),
            "verified": fault.is_none(), "fault": fault })
    });
    let incomplete = statement.incomplete.iter();
    let incomplete = incomplete
        .map(|(area, since)| json!({ "county": area.to_string(), "since_day": since.to_string() }));
    json!({
        "digest": of.to_string(),
        "asker": scope.asker.to_string(),
        "answerer": scope.answerer.to_string(),
        "first_day": scope.first.to_string(),
        "last_day": scope.last.to_string(),
        "until_ms": scope.until.get(),
        "made_ms": statement.made.get(),
        "closes": statement.closes(),
        "verified": read.is_verified(),
        "pairs_attested": attested(statement).0,
        "totals": totals.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "left_count": statement.left_count(),
        "left": left.collect::<Vec<_>>(),
        "left_more": left_more.collect::<Vec<_>>(),
        "left_rest": { "count": rest.count, "pairs": rest_pairs.collect::<Vec<_>>() },
        "lost": lost.collect::<Vec<_>>(),
        "signatures": signed.collect::<Vec<_>>(),
        "revocation_checked": with_lists,
        "corrections": statement.corrections.iter().map(correction_for_programs).collect::<Vec<_>>(),
        "corrections_cut": corrections_are_cut(statement),
        "incomplete": incomplete.collect::<Vec<_>>(),
    })
}
