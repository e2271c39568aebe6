//! The columns of import files: what each heading is called, and which field of a row it fills.

use domain::case::Seat;
use domain::crosswalk::{self, About, Meaning};
use domain::message::{Kind as MessageKind, ResidenceReason};
use domain::numbered::Numbered;
use domain::old_case::OldState;
use domain::person::{DocumentKind, MaritalStatus, Sex};

use super::Kind;
use crate::cli::connect::{message, office};
use crate::cli::exit::Failure;

/// No value of any list: the node answers with the rule, at the field.
const NO_SUCH: i32 = 9_999;

/// A column: its heading, the field that findings name, whether it must be filled, and an example.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) header: &'static str,
    pub(super) field: &'static str,
    pub(super) required: bool,
    pub(super) example: &'static str,
    fill: fn(&mut office::ImportRow, &str),
}

const fn column(
    header: &'static str,
    field: &'static str,
    required: bool,
    example: &'static str,
    fill: fn(&mut office::ImportRow, &str),
) -> Column {
    Column { header, field, required, example, fill }
}

/// Who: the same in every file.
const PERSON: [Column; 6] = [
    column("证件种类", "person.document.kind", false, "居民身份证", |row, cell| {
        document(row).kind = chosen(cell, DocumentKind::chinese);
    }),
    column("证件号码", "person.document.number", true, "", |row, cell| {
        document(row).number = cell.to_owned();
    }),
    column("姓名", "person.name", true, "", |row, cell| person(row).name = cell.to_owned()),
    column("性别", "person.sex", false, "女", |row, cell| {
        person(row).sex = chosen_or_coded(cell, Sex::chinese, About::Sex);
    }),
    column("出生日期", "person.born_on", false, "1990-03-07", |row, cell| {
        person(row).born_on = day(cell);
    }),
    column("婚姻状况", "person.marital_status", false, "", |row, cell| {
        person(row).marital_status =
            chosen_or_coded(cell, MaritalStatus::chinese, About::MaritalStatus);
    }),
];

const REGISTRATION: [Column; 6] = [
    column("户籍地代码", "registration.origin_area", true, "410522", |row, cell| {
        registration(row).origin_area = cell.to_owned();
    }),
    column("现居住地代码", "registration.residence_area", true, "440305001", |row, cell| {
        registration(row).residence_area = cell.to_owned();
    }),
    column("居住地址", "registration.address", false, "", |row, cell| {
        registration(row).address = cell.to_owned();
    }),
    column("来现居住地日期", "registration.arrived_on", true, "2026-03-02", |row, cell| {
        registration(row).arrived_on = day(cell);
    }),
    column("居住事由", "registration.reason", false, "", |row, cell| {
        registration(row).reason = chosen(cell, ResidenceReason::chinese);
    }),
    column("证明编号", "registration.certificate_number", false, "", |row, cell| {
        registration(row).certificate_number = cell.to_owned();
    }),
];

const CERTIFICATE: [Column; 2] = [
    column("证明编号", "certificate_number", true, "", |row, cell| {
        row.certificate_number = cell.to_owned();
    }),
    column("发证日期", "issued_on", true, "2025-06-18", |row, cell| row.issued_on = day(cell)),
];

const OLD_CASE: [Column; 7] = [
    column("原个案编号", "old_case.number", true, "XC-2019-0042", |row, cell| {
        old_case(row).number = cell.to_owned();
    }),
    column("个案种类", "old_case.kind", true, "协查", |row, cell| {
        let named = MessageKind::ALL.iter().find(|kind| kind.chinese() == cell);
        old_case(row).kind = named.map_or(cell, |kind| kind.name()).to_owned();
    }),
    column("我方角色", "old_case.ours", true, "承办方", |row, cell| {
        old_case(row).ours = chosen(cell, Seat::chinese);
    }),
    column("对方地区代码", "old_case.other", true, "440305", |row, cell| {
        old_case(row).other = cell.to_owned();
    }),
    column("立案日期", "old_case.opened_on", true, "2019-05-06", |row, cell| {
        old_case(row).opened_on = day(cell);
    }),
    column("办理状态", "old_case.old_state", true, "已答复", |row, cell| {
        old_case(row).old_state = chosen(cell, OldState::chinese);
    }),
    column("办结日期", "old_case.ended_on", false, "2019-05-30", |row, cell| {
        old_case(row).ended_on = day(cell);
    }),
];

