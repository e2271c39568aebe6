//! One stream with a neighbour, whoever opened it: frames go both ways, and every answer finds who waits for it.
//!
//! Many send over one session: the couriers of all counties that are reached through a relay, the forwarders
//! of a relay. None of them can fill it: each parcel needs a [`Place`], and there are as many places as the
//! neighbour takes parcels in flight.

pub mod accept;
pub(super) mod dial;
pub mod intake;
pub(super) mod pump;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use domain::area::AreaCode;
use domain::reason::Reason;
use exchange::custody::{CustodyManifest, CustodyReceipt, Returned};
use exchange::digest::Digest;
use exchange::lane::Mark;
use exchange::parcel::{Parcel, ParcelId};
use exchange::receipt::{Receipt, ReceiptManifest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::frame::{Frame, Hello};

use crate::app::AppError;

/// Parcels of one session that wait for the disk here; the neighbour is told to keep no more in flight.
pub(super) const WINDOW_PARCELS: u32 = 8;
/// Words on their way back that are handed over at one time and have not been taken.
pub(super) const WORDS_IN_FLIGHT: usize = 16;
/// Most parcels in flight to a neighbour, whatever it says.
const PLACES_MAX: u32 = 64;
/// Frames that may wait for the stream: all places, all answers to the neighbour's window, words.
const OUT_QUEUE: usize = 128;
/// A word that is not taken for so long ends the session.
const WORD_TIMEOUT: Duration = Duration::from_secs(30);

/// What goes out: a frame, or the reason for which we end the stream.
pub(super) type Outgoing = Result<Frame, Reason>;

/// What a courier or a forwarder is told.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The session that was asked for stands.
    Up {
        /// Number of the wish.
        link: u64,
        /// The session.
        session: Arc<Session>,
    },
    /// It ended, or never stood.
    Lost {
        /// Number of the wish.
        link: u64,
        /// Why, for the log and the status.
        why: String,
    },
    /// There is room for a parcel on the session.
    Room {
        /// Number of the wish for the session.
        link: u64,
        /// The room.
        place: Place,
    },
    /// A parcel was answered; the signature is still to be checked.
    Answer {
        /// The parcel.
        parcel: ParcelId,
        /// What was said.
        answer: Answer,
    },
    /// What was said about a parcel is on disk, or could not be written.
    Kept {
        /// The parcel.
        parcel: ParcelId,
        /// Whether it is on disk.
        kept: Result<(), AppError>,
    },
    /// Something about the lane came to disk by another way.
    Marked(Vec<Mark>),
    /// What a relay or a file was to bring comes no further, and that is on disk.
    TurnedBack {
        /// To whom it had been handed; none for a file.
        relay: Option<AreaCode>,
        /// What has changed in the lane.
        marks: Vec<Mark>,
    },
}

/// What a neighbour says to a parcel.
#[derive(Debug)]
pub(super) enum Answer {
    /// The recipient's signed word, with the signer's chain.
    Receipt(Box<ReceiptManifest>, Receipt),
    /// A relay's, or the recipient's that it does not take the parcel from a relay.
    Custody(Box<CustodyManifest>, CustodyReceipt),
}

/// Room for one parcel in flight. Given back when the parcel is answered, the session ends, or it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// One stream with a neighbour.
pub(super) struct Session {
    neighbour: AreaCode,
    hello: Hello,
    takes_mail: bool,
    // The tasks of the stream hold the queue open; whoever still knows a session that ended does not.
    out: mpsc::WeakSender<Outgoing>,
    places: Arc<Semaphore>,
    // Touched for each parcel and each answer; never across an await.
    waiting: Mutex<HashMap<ParcelId, Waiting>>,
    words: Mutex<HashMap<Digest, oneshot::Sender<()>>>,
    /// Whose chain the neighbour has: our certificate may be renewed while the session stands.
    chain_sent: Mutex<Option<Digest>>,
    ended: CancellationToken,
    why: OnceLock<String>,
}

struct Waiting {
    reply: mpsc::Sender<Incoming>,
    _place: Place,
}

/// A queue for what goes out.
pub(super) fn queue() -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>) {
    mpsc::channel(OUT_QUEUE)
}

