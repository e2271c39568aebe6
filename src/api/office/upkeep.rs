//! The upkeep service: backups; for administrators.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use domain::access::Permission;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::{BackupReport, Progress, Store};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wire::pb::office as pb;
use wire::pb::office::create_backup_response::Step;
use wire::pb::office::upkeep_service_server::UpkeepService;

use super::Parts;
use crate::api::caller::operator;
use crate::api::status::of_reason;
use crate::app::{Ctx, access, backup};
use crate::config::Settings;
use crate::tasks::Tasks;

/// Steps on their way to the caller; of the progress what does not fit is left out.
const STEPS: usize = 16;

pub(super) struct Upkeep {
    settings: Arc<Settings>,
    store: Store,
    tasks: Tasks,
}

impl Upkeep {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            settings: parts.settings.clone(),
            store: parts.store.clone(),
            tasks: parts.tasks.clone(),
        }
    }
}

type Steps = mpsc::Sender<Result<pb::CreateBackupResponse, Status>>;

#[tonic::async_trait]
impl UpkeepService for Upkeep {
    type CreateBackupStream = ReceiverStream<Result<pb::CreateBackupResponse, Status>>;

    async fn create_backup(
        &self,
        request: Request<pb::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        let ctx = operator(request.extensions(), self.settings.area)?;
        ctx.must(Permission::OperateNode).map_err(Status::from)?;
        access::taken_out(&ctx, &self.store).await?;
        let (steps, answer) = mpsc::channel(STEPS);
        let (store, settings) = (self.store.clone(), self.settings.clone());
        let stopping = self.tasks.stopping();
        let mut told = steps.clone();
        let work = move || {
            let mut watch = |progress: &Progress| {
                tell(&mut told, progress);
                match told.is_closed() || stopping.is_stopped() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            };
            make(&ctx, &store, &settings, &mut watch)
        };
        self.tasks.spawn("backup", async move {
            let done = tokio::task::spawn_blocking(work).await;
            let done = done.unwrap_or_else(|_| Err(of_reason(Reason::Internal)));
            // A caller that has gone hears nothing of it; the files are there all the same.
            let _gone = steps.send(done).await.is_err();
        });
        Ok(Response::new(ReceiverStream::new(answer)))
    }
}

fn make(
    ctx: &Ctx,
    store: &Store,
    settings: &Settings,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<pb::CreateBackupResponse, Status> {
    let report = backup::create(ctx, store, &settings.backup, watch)?;
    Ok(pb::CreateBackupResponse { step: Some(Step::Done(to_pb(&report))) })
}

fn tell(steps: &mut Steps, progress: &Progress) {
    let step = Step::Progress(pb::BackupProgress {
        rows: progress.rows,
        bytes: progress.bytes,
        database_bytes: progress.of_bytes,
    });
    // A slow caller misses some of it.
    let _full = steps.try_send(Ok(pb::CreateBackupResponse { step: Some(step) })).is_err();
}

/// A backup as calls and commands tell of it.
pub(crate) fn to_pb(report: &BackupReport) -> pb::Backup {
    let text = |path: &Path| path.display().to_string();
    pb::Backup {
        file: text(&report.data),
        keys_file: text(&report.keys),
        created_ms: UnixMillis::get(report.created),
        group: report.group,
        rows: report.rows,
        changes: report.changes,
        bytes: report.bytes,
        deleted: report.deleted.iter().map(|path| text(path)).collect(),
    }
}
