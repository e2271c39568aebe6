//! A statement as a page that prints on A4, with a picture of the flows between counties.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::area::AreaCode;
use exchange::reconcile::difference::DifferenceName;
use exchange::reconcile::statement::Statement;
use exchange::reconcile::totals::Pair;

use super::{Read, Signer, attested, corrections_are_cut, name, nothing_found, said, sum};
use crate::cli::output::time;

/// Flows that the picture shows; the others are in the table.
const FLOWS_MAX: usize = 24;
/// Differences that are left of which the page tells; the others are in the file.
const LEFT_SHOWN: usize = 40;
/// Digits of a digest that the page shows; all of it is in the file.
const DIGITS: usize = 16;
const WIDTH: usize = 640;
const BAR: usize = 16;
/// Height of all bars of one side.
const BARS_HEIGHT: u64 = 300;
const GAP: usize = 8;

const STYLE: &str = "@page{size:A4;margin:18mm;@bottom-center{content:counter(page) \" / \" counter(pages);font:8pt sans-serif}}body{font:11pt/1.45 \"Noto Sans CJK SC\",\"Source Han Sans SC\",sans-serif;color:#111;max-width:174mm;margin:0 auto}\
h1{font-size:17pt;margin:0 0 2mm}h2{font-size:12.5pt;margin:7mm 0 2mm;break-after:avoid}table{border-collapse:collapse;width:100%;font-size:10pt}th,td{border-bottom:.3mm solid #bbb;padding:.8mm 2mm;text-align:left;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr{break-inside:avoid}.sign{display:flex;gap:12mm;margin-top:14mm;break-inside:avoid}.sign div{flex:1;border-top:.3mm solid #111;padding-top:2mm}\
code{font-size:8pt;word-break:break-all}svg{width:100%;height:auto}figure{margin:0;break-inside:avoid}";

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
    page.push_str(&flows(statement));
    page.push_str("<h2>合计（按发起方记录）Totals, as the asker has them</h2><table><thead><tr><th>发出 from<th>接收 to<th class=\"n\">入库 stored<th class=\"n\">拒收 refused<th class=\"n\">未签收 waiting<th>条目摘要 entries</tr></thead><tbody>");
    for (pair @ (from, to), counts) in &statement.totals.0 {
        let entries = statement.digests.0.get(pair).map(ToString::to_string);
        let entries: String =
            entries.iter().flat_map(|digest| digest.chars()).take(DIGITS).collect();
        let row = format!(
            "<tr><td>{from} {}<td>{to} {}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td><code>{}</code></tr>",
            escape(&within(from)),
            escape(&within(to)),
            counts.stored,
            counts.refused,
            counts.waiting,
            if entries.is_empty() { "—" } else { &entries }
        );
        page.push_str(&row);
    }
    let all = sum(statement);
    page.push_str(&format!(
        "</tbody><tfoot><tr><th colspan=\"2\">总计 all<th class=\"n\">{}<th class=\"n\">{}<th class=\"n\">{}<th></tr></tfoot></table>",
        all.stored, all.refused, all.waiting
    ));
    page.push_str(&what_is_attested(statement));
    page.push_str(&differences(statement));
    page.push_str(&corrections(statement));
    page.push_str(&incomplete(statement));
    page.push_str(&format!("<p>SHA-256 <code>{digest}</code></p><div class=\"sign\">"));
    for Signer { area, certificate, fault } in signers {
        let (whose, made) = (escape(&name(area)), time(statement.made));
        let verified = match fault {
            None => "电子签名已核验 signature verified".to_owned(),
            Some(why) => {
                format!("<strong>电子签名未核验 signature NOT verified</strong>: {}", escape(why))
            }
        };
        page.push_str(&format!(
            "<div>{whose}（{area}）<br>{verified}<br>{made}<br>证书 certificate SHA-256<br><code>{certificate}</code></div>"
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
                name.name()
            );
            text.push_str(&row);
        }
        text.push_str("</tbody></table>");
    }
    if !statement.left.is_empty() {
        text.push_str("<h2>遗留 Left</h2><table><thead><tr><th>名称 name<th>报文 message<th>发出 → 接收 from → to</tr></thead><tbody>");
        for it in statement.left.iter().take(LEFT_SHOWN) {
            let Some((id, (from, to))) = it.id().zip(it.pair()) else { continue };
            let name = it.name.name();
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
        *counted.entry((it.what.name.name(), it.what.pair)).or_default() += u64::from(it.count);
    }
    for ((name, (from, to)), count) in counted {
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

/// Bars of one side of the picture: where each begins, and how much of it is taken.
struct Side {
    bars: BTreeMap<AreaCode, (usize, usize, usize)>,
}

impl Side {
    /// A bar is as high as its bands together.
    fn new(heights: BTreeMap<AreaCode, usize>) -> Self {
        let mut at = 20;
        let mut bars = BTreeMap::new();
        for (area, height) in heights {
            bars.insert(area, (at, height, 0));
            at += height + GAP + 14;
        }
        Self { bars }
    }

    /// Takes a part of a bar; says where it begins.
    fn take(&mut self, area: AreaCode, part: usize) -> usize {
        let Some((at, _, taken)) = self.bars.get_mut(&area) else { return 0 };
        let from = *at + *taken;
        *taken += part;
        from
    }

    fn end(&self) -> usize {
        self.bars.values().map(|(at, height, _)| at + height).max().unwrap_or(20)
    }
}

fn height(count: u64, all: u64) -> usize {
    usize::try_from(count.saturating_mul(BARS_HEIGHT) / all.max(1)).unwrap_or(1).max(3)
}

/// Senders on the left, recipients on the right, bands as wide as what went between them.
fn flows(statement: &Statement) -> String {
    let mut largest: Vec<(Pair, u64)> =
        statement.totals.0.iter().map(|(pair, counts)| (*pair, counts.total())).collect();
    if largest.is_empty() {
        return "<p>无往来 nothing was exchanged</p>".to_owned();
    }
    largest.sort_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
    let pairs = largest.len();
    largest.truncate(FLOWS_MAX);
    let all = largest.iter().map(|(_, count)| count).sum();
    let (mut from, mut to) = (BTreeMap::new(), BTreeMap::new());
    for ((sender, recipient), count) in &largest {
        *from.entry(*sender).or_insert(0) += height(*count, all);
        *to.entry(*recipient).or_insert(0) += height(*count, all);
    }
    let (mut left, mut right) = (Side::new(from), Side::new(to));
    let bottom = left.end().max(right.end()) + 20;
    let (inner, outer) = (150 + BAR, WIDTH - 150 - BAR);
    let middle = WIDTH / 2;
    let mut svg = format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {bottom}\" role=\"img\" aria-label=\"流向 flows between counties\"><g fill=\"#2f6f9f\" fill-opacity=\".35\">"
    );
    for ((sender, recipient), count) in largest {
        let part = height(count, all);
        let (a, b) = (left.take(sender, part), right.take(recipient, part));
        let (c, d) = (a + part, b + part);
        // Writing to a text cannot fail.
        let _written = write!(
            svg,
            "<path d=\"M{inner} {a}C{middle} {a} {middle} {b} {outer} {b}L{outer} {d}C{middle} {d} {middle} {c} {inner} {c}Z\"><title>{sender} → {recipient}: {count}</title></path>"
        )
        .is_ok();
    }
    svg.push_str("</g><g font-size=\"11\" fill=\"#111\">");
    for (side, x, text, anchor) in
        [(&left, 150, 144, "end"), (&right, WIDTH - 150 - BAR, WIDTH - 144, "start")]
    {
        for (area, (at, height, _)) in &side.bars {
            let label = at + height / 2 + 4;
            let _written = write!(
                svg,
                "<rect x=\"{x}\" y=\"{at}\" width=\"{BAR}\" height=\"{height}\" fill=\"#174a6b\"/><text x=\"{text}\" y=\"{label}\" text-anchor=\"{anchor}\">{} {area}</text>",
                escape(&short(area))
            )
            .is_ok();
        }
    }
    svg.push_str("</g></svg>");
    if pairs > FLOWS_MAX {
        let _written = write!(
            svg,
            "<figcaption>图中为往来最多的 {FLOWS_MAX} 对，共 {pairs} 对 the {FLOWS_MAX} largest of {pairs} pairs</figcaption>"
        )
        .is_ok();
    }
    svg + "</figure>"
}

/// A name without that of the province, which stands at the head of the page.
fn within(area: &AreaCode) -> String {
    let full = name(area);
    let rest = full.strip_prefix(&name(&area.province())).filter(|rest| !rest.is_empty());
    rest.map(str::to_owned).unwrap_or(full)
}

/// Beside a bar there is room for so many letters of a name; of a longer one its last part.
const LABEL: usize = 8;

fn short(area: &AreaCode) -> String {
    let whole = within(area);
    let skip = whole.chars().count().saturating_sub(LABEL);
    whole.chars().skip(skip).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
