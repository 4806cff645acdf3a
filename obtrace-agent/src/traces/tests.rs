//! Requests are real HTTP, read by the real parser.

use obtrace_export::model::{SpanKind, Status, Value};
use obtrace_protocols::{Config, Connection, Direction, Shared, Timestamp};

use super::*;

const FRONT: Strand = Strand::new(100, 100);
const BACK: Strand = Strand::new(200, 200);

struct Rig {
    traces: Traces,
    spans: Vec<SpanRecord>,
    time: u64,
}

/// One end of a connection.
struct End {
    info: ConnectionInfo,
    connection: Connection,
    sent: u64,
    received: u64,
}

impl End {
    fn new(id: u64, role: Role, server_port: u16) -> Self {
        let client = "127.0.0.1:40000".parse().ok();
        let server = Some(SocketAddr::from(([127, 0, 0, 1], server_port)));
        let (local, remote) = if role == Role::Client { (client, server) } else { (server, client) };
        let info = ConnectionInfo::new(id, Transport::Tcp).with_role(Some(role)).with_addresses(local, remote);
        let connection = Connection::new(Config::new().with_role(Some(role)), &Shared::default());
        Self { info, connection, sent: 1_000, received: 1_000 }
    }
}

impl Rig {
    fn new(settings: Settings) -> Self {
        Self { traces: Traces::new(settings), spans: Vec::new(), time: 100 }
    }

    fn pass(&mut self, end: &mut End, direction: Direction, bytes: &str, strand: Strand) {
        self.time += 10;
        let offset = if direction == Direction::Sent { &mut end.sent } else { &mut end.received };
        let at = Timestamp::from_nanos(self.time);
        end.connection.handle_data(direction, *offset, bytes.as_bytes(), at, strand.tag());
        *offset += bytes.len() as u64;
        self.drain(end);
    }

    fn drain(&mut self, end: &mut End) {
        while let Some(opened) = end.connection.poll_opened() {
            self.traces.opened(&end.info, &opened);
        }
        let resource = Arc::new(Resource::default());
        while let Some(exchange) = end.connection.poll_exchange() {
            let spans = &mut self.spans;
            self.traces.exchange(&end.info, &resource, &exchange, &mut |record| spans.push(record));
        }
    }

    fn request(&mut self, end: &mut End, head: &str, strand: Strand) {
        let direction = if end.info.role == Some(Role::Client) { Direction::Sent } else { Direction::Received };
        self.pass(end, direction, &format!("{head}\r\nHost: shop.example:8080\r\n\r\n"), strand);
    }

