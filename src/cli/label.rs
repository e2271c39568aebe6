//! Chinese words for the fields and values that the command line shows; the English ones are the proto names.

mod accounts;
mod oversight;
mod state;

use domain::case::{Seat, TransferCause};
use domain::consent::{ConsentScope, Given};
use domain::erasure::{ErasureHold, ErasureRest};
use domain::message::{
    ArrivalOutcome, CertificateClaim, CertificateEvent, CertificateState, ContraceptiveMethod,
    FeedbackOutcome, Kind, OutflowOutcome, ReferralOutcome, RegistrationResult, ResidenceReason,
    StatementOutcome, Urgency,
};
use domain::numbered::Numbered;
use domain::person::{DocumentKind, MaritalStatus, Sex};
use domain::purpose::{LawfulBasis, Purpose};
use domain::service::Service;

/// Field of a proto file, and what clerks call it.
const FIELDS: &[(&str, &str)] = &[
    ("accepted", "同意"),
    ("access", "查阅事由"),
    ("acknowledged_ms", "对方确认时间"),
    ("address", "居住地址"),
    ("addressed_to", "原收件地区"),
    ("advice_en", "怎么办(英)"),
    ("advice_zh", "怎么办(中)"),
    ("agreement", "协议"),
    ("agreement_id", "协议编号"),
    ("agreements", "协议"),
    ("answer", "答复"),
    ("answer_id", "答复通报"),
    ("answered_by", "答复通报"),
    ("answered_from", "答复依据的通报"),
    ("answered_ms", "答复时间"),
    ("answering", "承办方"),
    ("application_number", "申请号"),
    ("appointment_on", "预约日期"),
    ("area", "地区"),
    ("area_name", "地区名称"),
    ("arrived_on", "来现居住地日期"),
    ("ask_once_days", "只问一次的天数"),
    ("asked_again", "再次询问的原因"),
    ("asking", "发起方"),
    ("at_ms", "时间"),
    ("at_relay", "中转中"),
    ("at_risk", "有受害风险"),
    ("basis", "合法性基础"),
    ("birth_area", "出生地"),
    ("birth_certificate_number", "出生医学证明编号"),
    ("born_on", "出生日期"),
    ("breaker", "重试状态"),
    ("breaker_until_ms", "下次放行"),
    ("bundle_id", "文件编号"),
    ("bytes", "字节数"),
    ("card", "节点名片"),
    ("card_known", "名片已收到"),
    ("card_until_ms", "名片有效期至"),
    ("card_version", "名片版本"),
    ("cards", "节点名片"),
    ("carried_until_ms", "交由承运至"),
    ("carrier", "承运"),
    ("case", "个案"),
    ("case_id", "个案编号"),
    ("cases", "个案"),
    ("cause", "未送达原因"),
    ("certificate", "婚育证明"),
    ("certificate_number", "证明编号"),
    ("certificate_until_ms", "节点证书有效期至"),
    ("certificates", "婚育证明"),
    ("chain", "证书链"),
    ("change", "变更"),
    ("changes", "备份期间变更"),
    ("check_confirmed", "校验位已人工核对"),
    ("checked_on", "查验日期"),
    ("children", "子女数"),
    ("children_born", "出生子女数"),
    ("children_born_on", "子女出生日期"),
    ("children_stated", "自述子女数"),
    ("chunk", "数据块"),
    ("claims", "核实事项"),
    ("clarify_id", "所答补正"),
    ("clock_skew_ms", "时钟偏差(毫秒)"),
    ("code", "代码"),
    ("collects", "自行取件"),
    ("complete", "完整"),
    ("connected", "已连接"),
    ("consent", "同意"),
    ("consent_id", "同意编号"),
    ("consents", "同意"),
    ("contact", "联系方式"),
    ("content", "内容"),
    ("content_deleted", "内容已删除"),
    ("corrected_name", "更正姓名"),
    ("correction", "更正内容"),
    ("corrects_id", "所更正的通报"),
    ("counties", "涉及的地区"),
    ("created_ms", "受理时间"),
    ("credential", "二维码内容"),
    ("credential_svg", "二维码图片"),
    ("database_bytes", "数据库字节数"),
    ("days", "天数"),
    ("dead_letter", "死信"),
    ("dead_letters", "死信"),
    ("decided_by", "处理人"),
    ("decided_ms", "处理时间"),
    ("decided_on", "决定日期"),
    ("decision", "对方答复"),
    ("deferred", "暂缓"),
    ("deleted", "已删除的旧文件"),
    ("deleted_ms", "对方删除时间"),
    ("departed_on", "离开日期"),
    ("destination", "实际发往"),
    ("destination_area", "去往地区"),
    ("detail", "详情"),
    ("digest", "摘要"),
    ("directory", "名片文件"),
    ("discard_reason", "放弃原因"),
    ("disk_free_bytes", "磁盘剩余字节"),
    ("disk_nearly_full", "磁盘空间不足"),
    ("document", "证件"),
    ("documents", "案卷文书"),
    ("done", "完成"),
    ("done_by", "确认人"),
    ("done_ms", "确认时间"),
    ("due_ms", "时限"),
    ("due_on", "办理期限"),
    ("duplicates", "重复"),
    ("ended_areas", "已撤销地区"),
    ("ended_by", "终止方"),
    ("ending", "终止"),
    ("endorsement", "查验"),
    ("endorsement_id", "查验编号"),
    ("endorsements", "查验"),
    ("endpoint", "地址"),
    ("endpoints", "地址"),
    ("entries", "名片与名单"),
    ("erased_ms", "删除时间"),
    ("erasure_id", "删除记录编号"),
    ("event", "事项"),
    ("evidence", "存证"),
    ("expected_month", "预产月份"),
    ("expires_ms", "失效时间"),
    ("fault", "责任方"),
    ("fault_en", "文件问题(英)"),
    ("fault_zh", "文件问题(中)"),
    ("faults", "无效内容"),
    ("features", "支持的功能"),
    ("field", "字段"),
    ("fields", "可选字段"),
    ("file", "文件"),
    ("form", "方式"),
    ("from", "发出地"),
    ("from_ms", "开始"),
    ("genuine", "真实"),
    ("given_on", "同意日期"),
    ("group", "提交组"),
    ("groups", "提交组数"),
    ("hand_over", "移交"),
    ("heard_from", "来源节点"),
    ("held_ms", "承运时间"),
    ("hold", "未了结事项"),
    ("holder_name", "持证人"),
    ("holds", "未了结事项"),
    ("hops", "经过"),
    ("in_flight", "在途"),
    ("in_force", "有效"),
    ("in_reply_to", "答复对象"),
    ("in_transit", "待转交"),
    ("issued_ms", "签发时间"),
    ("issued_on", "签发日期"),
    ("issuer", "签发地"),
    ("key_id", "密钥编号"),
    ("keys", "封装密钥"),
    ("keys_file", "密钥文件"),
    ("kind", "种类"),
    ("kind_terms", "单项约定"),
    ("kind_zh", "种类"),
    ("kinds", "通报种类"),
    ("lane_sequence", "序号"),
    ("lapsed", "过期"),
    ("last_backup_ms", "最近备份"),
    ("last_day", "最后一日"),
    ("last_heard_ms", "最近来信"),
    ("last_receipt_ms", "最近回执"),
    ("late", "逾期"),
    ("ledger_root", "台账根"),
    ("ledger_size", "台账条数"),
    ("left", "未了结"),
    ("left_on", "离开户籍地日期"),
    ("lists", "吊销名单"),
    ("maintenance", "停机公告"),
    ("maintenance_from_ms", "停机开始"),
    ("maintenance_note", "停机说明"),
    ("maintenance_until_ms", "停机结束"),
    ("marital_status", "婚姻状况"),
    ("married_on", "结婚日期"),
    ("matches_document", "与证件相符"),
    ("message_id", "通报编号"),
    ("message_ids", "通报编号"),
    ("messages", "通报"),
    ("method", "避孕方法"),
    ("moved_to_area", "现户籍地"),
    ("name", "姓名/名称"),
    ("news", "新内容"),
    ("next", "下一步"),
    ("next_en", "下一步(英)"),
    ("next_page_token", "下一页"),
    ("next_try_ms", "下次尝试"),
    ("next_zh", "下一步(中)"),
    ("no_effect", "未生效原因"),
    ("note", "备注"),
    ("notice", "提醒"),
    ("notice_days", "终止预告天数"),
    ("notices", "提醒"),
    ("number", "号码"),
    ("ok", "正常"),
    ("opened_ms", "打开时间"),
    ("openings", "已打开的通报"),
    ("operator", "经办人"),
    ("origin", "户籍地"),
    ("origin_area", "户籍地"),
    ("ours", "本方"),
    ("outcome", "结果"),
    ("pairing", "配对"),
    ("parcels", "包裹数"),
    ("paused_ms", "停计时自"),
    ("peer", "对方节点"),
    ("peers", "对方节点"),
    ("percent", "已过时限(%)"),
    ("person", "当事人"),
    ("person_id", "人员编号"),
    ("place", "地点"),
    ("progress", "进度"),
    ("proposal", "协议内容"),
    ("proposal_message_id", "提议通报"),
    ("proposed_ms", "提议时间"),
    ("proposer", "提议方"),
    ("purpose", "目的"),
    ("purposes", "目的"),
    ("put_off", "对方暂缓"),
    ("question", "问题"),
    ("reachable", "可达"),
    ("reason", "原因"),
    ("reason_en", "原因(英)"),
    ("reason_zh", "原因(中)"),
    ("received_ms", "收到时间"),
    ("recipient", "告知对象"),
    ("records", "记录数"),
    ("refers_to", "所指步骤"),
    ("refused", "退回"),
    ("refused_ms", "对方拒收时间"),
    ("refused_reason", "对方拒收原因"),
    ("registration", "流动人口登记"),
    ("registration_id", "登记编号"),
    ("registrations", "流动人口登记"),
    ("released_by", "批准人"),
    ("replaced_by", "替代为"),
    ("replaces", "替代对象"),
    ("report", "结果"),
    ("reported", "已上报"),
    ("request_id", "申请编号"),
    ("requested_on", "申请日期"),
    ("residence_area", "现居住地"),
    ("restored_backup_ms", "所恢复备份的时间"),
    ("restored_ms", "恢复时间"),
    ("rests", "保留的内容"),
    ("result", "结果"),
    ("retention_months", "保存月数"),
    ("retired_ms", "停办时间"),
    ("retiring_ms", "开始停用"),
    ("revocation_list_ms", "吊销列表日期"),
    ("revocation_reason", "注销原因"),
    ("round_trip_us", "往返耗时(微秒)"),
    ("route", "路径"),
    ("rows", "行数"),
    ("scopes", "同意范围"),
    ("seat", "一方"),
    ("sent_ms", "发出时间"),
    ("served_on", "服务日期"),
    ("service", "服务"),
    ("service_request", "服务申请"),
    ("service_requests", "服务申请"),
    ("services_arranged", "已安排服务"),
    ("services_wanted", "需要的服务"),
    ("serving", "可用"),
    ("sex", "性别"),
    ("signature", "签名"),
    ("signed_text", "签署文本"),
    ("silent_days", "无音讯天数"),
    ("since", "起始日期"),
    ("since_ms", "列入时间"),
    ("spouse_name", "配偶姓名"),
    ("spread", "撤回进展"),
    ("stage", "进度"),
    ("state", "状态"),
    ("step", "步骤序号"),
    ("steps", "步骤"),
    ("stored", "新入库"),
    ("stored_ms", "对方入库时间"),
    ("successors", "承接地区"),
    ("syncs", "落盘次数"),
    ("term", "任次"),
    ("text_en", "说明(英)"),
    ("text_zh", "说明(中)"),
    ("to", "发往地"),
    ("together", "关联个案"),
    ("took_us", "耗时(微秒)"),
    ("track", "流转"),
    ("trouble", "故障"),
    ("trouble_en", "故障(英)"),
    ("trouble_zh", "故障(中)"),
    ("turn", "轮到"),
    ("unanswered", "待答复"),
    ("unfit", "未收包裹"),
    ("units", "提交件数"),
    ("until_ms", "结束"),
    ("urgency", "紧急程度"),
    ("use_until_ms", "可用至"),
    ("valid_from", "生效日期"),
    ("valid_from_ms", "生效时间"),
    ("valid_until", "有效期至"),
    ("valid_until_ms", "有效期至"),
    ("verified", "已核实"),
    ("version", "版本"),
    ("versions", "历次版本"),
    ("waiting", "待发"),
    ("waits", "等待"),
    ("wanted_on", "希望日期"),
    ("withdrawn_ms", "撤回时间"),
    ("words", "待返回回执"),
];

