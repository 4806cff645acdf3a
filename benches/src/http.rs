//! Heads of HTTP/1 requests beside httparse.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};
use obtrace_protocols::{
    TraceContext,
    http::{ContentLength, Head, parse_request_head},
};

use crate::{
    harness::{Goals, Group, Run},
    random::Random,
};

/// Most header fields of a head, for the peer.
const SLOTS: usize = 64;

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nAccept: */*\r\n\r\n";

const API: &[u8] = b"POST /api/v1/orders/184467?expand=items HTTP/1.1\r\n\
    Host: checkout.shop.svc.cluster.local:8080\r\n\
    User-Agent: Go-http-client/1.1\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip\r\n\
    Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 212\r\n\
    X-Request-Id: 5d2f9a1e-0d4f-4c2c-9a57-3d1f2b7c9e10\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
    X-Forwarded-For: 203.0.113.7\r\n\r\n";

const BROWSER: &[u8] = b"GET /products/espresso-machines?sort=price&page=2 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=9f2c1e7ab34d4f0c8a6b; theme=dark; _ga=GA1.1.1234567890.1700000000\r\n\r\n";

/// What both are asked for.
#[derive(Debug, PartialEq)]
struct Answer<'a> {
    method: &'a str,
    target: &'a [u8],
    minor_version: u8,
    length: usize,
    content_length: Option<u64>,
    trace: Option<TraceContext>,
}

fn ours(bytes: &[u8]) -> Option<Answer<'_>> {
    let Head::Complete(head) = parse_request_head(bytes) else { return None };
    Some(Answer {
        method: head.method,
        target: head.target,
        minor_version: head.minor_version,
        length: head.length,
        content_length: match head.fields.content_length {
            ContentLength::Bytes(length) => Some(length),
            _ => None,
        },
        trace: head.fields.trace_context,
    })
}

fn peer(bytes: &[u8]) -> Option<Answer<'_>> {
    let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; SLOTS];
    let mut request = Request::new(&mut []);
    let Ok(Status::Complete(length)) = request.parse_with_uninit_headers(bytes, &mut slots) else { return None };
    let (mut content_length, mut trace) = (None, None);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            content_length = std::str::from_utf8(header.value).ok().and_then(|value| value.parse().ok());
        } else if header.name.eq_ignore_ascii_case("traceparent") {
            trace = TraceContext::parse(header.value);
        }
    }
    Some(Answer {
        method: request.method.unwrap_or_default(),
        target: request.path.unwrap_or_default().as_bytes(),
        minor_version: request.version.unwrap_or_default(),
        length,
        content_length,
        trace,
    })
}

/// Every head that httparse takes, we take alike: what it says, where it ends, which fields it has.
fn compare(random: &mut Random) -> usize {
    let mut taken = 0;
    for round in 0..60_000 {
        let mut bytes = [HEALTH, API, BROWSER][round % 3].to_vec();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.byte(),
                1 => bytes.insert(at, *random.pick(b" \t\r\n:,;/\x00\x7f\x80aZ")),
                2 => _ = bytes.remove(at),
                _ => bytes.truncate(bytes.len() - at.min(3)),
            }
        }
        let mut slots = [httparse::EMPTY_HEADER; SLOTS];
        let mut request = Request::new(&mut slots);
        let Ok(Status::Complete(length)) = request.parse(&bytes) else { continue };
        taken += 1;
        let shown = || String::from_utf8_lossy(&bytes);
        let Head::Complete(head) = parse_request_head(&bytes) else { panic!("httparse takes this: {}", shown()) };
        assert_eq!(Some(head.method), request.method, "{}", shown());
        assert_eq!(Some(head.target), request.path.map(str::as_bytes), "{}", shown());
        assert_eq!(Some(head.minor_version), request.version, "{}", shown());
        assert_eq!(head.length, length, "{}", shown());
        let fields: Vec<(&[u8], &[u8])> = head.headers().collect();
        let theirs: Vec<(&[u8], &[u8])> = request.headers.iter().map(|h| (h.name.as_bytes(), h.value)).collect();
        assert_eq!(fields, theirs, "{}", shown());
    }
    taken
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let taken = compare(&mut Random::new(1));
    println!("\nHTTP/1: {taken} changed heads that httparse takes were read alike.");
    for (name, head) in
        [("health check, 2 fields", HEALTH), ("API call, 10 fields", API), ("browser, 13 fields", BROWSER)]
    {
        assert_eq!(ours(head), peer(head), "{name}");
        assert!(ours(head).is_some(), "{name}");
        let outcome = Group::new(format!("HTTP/1 request head: {name}"), "head", 1)
            .add("obtrace-protocols", head.len(), || ours(head).is_some())
            .add("httparse, uninit, + traceparent, content-length", head.len(), || peer(head).is_some())
            .add("floor: copy", head.len(), || head.to_vec())
            .run(run);
        let ratio = outcome.nanos[1] / outcome.nanos[0];
        goals.ratio(format!("HTTP/1 head, {name}: times httparse"), ratio, 1.8, 1.4);
        goals.no_allocations(format!("HTTP/1 head, {name}"), outcome.allocations[0]);
    }
}
