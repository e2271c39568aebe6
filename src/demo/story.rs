//! The story, step by step, in the order of a day's work.

mod accounts;
mod agreement;
mod cases;
mod crash;
mod desk;
mod oversight;
mod proof;
mod records;
mod reports;
mod speech;

use super::cast::Cast;
use super::step::Title;
use super::teller::Teller;
use crate::cli::exit::Failure;

/// Steps of the story.
pub(super) const STEPS: usize = 33;

macro_rules! titles {
    ($($name:ident = $code:literal, $zh:literal, $en:literal;)+) => {
        $( const $name: Title = Title { code: $code, zh: $zh, en: $en }; )+
        #[cfg(test)]
        const ALL: &[Title] = &[$($name),+];
    };
}

titles! {
    START = "start-network", "六个节点启动，相互认证", "Six nodes start and get to know each other";
    PEOPLE = "register-people", "登记虚构的流动人口", "Made-up people are registered";
    IMPORT = "import-registrations", "宝安区导入一份旧名单", "440306 takes in a list from before";
    ISSUE = "issue-certificate", "安阳县签发婚育证明", "410522 issues a certificate and prints it";
    ARRIVE = "register-arrival", "南山区登记她的到来", "440305 registers her arrival";
    VERIFY = "verify-credential", "离线核验二维码", "440305 verifies the code offline";
    ENDORSE = "endorse-certificate", "南山区记录查验", "440305 endorses the certificate";
    AGREE = "conclude-agreement", "两地商定双向协议，两个节点签署", "Both counties conclude an agreement that both nodes sign";
    NOTICE = "arrival-notice", "流入通报发出，对方签收", "ArrivalNotice goes out, the receipt comes back";
    FEEDBACK = "arrival-feedback", "安阳县反馈", "410522 answers with ArrivalFeedback";
    ONCE = "ask-once", "已通报过的事不再问第二遍", "What was told before is not asked again";
    CONSENT = "record-consent", "记录她的单独同意", "Her consent is recorded";
    PREGNANCY = "pregnancy-report", "凭同意通报孕情并得到反馈", "PregnancyReport goes with her consent and is answered";
    CONTRACEPTION = "contraception-report", "凭同意通报避孕节育并得到反馈", "ContraceptionReport goes with her consent and is answered";
    REFUSED = "no-consent-refused", "没有同意即被拒绝", "The same without consent is refused";
    WITHDRAW = "withdraw-consent", "她撤回同意，对方删除并确认", "She withdraws her consent; the other side deletes and says so";
    AT_RISK = "residence-hidden", "有人身危险者的居住地不出本县", "Where somebody at risk lives is told to nobody";
    COUPLE = "ask-both-origins", "夫妻双方户籍地同时核实", "Both origins of a couple are asked for a birth registration";
    CLARIFY = "clarify-and-answer", "补正期间时限暂停，随后答复", "A clarification stops the clock; then it is answered";
    REGISTER = "register-and-tell", "两地答复后登记并通报结果", "Registered when both have answered; both are told";
    HAND_OVER = "hand-over", "个案移交另一地办理", "A case is handed over to another office";
    BULK = "bulk-hand-over", "批量移交须两人批准", "A hand-over of many takes two persons";
    KILL = "kill-node", "安阳县节点被 kill -9", "The node of 410522 is killed with -9";
    QUEUE = "send-meanwhile", "其间发出两份通报", "Two messages are sent meanwhile";
    BACK = "arrive-once", "节点恢复，两份通报各到一次", "It comes back; they arrive exactly once";
    EVIDENCE = "verify-evidence", "导出存证，离线核验", "Evidence is exported and verified offline";
    FORGED = "forged-evidence-refused", "被改动的存证不成立", "Altered evidence does not hold";
    SET_BACK = "restore-older-backup", "安阳县磁盘丢失，按较早的备份恢复", "410522 loses its disk and is restored from an older backup";
    RECONCILE = "reconcile-provinces", "两省对账，差异自动消除", "The two provinces reconcile; the differences are cured";
    STATEMENT = "verify-statement", "双方签署的对账单，离线核验", "The statement that both have signed is verified offline";
    DRAW = "draw-sample", "随机抽查，人人可复算", "A random re-check that anybody draws again";
    AUDIT = "verify-access-log", "访问日志离线核验", "The access log is verified offline";
    LISTS = "to-do-and-indicators", "各地待办与指标", "What is to be done where, and what offices did";
}

/// Plays every step; stops at the first that does not hold.
pub(super) async fn play(cast: &mut Cast, teller: &mut Teller<'_>) -> Result<(), Failure> {
    teller.step(START, crash::start(cast)).await?;
    teller.step(PEOPLE, records::people(cast)).await?;
    teller.step(IMPORT, desk::import(cast)).await?;
    let issued = teller.step(ISSUE, records::issue(cast)).await?;
    let registration = teller.step(ARRIVE, records::arrive(cast, &issued)).await?;
    teller.step(VERIFY, proof::credential(cast, &issued)).await?;
    teller.step(ENDORSE, records::endorse(cast, &issued, &registration)).await?;
    teller.step(AGREE, agreement::conclude(cast)).await?;
    let notice = teller.step(NOTICE, reports::notice(cast, &issued, &registration)).await?;
    cast.shown_message = Some(notice.clone());
    teller.step(FEEDBACK, reports::feedback(cast, &notice)).await?;
    teller.step(ONCE, desk::asked_once(cast, &notice)).await?;
    let consent = teller.step(CONSENT, records::consent(cast)).await?;
    teller.step(PREGNANCY, reports::pregnancy(cast, &consent)).await?;
    teller.step(CONTRACEPTION, reports::contraception(cast, &consent)).await?;
    teller.step(REFUSED, reports::without_consent(cast)).await?;
    teller.step(WITHDRAW, agreement::withdraw(cast, &consent)).await?;
    teller.step(AT_RISK, desk::at_risk(cast)).await?;
    let couple = teller.step(COUPLE, cases::couple(cast)).await?;
    teller.step(CLARIFY, cases::clarify(cast, &couple)).await?;
    teller.step(REGISTER, cases::register(cast, &couple)).await?;
    teller.step(HAND_OVER, cases::hand_over(cast, &issued)).await?;
    teller.step(BULK, oversight::bulk(cast, &issued)).await?;
    let before = teller.step(KILL, crash::kill(cast)).await?;
    let waiting = teller.step(QUEUE, crash::queue(cast, &registration)).await?;
    teller.step(BACK, crash::come_back(cast, &before, &waiting)).await?;
    let file = teller.step(EVIDENCE, proof::evidence(cast, &notice)).await?;
    teller.step(FORGED, proof::forged(cast, &file)).await?;
    let lost = teller.step(SET_BACK, accounts::set_back(cast, &registration, &issued)).await?;
    teller.step(RECONCILE, accounts::reconcile(cast, &lost)).await?;
    teller.step(STATEMENT, accounts::statement(cast)).await?;
    let month = cases::this_month(cast).map_err(Failure::failed)?;
    teller.step(DRAW, oversight::draw(cast, month)).await?;
    teller.step(AUDIT, oversight::audit(cast)).await?;
    teller.step(LISTS, cases::lists(cast)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_counted_and_has_a_code_of_its_own() {
        assert_eq!(ALL.len(), STEPS);
        let mut codes: Vec<_> = ALL.iter().map(|title| title.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), STEPS);
    }
}