fn chinese(field: &str) -> Option<&'static str> {
    let known = FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh);
    // The bodies of a content are fields named after their kind.
    let known = known.or_else(|| oversight::chinese(field));
    let known = known.or_else(|| accounts::chinese(field));
    known.or_else(|| Kind::from_name(&camel_case(field)).map(Kind::chinese))
}

fn camel_case(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_uppercase())
    };
    name.split('_').map(capital).collect()
}

/// A field's name in words: `due_on` is "due on 办理期限".
pub(super) fn of(field: &str) -> String {
    let english = field.strip_suffix("_ms").unwrap_or(field).replace('_', " ");
    chinese(field).map_or(english.clone(), |zh| format!("{english} {zh}"))
}

/// The same as the heading of a column; Chinese alone, since columns are many.
pub(super) fn heading(field: &str) -> String {
    chinese(field).map_or_else(|| of(field), str::to_owned)
}

/// What clerks call a value of a list.
pub(super) fn of_value(list: &str, number: i32) -> Option<&'static str> {
    fn find<T: Numbered>(number: i32, chinese: fn(T) -> &'static str) -> Option<&'static str> {
        u8::try_from(number).ok().and_then(T::from_number).map(chinese)
    }
    match list {
        "ArrivalOutcome" => find(number, ArrivalOutcome::chinese),
        "CaseStage" => find(number, domain::case::Stage::chinese),
        "CertificateClaim" => find(number, CertificateClaim::chinese),
        "CertificateEvent" => find(number, CertificateEvent::chinese),
        "CertificateState" => find(number, CertificateState::chinese),
        "ConsentForm" => find(number, Given::chinese),
        "ConsentScope" => find(number, ConsentScope::chinese),
        "ContraceptiveMethod" => find(number, ContraceptiveMethod::chinese),
        "DocumentKind" => find(number, DocumentKind::chinese),
        "EndorsementResult" => endorsement(number),
        "ErasureHold" => find(number, ErasureHold::chinese),
        "ErasureRest" => find(number, ErasureRest::chinese),
        "FeedbackOutcome" => find(number, FeedbackOutcome::chinese),
        "LawfulBasis" => find(number, LawfulBasis::chinese),
        "MaritalStatus" => find(number, MaritalStatus::chinese),
        "OutflowOutcome" => find(number, OutflowOutcome::chinese),
        "OfferState" => find(number, domain::case::OfferState::chinese),
        "OldCaseState" => find(number, domain::old_case::OldState::chinese),
        "Pairing" => find(number, domain::case::Pairing::chinese),
        "Purpose" => find(number, Purpose::chinese),
        "ReferralOutcome" => find(number, ReferralOutcome::chinese),
        "RegistrationResult" => find(number, RegistrationResult::chinese),
        "RegistrationState" => registration(number),
        "ResidenceReason" => find(number, ResidenceReason::chinese),
        "Seat" => find(number, Seat::chinese),
        "Service" => find(number, Service::chinese),
        "Sex" => find(number, Sex::chinese),
        "StatementOutcome" => find(number, StatementOutcome::chinese),
        "TransferCause" => find(number, TransferCause::chinese),
        "Urgency" => find(number, Urgency::chinese),
        _ => state::of(list, number),
    }
}

