//! Which response answers which request, also where bytes of either were lost.

use super::{
    parser::{HttpParser, State},
    slot::Slot,
};
use crate::{
    Timestamp,
    pairing::{Place, Verdict},
    parser::Side,
};

/// What lost bytes interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Between,
    Head,
    Body,
}

impl HttpParser {
    /// Notes what is known of the response to a request that has begun.
    pub(super) fn place(&mut self, slot: &mut Slot) {
        if !self.paired && matches!(self.server.state, State::Body(_)) && !self.pairing.pipelines() {
            // A response to what was not seen, and of another length than it says: that was to HEAD.
            let verdict = self.pairing.lose(self.queue.answering().is_none());
            self.judge(verdict);
        }
        let was_in_step = self.pairing.is_in_step();
        if !was_in_step {
            self.before_request();
        }
        let between = was_in_step || matches!(self.server.state, State::Start | State::Lost) && !self.is_in_response();
        let idle = self.queue.answering().is_none() && between;
        let (verdict, place) = self.pairing.begin(idle, slot.request.start);
        self.judge(verdict);
        match place {
            Place::Certain => {}
            Place::OnTrial => slot.on_trial = true,
            Place::Unknown => slot.abandon(),
        }
    }

    /// A client that does not pipeline has had all its responses before it sends a request.
    fn before_request(&mut self) {
        if self.pairing.pipelines() {
            return;
        }
        if core::mem::take(&mut self.holed) {
            self.abandon_unanswered();
        }
        if !self.paired && matches!(self.server.state, State::Body(_)) {
            // What it belongs to was not seen: its end was taken from it wrongly.
            self.wander(Side::Server);
        }
    }

    const fn is_in_response(&self) -> bool {
        self.server.start.is_some()
    }

    fn abandon_unanswered(&mut self) {
        for slot in self.queue.unanswered() {
            slot.abandon();
        }
        self.queue.settle();
        self.stop_deciding();
    }

