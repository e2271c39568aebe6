//! Chinese words for the fields of the access log, indicators and imports.

/// Field of a proto file, and what clerks call it.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("action", "操作"),
    ("entries", "条目"),
    ("hash", "条目摘要"),
    ("in_day", "今日"),
    ("in_hour", "本小时"),
    ("operators", "操作员"),
    ("per_day", "每日上限"),
    ("per_hour", "每小时上限"),
    ("role", "岗位"),
    ("usual", "平常每日"),
];

/// What clerks call a field.
pub(super) fn chinese(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh)
}
