//! Clients that take their time.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::support::{PROTOCOLS, Protocol, Served, is_patched, review, soon, tls};

/// Sends a byte now and then until the other side closes.
async fn drip(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let mut buffer = [0; 1024];
    for byte in bytes.iter().cycle() {
        let written = stream.write_all(&[*byte]).await;
        let closed = tokio::select! {
            read = stream.read(&mut buffer) => matches!(read, Ok(0) | Err(_)),
            () = sleep(Duration::from_millis(50)) => false,
        };
        if closed || written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Sends this and waits until the other side closes.
async fn hang(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let mut rest = Vec::new();
    if stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok() {
        let _ = stream.read_to_end(&mut rest).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_connections_are_closed_and_disturb_nobody() {
    let served = Served::start(|limits| {
        // Handshakes of a machine with 200 other things to do are not meant to be late.
        (limits.handshake, limits.header) = (Duration::from_secs(20), Duration::from_secs(1));
        limits.request = Duration::from_secs(2);
        // Of those that say nothing at all.
        limits.idle = Duration::from_secs(2);
    })
    .await;
    let gone = AtomicUsize::new(0);
    let slow = async |kind: usize| {
        let plain = async || TcpStream::connect(served.address).await.unwrap();
        let secure = async |protocol| tls(served.address, served.authority.roots(), protocol).await;
        let head =
            b"POST /mutate-pods HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n";
        let body = [&head[..], b"\r\n{"].concat();
        match kind % 8 {
            0 => hang(plain().await, b"").await,
            1 => drip(plain().await, b"\x16\x03\x01\x02\x00").await,
            2 => hang(secure(Protocol::Http1).await, b"").await,
            3 => drip(secure(Protocol::Http1).await, b"X-A: b\r\n").await,
            4 => hang(secure(Protocol::Http1).await, head).await,
            5 => hang(secure(Protocol::Http1).await, &body).await,
            6 => drip(secure(Protocol::Http1).await, b"POST /mutate-pods HTTP/1.1\r\n").await,
            _ => hang(secure(Protocol::Http2).await, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await,
        }
        gone.fetch_add(1, Relaxed);
    };
    let all = futures::future::join_all((0..200).map(slow));
    let others = async {
        let clients = [served.connect(Protocol::Http1).await, served.connect(Protocol::Http2).await];
        let mut asked = 0;
        while gone.load(Relaxed) < 200 || asked < 50 {
            for client in &clients {
                assert!(is_patched(&client.review(review("u", 0)).await, "u"));
            }
            asked += 1;
        }
    };
    soon(async { tokio::join!(all, others) }).await;
    let [handshakes, headers] = ["handshake_timeout", "header_timeout"].map(|reason| served.refused(reason));
    assert!(handshakes >= 25 && headers >= 75, "{handshakes} {headers}\n{}", served.metrics.encode().unwrap());
    // There is room for three of these at a time: the others have waited for it in vain, or got it at the very end.
    let late = ["timeout", "overloaded"]
        .map(|reason| served.metric(&format!("obtrace_zero_requests_refused_total{{reason=\"{reason}\"}}")));
    assert!(late.iter().sum::<u64>() >= 25, "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_not_needed_yet_is_no_slow_one() {
    let served = Served::start(|limits| limits.header = Duration::from_millis(200)).await;
    let unused = served.connect(Protocol::Http1).await;
    // Opened later, and late.
    hang(tls(served.address, served.authority.roots(), Protocol::Http1).await, b"POST /mutate-pods").await;
    assert_eq!(served.refused("header_timeout"), 1);
    assert!(is_patched(&unused.review(review("first", 0)).await, "first"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_told_so() {
    let served = Served::start(|limits| limits.request = Duration::from_millis(200)).await;
    let mut stream = tls(served.address, served.authority.roots(), Protocol::Http1).await;
    let head = r#"{"kind":"AdmissionReview","request":{"uid":"half","#;
    let request =
        format!("POST /mutate-pods HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\nconnection: close\r\n\r\n{head}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = soon(stream.read_to_string(&mut answer)).await;
    // It has said which request it is, so it can be allowed.
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""uid":"half","allowed":true,"warnings":["#), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_that_is_idle_longest_makes_room() {
    let served = Served::start(|limits| limits.connections = 6).await;
    for protocol in PROTOCOLS {
        let mut idle = Vec::new();
        for _ in 0..6 {
            let client = served.connect(protocol).await;
            assert_eq!(client.review(review("u", 0)).await.0, StatusCode::OK);
            idle.push(client);
        }
        let more = served.connect(protocol).await;
        assert!(is_patched(&more.review(review("more", 0)).await, "more"));
        let first = idle.remove(0);
        soon(first.connection).await.unwrap();
        // Where closing takes its time another may have had to go; not the latest.
        let last = idle.pop().unwrap();
        assert!(is_patched(&last.review(review("still", 0)).await, "still"), "{protocol:?}");
    }
    assert!(served.refused("too_many") >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_in_the_end() {
    let served = Served::start(|limits| limits.idle = Duration::from_millis(300)).await;
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        assert!(is_patched(&client.review(review("u", 0)).await, "u"));
        soon(client.connection).await.unwrap();
    }
    soon(async {
        while served.metric("obtrace_zero_connections") > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
