//! `liangdi maintenance`: times in which the node is out of service, as the others are told.

use clap::{Args as ClapArgs, Subcommand};

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::moment::Moment;
use super::output::Answer;
use super::view;
use crate::time::SystemClock;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Announce a time out of service; mail for this node waits with its senders 公告
    Announce {
        /// From when, such as "2026-11-30 22:00" (China time); now when left out
        #[arg(long, value_name = "TIME")]
        from: Option<Moment>,
        /// Until when, such as "2026-12-01 06:00" or +2h; at most seven days later
        #[arg(long, value_name = "TIME")]
        until: Moment,
        /// Why; everybody can read it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// All times out of service that are announced 列出
    List,
    /// Take announcements back 取消
    Cancel {
        /// The one that begins then; all of them when left out
        #[arg(long, value_name = "TIME")]
        from: Option<Moment>,
    },
}

const COLUMNS: &[&str] = &["from_ms", "until_ms", "note"];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    let office = args.connect.open().await?;
    let now = SystemClock.now();
    let millis = |moment: Option<Moment>| moment.map_or(0, |moment| moment.from(now).get());
    let announced = match args.verb {
        Verb::Announce { from, until, note } => {
            let (from_ms, until_ms) = (millis(from), until.from(now).get());
            let request = office::AnnounceMaintenanceRequest { from_ms, until_ms, note };
            office.directory().announce_maintenance(request).await?.into_inner().maintenance
        }
        Verb::Cancel { from } => cancel(&office, from, now).await?,
        Verb::List => announced(&office).await?,
    };
    Ok(view::rows(&announced, COLUMNS))
}

/// What our own card announces.
async fn announced(office: &Office) -> Result<Vec<office::Maintenance>, Failure> {
    let status = office.status().get_status(office::GetStatusRequest {}).await?.into_inner();
    let request = office::GetAreaRequest { area: status.area };
    let card = office.directory().get_area(request).await?.into_inner().card;
    Ok(card.map(|card| card.maintenance).unwrap_or_default())
}

async fn cancel(
    office: &Office,
    from: Option<Moment>,
    now: domain::time::UnixMillis,
) -> Result<Vec<office::Maintenance>, Failure> {
    // What is typed has no milliseconds.
    let from_ms = match from {
        None => 0,
        Some(from) => {
            let wanted = from.from(now).get();
            let same = |window: &&office::Maintenance| window.from_ms / 60_000 == wanted / 60_000;
            let found = announced(office).await?;
            found.iter().find(same).map_or(wanted, |window| window.from_ms)
        }
    };
    let request = office::CancelMaintenanceRequest { from_ms };
    Ok(office.directory().cancel_maintenance(request).await?.into_inner().maintenance)
}
