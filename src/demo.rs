//! The demonstration: a whole network on this machine plays a day's work through its public interfaces.

pub mod network;

mod cast;
mod people;
mod program;
mod step;
mod story;
mod teller;

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args as ClapArgs;
use domain::area::AreaCode;

use self::cast::Cast;
use self::network::{Network, Plan};
use self::teller::Teller;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::errors::chain;
use crate::node;

/// Nodes of the demonstration: four counties and their two provinces.
const AREAS: [&str; 6] = ["410522", "411528", "440305", "440306", "410000", "440000"];
/// While the network stays up, its processes are looked after so often.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Arguments of `liangdi demo`.
#[derive(ClapArgs, Clone, Debug)]
pub struct Args {
    /// End after the story: 0 when every step held, 1 otherwise
    #[arg(long)]
    exit: bool,
    /// Keep everything in this directory, which must be new or empty; a temporary one when left out
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// First of twelve ports on 127.0.0.1; free ones when left out
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_523))]
    base_port: Option<u16>,
    /// Made-up people besides the one in the story
    #[arg(long, value_name = "COUNT", default_value_t = 120, value_parser = clap::value_parser!(u16).range(..=10_000))]
    people: u16,
    /// Seed of the made-up people: the same seed makes the same people
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Plays the story, and keeps the network up afterwards unless told otherwise.
///
/// # Errors
/// The network could not be made, or a step of the story did not hold.
pub fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::failed(format!("no runtime: {e}")))?;
    let place = Place::make(args.dir.as_deref())?;
    let held = runtime.block_on(perform(args, &place.dir, output));
    // Whatever still writes into the directory ends with the runtime.
    drop(runtime);
    place.leave();
    held
}

async fn perform(args: &Args, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let program = std::env::current_exe();
    let program =
        program.map_err(|e| Failure::failed(format!("this program cannot be found: {e}")))?;
    // Areas outside the table would fail the first step, not pass unseen.
    let areas: Vec<AreaCode> = AREAS.iter().filter_map(|code| code.parse().ok()).collect();
    let mut told_to_stop = pin!(node::stop_signal());
    let plan = Plan { base_port: args.base_port, ..Plan::new(dir, &program, areas) };
    let network = tokio::select! {
        // Looked at first, so that it is heard from here on.
        biased;
        () = &mut told_to_stop => return Err(interrupted()),
        made = tokio::task::spawn_blocking(move || Network::prepare(&plan)) => made,
    };
    let network = network.map_err(Failure::failed)?.map_err(|e| Failure::failed(chain(&e)))?;
    let mut teller = Teller::new(output);
    teller.nodes(&network, args.seed)?;
    let mut cast = Cast::new(network, program, args.seed, args.people)?;
    let outcome = tokio::select! {
        outcome = story::play(&mut cast, &mut teller) => outcome,
        () = &mut told_to_stop => Err(interrupted()),
    };
    if outcome.is_ok() || teller.has_failed() {
        teller.sum_up(outcome.is_ok())?;
        if !args.exit {
            teller.look_around(&cast)?;
            tokio::select! {
                gone = look_after(&mut cast, &mut teller) => gone?,
                () = told_to_stop => {}
            }
        }
    }
    cast.network.stop_all().await;
    outcome
}

fn interrupted() -> Failure {
    Failure::failed("stopped before the story ended").zh("演示中断")
}

/// Says when a node ends that nobody stopped; never resolves otherwise.
async fn look_after(cast: &mut Cast, teller: &mut Teller<'_>) -> Result<(), Failure> {
    let mut up = cast.network.areas();
    up.retain(|area| cast.network.is_running(*area));
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        for area in up.clone() {
            if !cast.network.is_running(area) {
                up.retain(|still| *still != area);
                teller.ended(area, &cast.network.log_tail(area))?;
            }
        }
    }
}

/// The directory of a run.
struct Place {
    dir: PathBuf,
    temporary: bool,
}

impl Place {
    fn make(asked: Option<&Path>) -> Result<Self, Failure> {
        let name = format!("liangdi-demo-{:016x}", u64::from_be_bytes(crate::time::random()));
        let place = match asked {
            // The nodes have other working directories than we.
            Some(dir) => Self { dir: absolute(dir)?, temporary: false },
            None => Self { dir: std::env::temp_dir().join(name), temporary: true },
        };
        let mut how = fs::DirBuilder::new();
        how.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
        let unusable = |e| Failure::usage(format!("{} cannot be used: {e}", place.dir.display()));
        how.create(&place.dir).map_err(unusable)?;
        if fs::read_dir(&place.dir).map_err(unusable)?.next().is_some() {
            return Err(Failure::usage(format!("{} is not empty", place.dir.display()))
                .zh("目录非空")
                .advise("name a new directory; nothing is overwritten"));
        }
        Ok(place)
    }

    fn leave(self) {
        if self.temporary {
            // A file that cannot be removed hurts nobody; the system empties the place of temporary files.
            let _left_behind = fs::remove_dir_all(&self.dir).is_err();
        }
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, Failure> {
    let named = |e| Failure::usage(format!("{} cannot be used: {e}", dir.display()));
    std::path::absolute(dir).map_err(named)
}
