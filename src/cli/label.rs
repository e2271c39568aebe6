//! Chinese words for the fields and values that the command line shows; the English ones are the proto names.

use domain::consent::{ConsentScope, Given};
use domain::numbered::Numbered;
use domain::person::{DocumentKind, MaritalStatus, Sex};
use domain::purpose::{LawfulBasis, Purpose};

/// Field of a proto file, and what clerks call it.
const FIELDS: &[(&str, &str)] = &[
    ("access", "查阅事由"),
    ("address", "居住地址"),
    ("answered_by", "答复通报"),
    ("answered_ms", "答复时间"),
    ("area", "地区"),
    ("area_name", "地区名称"),
    ("arrived_on", "来现居住地日期"),
    ("at_ms", "时间"),
    ("at_risk", "有受害风险"),
    ("basis", "合法性基础"),
    ("born_on", "出生日期"),
    ("card_known", "名片已收到"),
    ("case_id", "个案编号"),
    ("certificate", "婚育证明"),
    ("certificate_number", "证明编号"),
    ("certificate_until_ms", "节点证书有效期至"),
    ("certificates", "婚育证明"),
    ("change", "变更"),
    ("check_confirmed", "校验位已人工核对"),
    ("checked_on", "查验日期"),
    ("children", "子女数"),
    ("children_born_on", "子女出生日期"),
    ("clock_skew_ms", "时钟偏差(毫秒)"),
    ("code", "代码"),
    ("connected", "已连接"),
    ("consent", "同意"),
    ("consent_id", "同意编号"),
    ("consents", "同意"),
    ("content", "内容"),
    ("created_ms", "受理时间"),
    ("credential", "二维码内容"),
    ("destination_area", "去往地区"),
    ("digest", "信封摘要"),
    ("document", "证件"),
    ("due_on", "办理期限"),
    ("endorsement", "查验"),
    ("endorsement_id", "查验编号"),
    ("endorsements", "查验"),
    ("endpoint", "地址"),
    ("form", "方式"),
    ("from", "发出地"),
    ("genuine", "真实"),
    ("given_on", "同意日期"),
    ("groups", "提交组数"),
    ("holder_name", "持证人"),
    ("in_flight", "在途"),
    ("in_force", "有效"),
    ("in_reply_to", "答复对象"),
    ("issued_on", "签发日期"),
    ("issuer", "签发地"),
    ("kind", "种类"),
    ("kind_zh", "种类"),
    ("lane_sequence", "序号"),
    ("last_receipt_ms", "最近回执"),
    ("ledger_root", "台账根"),
    ("ledger_size", "台账条数"),
    ("marital_status", "婚姻状况"),
    ("married_on", "结婚日期"),
    ("matches_document", "与证件相符"),
    ("message_id", "通报编号"),
    ("name", "姓名/名称"),
    ("next_try_ms", "下次尝试"),
    ("number", "号码"),
    ("opened_ms", "打开时间"),
    ("operator", "经办人"),
    ("origin_area", "户籍地"),
    ("person", "当事人"),
    ("person_id", "人员编号"),
    ("purpose", "目的"),
    ("reason", "原因"),
    ("reason_en", "原因(英)"),
    ("reason_zh", "原因(中)"),
    ("recipient", "告知对象"),
    ("registration", "流动人口登记"),
    ("registration_id", "登记编号"),
    ("registrations", "流动人口登记"),
    ("replaced_by", "换发为"),
    ("replaces", "原证编号"),
    ("request_id", "申请编号"),
    ("requested_on", "申请日期"),
    ("residence_area", "现居住地"),
    ("result", "结果"),
    ("revocation_list_ms", "吊销列表日期"),
    ("revocation_reason", "注销原因"),
    ("scopes", "同意范围"),
    ("service", "服务"),
    ("service_request", "服务申请"),
    ("service_requests", "服务申请"),
    ("serving", "可用"),
    ("sex", "性别"),
    ("since", "起始日期"),
    ("spouse_name", "配偶姓名"),
    ("stage", "进度"),
    ("state", "状态"),
    ("stored_ms", "对方入库时间"),
    ("syncs", "落盘次数"),
    ("to", "发往地"),
    ("track", "流转"),
    ("trouble", "故障"),
    ("turn", "轮到"),
    ("units", "提交件数"),
    ("valid_until", "有效期至"),
    ("version", "版本"),
    ("versions", "历次版本"),
    ("waiting", "待发"),
    ("withdrawn_ms", "撤回时间"),
];

fn chinese(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, _)| *name == field).map(|(_, zh)| *zh)
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

/// What clerks call a value of a list, where the list has Chinese names.
pub(super) fn of_value(list: &str, number: i32) -> Option<&'static str> {
    fn find<T: Numbered>(number: i32, chinese: fn(T) -> &'static str) -> Option<&'static str> {
        u8::try_from(number).ok().and_then(T::from_number).map(chinese)
    }
    match list {
        "LawfulBasis" => find(number, LawfulBasis::chinese),
        "Purpose" => find(number, Purpose::chinese),
        "Sex" => find(number, Sex::chinese),
        "MaritalStatus" => find(number, MaritalStatus::chinese),
        "DocumentKind" => find(number, DocumentKind::chinese),
        "ConsentScope" => find(number, ConsentScope::chinese),
        "ConsentForm" => find(number, Given::chinese),
        "Stage" => stage(number),
        "RegistrationState" => match number {
            1 => Some("在住"),
            2 => Some("已转往他处"),
            3 => Some("已离开"),
            _ => None,
        },
        "CertificateState" => match number {
            1 => Some("有效"),
            2 => Some("已过期"),
            3 => Some("已换发"),
            4 => Some("已注销"),
            5 => Some("未签发"),
            6 => Some("无法核实"),
            _ => None,
        },
        "EndorsementResult" => match number {
            1 => Some("有效"),
            2 => Some("存疑"),
            3 => Some("未能查证"),
            _ => None,
        },
        _ => None,
    }
}

fn stage(number: i32) -> Option<&'static str> {
    match number {
        1 => Some("待发"),
        2 => Some("对方已入库"),
        3 => Some("对方已打开"),
        4 => Some("已答复"),
        5 => Some("被拒收"),
        6 => Some("对方暂缓"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_has_no_doubles() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(of("due_on"), "due on 办理期限");
        assert_eq!(of("created_ms"), "created 受理时间");
        assert_eq!(of("half_life"), "half life");
        assert_eq!(heading("stage"), "进度");
    }
}
