//! Courier and receiver against each other, over a pipe and on disks that fail in every order.
//!
//! A [`World`] performs the effects of both ends the way the shells do, one small step at a time, in an
//! order that the test chooses: parcels are lost, repeated and late, receipts too, both ends crash between
//! any two steps, the sender is restored from a backup. Then everything is left alone to finish, and what
//! must be true is true.

mod far_end;
mod world;

use proptest::prelude::*;

use world::World;

#[derive(Clone, Debug)]
enum Step {
    /// The sender accepts so many messages.
    Submit(u8),
    /// One of the things that the sender's shell has to do gets done, or fails.
    Perform(usize, Luck),
    /// One parcel in the pipe reaches the receiver; it may stay in the pipe, its receipt may be lost.
    Parcel {
        which: usize,
        repeat: bool,
        lose_receipt: bool,
    },
    /// One receipt in the pipe reaches the sender; it may stay in the pipe.
    Receipt {
        which: usize,
        repeat: bool,
    },
    /// Something in the pipe vanishes.
    Lose(usize),
    LinkLost,
    PeerSeen,
    SenderCrash,
    /// Somebody offers other content under a number that was used.
    Forge(usize),
    /// A person withdraws a message.
    Withdraw(usize),
    Backup,
    /// The sender's disk is replaced by the backup: a new epoch.
    Restore,
    Pass {
        millis: u64,
    },
}

/// How well something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Good,
    /// A load reads only so many envelopes.
    Partly(u8),
    Bad,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![4 => Just(Luck::Good), 1 => (0..4_u8).prop_map(Luck::Partly), 1 => Just(Luck::Bad)]
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<usize>;
    let chance = || prop::bool::weighted(0.2);
    prop_oneof![
        6 => (1..20_u8).prop_map(Step::Submit),
        16 => (index(), luck()).prop_map(|(which, luck)| Step::Perform(which, luck)),
        10 => (index(), chance(), chance())
            .prop_map(|(which, repeat, lose_receipt)| Step::Parcel { which, repeat, lose_receipt }),
        10 => (index(), chance()).prop_map(|(which, repeat)| Step::Receipt { which, repeat }),
        2 => index().prop_map(Step::Lose),
        2 => Just(Step::LinkLost),
        1 => Just(Step::PeerSeen),
        1 => Just(Step::SenderCrash),
        1 => index().prop_map(Step::Forge),
        1 => index().prop_map(Step::Withdraw),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        4 => prop_oneof![0..10_u64, 0..2000_u64, 0..100_000_u64].prop_map(|millis| Step::Pass { millis }),
    ]
}

fn run(world: &mut World, step: &Step) {
    match step {
        Step::Submit(count) => world.submit(*count),
        Step::Perform(which, luck) => world.perform(*which, *luck),
        Step::Parcel { which, repeat, lose_receipt } => {
            world.parcel_arrives(*which, *repeat, *lose_receipt);
        }
        Step::Receipt { which, repeat } => world.receipt_arrives(*which, *repeat),
        Step::Lose(which) => world.lose(*which),
        Step::LinkLost => world.link_lost(),
        Step::PeerSeen => world.peer_seen(),
        Step::SenderCrash => world.sender_crash(),
        Step::Forge(which) => world.forge(*which),
        Step::Withdraw(which) => world.withdraw(*which),
        Step::Backup => world.backup(),
        Step::Restore => world.restore(),
        Step::Pass { millis } => world.pass(*millis),
    }
}

proptest! {
    #[test]
    fn every_message_is_applied_once_and_the_sender_knows(
        steps in prop::collection::vec(step(), 0..200), seed in any::<u64>(),
        window in 1..4_u32, envelopes in 1..12_u32, fill in 1..8_u32,
    ) {
        let mut world = World::new(seed, window, envelopes, fill);
        for step in &steps {
            run(&mut world, step);
        }
        world.finish();
        world.check_the_end();
    }
}

#[test]
fn a_long_lane_behind_one_that_is_put_off_for_long_stays_bounded() {
    let mut world = World::new(1, 4, 512, 64);
    (0..60).for_each(|_| world.submit(250));
    world.finish();
    world.check_the_end();
}
