//! CONNECT, CONNACK, DISCONNECT and AUTH.

use super::{Sending, Session, Taken, may_come, of, put};
use crate::{
    mqtt::{
        fields::{Cursor, Property},
        packet::Kind,
        parser::Aliases,
        slot::{Place, Slot},
    },
    parser::{Context, Side},
};

impl Session {
    pub(super) fn connect(
        &mut self,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        limit: usize,
        cx: &mut Context<'_>,
    ) {
        if let Some(before) = self.connect.take() {
            self.give_up(before);
        }
        let mut slot = self.slot(Kind::Connect, Side::Client, place);
        slot.truncated = cut;
        self.client_id.clear();
        self.aliases.iter_mut().for_each(Aliases::forget);
        // Each field is there or the packet is cut: what could be read is kept.
        let _ = self.read_connect(&mut slot, &mut cursor, limit);
        Self::open(&mut slot, None, cx);
        self.connect = Some(slot);
        *of(&mut self.sending, Side::Client) = Sending::Connect;
    }

    /// Never past the topic of the will: the message, the user name and the password come behind it (§3.1.3).
    fn read_connect(&mut self, slot: &mut Slot, cursor: &mut Cursor<'_>, limit: usize) -> Option<()> {
        cursor.string()?;
        self.version = cursor.byte()? & 0x7f;
        let flags = cursor.byte()?;
        slot.clean_start = flags & 2 != 0;
        slot.keep_alive = cursor.number()?;
        if self.version == 5 {
            cursor.properties()?;
        }
        put(&mut self.client_id, cursor.string()?, limit);
        if flags & 4 != 0 {
            if self.version == 5 {
                cursor.properties()?;
            }
            put(&mut slot.text, cursor.string()?, limit);
        }
        Some(())
    }

    pub(super) fn connack(&mut self, mut cursor: Cursor<'_>, place: &Place, limit: usize, cx: &Context<'_>) -> Taken {
        let flags = cursor.byte().unwrap_or_default();
        let code = cursor.byte().unwrap_or_default();
        if self.connect.is_none() && may_come(self.needs, Side::Server, place, cx) {
            return Taken::Wait;
        }
        if self.version == 0 && !cursor.0.is_empty() {
            self.version = 5;
        }
        for property in cursor.some_properties().into_iter().flatten() {
            if let Property::AssignedClientId(assigned) = property {
                self.client_id.clear();
                put(&mut self.client_id, assigned, limit);
            }
        }
        if let Some(mut slot) = self.connect.take_if(|connect| connect.asked_before(place)) {
            slot.session_present = flags & 1 != 0;
            slot.note_reason(code);
            slot.answer(place, true);
            if slot.is_finished() {
                self.finish(slot);
            } else {
                self.connect = Some(slot);
            }
        }
        Taken::Yes
    }

    pub(super) fn disconnect(&mut self, side: Side, mut cursor: Cursor<'_>, place: &Place, cx: &mut Context<'_>) {
        let mut slot = self.slot(Kind::Disconnect, side, place);
        let code = cursor.byte();
        if self.version == 0 && (code.is_some() || side == Side::Server) {
            self.version = 5;
        }
        slot.reason = code.or((self.version == 5).then_some(0));
        slot.answered = true;
        Self::open(&mut slot, None, cx);
        *of(&mut self.sending, side) = Sending::Own(slot);
    }

    /// Part of CONNECT until that is answered; later the client authenticates once more (§4.12).
    pub(super) fn authenticate(&mut self, side: Side, mut cursor: Cursor<'_>, place: &Place, cx: &mut Context<'_>) {
        if self.connect.is_some() {
            return;
        }
        self.version = 5;
        let code = cursor.byte().unwrap_or_default();
        match (side, self.auth.take()) {
            (Side::Client, None) => {
                let mut slot = self.slot(Kind::Auth, side, place);
                Self::open(&mut slot, None, cx);
                self.auth = Some(slot);
                *of(&mut self.sending, side) = Sending::Auth;
            }
            (Side::Server, Some(mut slot)) => {
                slot.reason = Some(code);
                slot.answer(place, code == 0);
                if slot.is_finished() {
                    self.finish(slot);
                } else {
                    self.auth = Some(slot);
                }
            }
            (_, slot) => self.auth = slot,
        }
    }
}
