//! What a notice says, in both languages: what happened, whose turn it is, what to do.

use domain::area::{AreaCode, AreaTable};
use domain::time::UnixMillis;
use exchange::ledger::LedgerHead;
use store::letters::NoticeKind;

use super::Notice;

/// A notice in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What happened, in Chinese.
    pub text_zh: String,
    /// What happened, in English.
    pub text_en: String,
    /// What to do, in Chinese.
    pub advice_zh: String,
    /// What to do, in English.
    pub advice_en: String,
    /// Whose turn it is.
    pub turn: AreaCode,
}

/// A notice in words, at the node of `own`.
#[must_use]
pub fn words(notice: &Notice, own: AreaCode) -> Words {
    let whose = notice.area().unwrap_or(own);
    let with = |text: &str| fill(text, notice, whose);
    let [text_zh, text_en, advice_zh, advice_en] = texts(&notice.row.what).map(with);
    Words { text_zh, text_en, advice_zh, advice_en, turn: turn(&notice.row.what, own) }
}

/// The office that has to do something next.
fn turn(what: &NoticeKind, own: AreaCode) -> AreaCode {
    match *what {
        NoticeKind::NotOpened { to, .. } | NoticeKind::NotAnswered { to, .. } => to,
        NoticeKind::Unopened { at, .. } => at,
        NoticeKind::CaseWaits { from } => from,
        NoticeKind::Silent { area, .. } | NoticeKind::CertificateEnds { area, .. } => area,
        NoticeKind::GrowthUnproven { peer, .. } => peer,
        NoticeKind::NotDelivered { .. }
        | NoticeKind::ToAnswer { .. }
        | NoticeKind::Conflict { .. }
        | NoticeKind::Restored { .. }
        | NoticeKind::ListOld { .. }
        | NoticeKind::DeadLetter { .. }
        | NoticeKind::Retired { .. }
        | NoticeKind::RolledBack { .. }
        | NoticeKind::CardsOld
        | NoticeKind::UnusualReads { .. }
        | NoticeKind::ContentDiffers { .. }
        | NoticeKind::NotReconciled { .. }
        | NoticeKind::Lost { .. }
        | NoticeKind::BackOnWord { .. }
        | NoticeKind::WithdrawalRefused { .. }
        | NoticeKind::AgreementEnds { .. }
        | NoticeKind::ClockDoubted { .. }
        | NoticeKind::HidingCutShort
        | NoticeKind::ResultToTell { .. }
        | NoticeKind::OriginsToAsk
        | NoticeKind::ResultSoon { .. }
        | NoticeKind::OriginsSoon { .. }
        | NoticeKind::NotPassedOn { .. }
        | NoticeKind::NotHandedOver { .. } => own,
    }
}

