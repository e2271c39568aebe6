//! A statement as a page that prints on A4, with a picture of the flows between counties.

use std::collections::BTreeMap;

use domain::area::AreaCode;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::Statement;

use super::{
    Read, Signer, attested, corrections_are_cut, name, named, nothing_found, picture, said, sums,
};
use crate::cli::output::time;

/// Differences that are left of which the page tells; the others are in the file.
const LEFT_SHOWN: usize = 40;

const STYLE: &str = "@page{size:A4;margin:18mm;@bottom-center{content:counter(page) \" / \" counter(pages);font:8pt sans-serif}}body{font:11pt/1.45 \"Noto Sans CJK SC\",\"Source Han Sans SC\",sans-serif;color:#111;max-width:174mm;margin:0 auto}\
h1{font-size:17pt;margin:0 0 2mm}h2{font-size:12.5pt;margin:7mm 0 2mm;break-after:avoid}table{border-collapse:collapse;width:100%;font-size:10pt}th,td{border-bottom:.3mm solid #bbb;padding:.8mm 2mm;text-align:left;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr{break-inside:avoid}.sign{display:flex;gap:12mm;margin-top:14mm;break-inside:avoid}.sign div{flex:1;border-top:.3mm solid #111;padding-top:2mm}\
code{font-size:8pt;word-break:break-all}svg{width:100%;height:auto}figure{margin:0;break-inside:avoid}figcaption{font-size:9pt}tr.sum td{font-weight:bold;border-top:.4mm solid #111}";

/// The page.
pub(super) fn html(read: &Read) -> String {
    let Read { statement, digest, signers, .. } = read;
    let scope = &statement.scope;
    let (asker, answerer) = (escape(&name(&scope.asker)), escape(&name(&scope.answerer)));
    let closes = match statement.closes() {
        true => "期间已关账 · its days are closed",
        false => "期间未关账 · its days are not closed",
    };
    let mut page = format!(
        "<!doctype html><html lang=\"zh\"><head><meta charset=\"utf-8\"><title>对账单 {first} – {last}</title><style>{STYLE}</style></head><body>\
<h1>对账单 Statement</h1><p>{asker}（{}）与 and {answerer}（{}）<br>{first} – {last} · {closes}<br>截至 until {} · 出具 made {}</p>",
        scope.asker,
        scope.answerer,
        time(scope.until),
        time(statement.made),
        first = scope.first,
        last = scope.last,
    );
    page.push_str("<h2>流向 Flows</h2>");
    let messages = statement.totals.0.iter().map(|(pair, counts)| (*pair, counts.total()));
    page.push_str(&picture::flows(&messages.collect(), (scope.asker, scope.answerer)));
    page.push_str(&sums::tables(statement));
    page.push_str(&what_is_attested(statement));
    page.push_str(&differences(statement));
    page.push_str(&corrections(statement));
    page.push_str(&incomplete(statement));
    page.push_str(&format!("<p>SHA-256 <code>{digest}</code></p><div class=\"sign\">"));
    for Signer { area, certificate, fault } in signers {
        let whose = escape(&name(area));
        // Only the asker's time is in what both have signed.
        let made = match *area == scope.asker {
            true => format!("{}<br>", time(statement.made)),
            false => String::new(),
        };
        let verified = match fault {
            None => "电子签名已核验 signature verified".to_owned(),
            Some(why) => {
                format!("<strong>电子签名未核验 signature NOT verified</strong>: {}", escape(why))
            }
        };
        page.push_str(&format!(
            "<div>{whose}（{area}）<br>{verified}<br>{made}证书 certificate SHA-256<br><code>{certificate}</code></div>"
        ));
    }
    page + "</div></body></html>"
}

/// Counties that had not reported everything.
fn incomplete(statement: &Statement) -> String {
    if statement.incomplete.is_empty() {
        return String::new();
    }
    let mut text =
        "<h2>未报全 Not all reported</h2><table><thead><tr><th>县 county<th>自 since</tr></thead><tbody>"
            .to_owned();
    for (county, since) in &statement.incomplete {
        text.push_str(&format!("<tr><td>{county} {}<td>{since}</tr>", escape(&within(county))));
    }
    text + "</tbody></table>"
}

