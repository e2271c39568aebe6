//! Notices, as the office API says them.

use domain::area::{AreaCode, AreaTable};
use domain::time::UnixMillis;
use store::letters::NoticeKind;
use wire::pb::office as pb;

use super::track::millis;
use crate::app::notices::{self, Notice};
use crate::delivery::peers::Peers;

/// A notice in words, with what the couriers know of the next try.
pub(super) fn to_pb(notice: &Notice, own: AreaCode, peers: &Peers) -> pb::Notice {
    let words = notices::words(notice, own);
    let row = &notice.row;
    let (percent, days, _) = notices::figures(&row.what);
    let area = notice.area();
    let waits = matches!(row.what, NoticeKind::NotDelivered { .. } | NoticeKind::Silent { .. });
    let next_try = area.filter(|_| waits).and_then(|area| next_try(area, peers));
    pb::Notice {
        number: notice.number,
        kind: kind_to_pb(&row.what).into(),
        at_ms: row.at.get(),
        area: area.map(|area| area.to_string()).unwrap_or_default(),
        area_name: area.map(|a| AreaTable::builtin().full_name(&a)).unwrap_or_default(),
        percent: u32::from(percent),
        days: u32::from(days),
        messages: row.count,
        message_ids: row.messages.iter().map(ToString::to_string).collect(),
        turn: words.turn.to_string(),
        next_try_ms: millis(next_try),
        text_zh: words.text_zh,
        text_en: words.text_en,
        advice_zh: words.advice_zh,
        advice_en: words.advice_en,
        done_ms: millis(row.done.as_ref().map(|(_, at)| *at)),
        done_by: row.done.as_ref().map(|(by, _)| by.to_string()).unwrap_or_default(),
    }
}

fn next_try(area: AreaCode, peers: &Peers) -> Option<UnixMillis> {
    peers.get(area)?.state().courier?.next_try
}

const fn kind_to_pb(what: &NoticeKind) -> pb::NoticeKind {
    match what {
        NoticeKind::NotDelivered { .. } => pb::NoticeKind::NotDelivered,
        NoticeKind::NotOpened { .. } => pb::NoticeKind::NotOpened,
        NoticeKind::NotAnswered { .. } => pb::NoticeKind::NotAnswered,
        NoticeKind::ToAnswer { .. } => pb::NoticeKind::ToAnswer,
        NoticeKind::Unopened { .. } => pb::NoticeKind::Unopened,
        NoticeKind::Silent { .. } => pb::NoticeKind::Silent,
        NoticeKind::Conflict { .. } => pb::NoticeKind::Conflict,
        NoticeKind::Restored { .. } => pb::NoticeKind::Restored,
        NoticeKind::ListOld { .. } => pb::NoticeKind::ListOld,
        NoticeKind::CertificateEnds { .. } => pb::NoticeKind::CertificateEnds,
        NoticeKind::DeadLetter { .. } => pb::NoticeKind::DeadLetter,
        NoticeKind::Retired { .. } => pb::NoticeKind::Retired,
        NoticeKind::RolledBack { .. } => pb::NoticeKind::RolledBack,
        NoticeKind::CardsOld => pb::NoticeKind::CardsOld,
        NoticeKind::ContentDiffers { .. } => pb::NoticeKind::ContentDiffers,
        NoticeKind::NotReconciled { .. } => pb::NoticeKind::NotReconciled,
        NoticeKind::UnusualReads { .. } => pb::NoticeKind::UnusualReads,
        NoticeKind::CaseWaits { .. } => pb::NoticeKind::CaseWaits,
        NoticeKind::WithdrawalRefused { .. } => pb::NoticeKind::WithdrawalRefused,
        NoticeKind::AgreementEnds { .. } => pb::NoticeKind::AgreementEnds,
        NoticeKind::NotHandedOver { .. } => pb::NoticeKind::NotHandedOver,
        NoticeKind::NotPassedOn { .. } => pb::NoticeKind::NotPassedOn,
        NoticeKind::ClockDoubted { .. } => pb::NoticeKind::ClockDoubted,
        NoticeKind::HidingCutShort => pb::NoticeKind::HidingCutShort,
        NoticeKind::ResultToTell { .. } => pb::NoticeKind::ResultToTell,
        NoticeKind::OriginsToAsk => pb::NoticeKind::OriginsToAsk,
        NoticeKind::Lost { .. } => pb::NoticeKind::Lost,
        NoticeKind::ResultSoon { .. } => pb::NoticeKind::ResultSoon,
        NoticeKind::OriginsSoon { .. } => pb::NoticeKind::OriginsSoon,
        NoticeKind::GrowthUnproven { .. } => pb::NoticeKind::GrowthUnproven,
        NoticeKind::BackOnWord { .. } => pb::NoticeKind::BackOnWord,
    }
}
