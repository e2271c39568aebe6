//! A network on this machine: authorities, certificates and configurations as files, and every node a process of its own.
//!
//! The demonstration, the measurements and the tests start their nodes here. Nothing in it reaches into a node: it
//! starts, kills and restarts processes, and talks to them through the office API with an operator's certificate.
//!
//! ```no_run
//! # async fn example() -> Result<(), liangdi::demo::network::NetworkError> {
//! use domain::access::Role;
//! use liangdi::demo::network::{Network, Plan};
//!
//! let dir = std::path::Path::new("/tmp/network");
//! let areas = ["410522", "440305"].iter().filter_map(|a| a.parse().ok()).collect();
//! let mut network = Network::prepare(&Plan::new(dir, env!("CARGO_BIN_EXE_liangdi"), areas))?;
//! network.start_all().await?;
//! network.linked().await?;
//! let member = network.areas()[0];
//! let office = network.office(member, Role::Clerk).await?;
//! network.kill(member).await?;
//! network.start(member).await?;
//! network.stop_all().await;
//! # Ok(()) }
//! ```

mod child;
mod error;
mod files;
mod ports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::access::Role;
use domain::area::AreaCode;
use tokio::time::Instant;
use wire::pb::office;

use self::child::Child;
pub use self::error::NetworkError;
pub use self::files::{Member, Operator};
use crate::cli::connect::{ConnectArgs, Office};

/// A node has to answer within this time after its start.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// A condition is looked at so often while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a network is to be made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Directory for everything; made when it is not there, must not hold a network yet.
    pub dir: PathBuf,
    /// The program that the nodes run: a built `liangdi`.
    pub program: PathBuf,
    /// Counties and provinces that get a node; every node has every other as its peer.
    pub areas: Vec<AreaCode>,
    /// First of the ports, two a node; free ones are looked for when not given.
    pub base_port: Option<u16>,
    /// More lines for the `[delivery]` and `[store]` sections of every configuration.
    pub tuning: Tuning,
    /// What the nodes log, as in LIANGDI_LOG; their own default when not given.
    pub log: Option<String>,
}

/// Settings of the nodes that trials like to change.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Parcels in flight to one peer.
    pub window_parcels: u32,
    /// Shortest upper bound of a wait between two tries, milliseconds.
    pub backoff_min_ms: u32,
    /// Longest upper bound of a wait between two tries, milliseconds.
    pub backoff_max_ms: u32,
    /// A parcel without a receipt for so long takes the link down, milliseconds.
    pub receipt_timeout_ms: u32,
    /// Memory for the store's cache, megabytes.
    pub cache_mb: u32,
}

impl Default for Tuning {
    /// As in the example configuration, but a lost link is tried again sooner: everything is near.
    fn default() -> Self {
        Self {
            window_parcels: 4,
            backoff_min_ms: 20,
            backoff_max_ms: 500,
            receipt_timeout_ms: 30_000,
            cache_mb: 32,
        }
    }
}

impl Plan {
    /// A network of these areas on free ports.
    pub fn new(dir: impl Into<PathBuf>, program: impl Into<PathBuf>, areas: Vec<AreaCode>) -> Self {
        let (dir, program) = (dir.into(), program.into());
        Self { dir, program, areas, base_port: None, tuning: Tuning::default(), log: None }
    }
}

/// Nodes as child processes, and what belongs to them. Dropped, it kills those that still run.
#[derive(Debug)]
pub struct Network {
    dir: PathBuf,
    program: PathBuf,
    log: Option<String>,
    members: BTreeMap<AreaCode, Member>,
    running: BTreeMap<AreaCode, Child>,
}

impl Network {
    /// Makes authorities, certificates, revocation lists, configurations and profiles; starts nothing.
    ///
    /// # Errors
    /// A file cannot be made, or no ports are free.
    pub fn prepare(plan: &Plan) -> Result<Self, NetworkError> {
        let members = files::make(plan)?.into_iter().map(|m| (m.area, m)).collect();
        Ok(Self {
            dir: plan.dir.clone(),
            program: plan.program.clone(),
            log: plan.log.clone(),
            members,
            running: BTreeMap::new(),
        })
    }