/// The columns of a file of that kind, in the order of the template.
pub(super) fn all(kind: Kind) -> Vec<Column> {
    let rest: &[Column] = match kind {
        Kind::Registrations => &REGISTRATION,
        Kind::Certificates => &CERTIFICATE,
        Kind::OldCases => &OLD_CASE,
    };
    PERSON.iter().chain(rest).copied().collect()
}

/// The heading of the column that fills a field; the field itself when none does.
pub(super) fn header_of(kind: Kind, field: &str) -> &str {
    let found = all(kind).into_iter().find(|column| column.field == field);
    found.map_or(field, |column| column.header)
}

/// Which cell of a line fills what.
#[derive(Debug)]
pub(super) struct Columns {
    kind: Kind,
    places: Vec<Option<Column>>,
}

impl Columns {
    /// From the headings of a file. A `*` or words in brackets behind a heading do not matter.
    ///
    /// # Errors
    /// A heading that nobody knows or that is there twice, or a required one that is missing.
    pub(super) fn of(kind: Kind, headings: &[String]) -> Result<Self, Failure> {
        let known = all(kind);
        let mut places: Vec<Option<Column>> = Vec::with_capacity(headings.len());
        for heading in headings {
            let plain = plain(heading);
            if plain.is_empty() {
                places.push(None);
                continue;
            }
            let column = known.iter().find(|column| column.header == plain);
            let column = column.ok_or_else(|| {
                wrong(&format!("不认识的列：{plain}"), &format!("no such column: {plain}"))
            })?;
            if places.iter().flatten().any(|other| other.header == column.header) {
                return Err(wrong(
                    &format!("列重复：{plain}"),
                    &format!("the column is there twice: {plain}"),
                ));
            }
            places.push(Some(*column));
        }
        let there = |column: &Column| places.iter().flatten().any(|c| c.header == column.header);
        if let Some(missing) = known.iter().find(|column| column.required && !there(column)) {
            let header = missing.header;
            return Err(wrong(
                &format!("缺少列：{header}"),
                &format!("a column is missing: {header}"),
            ));
        }
        Ok(Self { kind, places })
    }

    /// The first cell of a line, from 1, that says something under no heading.
    pub(super) fn stray(&self, cells: &[String]) -> Option<usize> {
        let has_heading = |place: &usize| self.places.get(*place).is_some_and(Option::is_some);
        let says = |(_, cell): &(usize, &String)| !cell.trim().is_empty();
        let mut filled = cells.iter().enumerate().filter(says).map(|(place, _)| place);
        filled.find(|place| !has_heading(place)).map(|place| place.saturating_add(1))
    }

    /// A line as a row.
    pub(super) fn row(&self, line: u32, cells: &[String]) -> office::ImportRow {
        let mut row = office::ImportRow { line, ..Default::default() };
        document(&mut row).kind = i32::from(DocumentKind::ResidentId.number());
        match self.kind {
            Kind::Registrations => {
                registration(&mut row);
            }
            Kind::OldCases => {
                old_case(&mut row);
            }
            Kind::Certificates => {}
        }
        for (column, cell) in self.places.iter().zip(cells) {
            let cell = cell.trim();
            if let Some(column) = column.filter(|_| !cell.is_empty()) {
                (column.fill)(&mut row, cell);
            }
        }
        row
    }
}

fn wrong(zh: &str, en: &str) -> Failure {
    Failure::usage(format!("the headings are not those of the template: {en}"))
        .zh(format!("表头与模板不符：{zh}"))
        .advise("liangdi import template writes a file with the right headings")
}

fn plain(heading: &str) -> String {
    let heading = heading.trim_start_matches('\u{feff}').trim();
    let end = heading.find(['*', '(', '（']).unwrap_or(heading.len());
    heading.get(..end).unwrap_or_default().trim().to_owned()
}

fn person(row: &mut office::ImportRow) -> &mut office::Person {
    row.person.get_or_insert_default()
}

fn document(row: &mut office::ImportRow) -> &mut message::IdentityDocument {
    person(row).document.get_or_insert_default()
}

fn registration(row: &mut office::ImportRow) -> &mut office::Registration {
    row.registration.get_or_insert_default()
}

fn old_case(row: &mut office::ImportRow) -> &mut office::OldCase {
    row.old_case.get_or_insert_default()
}

