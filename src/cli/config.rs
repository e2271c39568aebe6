//! `liangdi config`: reads a configuration without starting anything.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::area::AreaTable;
use serde_json::json;

use super::exit::{Failure, FieldTrouble};
use super::output::{Answer, record};
use crate::config::{ConfigError, Settings};
use crate::errors::chain;

/// Arguments of the noun.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Say everything that is wrong with a configuration, with line and fix 检查
    Check {
        /// The configuration
        file: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<Answer, Failure> {
    let Verb::Check { file } = args.verb;
    let settings = Settings::load(&file).map_err(unusable)?;
    let name = AreaTable::builtin().lookup(&settings.area).map_or("", |a| a.name);
    let pairs = [
        ("area", format!("{} {name}", settings.area)),
        ("office", settings.office_name.clone()),
        ("node API", settings.listen_node.to_string()),
        ("office API", settings.listen_office.to_string()),
        ("reached at", settings.advertise.clone()),
        ("data", settings.data_dir.display().to_string()),
        ("peers", settings.peers.len().to_string()),
    ];
    let json = json!({
        "area": settings.area.as_str(),
        "name": settings.office_name,
        "listen_node": settings.listen_node,
        "listen_office": settings.listen_office,
        "advertise": settings.advertise,
        "data_dir": settings.data_dir,
        "peers": settings.peers.len(),
    });
    Ok(Answer::new(json, record(&pairs)).and("\nThe configuration can be used. 配置可用"))
}

/// What is wrong with a configuration, every line of it.
pub(super) fn unusable(error: ConfigError) -> Failure {
    let text = chain(&error);
    let ConfigError::Wrong { file, problems } = error else { return Failure::usage(text) };
    let trouble = |p: &crate::config::Problem| FieldTrouble {
        field: format!("{}:{} {}", file.display(), p.line, p.setting).trim_end().to_owned(),
        trouble: format!("{}. {}", p.problem, p.fix),
    };
    let mut failure = Failure::usage(format!("{} cannot be used", file.display())).zh("配置不可用");
    failure.told.fields = problems.iter().map(trouble).collect();
    failure
}
