//! Who may do what, and the entries of the access log that says who did.

mod log;
mod reads;

pub use log::{AccessAction, AccessEntry, ChainBreak, PersonKey};
pub use reads::{ReadLimits, Reads, TooManyReads, Unusual};

use serde::{Deserialize, Serialize};

use crate::area::AreaCode;
use crate::id::OperatorName;
use crate::numbered::numbered;

numbered! {
    /// Role of an operator; stands in the operator's certificate.
    pub enum Role {
        /// Registers, issues, sends, answers.
        Clerk = 1, "CLERK", "经办人";
        /// Watches clocks and indicators: numbers, never persons.
        Supervisor = 2, "SUPERVISOR", "督导员";
        /// Runs the node; cannot read records.
        Administrator = 3, "ADMINISTRATOR", "管理员";
        /// Reads the access log and proofs.
        Auditor = 4, "AUDITOR", "审计员";
        /// Enters registrations in a village; cannot read back.
        Collector = 5, "COLLECTOR", "采集员";
    }
}

/// What a use case asks for before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Enter a new registration.
    EnterRegistration,
    /// Read one person's records.
    ReadPerson,
    /// Change records: registrations, certificates, consents.
    WriteRecords,
    /// Read and send messages about persons.
    ExchangeMessages,
    /// Propose, accept or end an agreement.
    DecideAgreements,
    /// See stages, clocks and indicators as numbers.
    ReadNumbers,
    /// See state of node, peers and queues, without content.
    OperateNode,
    /// See where messages are, what troubles their delivery, and what the office is reminded of; without content.
    FollowDelivery,
    /// Take a notice off the list, test the way to a peer.
    TendDelivery,
    /// Read the access log and export evidence.
    ReadAccessLog,
    /// Produce the document of a person's rights.
    ServeRights,
    /// Approve a bulk hand-over; two different operators must.
    ApproveBulk,
}

impl Permission {
    /// Every permission, with the words of `docs/roles.md`.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::EnterRegistration, "enter a registration"),
        (Self::ReadPerson, "read a person's records"),
        (Self::WriteRecords, "change records"),
        (Self::ExchangeMessages, "read and send messages about persons"),
        (Self::ServeRights, "serve a person's rights"),
        (Self::DecideAgreements, "decide agreements"),
        (Self::ReadNumbers, "see numbers: clocks, indicators"),
        (Self::ApproveBulk, "approve a hand-over of many records"),
        (Self::FollowDelivery, "see where messages are, and notices"),
        (Self::TendDelivery, "tend delivery: tests, files, notices"),
        (Self::OperateNode, "operate the node"),
        (Self::ReadAccessLog, "read the access log"),
    ];
}

impl Role {
    /// Whether the role includes a permission (design section 10, points 4 and 8). Every pair is named,
    /// so that a new role or permission does not compile until somebody has thought about it.
    pub const fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Clerk => match permission {
                P::EnterRegistration
                | P::ReadPerson
                | P::WriteRecords
                | P::ExchangeMessages
                | P::ReadNumbers
                | P::FollowDelivery
                | P::TendDelivery
                | P::ServeRights => true,
                P::DecideAgreements | P::OperateNode | P::ReadAccessLog | P::ApproveBulk => false,
            },
            Self::Supervisor => match permission {
                P::DecideAgreements
                | P::ReadNumbers
                | P::FollowDelivery
                | P::TendDelivery
                | P::ApproveBulk => true,
                P::EnterRegistration
                | P::ReadPerson
                | P::WriteRecords
                | P::ExchangeMessages
                | P::OperateNode
                | P::ReadAccessLog
                | P::ServeRights => false,
            },
            Self::Administrator => match permission {
                P::OperateNode | P::FollowDelivery | P::TendDelivery => true,
                P::EnterRegistration
                | P::ReadPerson
                | P::WriteRecords
                | P::ExchangeMessages
                | P::DecideAgreements
                | P::ReadNumbers
                | P::ReadAccessLog
                | P::ServeRights
                | P::ApproveBulk => false,
            },
            Self::Auditor => match permission {
                P::ReadAccessLog | P::ReadNumbers | P::FollowDelivery => true,
                P::EnterRegistration
                | P::ReadPerson
                | P::WriteRecords
                | P::ExchangeMessages
                | P::DecideAgreements
                | P::TendDelivery
                | P::OperateNode
                | P::ServeRights
                | P::ApproveBulk => false,
            },
            Self::Collector => match permission {
                P::EnterRegistration => true,
                P::ReadPerson
                | P::WriteRecords
                | P::ExchangeMessages
                | P::DecideAgreements
                | P::ReadNumbers
                | P::FollowDelivery
                | P::TendDelivery
                | P::OperateNode
                | P::ReadAccessLog
                | P::ServeRights
                | P::ApproveBulk => false,
            },
        }
    }

    /// The word in the certificate's organisational unit, for example `clerk`.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Clerk => "clerk",
            Self::Supervisor => "supervisor",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::Collector => "collector",
        }
    }

    /// The role with that word in the certificate's organisational unit.
    pub fn from_unit(unit: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.unit() == unit)
    }
}

/// Somebody who calls the office API, as the certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// Name of the operator.
    pub operator: OperatorName,
    /// Role.
    pub role: Role,
    /// Area the operator works for.
    pub area: AreaCode,
}

impl Caller {
    /// Whether the caller's role includes a permission.
    pub const fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_a_clerk_reads_persons() {
        for role in Role::ALL {
            assert_eq!(role.may(Permission::ReadPerson), *role == Role::Clerk, "{role:?}");
            assert_eq!(Role::from_unit(role.unit()), Some(*role));
        }
        assert!(!Role::Collector.may(Permission::WriteRecords));
        assert!(!Role::Administrator.may(Permission::ReadAccessLog));
    }

    #[test]
    fn everybody_but_a_collector_sees_where_messages_are_and_an_auditor_only_looks() {
        for role in Role::ALL {
            let follows = *role != Role::Collector;
            assert_eq!(role.may(Permission::FollowDelivery), follows, "{role:?}");
            let tends = follows && *role != Role::Auditor;
            assert_eq!(role.may(Permission::TendDelivery), tends, "{role:?}");
        }
    }
}
