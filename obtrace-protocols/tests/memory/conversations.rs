//! A request and its response, as each protocol has them.

/// The name of the case, the request, the response.
pub(crate) type Conversation = (&'static str, Vec<u8>, Vec<u8>);

/// One message of PostgreSQL.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// Packets of MySQL, numbered from the first.
fn packets(first: u8, bodies: &[&[u8]]) -> Vec<u8> {
    let packet = |(number, body): (usize, &&[u8])| {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[first + u8::try_from(number).unwrap()], body].concat()
    };
    bodies.iter().enumerate().flat_map(packet).collect()
}

/// A request of a web server and the answer of an application, in some records.
fn fastcgi() -> (Vec<u8>, Vec<u8>) {
    let record = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[1, kind, 0, 1, length[0], length[1], 0, 0], content].concat()
    };
    let params = b"\x0e\x04REQUEST_METHODPOST\x0b\x0aREQUEST_URI/users?a=b\x09\x04HTTP_HOSTshop";
    let request =
        [record(1, b"\0\x01\x01\0\0\0\0\0"), record(4, params), record(4, b""), record(5, b"body"), record(5, b"")];
    let output = b"Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nnone";
    (request.concat(), [record(6, output), record(6, b""), record(3, &[0; 8])].concat())
}

/// A query of MongoDB and its answer, with two documents.
fn mongodb() -> (Vec<u8>, Vec<u8>) {
    let message = |id: i32, to: i32, document: &[u8]| {
        let length = i32::try_from(document.len() + 21).unwrap();
        [&[length, id, to, 2013].map(i32::to_le_bytes).concat()[..], &[0; 5], document].concat()
    };
    let find = b"\x3b\0\0\0\x02find\0\x06\0\0\0users\0\x03filter\0\x10\0\0\0\x02a\0\x04\0\0\0xyz\0\0\x02$db\0\x05\0\0\0shop\0\0";
    let found = b"\x47\0\0\0\x03cursor\0\x2e\0\0\0\x04firstBatch\0\x15\0\0\0\x030\0\x05\0\0\0\0\x031\0\x05\0\0\0\0\0\
        \x10id\0\0\0\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0";
    (message(7, 0, find), message(8, 7, found))
}