    fn answer(&mut self, end: &mut End, status: &str, strand: Strand) -> Span {
        let direction = if end.info.role == Some(Role::Client) { Direction::Received } else { Direction::Sent };
        self.pass(end, direction, &format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"), strand);
        self.spans.pop().unwrap().span
    }
}

fn id(span: &Span) -> (TraceId, SpanId) {
    (span.trace_id, span.span_id)
}

fn header(trace: u8, span: u8) -> String {
    format!("traceparent: 00-{:02x}{}-{:02x}{}-01", trace, "11".repeat(15), span, "22".repeat(7))
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match span.attributes.iter().find(|a| a.key == key).map(|a| &a.value) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

#[test]
fn a_call_is_a_child_of_the_request_open_on_its_strand() {
    let mut rig = Rig::new(Settings::default());
    let (mut server, mut call) = (End::new(1, Role::Server, 80), End::new(2, Role::Client, 81));
    rig.request(&mut server, "GET / HTTP/1.1", FRONT);
    rig.request(&mut call, "GET /stock HTTP/1.1", FRONT);
    let child = rig.answer(&mut call, "200 OK", FRONT);
    let parent = rig.answer(&mut server, "200 OK", FRONT);
    assert_eq!((child.trace_id, child.parent_span_id), (parent.trace_id, Some(parent.span_id)));
    assert_eq!(parent.parent_span_id, None);
    rig.request(&mut call, "GET /later HTTP/1.1", FRONT);
    let root = rig.answer(&mut call, "200 OK", FRONT);
    assert!(root.parent_span_id.is_none() && root.trace_id != parent.trace_id, "the request is over");
}

#[test]
fn several_requests_open_on_the_strand_leave_a_root() {
    let mut rig = Rig::new(Settings::default());
    let (mut a, mut b) = (End::new(1, Role::Server, 80), End::new(2, Role::Server, 80));
    let mut call = End::new(3, Role::Client, 81);
    rig.request(&mut a, "GET /a HTTP/1.1", FRONT);
    rig.request(&mut b, "GET /b HTTP/1.1", FRONT);
    rig.request(&mut call, "GET /stock HTTP/1.1", FRONT);
    assert_eq!(rig.answer(&mut call, "200 OK", FRONT).parent_span_id, None);
    assert_eq!(rig.traces.counters().parent_ambiguous, 1);
}

#[test]
fn both_ends_of_a_local_call_are_in_one_trace() {
    let mut rig = Rig::new(Settings::default());
    let (mut client, mut server) = (End::new(1, Role::Client, 80), End::new(2, Role::Server, 80));
    rig.request(&mut client, "GET / HTTP/1.1", FRONT);
    rig.request(&mut server, "GET / HTTP/1.1", BACK);
    let inner = rig.answer(&mut server, "200 OK", BACK);
    let outer = rig.answer(&mut client, "200 OK", FRONT);
    assert_eq!((inner.trace_id, inner.parent_span_id), (outer.trace_id, Some(outer.span_id)));
    assert_eq!(rig.traces.counters().linked, 1);
}

/// A session begins with the answer to its request, which its server sees first.
#[test]
fn both_ends_of_a_session_are_in_one_trace() {
    for (headers, client_first) in [("", false), ("", true), (&*header(7, 8), false), (&*header(7, 8), true)] {
        let mut rig = Rig::new(Settings::default());
        let (mut client, mut server) = (End::new(1, Role::Client, 80), End::new(2, Role::Server, 80));
        let more = if headers.is_empty() { String::new() } else { format!("\r\n{headers}") };
        let ask = format!("GET /live HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket{more}");
        rig.request(&mut client, &ask, FRONT);
        rig.request(&mut server, &ask, BACK);
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let ends = [(&mut server, Direction::Sent, BACK), (&mut client, Direction::Received, FRONT)];
        let mut ends = Vec::from(ends);
        if client_first {
            ends.reverse();
        }
        for (end, direction, strand) in ends {
            rig.pass(end, direction, answer, strand);
        }
        let handshakes: Vec<Span> = rig.spans.drain(..).map(|record| record.span).collect();
        for end in [&mut server, &mut client] {
            end.connection.handle_close(Timestamp::from_nanos(rig.time + 10));
            rig.drain(end);
        }
        let [inner, outer] = [rig.spans.remove(0).span, rig.spans.remove(0).span];
        assert_eq!((inner.kind, outer.kind), (SpanKind::Server, SpanKind::Client));
        assert_eq!((inner.trace_id, inner.parent_span_id), (outer.trace_id, Some(outer.span_id)), "{headers}");
        assert!(inner.span_id != outer.span_id && inner.flags == outer.flags);
        assert_eq!(handshakes.iter().all(|span| span.trace_id == inner.trace_id), !headers.is_empty());
        assert_eq!(rig.traces.counters().linked, 2);
    }
}

#[test]
fn a_session_whose_client_is_not_seen_is_a_root() {
    let mut rig = Rig::new(Settings::default());
    let mut server = End::new(2, Role::Server, 80);
    rig.request(&mut server, "GET /live HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket", BACK);
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    rig.pass(&mut server, Direction::Sent, answer, BACK);
    server.connection.handle_close(Timestamp::from_nanos(rig.time + 10));
    rig.drain(&mut server);
    assert!(rig.spans.iter().all(|record| record.span.parent_span_id.is_none()));
    assert_eq!((rig.spans.len(), rig.traces.counters().linked), (2, 0));
}

/// A message of PostgreSQL.
fn message(tag: char, body: &str) -> String {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    let length: String = length.iter().map(|byte| char::from(*byte)).collect();
    format!("{tag}{length}{body}")
}

#[test]
fn both_ends_of_a_refused_prepare_are_in_one_trace_and_of_one_that_works_nothing_is_left() {
    let mut rig = Rig::new(Settings::default());
    let (mut client, mut server) = (End::new(1, Role::Client, 5432), End::new(2, Role::Server, 5432));
    let mut call = End::new(3, Role::Client, 81);
    let prepare = message('P', "\0SELECT a FROM t\0\0\0") + &message('S', "");
    for answer in [message('1', ""), message('E', "SERROR\0VERROR\0C42P01\0Mno\0\0")] {
        let answer = answer + &message('Z', "I");
        rig.pass(&mut client, Direction::Sent, &prepare, FRONT);
        rig.pass(&mut server, Direction::Received, &prepare, BACK);
        // It may not become a span: nobody can be its child.
        rig.request(&mut call, "GET /stock HTTP/1.1", BACK);
        assert_eq!(rig.answer(&mut call, "200 OK", BACK).parent_span_id, None);
        rig.pass(&mut server, Direction::Sent, &answer, BACK);
        rig.pass(&mut client, Direction::Received, &answer, FRONT);
        assert_eq!(rig.traces.open(), 0);
    }
    let (outer, inner) = (rig.spans.pop().unwrap().span, rig.spans.pop().unwrap().span);
    assert_eq!((inner.trace_id, inner.parent_span_id), (outer.trace_id, Some(outer.span_id)));
    assert_eq!((outer.kind, text(&outer, "error.type")), (SpanKind::Client, Some("42P01")));
    assert_eq!((rig.spans.len(), rig.traces.counters().linked), (0, 1));
}

#[test]
fn a_request_that_begins_as_what_might_only_prepare_has_children() {
    let mut rig = Rig::new(Settings::default());
    let (mut server, mut call) = (End::new(2, Role::Server, 5432), End::new(3, Role::Client, 81));
    rig.pass(&mut server, Direction::Received, &message('P', "\0SELECT a FROM t\0\0\0"), BACK);
    let execute = message('B', "\0\0\0\0\0\0\0\0") + &message('E', "\0\0\0\0\0") + &message('S', "");
    rig.pass(&mut server, Direction::Received, &execute, BACK);
    rig.request(&mut call, "GET /stock HTTP/1.1", BACK);
    let child = rig.answer(&mut call, "200 OK", BACK);
    let answer = message('1', "") + &message('2', "") + &message('C', "SELECT 0\0") + &message('Z', "I");
    rig.pass(&mut server, Direction::Sent, &answer, BACK);
    let parent = rig.spans.pop().unwrap().span;
    assert_eq!((child.trace_id, child.parent_span_id), (parent.trace_id, Some(parent.span_id)));
}

#[test]
fn in_a_process_that_is_one_strand_only_a_request_that_is_alone_is_the_cause() {
    let mut rig = Rig::new(Settings::default());
    let process = Strand::of_process(300);
    let (mut a, mut b) = (End::new(1, Role::Server, 80), End::new(2, Role::Server, 80));
    let mut call = End::new(3, Role::Client, 81);
    rig.request(&mut a, "GET /a HTTP/1.1", process);
    rig.request(&mut b, "GET /b HTTP/1.1", process);
    rig.request(&mut call, "GET /x HTTP/1.1", process);
    assert_eq!(rig.answer(&mut call, "200 OK", process).parent_span_id, None);
    assert_eq!(rig.traces.counters().parent_ambiguous, 1);
    let _ = rig.answer(&mut a, "200 OK", process);
    rig.request(&mut call, "GET /y HTTP/1.1", process);
    let child = rig.answer(&mut call, "200 OK", process);
    assert_eq!(child.parent_span_id, Some(rig.answer(&mut b, "200 OK", process).span_id));
}

#[test]
fn an_incoming_traceparent_wins_and_our_own_client_is_preferred_in_its_trace() {
    let mut rig = Rig::new(Settings::default());
    let mut server = End::new(2, Role::Server, 80);
    let head = format!("GET / HTTP/1.1\r\n{}", header(1, 2));
    rig.request(&mut server, &head, BACK);
    let span = rig.answer(&mut server, "200 OK", BACK);
    assert_eq!(span.parent_span_id.unwrap().to_bytes()[0], 2);
    // The next request is sent twice with the same header: the second time the header's span id is taken.
    let (mut client, mut other) = (End::new(3, Role::Client, 81), End::new(4, Role::Server, 81));
    rig.request(&mut client, &head, FRONT);
    rig.request(&mut other, &head, BACK);
    let inner = rig.answer(&mut other, "200 OK", BACK);
    let outer = rig.answer(&mut client, "200 OK", FRONT);
    assert_eq!((inner.trace_id, inner.parent_span_id), (outer.trace_id, Some(outer.span_id)));
    assert_ne!(outer.span_id.to_bytes()[0], 2);
}

#[test]
fn a_context_of_the_application_is_used_and_never_doubled() {
    let mut rig = Rig::new(Settings::default());
    let (mut server, mut call) = (End::new(1, Role::Server, 80), End::new(2, Role::Client, 81));
    rig.request(&mut server, &format!("GET / HTTP/1.1\r\n{}", header(1, 2)), FRONT);
    rig.request(&mut call, &format!("GET /x HTTP/1.1\r\n{}", header(1, 3)), FRONT);
    let own = rig.answer(&mut call, "200 OK", FRONT);
    rig.request(&mut call, &format!("GET /y HTTP/1.1\r\n{}", header(1, 2)), FRONT);
    let forwarded = rig.answer(&mut call, "200 OK", FRONT);
    let parent = rig.answer(&mut server, "200 OK", FRONT);
    assert_eq!((own.span_id.to_bytes()[0], own.parent_span_id), (3, Some(parent.span_id)));
    assert_eq!(forwarded.parent_span_id, Some(parent.span_id));
    assert!(![2, 3].contains(&forwarded.span_id.to_bytes()[0]) || forwarded.span_id != own.span_id);
    assert_eq!([own.trace_id, forwarded.trace_id], [parent.trace_id; 2]);
}

#[test]
fn a_forwarded_header_tells_requests_apart_that_the_strand_cannot() {
    let mut rig = Rig::new(Settings::default());
    let (mut a, mut b) = (End::new(1, Role::Server, 80), End::new(2, Role::Server, 80));
    let mut call = End::new(3, Role::Client, 81);
    rig.request(&mut a, &format!("GET /a HTTP/1.1\r\n{}", header(1, 2)), FRONT);
    rig.request(&mut b, &format!("GET /b HTTP/1.1\r\n{}", header(3, 4)), FRONT);
    rig.request(&mut call, &format!("GET /x HTTP/1.1\r\n{}", header(3, 4)), FRONT);
    let child = rig.answer(&mut call, "200 OK", FRONT);
    let _ = rig.answer(&mut a, "200 OK", FRONT);
    let parent = rig.answer(&mut b, "200 OK", FRONT);
    assert_eq!((child.trace_id, child.parent_span_id), (parent.trace_id, Some(parent.span_id)));
    assert_eq!(rig.traces.counters().parent_ambiguous, 0);
}

#[test]
fn a_stale_header_is_not_used() {
    let mut rig = Rig::new(Settings { max_adopted_spans: 2, ..Settings::default() });
    let mut server = End::new(1, Role::Server, 80);
    let mut traces = Vec::new();
    for _ in 0..4 {
        rig.request(&mut server, &format!("GET / HTTP/1.1\r\n{}", header(1, 2)), FRONT);
        traces.push(rig.answer(&mut server, "200 OK", FRONT));
    }
    assert_eq!(traces[0].trace_id, traces[1].trace_id);
    assert!(traces[2].parent_span_id.is_none() && traces[2].trace_id != traces[3].trace_id);
    assert_eq!(rig.traces.counters().stale_context, 2);
}

#[test]
fn what_is_open_is_bounded_and_leaves_nothing_behind() {
    let mut rig = Rig::new(Settings { max_open: 2, ..Settings::default() });
    let mut ends: Vec<End> = (0..4).map(|id| End::new(id, Role::Server, 80)).collect();
    for end in &mut ends {
        rig.request(end, "GET / HTTP/1.1", FRONT);
    }
    assert_eq!(rig.traces.open(), 2);
    let mut seen = std::collections::HashSet::new();
    for end in &mut ends {
        assert!(seen.insert(id(&rig.answer(end, "200 OK", FRONT))));
        rig.traces.closed(&end.info, 1_000);
    }
    let counters = rig.traces.counters();
    assert_eq!((rig.traces.open(), counters.spans, counters.open_overflow), (0, 4, 2));
}

#[test]
fn http_attributes_are_those_of_the_conventions() {
    let mut rig = Rig::new(Settings::default());
    rig.traces.set_clock_offset(1_000_000);
    let (mut client, mut server) = (End::new(1, Role::Client, 80), End::new(2, Role::Server, 81));
    rig.request(&mut client, "GET /users/7?a=b&token=s3 HTTP/1.1\r\nUser-Agent: x/1", FRONT);
    let span = rig.answer(&mut client, "404 Not Found", FRONT);
    assert_eq!((&*span.name, span.kind), ("GET /users/{id}", SpanKind::Client));
    assert_eq!((span.start_unix_nano, span.end_unix_nano), (1_000_110, 1_000_120));
    let expected = [
        ("http.request.method", "GET"),
        ("url.path", "/users/7"),
        ("url.query", "a=b&token=REDACTED"),
        ("url.full", "http://shop.example:8080/users/7?a=b&token=REDACTED"),
        ("url.scheme", "http"),
        ("server.address", "shop.example"),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "x/1"),
        ("error.type", "404"),
    ];
    for (key, value) in expected {
        assert_eq!(text(&span, key), Some(value), "{key}");
    }
    assert!(matches!(span.status, Status::Error { .. }));
    rig.request(&mut server, "FROB /x HTTP/1.1\r\nX-Forwarded-For: 10.0.0.9, 10.0.0.1", FRONT);
    let span = rig.answer(&mut server, "404 Not Found", FRONT);
    assert_eq!((&*span.name, &span.status), ("HTTP /x", &Status::Unset), "the client's mistake, not the server's");
    assert_eq!(text(&span, "http.request.method_original"), Some("FROB"));
    assert_eq!(text(&span, "client.address"), Some("10.0.0.9"));
}

#[test]
fn a_fastcgi_span_has_the_port_and_the_scheme_of_the_request_or_none() {
    let span = |params: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| {
            let lengths = [name.len(), value.len()].map(|length| char::from(u8::try_from(length).unwrap()));
            lengths.into_iter().collect::<String>() + name + value
        };
        let params: String = params.iter().map(pair).collect();
        let length = char::from(u8::try_from(params.len()).unwrap());
        let mut rig = Rig::new(Settings::default());
        let mut end = End::new(1, Role::Client, 9000);
        let begin = "\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0";
        let request = format!("{begin}\x01\x04\0\x01\0{length}\0\0{params}\x01\x04\0\x01\0\0\0\0");
        rig.pass(&mut end, Direction::Sent, &request, FRONT);
        let answer = "\x01\x06\0\x01\0\x12\0\0Status: 200 OK\r\n\r\n\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0";
        rig.pass(&mut end, Direction::Received, answer, FRONT);
        let span = rig.spans.pop().unwrap().span;
        let port = span.attributes.iter().find(|attribute| &*attribute.key == "server.port");
        let port = port.map(|port| port.value.clone());
        (text(&span, "url.scheme").map(String::from), text(&span, "url.full").map(String::from), port)
    };
    let asked = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a"), ("HTTP_HOST", "shop.example")];
    assert_eq!(span(&asked), (None, None, None));
    let secure = [&asked[..], &[("HTTPS", "on")]].concat();
    let url = String::from("https://shop.example/a");
    assert_eq!(span(&secure), (Some("https".into()), Some(url), Some(Value::Int(443))));
    let other = [("HTTP_HOST", "shop.example:8080"), ("REQUEST_URI", "/a"), ("REQUEST_METHOD", "GET")];
    assert_eq!(span(&other).2, Some(Value::Int(8080)));
}

