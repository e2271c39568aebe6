//! What a node looks at by itself, so that nothing waits without somebody knowing: clocks, alarms, and reports of what
//! was opened.

use std::time::Duration;

use domain::time::UnixMillis;

use super::peers::Peers;
use crate::app::AppError;
use crate::app::clocks::Clocks;
use crate::app::reconcile::versions;
use crate::app::{
    access, applications, cases, duties, idempotency, import, letters, progress, reconcile, relay,
    retention, time_known,
};
use crate::config::Settings;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// Alarms are looked at this often; they are about days.
const ALARMS_EVERY: Duration = Duration::from_secs(600);
/// What is old is looked for this often.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);
/// A clock that is not believed is looked at again this often: peers may have been connected.
const DOUBTED_EVERY: Duration = Duration::from_secs(600);
/// Looks that follow each other at once when much is due.
const LOOKS_AT_ONCE: usize = 64;
/// Messages for a retired peer that become dead letters in one go.
const RETIRED_AT_ONCE: usize = 500;

/// What is looked at. Clones share it.
#[derive(Clone, Debug)]
pub struct Watch {
    clocks: Clocks,
    peers: Peers,
    look_every: Duration,
    report_every: Duration,
}

impl Watch {
    /// Looks at the store of a node, and tells its peers.
    #[must_use]
    pub fn new(settings: &Settings, store: store::Store, peers: Peers) -> Self {
        let clocks = Clocks {
            own: settings.area,
            store,
            unopened_after: settings.alarms.unopened_after,
            silent_after: settings.alarms.silent_after,
        };
        let look_every = settings.alarms.look_every;
        let report_every = settings.delivery.progress_every;
        Self { clocks, peers, look_every, report_every }
    }

