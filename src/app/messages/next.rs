//! What happens next to a message: whose turn it is, why, and what that area has to do, in both languages.

use domain::area::{AreaCode, AreaTable};
use domain::fault::Fault;
use domain::message::Kind;
use domain::reason::Reason;
use store::transit::Carrier;

use super::track::{Stage, Track};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The sender's node tries again by itself.
    NodeTries,
    /// A relay or a file carries it; after that the sender's node tries again by itself.
    Carried,
    /// The recipient asked to wait; after that the sender's node tries again by itself.
    PutOff,
    /// Somebody at the recipient's office opens it.
    OfficeOpens,
    /// The recipient's office answers it.
    OfficeAnswers,
    /// A person of the sender's office corrects it, sends it again, or gives it up.
    PersonDecides,
    /// Nothing: it has come to its end.
    Nothing,
}

/// What happens next to a message, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What.
    pub step: Step,
    /// Whose turn it is; none when nothing more is to be done.
    pub turn: Option<AreaCode>,
    /// Whose fault it is that it is not there, as far as the recipient has said.
    pub fault: Option<Fault>,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// What happens next to the message of a track.
#[must_use]
pub fn next(track: &Track) -> Next {
    let step = step(track);
    let turn = match step {
        Step::NodeTries | Step::Carried | Step::PutOff | Step::PersonDecides => Some(track.from),
        Step::OfficeOpens | Step::OfficeAnswers => Some(track.to),
        Step::Nothing => None,
    };
    let (zh, en) = words(track, step);
    let fault = match step {
        Step::PutOff | Step::PersonDecides => track.reason.map(Fault::of),
        Step::NodeTries => track.turned_back.map(|refusal| refusal.fault(track.to)),
        _ => None,
    };
    Next { step, turn, fault, zh: fill(zh, track, true), en: fill(en, track, false) }
}

fn step(track: &Track) -> Step {
    let by_node = track.kind.is_some_and(Kind::is_sent_by_nodes);
    let answered = track.kind.and_then(Kind::answered_by).is_some();
    match track.stage {
        Stage::Queued => Step::NodeTries,
        Stage::AtRelay => Step::Carried,
        Stage::Deferred => Step::PutOff,
        // What nodes send by themselves is nobody's to open or to correct.
        Stage::Stored | Stage::Refused if by_node => Step::Nothing,
        Stage::Stored => Step::OfficeOpens,
        Stage::Opened if answered => Step::OfficeAnswers,
        Stage::Refused | Stage::Expired | Stage::RecipientRetired => Step::PersonDecides,
        Stage::Opened | Stage::Answered | Stage::Replaced | Stage::Discarded => Step::Nothing,
    }
}

/// The sentence for a stage and a step, Chinese and English.
fn words(track: &Track, step: Step) -> (&'static str, &'static str) {
    match (step, track.stage) {
        (Step::NodeTries, _) if track.turned_back.is_some_and(|refusal| refusal.by == track.to) => {
            (
                "{to}的节点未从中转节点接收（{reason}）；{from}的节点稍后另寻途径送达。",
                "The node of {to} does not take it from a relay ({reason}); the node of {from} takes another way soon.",
            )
        }
        (Step::NodeTries, _) if track.turned_back.is_some() => (
            "{by}未能继续转送（{reason}）；{from}的节点稍后另寻途径送达。",
            "{by} does not carry it on ({reason}); the node of {from} takes another way soon.",
        ),
        (Step::NodeTries, _) => (
            "{from}的节点保存着该通报，会自动重试，直到{to}的节点签收。",
            "The node of {from} has it and tries by itself until the node of {to} has signed for it.",
        ),
        (Step::Carried, _) => (
            "由{carrier}承运；到期仍没有{to}的回执时，{from}的节点会另寻途径送达。",
            "{carrier} carries it; if no receipt of {to} is there in time, the node of {from} takes another way.",
        ),
        (Step::PutOff, _) => (
            "{to}的节点请求暂缓（{reason}）；到时{from}的节点自动重试。",
            "The node of {to} asked to wait ({reason}); then the node of {from} tries again by itself.",
        ),
        (Step::OfficeOpens, _) => (
            "已在{to}的节点入库，待其办公室打开。",
            "The node of {to} has it; somebody at its office has to open it.",
        ),
        (Step::OfficeAnswers, _) => (
            "{to}的办公室已打开，应在{due}前答复。",
            "The office of {to} has opened it and has to answer by {due}.",
        ),
        (Step::PersonDecides, Stage::Expired) => (
            "过期前未能送达{to}。{from}的经办人须决定：重发，或说明原因后放弃。",
            "It lost its purpose before {to} had it. Somebody at {from} has to send it again, or give it up with a reason.",
        ),
        (Step::PersonDecides, Stage::RecipientRetired) => (
            "{to}的办公室已停止服务。{from}的经办人须决定：改发承接地区，或说明原因后放弃。",
            "The office of {to} has ended its service. Somebody at {from} has to send it to the area that took over, or give it up with a reason.",
        ),
        (Step::PersonDecides, _) => (
            "{to}拒收（{reason}）。{from}的经办人须决定：改正后重发，或说明原因后放弃。",
            "{to} refused it ({reason}). Somebody at {from} has to correct it and send it again, or give it up with a reason.",
        ),
        (Step::Nothing, Stage::Replaced) => (
            "已由{from}重发，后续见替代它的通报。",
            "{from} has sent it again; follow the message that replaced it.",
        ),
        (Step::Nothing, Stage::Discarded) => (
            "{from}已说明原因并放弃；内容不再发出。",
            "{from} has given it up with a reason; its content is not sent any more.",
        ),
        (Step::Nothing, _) => {
            ("已办结，无后续。", "It has come to its end; nothing more is to be done.")
        }
    }
}

