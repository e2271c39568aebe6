//! What a statement counts, as tables that print: by county, by pair, and all together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use domain::area::AreaCode;
use exchange::digest::Digest;
use exchange::reconcile::statement::Statement;
use exchange::reconcile::totals::{Counts, Pair};

use super::page::{escape, within};

/// Pairs that the page names: ten sheets. The signed file and the spreadsheet have all of them.
const PAIRS_SHOWN: usize = 500;
/// Digits of a digest that the page shows; all of it is in the file.
pub(super) const DIGITS: usize = 16;

/// Counts of many pairs.
#[derive(Clone, Copy, Default)]
struct Sum {
    stored: u64,
    refused: u64,
    waiting: u64,
}

impl AddAssign<&Counts> for Sum {
    fn add_assign(&mut self, counts: &Counts) {
        self.stored = self.stored.saturating_add(counts.stored);
        self.refused = self.refused.saturating_add(counts.refused);
        self.waiting = self.waiting.saturating_add(counts.waiting);
    }
}

impl Sum {
    fn cells(self) -> String {
        let Self { stored, refused, waiting } = self;
        format!("<td class=\"n\">{stored}<td class=\"n\">{refused}<td class=\"n\">{waiting}")
    }
}

fn sum<'c>(counts: impl Iterator<Item = &'c Counts>) -> Sum {
    let mut sum = Sum::default();
    counts.for_each(|counts| sum += counts);
    sum
}

/// The tables.
pub(super) fn tables(statement: &Statement) -> String {
    tables_of(&statement.totals.0, &statement.digests.0)
}

fn tables_of(totals: &BTreeMap<Pair, Counts>, digests: &BTreeMap<Pair, Digest>) -> String {
    by_county(totals) + &by_pair(totals, digests)
}

/// What every county has sent and received; nothing where the pairs say it as well.
fn by_county(totals: &BTreeMap<Pair, Counts>) -> String {
    let (mut sent, mut received) = (BTreeMap::<AreaCode, Sum>::new(), BTreeMap::<_, Sum>::new());
    for ((from, to), counts) in totals {
        *sent.entry(*from).or_default() += counts;
        *received.entry(*to).or_default() += counts;
    }
    let pairs = totals.len();
    if sent.len() >= pairs && received.len() >= pairs {
        return String::new();
    }
    let mut text = "<h2>各县合计（按发起方记录）Totals by county, as the asker has them</h2><table><thead><tr><th rowspan=\"2\">县 county<th class=\"n\" colspan=\"3\">发出 sent<th class=\"n\" colspan=\"3\">接收 received<tr>".to_owned();
    text.push_str(
        &"<th class=\"n\">入库 stored<th class=\"n\">拒收 refused<th class=\"n\">未签收 waiting"
            .repeat(2),
    );
    text.push_str("</tr></thead><tbody>");
    let counties: BTreeSet<_> = sent.keys().chain(received.keys()).copied().collect();
    for county in counties {
        let of =
            |sums: &BTreeMap<AreaCode, Sum>| sums.get(&county).copied().unwrap_or_default().cells();
        let (name, sent, received) = (escape(&within(&county)), of(&sent), of(&received));
        text.push_str(&format!("<tr><td>{county} {name}{sent}{received}</tr>"));
    }
    let all = sum(totals.values()).cells();
    text.push_str(&format!("<tr class=\"sum\"><td>合计 all{all}{all}</tr></tbody></table>"));
    text
}

/// Every pair, or where there are too many to be printed the largest, the others in a row; and all together.
fn by_pair(totals: &BTreeMap<Pair, Counts>, digests: &BTreeMap<Pair, Digest>) -> String {
    if totals.is_empty() {
        return String::new();
    }
    let mut largest: Vec<(&Pair, &Counts)> = totals.iter().collect();
    largest.sort_by_key(|(pair, counts)| (std::cmp::Reverse(counts.total()), *pair));
    let others = largest.split_off(largest.len().min(PAIRS_SHOWN));
    largest.sort_by_key(|(pair, _)| *pair);
    let mut text = "<h2>各对合计（按发起方记录）Totals by pair, as the asker has them</h2><table><thead><tr><th>发出 from<th>接收 to<th class=\"n\">入库 stored<th class=\"n\">拒收 refused<th class=\"n\">未签收 waiting<th>条目摘要 entries</tr></thead><tbody>".to_owned();
    for (pair @ (from, to), counts) in largest {
        let entries = digests.get(pair).map_or_else(|| "—".to_owned(), ToString::to_string);
        let entries: String = entries.chars().take(DIGITS).collect();
        let counts = sum(std::iter::once(counts)).cells();
        let (sender, recipient) = (escape(&within(from)), escape(&within(to)));
        text.push_str(&format!(
            "<tr><td>{from} {sender}<td>{to} {recipient}{counts}<td><code>{entries}</code></tr>"
        ));
    }
    if !others.is_empty() {
        let (more, counts) = (others.len(), sum(others.iter().map(|(_, counts)| *counts)).cells());
        text.push_str(&format!(
            "<tr><td colspan=\"2\">其余 {more} 对（均不多于上列），详见签名文件与 CSV. And {more} pairs with no more than these, in the signed file and the CSV{counts}<td></tr>"
        ));
    }
    let (pairs, all) = (totals.len(), sum(totals.values()).cells());
    text.push_str(&format!(
        "<tr class=\"sum\"><td colspan=\"2\">合计 all: {pairs} 对 pairs{all}<td></tr></tbody></table>"
    ));
    text
}

#[cfg(test)]
mod tests {
    use domain::area::AreaTable;

    use super::*;

    #[test]
    fn a_page_of_two_whole_provinces_has_each_county_the_largest_pairs_and_the_sum_of_all() {
        let area = |code: &str| code.parse::<AreaCode>().unwrap();
        let of = |code: &str| AreaTable::builtin().counties_of(&area(code));
        let (ours, theirs) = (of("410000"), of("440000"));
        let pairs = ours.iter().flat_map(|from| theirs.iter().map(|to| (from.code, to.code)));
        let counts = |at| Counts { stored: at, ..Counts::default() };
        let totals: BTreeMap<_, _> = pairs.zip((1..).map(counts)).collect();
        let (pairs, all) = (totals.len(), totals.values().map(|it| it.stored).sum::<u64>());
        let text = tables_of(&totals, &BTreeMap::new());
        assert!(pairs > 15_000 && text.len() < 150_000, "{pairs} pairs, {} bytes", text.len());
        let rows = ours.len() + theirs.len() + PAIRS_SHOWN;
        assert_eq!(text.matches("<tr><td>").count(), rows, "every county, and the largest pairs");
        assert!(
            text.contains(&format!("And {} pairs with no more", pairs - PAIRS_SHOWN)),
            "{text}"
        );
        assert_eq!(text.matches(&format!("<td class=\"n\">{all}<")).count(), 3, "the sum of all");
        assert!(tables_of(&BTreeMap::new(), &BTreeMap::new()).is_empty());
    }
}
