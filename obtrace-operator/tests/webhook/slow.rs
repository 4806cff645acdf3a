//! Clients that take their time.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};
use tokio_rustls::client::TlsStream;

use crate::support::{PROTOCOLS, Protocol, Served, is_patched, post, review, soon, tls, tls_over};

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
        limits.idle = Duration::from_secs(10);
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
        let mut clients = Vec::new();
        for protocol in PROTOCOLS {
            let client = served.connect(protocol).await;
            // HTTP/2 has to begin soon.
            assert!(is_patched(&client.review(review("u", 0)).await, "u"));
            clients.push(client);
        }
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
    // Large bodies that do not come are in nobody's way, nor in each other's.
    let late = ["timeout", "overloaded"]
        .map(|reason| served.metric(&format!("obtrace_zero_requests_refused_total{{reason=\"{reason}\"}}")));
    assert_eq!(late, [25, 0]);
}

/// TLS from an address of loopback's own.
async fn from(served: &Served, address: [u8; 4], protocol: Protocol) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    tls_over(socket.connect(served.address).await.unwrap(), served.authority.roots(), protocol).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_send_large_reviews_slowly_do_not_hold_up_those_of_others() {
    // Nobody is late: whoever has a place could keep it for two minutes.
    let served = Served::start(|_| {}).await;
    let head = b"POST /mutate-pods?timeout=300s HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n";
    let begun = AtomicUsize::new(0);
    let slow = async |peer: u8| {
        let mut stream = from(&served, [127, 0, 0, 2 + peer % 3], Protocol::Http1).await;
        stream.write_all(head).await.unwrap();
        // More than a small one has.
        stream.write_all(&[b' '; 100_000]).await.unwrap();
        stream.flush().await.unwrap();
        begun.fetch_add(1, Relaxed);
        drip(stream, b" ").await;
    };
    let all = futures::future::join_all((0..12).map(slow));
    let good = async {
        while begun.load(Relaxed) < 12 {
            sleep(Duration::from_millis(10)).await;
        }
        for protocol in PROTOCOLS {
            let client = served.connect(protocol).await;
            assert!(is_patched(&client.review(review("large", 3_000_000)).await, "large"));
        }
    };
    tokio::select! {
        _ = all => panic!("all have been closed"),
        () = soon(good) => {}
    }
    // The slow ones are told so a moment after they have lost their places.
    soon(async {
        while served.metric("obtrace_zero_requests_refused_total{reason=\"overloaded\"}") == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_have_their_bound() {
    let served = Served::start(|limits| limits.answers = 32 << 10).await;
    let stream = tls(served.address, served.authority.roots(), Protocol::Http2).await;
    // It allows for not one byte of an answer's body.
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let builder = builder.initial_stream_window_size(0).max_concurrent_reset_streams(0);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                sender.ready().await?;
                sender.send_request(post(review("untaken", 0))).await?.into_body().collect().await
            })
        })
        .collect();
    let client = served.connect(Protocol::Http1).await;
    soon(async {
        while served.refused("untaken") == 0 {
            assert!(is_patched(&client.review(review("taken", 0)).await, "taken"));
        }
    })
    .await;
    drop(soon(connection).await.unwrap());
    for asked in asked {
        assert!(soon(asked).await.unwrap().is_err());
    }
    assert!(is_patched(&client.review(review("taken", 0)).await, "taken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_not_needed_yet_is_no_slow_one() {
    let served = Served::start(|limits| limits.header = Duration::from_millis(200)).await;
    let unused = served.connect(Protocol::Http1).await;
    // Opened later, and late.
    hang(tls(served.address, served.authority.roots(), Protocol::Http1).await, b"POST /mutate-pods").await;
    // Counted a moment after its client has seen it.
    soon(async {
        while served.refused("header_timeout") == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
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
        let before = served.refused("too_many");
        let more = served.connect(protocol).await;
        assert!(is_patched(&more.review(review("more", 0)).await, "more"));
        // Where closing takes its time the next one has to go as well: each is counted, and those that stay are the latest.
        let closed = soon(async {
            loop {
                let closed = idle.iter().filter(|client| client.connection.is_finished()).count();
                if closed > 0 && closed as u64 == served.refused("too_many") - before {
                    break closed;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(closed < 6, "{protocol:?}");
        for (place, client) in idle.iter().enumerate() {
            assert_eq!(client.connection.is_finished(), place < closed, "{protocol:?}: {place} of {closed}");
            if place >= closed {
                assert!(is_patched(&client.review(review("still", 0)).await, "still"), "{protocol:?}");
            }
        }
    }
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
