//! The import service: rows become values here, and are taken in by the use case.

use domain::area::AreaCode;
use domain::id::MessageId;
use domain::message::PrintedNumber;
use domain::numbered::Numbered as _;
use domain::old_case::OldCase;
use domain::reason::Reason;
use domain::rule::Rule;
use store::Store;
use store::oversight::ImportState;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::import_service_server::ImportService;
use wire::records::Form;

use super::Parts;
use super::field::invalid;
use crate::access_file::hash;
use crate::api::caller::operator;
use crate::api::status::of_reason;
use crate::app::import::{self, BATCH_ROWS_MAX, Begin, Import, Kind, Record, Row, Trouble, Wrong};
use crate::errors::chain;
use crate::tasks::Tasks;

/// Largest batch of rows, bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct Imports {
    area: AreaCode,
    store: Store,
    tasks: Tasks,
}

impl Imports {
    /// The service; what a stop or a power failure has interrupted goes on.
    pub(super) fn new(parts: &Parts) -> Self {
        let own = Self {
            area: parts.settings.area,
            store: parts.store.clone(),
            tasks: parts.tasks.clone(),
        };
        match import::unfinished(&own.store) {
            Ok(unfinished) => unfinished.into_iter().for_each(|id| own.complete(id)),
            Err(error) => tracing::error!("imports cannot be gone on with: {}", chain(&error)),
        }
        own
    }

    fn complete(&self, id: [u8; 16]) {
        let (store, stopping) = (self.store.clone(), self.tasks.stopping());
        self.tasks.spawn("import", async move {
            if let Err(error) = import::apply(&store, id, || stopping.is_stopped()).await {
                tracing::error!("an import waits for the next start: {}", chain(&error));
            }
        });
    }
}

#[tonic::async_trait]
impl ImportService for Imports {
    async fn begin_import(
        &self,
        request: Request<pb::BeginImportRequest>,
    ) -> Result<Response<pb::BeginImportResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::BeginImportRequest { kind, file_sha256, dry_run, resume } = request.into_inner();
        let kind = u8::try_from(kind).ok().and_then(Kind::from_number);
        let begin = Begin {
            kind: kind.ok_or_else(|| invalid("kind"))?,
            file: hash(&file_sha256).ok_or_else(|| invalid("file_sha256"))?,
            dry_run,
            resume,
        };
        let import = import::begin(&ctx, &self.store, begin).await?;
        Ok(Response::new(pb::BeginImportResponse { import: Some(to_pb(&import)) }))
    }

    async fn put_import_rows(
        &self,
        request: Request<pb::PutImportRowsRequest>,
    ) -> Result<Response<pb::PutImportRowsResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let pb::PutImportRowsRequest { import_id, batch, rows } = request.into_inner();
        if rows.len() > BATCH_ROWS_MAX {
            return Err(of_reason(Reason::TooLarge));
        }
        let id = id(&import_id)?;
        let kind = import::get(&ctx, &self.store, id)?.row.kind;
        let (mut read, mut unread) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let line = row.line;
            match row_of(row, kind) {
                Ok(row) => read.push(row),
                Err(findings) => unread.extend(
                    findings.into_iter().map(|f| Wrong { line, trouble: Trouble::Rule(f) }),
                ),
            }
        }
        let put = import::put(&ctx, &self.store, id, batch, read, unread).await?;
        Ok(Response::new(pb::PutImportRowsResponse {
            findings: put.wrong.iter().map(finding).collect(),
            import: Some(to_pb(&put.import)),
        }))
    }

    async fn finish_import(
        &self,
        request: Request<pb::FinishImportRequest>,
    ) -> Result<Response<pb::FinishImportResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let id = id(&request.get_ref().import_id)?;
        let import = import::finish(&ctx, &self.store, id).await?;
        self.complete(id);
        Ok(Response::new(pb::FinishImportResponse { import: Some(to_pb(&import)) }))
    }

    async fn get_import(
        &self,
        request: Request<pb::GetImportRequest>,
    ) -> Result<Response<pb::GetImportResponse>, Status> {
        let ctx = operator(request.extensions(), self.area)?;
        let import = import::get(&ctx, &self.store, id(&request.get_ref().import_id)?)?;
        Ok(Response::new(pb::GetImportResponse { import: Some(to_pb(&import)) }))
    }
}

