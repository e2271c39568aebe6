//! Who takes part: the network, the program, the made-up people; and what every step does with them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::access::Role;
use domain::area::AreaCode;
use domain::person::{MaritalStatus, PersonDetails, Sex};
use domain::purpose::{LawfulBasis, Purpose};
use domain::synthetic::People;
use domain::time::Date;
use tokio::time::Instant;
use wire::pb::{message, office};

use super::network::Network;
use super::program::{Program, Ran};
use super::step::{Broken, call};
use crate::cli::connect::Office;
use crate::cli::exit::Failure;
use crate::time::SystemClock;

/// Where she comes from: 安阳县.
const ORIGIN: &str = "410522";
/// Where she lives now: 南山区.
const RESIDENCE: &str = "440305";
/// Two more counties, so that the others come from somewhere and live somewhere.
const OTHERS: [&str; 2] = ["411528", "440306"];
/// What a node does in the story, it does within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// A message that is waited for is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Most messages in a page of a list.
const PAGE: u32 = 500;

/// Who takes part.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) network: Network,
    pub(super) program: Program,
    pub(super) today: Date,
    pub(super) origin: AreaCode,
    pub(super) residence: AreaCode,
    pub(super) other_origin: AreaCode,
    pub(super) other_residence: AreaCode,
    /// Whom the story is about.
    pub(super) her: PersonDetails,
    /// Her husband; his household is registered in another county.
    pub(super) husband: PersonDetails,
    /// Everyone else.
    pub(super) others: Vec<PersonDetails>,
    /// A message to show to whoever looks around.
    pub(super) shown_message: Option<String>,
}

impl Cast {
    pub(super) fn new(
        network: Network,
        program: PathBuf,
        seed: u64,
        others: u16,
    ) -> Result<Self, Failure> {
        let area = |code: &str| {
            code.parse().map_err(|_| Failure::failed(format!("{code} is no area code")))
        };
        let [other_origin, other_residence] = OTHERS.map(area);
        let (origin, residence) = (area(ORIGIN)?, area(RESIDENCE)?);
        let today = SystemClock.now().date();
        let other_origin = other_origin?;
        let mut people = People::new(seed, vec![origin, other_origin], today);
        let fits = |who: &PersonDetails| {
            let young = who.birth_date.age_at(today).is_some_and(|age| (22..38).contains(&age));
            young && who.sex == Sex::Female && who.marital_status == Some(MaritalStatus::Married)
        };
        let her = people.by_ref().take(10_000).find(fits);
        let her = her.ok_or_else(|| Failure::failed("the seed makes nobody for the story"))?;
        let man = |who: &PersonDetails| {
            let grown = who.birth_date.age_at(today).is_some_and(|age| (22..50).contains(&age));
            grown && who.sex == Sex::Male
        };
        let husband = people.by_ref().take(10_000).find(man);
        let husband =
            husband.ok_or_else(|| Failure::failed("the seed makes nobody for the story"))?;
        Ok(Self {
            program: Program::new(program),
            today,
            origin,
            residence,
            other_origin,
            other_residence: other_residence?,
            her,
            husband,
            others: people.take(usize::from(others)).collect(),
            shown_message: None,
            network,
        })
    }

    /// The office API of a node, as its clerk.
    pub(super) async fn clerk(&self, area: AreaCode) -> Result<Office, Broken> {
        Ok(self.network.office(area, Role::Clerk).await?)
    }

    /// The office API of a node, as its supervisor.
    pub(super) async fn supervisor(&self, area: AreaCode) -> Result<Office, Broken> {
        Ok(self.network.office(area, Role::Supervisor).await?)
    }

    /// Runs the program as an operator of a node, the first of her role.
    pub(super) async fn run_as(
        &self,
        area: AreaCode,
        role: Role,
        words: &[&str],
    ) -> Result<Ran, Broken> {
        let profile = self.network.connect(area, role)?.profile.unwrap_or_default();
        self.run_with(&profile, words).await
    }

