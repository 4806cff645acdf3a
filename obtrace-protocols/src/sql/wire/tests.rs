use alloc::{string::String, vec::Vec};

use crate::{
    Completeness, Config, Connection, Details, Direction, Protocol, Role, Shared, State, Tag, Timestamp,
    sql::wire::has_statement,
};

/// A connection whose chunks are of no protocol that is known.
struct Talk {
    connection: Connection,
    offsets: [u64; 2],
    at: u64,
    told: Vec<(String, String, Completeness, bool)>,
}

impl Talk {
    fn new(heuristic: bool, role: Option<Role>) -> Self {
        let config = Config::new().with_role(role).with_heuristic_sql(heuristic);
        let connection = Connection::new(config, &Shared::default());
        Self { connection, offsets: [0; 2], at: 0, told: Vec::new() }
    }

    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        self.at = self.at.saturating_add(1000);
        let at = Timestamp::from_nanos(self.at);
        let [sent, received] = &mut self.offsets;
        let offset = if direction == Direction::Sent { sent } else { received };
        self.connection.handle_data(direction, *offset, bytes, at, Tag::new(7));
        *offset = offset.saturating_add(bytes.len() as u64);
        self.drain();
    }

    fn drain(&mut self) {
        while self.connection.poll_opened().is_some() {}
        while let Some(exchange) = self.connection.poll_exchange() {
            assert_eq!(exchange.protocol, Protocol::Sql);
            let Details::Sql(details) = &exchange.details else { panic!("{exchange:?}") };
            assert!(!alloc::format!("{exchange:?}").contains("canary"));
            let answered = exchange.response.is_some();
            let statement = String::from(&*details.statement);
            self.told.push((exchange.operation.clone().into(), statement, exchange.completeness, answered));
        }
    }

    fn close(mut self) -> Vec<(String, String, Completeness, bool)> {
        self.connection.handle_close(Timestamp::from_nanos(self.at));
        self.drain();
        self.told
    }
}

const QUERY: &[u8] = b"\x02\x90\x01\0SELECT a FROM t WHERE b = 'canary'\0";
const ANSWER: &[u8] = b"\x02\x91\x01\0\xff\xfe\x01canary\0";

#[test]
fn statements_are_told_from_the_second_on() {
    for (client, server, role) in [
        (Direction::Sent, Direction::Received, None),
        (Direction::Sent, Direction::Received, Some(Role::Client)),
        (Direction::Received, Direction::Sent, Some(Role::Server)),
    ] {
        let mut talk = Talk::new(true, role);
        for _ in 0..3 {
            talk.say(client, QUERY);
            talk.say(server, ANSWER);
            talk.say(server, ANSWER);
        }
        assert_eq!(talk.connection.state(), State::Known(Protocol::Sql));
        talk.say(client, b"\x02\x92\x01\0 something else");
        talk.say(server, ANSWER);
        talk.say(client, QUERY);
        let one = |answered, completeness| {
            (String::from("SELECT"), String::from("SELECT a FROM t WHERE b = ?"), completeness, answered)
        };
        let complete = one(true, Completeness::Complete);
        assert_eq!(talk.close(), [complete.clone(), complete, one(false, Completeness::ResponseMissing)]);
    }
}

/// What is heard behind a loss may answer what was lost.
#[test]
fn a_loss_ends_what_is_answered() {
    let mut talk = Talk::new(true, None);
    let lose = |talk: &mut Talk| {
        let [sent, _] = &mut talk.offsets;
        talk.connection.handle_gap(Direction::Sent, *sent, 10, Timestamp::from_nanos(talk.at));
        *sent = sent.saturating_add(10);
        talk.drain();
    };
    for _ in 0..2 {
        talk.say(Direction::Sent, QUERY);
        talk.say(Direction::Received, ANSWER);
    }
    let told = talk.told.len();
    lose(&mut talk);
    assert_eq!(talk.told.len(), told.saturating_add(1));
    talk.say(Direction::Received, ANSWER);
    talk.say(Direction::Sent, QUERY);
    lose(&mut talk);
    talk.say(Direction::Received, ANSWER);
    let told: Vec<_> = talk.close().into_iter().skip(told).map(|(_, _, completeness, _)| completeness).collect();
    assert_eq!(told, [Completeness::Complete]);
}

#[test]
fn nothing_is_guessed_unless_asked_for() {
    let mut talk = Talk::new(false, None);
    for _ in 0..5 {
        talk.say(Direction::Sent, QUERY);
        talk.say(Direction::Received, ANSWER);
    }
    assert_eq!(talk.connection.state(), State::Detecting);
    assert_eq!(talk.close(), []);
}

#[test]
fn known_protocols_come_first() {
    let value = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$15\r\nSELECT a FROM t\r\n";
    let mut config = Config::new();
    config.heuristic_sql = true;
    let mut connection = Connection::new(config, &Shared::default());
    let mut offset = 0;
    for round in 0..5_u64 {
        connection.handle_data(Direction::Sent, offset, value, Timestamp::from_nanos(round), Tag::new(0));
        offset = offset.saturating_add(value.len() as u64);
        assert_eq!(connection.state(), State::Known(Protocol::Redis));
    }
    assert!(has_statement(value));
}