/// Text and advice, Chinese and English, with what [`fill`] puts in.
const fn texts(what: &NoticeKind) -> [&'static str; 4] {
    match what {
        NoticeKind::NotDelivered { .. } => [
            "发往{name}（{code}）的{count}件通报，时限已过{percent}%，对方节点仍未收到。",
            "{percent}% of the time has run for {count} message(s) to {name} ({code}), and its node does not have them.",
            "本节点会自动重试。查明原因：liangdi peer test {code}；长期不通时可用文件送达：liangdi bundle export --to {code} --out 文件",
            "This node tries by itself. See why it fails: liangdi peer test {code}; while no line works, take them by file: liangdi bundle export --to {code} --out FILE",
        ],
        NoticeKind::NotOpened { .. } => [
            "{name}（{code}）收到的{count}件通报，时限已过{percent}%，对方尚无人打开。",
            "{percent}% of the time has run for {count} message(s) that {name} ({code}) has, and nobody there has opened them.",
            "请联系对方办公室。",
            "Call the other office.",
        ],
        NoticeKind::NotAnswered { .. } => [
            "{name}（{code}）对{count}件通报尚未答复，时限已过{percent}%。",
            "{name} ({code}) has not answered {count} message(s), and {percent}% of the time has run.",
            "请联系对方办公室。",
            "Call the other office.",
        ],
        NoticeKind::ToAnswer { .. } => [
            "{name}（{code}）发来的{count}件通报待本办公室答复，时限已过{percent}%。",
            "This office has not answered {count} message(s) from {name} ({code}), and {percent}% of the time has run.",
            "请打开待办并答复：liangdi message todo",
            "Open the list and answer: liangdi message todo",
        ],
        NoticeKind::Unopened { .. } => [
            "{name}（{code}）有{count}件通报已超过{days}天无人打开。",
            "{count} message(s) at {name} ({code}) have lain unopened for more than {days} days.",
            "本办公室的请打开查看；对方的请联系对方办公室。",
            "If the office is your own, open them; otherwise call the other office.",
        ],
        NoticeKind::Silent { .. } => [
            "已{days}天没有收到{name}（{code}）的任何消息。",
            "Nothing has come from {name} ({code}) for {days} days.",
            "请查明原因：liangdi peer test {code}，并联系对方办公室。",
            "See why: liangdi peer test {code}; and call the other office.",
        ],
        NoticeKind::Conflict { .. } => [
            "{name}（{code}）的节点在同一编号下存有不同内容；本节点已改用新的通道继续发送。",
            "The node of {name} ({code}) holds other content under the same name; this node goes on in a new lane.",
            "如本节点近期未从备份恢复，请管理员联系对方管理员核对。",
            "Unless this node was restored from a backup lately, ask the administrators of both nodes to compare.",
        ],
        NoticeKind::RolledBack { .. } => [
            "{name}（{code}）的节点曾从备份恢复，或其账本被回退：账本此前为{before}，现为{after}。本节点已改用新的通道继续发送。",
            "The node of {name} ({code}) was restored from a backup, or its ledger was set back: its head was {before}, now it is {after}. This node goes on in a new lane.",
            "双方照常收发。备份之后对方已签收的通报可能已丢失，由对方管理员运行 liangdi reconcile run --after-restore 找回；请勿重发，否则对方会收到两份。",
            "Both nodes go on exchanging. What it had signed for since its backup may be missing there: its administrator brings it back with liangdi reconcile run --after-restore. Do not send it again: it would be there twice.",
        ],
        NoticeKind::Restored { backup: None } => [
            "本节点的数据由损坏的文件重建，任何时间的记录都可能缺失。",
            "The data of this node were rebuilt from damaged files; something of any time may be missing.",
            "请执行 liangdi reconcile run --after-restore，与各方核对，并核查以往办理的业务。",
            "Run liangdi reconcile run --after-restore, which asks the other nodes, and check what was done here.",
        ],
        NoticeKind::Lost { since: None } => [
            "由损坏的文件重建后，有{count}件通报已丢失，各方均无副本。",
            "{count} message(s) were lost with damaged files, and nobody has them any more.",
            "请见 liangdi reconcile show，并核查所涉业务。",
            "See liangdi reconcile show, and check what they were about.",
        ],
        NoticeKind::Restored { .. } => [
            "本节点的数据是从备份恢复的（备份时间：{since}）；此后的记录可能缺失。",
            "The data of this node were restored from a backup (made: {since}); what came after it may be missing.",
            "请管理员运行 liangdi reconcile run --after-restore 找回此后收发的通报，找不回的会逐件列明；在此之前请勿重发。请核查恢复前后办理的业务。",
            "Let the administrator run liangdi reconcile run --after-restore: it brings back what was sent and received since, and names what nobody has any more. Send nothing again before. Check what was done here around that time.",
        ],
        NoticeKind::ListOld { .. } => [
            "{name}（{code}）签发机构的吊销列表过旧（签发时间：{since}）。",
            "The revocation list of the authority of {name} ({code}) is too old (issued: {since}).",
            "请管理员获取最新吊销列表；过了宽限期，将无法与该机构签发的节点连接。",
            "Fetch its current list; after the grace, nodes certified by it cannot be connected with.",
        ],
        NoticeKind::CertificateEnds { .. } => [
            "{name}（{code}）的节点证书将于{since}到期。",
            "The certificate of the node of {name} ({code}) ends on {since}.",
            "请该节点管理员向签发机构申请换发证书。",
            "Ask its administrator to renew it with the authority.",
        ],
        NoticeKind::DeadLetter { .. } => [
            "发往{name}（{code}）的{count}件通报未能送达，需要处理。",
            "{count} message(s) to {name} ({code}) did not arrive and need somebody.",
            "请查看并改正重发，或说明原因后放弃：liangdi dead-letter list",
            "Look at them, correct and send again, or give up with a reason: liangdi dead-letter list",
        ],
        NoticeKind::Retired { .. } => [
            "{name}（{code}）的办公室已停止服务，不再接收通报。",
            "The office of {name} ({code}) has ended its service and takes no messages any more.",
            "请在死信中改发承接地区，或放弃。",
            "Send what waits for it to the area that took over, from the dead letters, or give it up.",
        ],
        NoticeKind::ContentDiffers { .. } => [
            "对账发现：本方与{name}（{code}）在同一编号下存有不同内容，共{count}件，程序不能裁定。",
            "Reconciliation: this side and {name} ({code}) hold different content under the same id, {count} message(s). No program decides that.",
            "请由发方对照双方版本（liangdi reconcile decision），并与对方办公室商定：liangdi reconcile decisions",
            "The sender's office sees both versions side by side (liangdi reconcile decision); agree with the other office: liangdi reconcile decisions",
        ],
        NoticeKind::NotReconciled { .. } => [
            "与{name}（{code}）的对账未能完成。",
            "The reconciliation with {name} ({code}) has not come to its end.",
            "请查看原因后继续：liangdi reconcile list，liangdi reconcile resume 编号",
            "See why, then go on: liangdi reconcile list, liangdi reconcile resume NUMBER",
        ],
        NoticeKind::GrowthUnproven { .. } => [
            "{name}（{code}）的节点自{since}起未能证明其账本只增不改。",
            "The node of {name} ({code}) has not proven since {since} that its ledger only grew.",
            "请联系对方管理员检查其节点；查看详情：liangdi ledger peer {code}",
            "Ask its administrators to look at their node; what it has signed: liangdi ledger peer {code}",
        ],
        NoticeKind::Lost { .. } => [
            "从备份恢复后，有{count}件通报已随磁盘丢失，各方均无副本（备份时间：{since}）。",
            "{count} message(s) were lost with the disk, and nobody has them any more (backup made: {since}).",
            "请逐件查看并按纸质材料补办：liangdi reconcile list，liangdi reconcile show 编号",
            "See which, and enter and send them anew from the paper: liangdi reconcile list, liangdi reconcile show NUMBER",
        ],
        NoticeKind::BackOnWord { .. } => [
            "{name}（{code}）交还了本办公室恢复前发出的{count}件通报，其签名所用证书已被吊销，仅由对方为其真实性负责。",
            "{name} ({code}) has handed back {count} message(s) of this office that were signed with a certificate which is revoked now; it alone answers for them.",
            "请逐件核对是否确由本办公室发出：liangdi message list --sent；如有疑问，请联系对方办公室和管理员。",
            "Look whether this office has sent each of them: liangdi message list --sent; if not, call the other office and the administrator.",
        ],
        NoticeKind::CaseWaits { .. } => [
            "{name}（{code}）发来了个案的后续通报，但开案的通报一直没有收到（{count}件）。",
            "Steps of {count} case(s) have come from {name} ({code}), but not what opened them.",
            "请联系对方办公室，核对开案的通报是否已发出：liangdi case list --which waiting",
            "Ask the other office whether what opened them was sent: liangdi case list --which waiting",
        ],
        NoticeKind::WithdrawalRefused { .. } => [
            "{name}（{code}）没有接受本人撤回同意的通知，或一直没有回复；其中的内容可能仍在对方。",
            "{name} ({code}) has not taken the word that a consent was withdrawn, or has not answered it; what it was told may still be there.",
            "本节点每天自动重发。请联系对方办公室删除，并查看：liangdi consent withdrawal 同意编号",
            "This node says it again every day. Ask the other office to delete it, and see: liangdi consent withdrawal CONSENT",
        ],
        NoticeKind::AgreementEnds { .. } => [
            "与{name}（{code}）的双向协议最后一日为{since}，尚无续签。",
            "The last day of an agreement with {name} ({code}) is {since}, and none follows it.",
            "到期后，协议所列种类一律不再收发。请督导员提议续签：liangdi agreement propose",
            "After that day what it lists does not pass. Supervisor: propose the next version: liangdi agreement propose",
        ],
        NoticeKind::NotHandedOver { .. } => [
            "{name}（{code}）已接受移交的{count}件个案不能移交，仍由本办公室承办；原因：{reason}。",
            "{count} case(s) that {name} ({code}) has accepted cannot be handed over and stay with this office: {reason}.",
            "同意和服务申请只对本人指定的地区有效。本人要由该地区办理的，请其另行同意后再次移交，申请则由该地区另行开案：liangdi consent record；liangdi reason {reason}",
            "A consent or request counts for the county that the person named. If she wants that county to act, record her consent to it and offer the case again, or her request and open a case with it: liangdi consent record; liangdi reason {reason}",
        ],
        NoticeKind::NotPassedOn { .. } => [
            "本办公室已移交的{count}件个案又有来件，不能转给现承办的{name}（{code}）；原因：{reason}。",
            "Mail has come for {count} case(s) that this office has handed over, and it cannot go on to {name} ({code}), which holds them now: {reason}.",
            "来件留存在本办公室。请请对方办公室直接发给现承办办公室：liangdi case show 个案编号；liangdi reason {reason}",
            "It stays with this office. Ask its sender to send it to the office that holds the case: liangdi case show CASE; liangdi reason {reason}",
        ],
        NoticeKind::ClockDoubted { .. } => [
            "本节点的时钟与上次可信的时间（{since}）相差过大，又没有其他节点可以印证；到期的内容一律暂不删除。",
            "The clock of this node is far from when it was last believed ({since}), and no other node confirms it. Nothing whose time is over is deleted meanwhile.",
            "请管理员核对系统时间。时间有误的，改正即可；时间无误的，与其他节点连通后，或连续运行七天后，自动恢复。",
            "Check the time of the machine. If it is wrong, set it right. If it is right, this ends by itself once another node is connected, or after seven days without a break.",
        ],
        NoticeKind::HidingCutShort => [
            "有人员被标记为有受害风险；待发通报过多，未能逐件核查是否会透露其住处。",
            "A person was marked as at risk, and too much waits to be sent for all of it to be looked through for what tells where she is.",
            "请督导员查看待发通报，凡会透露其住处的一律放弃：liangdi message list；liangdi dead-letter discard",
            "Supervisor: look at what waits, and give up what tells where she is: liangdi message list; liangdi dead-letter discard",
        ],
        NoticeKind::ResultToTell { .. } => [
            "{name}（{code}）已答复的生育服务登记核实，有{count}件逾期仍未由本办公室通报登记结果。",
            "{name} ({code}) has answered what this office asked for {count} birth registration(s), and has not been told in time what became of them.",
            "请办理登记并通报结果：liangdi birth-registration decide 个案编号",
            "Decide and tell the origin: liangdi birth-registration decide CASE",
        ],
        NoticeKind::OriginsToAsk => [
            "有生育服务登记申请的材料已收齐，本办公室逾期仍未向户籍地发出核实。",
            "The papers for a birth registration are here, and this office has not asked the origin in time.",
            "请查看待办并发出核实：liangdi message todo；liangdi birth-registration ask",
            "Open the list and ask: liangdi message todo; liangdi birth-registration ask",
        ],
        NoticeKind::ResultSoon { .. } => [
            "{name}（{code}）已答复的生育服务登记核实，有{count}件待本办公室通报登记结果，时限已过{percent}%。",
            "{name} ({code}) has answered what this office asked for {count} birth registration(s), and waits to be told what became of them; {percent}% of the time has run.",
            "请办理登记并通报结果：liangdi birth-registration decide 个案编号",
            "Decide and tell the origin: liangdi birth-registration decide CASE",
        ],
        NoticeKind::OriginsSoon { .. } => [
            "有生育服务登记申请的材料已收齐，待本办公室向户籍地发出核实，时限已过{percent}%。",
            "The papers for a birth registration are here, and {percent}% of the time to ask the origin has run.",
            "请查看待办并发出核实：liangdi message todo；liangdi birth-registration ask",
            "Open the list and ask: liangdi message todo; liangdi birth-registration ask",
        ],
        NoticeKind::UnusualReads { .. } => [
            "本办公室有操作员今日查阅人员记录{today}次，其平常每日约{usual}次。",
            "An operator of this office has looked at {today} records of persons today; the usual day has about {usual}.",
            "请督导员和审计员查看是谁、为何查阅：liangdi audit reads；liangdi audit list",
            "Supervisor and auditor: see who it is and why: liangdi audit reads; liangdi audit list",
        ],
        NoticeKind::CardsOld => [
            "有节点名片已到期，名录没有带来新的名片；现仍在宽限期内使用。",
            "Cards of nodes have ended, and the directory brings no newer ones; they are used in grace.",
            "请管理员查看是哪些：liangdi directory list，并检查与上级节点的连接；宽限期为30天。",
            "See which: liangdi directory list; and check the line to the node of the area above. The grace is 30 days.",
        ],
    }
}

