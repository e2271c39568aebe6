//! The shells of reconciliation: calling the other side, answering it, reporting to the node above, curing, and running it
//! all to its end.

mod answering;
mod asking;
mod carrying;
mod deciding;
mod growth;
mod leaving;
mod looking;
mod pacing;
mod recalling;
mod reporting;
mod rounds;
mod running;
mod schedule;
mod showing;
mod signing;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::Date;
use exchange::reconcile::session::{Incomplete, SessionError};
use exchange::reconcile::set::{EntrySet, Scope};
use store::Store;
use tokio::sync::Semaphore;
use tonic_types::StatusExt as _;
use wire::client::CallError;
use wire::reconcile::ReconcileClient;

pub use self::answering::Asks;
pub use self::running::AfterRestore;

use super::directory::keys::SealingKeys;
use super::identity::NodeIdentity;
use super::link;
use super::outbound::Outbound;
use super::peers::Peers;
use crate::app::ledger::blocks::Blocks;
use crate::app::reconcile::corrections::Seen;
use crate::app::reconcile::{books, reports};
use crate::app::{AppError, Refusal, blocking};
use crate::config::ReconcileSettings;
use crate::errors::chain;
use crate::tasks::Tasks;
use crate::time::SystemClock;

/// Comparisons of others that are answered at one time.
const ANSWERED_AT_ONCE: usize = 8;
/// The longest that an answer to a call is waited for: the other side may have to cure much first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest that is waited for a county's report before a comparison, and for one message to be taken in a cure: many
/// others wait for that.
const SHORT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a comparison may take at all, with the cures that the answerer begins: nobody holds a place for ever.
const COMPARISON_MAX: Duration = Duration::from_secs(10_800);
/// The counties below a node are asked what is new before each comparison, but not more often than this, however many others
/// compare with it: who comes meanwhile waits for the next time, and shares that.
const REFRESH_EVERY: Duration = Duration::from_millis(500);
/// How often an answerer shows that it is still at work, and how often an asker takes that for an answer.
const WORKING_EVERY: Duration = Duration::from_secs(30);
const WORKING_MAX: u32 = 240;

/// What reconciliation needs of the node.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Our area.
    pub own: AreaCode,
    /// The store.
    pub store: Store,
    /// What we sign with, and check others against.
    pub identity: Arc<NodeIdentity>,
    /// The other nodes.
    pub peers: Peers,
    /// The couriers.
    pub outbound: Outbound,
    /// Opens what is sealed for us.
    pub opener: Arc<SealingKeys>,
    /// Whether this node cannot be called: then it collects what others leave for it.
    pub collects: bool,
    /// When reports and runs are due.
    pub settings: ReconcileSettings,
    /// The tasks of the node.
    pub tasks: Tasks,
}

/// Reconciliation at this node. Clones share it.
#[derive(Clone)]
pub struct Reconcile(Arc<Inner>);

struct Inner {
    parts: Parts,
    // Touched at the begin and the end of a run or an answer; never across an await.
    running: Mutex<BTreeSet<u64>>,
    answering: Mutex<BTreeSet<AreaCode>>,
    /// Cures that counties below have to collect.
    waiting: Mutex<leaving::Waiting>,
    /// Versions that were shown to their senders, and when to show them again.
    shown: Mutex<BTreeMap<showing::About, tokio::time::Instant>>,
    /// Whose turn it is to have days closed.
    turns: signing::Turns,
    /// What is known of our ledger for proofs of it.
    blocks: Blocks,
    /// Proofs for peers are made one at a time.
    proving: Arc<Semaphore>,
    /// Held while a report is under way: two would tell the same.
    reporting: tokio::sync::Mutex<()>,
    /// Asking the counties below us what is new; gives those that have not told.
    refreshing: pacing::Paced<Vec<AreaCode>>,
    /// Whose turn it is of the runs after a restore.
    recovering: Semaphore,
    /// Whose turn it is of the other runs, one step at a time.
    comparing: Semaphore,
    /// What has changed in closed days is looked for by one at a time: it may take a month's books in memory.
    correcting: Semaphore,
    seen: Arc<Seen>,
}

/// Why a step of a run did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The other side cannot be called.
    #[error("PEER_UNREACHABLE: {area} 无法连接 cannot be reached: {why}")]
    Unreachable {
        /// The other side.
        area: AreaCode,
        /// Why.
        why: String,
    },
    /// The other side ended the call, or said what is not the protocol.
    #[error("{area}: {why}")]
    Call {
        /// The other side.
        area: AreaCode,
        /// Why.
        why: String,
    },
    /// The other side refused the call, and said why.
    #[error("{area}: {}: {why}", reason.code())]
    Refused {
        /// The other side.
        area: AreaCode,
        /// Its reason.
        reason: Reason,
        /// In its words.
        why: String,
    },
    /// One side has too many entries for one comparison.
    #[error("{area}: one side has {entries} entries, and at most {most} can be compared at once")]
    TooLarge {
        /// The other side.
        area: AreaCode,
        /// Entries of the side that has more.
        entries: u64,
        /// What would do, as far as we know.
        most: u64,
    },
    /// And that on one day.
    #[error("{}", told_of_day(*area, *day, *entries))]
    DayTooLarge {
        /// The other side.
        area: AreaCode,
        /// The day.
        day: Date,
        /// Entries of the side that has more.
        entries: u64,
    },
    /// The other side does too much else now.
    #[error("BUSY: {area} 正忙 is busy")]
    Busy {
        /// The other side.
        area: AreaCode,
    },
    /// The other side has said nothing for too long.
    #[error("PEER_UNREACHABLE: {area} 未及时应答 did not answer in time")]
    Silent {
        /// The other side.
        area: AreaCode,
    },
    /// What the other side says cannot be.
    #[error("{area}: {fault}")]
    Session {
        /// The other side.
        area: AreaCode,
        /// What is wrong.
        fault: SessionError,
    },
    /// Something of ours.
    #[error(transparent)]
    App(#[from] AppError),
}