impl Session {
    /// A session with `neighbour`, which has introduced itself. `takes_mail` says whether it takes parcels
    /// on it: because we have called it, or because it collects.
    pub(super) fn new(
        neighbour: AreaCode,
        hello: Hello,
        takes_mail: bool,
        out: &mpsc::Sender<Outgoing>,
    ) -> Arc<Self> {
        let places = hello.window_parcels.clamp(1, PLACES_MAX);
        Arc::new(Self {
            neighbour,
            hello,
            takes_mail,
            out: out.downgrade(),
            places: Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(1))),
            waiting: Mutex::default(),
            words: Mutex::default(),
            chain_sent: Mutex::default(),
            ended: CancellationToken::new(),
            why: OnceLock::new(),
        })
    }

    /// The area at the other end, as its certificate says.
    pub(super) const fn neighbour(&self) -> AreaCode {
        self.neighbour
    }

    /// How it introduced itself.
    pub(super) const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether it takes parcels on this session.
    pub(super) const fn takes_mail(&self) -> bool {
        self.takes_mail
    }

    /// Room for a parcel, if there is any now.
    pub(super) fn try_place(&self) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }

    /// Waits for room for a parcel, in turn with all who want some.
    pub(super) async fn place(&self) -> Result<Place, Gone> {
        let permit = self.places.clone().acquire_owned().await.map_err(|_| Gone)?;
        Ok(Place { _permit: permit })
    }

    /// Puts a parcel on the stream; its answer goes to `reply`. The chain is left out when the neighbour has it:
    /// that is, when it is ours (`own_signer`) and has been sent before.
    pub(super) fn send(
        &self,
        place: Place,
        id: ParcelId,
        mut parcel: Parcel,
        own_signer: Option<Digest>,
        reply: mpsc::Sender<Incoming>,
    ) -> Result<(), Gone> {
        let out = self.out.upgrade().ok_or(Gone)?;
        lock(&self.waiting).insert(id, Waiting { reply, _place: place });
        // Held until the parcel is in the queue: the next one must not overtake the chain.
        let mut chain_sent = lock(&self.chain_sent);
        if let Some(signer) = own_signer {
            if *chain_sent == Some(signer) {
                parcel.chain = Vec::new();
            }
            *chain_sent = Some(signer);
        }
        let sent = out.try_send(Ok(Frame::Parcel(parcel)));
        drop(chain_sent);
        if self.has_ended() || sent.is_err() {
            lock(&self.waiting).remove(&id);
            self.close("the neighbour does not take what is sent to it");
            return Err(Gone);
        }
        Ok(())
    }

    /// Who waits for the answer to this parcel; asked once, when the answer is there.
    fn answered(&self, parcel: ParcelId) -> Option<mpsc::Sender<Incoming>> {
        lock(&self.waiting).remove(&parcel).map(|waiting| waiting.reply)
    }

    /// Hands a word back and waits until it is taken.
    pub(super) async fn hand_back(&self, word: Returned) -> Result<(), Gone> {
        let (taken, told) = oneshot::channel();
        let id = word.id();
        lock(&self.words).insert(id, taken);
        let out = self.out.upgrade().ok_or(Gone)?;
        out.send(Ok(Frame::Returned(word))).await.map_err(|_| Gone)?;
        drop(out);
        tokio::select! {
            () = self.ended.cancelled() => Err(Gone),
            told = tokio::time::timeout(WORD_TIMEOUT, told) => match told {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Gone),
                Err(_elapsed) => {
                    self.close("a word that was handed back is not taken");
                    Err(Gone)
                }
            },
        }
    }

    /// The neighbour has taken a word.
    fn word_taken(&self, id: Digest) {
        if let Some(taken) = lock(&self.words).remove(&id) {
            // Whoever handed it back may have given up.
            let _gone = taken.send(()).is_err();
        }
    }

    /// Resolves when the session has ended, with the reason.
    pub(super) async fn ended(&self) -> String {
        self.ended.cancelled().await;
        self.why()
    }

    /// Why it ended; empty while it stands.
    pub(super) fn why(&self) -> String {
        self.why.get().cloned().unwrap_or_default()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Ends it; the first reason counts. All who wait for an answer wait in vain.
    pub(super) fn close(&self, why: impl Into<String>) {
        self.why.get_or_init(|| why.into());
        self.ended.cancel();
        self.places.close();
        lock(&self.waiting).clear();
        lock(&self.words).clear();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("neighbour", &self.neighbour).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