fn with_body(head: &str, body: &str) -> String {
    format!("{head}\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn calls_of_models_are_named_by_what_was_asked() {
    let mut rig = Rig::new(Settings::default());
    let mut client = End::new(1, Role::Client, 80);
    let asked = r#"{"model":"m","temperature":0.5,"stop":["a","b"],"messages":[{"role":"user","content":"secret"}]}"#;
    rig.pass(&mut client, Direction::Sent, &with_body("POST /v1/chat/completions HTTP/1.1", asked), FRONT);
    let answered = r#"{"id":"i","model":"m-1","choices":[{"finish_reason":"tool_calls","message":{"content":"secret",
        "tool_calls":[{"id":"c","function":{"name":"f","arguments":"secret"}}]}}],"usage":{"prompt_tokens":7}}"#;
    rig.pass(&mut client, Direction::Received, &with_body("HTTP/1.1 200 OK", answered), FRONT);
    let span = rig.spans.pop().unwrap().span;
    assert_eq!((&*span.name, span.kind), ("chat m", SpanKind::Client));
    let value = |key: &str| span.attributes.iter().find(|a| a.key == key).map(|a| a.value.clone());
    let word = |text: &'static str| Value::Str(text.into());
    for (key, wanted) in [
        ("gen_ai.operation.name", word("chat")),
        ("gen_ai.provider.name", word("openai")),
        ("gen_ai.request.model", word("m")),
        ("gen_ai.request.temperature", Value::Double(0.5)),
        ("gen_ai.request.stop_sequences", Value::Array([word("a"), word("b")].into())),
        ("gen_ai.response.id", word("i")),
        ("gen_ai.response.model", word("m-1")),
        ("gen_ai.response.finish_reasons", Value::Array([word("tool_calls")].into())),
        ("gen_ai.usage.input_tokens", Value::Int(7)),
        ("gen_ai.tool.name", word("f")),
        ("gen_ai.tool.call.id", word("c")),
        ("http.request.method", word("POST")),
    ] {
        assert_eq!(value(key), Some(wanted), "{key}");
    }
    for key in
        ["gen_ai.usage.output_tokens", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.request.stream"]
    {
        assert_eq!(value(key), None, "{key}");
    }
    assert!(!format!("{span:?}").contains("secret"));
}

