//! `liangdi draw`: random re-checks of an office's work that anybody can draw again.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use domain::draw::Frame;
use domain::id::MessageId;
use domain::indicator::Period;
use domain::message::Kind;
use domain::time::UnixMillis;
use serde_json::json;

use super::connect::{ConnectArgs, Office, office};
use super::exit::Failure;
use super::given::{choice, new_file, number, text_file};
use super::output::{Answer, time};
use super::view;
use crate::draw::{DrawPaper, FORMAT};

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
    /// Draw from what this office did; the sample stays hidden until it is published 抽取
    Begin {
        /// Month (2026-03), quarter (2026-Q1) or statistical year (2026) 期间
        period: Period,
        /// What to draw from 抽样范围
        #[arg(long, value_parser = choice(Frame::chinese))]
        from: Frame,
        /// Kind of message, such as ArrivalNotice; left out for registrations 种类
        #[arg(long, value_parser = |text: &str| Kind::from_name(text).ok_or("no such kind"))]
        kind: Option<Kind>,
        /// How many, at most 500 数量
        #[arg(long)]
        size: u32,
    },
    /// Publish seed and sample 公布
    Publish {
        /// Draw 抽查编号
        draw: MessageId,
    },
    /// Record what the re-check of one item found 登记结果
    Record {
        /// Draw 抽查编号
        draw: MessageId,
        /// Message or registration of the sample 明细编号
        item: MessageId,
        /// Whether it was right 是否准确
        #[arg(long, action = clap::ArgAction::Set)]
        right: bool,
    },
    /// Draws, newest first, with what was found 列出
    List,
    /// Write a published draw into a file with which anybody draws again 导出
    Export {
        /// Draw 抽查编号
        draw: MessageId,
        /// The file 文件
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Draw again from such a file, without a node 复算
    Verify {
        /// The file 文件
        file: PathBuf,
        /// Hash of the seed that was told when the draw began 种子摘要
        #[arg(long, value_name = "HEX")]
        seed_sha256: Option<String>,
    },
}

const COLUMNS: &[&str] = &[
    "draw_id",
    "period",
    "frame",
    "message_kind",
    "population",
    "size",
    "rechecked",
    "right",
    "published_ms",
    "seed_sha256",
];

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    if let Verb::Verify { file, seed_sha256 } = &args.verb {
        return verify(&text_file(file)?, seed_sha256.as_deref());
    }
    let node = args.connect.open().await?;
    let draw = match args.verb {
        Verb::Begin { period, from, kind, size } => {
            let request = office::BeginDrawRequest {
                period: period.to_string(),
                frame: number(Some(from)),
                message_kind: kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
                size,
            };
            node.draws().begin_draw(request).await?.into_inner().draw
        }
        Verb::Publish { draw } => {
            let request = office::PublishDrawRequest { draw_id: draw.to_string() };
            node.draws().publish_draw(request).await?.into_inner().draw
        }
        Verb::Record { draw, item, right } => {
            let finding =
                if right { office::DrawFinding::Right } else { office::DrawFinding::Wrong };
            let request = office::RecordDrawRequest {
                draw_id: draw.to_string(),
                item_id: item.to_string(),
                finding: finding.into(),
            };
            node.draws().record_draw(request).await?.into_inner().draw
        }
        Verb::List => {
            let list = node.draws().list_draws(office::ListDrawsRequest {}).await?.into_inner();
            return Ok(view::rows(&list.draws, COLUMNS));
        }
        Verb::Export { draw, out } => return export(&node, draw, out).await,
        Verb::Verify { .. } => None,
    };
    Ok(view::answer(&draw.unwrap_or_default()))
}

async fn export(node: &Office, draw: MessageId, out: PathBuf) -> Result<Answer, Failure> {
    let list = node.draws().list_draws(office::ListDrawsRequest {}).await?.into_inner();
    let draw_id = draw.to_string();
    let found = list.draws.into_iter().find(|row| row.draw_id == draw_id);
    let found = found.ok_or_else(|| Failure::not_found("no such draw").zh("没有这次抽查"))?;
    let (mut population, mut after) = (Vec::new(), String::new());
    loop {
        let request = office::ListDrawPopulationRequest { draw_id: draw_id.clone(), after };
        let page = node.draws().list_draw_population(request).await?.into_inner();
        let (ids, _) = page.ids.as_chunks::<16>();
        population.extend(ids.iter().map(|id| MessageId::from_bytes(*id).to_string()));
        after = page.next_after;
        if after.is_empty() {
            break;
        }
    }
    let area = node.status().get_status(office::GetStatusRequest {}).await?.into_inner().area;
    let frame = u8::try_from(found.frame).ok().and_then(Frame::from_number);
    let paper = DrawPaper {
        format: FORMAT.to_owned(),
        draw_id,
        area,
        period: found.period,
        frame: frame.map(Frame::code).unwrap_or_default().to_owned(),
        message_kind: found.message_kind,
        drawn_ms: found.drawn_ms,
        size: found.size,
        population_sha256: found.population_sha256,
        seed_sha256: found.seed_sha256,
        seed: found.seed,
        sample: found.sample.into_iter().map(|item| item.id).collect(),
        population,
    };
    let text = serde_json::to_string_pretty(&paper)
        .map_err(|_| Failure::failed("the draw cannot be written as JSON"))?;
    new_file(&out, text.as_bytes())?;
    let holds = paper.check().map_err(|fault| fault.to_string());
    let said = match &holds {
        Ok(()) => "It holds: whoever has the file draws the same.".to_owned(),
        Err(fault) => format!("It does not hold any more: {fault}. Records may have been erased."),
    };
    let (ids, size) = (paper.population.len(), paper.sample.len());
    let json = json!({ "file": out, "population": ids, "size": size, "holds": holds.is_ok() });
    Ok(Answer::new(json, format!("{size} of {ids} in {}. {said}", out.display())))
}

fn verify(text: &str, told: Option<&str>) -> Result<Answer, Failure> {
    let paper: DrawPaper = serde_json::from_str(text).map_err(|_| {
        Failure::refused("this is not a draw as docs/draw.md says").zh("文件不是抽查文件")
    })?;
    if told.is_some_and(|told| !told.eq_ignore_ascii_case(&paper.seed_sha256)) {
        let said = "the seed is not the one whose hash was told when the draw began";
        return Err(Failure::refused(said).zh("种子与抽取时公布的摘要不符"));
    }
    paper.check().map_err(|fault| Failure::refused(fault.to_string()).zh("复算结果不符"))?;
    let (ids, size) = (paper.population.len(), paper.sample.len());
    let at = time(UnixMillis::new(paper.drawn_ms));
    let json = json!({
        "draw_id": paper.draw_id, "area": paper.area, "period": paper.period, "population": ids,
        "size": size, "seed_sha256": paper.seed_sha256, "holds": true,
    });
    let text = format!(
        "{} {}: the seed draws these {size} of {ids}, as on {at}. 复算一致",
        paper.area, paper.period
    );
    Ok(Answer::new(json, text))
}