    /// Directory of the network.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Areas that have a node, in the order of their codes.
    #[must_use]
    pub fn areas(&self) -> Vec<AreaCode> {
        self.members.keys().copied().collect()
    }

    /// The nodes, in the order of their codes.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The node of an area.
    ///
    /// # Errors
    /// [`NetworkError::NoNode`].
    pub fn member(&self, area: AreaCode) -> Result<&Member, NetworkError> {
        self.members.get(&area).ok_or(NetworkError::NoNode { area })
    }

    /// The root certificate of the network, PEM.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("pki/root.pem")
    }

    /// Every revocation list of the network, PEM.
    #[must_use]
    pub fn lists(&self) -> Vec<PathBuf> {
        files::lists(&self.dir, &self.areas())
    }

    /// Directory of the root, for `liangdi pki` and [`trust::authority::RootAuthority::open`].
    #[must_use]
    pub fn root_ca(&self) -> PathBuf {
        self.dir.join("ca/root")
    }

    /// Directory of the CA of an area's province, for `liangdi pki` and [`trust::authority::ProvinceAuthority::open`].
    #[must_use]
    pub fn province_ca(&self, area: AreaCode) -> PathBuf {
        self.dir.join("ca").join(area.province_prefix())
    }

    /// Signs every revocation list anew and puts it in the place where the nodes read it; they notice by themselves.
    ///
    /// # Errors
    /// A CA cannot be opened, or a list cannot be written.
    pub fn renew_lists(&self) -> Result<(), NetworkError> {
        files::sign_lists(&self.dir, &self.areas())
    }

    /// Certifies one more operator, with a key, a certificate and a profile in the network's directory.
    ///
    /// # Errors
    /// There is one of that name already, or a file cannot be written.
    pub fn add_operator(
        &mut self,
        area: AreaCode,
        name: &str,
        role: Role,
    ) -> Result<Operator, NetworkError> {
        let member = self.members.get_mut(&area).ok_or(NetworkError::NoNode { area })?;
        let operator = files::operator(&self.dir, member, name, role)?;
        member.operators.push(operator.clone());
        Ok(operator)
    }

    /// Starts every node that does not run, and waits until all answer.
    ///
    /// # Errors
    /// [`NetworkError::Ended`] or [`NetworkError::Late`], with the end of the node's log.
    pub async fn start_all(&mut self) -> Result<(), NetworkError> {
        for area in self.areas() {
            self.spawn(area)?;
        }
        for area in self.areas() {
            self.ready(area).await?;
        }
        Ok(())
    }

    /// Starts one node and waits until it answers.
    ///
    /// # Errors
    /// As for [`Network::start_all`].
    pub async fn start(&mut self, area: AreaCode) -> Result<(), NetworkError> {
        self.spawn(area)?;
        self.ready(area).await
    }

    /// Starts one node and does not wait; nothing happens when it runs already.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn spawn(&mut self, area: AreaCode) -> Result<(), NetworkError> {
        let member = self.members.get(&area).ok_or(NetworkError::NoNode { area })?;
        if self.running.contains_key(&area) {
            return Ok(());
        }
        let child = Child::start(&self.program, member, self.log.as_deref())?;
        self.running.insert(area, child);
        Ok(())
    }

    /// Waits until a node says that it serves.
    ///
    /// # Errors
    /// [`NetworkError::Ended`] when it ended instead, [`NetworkError::Late`] when it takes too long.
    pub async fn ready(&mut self, area: AreaCode) -> Result<(), NetworkError> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let ended = self.running.get_mut(&area).is_none_or(Child::has_ended);
            if ended {
                self.running.remove(&area);
                return Err(NetworkError::Ended { area, log: self.log_tail(area) });
            }
            if let Ok(status) = self.status(area).await
                && status.serving
            {
                return Ok(());
            }
            self.look_again(area, "serves", until).await?;
        }
    }

    /// Waits until every running node knows the card of every other running one, so that any can write to any.
    ///
    /// # Errors
    /// [`NetworkError::Late`] names a node that does not get to know all.
    pub async fn linked(&self) -> Result<(), NetworkError> {
        let until = Instant::now() + READY_WITHIN;
        for area in self.running.keys().copied() {
            let office = self.office(area, Role::Administrator).await?;
            loop {
                let peers = office.status().list_peers(office::ListPeersRequest {}).await;
                let peers = peers.map_err(NetworkError::call(area))?.into_inner().peers;
                let runs = |peer: &&office::Peer| {
                    peer.area.parse().is_ok_and(|area| self.running.contains_key(&area))
                };
                if peers.iter().filter(runs).all(|peer| peer.card_known) {
                    break;
                }
                self.look_again(area, "knows its peers", until).await?;
            }
        }
        Ok(())
    }

    async fn look_again(
        &self,
        area: AreaCode,
        awaited: &'static str,
        until: Instant,
    ) -> Result<(), NetworkError> {
        if Instant::now() >= until {
            return Err(NetworkError::Late { area, awaited, log: self.log_tail(area) });
        }
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(())
    }

    /// What a node says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, area: AreaCode) -> Result<office::GetStatusResponse, NetworkError> {
        let office = self.office(area, Role::Administrator).await?;
        let status = office.status().get_status(office::GetStatusRequest {}).await;
        Ok(status.map_err(NetworkError::call(area))?.into_inner())
    }

    /// Whether the process of a node runs.
    pub fn is_running(&mut self, area: AreaCode) -> bool {
        self.running.get_mut(&area).is_some_and(|child| !child.has_ended())
    }

    /// The process id of a node that runs.
    #[must_use]
    pub fn process_id(&self, area: AreaCode) -> Option<u32> {
        self.running.get(&area).and_then(Child::id)
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// [`NetworkError::NoNode`] when it does not run, or it cannot be killed.
    pub async fn kill(&mut self, area: AreaCode) -> Result<(), NetworkError> {
        let child = self.running.remove(&area).ok_or(NetworkError::NoNode { area })?;
        child.kill().await.map_err(|source| NetworkError::Process { area, source })
    }

    /// Asks a node to stop in order and waits for it; says whether it ended well. One that takes too long is killed.
    ///
    /// # Errors
    /// [`NetworkError::NoNode`] when it does not run, or it cannot be waited for.
    pub async fn stop(&mut self, area: AreaCode) -> Result<bool, NetworkError> {
        let child = self.running.remove(&area).ok_or(NetworkError::NoNode { area })?;
        child.stop().await.map_err(|source| NetworkError::Process { area, source })
    }

    /// Stops all nodes that run, at the same time; says whether all ended well.
    pub async fn stop_all(&mut self) -> bool {
        let mut running = std::mem::take(&mut self.running);
        running.values_mut().for_each(Child::ask_to_stop);
        let mut well = true;
        for child in running.into_values() {
            well &= child.stop().await.unwrap_or(false);
        }
        well
    }

    /// What an operator's program needs to call her node, as the options of the command line.
    ///
    /// # Errors
    /// There is no such node or no operator of that role.
    pub fn connect(&self, area: AreaCode, role: Role) -> Result<ConnectArgs, NetworkError> {
        let operator = self.member(area)?.operator(role)?;
        Ok(ConnectArgs { profile: Some(operator.profile.clone()), ..ConnectArgs::default() })
    }

    /// A call to the office API of a node, with the certificate of an operator of that role.
    ///
    /// # Errors
    /// It does not answer, or does not accept the certificate.
    pub async fn office(&self, area: AreaCode, role: Role) -> Result<Office, NetworkError> {
        let connect = self.connect(area, role)?;
        let office = connect.open().await;
        office.map_err(|failure| NetworkError::Unreachable { area, failure: Box::new(failure) })
    }

    /// The last lines of a node's log; empty when there is none.
    #[must_use]
    pub fn log_tail(&self, area: AreaCode) -> String {
        self.members.get(&area).map(Member::log_tail).unwrap_or_default()
    }
}
