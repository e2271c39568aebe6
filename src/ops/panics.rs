//! A panic in any part of a node ends the process: what is on disk is right, and half a node is worse than none.

use std::panic::{self, PanicHookInfo};
use std::process;

/// From now on a panic is logged and ends the process, unless the store catches it.
///
/// Its text is logged only when it is part of the program: one that was put together may hold anything.
pub fn end_the_process() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload().downcast_ref::<&'static str>().copied().unwrap_or_default();
        if store::panics_are_caught() {
            tracing::warn!(at, text, "something panicked inside the store, which has caught it");
            return;
        }
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(
            at,
            text,
            thread,
            "a part of the node panicked, so the process ends; nothing acknowledged is lost"
        );
        process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    const CHILD: &str = "LIANGDI_TEST_PANICS";

    #[test]
    fn a_panic_in_a_task_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            super::end_the_process();
            let thread = std::thread::spawn(|| panic!("in a task"));
            assert!(thread.join().is_err());
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "ops::panics::tests::a_panic_in_a_task_ends_the_process"]);
        child.env(CHILD, "1").stdout(Stdio::null()).stderr(Stdio::null());
        let status = child.status().unwrap();
        assert_eq!(status.signal(), Some(6), "{status}");
    }
}