impl Reconcile {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (running, answering) = (Mutex::default(), Mutex::default());
        let waiting = Mutex::default();
        Self(Arc::new(Inner {
            parts,
            running,
            answering,
            waiting,
            shown: Mutex::default(),
            turns: signing::Turns::default(),
            blocks: Blocks::default(),
            proving: Arc::new(Semaphore::new(1)),
            reporting: tokio::sync::Mutex::default(),
            refreshing: pacing::Paced::new(REFRESH_EVERY),
            recovering: Semaphore::new(running::RECOVERING_AT_ONCE),
            comparing: Semaphore::new(running::COMPARING_AT_ONCE),
            correcting: Semaphore::new(1),
            seen: Arc::default(),
        }))
    }

    fn own(&self) -> AreaCode {
        self.0.parts.own
    }

    fn store(&self) -> &Store {
        &self.0.parts.store
    }

    fn running(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answering(&self) -> MutexGuard<'_, BTreeSet<AreaCode>> {
        self.0.answering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, leaving::Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls another node.
    async fn dial(&self, area: AreaCode) -> Result<ReconcileClient, Trouble> {
        let unreachable = |why: &str| Trouble::Unreachable { area, why: why.to_owned() };
        let peer = self.0.parts.peers.get(area).ok_or_else(|| unreachable("no card is known"))?;
        let material = self.0.parts.identity.material();
        let mut why = "nobody has told where it can be called".to_owned();
        for endpoint in peer.endpoints() {
            match link::dial(area, &endpoint, &material).await {
                Ok(channel) => return Ok(ReconcileClient::new(channel)),
                Err(error) => why = chain(&error),
            }
        }
        Err(unreachable(&why))
    }

    /// Of these counties those below us of which not everything of a scope was reported.
    async fn incomplete(
        &self,
        counties: impl IntoIterator<Item = AreaCode>,
        scope: Scope,
    ) -> Result<Vec<Incomplete>, AppError> {
        let (own, store) = (self.own(), self.store().clone());
        let counties = counties.into_iter().map(|county| (county, self.0.parts.peers.ends(county)));
        let counties: Vec<_> = counties.collect();
        blocking(move || reports::incomplete(&store, own, counties, &scope)).await
    }

    /// Whether a county's service has ended: it has nothing more to say.
    fn has_ended(&self, county: AreaCode) -> bool {
        self.0.parts.peers.ends(county).is_some_and(|ended| ended <= SystemClock.now())
    }

    /// Our entries of a scope, as they are now.
    async fn entries(&self, scope: Scope) -> Result<EntrySet, AppError> {
        let (own, store) = (self.own(), self.store().clone());
        books::advance(&store, own).await?;
        blocking(move || books::load(&store, own, &scope)).await
    }
}

/// Waits for an answer, but not for ever.
async fn in_time<T>(
    area: AreaCode,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, Trouble> {
    within(ANSWER_TIMEOUT, area, call).await
}

/// Waits so long for an answer.
async fn within<T>(
    most: Duration,
    area: AreaCode,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(most, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(match reason_of(&error) {
            Some(Reason::Busy) => Trouble::Busy { area },
            Some(reason @ Reason::TooLarge) => {
                Trouble::Refused { area, reason, why: chain(&error) }
            }
            _ => Trouble::Call { area, why: chain(&error) },
        }),
        Err(_) => Err(Trouble::Silent { area }),
    }
}

/// The reason that the other side gives.
fn reason_of(error: &CallError) -> Option<Reason> {
    let CallError::Status(status) = error else { return None };
    Reason::from_code(&status.get_details_error_info()?.reason)
}

/// What is to be done about a day on which one side has too much, in both languages: it stands with the run.
fn told_of_day(area: AreaCode, day: Date, entries: u64) -> String {
    let reason = Reason::DayTooLarge;
    let (zh, todo_zh) = (reason.text_zh(), reason.todo_zh());
    let (code, en, todo_en) = (reason.code(), reason.text_en(), reason.todo_en());
    format!("{code}: {area}, {day}, {entries}: {zh}{todo_zh} {en} {todo_en}")
}

/// Who may not ask this.
fn not_for_us() -> AppError {
    Refusal::new(Reason::NotForUs).into()
}

impl fmt::Debug for Reconcile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconcile").field("own", &self.own()).finish_non_exhaustive()
    }
}