    /// Nobody will know whether the client left HTTP/1. Of offers hardly any but `h2c` is declined; a tunnel is asked
    /// for again where the proxy wants a password, and what most carry does not look like HTTP/1.
    fn stop_deciding(&mut self) {
        if self.client.state != State::Undecided {
            return;
        }
        let offer = self.queue.newest_offer();
        if offer.is_none_or(|offer| offer.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("h2c"))) {
            self.wander(Side::Client);
        } else {
            self.leave();
        }
    }

    /// What follows is no HTTP/1.
    pub(super) fn leave(&mut self) {
        self.client.state = State::Left;
        self.server.state = State::Left;
    }

    /// Too many wait: the oldest is given up.
    pub(super) fn give_up_oldest(&mut self) {
        if self.pairing.is_on_trial() {
            let verdict = self.pairing.surplus();
            return self.judge(verdict);
        }
        if !self.queue.give_up_oldest() {
            return;
        }
        if core::mem::take(&mut self.paired) {
            // It was being answered: what is left of that belongs to no request any more.
            self.pairing.note_overlap();
        } else {
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }

    /// Whether the response that began at this time answers the request that waits longest. None comes before its
    /// request: it may be shown earlier where the request waited behind a hole.
    pub(super) fn pair(&mut self, began: Timestamp) -> bool {
        if self.forgotten > 0 {
            self.forgotten = self.forgotten.saturating_sub(1);
            return false;
        }
        if core::mem::take(&mut self.holed) {
            // Who does not pipeline has had the response to one request before it sent the next.
            while self.queue.unanswered().nth(1).is_some_and(|second| second.request.start <= began) {
                let Some(first) = self.queue.answering() else { break };
                first.abandon();
            }
            self.queue.settle();
            if self.queue.answering().is_some() {
                self.pairing.try_newest();
                self.queue.unanswered().for_each(|slot| slot.on_trial = true);
            }
        }
        match self.queue.answering() {
            Some(slot) => slot.request.start <= began,
            None => {
                let verdict = self.pairing.surplus();
                self.judge(verdict);
                false
            }
        }
    }

    /// Does to the requests on trial what was found.
    pub(super) fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Open => return,
            Verdict::Confirmed => self.queue.on_trial().for_each(|slot| slot.on_trial = false),
            Verdict::Refuted => {
                self.paired = false;
                self.queue.on_trial().for_each(Slot::abandon);
                self.stop_deciding();
            }
        }
        self.queue.settle();
    }

    /// Messages may have been lost.
    pub(super) fn lost(&mut self, side: Side, cut: Cut) {
        let idle = self.queue.answering().is_none();
        let both = self.pairing.is_adrift() && !self.holed;
        let verdict = self.pairing.lose(idle);
        match side {
            Side::Client => self.requests_lost(verdict),
            Side::Server => self.responses_lost(verdict, cut, both),
        }
    }

    /// Bytes between two requests, or of a request, were lost. Those before them are answered in order.
    fn requests_lost(&mut self, verdict: Verdict) {
        if let Some(slot) = self.request.take() {
            self.queue.give_back(slot);
        }
        self.judge(verdict);
        if core::mem::take(&mut self.holed) {
            // The next response may be to what was lost.
            self.abandon_unanswered();
        }
        if self.client.state != State::Left {
            self.wander(Side::Client);
            self.client.torn = true;
        }
    }

    /// Bytes between two responses, or of one, were lost. `both`: requests were lost before, too.
    fn responses_lost(&mut self, verdict: Verdict, cut: Cut, both: bool) {
        if verdict == Verdict::Refuted {
            // What is not answered yet is a matter of what comes next.
            self.queue.on_trial().filter(|slot| !slot.response_done).for_each(|slot| slot.on_trial = false);
        }
        self.judge(verdict);
        if cut == Cut::Head && self.forgotten == 0 {
            self.queue.answering().into_iter().for_each(Slot::abandon);
            if self.switches() {
                self.queue.settle();
                return self.leave();
            }
        }
        self.forgotten = 0;
        self.paired = false;
        if both || self.pairing.pipelines() {
            self.abandon_unanswered();
        }
        self.holed = self.queue.answering().is_some();
        self.wander(Side::Server);
        self.stop_deciding();
        self.queue.settle();
    }

    /// Whether nothing is known to be under way.
    fn is_between(&mut self) -> bool {
        let server = matches!(self.server.state, State::Start | State::Lost) && !self.is_in_response();
        server && self.client.start.is_none() && self.queue.answering().is_none()
    }

    /// The connection was silent for long enough.
    pub(super) fn quiet(&mut self) {
        if !self.is_between() {
            return self.pairing.wait_longer();
        }
        self.holed = false;
        let verdict = self.pairing.settle();
        self.judge(verdict);
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString as _, vec, vec::Vec};

    use crate::{
        Completeness::{Complete, Truncated},
        Config, Connection, Direction, Role, Shared, Tag, Timestamp,
    };

    /// The rest of a response whose request made room for others belongs to none of those.
    #[test]
    fn the_oldest_is_given_up_while_it_is_answered() {
        for most in [1, 2] {
            let config = Config::new().with_role(Some(Role::Client)).with_max_pending(most);
            let mut connection = Connection::new(config, &Shared::default());
            let mut ends = [0; 2];
            let mut say = |direction: Direction, bytes: &[u8]| {
                let end = &mut ends[usize::from(direction == Direction::Received)];
                connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(1), Tag::default());
                *end += bytes.len() as u64;
            };
            let ask = |path: &str| [b"GET /", path.as_bytes(), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
            let asked: Vec<_> = ["a", "b", "c"].into_iter().take(most as usize).map(ask).collect();
            say(Direction::Sent, &asked.concat());
            say(Direction::Received, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/");
            say(Direction::Sent, &ask("last"));
            say(Direction::Received, b"1.1 ");
            for _ in 0..most {
                say(Direction::Received, b"HTTP/1.1 204 No Content\r\n\r\n");
            }
            let mut told = vec![];
            while let Some(one) = connection.poll_exchange() {
                told.push((one.target.to_string(), one.completeness, one.response.is_some(), one.error.is_some()));
            }
            let mut wanted = vec![("/a".to_string(), Truncated, true, false)];
            let behind = if most == 1 { vec!["/last"] } else { vec!["/b", "/last"] };
            wanted.extend(behind.into_iter().map(|path| (path.to_string(), Complete, true, false)));
            assert_eq!(told, wanted, "{most}");
        }
    }
}
