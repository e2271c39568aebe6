//! The only place that spawns tasks: each has a name, and a stop that all of them hear.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The tasks of a node. Clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    // The set is touched only to add a task or to take all of them out; never across an await.
    set: Arc<Mutex<JoinSet<()>>>,
    stop: Arc<watch::Sender<bool>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { set: Arc::default(), stop: Arc::new(watch::Sender::new(false)) }
    }
}

/// Hears the stop of a [`Tasks`].
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Resolves when the node stops.
    pub async fn stopped(&mut self) {
        // An error means that the node is gone, which is a stop as well.
        let _gone = self.0.wait_for(|stopped| *stopped).await.is_err();
    }

    /// Whether the node is stopping.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

impl Tasks {
    /// Runs `task` until it ends or the node has drained.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks are taken out as new ones come, so that the set stays as small as the work.
        while set.try_join_next().is_some() {}
        tracing::trace!(task = name, "task started");
        set.spawn(task)
    }

    /// A listener for the stop.
    #[must_use]
    pub fn stopping(&self) -> Stopping {
        Stopping(self.stop.subscribe())
    }

    /// Tells every task to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until every task has ended, at most `limit`; what is left is then ended. Says how many that were.
    pub async fn drain(&self, limit: Duration) -> usize {
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_ok() {
            return 0;
        }
        let left = set.len();
        set.shutdown().await;
        left
    }
}
