//! PINGREQ and PINGRESP.

use super::{MAX_PINGS, Session, Taken, may_come};
use crate::{
    mqtt::{packet::Kind, slot::Place},
    parser::{Context, Side},
};

impl Session {
    pub(super) fn ping(&mut self, place: &Place, cx: &mut Context<'_>) {
        if self.pings.len() >= MAX_PINGS
            && let Some(oldest) = self.pings.pop_front()
        {
            self.give_up(oldest);
        }
        let mut slot = self.slot(Kind::Pingreq, Side::Client, place);
        slot.sent = true;
        Self::open(&mut slot, None, cx);
        if self.unasked.is_some_and(|unasked| place.start <= unasked) {
            // Found late behind lost bytes: its answer was passed over.
            slot.abandon();
            return self.finish(slot);
        }
        self.pings.push_back(slot);
    }

    pub(super) fn pong(&mut self, place: &Place, cx: &Context<'_>) -> Taken {
        if self.pings.front().is_some_and(|oldest| !oldest.asked_before(place)) {
            // It answers one that was lost.
            return Taken::Yes;
        }
        let Some(mut slot) = self.pings.pop_front() else {
            if may_come(self.needs, Side::Server, place, cx) {
                return Taken::Wait;
            }
            self.unasked = Some(place.start);
            return Taken::Yes;
        };
        slot.answer(place, true);
        self.finish(slot);
        Taken::Yes
    }
}
