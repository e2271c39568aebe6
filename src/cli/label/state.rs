//! Chinese words for the lists that only the office API has: what state something is in.

/// What clerks call a value of one of these lists.
pub(super) fn of(list: &str, number: i32) -> Option<&'static str> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    LISTS.iter().find(|(name, _)| *name == list).and_then(|(_, words)| words.get(index)).copied()
}

/// The lists, each from number 1.
const LISTS: &[(&str, &[&str])] = &[
    ("AgreementState", &["待对方答复", "对方未同意", "已商定", "已被新版替代", "已终止"]),
    ("Breaker", &["正常", "暂停重试", "试连中"]),
    ("BulkState", &["待审批", "已批准", "未批准", "办理中", "已办理", "已过期"]),
    ("CardState", &["有效", "已到期，宽限中", "已失效", "签名证书失效"]),
    ("DeadLetterCause", &["被对方拒收", "过期未送达", "对方已停办", "送达前放弃"]),
    ("DeadLetterState", &["待处理", "已重发", "已放弃", "后已送达"]),
    ("DrawFinding", &["准确", "不准确"]),
    ("DrawFrame", &["收到的通报", "发出的通报", "登记"]),
    ("Fault", &["本节点", "对方节点", "中转节点", "网络", "通报内容"]),
    (
        "LinkStepName",
        &["地址登记", "地址解析", "网络连接", "证书互认", "节点名片", "节点应答", "时钟"],
    ),
    ("ImportKind", &["流动人口登记", "婚育证明", "历史个案"]),
    ("ImportState", &["校验中", "写入中", "已完成", "仅校验"]),
    ("ListState", &["新", "过半", "已到期，宽限中", "过旧"]),
    (
        "NextStep",
        &[
            "本节点自动重试",
            "承运中，到期后本节点重试",
            "对方暂缓，到期后本节点重试",
            "待对方打开",
            "待对方答复",
            "待发出方处理",
            "已结束",
        ],
    ),
    (
        "NoticeKind",
        &[
            "未送达",
            "未打开",
            "未答复",
            "待我方答复",
            "久未打开",
            "久无音讯",
            "内容冲突",
            "已从备份恢复",
            "吊销列表过旧",
            "证书将到期",
            "死信待处理",
            "对方停办",
            "对方账本回退",
            "节点名片过期",
            "查阅异常",
            "对账内容不一致",
            "对账未完成",
            "个案待来件",
            "撤回同意未被接受",
            "协议将到期",
            "移交未成",
            "来件不能转交",
            "时钟存疑",
            "待发通报未逐件核查",
            "登记结果逾期未通报",
            "逾期未发核实",
            "通报已丢失",
        ],
    ),
    (
        "DueCount",
        &["自然日", "工作日（按国务院办公厅放假安排）", "周一至周五（放假安排未公布，可能变动）"],
    ),
    ("ReconciliationState", &["进行中", "一致", "待人裁定", "尚有差异", "未能完成"]),
    ("Route", &["直达", "经本省中转", "经对方省中转"]),
    (
        "Stage",
        &[
            "待发",
            "对方已入库",
            "对方已打开",
            "已答复",
            "被拒收",
            "对方暂缓",
            "中转中",
            "过期未送达",
            "对方已停办",
            "已重发",
            "已放弃",
        ],
    ),
];
