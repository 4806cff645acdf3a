//! SUBSCRIBE, UNSUBSCRIBE and their answers.

use super::{Sending, Session, Taken, may_come, of, put};
use crate::{
    mqtt::{
        fields::Cursor,
        packet::{Fixed, Kind},
        slot::Place,
        strict,
        table::Key,
    },
    parser::{Context, Side},
};

impl Session {
    pub(super) fn subscribe(
        &mut self,
        kind: Kind,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number().filter(|id| *id != 0) else { return Taken::No };
        if self.version == 0 && !cut {
            self.version = strict::version_of(kind, cursor).unwrap_or_default();
        }
        if self.version == 5 {
            let _ = cursor.some_properties();
        }
        let key = Key { sender: Side::Client, id };
        self.make_room(key, cx);
        let mut slot = self.slot(kind, Side::Client, place);
        (slot.packet_id, slot.truncated) = (id, cut);
        let limit = cx.config.max_text as usize;
        while let Some(filter) = cursor.string() {
            slot.filters = slot.filters.saturating_add(1);
            if slot.text.len().saturating_add(filter.len()) < limit {
                put(&mut slot.text, filter, limit.saturating_sub(1));
                slot.text.push('\n');
            }
            if kind == Kind::Subscribe && cursor.byte().is_none() {
                break;
            }
        }
        Self::open(&mut slot, None, cx);
        *of(&mut self.sending, Side::Client) = Sending::Waiting(key);
        self.waiting.insert(key, slot);
        Taken::Yes
    }

    pub(super) fn subscribed(
        &mut self,
        fixed: &Fixed,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number() else { return Taken::No };
        if self.version == 0 && fixed.kind == Kind::Unsuback {
            self.version = if fixed.length > 2 { 5 } else { 4 };
        }
        if self.version == 5 {
            let _ = cursor.some_properties();
        }
        let key = Key { sender: Side::Client, id };
        let asked = if fixed.kind == Kind::Suback { Kind::Subscribe } else { Kind::Unsubscribe };
        let Some(slot) = self.waiting.get_mut(key) else {
            return if may_come(self.needs, Side::Server, place, cx) { Taken::Wait } else { Taken::Yes };
        };
        if slot.kind != asked || !slot.asked_before(place) {
            return Taken::Yes;
        }
        cursor.0.iter().for_each(|&code| slot.note_reason(code));
        slot.truncated |= cut;
        slot.answer(place, true);
        self.settle(key);
        Taken::Yes
    }
}
