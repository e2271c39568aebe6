//! Chinese words for the fields of the access log, indicators and imports.

/// Field of a proto file, and what clerks call it.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("action", "操作"),
    ("batches", "批次"),
    ("cases", "明细"),
    ("counted", "计入分子"),
    ("denominator", "分母"),
    ("dry_run", "仅校验"),
    ("entries", "条目"),
    ("findings", "问题"),
    ("first_day", "起"),
    ("fix_en", "如何改正(英)"),
    ("fix_zh", "如何改正(中)"),
    ("hash", "条目摘要"),
    ("id", "编号"),
    ("import", "导入"),
    ("import_id", "导入编号"),
    ("in_day", "今日"),
    ("in_hour", "本小时"),
    ("indicator", "指标代码"),
    ("indicator_zh", "指标"),
    ("indicators", "指标"),
    ("last_day", "止"),
    ("line", "行号"),
    ("message_kind", "通报种类"),
    ("next_after", "下一页"),
    ("numerator", "分子"),
    ("operators", "操作员"),
    ("per_day", "每日上限"),
    ("per_hour", "每小时上限"),
    ("role", "岗位"),
    ("rows", "行数"),
    ("rows_wrong", "有问题的行"),
    ("skipped", "未写入"),
    ("skipped_lines", "未写入的行号"),
    ("small", "数值过小未列"),
    ("usual", "平常每日"),
    ("written", "已写入"),
];

/// What clerks call a field.
pub(super) fn chinese(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh)
}
