//! The parcels of a courier: read from the journal once there is room, made, signed and sent. `delivery::parcels`,
//! `delivery::outbound::journal`.

use std::rc::Rc;

use domain::time::UnixMillis;
use exchange::courier::{Event, ParcelNo};
use exchange::digest::Digest;
use exchange::lane::{LANE_WINDOW, LaneSeq};
use exchange::parcel::{PARCEL_ENVELOPES_MAX, ParcelId, ParcelManifest, envelopes_root};
use exchange::receipt::Offered;
use exchange::relay::effective_deadline;
use exchange::route::Route;
use exchange::runs::SeqRuns;

use super::{Of, Sent, neighbour};
use crate::disk::rows::{Key, Row};
use crate::history::{Fact, ParcelName};
use crate::mail::{Carried, Envelope, Parcel};
use crate::node::session::Room;
use crate::node::{Inner, Node, Waiter, World};
use crate::plan::NodeNo;

impl Node {
    /// Reads a parcel once there is room for it on the session.
    pub(super) fn load(
        &mut self,
        of: Of,
        no: ParcelNo,
        sequences: SeqRuns,
        bytes_max: usize,
        world: &mut World,
    ) {
        let Some(run) = self.run(of) else { return };
        let Some(route) = run.courier.route_of(no) else { return };
        let Some(neighbour) = neighbour(&world.plan, self.no, of.0, route) else { return };
        let Some(run) = self.run(of) else { return };
        run.wanted.insert(no, (neighbour, sequences, bytes_max));
        // Without a session there is no room to come: the loss of the link is on its way to the courier.
        self.ask_for_room(neighbour, Room::Courier(of, no), world);
    }

    /// There is room for a parcel. Says whether it is taken.
    pub(in crate::node) fn room_for_courier(
        &mut self,
        of: Of,
        no: ParcelNo,
        world: &World,
    ) -> bool {
        let Some(run) = self.run(of) else { return false };
        let Some((neighbour, sequences, bytes_max)) = run.wanted.remove(&no) else { return false };
        let loaded = self.read_mail(of, &sequences, bytes_max, world);
        let sequences = loaded.iter().map(|(sequence, _)| *sequence).collect();
        if let Some(run) = self.run(of) {
            run.ready.insert(no, (neighbour, loaded));
        }
        let unreadable = SeqRuns::new();
        self.tell(Inner::Courier(of, Event::Loaded { parcel: no, sequences, unreadable }));
        true
    }

    /// Envelopes of a lane, as many of the first as fit. What has expired or was withdrawn comes without its body.
    pub(in crate::node) fn read_mail(
        &self,
        of: Of,
        sequences: &SeqRuns,
        bytes_max: usize,
        world: &World,
    ) -> Vec<(LaneSeq, Carried)> {
        let (now, mut loaded, mut left) = (self.now(world), Vec::new(), bytes_max);
        let reach =
            sequences.first().map_or(LaneSeq::BEFORE_FIRST, |first| first.plus(LANE_WINDOW));
        for sequence in sequences.iter().take(PARCEL_ENVELOPES_MAX) {
            let Some(envelope) = self.envelope(of, sequence) else { break };
            let bytes = usize::try_from(envelope.open().bytes).unwrap_or(usize::MAX);
            if sequence >= reach || (bytes > left && !loaded.is_empty()) {
                break;
            }
            left = left.saturating_sub(bytes);
            let withdrawn = self.disk.get(&Key::Withdrawn(of.0, of.1, sequence)).is_some();
            let with_body = envelope.header.expires > now && !withdrawn;
            let envelope = Rc::clone(envelope);
            loaded.push((sequence, Carried { envelope, with_body }));
        }
        loaded
    }

    /// What lies in a place of a lane, on disk.
    pub(in crate::node) fn envelope(&self, of: Of, sequence: LaneSeq) -> Option<&Rc<Envelope>> {
        self.disk.durable(&Key::Envelope(of.0, of.1, sequence)).and_then(Row::envelope)
    }

    pub(super) fn deadlines(&self, of: Of, sequences: &SeqRuns) -> Vec<(LaneSeq, UnixMillis)> {
        let deadline = |sequence| {
            let header = &self.envelope(of, sequence)?.header;
            Some((sequence, effective_deadline(header.due, header.created)))
        };
        sequences.iter().filter_map(deadline).collect()
    }

    /// Makes, signs and sends a parcel of what was read.
    pub(super) fn send_loaded(&mut self, of: Of, no: ParcelNo, route: Route, world: &mut World) {
        let now = self.now(world);
        let (parcel, sequences, offered) = {
            let ready = self.run(of).and_then(|run| run.ready.remove(&no));
            let Some((_, loaded)) = ready else { return };
            let (sequences, carried): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
            let (parcel, offered) = self.build(of.0, carried, now, world);
            (parcel, sequences, offered)
        };
        let signed = Rc::clone(&parcel.signed);
        let sent = Sent { route, since: now, parcel: signed, offered, sequences, answered: None };
        if let Some(run) = self.run(of) {
            run.offered.insert(no, sent);
        }
        if let Some(neighbour) = neighbour(&world.plan, self.no, of.0, route) {
            self.departs(&parcel, neighbour, world);
            self.send_parcel(neighbour, Waiter::Courier(of.0, of.1), parcel, world);
        }
    }

    pub(in crate::node) fn build(
        &self,
        peer: NodeNo,
        carried: Vec<Carried>,
        now: UnixMillis,
        world: &mut World,
    ) -> (Parcel, Vec<Offered>) {
        let offered: Vec<_> = carried.iter().map(|c| offered(&c.envelope)).collect();
        let digests: Vec<Digest> = offered.iter().map(|offered| offered.digest).collect();
        let envelopes: Rc<[Carried]> = carried.into();
        let numbered = (0..).zip(envelopes.iter());
        let withdrawn = numbered.filter(|(_, c)| !c.with_body).map(|(at, _)| at).collect();
        let manifest = ParcelManifest {
            parcel_id: ParcelId::from_bytes(world.dice.node.bytes()),
            from: self.area,
            to: world.plan.area(peer),
            count: u32::try_from(digests.len()).unwrap_or(u32::MAX),
            root: envelopes_root(&digests),
            signed: now,
            signer: self.key.signer_id(),
            withdrawn,
        };
        let signed = self.key.sign(manifest);
        (Parcel { signed, envelopes, custody: Vec::new() }, offered)
    }

    /// Notes which messages leave in a parcel of ours.
    pub(in crate::node) fn departs(&self, parcel: &Parcel, hand: NodeNo, world: &mut World) {
        let name = ParcelName::from(parcel.manifest().parcel_id);
        for carried in parcel.envelopes.iter() {
            let (message, body) = (carried.envelope.open().message, carried.with_body);
            world.note(self.no, Fact::Departed { message, parcel: name, hand, body });
        }
    }
}

/// What the sender remembers of an envelope, to check the answer.
pub(in crate::node) fn offered(envelope: &Envelope) -> Offered {
    Offered { message_id: envelope.header.message_id, digest: envelope.digest() }
}