    /// Looks at the start and then again and again, until the node stops.
    pub fn follow(&self, tasks: &Tasks) {
        let (watch, mut stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("clocks", async move {
            let mut alarms = None;
            loop {
                let now = SystemClock.now();
                told("clocks could not be looked at", watch.look_at_clocks(now).await);
                if alarms.is_none_or(|last| now.since(last) >= ALARMS_EVERY || now < last) {
                    alarms = Some(now);
                    watch.look_at_alarms(now).await;
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(watch.look_every) => {}
                }
            }
        });
        let (watch, mut stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("progress", async move {
            loop {
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(watch.report_every) => {}
                }
                told("peers could not be told what was opened", watch.report().await);
            }
        });
        let (watch, mut stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("age", async move {
            loop {
                let now = SystemClock.now();
                let believed = watch.believes(now).await;
                if believed {
                    watch.forget(now).await;
                }
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = tokio::time::sleep(if believed { FORGET_EVERY } else { DOUBTED_EVERY }) => {}
                }
            }
        });
    }

    /// Sends what the node has to send by itself: at the start, when it is rung for, and with every look.
    pub fn do_duties(&self, tasks: &Tasks) {
        let (watch, mut stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("duties", async move {
            loop {
                watch.duties(SystemClock.now()).await;
                tokio::select! {
                    () = stopping.stopped() => return,
                    () = watch.peers.rung() => {}
                    () = tokio::time::sleep(watch.look_every) => {}
                }
            }
        });
    }

    async fn duties(&self, now: UnixMillis) {
        let Clocks { own, store, .. } = &self.clocks;
        let sent = duties::perform(*own, store, &self.peers, now).await;
        told("what is due by the node could not be sent", sent.map(drop));
        let done = cases::duties::run(*own, store, &self.peers, now).await;
        told("what is due by the node in a case could not be done", done.map(drop));
    }

    async fn look_at_clocks(&self, now: UnixMillis) -> Result<(), AppError> {
        for _ in 0..LOOKS_AT_ONCE {
            let scanned = self.clocks.scan(now).await?;
            if scanned.told > 0 {
                tracing::warn!(
                    notices = scanned.told,
                    "messages are late; see: liangdi notice list"
                );
            }
            if !scanned.more {
                break;
            }
        }
        Ok(())
    }

    /// Each alarm is looked at whatever becomes of the others.
    async fn look_at_alarms(&self, now: UnixMillis) {
        let Clocks { own, store, .. } = &self.clocks;
        let alarmed = |alarms| {
            if alarms > 0 {
                tracing::warn!(alarms, "something does not happen; see: liangdi notice list");
            }
        };
        let alarms = self.clocks.alarms(now).await;
        told("alarms could not be looked at", alarms.map(alarmed));
        let alarms = cases::alarms::look(*own, store, now).await;
        let parts = cases::parts::look(*own, store, now).await;
        let unasked = applications::look(store, now).await;
        let to_ask = applications::look_ahead(store, now).await;
        told("cases that are late could not be looked at", alarms.map(alarmed));
        told("clocks of cases could not be looked at", parts.map(alarmed));
        told("applications could not be looked at", unasked.map(alarmed));
        told("applications could not be looked at ahead of time", to_ask.map(alarmed));
        let promises = self.clocks.promises(now).await;
        told("what counties have promised could not be looked at", promises.map(alarmed));
        self.look_at_retired(now).await;
    }

    async fn look_at_retired(&self, now: UnixMillis) {
        for peer in self.peers.all() {
            if !peer.card().is_some_and(|card| card.retired_at(now)) {
                continue;
            }
            let lost = letters::retired(&self.clocks.store, peer.area, RETIRED_AT_ONCE, now).await;
            let lost = lost.map(|lost| {
                if lost > 0 {
                    tracing::warn!(peer = %peer.area, lost, code = "AREA_RETIRED", "mail for a peer that has ended its service is on the list of dead letters");
                }
            });
            told("mail for a retired peer could not be looked at", lost);
        }
    }

    /// Whether anything may be deleted because its time is over.
    async fn believes(&self, now: UnixMillis) -> bool {
        let agreed = self.peers.all().iter().any(|peer| peer.state().agrees_on_time(now));
        match time_known::is_believed(&self.clocks.store, now, agreed).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::error!(
                    "the clock is far from when it was last believed and nobody confirms it: nothing is deleted; see: liangdi notice list"
                );
                false
            }
            Err(error) => {
                told("whether the clock is right could not be looked at", Err(error));
                false
            }
        }
    }

    async fn forget(&self, now: UnixMillis) {
        let Clocks { own, store, .. } = &self.clocks;
        let words = relay::age::forget_words(store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(
                    count,
                    "words that nobody took, or will answer any more, are forgotten"
                );
            }
        });
        told("what is old could not be forgotten", words);
        let contents = retention::forget(*own, store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(count, "content was deleted that is not kept any longer");
            }
        });
        told("content that is not kept any longer could not be deleted", contents);
        let versions = versions::forget(store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(count, "versions of messages that were decided about are removed");
            }
        });
        told("versions of messages could not be removed", versions);
        let keys = idempotency::forget(store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(count, "keys of calls that nobody repeats any more are forgotten");
            }
        });
        told("keys of calls could not be forgotten", keys);
        let staged = import::clear(store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(count, "imports that nobody has decided are removed");
            }
        });
        told("imports that nobody has decided could not be removed", staged);
        let runs = reconcile::old::forget(store, now).await.map(|count| {
            if count > 0 {
                tracing::info!(count, "reconciliations that are over for a year are removed");
            }
        });
        told("old reconciliations could not be removed", runs);
        let followed = access::forget(store, now).await.map(drop);
        told("what was followed could not be forgotten", followed);
    }

    async fn report(&self) -> Result<(), AppError> {
        let Clocks { own, store, .. } = &self.clocks;
        progress::report(*own, store, &self.peers, SystemClock.now()).await.map(drop)
    }
}

/// What failed is tried again at the next look; a store that is closed says so elsewhere.
fn told(what: &'static str, outcome: Result<(), AppError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what}");
    }
}
