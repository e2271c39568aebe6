//! Making a backup of the node's data while it works.

use std::ops::ControlFlow;

use domain::access::Permission;
use domain::area::AreaCode;
use domain::reason::Reason;
use domain::time::UnixMillis;
use store::{BackupError, BackupReport, Progress, Store};

use crate::app::{AppError, Ctx, Refusal};
use crate::config::BackupSettings;
use crate::errors::chain;

/// Makes a backup; blocks for as long as it takes. `watch` hears about it once a megabyte and may end it.
///
/// # Errors
/// `ROLE_REQUIRED`, `BUSY` while another is being made, `BACKUP_FAILED` with what is in the way.
pub fn create(
    ctx: &Ctx,
    store: &Store,
    settings: &BackupSettings,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<BackupReport, AppError> {
    ctx.must(Permission::OperateNode)?;
    let made = store.backup(&settings.dir, settings.keep, ctx.now, watch);
    let report = made.map_err(|error| match error {
        BackupError::Read(error) => AppError::from(error),
        BackupError::Stopped(Some(failure)) => AppError::StoreStopped(failure),
        BackupError::Stopped(None) => AppError::StoreClosed,
        BackupError::Running => Refusal::new(Reason::Busy).detail(chain(&error)).into(),
        // What is in the way names files of the node, which its administrator may know.
        other => Refusal::new(Reason::BackupFailed).detail(chain(&other)).into(),
    })?;
    tracing::info!(
        file = %report.data.display(),
        group = report.group,
        rows = report.rows,
        changes = report.changes,
        bytes = report.bytes,
        "a backup was made"
    );
    Ok(report)
}

/// When the newest backup in the node's own directory was begun; nothing when there is none, or none that can be read.
#[must_use]
pub fn newest(settings: &BackupSettings, area: AreaCode) -> Option<UnixMillis> {
    let header = store::newest_backup(&settings.dir, area.as_str()).ok().flatten();
    header.map(|header| header.created)
}
