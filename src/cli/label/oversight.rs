//! Chinese words for the fields of files, the access log, indicators and imports.

/// Field of a proto file, and what clerks call it.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("chunk", "数据块"),
    ("directory", "名录"),
    ("faults", "问题数"),
    ("news", "新内容数"),
    ("report", "报告"),
];

/// What clerks call a field.
pub(super) fn chinese(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh)
}
