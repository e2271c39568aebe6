//! What can be planned on the timeline of a world.

use std::rc::Rc;

use domain::id::MessageId;

use crate::mail::{Bundle, Frame};
use crate::network::ConnNo;
use crate::node::Timer;
use crate::plan::NodeNo;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
}

impl End {
    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// How often a node's program has been started; what belongs to an earlier life does not reach a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life(pub(crate) u32);

/// What happens at a time that is known.
#[derive(Debug)]
pub(crate) enum Coming {
    /// A call reaches a node.
    Called { conn: ConnNo, caller: NodeNo, callee: NodeNo },
    /// A call was taken.
    Answered { conn: ConnNo, caller: NodeNo },
    /// A connection is over, for the end that hears it now.
    HungUp { conn: ConnNo, node: NodeNo },
    /// A frame reaches an end of a connection.
    Frame { conn: ConnNo, to: End, node: NodeNo, frame: Frame },
    /// A group of units is on a node's disk.
    Synced { node: NodeNo, life: Life },
    /// A timer of a node has run out.
    Woken { node: NodeNo, life: Life, timer: Timer, wish: u64 },
    /// Somebody sets out with a file from one node for another.
    Carry { from: NodeNo, to: NodeNo },
    /// A file arrives at the node it is for.
    File { file: Rc<Bundle> },
    /// A clerk of a node writes, and somebody in another county will read it.
    Clerk { node: NodeNo },
    /// A clerk answers a message that the node has stored.
    Answer { node: NodeNo, asked: MessageId },
    /// A clerk withdraws a message.
    Withdraw { node: NodeNo, message: MessageId },
    /// A trouble of the plan begins.
    Begin(usize),
    /// A trouble of the plan ends.
    End(usize),
    /// A node's program starts again.
    Start { node: NodeNo },
    /// No more troubles from here on: what is still broken is mended.
    Calm,
}
