//! What goes over a session: parcels as far as there are places, frames as far as there are turns.
//! `delivery::session::pump`.

use exchange::parcel::ParcelId;

use super::{Room, TURNS, Via, WORD_TIMEOUT};
use crate::coming::End;
use crate::disk::rows::Key;
use crate::mail::{Frame, Parcel, Returned};
use crate::network::ConnNo;
use crate::node::{Memory, Node, Timer, Waiter, World};
use crate::plan::NodeNo;

impl Node {
    pub(in crate::node) fn send(&mut self, conn: ConnNo, to: End, frame: Frame, world: &mut World) {
        let World { network, timeline, now, .. } = world;
        network.send(timeline, *now, (conn, to), frame);
    }

    /// Sends on a session, if it still stands.
    pub(in crate::node) fn reply(&mut self, via: Via, frame: Frame, world: &mut World) {
        let Via::Session(conn) = via else { return };
        let session = self.memory.as_ref().and_then(|memory| memory.sessions.get(&conn));
        if let Some(us) = session.map(|session| session.us) {
            self.send(conn, us.other(), frame, world);
        }
    }

    /// Somebody wants a place for a parcel. He hears at once or later, unless there is no session.
    pub(in crate::node) fn ask_for_room(
        &mut self,
        neighbour: NodeNo,
        room: Room,
        world: &mut World,
    ) {
        let Some(memory) = &mut self.memory else { return };
        let conn = memory.neighbours.get(&neighbour).and_then(|known| known.mail);
        let session = conn.and_then(|conn| memory.sessions.get_mut(&conn));
        let (Some(conn), Some(session)) = (conn, session) else { return };
        session.queue.push_back(room);
        let all = u64::try_from(session.queue.len() + session.waiting.len()).unwrap_or(u64::MAX);
        world.peaks.session_parcels = world.peaks.session_parcels.max(all);
        self.give_places(conn, world);
    }

    fn give_places(&mut self, conn: ConnNo, world: &mut World) {
        loop {
            let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
            let Some(session) = session.filter(|s| s.waiting.len() + s.given < s.places) else {
                return;
            };
            let Some(room) = session.queue.pop_front() else { return };
            session.given += 1;
            let taken = match room {
                Room::Courier(of, no) => self.room_for_courier(of, no, world),
                Room::Forwarder(next, flight) => self.room_for_forwarder(next, flight, world),
            };
            if !taken {
                self.give_back(conn);
            }
        }
    }

    fn give_back(&mut self, conn: ConnNo) {
        let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
        if let Some(session) = session {
            session.given = session.given.saturating_sub(1);
        }
    }

    /// A place that was given is not needed after all: nothing was read.
    pub(in crate::node) fn give_back_place(&mut self, neighbour: NodeNo, world: &mut World) {
        let known = self.memory.as_ref().and_then(|memory| memory.neighbours.get(&neighbour));
        if let Some(conn) = known.and_then(|known| known.mail) {
            self.give_back(conn);
            self.give_places(conn, world);
        }
    }

    /// Puts a parcel on the session with a neighbour; its answer goes to `waiter`. When the session has just ended, the
    /// loss of the link is on its way to him.
    pub(in crate::node) fn send_parcel(
        &mut self,
        neighbour: NodeNo,
        waiter: Waiter,
        parcel: Parcel,
        world: &mut World,
    ) {
        let Some(memory) = &mut self.memory else { return };
        let conn = memory.neighbours.get(&neighbour).and_then(|known| known.mail);
        let session = conn.and_then(|conn| memory.sessions.get_mut(&conn));
        let (Some(conn), Some(session)) = (conn, session) else { return };
        session.given = session.given.saturating_sub(1);
        session.waiting.insert(parcel.manifest().parcel_id, waiter);
        let to = session.us.other();
        self.send(conn, to, Frame::Parcel(parcel), world);
    }

    /// Who waits for the answer to this parcel; asked once, when the answer is there.
    fn take_waiter(&mut self, conn: ConnNo, parcel: ParcelId, world: &mut World) -> Option<Waiter> {
        let session = self.memory.as_mut()?.sessions.get_mut(&conn)?;
        let waiter = session.waiting.remove(&parcel);
        self.give_places(conn, world);
        waiter
    }