fn differences(statement: &Statement) -> String {
    let mut text = "<h2>差异（按发起方记录）Differences, as counted by the asker</h2>".to_owned();
    let counts = statement.found.iter().zip(&statement.cured);
    let found: Vec<_> =
        DifferenceName::ALL.iter().zip(counts).filter(|(_, (found, _))| **found > 0).collect();
    if found.is_empty() {
        text.push_str(&format!("<p>{}</p>", nothing_found(statement)));
    } else {
        text.push_str("<table><thead><tr><th>名称 name<th class=\"n\">发现 found<th class=\"n\">消除 cured</tr></thead><tbody>");
        for (name, (found, cured)) in found {
            let row = format!(
                "<tr><td>{}<td class=\"n\">{found}<td class=\"n\">{cured}</tr>",
                named(*name)
            );
            text.push_str(&row);
        }
        text.push_str("</tbody></table>");
    }
    if !statement.left.is_empty() {
        text.push_str("<h2>遗留 Left</h2><table><thead><tr><th>名称 name<th>报文 message<th>发出 → 接收 from → to</tr></thead><tbody>");
        for it in statement.left.iter().take(LEFT_SHOWN) {
            let Some((id, (from, to))) = it.id().zip(it.pair()) else { continue };
            let name = named(it.name);
            let lost = if statement.lost.contains(&id) { "（已丢失 lost）" } else { "" };
            text.push_str(&format!(
                "<tr><td>{name}{lost}<td><code>{id}</code><td>{from} → {to}</tr>"
            ));
        }
        text.push_str("</tbody></table>");
        let more = statement.left.len().saturating_sub(LEFT_SHOWN);
        if more > 0 {
            text.push_str(&format!("<p>另有 and {more} 项 more, in the signed file</p>"));
        }
    }
    text.push_str(&left_more(statement));
    text
}

/// How far the signatures stand for the entries, and not only for the numbers.
fn what_is_attested(statement: &Statement) -> String {
    let text = match attested(statement) {
        (_, 0) => return String::new(),
        (0, _) => {
            "双方签署的只是数目，没有条目摘要。Both sides have signed numbers alone, without digests of the entries."
        }
        (some, all) if some == all => {
            "双方持有的条目相同（遗留除外），摘要全文见签名文件。Both sides hold the same entries, but for what is left; the whole digests are in the signed file."
        }
        _ => {
            "没有摘要（—）的，遗留条目只计数，条目未能逐一核对。Where there is no digest (—), what is left is counted and not named, and the entries could not be compared one by one."
        }
    };
    format!("<p>{text}</p>")
}

/// What has changed in closed days.
fn corrections(statement: &Statement) -> String {
    if statement.corrections.is_empty() {
        return String::new();
    }
    let mut text = "<h2>更正 Corrections of closed days</h2><table><thead><tr><th>对账单 statement<th>发出 → 接收 from → to<th>原 before<th>现 now</tr></thead><tbody>".to_owned();
    for it in &statement.corrections {
        let (from, to) = it.pair;
        let other = match it.keeps_totals() {
            true => "<br>数目未变，条目有变 same numbers, other entries",
            false => "",
        };
        let [before, now] = [&it.before, &it.now].map(|held| said(&held.counts));
        text.push_str(&format!(
            "<tr><td><code>{}</code><td>{from} → {to}<td>{before}<td>{now}{other}</tr>",
            it.statement
        ));
    }
    text.push_str("</tbody></table>");
    if corrections_are_cut(statement) {
        text.push_str(
            "<p>更正可能未列全，其余见下一份 there may be more, in the next statement</p>",
        );
    }
    text
}

/// Differences that are counted and not named.
fn left_more(statement: &Statement) -> String {
    let rest = &statement.left_rest;
    let counted: u64 = statement.left_more.iter().map(|it| u64::from(it.count)).sum();
    let all = counted.saturating_add(rest.count);
    if all == 0 {
        return String::new();
    }
    let mut text = format!(
        "<h2>另有遗留 {all} 项 And {all} more left, counted</h2><table><thead><tr><th>名称 name<th>发出 → 接收 from → to<th class=\"n\">数量 count</tr></thead><tbody>"
    );
    let mut counted: BTreeMap<_, u64> = BTreeMap::new();
    for it in &statement.left_more {
        *counted.entry((it.what.name, it.what.pair)).or_default() += u64::from(it.count);
    }
    for ((name, (from, to)), count) in counted {
        let name = named(name);
        let row = format!("<tr><td>{name}<td>{from} → {to}<td class=\"n\">{count}</tr>");
        text.push_str(&row);
    }
    if rest.count > 0 {
        let (count, pairs) = (rest.count, rest.pairs.len());
        text.push_str(&format!(
            "<tr><td>其余 the rest<td>{pairs} 对 pairs, in the signed file<td class=\"n\">{count}</tr>"
        ));
    }
    text + "</tbody></table>"
}

/// A name without that of the province, which stands at the head of the page.
pub(super) fn within(area: &AreaCode) -> String {
    let full = name(area);
    let rest = full.strip_prefix(&name(&area.province())).filter(|rest| !rest.is_empty());
    rest.map(str::to_owned).unwrap_or(full)
}

/// A text within the page.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
