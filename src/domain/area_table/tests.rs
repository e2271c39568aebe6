//! Checks of the built-in table: its counts, its laws and known changes of real areas.

use proptest::prelude::*;

use super::*;

/// A year after the table's edition.
const NOW: u16 = 2026;

fn code(text: &str) -> AreaCode {
    text.parse().unwrap()
}

fn table() -> &'static AreaTable {
    AreaTable::builtin()
}

fn name_of(text: &str) -> String {
    table().full_name(&code(text))
}

fn now_of(text: &str) -> Vec<String> {
    table().current(&code(text), NOW).iter().map(|area| area.code.to_string()).collect()
}

fn open(level: AreaLevel) -> usize {
    let open = |a: &&Area| a.level == level && a.valid_until_year.is_none();
    table().areas().iter().filter(open).count()
}

#[test]
fn has_every_area_of_its_edition() {
    // 34 of the standard and the Corps.
    assert_eq!(open(AreaLevel::Province), 35);
    assert_eq!(open(AreaLevel::Prefecture), 333);
    assert_eq!(open(AreaLevel::County), 2847);
    assert_eq!(table().areas().len(), 7688);
    assert_eq!(table().counties_of(&code("410522")).len(), 157);
    assert_eq!(table().counties_of(&code("110000")).len(), 16);
    assert_eq!(table().counties_of(&code("660000")).len(), 0);
}

#[test]
fn names_known_areas() {
    for (text, name) in [
        ("410522", "河南省安阳市安阳县"),
        ("410522101203001", "河南省安阳市安阳县"),
        ("411528", "河南省信阳市息县"),
        ("440305", "广东省深圳市南山区"),
        ("440306", "广东省深圳市宝安区"),
        ("110101", "北京市东城区"),
        ("429004", "湖北省仙桃市"),
        ("441900", "广东省东莞市"),
        ("410000", "河南省"),
        ("710000", "台湾省"),
        ("660000", "新疆生产建设兵团"),
        ("132102", "河北省邯郸地区邯山区"),
        ("330104", "浙江省杭州市江干区"),
        ("999999", "999999"),
    ] {
        assert_eq!(name_of(text), name, "{text}");
    }
}

#[test]
fn merged_renamed_and_split_areas_resolve() {
    // Merged: 崇文区 went into 东城区 in 2010.
    assert_eq!(now_of("110103"), ["110101"]);
    // Renamed under its code: 中甸县 became 香格里拉县 in 2001 and then a city in 2014.
    let old = table().lookup_in(&code("533421"), 2000).unwrap();
    assert_eq!(old.name, "中甸县");
    let names: Vec<_> = table().current_of(old, NOW).iter().map(|a| a.name).collect();
    assert_eq!(names, ["香格里拉市"]);
    // Split: 江干区 went to two districts in 2021.
    assert_eq!(now_of("330104"), ["330102", "330114"]);
    // Over several changes: 安阳县 was 412122 until 1984, 宝安县 became two districts in 1992.
    assert_eq!(now_of("412122"), ["410522"]);
    assert_eq!(now_of("440321"), ["440306", "440307"]);
    assert_eq!(now_of("500112"), ["500109", "500157"]);
    assert_eq!(now_of("410522"), ["410522"]);
}

#[test]
fn answers_for_the_year_asked() {
    let areas = |text: &str, year: u16| -> Vec<String> {
        let found = table().current(&code(text), year);
        found.iter().map(|area| area.code.to_string()).collect()
    };
    assert_eq!(areas("110103", 2009), ["110103"]);
    assert_eq!(areas("110103", 2010), ["110101"]);
    assert_eq!(areas("500157", 2024), Vec::<String>::new());
    assert_eq!(areas("999999", NOW), Vec::<String>::new());
    // 419001 was 义马市 until 1995 and is 济源市 since 1997.
    assert_eq!(areas("419001", 1996), ["411281"]);
    assert_eq!(areas("419001", 1997), ["419001"]);
}

#[test]
fn every_ended_area_has_successors_that_were_there() {
    for area in table().areas() {
        let Some(until) = area.valid_until_year else {
            assert!(area.successors.is_empty(), "{}", area.code);
            continue;
        };
        assert!(!area.successors.is_empty(), "{} {}", area.code, area.name);
        assert!(area.successors.is_sorted_by(|a, b| a < b), "{}", area.code);
        for successor in &area.successors {
            assert!(table().lookup_in(successor, until).is_some(), "{} {until}", area.code);
        }
        assert!(!table().current_of(area, NOW).is_empty(), "{}", area.code);
    }
}

#[test]
fn years_codes_and_names_are_sane() {
    for area in table().areas() {
        assert!((1980..=NOW).contains(&area.valid_from_year), "{}", area.code);
        let until = area.valid_until_year.unwrap_or(NOW + 1);
        assert!(area.valid_from_year < until && until <= NOW + 1, "{}", area.code);
        assert_eq!(area.code.as_str().len(), 6);
        assert!(area.name.chars().all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{}", area.name);
        assert!(table().lookup_in(&area.code.province(), NOW).is_some(), "{}", area.code);
    }
}

#[test]
fn the_codes_now_in_force_are_unique_and_their_names_too() {
    let now: Vec<_> = table().areas().iter().filter(|a| a.is_valid_in(NOW)).collect();
    assert!(now.is_sorted_by(|a, b| a.code < b.code));
    let mut names: Vec<_> = now.iter().map(|area| table().full_name_of(area)).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), now.len());
}

#[test]
fn refuses_what_is_no_table() {
    let parse = |rows: &str| AreaTable::parse(format!("{HEADER}\n{rows}").leak()).map(|_| ());
    assert_eq!(AreaTable::parse("code,name\n").map(|_| ()), Err(AreaTableError::Header));
    assert_eq!(AreaTable::parse("").map(|_| ()), Err(AreaTableError::Header));
    assert_eq!(parse("410522,安阳县,county,1984,\n"), Err(AreaTableError::Columns(2)));
    assert_eq!(
        parse("41052,安阳县,county,1984,,\n"),
        Err(AreaTableError::Code(2, AreaError::Length))
    );
    assert_eq!(parse("410522,安阳县,prefecture,1984,,\n"), Err(AreaTableError::Level(2)));
    assert!(matches!(parse("410522,安阳县,county,x,,\n"), Err(AreaTableError::Year(2, _))));
    let overlap = "410522,安阳县,county,1984,1990,410522\n410522,安阳区,county,1989,,\n";
    assert_eq!(parse(overlap), Err(AreaTableError::Order(3)));
    assert_eq!(parse("410522,安阳县,county,1984,,\n"), Ok(()));
}

proptest! {
    #[test]
    fn what_is_current_is_valid_then(index in 0usize..7688, year in 1980u16..=NOW) {
        let area = &table().areas()[index];
        for found in table().current(&area.code, year) {
            prop_assert!(found.is_valid_in(year));
        }
    }
}
