//! `liangdi case`: what is to be done, earliest due first, and the steps that a case allows.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use domain::area::AreaCode;
use domain::case::{Pairing, TransferCause};
use domain::id::{CaseId, MessageId};
use domain::message::Kind;

use serde_json::json;

use super::connect::{ConnectArgs, Office, message, office};
use super::exit::Failure;
use super::given::{AccessArgs, DocumentArgs, PageArgs, choice, number};
use super::message::{BY_WEEKDAYS, compose, send::pair};
use super::output::Answer;
use super::view;

/// Columns of a list.
const COLUMNS: [&str; 8] =
    ["case_id", "version", "kind", "stage", "turn", "due_on", "late", "asking"];

/// Columns of old cases.
const OLD_COLUMNS: [&str; 7] =
    ["number", "kind", "ours", "other", "opened_on", "old_state", "ended_on"];

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
    /// Cases, earliest due first 列出
    List(List),
    /// One case with its steps 查看
    Show {
        /// Case 个案编号
        case: CaseId,
    },
    /// Cases about one person from before there was a node 历史个案
    Old {
        #[command(flatten)]
        document: DocumentArgs,
        #[command(flatten)]
        access: AccessArgs,
    },
    /// Note what came of looking for the person 配对
    Pair {
        #[command(flatten)]
        on: On,
        /// What came of it 配对结果
        #[arg(value_parser = choice(Pairing::chinese))]
        outcome: Pairing,
    },
    /// Note that the facts were checked 核实
    Verify {
        #[command(flatten)]
        on: On,
    },
    /// Answer, with the document that the case asks for 答复
    Answer {
        #[command(flatten)]
        on: On,
        /// A field of the answer; may be given several times (see: liangdi message kinds KIND)
        #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = pair)]
        pairs: Vec<(String, String)>,
        /// Fields of the answer as a JSON object
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Remind the office whose turn it is 催办
    Remind {
        #[command(flatten)]
        on: On,
        /// Remark 备注
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Ask for what is missing; the clock stands still until it comes 补正
    Clarify {
        #[command(flatten)]
        on: On,
        /// What is missing 需补正的内容
        question: String,
    },
    /// Give what was asked for 补正答复
    Clarification {
        #[command(flatten)]
        on: On,
        /// What was asked for 补正内容
        answer: String,
    },
    /// Give the case back, for a written reason 退回
    Reject {
        #[command(flatten)]
        on: On,
        /// Written reason 理由
        #[arg(long)]
        reason: String,
    },
    /// The right area takes our side over, if it accepts: wrong county, or the person moved 转办
    Forward {
        #[command(flatten)]
        on: On,
        #[command(flatten)]
        offer: Offer,
    },
    /// Offer our side of the case to another office 移交
    HandOver {
        #[command(flatten)]
        on: On,
        #[command(flatten)]
        offer: Offer,
    },
    /// Accept a case that another office offers 接受移交
    Accept {
        #[command(flatten)]
        on: On,
    },
    /// Withdraw our offer 撤回移交
    Withdraw {
        #[command(flatten)]
        on: On,
    },
    /// Put a message of ours right 更正
    Correct {
        #[command(flatten)]
        on: On,
        /// The message that was wrong 所更正的通报
        message: MessageId,
        /// What it should have said 更正内容
        correction: String,
    },
    /// Take the case back, for a written reason 作废
    Void {
        #[command(flatten)]
        on: On,
        /// Written reason 理由
        #[arg(long)]
        reason: String,
    },
    /// Close the case: this office has what it needs 办结
    Close {
        #[command(flatten)]
        on: On,
        /// Remark 备注
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(ClapArgs, Debug)]
struct List {
    /// Which cases 范围
    #[arg(long, value_enum, default_value_t = Which::Ours)]
    which: Which,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Where it is our turn 待办
    Ours,
    /// Where it is another office's turn 待对方
    Theirs,
    /// Whose first message is not here yet 待来件
    Waiting,
    /// All 全部
    All,
}

/// The case, and the page that the operator saw.
#[derive(ClapArgs, Debug)]
struct On {
    /// Case 个案编号
    case: CaseId,
    /// Version of the page that you saw, as case show tells it: the step is refused when the case has gone on since 版本
    #[arg(long = "seen-version", value_name = "NUMBER")]
    seen: u64,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

#[derive(ClapArgs, Debug)]
struct Offer {
    /// The other office 移交至
    #[arg(long, value_name = "CODE")]
    to: AreaCode,
    /// Why 移交原因
    #[arg(long, value_parser = choice(TransferCause::chinese))]
    cause: TransferCause,
    /// Days for which the offer stands 有效天数
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    days: u16,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<Answer, Failure> {
    use office::take_case_step_request::Step;
    let office = args.connect.open().await?;
    let (on, step) = match args.verb {
        Verb::List(given) => return list(&office, given).await,
        Verb::Show { case } => return Ok(view::answer(&show(&office, case).await?)),
        Verb::Old { document, access } => {
            let document = Some(document.read()?);
            let request = office::ListOldCasesRequest { document, access: Some(access.read()) };
            let old = office.cases().list_old_cases(request).await?.into_inner();
            let rows = view::rows(&old.old_cases, &OLD_COLUMNS);
            return Ok(Answer::new(json!({ "old_cases": rows.json }), rows.text));
        }
        Verb::Answer { on, pairs, file } => {
            let kind = show(&office, on.case).await?.kind;
            let kind = Kind::from_name(&kind).and_then(Kind::answered_by).ok_or_else(|| {
                Failure::refused("this case asks for no answer").zh("此个案无需答复")
            })?;
            let content = message::Content::default();
            let content = compose::fill(content, kind, file.as_deref(), &pairs)?;
            (on, Step::Answer(content))
        }
        Verb::Pair { on, outcome } => (on, Step::Pair(number(Some(outcome)))),
        Verb::Verify { on } => (on, Step::Verify(office::VerifyCase {})),
        Verb::Remind { on, note } => (on, Step::Remind(message::Remind { note })),
        Verb::Clarify { on, question } => (on, Step::Clarify(message::Clarify { question })),
        Verb::Clarification { on, answer } => (on, Step::Clarification(answer)),
        Verb::Reject { on, reason } => (on, Step::Reject(message::Reject { reason })),
        Verb::Forward { on, offer } | Verb::HandOver { on, offer } => {
            (on, Step::HandOver(offered(&offer)))
        }
        Verb::Accept { on } => (on, Step::Accept(office::AcceptCase {})),
        Verb::Withdraw { on } => (on, Step::Withdraw(office::WithdrawCase {})),
        Verb::Correct { on, message, correction } => {
            let message_id = message.to_string();
            (on, Step::Correct(office::CorrectCase { message_id, correction }))
        }
        Verb::Void { on, reason } => (on, Step::Void(message::Void { reason })),
        Verb::Close { on, note } => (on, Step::Close(message::Close { note })),
    };
    take(&office, on, step).await
}

fn offered(offer: &Offer) -> office::OfferCase {
    let days = std::time::Duration::from_secs(u64::from(offer.days).saturating_mul(86_400));
    office::OfferCase {
        to: offer.to.to_string(),
        cause: number(Some(offer.cause)),
        until_ms: crate::time::SystemClock.now().saturating_add(days).get(),
    }
}

async fn take(
    office: &Office,
    on: On,
    step: office::take_case_step_request::Step,
) -> Result<Answer, Failure> {
    let request = office::TakeCaseStepRequest {
        case_id: on.case.to_string(),
        // Never the newest, read here: that would be a page that nobody has seen.
        expected_version: on.seen,
        idempotency_key: on.idempotency_key,
        step: Some(step),
    };
    let response = office.cases().take_case_step(request).await?.into_inner();
    Ok(view::answer(&response.case.unwrap_or_default()))
}

async fn show(office: &Office, case: CaseId) -> Result<office::Case, Failure> {
    let request = office::ShowCaseRequest { case_id: case.to_string() };
    let response = office.cases().show_case(request).await?.into_inner();
    Ok(response.case.unwrap_or_default())
}

async fn list(office: &Office, given: List) -> Result<Answer, Failure> {
    let which = match given.which {
        Which::Ours => office::CaseList::Ours,
        Which::Theirs => office::CaseList::Theirs,
        Which::Waiting => office::CaseList::Waiting,
        Which::All => office::CaseList::All,
    };
    let request = office::ListCasesRequest {
        which: which.into(),
        page_size: given.page.limit,
        page_token: given.page.after,
    };
    let page = office.cases().list_cases(request).await?.into_inner();
    let rows = view::rows(&page.cases, &COLUMNS);
    let next = page.next_page_token;
    let answer = Answer::new(json!({ "cases": rows.json, "next_page_token": next }), rows.text);
    let weekdays = page.cases.iter().any(|it| it.due_counted() == office::DueCount::Weekdays);
    let answer = if weekdays { answer.and(BY_WEEKDAYS) } else { answer };
    Ok(if next.is_empty() { answer } else { answer.and(&format!("\nMore: --after {next}")) })
}