    /// Runs the program with the profile of an operator.
    pub(super) async fn run_with(&self, profile: &Path, words: &[&str]) -> Result<Ran, Broken> {
        let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        args.extend([OsStr::new("--profile"), profile.as_os_str()]);
        self.program.run(&args).await
    }

    /// A message about her, without its body.
    pub(super) fn about_her(&self, basis: LawfulBasis, purpose: Purpose) -> message::Content {
        message::Content {
            basis: i32::from(basis.number()),
            purpose: i32::from(purpose.number()),
            person: Some(super::people::reference(&self.her, purpose)),
            ..message::Content::default()
        }
    }

    /// Sends a message from one county to another; its id and where it stands.
    pub(super) async fn send(
        &self,
        from: AreaCode,
        to: AreaCode,
        content: message::Content,
    ) -> Result<office::Track, Broken> {
        let request = office::SendMessageRequest {
            to: to.to_string(),
            content: Some(content),
            ..office::SendMessageRequest::default()
        };
        let sent = self.clerk(from).await?.messages().send_message(request).await;
        let sent = sent.map_err(call(from))?.into_inner();
        sent.track.ok_or_else(|| Broken::NotSo("the node accepted it without a track".to_owned()))
    }

    /// Waits until a message stands at a node as asked.
    pub(super) async fn until(
        &self,
        area: AreaCode,
        id: &str,
        stage: office::Stage,
    ) -> Result<office::Track, Broken> {
        self.until_either(area, id, &[stage]).await
    }

    /// Waits until a message stands at a node in one of several ways.
    pub(super) async fn until_either(
        &self,
        area: AreaCode,
        id: &str,
        stages: &[office::Stage],
    ) -> Result<office::Track, Broken> {
        let office = self.clerk(area).await?;
        let until = Instant::now() + WITHIN;
        loop {
            let request = office::TrackMessageRequest { message_id: id.to_owned() };
            let track = match office.messages().track_message(request).await {
                Ok(answer) => answer.into_inner().track.unwrap_or_default(),
                // Not there yet is a state to wait through; anything else is not.
                Err(status) if status.code() == tonic::Code::NotFound => office::Track::default(),
                Err(status) => return Err(call(area)(status)),
            };
            if stages.contains(&track.stage()) {
                return Ok(track);
            }
            if track.stage == i32::from(office::Stage::Refused) || Instant::now() >= until {
                let found = track.stage().as_str_name();
                let wanted: Vec<_> = stages.iter().map(|stage| stage.as_str_name()).collect();
                let wanted = wanted.join(" or ");
                let what = format!("{id} is {wanted} (it is {found} {})", track.reason);
                let log = self.network.log_tail(area);
                return Err(Broken::Late { what, area, log });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A message with its content, as a clerk opens it.
    pub(super) async fn open(
        &self,
        area: AreaCode,
        id: &str,
        purpose: Purpose,
    ) -> Result<(office::Track, message::Content), Broken> {
        let access = office::Access {
            basis: i32::from(LawfulBasis::StatutoryDuty.number()),
            purpose: i32::from(purpose.number()),
        };
        let request = office::GetMessageRequest { message_id: id.to_owned(), access: Some(access) };
        let found = self.clerk(area).await?.messages().get_message(request).await;
        let found = found.map_err(call(area))?.into_inner();
        match (found.track, found.content) {
            (Some(track), Some(content)) => Ok((track, content)),
            _ => Err(Broken::NotSo(format!("{area} shows {id} without its content"))),
        }
    }

    /// Every message that a node has received, by the office API.
    pub(super) async fn received(&self, area: AreaCode) -> Result<Vec<office::Track>, Broken> {
        let office = self.clerk(area).await?;
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = office::ListMessagesRequest {
                direction: i32::from(office::Direction::Received),
                peer: String::new(),
                page_size: PAGE,
                page_token,
                by_nodes: false,
            };
            let page = office.messages().list_messages(request).await;
            let page = page.map_err(call(area))?.into_inner();
            all.extend(page.messages);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Entries in a node's ledger.
    pub(super) async fn ledger(&self, area: AreaCode) -> Result<u64, Broken> {
        Ok(self.network.status(area).await?.ledger_size)
    }
}
