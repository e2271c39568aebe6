//! A content that was opened and checked, on its way to the committer.

use domain::agreement::is_reduction;
use domain::id::MessageId;
use domain::message::{Body, Content, Kind};
use domain::time::UnixMillis;
use wire::content::decode_content;

use super::NewSubject;
use crate::app::progress::Openings;

/// A content that may be stored.
#[derive(Debug)]
pub struct Fit {
    pub(super) kind: Kind,
    pub(super) case: Option<MessageId>,
    pub(super) in_reply_to: Option<MessageId>,
    pub(super) parsed: Content,
    /// The same as it came.
    pub(super) content: Vec<u8>,
    pub(super) subject: NewSubject,
    /// What a report says of our own messages.
    pub(super) openings: Openings,
}

impl Fit {
    /// Whether this is what is kept: the same, the same without what was not agreed, or what was deleted since.
    pub(super) fn is_of(&self, kept: &[u8]) -> bool {
        let reduced = || decode_content(kept).is_ok_and(|kept| is_reduction(&kept, &self.parsed));
        self.content == kept || kept.is_empty() || reduced()
    }

    /// Whether somebody here has to answer it.
    pub(super) fn is_answered(&self) -> bool {
        self.kind.answered_by().is_some()
    }

    /// Takes a content that [`Content::check`] has passed, with its serialised form.
    #[must_use]
    pub fn new(store: &store::Store, content: Content, bytes: Vec<u8>, now: UnixMillis) -> Self {
        Self {
            kind: content.kind(),
            case: content.case.map(|case| case.opening_message()),
            in_reply_to: content.in_reply_to,
            content: bytes,
            subject: NewSubject::of(store, Some(&content), now),
            openings: match &content.body {
                Body::ProgressReport(report) => report.openings.clone(),
                _ => Openings::new(),
            },
            parsed: content,
        }
    }
}
