//! What the packets of an answer say.

use alloc::{boxed::Box, string::String};

use super::{Expect, Outcome, Spot};
use crate::{
    Stage,
    mysql::{
        details::Request,
        packet::{self, CURSOR_EXISTS, Error, MAX_PAYLOAD, MORE_RESULTS, NO_BACKSLASH_ESCAPES, Ok as Okay},
        parser::{MySqlParser, Source, name},
        queue::{Digits, Failure},
        shape,
    },
};

impl MySqlParser {
    pub(super) fn error(&mut self, payload: &[u8], spot: Spot, source: &mut Source<'_, '_>) -> Outcome {
        let Some(error) = Error::parse(payload) else { return Outcome::Wrong };
        let keeps = source.cx.config.error_text;
        let Some(head) = self.queue.head() else { return Outcome::Wrong };
        head.hear(spot.mark, spot.size as u64, spot.end);
        if error.code == packet::PROGRESS {
            return Outcome::Goes(self.server.expect);
        }
        let message = keeps.then(|| Box::from(&*String::from_utf8_lossy(error.message)));
        head.failure =
            Some(Failure { code: error.code, digits: Digits::new(error.code), sqlstate: error.sqlstate, message });
        if !head.announced {
            source.cx.tell(head.id, &head.request, Stage::Certain);
            head.announced = true;
        } else if !head.opened {
            source.cx.tell(head.id, &head.request, Stage::Confirmed);
        }
        head.opened = true;
        Outcome::Over
    }

    pub(super) fn answer(&mut self, payload: &[u8], length: usize, spot: Spot) -> Outcome {
        let Some(head) = self.queue.head() else { return Outcome::Wrong };
        head.hear(spot.mark, spot.size as u64, spot.end);
        let kind = head.kind;
        match self.server.expect {
            Expect::First => self.first(kind, payload, length),
            Expect::Definitions { left } => Outcome::Goes(match left {
                0 | 1 => Expect::Defined,
                _ => Expect::Definitions { left: left.saturating_sub(1) },
            }),
            Expect::Defined if shape::is_eof(payload, length) => {
                self.session.deprecate_eof = Some(false);
                let status = Okay::parse(payload).unwrap_or_default().status;
                if status & CURSOR_EXISTS == 0 {
                    return Outcome::Goes(Expect::Rows);
                }
                self.end_result(payload, false)
            }
            Expect::Defined | Expect::Rows => {
                if payload.first() == Some(&0xfe) && length < MAX_PAYLOAD {
                    return self.end_result(payload, false);
                }
                head.rows = head.rows.saturating_add(1);
                Outcome::Goes(Expect::Rows)
            }
            Expect::Prepared { parameters, columns } => {
                self.definition_of_prepared(payload, length, parameters, columns)
            }
            Expect::Fields if payload.first() == Some(&0xfe) => Outcome::Over,
            Expect::Fields => Outcome::Goes(Expect::Fields),
        }
    }

    /// The first packet of an answer or of a result.
    fn first(&mut self, kind: Request, payload: &[u8], length: usize) -> Outcome {
        match kind {
            Request::Connect | Request::ChangeUser => match payload.first() {
                Some(0) if Okay::parse(payload).is_some() => self.end_result(payload, true),
                _ => {
                    // Steps of an authentication.
                    Outcome::Goes(Expect::First)
                }
            },
            Request::Statistics => Outcome::Over,
            Request::Prepare => self.prepared(payload),
            Request::FieldList if payload.first() == Some(&0xfe) => Outcome::Over,
            Request::FieldList => Outcome::Goes(Expect::Fields),
            Request::Fetch => {
                self.server.expect = Expect::Rows;
                if payload.first() == Some(&0xfe) && length < MAX_PAYLOAD {
                    return self.end_result(payload, false);
                }
                if let Some(head) = self.queue.head() {
                    head.rows = head.rows.saturating_add(1);
                }
                Outcome::Goes(Expect::Rows)
            }
            _ => match payload.first() {
                Some(0) if length >= 7 => self.end_result(payload, true),
                Some(0xfe) => self.end_result(payload, true),
                // The server asks for a file: its name is not looked at.
                Some(0xfb) => {
                    if let Some(head) = self.queue.head() {
                        head.several = true;
                    }
                    Outcome::Goes(Expect::First)
                }
                _ => match shape::columns(payload, length) {
                    Some((columns, true)) => Outcome::Goes(Expect::Definitions { left: columns }),
                    Some((_, false)) => Outcome::Goes(Expect::Defined),
                    None => Outcome::Wrong,
                },
            },
        }
    }

    /// An OK, or what ends rows.
    fn end_result(&mut self, payload: &[u8], is_first: bool) -> Outcome {
        let Some(ok) = Okay::parse(payload) else { return Outcome::Wrong };
        self.session.no_backslash = Some(ok.status & NO_BACKSLASH_ESCAPES != 0);
        let Some(head) = self.queue.head() else { return Outcome::Wrong };
        head.results = head.results.saturating_add(1);
        head.warnings = ok.warnings;
        head.cursor |= ok.status & CURSOR_EXISTS != 0;
        head.transaction = Some(ok.status & packet::IN_TRANSACTION != 0);
        // Only what changes rows has a number of them.
        if is_first && payload.first() == Some(&0) {
            head.affected = Some(head.affected.unwrap_or(0).saturating_add(ok.affected_rows));
        }
        if let Some(database) = ok.database {
            head.switches = Some(name(database, self.session.database.as_ref()));
        }
        if ok.status & MORE_RESULTS != 0 { Outcome::Goes(Expect::First) } else { Outcome::Over }
    }

    /// The first packet of the answer to COM_STMT_PREPARE.
    fn prepared(&mut self, payload: &[u8]) -> Outcome {
        let &[0, a, b, c, d, columns, columns_high, parameters, parameters_high, _, _, _, ref rest @ ..] = payload
        else {
            return Outcome::Wrong;
        };
        let handle = self.queue.head().map(|head| head.statement);
        if let Some(handle) = handle {
            self.statements.name(u32::from_le_bytes([a, b, c, d]), handle);
        }
        if rest.first() == Some(&0) {
            // No definitions follow (CLIENT_OPTIONAL_RESULTSET_METADATA).
            return Outcome::Over;
        }
        let columns = u16::from_le_bytes([columns, columns_high]);
        let parameters = u16::from_le_bytes([parameters, parameters_high]);
        if columns == 0 && parameters == 0 {
            return Outcome::Over;
        }
        Outcome::Goes(Expect::Prepared { parameters, columns })
    }

    fn definition_of_prepared(&mut self, payload: &[u8], length: usize, parameters: u16, columns: u16) -> Outcome {
        let is_end = shape::is_eof(payload, length);
        let (parameters, columns) = match (is_end, parameters) {
            (true, _) => {
                self.session.deprecate_eof = Some(false);
                (parameters, columns)
            }
            (false, 0) => (0, columns.saturating_sub(1)),
            (false, _) => (parameters.saturating_sub(1), columns),
        };
        if parameters > 0 || columns > 0 || (!is_end && self.session.deprecate_eof == Some(false)) {
            return Outcome::Goes(Expect::Prepared { parameters, columns });
        }
        self.server.trails = !is_end && self.session.deprecate_eof.is_none();
        Outcome::Over
    }
}
