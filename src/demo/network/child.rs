//! One node as a child process: its log in a file, and a pipe that tells it to stop also when we are gone.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{self, Command};

use super::{Member, NetworkError};

/// A node gets this long to stop in order: its calls end within ten seconds.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running node. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Child(process::Child);

impl Child {
    pub(super) fn start(
        program: &Path,
        member: &Member,
        log: Option<&str>,
    ) -> Result<Self, NetworkError> {
        let file = OpenOptions::new().create(true).append(true).open(&member.log);
        let file = file.map_err(NetworkError::file(&member.log))?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--stop-with-stdin", "--config"])
            .arg(&member.config)
            // Nobody writes into it. It closes when we stop the node, and also when we die in whatever way.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C goes to a whole group of processes; these are stopped by us, in order.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(log) = log {
            command.env("LIANGDI_LOG", log);
        }
        let failed = |source| NetworkError::Process { area: member.area, source };
        command.spawn().map(Self).map_err(failed)
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.0.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// SIGKILL: the process does not hear of it.
    pub(super) async fn kill(mut self) -> io::Result<()> {
        self.0.kill().await
    }

    pub(super) fn ask_to_stop(&mut self) {
        drop(self.0.stdin.take());
    }

    /// Asks it to stop and waits; says whether it ended well. One that takes too long is killed.
    pub(super) async fn stop(mut self) -> io::Result<bool> {
        self.ask_to_stop();
        match tokio::time::timeout(STOP_WITHIN, self.0.wait()).await {
            Ok(ended) => Ok(ended?.success()),
            Err(_) => self.0.kill().await.map(|()| false),
        }
    }
}
