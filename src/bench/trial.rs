//! The sender's node inside this process, and messages that go through its use case as a clerk's would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::access::{Caller, Role};
use domain::area::AreaCode;
use domain::message::{BirthRegistrationResult, Body, Content, PrintedNumber, RegistrationResult};
use domain::person::PersonReference;
use domain::purpose::{LawfulBasis, Purpose};
use domain::synthetic::People;
use domain::text::WrittenReason;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::content::encode_content;

use crate::app::Ctx;
use crate::app::messages::grounds::Grounds;
use crate::app::messages::send::{self, Draft};
use crate::delivery::peers::{Peer, Progress};
use crate::node::Running;
use crate::time::SystemClock;

/// Persons the messages are about.
const PERSONS: usize = 1_000;
/// A run that makes no progress for so long has failed.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// The sender's node and what it sends.
pub(super) struct Trial {
    pub(super) node: Running,
    pub(super) peer: Arc<Peer>,
    to: AreaCode,
    ctx: Ctx,
    contents: Arc<Vec<Content>>,
}

impl Trial {
    pub(super) fn new(node: Running, to: AreaCode, body_bytes: usize) -> anyhow::Result<Self> {
        let peer = node.peers.get(to).context("the receiver is no peer")?.clone();
        let area = node.settings.area;
        let caller = Caller { operator: "bench".parse()?, role: Role::Clerk, area };
        let now = SystemClock.now();
        let people = People::new(1, vec![area], now.date()).take(PERSONS);
        let contents = people
            .map(|p| content(PersonReference { document: p.document, name: p.name }, body_bytes));
        let contents = Arc::new(contents.collect::<anyhow::Result<_>>()?);
        Ok(Self { node, peer, to, ctx: Ctx { caller, now }, contents })
    }

    /// Waits until messages can be sealed for the receiver.
    pub(super) async fn card_known(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STALL;
        while self.peer.card().is_none() {
            if Instant::now() > deadline {
                bail!("the receiver's card did not come: {:?}", self.peer.state().trouble);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Sends one message and returns when it is on disk.
    pub(super) async fn send(&self, number: u64) -> anyhow::Result<()> {
        let index = usize::try_from(number)? % self.contents.len();
        let content = self.contents.get(index).context("no content")?.clone();
        let ctx = Ctx { now: SystemClock.now(), ..self.ctx.clone() };
        let draft = Draft {
            to: self.to,
            content,
            grounds: Grounds::default(),
            expires: None,
            idempotency_key: String::new(),
        };
        send::hand_in(&ctx, &self.node.store, &self.node.peers, draft).await?;
        Ok(())
    }

    /// Sends `messages` as fast as they go, and returns how long it took until the receipts of all of
    /// them were on this disk.
    pub(super) async fn full_speed(
        self: &Arc<Self>,
        messages: u64,
        submitters: u64,
        bar: Option<ProgressBar>,
    ) -> anyhow::Result<Duration> {
        let mut progress = self.peer.progress();
        let goal = progress.borrow_and_update().kept + messages;
        let next = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..submitters {
            let (trial, next) = (self.clone(), next.clone());
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= messages {
                        return Ok::<_, anyhow::Error>(());
                    }
                    trial.send(number).await?;
                }
            });
        }
        let settled = async {
            loop {
                let kept = progress.borrow_and_update().kept;
                if let Some(bar) = &bar {
                    bar.set_position(messages.saturating_sub(goal.saturating_sub(kept)));
                }
                if kept >= goal {
                    return Ok(());
                }
                tokio::time::timeout(STALL, progress.changed()).await.context("no progress")??;
            }
        };
        let settled: anyhow::Result<()> = settled.await;
        settled?;
        let took = started.elapsed();
        while let Some(submitter) = tasks.join_next().await {
            submitter??;
        }
        Ok(took)
    }

    /// Sends at a steady rate and measures each message from the call to the peer's receipt in hand.
    pub(super) async fn at_rate(&self, messages: u64, rate: u64) -> anyhow::Result<Histogram<u64>> {
        let mut histogram = Histogram::<u64>::new(3)?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
        let mut progress = self.peer.progress();
        for number in 0..messages {
            ticks.tick().await;
            let goal = progress.borrow_and_update().answered + 1;
            let started = Instant::now();
            self.send(number).await?;
            let answered = progress.wait_for(|p: &Progress| p.answered >= goal);
            tokio::time::timeout(STALL, answered).await.context("no receipt")??;
            histogram.record(u64::try_from(started.elapsed().as_micros())?)?;
        }
        Ok(histogram)
    }
}

/// The result of a birth registration, which passes without an agreement, whose content has `bytes` bytes.
fn content(person: PersonReference, bytes: usize) -> anyhow::Result<Content> {
    let with = |reason: &str| -> anyhow::Result<Content> {
        Ok(Content {
            case: None,
            in_reply_to: None,
            basis: LawfulBasis::OwnApplication,
            purpose: Purpose::BirthRegistration,
            consent: None,
            service_request: None,
            person: Some(person.clone()),
            replaces: None,
            step: 0,
            answered_from: None,
            asked_again: None,
            body: Body::BirthRegistrationResult(BirthRegistrationResult {
                application_number: PrintedNumber::parse("A1")?,
                result: RegistrationResult::Registered,
                decided_on: SystemClock.now().date(),
                reason: Some(WrittenReason::new(reason)?),
            }),
        })
    };
    let shortest = encode_content(&with("a")?).len();
    let missing = bytes.saturating_sub(shortest);
    // At most 500 characters: wide ones first, then narrow ones to the byte.
    let wide = missing / 3;
    let reason = format!("{}{}", "查".repeat(wide), "a".repeat(missing - wide * 3 + 1));
    with(&reason)
}
