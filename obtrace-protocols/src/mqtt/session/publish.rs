//! PUBLISH and what acknowledges it.

use super::{Sending, Session, Taken, may_come, of, put};
use crate::{
    TraceContext,
    mqtt::{
        fields::{Cursor, Property},
        packet::{Fixed, Kind},
        slot::{Place, Slot},
        table::Key,
    },
    parser::{Context, Side},
};

impl Session {
    pub(super) fn publish(
        &mut self,
        side: Side,
        fixed: &Fixed,
        mut cursor: Cursor<'_>,
        cut: bool,
        place: &Place,
        cx: &mut Context<'_>,
    ) -> Taken {
        let (qos, fields) = (fixed.qos(), cursor.0.len());
        let begun = cursor.0.get(2..);
        let topic = cursor.string().or(begun);
        let id = if qos > 0 { cursor.number() } else { None };
        if id == Some(0) {
            return Taken::No;
        }
        let key = id.map(|id| Key { sender: side, id });
        if let Some(key) = key {
            let duplicate = fixed.flags & 8 != 0;
            if let Some(slot) = self.waiting.get_mut(key).filter(|slot| duplicate && slot.kind == Kind::Publish) {
                // The same once more: it is one exchange from the first on.
                slot.duplicate = true;
                return Taken::Yes;
            }
            self.make_room(key, cx);
        }
        let mut slot = self.slot(Kind::Publish, side, place);
        (slot.qos, slot.packet_id) = (qos, id.unwrap_or_default());
        (slot.retain, slot.duplicate, slot.truncated) = (fixed.flags & 1 != 0, fixed.flags & 8 != 0, cut);
        put(&mut slot.text, topic.unwrap_or_default(), cx.config.max_text as usize);
        let trace_context = self.read_properties(&mut slot, &mut cursor, side);
        // Without a version nobody knows whether properties come first.
        slot.payload = (!cut && self.version > 0).then_some(u64::from(fixed.length).saturating_sub(fields as u64));
        // Nothing is waited for, or the identifier is behind a topic that does not fit.
        slot.answered = key.is_none();
        Self::open(&mut slot, trace_context, cx);
        let sending = of(&mut self.sending, side);
        match key {
            Some(key) => {
                *sending = Sending::Waiting(key);
                self.waiting.insert(key, slot);
            }
            None => *sending = Sending::Own(slot),
        }
        Taken::Yes
    }

    /// The properties of PUBLISH (§3.3.2.3): the alias and the trace context.
    fn read_properties(&mut self, slot: &mut Slot, cursor: &mut Cursor<'_>, side: Side) -> Option<TraceContext> {
        if self.version != 5 {
            return None;
        }
        let (mut traces, mut context) = (0_u32, None);
        for property in cursor.some_properties().into_iter().flatten() {
            match property {
                Property::TopicAlias(alias) => slot.alias = Some(alias),
                Property::User(name, value) if name.eq_ignore_ascii_case(b"traceparent") => {
                    traces = traces.saturating_add(1);
                    context = TraceContext::parse(value).filter(|_| traces == 1);
                }
                _ => {}
            }
        }
        if let Some(alias) = slot.alias {
            let aliases = of(&mut self.aliases, side);
            if slot.text.is_empty() {
                slot.text.push_str(aliases.get(alias));
            } else {
                aliases.set(alias, &slot.text);
            }
        }
        context
    }

    pub(super) fn acknowledge(
        &mut self,
        side: Side,
        kind: Kind,
        mut cursor: Cursor<'_>,
        place: &Place,
        cx: &Context<'_>,
    ) -> Taken {
        let Some(id) = cursor.number() else { return Taken::No };
        let code = cursor.byte();
        if self.version == 0 && code.is_some() {
            self.version = 5;
        }
        let key = Key { sender: side.other(), id };
        let Some(slot) = self.waiting.get_mut(key) else {
            return if may_come(self.needs, side, place, cx) { Taken::Wait } else { Taken::Yes };
        };
        let expected = if kind == Kind::Puback { 1 } else { 2 };
        if slot.kind != Kind::Publish || slot.qos != expected || !slot.asked_before(place) {
            return Taken::Yes;
        }
        let code = code.unwrap_or_default();
        slot.note_reason(code);
        // Its PUBREC was lost.
        slot.gap |= kind == Kind::Pubcomp && !slot.heard;
        // A refused one is not released (§4.3.3).
        slot.answer(place, kind != Kind::Pubrec || code >= 0x80);
        self.settle(key);
        Taken::Yes
    }
}