fn fill(text: &str, notice: &Notice, whose: AreaCode) -> String {
    let (percent, days, since) = figures(&notice.row.what);
    let since = since.map_or_else(|| "—".to_owned(), |at| at.date().to_string());
    let (before, after) = heads(&notice.row.what);
    let (today, usual) = reads(&notice.row.what);
    let reason = match notice.row.what {
        NoticeKind::NotHandedOver { reason, .. } | NoticeKind::NotPassedOn { reason, .. } => {
            reason.code()
        }
        _ => "",
    };
    text.replace("{name}", &AreaTable::builtin().full_name(&whose))
        .replace("{code}", whose.as_str())
        .replace("{reason}", reason)
        .replace("{today}", &today.to_string())
        .replace("{usual}", &usual.to_string())
        .replace("{count}", &notice.row.count.to_string())
        .replace("{percent}", &percent.to_string())
        .replace("{days}", &days.to_string())
        .replace("{since}", &since)
        .replace("{before}", &before)
        .replace("{after}", &after)
}

/// Two heads of a ledger: entries, and the beginning of the root.
fn heads(what: &NoticeKind) -> (String, String) {
    let NoticeKind::RolledBack { before, after, .. } = what else { return Default::default() };
    let name = |head: &LedgerHead| {
        let root: String = head.root.to_string().chars().take(16).collect();
        format!("{}:{root}", head.size)
    };
    (name(before), name(after))
}