fn id(text: &str) -> Result<[u8; 16], Status> {
    let id: MessageId = text.parse().map_err(|_| invalid("import_id"))?;
    Ok(*id.as_bytes())
}

/// A row as values, or everything that is wrong with it.
fn row_of(row: pb::ImportRow, kind: u8) -> Result<Row, Vec<domain::rule::Finding>> {
    let pb::ImportRow { line, person, registration, certificate_number, issued_on, old_case } = row;
    let mut form = Form::new();
    let person = form.person("person", person);
    let record = if kind == Kind::OldCase.number() {
        old_case_of(&mut form, old_case).map(Record::OldCase)
    } else if kind == Kind::Certificate.number() {
        let number = form.parsed("certificate_number", &certificate_number);
        let issued = form.parsed("issued_on", &issued_on);
        number.zip(issued).map(|(number, issued)| Record::Certificate(number, issued))
    } else {
        form.registration("registration", registration).map(Record::Registration)
    };
    let whole = person.zip(record).map(|(person, record)| Row { line, person, record });
    form.finish(whole)
}

fn old_case_of(form: &mut Form, case: Option<pb::OldCase>) -> Option<OldCase> {
    let case = form.there("old_case", case)?;
    let number = form.read("old_case.number", &case.number, PrintedNumber::parse);
    let kind = domain::message::Kind::from_name(&case.kind);
    if kind.is_none() {
        form.broken(Rule::KindName, "old_case.kind");
    }
    let (ours, state) = (
        form.chosen("old_case.ours", case.ours),
        form.chosen("old_case.old_state", case.old_state),
    );
    let other = form.area("old_case.other", &case.other);
    let opened_on = form.parsed("old_case.opened_on", &case.opened_on);
    let ended_on = form.maybe_parsed("old_case.ended_on", &case.ended_on);
    Some(OldCase {
        number: number?,
        kind: kind?,
        ours: ours?,
        other: other?,
        opened_on: opened_on?,
        state: state?,
        ended_on,
    })
}

fn finding(wrong: &Wrong) -> pb::ImportFinding {
    let line = wrong.line;
    match &wrong.trouble {
        Trouble::Line(reason, field, earlier) => {
            let plain = Trouble::Reason(*reason, field);
            let plain = finding(&Wrong { line, trouble: plain });
            pb::ImportFinding {
                text_zh: format!("{}见第{earlier}行。", plain.text_zh),
                text_en: format!("{} See line {earlier}.", plain.text_en),
                earlier_line: *earlier,
                ..plain
            }
        }
        Trouble::Rule(finding) => pb::ImportFinding {
            earlier_line: 0,
            line,
            field: finding.field.to_string(),
            code: finding.rule.code().to_owned(),
            text_zh: finding.rule.text_zh().to_owned(),
            text_en: finding.rule.text_en().to_owned(),
            fix_zh: finding.rule.fix_zh().to_owned(),
            fix_en: finding.rule.fix_en().to_owned(),
        },
        Trouble::Reason(reason, field) => pb::ImportFinding {
            earlier_line: 0,
            line,
            field: (*field).to_owned(),
            code: reason.code().to_owned(),
            text_zh: reason.text_zh().to_owned(),
            text_en: reason.text_en().to_owned(),
            fix_zh: reason.todo_zh().to_owned(),
            fix_en: reason.todo_en().to_owned(),
        },
    }
}

fn to_pb(import: &Import) -> pb::Import {
    let row = &import.row;
    let state = match row.state {
        ImportState::Staging if row.dry_run => pb::ImportState::CheckOnly,
        // One that is given up is shown to nobody.
        ImportState::Staging | ImportState::GivenUp => pb::ImportState::Staging,
        ImportState::Committed => pb::ImportState::Committed,
        ImportState::Done => pb::ImportState::Done,
    };
    pb::Import {
        import_id: MessageId::from_bytes(import.id).to_string(),
        kind: i32::from(row.kind),
        state: state.into(),
        dry_run: row.dry_run,
        batches: row.batches,
        rows: row.rows,
        rows_wrong: row.wrong,
        written: row.written,
        skipped: row.skipped,
        skipped_lines: row.skipped_lines.clone(),
    }
}
