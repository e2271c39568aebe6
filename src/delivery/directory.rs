//! The directory: cards and revocation lists that prove themselves, kept, served onward, and in force at once.
//!
//! A node that passes something on vouches for nothing: whoever takes it has checked it against the root. So it does
//! not matter from whom it came, and a neighbour that lies can do no more than be silent.

mod alarms;
pub mod areas;
pub mod entries;
mod examine;
mod follow;
pub mod keys;
pub mod own_card;
mod recall;
mod rows;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::area::AreaCode;
use exchange::card::SignedCard;
use exchange::digest::Digest;
use exchange::directory::DirectoryAnswer;
use store::network::OwnCardRow;
use store::tables::OWN_CARD;
use store::{Store, Unit};
use tokio::sync::{Notify, watch};
use trust::crl::{AuthorityId, VerifiedList};
use wire::decode_card;

use self::areas::AreaChanges;
use self::examine::{Fault, NewCard};
use self::own_card::OwnCard;
use self::rows::{Heard, Numbers, card_row, keep_card, keep_cursor, keep_list};
use super::identity::NodeIdentity;
use super::peers::Peers;
use crate::app::AppError;
use crate::app::reconcile::reports;
use crate::errors::chain;
use crate::time::SystemClock;

/// Cards that cannot be believed yet and wait for a list, a change of areas or a clock.
const WAITING_MAX: usize = 512;
/// Lists that are remembered as no news.
const SEEN_MAX: usize = 1_024;
/// Certificates of authorities that are remembered: of every province, and of those that take their place.
const AUTHORITIES_MAX: usize = 256;
/// Faults that are told one by one of what one neighbour says at a time.
const FAULTS_TOLD: usize = 3;
/// A neighbour whose answer has so many faults is not listened to any further this time.
const FAULTS_MAX: usize = 16;

/// What a directory is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Our identity, which others are checked against.
    pub identity: Arc<NodeIdentity>,
    /// The peers, which get their cards from here.
    pub peers: Peers,
    /// Our own card.
    pub card: Arc<OwnCard>,
}

/// The directory of a node. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Which incarnation of the data it is: cursors of another one mean nothing here.
    incarnation: u32,
    numbers: Numbers,
    // What is known besides cards, which the peers hold. Touched a few times an answer; never across an await.
    known: Mutex<Known>,
    /// Counts what came from us, from below us, or from a file: our equals want to hear of it.
    own_news: watch::Sender<u64>,
    /// Counts everything new: those below want to hear of it.
    news: watch::Sender<u64>,
    /// By neighbour: wakes whoever asks it.
    asking: Mutex<BTreeMap<AreaCode, Arc<Notify>>>,
}

#[derive(Default)]
struct Known {
    /// The newest list of each authority.
    lists: HashMap<AuthorityId, VerifiedList>,
    /// Digests of lists that were looked at and are no news.
    seen: BTreeSet<Digest>,
    /// Certificates of authorities, DER, that issued what we have believed, by digest.
    authorities: BTreeMap<Digest, Vec<u8>>,
    /// Cards that may be good later, by area.
    waiting: BTreeMap<AreaCode, SignedCard>,
    /// Something that came is neither kept nor refused for good: after a restart it is asked for again.
    owed: bool,
}

/// What somebody says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Cards.
    pub cards: Vec<SignedCard>,
    /// Revocation lists, DER.
    pub lists: Vec<Vec<u8>>,
    /// Certificates of authorities, DER.
    pub authorities: Vec<Vec<u8>>,
    /// Where to go on asking, when it is the answer of a neighbour.
    pub cursor: Option<Bytes>,
}

impl From<DirectoryAnswer> for Said {
    fn from(answer: DirectoryAnswer) -> Self {
        let DirectoryAnswer { cards, revocation_lists: lists, authorities, cursor, more: _ } =
            answer;
        Self { cards, lists, authorities, cursor: Some(cursor) }
    }
}

/// What became of what somebody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Cards and lists that are news and in force now.
    pub news: usize,
    /// Those that were not believed.
    pub faults: usize,
}

/// What passed the look.
#[derive(Default)]
struct Believed {
    cards: Vec<NewCard>,
    lists: Vec<VerifiedList>,
    faults: Vec<Fault>,
}