/// A value of a list by its Chinese name or its code.
fn chosen<T: Numbered>(cell: &str, chinese: fn(T) -> &'static str) -> i32 {
    let fits = |value: &&T| chinese(**value) == cell || value.code().eq_ignore_ascii_case(cell);
    T::ALL.iter().find(fits).map_or(NO_SUCH, |value| i32::from(value.number()))
}

/// The same, or by its code in a national list. What such a code says and nobody records is left out.
fn chosen_or_coded<T: Numbered>(cell: &str, chinese: fn(T) -> &'static str, about: About) -> i32 {
    match (chosen(cell, chinese), crosswalk::read::<T>(about, cell)) {
        (NO_SUCH, Some(Meaning::Value(value))) => i32::from(value.number()),
        (NO_SUCH, Some(Meaning::NotRecorded)) => 0,
        (chosen, _) => chosen,
    }
}

/// A day in one of the ways that people write it, as YYYY-MM-DD; anything else as it is, for the node to refuse.
fn day(cell: &str) -> String {
    let parts: Vec<&str> =
        cell.split(['-', '/', '.', '年', '月', '日']).filter(|part| !part.is_empty()).collect();
    let digits = |text: &&str| text.bytes().all(|b| b.is_ascii_digit());
    match parts.as_slice() {
        [year, month, day] if parts.iter().all(digits) && year.len() == 4 => {
            format!("{year}-{month:0>2}-{day:0>2}")
        }
        [whole] if whole.len() == 8 && digits(whole) => {
            let part = |range| whole.get(range).unwrap_or_default();
            format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))
        }
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_people_write_it() {
        for written in ["2026-03-07", "2026/3/7", "2026.3.7", "2026年3月7日", "20260307"] {
            assert_eq!(day(written), "2026-03-07", "{written}");
        }
        assert_eq!(day("07.03.26"), "07.03.26");
    }

    #[test]
    fn what_stands_under_no_heading_is_not_passed_over() {
        let headings = ["证件号码", "姓名", "", "证明编号", "发证日期"].map(str::to_owned);
        let columns = Columns::of(Kind::Certificates, &headings).unwrap();
        let stray = |cells: &[&str]| {
            columns.stray(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(stray(&["1", "王小明", " ", "2", "3", "", ""]), None);
        assert_eq!(stray(&["1", "王小明", "女", "2", "3"]), Some(3));
        assert_eq!(stray(&["1", "王小明", "", "2", "3", "备注\n下一行"]), Some(6));
    }

    #[test]
    fn headings_may_have_marks_and_any_order() {
        let headings =
            ["现居住地代码*", "姓名（必填）", "证件号码", "来现居住地日期", "户籍地代码"];
        let headings: Vec<String> = headings.map(str::to_owned).into();
        let columns = Columns::of(Kind::Registrations, &headings).unwrap();
        let cells = ["440305001", "王小明", "110101190001010010", "2026-3-2", "410522"];
        let row = columns.row(2, &cells.map(str::to_owned));
        let (person, registration) = (row.person.unwrap(), row.registration.unwrap());
        assert_eq!((person.name.as_str(), registration.origin_area.as_str()), ("王小明", "410522"));
        assert_eq!(registration.arrived_on, "2026-03-02");
        assert!(
            Columns::of(Kind::Registrations, &headings[1..]).is_err(),
            "a required one is missing"
        );
        let twice = [headings.clone(), vec!["姓名".to_owned()]].concat();
        assert!(Columns::of(Kind::Registrations, &twice).is_err());
        assert!(Columns::of(Kind::Registrations, &["罚款".to_owned()]).is_err());
    }

    #[test]
    fn a_word_that_is_in_no_list_is_left_to_the_node() {
        assert_eq!(chosen("女", Sex::chinese), i32::from(Sex::Female.number()));
        assert_eq!(chosen("female", Sex::chinese), i32::from(Sex::Female.number()));
        assert_eq!(chosen("计划外", MaritalStatus::chinese), NO_SUCH);
        let status = |cell| chosen_or_coded(cell, MaritalStatus::chinese, About::MaritalStatus);
        let married = i32::from(MaritalStatus::Married.number());
        assert_eq!(
            [status("已婚"), status("22"), status("90"), status("55")],
            [married, married, 0, NO_SUCH]
        );
    }
}