/// A frame of HTTP/2 that is text.
fn frame(kind: u8, flags: u8, stream: u32, payload: &str) -> String {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    String::from_utf8(head).unwrap() + payload
}

#[test]
fn calls_of_models_are_the_same_on_http2() {
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"secret"}]}"#;
    let answered = r#"{"id":"i","model":"m-1","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":7}}"#;
    let mut rig = Rig::new(Settings::default());
    let mut client = End::new(1, Role::Client, 80);
    rig.pass(&mut client, Direction::Sent, &with_body("POST /v1/chat/completions HTTP/1.1", asked), FRONT);
    rig.pass(&mut client, Direction::Received, &with_body("HTTP/1.1 200 OK", answered), FRONT);
    let first = rig.spans.pop().unwrap().span;
    let field = |name: &str, value: &str| {
        let length = |text: &str| char::from(u8::try_from(text.len()).unwrap());
        format!("\0{}{name}{}{value}", length(name), length(value))
    };
    let head = [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":authority", "h"),
        field(":path", "/v1/chat/completions"),
        field("content-type", "application/json"),
    ];
    let mut client = End::new(2, Role::Client, 80);
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", frame(4, 0, 0, ""));
    rig.pass(&mut client, Direction::Sent, &preface, FRONT);
    rig.pass(&mut client, Direction::Received, &frame(4, 0, 0, ""), FRONT);
    rig.pass(&mut client, Direction::Sent, &(frame(1, 4, 1, &head.concat()) + &frame(0, 1, 1, asked)), FRONT);
    let head = [field(":status", "200"), field("content-type", "application/json")].concat();
    rig.pass(&mut client, Direction::Received, &(frame(1, 4, 1, &head) + &frame(0, 1, 1, answered)), FRONT);
    let second = rig.spans.pop().unwrap().span;
    assert_eq!((&*first.name, &*second.name), ("chat m", "chat m"));
    let said = |span: &Span| -> Vec<_> {
        let named = span.attributes.iter().filter(|attribute| attribute.key != "network.protocol.version");
        named.map(|attribute| (attribute.key.to_string(), attribute.value.clone())).collect()
    };
    assert_eq!(said(&first), said(&second));
    assert!(said(&second).iter().any(|(key, _)| key == "gen_ai.usage.input_tokens"));
    assert!(!format!("{second:?}").contains("secret"));
}