fn registration(number: i32) -> Option<&'static str> {
    match number {
        1 => Some("在住"),
        2 => Some("已转往他处"),
        3 => Some("已离开"),
        _ => None,
    }
}

fn endorsement(number: i32) -> Option<&'static str> {
    match number {
        1 => Some("有效"),
        2 => Some("存疑"),
        3 => Some("未能查证"),
        _ => None,
    }
}

/// A difference between two sides as people see it: what clerks call it, and its name.
pub(super) fn difference(name: &str) -> String {
    accounts::difference(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages that the command line shows; requests are not among them.
    fn shown() -> Vec<prost_reflect::MessageDescriptor> {
        let inside = ["liangdi.office.v1", "liangdi.message.v1"];
        let all = super::super::view::pool().all_messages();
        all.filter(|m| inside.contains(&m.package_name()) && !m.name().ends_with("Request"))
            .collect()
    }

    #[test]
    fn every_field_that_is_shown_has_a_chinese_name() {
        let missing: Vec<_> = shown()
            .iter()
            .flat_map(|m| m.fields().collect::<Vec<_>>())
            .filter(|f| chinese(f.name()).is_none())
            .map(|f| f.full_name().to_owned())
            .collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn every_value_that_is_shown_has_a_chinese_name() {
        let of_field = |f: prost_reflect::FieldDescriptor| f.kind().as_enum().cloned();
        let lists =
            shown().into_iter().flat_map(|m| m.fields().filter_map(of_field).collect::<Vec<_>>());
        for list in lists {
            for value in list.values().filter(|v| v.number() != 0) {
                assert!(of_value(list.name(), value.number()).is_some(), "{}", value.full_name());
            }
        }
    }

    #[test]
    fn the_list_is_sorted_and_has_no_doubles() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(oversight::FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(accounts::FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(of("due_on"), "due on 办理期限");
        assert_eq!(of("created_ms"), "created 受理时间");
        assert_eq!(of("half_life"), "half life");
        assert_eq!(heading("stage"), "进度");
    }
}
