//! What is between the nodes. What has reached one and is not written there counts as still on its way: a crash loses
//! either.

use super::letters::Parcel;
use super::letters::ParcelName;
use super::letters::Word;

/// A stream, by the node that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stream {
    /// From the sender's courier of that epoch to the recipient.
    Direct(u64),
    /// From the sender's courier of that epoch to the relay.
    ToRelay(u64),
    /// From the relay to the recipient.
    Onward,
}

impl Stream {
    /// Whether the recipient is at its end.
    pub(crate) const fn leads_to_recipient(self) -> bool {
        matches!(self, Self::Direct(_) | Self::Onward)
    }
}

/// A parcel on a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Coming {
    pub(crate) stream: Stream,
    /// Whether the stream still stands, so that it can be answered. What lies in buffers may arrive
    /// even when it does not.
    pub(crate) live: bool,
    pub(crate) parcel: Parcel,
}

/// A word on its way back on the stream that the parcel came by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) stream: Stream,
    pub(crate) parcel: ParcelName,
    pub(crate) word: Word,
}

/// Everything that is on its way. Order means nothing, so equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    coming: Vec<Coming>,
    replies: Vec<Reply>,
}

impl Network {
    pub(crate) fn coming(&self) -> &[Coming] {
        &self.coming
    }

    pub(crate) fn replies(&self) -> &[Reply] {
        &self.replies
    }

    pub(crate) fn send(&mut self, stream: Stream, parcel: Parcel) {
        self.coming.push(Coming { stream, live: true, parcel });
        self.coming.sort_unstable();
    }

    /// Nothing when the stream is gone.
    pub(crate) fn reply(&mut self, to: &Coming, word: Word) {
        if to.live {
            self.replies.push(Reply { stream: to.stream, parcel: to.parcel.name, word });
            self.replies.sort_unstable_by_key(|reply| (reply.stream, reply.parcel));
        }
    }

    /// A parcel reaches the node at the end; it may reach it again.
    pub(crate) fn take_parcel(&mut self, at: usize, again: bool) -> Coming {
        if again { self.coming[at].clone() } else { self.coming.remove(at) }
    }

    pub(crate) fn take_reply(&mut self, at: usize, again: bool) -> Reply {
        if again { self.replies[at].clone() } else { self.replies.remove(at) }
    }

    pub(crate) fn lose_parcel(&mut self, at: usize) {
        self.coming.remove(at);
    }

    pub(crate) fn lose_reply(&mut self, at: usize) {
        self.replies.remove(at);
    }

    /// The stream is gone: no word comes back on it.
    pub(crate) fn cut(&mut self, stream: Stream) {
        for coming in &mut self.coming {
            coming.live &= coming.stream != stream;
        }
        self.replies.retain(|reply| reply.stream != stream);
        self.coming.sort_unstable();
    }

    /// What lies in buffers of streams that are gone never arrives.
    pub(crate) fn drop_stale(&mut self) {
        self.coming.retain(|coming| coming.live);
    }
}