#[test]
fn searches_in_vector_stores_are_named_by_their_collection() {
    let mut rig = Rig::new(Settings::default());
    let mut client = End::new(1, Role::Client, 6333);
    let asked = with_body("POST /collections/books/points/query HTTP/1.1", r#"{"query":[0.5],"limit":3}"#);
    rig.pass(&mut client, Direction::Sent, &asked, FRONT);
    let answered = with_body("HTTP/1.1 404 Not Found", r#"{"status":{"error":"no such collection"}}"#);
    rig.pass(&mut client, Direction::Received, &answered, FRONT);
    let span = rig.spans.pop().unwrap().span;
    assert_eq!(&*span.name, "retrieval books");
    for (key, wanted) in [
        ("gen_ai.operation.name", "retrieval"),
        ("gen_ai.data_source.id", "books"),
        ("db.system.name", "qdrant"),
        ("db.collection.name", "books"),
        ("db.operation.name", "query"),
        ("error.type", "404"),
    ] {
        assert_eq!(text(&span, key), Some(wanted), "{key}");
    }
    assert!(span.attributes.iter().any(|a| a.key == "gen_ai.request.top_k" && a.value == Value::Double(3.0)));
}

#[test]
fn a_failed_connect_is_a_client_span_of_its_own() {
    let mut rig = Rig::new(Settings::default());
    let mut server = End::new(1, Role::Server, 80);
    rig.request(&mut server, "GET / HTTP/1.1", FRONT);
    let failed = FailedConnect::new(200, 300, FRONT, Transport::Tcp, 111).with_remote("10.0.0.1:5432".parse().ok());
    let mut records = Vec::new();
    rig.traces.connect_failed(&failed, &Arc::new(Resource::default()), &mut |record| records.push(record));
    let parent = rig.answer(&mut server, "200 OK", FRONT);
    assert_eq!((records[0].protocol, records[0].span.kind), ("connect", SpanKind::Client));
    assert_eq!(text(&records[0].span, "error.type"), Some("ECONNREFUSED"));
    assert_eq!(text(&records[0].span, "server.address"), Some("10.0.0.1"));
    assert_eq!(records[0].span.parent_span_id, Some(parent.span_id));
}

#[test]
fn names_are_those_of_the_published_conventions() {
    use opentelemetry_semantic_conventions::attribute as semconv;
    assert_eq!(SCHEMA_URL, opentelemetry_semantic_conventions::SCHEMA_URL);
    let names = [
        semconv::HTTP_REQUEST_METHOD,
        semconv::HTTP_REQUEST_METHOD_ORIGINAL,
        semconv::URL_PATH,
        semconv::URL_QUERY,
        semconv::URL_FULL,
        semconv::URL_SCHEME,
        semconv::SERVER_ADDRESS,
        semconv::SERVER_PORT,
        semconv::CLIENT_ADDRESS,
        semconv::CLIENT_PORT,
        semconv::NETWORK_PEER_ADDRESS,
        semconv::NETWORK_PEER_PORT,
        semconv::NETWORK_PROTOCOL_VERSION,
        semconv::NETWORK_TRANSPORT,
        semconv::HTTP_RESPONSE_STATUS_CODE,
        semconv::HTTP_REQUEST_BODY_SIZE,
        semconv::HTTP_RESPONSE_BODY_SIZE,
        semconv::USER_AGENT_ORIGINAL,
        semconv::ERROR_TYPE,
        semconv::DB_SYSTEM_NAME,
        semconv::DB_NAMESPACE,
        semconv::DB_OPERATION_NAME,
        semconv::DB_OPERATION_BATCH_SIZE,
        semconv::DB_COLLECTION_NAME,
        semconv::DB_QUERY_SUMMARY,
        semconv::DB_QUERY_TEXT,
        semconv::DB_RESPONSE_STATUS_CODE,
        semconv::DB_RESPONSE_RETURNED_ROWS,
        semconv::DNS_QUESTION_NAME,
        semconv::DNS_ANSWERS,
        semconv::MESSAGING_SYSTEM,
        semconv::MESSAGING_OPERATION_NAME,
        semconv::MESSAGING_OPERATION_TYPE,
        semconv::MESSAGING_DESTINATION_NAME,
        semconv::MESSAGING_DESTINATION_PARTITION_ID,
        semconv::MESSAGING_KAFKA_OFFSET,
        semconv::MESSAGING_BATCH_MESSAGE_COUNT,
        semconv::MESSAGING_CONSUMER_GROUP_NAME,
        semconv::MESSAGING_CLIENT_ID,
    ];
    let written = [
        include_str!("span/mod.rs"),
        include_str!("span/http.rs"),
        include_str!("span/database.rs"),
        include_str!("span/dns.rs"),
        include_str!("span/kafka.rs"),
        include_str!("span/connect.rs"),
        include_str!("span/payload.rs"),
    ]
    .concat();
    for name in names {
        assert!(written.contains(&format!("\"{name}\"")), "{name} is not set anywhere");
    }
    // Names in the code that look like attributes are conventions, or the contract's own.
    for word in written.split('"').skip(1).step_by(2) {
        let prefixes =
            ["http.", "url.", "server.", "client.", "network.", "db.", "dns.", "messaging.", "user_agent.", "error."];
        if prefixes.iter().any(|prefix| word.starts_with(prefix)) {
            assert!(names.contains(&word) || word == "dns.response_code", "{word}");
        }
    }
}

#[test]
fn what_is_not_sampled_has_its_place_and_no_span() {
    let mut rig = Rig::new(Settings { sampler: Sampler::new(0.0), ..Settings::default() });
    let (mut server, mut call) = (End::new(1, Role::Server, 80), End::new(2, Role::Client, 81));
    let mut both = |rig: &mut Rig, head: &str| {
        rig.request(&mut server, head, FRONT);
        rig.request(&mut call, "GET /stock HTTP/1.1", FRONT);
        rig.pass(&mut call, Direction::Received, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", FRONT);
        rig.pass(&mut server, Direction::Sent, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", FRONT);
        std::mem::take(&mut rig.spans)
    };
    // A trace that begins here is not kept, with what it causes.
    assert_eq!(both(&mut rig, "GET / HTTP/1.1"), []);
    assert_eq!((rig.traces.counters().unsampled, rig.traces.counters().spans, rig.traces.open()), (2, 0, 0));
    // One that began elsewhere is, if it is sampled there.
    let spans = both(&mut rig, &format!("GET / HTTP/1.1\r\n{}", header(0xab, 0xcd)));
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|it| it.span.trace_id.to_bytes()[0] == 0xab));
    let mut rig = Rig::new(Settings::default());
    let (mut server, mut call) = (End::new(1, Role::Server, 80), End::new(2, Role::Client, 81));
    let unsampled = header(0xab, 0xcd).replace("-01", "-00");
    rig.request(&mut server, &format!("GET / HTTP/1.1\r\n{unsampled}"), FRONT);
    rig.request(&mut call, "GET /stock HTTP/1.1", FRONT);
    rig.pass(&mut call, Direction::Received, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", FRONT);
    rig.pass(&mut server, Direction::Sent, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", FRONT);
    assert_eq!((rig.spans.len(), rig.traces.counters().unsampled), (0, 2));
    // Metrics are of all requests.
    let mut rig = Rig::new(Settings { sampler: Sampler::new(0.0), unsampled: true, ..Settings::default() });
    let spans = both(&mut rig, "GET / HTTP/1.1");
    assert!(spans.len() == 2 && spans.iter().all(|it| !it.sampled && it.span.name.contains("GET")));
    assert_eq!((rig.traces.counters().unsampled, rig.traces.counters().spans), (2, 0));
}