/// A query of DNS and its answer with an alias and an address.
pub(crate) fn dns() -> (Vec<u8>, Vec<u8>) {
    let question = b"\x03www\x07example\x03com\0\0\x01\0\x01";
    let query = [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0"[..], question].concat();
    let mut answer = [&b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0"[..], question].concat();
    answer.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x07\x04edge\xc0\x10");
    answer.extend_from_slice(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
    (query, answer)
}

/// As over TCP.
fn with_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A request of version 0 and its response.
fn kafka_request(key: i16, body: &[u8]) -> Vec<u8> {
    let header = [&key.to_be_bytes()[..], b"\0\0\0\0\0\x07\0\x04shop"].concat();
    let size = u32::try_from(header.len() + body.len()).unwrap();
    [&size.to_be_bytes(), &header[..], body].concat()
}

fn kafka_response(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(4 + body.len()).unwrap();
    [&size.to_be_bytes(), &b"\0\0\0\x07"[..], body].concat()
}

/// A message of the format 0 for a topic, and that it was written at offset 42.
fn kafka_produce() -> (Vec<u8>, Vec<u8>) {
    let message = b"\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\x05hello";
    let topic = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\x02";
    let request = [&b"\0\x01\0\0\x03\xe8"[..], topic, b"\0\0\0\x1f", message].concat();
    (request, [&topic[..], b"\0\0\0\0\0\0\0\0\0\x2a"].concat())
}

/// A message with a body.
fn generative(start: &str, kind: &str, body: &str) -> Vec<u8> {
    format!("{start}\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A chat, answered as a stream.
fn generative_ai() -> (Vec<u8>, Vec<u8>) {
    (
        generative(
            "POST /v1/chat/completions HTTP/1.1",
            "application/json",
            r#"{"model":"m","stream":true,"n":2,"stop":["a"],"messages":[{"role":"user","content":"x"}]}"#,
        ),
        generative(
            "HTTP/1.1 200 OK",
            "text/event-stream",
            "data: {\"id\":\"i\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}}],\"usage\":{\"prompt_tokens\":7}}\n\ndata: [DONE]\n\n",
        ),
    )
}

/// Queries of MySQL with a row as the answer, and a statement that is prepared and executed.
fn mysql() -> [Conversation; 2] {
    let column = b"\x03def\x04shop\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
    let eof = b"\xfe\0\0\x02\0";
    let columns = packets(1, &[b"\x01", column, eof, b"\x017", b"\xfb", eof]);
    let ok = packets(1, &[b"\0\x01\0\x02\0\0\0"]);
    let prepared = packets(1, &[b"\0\x07\0\0\0\0\0\x01\0\0\0\0", column, eof]);
    [
        ("mysql, text", packets(0, &[b"\x03SELECT id FROM users WHERE name = 'x' AND id IN (1, 2)"]), columns),
        (
            "mysql, prepared",
            [
                packets(0, &[b"\x19\x07\0\0\0"]),
                packets(0, &[b"\x16INSERT INTO users (id) VALUES (?)"]),
                packets(0, &[b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x07\0\0\0\0\0\0\0"]),
            ]
            .concat(),
            [prepared, ok].concat(),
        ),
    ]
}

/// Queries of PostgreSQL in both of its protocols, and one that fails.
fn postgres() -> [Conversation; 4] {
    let row = [
        message(b'T', b"\0\x01id\0\0\0\0\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
        message(b'D', b"\0\x01\0\0\0\x017"),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let extended = |statement: &str| {
        let sql = "SELECT id, 'x' FROM users u JOIN orders o ON u.id = o.user_id WHERE u.id = $1";
        [
            message(b'P', format!("{statement}\0{sql}\0\0\0").as_bytes()),
            message(b'B', format!("\0{statement}\0\0\0\0\x01\0\0\0\x017\0\0").as_bytes()),
            message(b'D', b"P\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat()
    };
    let extended_row = [message(b'1', b""), message(b'2', b""), row.clone()].concat();
    let failure = [
        message(b'E', b"SERROR\0VERROR\0C23505\0Mduplicate key value violates unique constraint\0\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    [
        ("postgres, simple", message(b'Q', b"SELECT id FROM users WHERE name = 'x' AND id IN (1, 2)\0"), row),
        ("postgres, extended", extended(""), extended_row.clone()),
        ("postgres, prepared by name", extended("s_17"), extended_row),
        ("postgres, failing", message(b'Q', b"INSERT INTO users (id) VALUES (7)\0"), failure),
    ]
}

/// All of them.
pub(crate) fn conversations() -> Vec<Conversation> {
    let (query, answer) = dns();
    let (asked, answered) = fastcgi();
    let (find, found) = mongodb();
    let produced = kafka_produce();
    let (asked_model, answered_model) = generative_ai();
    let mut all = vec![
        (
            "http",
            b"POST /users/7?x=1 HTTP/1.1\r\nHost: shop\r\nUser-Agent: ua\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                .to_vec(),
        ),
        ("fastcgi", asked, answered),
        ("mongodb", find, found),
        ("generative AI", asked_model, answered_model),
        ("redis", b"*2\r\n$3\r\nGET\r\n$6\r\nuser:7\r\n".to_vec(), b"$5\r\nhello\r\n".to_vec()),
        ("dns over TCP", with_length(&query), with_length(&answer)),
        ("mqtt", b"\x32\x16\0\x0dplant/7/level\0\x07value".to_vec(), b"\x40\x02\0\x07".to_vec()),
        ("kafka, group", kafka_request(12, b"\0\x02g1\0\0\0\x03\0\x02m1"), kafka_response(b"\0\x1b")),
        ("kafka, produce", kafka_request(0, &produced.0), kafka_response(&produced.1)),
    ];
    all.extend(mysql());
    all.extend(postgres());
    all
}
