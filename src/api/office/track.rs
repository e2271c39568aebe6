//! Where a message is, as the office API says it.

use domain::area::AreaTable;
use domain::clock::Counted;
use domain::fault::Fault;
use domain::hex::hex;
use domain::id::MessageId;
use domain::message::Kind;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::transit::Carrier;
use wire::pb::office as pb;

use crate::app::messages::consign::Hop;
use crate::app::messages::next::{self, Step};
use crate::app::messages::track::{Stage, Track};
use crate::delivery::peers::{PeerState, Peers};
use crate::delivery::trouble;

/// A track with what the couriers know of the next try.
pub(super) fn to_pb(track: &Track, peers: &Peers) -> pb::Track {
    let next = next::next(track);
    let state = peers.get(track.to).map(|peer| peer.state());
    let (next_try, fault) = match track.stage {
        Stage::Queued => next_try(track, next.fault, state.as_ref()),
        Stage::AtRelay => (track.carried.as_ref().map(|carried| carried.until), next.fault),
        Stage::Deferred => (track.retry_at, next.fault),
        _ => (None, next.fault),
    };
    // Refused by a relay itself: nothing about that is on disk.
    let refused = state.and_then(|state| state.refusal).filter(|_| track.stage == Stage::Queued);
    let reason = track.reason.or(refused.map(|refusal| refusal.reason));
    let text = |id: Option<MessageId>| id.map(|id| id.to_string()).unwrap_or_default();
    pb::Track {
        message_id: track.id.to_string(),
        case_id: track.case.to_string(),
        from: track.from.to_string(),
        to: track.to.to_string(),
        kind: track.kind.map(Kind::name).unwrap_or_default().to_owned(),
        kind_zh: track.kind.map(Kind::chinese).unwrap_or_default().to_owned(),
        stage: stage_to_pb(track.stage).into(),
        created_ms: track.created.get(),
        stored_ms: millis(track.stored),
        opened_ms: millis(track.opened),
        answered_ms: millis(track.answered.map(|(_, at)| at)),
        due_on: track.due.map(|due| due.to_string()).unwrap_or_default(),
        due_counted: track.counted.map_or(0, |counted| count_to_pb(counted).into()),
        turn: next.turn.map(|area| area.to_string()).unwrap_or_default(),
        next_try_ms: millis(next_try),
        reason: reason.map(Reason::code).unwrap_or_default().to_owned(),
        reason_zh: reason.map(Reason::text_zh).unwrap_or_default().to_owned(),
        reason_en: reason.map(Reason::text_en).unwrap_or_default().to_owned(),
        digest: hex(track.digest.as_bytes()),
        answered_by: text(track.answered.map(|(id, _)| id)),
        in_reply_to: text(track.in_reply_to),
        lane_sequence: track.sequence.get(),
        next_zh: next.zh,
        next_en: next.en,
        next: step_to_pb(next.step).into(),
        expires_ms: track.expires.get(),
        carrier: track.carried.as_ref().map(|c| carrier(&c.carrier)).unwrap_or_default(),
        carried_until_ms: millis(track.carried.as_ref().map(|carried| carried.until)),
        hops: track.hops.iter().map(hop_to_pb).collect(),
        replaced_by: text(track.replaced_by),
        replaces: text(track.replaces),
        addressed_to: track.addressed_to.map(|area| area.to_string()).unwrap_or_default(),
        fault: fault_to_pb(fault),
    }
}

/// When the next try comes, and whose fault it is that it was not delivered before.
fn next_try(
    track: &Track,
    known: Option<Fault>,
    state: Option<&PeerState>,
) -> (Option<UnixMillis>, Option<Fault>) {
    let next = state.and_then(|state| state.courier).and_then(|courier| courier.next_try);
    let refused = state.and_then(|state| state.refusal).map(|refusal| refusal.fault(track.to));
    let trouble = state.and_then(|state| state.trouble.as_deref()).map(trouble::explain);
    let of_trouble = trouble.and_then(|trouble| trouble.fault);
    (track.retry_at.max(next), known.or(refused).or(of_trouble))
}

/// 0 for what never was.
pub(super) fn millis(at: Option<UnixMillis>) -> u64 {
    at.map_or(0, UnixMillis::get)
}

pub(super) fn fault_to_pb(fault: Option<Fault>) -> i32 {
    fault.map_or(0, |fault| i32::from(fault.number()))
}

fn carrier(carrier: &Carrier) -> String {
    match carrier {
        Carrier::Relay(area) => area.to_string(),
        Carrier::File(id) => format!("file {}", hex(id)),
    }
}

fn hop_to_pb(hop: &Hop) -> pb::Hop {
    pb::Hop {
        area: hop.relay.to_string(),
        area_name: AreaTable::builtin().full_name(&hop.relay),
        held_ms: hop.held.get(),
        next: hop.next.to_string(),
    }
}

fn stage_to_pb(stage: Stage) -> pb::Stage {
    match stage {
        Stage::Queued => pb::Stage::Queued,
        Stage::Deferred => pb::Stage::Deferred,
        Stage::Stored => pb::Stage::Stored,
        Stage::Opened => pb::Stage::Opened,
        Stage::Answered => pb::Stage::Answered,
        Stage::Refused => pb::Stage::Refused,
        Stage::AtRelay => pb::Stage::AtRelay,
        Stage::Expired => pb::Stage::Expired,
        Stage::RecipientRetired => pb::Stage::RecipientRetired,
        Stage::Replaced => pb::Stage::Replaced,
        Stage::Discarded => pb::Stage::Discarded,
    }
}

fn step_to_pb(step: Step) -> pb::NextStep {
    match step {
        Step::NodeTries => pb::NextStep::NodeTries,
        Step::Carried => pb::NextStep::Carried,
        Step::PutOff => pb::NextStep::PutOff,
        Step::OfficeOpens => pb::NextStep::OfficeOpens,
        Step::OfficeAnswers => pb::NextStep::OfficeAnswers,
        Step::PersonDecides => pb::NextStep::PersonDecides,
        Step::Nothing => pb::NextStep::None,
    }
}

/// How the days to a due day were counted, for a program.
pub(super) const fn count_to_pb(counted: Counted) -> pb::DueCount {
    match counted {
        Counted::CalendarDays => pb::DueCount::CalendarDays,
        Counted::Official => pb::DueCount::Official,
        Counted::Weekdays => pb::DueCount::Weekdays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_the_numbers_of_the_proto_file() {
        for number in 1..=255_u8 {
            let generated = pb::Fault::try_from(i32::from(number)).ok();
            let name = generated.map(|fault| fault.as_str_name().to_owned());
            let ours = Fault::from_number(number).map(|fault| format!("FAULT_{}", fault.code()));
            assert_eq!(name, ours, "{number}");
        }
    }
}
