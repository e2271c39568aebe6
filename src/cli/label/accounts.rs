//! Chinese words for the fields of reconciliations, statements and the ledger.

/// Field of a proto file, and what clerks call it.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("after", "其后账本头"),
    ("after_restore", "恢复后对账"),
    ("answerer", "对方"),
    ("applications", "待发核实的申请"),
    ("as_compared", "与对账所见一致"),
    ("ask_due_on", "应发核实期限"),
    ("asked_late", "逾期发出核实"),
    ("asker", "发起方"),
    ("before", "此前账本头"),
    ("certificate_chain", "签名证书"),
    ("closed", "最近关账"),
    ("closes", "已关账"),
    ("compared_bytes", "比对字节"),
    ("comparisons", "比对次数"),
    ("complete_through_day", "报全至"),
    ("county", "县"),
    ("county_name", "县名"),
    ("cured", "已消除"),
    ("cures_waiting", "待领取的补救"),
    ("day", "日期"),
    ("decided_by", "裁定人"),
    ("decision_reason", "裁定理由"),
    ("decisions", "待人工决定"),
    ("difference", "差异"),
    ("differences", "差异"),
    ("due_counted", "期限计算方式"),
    ("ended_ms", "结束时间"),
    ("entry", "台账条目"),
    ("equal", "双方一致"),
    ("failed", "未能比对"),
    ("first_day", "起始日"),
    ("found", "发现"),
    ("found_ms", "发现时间"),
    ("given_up", "中止"),
    ("head", "账本头"),
    ("index", "序号"),
    ("lacks_since_day", "欠报自"),
    ("last_day", "截止日"),
    ("left_out", "无法联系"),
    ("lost", "已丢失"),
    ("lost_from_ms", "缺失自"),
    ("lost_until_ms", "缺失至"),
    ("made_ms", "出具时间"),
    ("manifest", "回执内容"),
    ("named_until_ms", "逐件列明至"),
    ("new_root", "新树根"),
    ("new_size", "新条数"),
    ("numbers", "编号"),
    ("old_root", "旧树根"),
    ("old_size", "旧条数"),
    ("open_only", "仅未了结"),
    ("our_entries", "我方条数"),
    ("papers_on", "材料收齐日期"),
    ("path", "证明路径"),
    ("periods_open", "未关账期间"),
    ("proof", "证明"),
    ("proofs", "证明"),
    ("recall", "核对丢失的对账"),
    ("recipient_version", "收方所持"),
    ("reconciliation", "对账"),
    ("reconciliations", "对账"),
    ("reconciling", "对账情况"),
    ("reported", "已上报"),
    ("reported_days", "逐日上报"),
    ("reports", "上报"),
    ("result_due_on", "登记结果通报期限"),
    ("result_late", "登记结果逾期"),
    ("root", "树根"),
    ("running", "进行中"),
    ("runs", "对账次数"),
    ("sender", "发方"),
    ("sender_version", "发方所持"),
    ("set_back", "账本回退的节点"),
    ("signature", "签名"),
    ("signed_bytes", "签名内容"),
    ("signed_ms", "签署时间"),
    ("signed_statement", "双签对账单"),
    ("size", "条数"),
    ("started_ms", "开始时间"),
    ("statement", "对账单"),
    ("statements", "对账单"),
    ("their_entries", "对方条数"),
    ("through_ms", "上报截至"),
    ("touched_ms", "最近进展"),
    ("unclosed", "逾期未对账"),
    ("unproven", "尚未证明账本的节点"),
    ("version_proof", "版本凭据"),
    ("version_signer", "签名证书指纹"),
    ("with", "对账方"),
    ("with_decisions", "待裁定的对账"),
    ("with_name", "对账方名称"),
];

/// What clerks call a field.
pub(super) fn chinese(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh)
}

/// Differences between two sides: the name in commands, and what clerks call it.
const DIFFERENCES: [(&str, &str); 6] = [
    ("MISSING_AT_RECIPIENT", "收方缺失"),
    ("MISSING_AT_SENDER", "发方缺失"),
    ("RECEIPT_MISSING", "缺少回执"),
    ("STATE_DIFFERS", "状态不符"),
    ("CONTENT_DIFFERS", "内容不符"),
    ("NOT_REPORTED", "未上报"),
];

/// A difference as people see it: what clerks call it, and its name.
pub(super) fn difference(name: &str) -> String {
    let zh = DIFFERENCES.iter().find(|(known, _)| *known == name).map(|(_, zh)| *zh);
    zh.map_or_else(|| name.to_owned(), |zh| format!("{zh} {name}"))
}

#[cfg(test)]
mod tests {
    use exchange::reconcile::difference::DifferenceName;

    use super::*;

    #[test]
    fn every_difference_has_a_chinese_name() {
        let all = DifferenceName::ALL.map(|it| difference(it.name()));
        assert!(
            all.iter().all(|name| name.chars().next().is_some_and(|it| !it.is_ascii())),
            "{all:?}"
        );
        assert_eq!(difference("ELSE"), "ELSE");
    }
}