fn fill(text: &str, track: &Track, chinese: bool) -> String {
    let name = |area: &AreaCode| AreaTable::builtin().full_name(area);
    let reason = |reason: Reason| if chinese { reason.text_zh() } else { reason.text_en() };
    let reason = track.reason.map_or("", reason).trim_end_matches(['。', '.']);
    let file = if chinese { "文件" } else { "A file" };
    let carrier = track.carried.as_ref().map(|carried| match carried.carrier {
        Carrier::Relay(relay) => name(&relay),
        Carrier::File(_) => file.to_owned(),
    });
    let by = track.turned_back.map(|refusal| name(&refusal.by)).unwrap_or_default();
    text.replace("{from}", &name(&track.from))
        .replace("{by}", &by)
        .replace("{to}", &name(&track.to))
        .replace("{reason}", reason)
        .replace("{carrier}", carrier.as_deref().unwrap_or(file))
        .replace("{due}", &track.due.map(|due| due.to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use domain::id::MessageId;
    use domain::time::UnixMillis;
    use exchange::digest::Digest;
    use exchange::lane::LaneSeq;

    use super::super::consign::Consignment;
    use super::super::turned_back::Refusal;
    use super::*;

    const ALL: [Stage; 11] = [
        Stage::Queued,
        Stage::AtRelay,
        Stage::Deferred,
        Stage::Stored,
        Stage::Opened,
        Stage::Answered,
        Stage::Refused,
        Stage::Expired,
        Stage::RecipientRetired,
        Stage::Replaced,
        Stage::Discarded,
    ];

    fn track(stage: Stage, kind: Kind) -> Track {
        let at = UnixMillis::new(1_772_352_000_000);
        let id = MessageId::from_bytes([1; 16]);
        let put_off = stage == Stage::Deferred;
        let due = kind.clock().map(|clock| clock.due(at).on);
        let to: AreaCode = "410522".parse().unwrap();
        let carrier = Carrier::Relay(to.province());
        let carried = Consignment { carrier, since: at, next: to, until: at, turned_back: None };
        Track {
            id,
            case: id,
            from: "440305".parse().unwrap(),
            to,
            addressed_to: None,
            kind: Some(kind),
            stage,
            created: at,
            expires: at,
            stored: None,
            opened: None,
            answered: None,
            in_reply_to: None,
            due,
            counted: None,
            retry_at: put_off.then_some(at),
            reason: (put_off || stage == Stage::Refused).then_some(Reason::Busy),
            digest: Digest::new([0; 32]),
            sequence: LaneSeq::FIRST,
            carried: (stage == Stage::AtRelay).then_some(carried),
            turned_back: None,
            hops: Vec::new(),
            replaces: None,
            replaced_by: (stage == Stage::Replaced).then_some(id),
        }
    }

    /// Nothing sits in a state without an owner, a clock and a next step, unless it has come to its end.
    #[test]
    fn every_stage_has_an_owner_a_clock_and_a_next_step_or_is_finished() {
        let finished = |stage, kind: Kind| match stage {
            Stage::Answered | Stage::Replaced | Stage::Discarded => true,
            Stage::Opened => kind.answered_by().is_none(),
            Stage::Stored | Stage::Refused => kind.is_sent_by_nodes(),
            _ => false,
        };
        for stage in ALL {
            for kind in Kind::ALL.iter().copied() {
                let track = track(stage, kind);
                let next = next(&track);
                let at_end = finished(stage, kind);
                assert_eq!(next.step == Step::Nothing, at_end, "{stage:?} {kind:?}");
                assert_eq!(next.turn.is_none(), at_end, "{stage:?} {kind:?}");
                assert!(!next.zh.is_empty() && !next.en.is_empty());
                for text in [&next.zh, &next.en] {
                    assert!(!text.contains(['{', '}']) && !text.contains("()"), "{text}");
                }
                let clock = match next.step {
                    Step::PutOff => track.retry_at,
                    Step::Carried => track.carried.as_ref().map(|carried| carried.until),
                    Step::OfficeAnswers => track.due.map(|due| due.ends()),
                    _ => Some(track.expires),
                };
                assert!(clock.is_some(), "{stage:?} {kind:?} has a clock");
            }
        }
    }

    #[test]
    fn who_turned_it_back_is_named_with_the_reason() {
        let by = |code: &str| {
            let track = track(Stage::Queued, Kind::ArrivalNotice);
            let (by, reason, at) = (code.parse().unwrap(), Reason::SenderUnknown, track.created);
            let turned_back = Some(Refusal { by, reason, at });
            next(&Track { turned_back, reason: Some(reason), ..track })
        };
        let relay = by("410000");
        assert_eq!((relay.step, relay.fault), (Step::NodeTries, Some(Fault::Relay)));
        assert!(relay.en.starts_with("河南省 does not carry it on"), "{}", relay.en);
        assert_eq!(by("410522").fault, Some(Fault::Peer));
        for text in [relay.zh, relay.en, by("410522").zh, by("410522").en] {
            assert!(!text.contains(['{', '}']) && !text.contains("()"), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_whose_fault_it_is() {
        let refused = |reason| {
            next(&Track { reason: Some(reason), ..track(Stage::Refused, Kind::ArrivalNotice) })
        };
        let of_message = refused(Reason::ReasonTextRequired);
        assert_eq!(of_message.fault, Some(Fault::Message));
        assert!(
            of_message.zh.contains(Reason::ReasonTextRequired.text_zh().trim_end_matches('。'))
        );
        assert_eq!(refused(Reason::SealedForOtherKey).fault, Some(Fault::Peer));
        assert_eq!(next(&track(Stage::Queued, Kind::ArrivalNotice)).fault, None);
    }
}
