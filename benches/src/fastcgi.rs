//! FastCGI's requests beside tokio-fastcgi, the only crate found that reads them and is kept up: a GET and a POST as
//! nginx sends them. It is driven from memory, without a runtime.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use obtrace_protocols::{
    Role,
    fastcgi::{
        params::Params,
        record::{Kind, Records},
    },
};
use tokio_fastcgi::Requests;

use crate::harness::{Goals, Group, Run};

const PARAMS: [(&str, &str); 19] = [
    ("QUERY_STRING", "page=2&sort=price"),
    ("REQUEST_METHOD", "POST"),
    ("CONTENT_TYPE", "application/json"),
    ("CONTENT_LENGTH", "200"),
    ("SCRIPT_FILENAME", "/srv/www/shop/public/index.php"),
    ("SCRIPT_NAME", "/index.php"),
    ("REQUEST_URI", "/api/v1/orders?page=2&sort=price"),
    ("DOCUMENT_URI", "/index.php"),
    ("DOCUMENT_ROOT", "/srv/www/shop/public"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REQUEST_SCHEME", "https"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "nginx/1.28.0"),
    ("REMOTE_ADDR", "10.4.0.17"),
    ("REMOTE_PORT", "48122"),
    ("SERVER_ADDR", "10.4.0.3"),
    ("SERVER_NAME", "shop.example.com"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("HTTP_TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

fn record(kind: u8, id: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    let padding = content.len().wrapping_neg() % 8;
    [&[1, kind, 0, id], &length[..], &[padding as u8, 0], content, &vec![0; padding]].concat()
}

/// A request with a body of so many bytes.
fn request(id: u8, body: usize) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (name, value) in PARAMS {
        pairs.extend([name, value].map(|text| u8::try_from(text.len()).expect("a short text")));
        pairs.extend([name, value].concat().bytes());
    }
    let stdin = if body > 0 { record(5, id, &vec![b'x'; body]) } else { vec![] };
    [record(1, id, b"\0\x01\x01\0\0\0\0\0"), record(4, id, &pairs), record(4, id, b""), stdin, record(5, id, b"")]
        .concat()
}

/// What both are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer {
    requests: u32,
    ids: u32,
    params: usize,
    method: usize,
    uri: usize,
    bodies: usize,
}

fn ours(bytes: &[u8], params: &mut Params) -> Answer {
    let mut answer = Answer::default();
    for record in Records::new(bytes, Role::Client) {
        match record.kind {
            Kind::Begin => {
                (answer.requests, answer.ids) = (answer.requests + 1, answer.ids + u32::from(record.request_id))
            }
            Kind::Params => params.feed(record.content, 4096, |name, value| {
                answer.params += 1;
                match name {
                    b"REQUEST_METHOD" => answer.method += value.len(),
                    b"REQUEST_URI" => answer.uri += value.len(),
                    _ => {}
                }
            }),
            Kind::Stdin => answer.bodies += record.content.len(),
            _ => {}
        }
    }
    answer
}

/// What is in memory is there at once: nothing ever waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(told) => told,
        Poll::Pending => panic!("it waits"),
    }
}

/// Its parameters are in lower case. The answers that it writes go nowhere.
fn peers(bytes: &[u8]) -> Answer {
    let mut answer = Answer::default();
    let mut requests = Requests::new(bytes, tokio::io::sink(), 10, 10);
    while let Ok(Some(request)) = at_once(requests.next()) {
        answer.requests += 1;
        answer.ids += u32::from(request.get_request_id());
        answer.params += request.params_iter().expect("parameters").count();
        answer.method += request.get_param("request_method").map_or(0, Vec::len);
        answer.uri += request.get_param("request_uri").map_or(0, Vec::len);
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut *request.get_stdin(), &mut body).expect("a body");
        answer.bodies += body.len();
    }
    answer
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let bytes = [request(1, 0), request(2, 200)].concat();
    let mut params = Params::default();
    let told = ours(&bytes, &mut params);
    assert_eq!((told.requests, told.ids, told.params, told.bodies), (2, 3, 2 * PARAMS.len(), 200));
    assert_eq!(told, peers(&bytes));
    let outcome = Group::new("FastCGI requests", "request", told.requests as usize)
        .add("obtrace-protocols", bytes.len(), || ours(&bytes, &mut params))
        .add("tokio-fastcgi", bytes.len(), || peers(&bytes))
        .run(run);
    goals.ratio("FastCGI requests: times tokio-fastcgi", outcome.nanos[1] / outcome.nanos[0], 1.0, 0.7);
    goals.no_allocations("FastCGI requests", outcome.allocations[0]);
}
