//! A statement in words and numbers, and for programs.

use domain::area::AreaCode;
use domain::time::Date;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::{Counts, LeftMore};
use serde_json::{Value, json};

use super::{Read, Signer, name, state};
use crate::cli::output::{Answer, record, table, time};

/// A statement for programs and for people.
pub(super) fn told(read: &Read) -> Answer {
    let Read { statement, digest, signers: [asker, answerer], .. } = read;
    let scope = &statement.scope;
    let pairs = [
        ("对账单 statement", digest.to_string()),
        ("发起方 asker", format!("{} {}", scope.asker, name(&scope.asker))),
        ("对方 answerer", format!("{} {}", scope.answerer, name(&scope.answerer))),
        ("期间 days", format!("{} – {}", scope.first, scope.last)),
        ("截至 until", time(scope.until)),
        ("出具 made", time(statement.made)),
        ("已关账 closes its days", if statement.closes() { "yes" } else { "no" }.to_owned()),
        ("发起方签名证书 asker's certificate", asker.certificate.clone()),
        ("对方签名证书 answerer's certificate", answerer.certificate.clone()),
    ];
    let rows: Vec<_> = statement
        .totals
        .0
        .iter()
        .map(|((from, to), counts)| {
            let Counts { waiting, stored, refused } = counts;
            let place = |area: &AreaCode| format!("{area} {}", name(area));
            vec![
                place(from),
                place(to),
                stored.to_string(),
                refused.to_string(),
                waiting.to_string(),
            ]
        })
        .collect();
    let mut text = record(&pairs);
    text.push('\n');
    let headings = ["发出 from", "接收 to", "入库 stored", "拒收 refused", "未签收 waiting"];
    text.push_str(&table(&headings, &rows));
    let differences: Vec<_> = DifferenceName::ALL
        .iter()
        .zip(statement.found.iter().zip(&statement.cured))
        .filter(|(_, (found, _))| **found > 0)
        .map(|(name, (found, cured))| {
            vec![name.name().to_owned(), found.to_string(), cured.to_string()]
        })
        .collect();
    text.push('\n');
    text.push_str(&match differences.is_empty() {
        true => "无差异 no differences\n".to_owned(),
        false => table(&["差异 difference", "发现 found", "消除 cured"], &differences),
    });
    let left = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        let lost = if statement.lost.contains(&id) { "lost" } else { "" }.to_owned();
        Some(vec![
            it.name.name().to_owned(),
            id.to_string(),
            from.to_string(),
            to.to_string(),
            lost,
        ])
    });
    let left: Vec<_> = left.collect();
    if !left.is_empty() {
        text.push('\n');
        text.push_str(&table(
            &["遗留 left", "报文 message", "发出 from", "接收 to", "已丢失 lost"],
            &left,
        ));
    }
    let more = statement.left_more.iter().map(|LeftMore { what, count }| {
        let (from, to) = what.pair;
        let sides = format!("{} / {}", state(what.sender), state(what.recipient));
        vec![
            what.name.name().to_owned(),
            from.to_string(),
            to.to_string(),
            sides,
            count.to_string(),
        ]
    });
    let more: Vec<_> = more.collect();
    if !more.is_empty() {
        text.push('\n');
        let headings = ["另有遗留 more left", "发出 from", "接收 to", "双方 both", "数量 count"];
        text.push_str(&table(&headings, &more));
    }
    let incomplete = statement.incomplete.iter();
    let cells = |(area, since): &(AreaCode, Date)| {
        vec![format!("{area} {}", name(area)), since.to_string()]
    };
    let incomplete: Vec<_> = incomplete.map(cells).collect();
    if !incomplete.is_empty() {
        text.push('\n');
        text.push_str(&table(&["未报全 not all reported", "自 since"], &incomplete));
    }
    for correction in &statement.corrections {
        let (from, to) = correction.pair;
        text.push_str(&format!(
            "更正 correction of {}: {from} → {to} {:?} → {:?}\n",
            correction.statement, correction.before, correction.now
        ));
    }
    Answer::new(for_programs(read), text)
}

fn for_programs(read: &Read) -> Value {
    let Read { statement, digest, signers, with_lists } = read;
    let counts = |counts: &Counts| json!({ "stored": counts.stored, "refused": counts.refused, "waiting": counts.waiting });
    let scope = &statement.scope;
    let totals = statement.totals.0.iter().map(|((from, to), of)| {
        json!({ "from": from.to_string(), "to": to.to_string(), "counts": counts(of) })
    });
    let names = DifferenceName::ALL.iter().zip(statement.found.iter().zip(&statement.cured));
    let differences = names.map(
        |(name, (found, cured))| json!({ "name": name.name(), "found": found, "cured": cured }),
    );
    let left = statement.left.iter().filter_map(|it| {
        let (id, (from, to)) = it.id().zip(it.pair())?;
        Some(json!({ "message_id": id.to_string(), "name": it.name.name(), "from": from.to_string(), "to": to.to_string() }))
    });
    let left_more = statement.left_more.iter().map(|LeftMore { what, count }| {
        json!({ "name": what.name.name(), "from": what.pair.0.to_string(), "to": what.pair.1.to_string(),
            "sender_state": state(what.sender), "recipient_state": state(what.recipient), "count": count })
    });
    let lost = statement.lost.iter().map(ToString::to_string);
    let signed = signers.iter().map(|Signer { area, certificate }| {
        json!({ "area": area.to_string(), "certificate": certificate, "signed_ms": statement.made.get() })
    });
    let corrections = statement.corrections.iter().map(|it| {
        json!({ "statement": it.statement.to_string(), "from": it.pair.0.to_string(), "to": it.pair.1.to_string(), "before": counts(&it.before), "now": counts(&it.now) })
    });
    let incomplete = statement
        .incomplete
        .iter()
        .map(|(area, since)| json!({ "county": area.to_string(), "since_day": since.to_string() }));
    json!({
        "digest": digest.to_string(),
        "asker": scope.asker.to_string(),
        "answerer": scope.answerer.to_string(),
        "first_day": scope.first.to_string(),
        "last_day": scope.last.to_string(),
        "until_ms": scope.until.get(),
        "made_ms": statement.made.get(),
        "closes": statement.closes(),
        "totals": totals.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "left_more": left_more.collect::<Vec<_>>(),
        "lost": lost.collect::<Vec<_>>(),
        "signatures": signed.collect::<Vec<_>>(),
        "revocation_checked": with_lists,
        "corrections": corrections.collect::<Vec<_>>(),
        "incomplete": incomplete.collect::<Vec<_>>(),
    })
}