    pub(in crate::node) fn frame(&mut self, conn: ConnNo, frame: Frame, world: &mut World) {
        if let Frame::Hello { window_parcels, collects } = frame {
            return self.introduced(conn, window_parcels, collects, world);
        }
        let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
        if let Some(session) = session {
            session.backlog.push_back(frame);
            self.read_on(conn, world);
        }
    }

    /// Reads frames until a parcel has to wait for its turn.
    fn read_on(&mut self, conn: ConnNo, world: &mut World) {
        loop {
            let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
            let Some(session) = session else { return };
            let is_parcel = matches!(session.backlog.front(), Some(Frame::Parcel(_)));
            if is_parcel && session.turns >= TURNS {
                return;
            }
            let Some(frame) = session.backlog.pop_front() else { return };
            session.turns += usize::from(is_parcel);
            self.read(conn, session_neighbour(&self.memory, conn), frame, world);
        }
    }

    fn read(&mut self, conn: ConnNo, neighbour: NodeNo, frame: Frame, world: &mut World) {
        match frame {
            Frame::Hello { .. } => {}
            Frame::Parcel(parcel) => self.parcel(conn, neighbour, parcel, world),
            Frame::Receipt(receipt) => {
                let parcel = receipt.manifest().parcel_id;
                match self.take_waiter(conn, parcel, world) {
                    Some(Waiter::Courier(peer, epoch)) => {
                        self.receipt((peer, epoch), &receipt, world);
                    }
                    Some(Waiter::Forwarder(next)) => self.forwarded_receipt(next, &receipt, world),
                    Some(Waiter::Returns(_) | Waiter::Collect(_)) | None => {}
                }
            }
            Frame::Custody(word) => {
                let parcel = word.manifest().parcel_id;
                match self.take_waiter(conn, parcel, world) {
                    Some(Waiter::Courier(peer, epoch)) => self.custody((peer, epoch), &word, world),
                    Some(Waiter::Forwarder(next)) => self.forwarded_custody(next, &word, world),
                    Some(Waiter::Returns(_) | Waiter::Collect(_)) | None => {}
                }
            }
            Frame::Returned(word) => self.returned(Via::Session(conn), word, world),
            Frame::ReturnTaken(id) => self.return_taken(conn, neighbour, id, world),
        }
    }

    /// A parcel of this session is no longer in the committer's hands.
    pub(in crate::node) fn turn_ends(&mut self, via: Via, world: &mut World) {
        let Via::Session(conn) = via else { return };
        let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
        if let Some(session) = session {
            session.turns = session.turns.saturating_sub(1);
            self.read_on(conn, world);
        }
    }

    /// Hands a word over on a session; it has to be taken within a time.
    pub(in crate::node) fn hand_over_word(
        &mut self,
        conn: ConnNo,
        (key, word): (Key, Returned),
        world: &mut World,
    ) {
        let session = self.memory.as_mut().and_then(|memory| memory.sessions.get_mut(&conn));
        let Some(session) = session else { return };
        session.words_sent += 1;
        let number = session.words_sent;
        session.words.insert(word.id(), (key, number));
        let to = session.us.other();
        self.send(conn, to, Frame::Returned(word), world);
        self.set_timer(Timer::Word(conn, number), 0, world.now.after(WORD_TIMEOUT), world);
    }

    pub(in crate::node) fn word_is_due(&mut self, conn: ConnNo, number: u64, world: &mut World) {
        let session = self.memory.as_ref().and_then(|memory| memory.sessions.get(&conn));
        if session.is_some_and(|s| s.words.values().any(|(_, of)| *of == number)) {
            self.close(conn, world);
        }
    }
}

fn session_neighbour(memory: &Option<Memory>, conn: ConnNo) -> NodeNo {
    let session = memory.as_ref().and_then(|memory| memory.sessions.get(&conn));
    session.map_or(NodeNo::new(u32::MAX), |session| session.neighbour)
}
