//! Reviews that no API server would write.

use http::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{PROTOCOLS, Served, is_patched, review, soon};

/// Numbers that are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Puts something of another type somewhere.
fn spoil(value: &mut Value, numbers: &mut Numbers) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    let count = inner.len();
    if count > 0 && numbers.below(5) > 0 {
        return spoil(inner.into_iter().nth(numbers.below(count)).unwrap(), numbers);
    }
    *value = match numbers.below(8) {
        0 => json!(null),
        1 => json!(-7.5e300),
        2 => json!(true),
        3 => json!("\u{0}\u{7f}\u{2028}\"\\"),
        4 => json!([[[]]]),
        5 => json!({ "": { "name": 1 } }),
        6 => json!("x".repeat(numbers.below(5000))),
        _ => json!([value.clone(), value.clone(), value.clone()]),
    };
}

fn hostile(numbers: &mut Numbers) -> Bytes {
    let mut bytes = review("h", numbers.below(3) * 1000).to_vec();
    let at = numbers.below(bytes.len());
    match numbers.below(8) {
        0 => bytes.truncate(at),
        1 => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
        2 => drop(bytes.drain(at..(at + 1 + numbers.below(40)).min(bytes.len()))),
        3 => bytes.extend_from_within(at..),
        4 => bytes.splice(at..at, "[{\"a\":".repeat(numbers.below(1200)).into_bytes()).for_each(drop),
        _ => {
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            for _ in 0..=numbers.below(4) {
                spoil(&mut value, numbers);
            }
            bytes = value.to_string().into_bytes();
        }
    }
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_allowed_or_refused_by_http_and_nothing_breaks() {
    let served = Served::start(|_| {}).await;
    let mut numbers = Numbers(2026);
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        for round in 0..5000 {
            let body = hostile(&mut numbers);
            let (status, answer) = client.review(body.clone()).await;
            let response = &answer["response"];
            assert_eq!(status, StatusCode::OK, "{protocol:?} {round}: {}", String::from_utf8_lossy(&body));
            assert_eq!(response["allowed"], true, "{protocol:?} {round}: {}", String::from_utf8_lossy(&body));
        }
        assert!(is_patched(&client.review(review("last", 0)).await, "last"));
    }
    assert_eq!(served.metric("obtrace_zero_admission_panics_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_operations_and_depths_are_left_alone() {
    let served = Served::start(|_| {}).await;
    let client = served.connect(PROTOCOLS[1]).await;
    let text = String::from_utf8(review("u", 0).to_vec()).unwrap();
    for operation in ["UPDATE", "DELETE", "CONNECT", "", "create"] {
        let (status, answer) = client.review(text.replace("CREATE", operation)).await;
        assert_eq!((status, &answer["response"]["allowed"]), (StatusCode::OK, &json!(true)));
        assert_eq!(answer["response"].get("patch"), None, "{operation}");
    }
    let deep = format!(r#""app":"web","deep":{}{}"#, "[".repeat(1000), "]".repeat(1000));
    let (status, answer) = client.review(text.replace(r#""app":"web""#, &deep)).await;
    assert_eq!((status, &answer["response"]["allowed"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_that_is_too_large_is_allowed_with_a_warning() {
    let served = Served::start(|_| {}).await;
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        let (status, answer) = client.review(review("large", 9 << 20)).await;
        let response = &answer["response"];
        assert_eq!((status, &response["uid"], &response["allowed"]), (StatusCode::OK, &json!("large"), &json!(true)));
        assert!(response["warnings"][0].as_str().unwrap().contains("the review is too large"), "{answer}");
    }
    assert_eq!(served.metric(r#"obtrace_zero_requests_refused_total{reason="too_large"}"#), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_is_told_that_tls_is_spoken_here() {
    let served = Served::start(|_| {}).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request =
        format!("POST /mutate-pods HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n{}", " ".repeat(10_000));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("This port speaks HTTPS, not HTTP\n"), "{answer}");
    for nonsense in [&b"\0\0\0\0"[..], b"\x16\x03\x01\xff\xff garbage", b"\x16\x03\x01\0\x05hello"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        // Closed or reset, and nothing more.
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
    soon(async {
        while served.refused("not_tls") + served.refused("handshake") < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(served.refused("not_tls"), 2);
}
