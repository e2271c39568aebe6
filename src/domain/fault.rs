//! Whose fault it is that something did not work, so that the right office is called.

use crate::numbered::numbered;
use crate::reason::{Next, Reason};

numbered! {
    /// Whose fault something is, seen from one node.
    pub enum Fault {
        /// This node.
        OwnNode = 1, "OWN_NODE", "本节点";
        /// The node at the other end.
        Peer = 2, "PEER", "对方节点";
        /// A relay on the way.
        Relay = 3, "RELAY", "中转节点";
        /// The network between the two, or a name that leads nowhere.
        Network = 4, "NETWORK", "网络";
        /// What the message says.
        Message = 5, "MESSAGE", "通报内容";
    }
}

impl Fault {
    /// Whose fault a refusal by the peer is.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        match reason.next() {
            Next::CorrectAndResend => Self::Message,
            Next::RetryLater | Next::CheckPeer | Next::ContactPeer => Self::Peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_fault_of_the_message_or_of_the_peer() {
        assert_eq!(Fault::of(Reason::ReasonTextRequired), Fault::Message);
        assert_eq!(Fault::of(Reason::DiskNearlyFull), Fault::Peer);
        for reason in Reason::ALL {
            assert!(matches!(Fault::of(*reason), Fault::Message | Fault::Peer), "{reason:?}");
        }
    }
}
