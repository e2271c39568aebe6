//! The table of docs/protocol.md that says what may be sent on what: the page says what the checks demand.

use super::Kind;
use crate::clock::Clock;
use crate::consent::{CONSENT_YEARS_MAX, ConsentScope, REQUEST_DAYS};
use crate::purpose::{LawfulBasis, Purpose};
use crate::service::Service;

const PAGE: &str = include_str!("../../../docs/protocol.md");
const HEAD: &str = "| no. | document | answers | bases | purposes | reveals | about a person | answer within |\n|---|---|---|---|---|---|---|---|\n";

fn codes<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let codes: Vec<_> = codes.map(|code| format!("`{code}`")).collect();
    codes.join(", ")
}

fn line(kind: Kind) -> String {
    let asked = kind.answers().map_or(String::new(), |asked| asked.number().to_string());
    let bases = codes(kind.bases().iter().map(|basis| basis.code()));
    let purposes = codes(kind.purposes().iter().map(|purpose| purpose.code()));
    let reveals = codes(kind.needs_consent().iter().map(|scope| scope.code()));
    let person = if kind.needs_person() { "yes" } else { "no" };
    let within = kind.clock().map_or(String::new(), |clock| match clock {
        Clock::Days(days) => format!("{days} days"),
        Clock::WorkingDays(days) => format!("{days} working days"),
    });
    let (number, name) = (kind.number(), kind.name());
    let cells = [&asked, &bases, &purposes, &reveals, person, &within];
    let cells: String = cells.iter().map(|cell| format!(" {cell} |")).collect();
    format!("| {number} | `{name}` |{cells}\n").replace("|  |", "| |")
}

fn services(of: impl Fn(Service) -> bool) -> String {
    codes(Service::ALL.iter().filter(|service| of(**service)).map(|service| service.code()))
}

#[test]
fn the_page_has_a_line_for_every_kind() {
    let lines: String = Kind::ALL.iter().map(|kind| line(*kind)).collect();
    // An empty cell beside another empty one.
    let table = format!("{HEAD}{lines}").replace("|  |", "| |");
    assert!(PAGE.contains(&table), "the page lacks this table:\n{table}");
}

#[test]
fn the_page_says_what_bases_demand() {
    let mut sentences = vec![
        format!("at most {CONSENT_YEARS_MAX} years after"),
        format!("at most {REQUEST_DAYS} days ago"),
    ];
    for scope in ConsentScope::ALL {
        let (code, names) = (scope.code(), services(|s| s.reveals() == Some(*scope)));
        sentences.push(format!("| `{code}` | {names} | {} |", services(|s| s.covers(*scope))));
    }
    for sentence in sentences {
        assert!(PAGE.contains(&sentence), "the page does not say: {sentence}");
    }
    for code in LawfulBasis::ALL.iter().map(|basis| basis.code()) {
        assert!(PAGE.contains(&format!("`{code}`")), "{code}");
    }
    for code in Purpose::ALL.iter().map(|purpose| purpose.code()) {
        assert!(PAGE.contains(&format!("`{code}`")), "{code}");
    }
}