/// Records looked at on that day and on a usual one.
const fn reads(what: &NoticeKind) -> (u32, u32) {
    match *what {
        NoticeKind::UnusualReads { today, usual } => (today, usual),
        _ => (0, 0),
    }
}

/// Percent of the clock, days, and a time, as far as a notice has them.
pub(crate) const fn figures(what: &NoticeKind) -> (u8, u16, Option<UnixMillis>) {
    match *what {
        NoticeKind::NotDelivered { percent, .. }
        | NoticeKind::NotOpened { percent, .. }
        | NoticeKind::NotAnswered { percent, .. }
        | NoticeKind::ToAnswer { percent, .. }
        | NoticeKind::ResultSoon { percent, .. }
        | NoticeKind::OriginsSoon { percent } => (percent, 0, None),
        NoticeKind::Unopened { days, .. } | NoticeKind::Silent { days, .. } => (0, days, None),
        NoticeKind::Restored { backup: at } | NoticeKind::Lost { since: at } => (0, 0, at),
        NoticeKind::ClockDoubted { since } | NoticeKind::GrowthUnproven { since, .. } => {
            (0, 0, Some(since))
        }
        NoticeKind::ListOld { issued, .. } => (0, 0, Some(issued)),
        NoticeKind::CertificateEnds { at, .. } | NoticeKind::AgreementEnds { at, .. } => {
            (0, 0, Some(at))
        }
        NoticeKind::Conflict { .. }
        | NoticeKind::RolledBack { .. }
        | NoticeKind::DeadLetter { .. }
        | NoticeKind::Retired { .. }
        | NoticeKind::CardsOld
        | NoticeKind::CaseWaits { .. }
        | NoticeKind::UnusualReads { .. }
        | NoticeKind::ContentDiffers { .. }
        | NoticeKind::NotReconciled { .. }
        | NoticeKind::BackOnWord { .. }
        | NoticeKind::WithdrawalRefused { .. }
        | NoticeKind::HidingCutShort
        | NoticeKind::ResultToTell { .. }
        | NoticeKind::OriginsToAsk
        | NoticeKind::NotPassedOn { .. }
        | NoticeKind::NotHandedOver { .. } => (0, 0, None),
    }
}