impl Directory {
    /// Takes up what is kept: lists first, then cards. What does not hold any more is sorted out by the tasks, so that
    /// a start takes no longer with a nation of counties.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(parts: Parts) -> Result<Self, AppError> {
        let numbers = Numbers::open(&parts.store)?;
        let incarnation = reports::incarnation(&parts.store)?;
        let directory = Self(Arc::new(Inner {
            parts,
            incarnation,
            numbers,
            known: Mutex::default(),
            own_news: watch::Sender::new(0),
            news: watch::Sender::new(0),
            asking: Mutex::default(),
        }));
        directory.recall_lists()?;
        directory.recall_cards()?;
        directory.0.parts.peers.close_sends(directory.announced()?.retiring.is_some());
        Ok(directory)
    }

    /// Takes what somebody says, as far as it proves itself and is news: on disk and in force when this returns. One
    /// bad entry does not stop the others.
    ///
    /// # Errors
    /// When the store fails; nothing of it is on disk then.
    pub async fn take(&self, from: AreaCode, mut said: Said) -> Result<Taken, AppError> {
        let mut taken = Taken::default();
        let mut cursor = said.cursor.take();
        loop {
            let directory = self.clone();
            let looked = tokio::task::spawn_blocking(move || directory.look(said)).await;
            let believed = looked.map_err(|_| AppError::Internal("a look was broken off"))?;
            self.tell_faults(from, &believed.faults);
            taken.faults += believed.faults.len();
            let news = self.keep(from, believed, cursor.take()).await?;
            taken.news += news;
            // What waited may be good now.
            let waiting =
                if news > 0 { std::mem::take(&mut self.known().waiting) } else { BTreeMap::new() };
            if waiting.is_empty() {
                return Ok(taken);
            }
            said = Said { cards: waiting.into_values().collect(), ..Said::default() };
        }
    }

    fn look(&self, said: Said) -> Believed {
        let now = SystemClock.now();
        let mut believed = Believed::default();
        let Said { cards, lists, authorities, cursor: _ } = said;
        // Lists first: whoever is revoked by them has no say any more.
        self.look_at_lists(lists, authorities, &mut believed);
        self.put_in_force(&believed.lists);
        let material = self.0.parts.identity.material();
        for signed in cards {
            if believed.faults.len() >= FAULTS_MAX {
                break;
            }
            match examine::card(&self.0.parts.peers, material.chains(), signed, now) {
                Ok(news) => believed.cards.extend(news),
                Err((signed, fault)) if fault.may_heal() => self.wait(signed, &fault),
                Err((_, fault)) => believed.faults.push(fault),
            }
        }
        believed
    }

    fn look_at_lists(&self, lists: Vec<Vec<u8>>, authorities: Vec<Vec<u8>>, to: &mut Believed) {
        let material = self.0.parts.identity.material();
        // Signatures are checked without the lock.
        let (held, authorities) = {
            let known = self.known();
            let remembered = known.authorities.values().cloned();
            (known.lists.clone(), authorities.into_iter().chain(remembered).collect::<Vec<_>>())
        };
        for der in lists {
            let digest = Digest::of(&der);
            if self.known().seen.contains(&digest) {
                continue;
            }
            let held = |authority: AuthorityId| held.get(&authority);
            match examine::list(material.chains(), &der, &authorities, held) {
                Ok(Some(list)) => to.lists.push(list),
                Ok(None) => {
                    let mut known = self.known();
                    if known.seen.len() >= SEEN_MAX {
                        known.seen.clear();
                    }
                    known.seen.insert(digest);
                }
                Err(fault) => to.faults.push(fault),
            }
            if to.faults.len() >= FAULTS_MAX {
                return;
            }
        }
    }

    /// Keeps a card until it may be good.
    fn wait(&self, signed: SignedCard, fault: &Fault) {
        let Ok(card) = decode_card(&signed.card_bytes) else { return };
        let mut known = self.known();
        let room = known.waiting.len() < WAITING_MAX || known.waiting.contains_key(&card.area);
        if room && known.waiting.insert(card.area, signed).is_none() {
            tracing::info!(area = %card.area, error = chain(fault), "a card waits until it can be believed");
        }
        // One of an area that nobody knows may be a mistake for ever; its node signs it anew every few days.
        known.owed |= !matches!(fault, Fault::UnknownArea(_));
    }

    fn tell_faults(&self, from: AreaCode, faults: &[Fault]) {
        if from == self.0.parts.peers.own() && !faults.is_empty() {
            // A list of our files whose authority we have not met is in force, but cannot be passed on yet.
            tracing::debug!(lists = faults.len(), "files hold lists of authorities not met yet");
            return;
        }
        for fault in faults.iter().take(FAULTS_TOLD) {
            tracing::warn!(%from, error = chain(fault), code = "SIGNATURE_INVALID", "the directory does not take what a neighbour says");
        }
    }

    /// Writes what was believed, each with its entry in the log, and puts it in force.
    async fn keep(
        &self,
        from: AreaCode,
        believed: Believed,
        cursor: Option<Bytes>,
    ) -> Result<usize, AppError> {
        let Believed { cards, lists, faults: _ } = believed;
        let cursor = cursor.filter(|_| {
            let mut known = self.known();
            known.owed &= !known.waiting.is_empty();
            !known.owed
        });
        if cards.is_empty() && lists.is_empty() && cursor.is_none() {
            return Ok(0);
        }
        let heard = Heard { from, at: SystemClock.now() };
        let inner = self.0.clone();
        let rows: Vec<_> = cards
            .iter()
            .map(|new| (new.card.area, card_row(new.signed.clone(), new.card.version, heard.at)))
            .collect();
        let kept_lists = lists.clone();
        let write = move |unit: &mut Unit<'_>| {
            let mut news = 0;
            for list in &kept_lists {
                news += usize::from(keep_list(unit, &inner.numbers, list, heard)?);
            }
            for (area, row) in rows {
                news += usize::from(keep_card(unit, &inner.numbers, area, row, heard)?);
            }
            if let Some(cursor) = cursor {
                keep_cursor(unit, from, &cursor, heard.at)?;
            }
            Ok::<_, AppError>(news)
        };
        let news = self.0.parts.store.commit(write).await.map_err(AppError::from)?;
        self.put_cards_in_force(&cards);
        if news > 0 {
            self.tell_news(from, &cards, &lists);
        }
        Ok(news)
    }

    fn put_in_force(&self, lists: &[VerifiedList]) {
        if lists.is_empty() {
            return;
        }
        {
            let mut known = self.known();
            for list in lists {
                known.lists.insert(list.authority_id(), list.clone());
            }
        }
        let authorities: Vec<_> = lists.iter().map(|list| list.authority().to_vec()).collect();
        self.remember(&authorities);
        if let Err(error) = self.0.parts.identity.carry(lists.to_vec(), SystemClock.now()) {
            tracing::error!(
                error = chain(&error),
                "revocation lists of the directory cannot be put in force"
            );
        }
    }

    fn put_cards_in_force(&self, cards: &[NewCard]) {
        let peers = &self.0.parts.peers;
        let mut about_areas = false;
        peers.join_all(cards.iter().map(|new| new.card.area));
        for NewCard { card, signed } in cards {
            let peer = peers.join(card.area);
            let told = peer.card().is_some_and(|known| !known.area_changes.is_empty());
            about_areas |= told || !card.area_changes.is_empty();
            self.remember(signed.chain.get(1..).unwrap_or_default());
            peer.learn(card.clone());
        }
        if about_areas {
            self.tell_changes();
        }
    }

    /// Tells the peers what became of areas, by all cards of areas above, and ours.
    fn tell_changes(&self) {
        let peers = &self.0.parts.peers;
        let cards = peers.all().into_iter().filter_map(|peer| peer.card());
        let told: Vec<_> = cards.filter(|card| !card.area_changes.is_empty()).collect();
        let own = self.0.parts.card.card();
        let told = told.iter().map(AsRef::as_ref).chain([&own]);
        peers.put_changes(AreaChanges::of(told));
    }

    /// Remembers certificates of authorities, against which lists are checked.
    fn remember(&self, authorities: &[Vec<u8>]) {
        let mut known = self.known();
        for authority in authorities {
            if known.authorities.len() < AUTHORITIES_MAX {
                known.authorities.insert(Digest::of(authority), authority.clone());
            }
        }
    }

    fn tell_news(&self, from: AreaCode, cards: &[NewCard], lists: &[VerifiedList]) {
        let own = self.0.parts.peers.own();
        let below = cards.iter().any(|new| own.contains(&new.card.area));
        if below || from == own || (own.contains(&from) && !lists.is_empty()) {
            self.0.own_news.send_modify(|news| *news += 1);
        }
        self.0.news.send_modify(|news| *news += 1);
        tracing::info!(%from, cards = cards.len(), lists = lists.len(), "the directory has news");
    }

    /// Puts our own card, as it is now, into the directory.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn publish(&self) -> Result<(), AppError> {
        let heard = Heard { from: self.0.parts.peers.own(), at: SystemClock.now() };
        let (card, signed) = (self.0.parts.card.card(), self.0.parts.card.signed());
        let row = card_row(signed, card.version, heard.at);
        let inner = self.0.clone();
        let write =
            move |unit: &mut Unit<'_>| keep_card(unit, &inner.numbers, card.area, row, heard);
        if self.0.parts.store.commit(write).await.map_err(AppError::from)? {
            self.tell_changes();
            self.tell_news(heard.from, &[], &[]);
        }
        Ok(())
    }

    /// Signs our card anew if need be, and spreads it.
    ///
    /// # Errors
    /// When the key does not sign, or the store fails.
    pub async fn renew(&self) -> Result<(), AppError> {
        self.0.parts.card.renew(SystemClock.now())?;
        self.publish().await
    }

    /// Changes what we announce in our card; on disk, signed and on its way to the others when this returns.
    ///
    /// # Errors
    /// Those of `change`, and as for [`Directory::renew`].
    pub async fn announce<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut OwnCardRow) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let now = SystemClock.now();
        let write = move |unit: &mut Unit<'_>| {
            let mut row = unit.get(&OWN_CARD, &())?.unwrap_or_default();
            // What is over is not told any more.
            row.windows.retain(|window| now < window.until);
            let done = change(&mut row)?;
            row.changed = Some(now);
            unit.put(&OWN_CARD, &(), &row)?;
            Ok::<_, AppError>(done)
        };
        let done = self.0.parts.store.commit(write).await.map_err(AppError::from)?;
        self.0.parts.peers.close_sends(self.announced()?.retiring.is_some());
        self.renew().await?;
        Ok(done)
    }

    /// What we announce.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn announced(&self) -> Result<OwnCardRow, AppError> {
        own_card::announced(&self.0.parts.store)
    }

    /// Our own card.
    #[must_use]
    pub fn own_card(&self) -> &OwnCard {
        &self.0.parts.card
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("last", &self.0.numbers.last()).finish_non_exhaustive()
    }
}
