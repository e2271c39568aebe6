//! `liangdi area`: looks up area codes in the built-in table; a province tells what became of its areas.

use clap::{Args as ClapArgs, Subcommand};
use domain::area::{Area, AreaCode, AreaLevel, AreaTable};
use serde_json::json;

use super::connect::{ConnectArgs, office};
use super::exit::Failure;
use super::moment::Moment;
use super::output::{Answer, table};
use super::view;
use crate::time::SystemClock;

/// More hits than a screen shows help nobody.
const HITS_MAX: usize = 100;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Areas with this code or part of a name, with years and successors 查找
    Find {
        /// Such as 410522, 4105 or 安阳
        what: String,
    },
    /// Say for all others that an area under ours has ended, and who took over 撤并
    Retire(Retire),
    /// Take that back 恢复
    Reinstate(Reinstate),
}

#[derive(ClapArgs, Debug)]
struct Retire {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The area that ends, six digits
    ended: AreaCode,
    /// The area that takes over; given several times after a split
    #[arg(long, value_name = "CODE", required = true)]
    successor: Vec<AreaCode>,
    /// From when, such as 2026-12-01; now when left out
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
}

#[derive(ClapArgs, Debug)]
struct Reinstate {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The area, six digits
    ended: AreaCode,
}

const ENDED: &[&str] = &["area", "successors", "from_ms"];

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    match args.verb {
        Verb::Find { what } => find(&what),
        Verb::Retire(args) => super::online(retire(args)),
        Verb::Reinstate(args) => super::online(reinstate(args)),
    }
}

async fn retire(args: Retire) -> Result<Answer, Failure> {
    let request = office::RetireAreaRequest {
        area: args.ended.to_string(),
        successors: args.successor.iter().map(ToString::to_string).collect(),
        from_ms: args.from.map_or(0, |from| from.from(SystemClock.now()).get()),
    };
    let office = args.connect.open().await?;
    let ended = office.directory().retire_area(request).await?.into_inner().ended_areas;
    Ok(view::rows(&ended, ENDED))
}

async fn reinstate(args: Reinstate) -> Result<Answer, Failure> {
    let request = office::ReinstateAreaRequest { area: args.ended.to_string() };
    let office = args.connect.open().await?;
    let ended = office.directory().reinstate_area(request).await?.into_inner().ended_areas;
    Ok(view::rows(&ended, ENDED))
}

fn find(what: &str) -> Result<Answer, Failure> {
    let areas = AreaTable::builtin();
    let fits = |area: &&Area| match what.bytes().all(|b| b.is_ascii_digit()) {
        // Longer codes are those of a town or village: its county is what the table has.
        true => area.code.as_str().starts_with(what.get(..6).unwrap_or(what)),
        false => area.name.contains(what),
    };
    let found: Vec<&Area> = areas.areas().iter().filter(fits).collect();
    if found.is_empty() || what.is_empty() {
        return Err(Failure::not_found(format!("no area has this code or name: {what}"))
            .zh("没有这个地区")
            .advise("give the first digits of a code, or part of a Chinese name"));
    }
    let shown = found.get(..HITS_MAX.min(found.len())).unwrap_or_default();
    let rows: Vec<_> = shown.iter().map(|a| row(areas, a)).collect();
    let text = table(&["代码", "名称", "level", "since", "until", "successors"], &rows);
    let answer = Answer::new(shown.iter().map(|a| object(areas, a)).collect(), text);
    let rest = found.len().saturating_sub(shown.len());
    Ok(match rest {
        0 => answer.and(&format!("\n{} ({})", areas.source(), areas.version())),
        more => answer.and(&format!("\n… and {more} more; give more of the code or name")),
    })
}

/// The name with those of the areas above it: 河南省 安阳市 安阳县.
fn full_name(areas: &AreaTable, area: &Area) -> String {
    let year = area.valid_until_year.map_or(u16::MAX, |until| until.saturating_sub(1));
    let name_of =
        |code| areas.lookup_in(&code, year).or_else(|| areas.lookup(&code)).map(|a| a.name);
    let mut names = vec![area.name];
    for code in [area.code.prefecture(), area.code.province()] {
        let above = name_of(code).filter(|name| names.first() != Some(name));
        names.splice(0..0, above);
    }
    names.join(" ")
}

fn level(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::Province => "province",
        AreaLevel::Prefecture => "prefecture",
        AreaLevel::County => "county",
        AreaLevel::Town => "town",
        AreaLevel::Village => "village",
        AreaLevel::Extension => "extension",
    }
}

fn row(areas: &AreaTable, area: &Area) -> Vec<String> {
    let successors: Vec<_> = area.successors.iter().map(ToString::to_string).collect();
    vec![
        area.code.to_string(),
        full_name(areas, area),
        level(area.level).to_owned(),
        area.valid_from_year.to_string(),
        area.valid_until_year.map(|y| y.to_string()).unwrap_or_default(),
        successors.join(", "),
    ]
}

fn object(areas: &AreaTable, area: &Area) -> serde_json::Value {
    json!({
        "code": area.code.as_str(),
        "name": area.name,
        "full_name": full_name(areas, area),
        "level": level(area.level),
        "valid_from_year": area.valid_from_year,
        "valid_until_year": area.valid_until_year,
        "successors": area.successors.iter().map(|c| c.to_string()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(what: &str) -> Result<Answer, Failure> {
        super::find(what)
    }

    #[test]
    fn a_county_is_found_by_code_by_name_and_by_the_code_of_its_village() {
        for what in ["410522", "安阳县", "410522101203"] {
            let found = find(what).unwrap();
            assert_eq!(found.json[0]["code"], "410522", "{what}");
            assert!(found.text.contains("河南省 安阳市 安阳县"), "{}", found.text);
        }
        assert!(find("南山区").unwrap().text.contains("440305"));
        assert_eq!(find("亚特兰蒂斯").unwrap_err().exit, super::super::exit::Exit::NotFound);
        assert!(find("").is_err());
    }

    #[test]
    fn a_wide_search_is_cut_and_says_so() {
        let found = find("县").unwrap();
        assert_eq!(found.json.as_array().map(Vec::len), Some(HITS_MAX));
        assert!(found.text.contains("more"), "{}", found.text);
    }
}
