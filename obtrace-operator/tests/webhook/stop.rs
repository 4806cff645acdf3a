//! A replica that is being replaced.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{PROTOCOLS, Protocol, Served, is_patched, review, soon, tls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_are_served_while_it_lingers() {
    let served = Served::start(|limits| limits.linger = Duration::from_secs(600)).await;
    let before = served.connect(Protocol::Http2).await;
    assert!(is_patched(&before.review(review("1", 0)).await, "1"));
    served.stop.cancel();
    for protocol in PROTOCOLS {
        let after = served.connect(protocol).await;
        assert!(is_patched(&after.review(review("2", 0)).await, "2"));
    }
    assert!(is_patched(&before.review(review("3", 0)).await, "3"));
    assert!(!served.task.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_lingers_connections_are_used_for_the_last_time() {
    let served = Served::start(|limits| limits.linger = Duration::from_secs(600)).await;
    let client = served.connect(Protocol::Http1).await;
    assert!(is_patched(&client.review(review("1", 0)).await, "1"));
    served.stop.cancel();
    // The answer says that there is no second: nothing is sent into a connection that is about to be closed.
    assert!(is_patched(&client.review(review("2", 0)).await, "2"));
    soon(client.connection).await.unwrap();
    assert!(!served.task.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_begun_is_answered_and_then_all_is_closed() {
    let served = Served::start(|limits| limits.grace = Duration::from_secs(600)).await;
    let idle = [served.connect(Protocol::Http1).await, served.connect(Protocol::Http2).await];
    for client in &idle {
        assert!(is_patched(&client.review(review("idle", 0)).await, "idle"));
    }
    let body = review("begun", 0);
    let (first, second) = body.split_at(20);
    let mut begun = tls(served.address, served.authority.roots(), Protocol::Http1).await;
    let head = format!(
        "POST /mutate-pods HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    begun.write_all(head.as_bytes()).await.unwrap();
    // That it goes on reading shows that the request is in its hands.
    let mut go_on = [0; 25];
    soon(begun.read_exact(&mut go_on)).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    begun.write_all(first).await.unwrap();
    served.stop.cancel();
    for client in idle {
        soon(client.connection).await.unwrap();
    }
    soon(async {
        while TcpStream::connect(served.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!served.task.is_finished());
    begun.write_all(second).await.unwrap();
    let mut answer = String::new();
    soon(begun.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""patchType":"JSONPatch""#), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    soon(served.task).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_finish_is_not_waited_for_forever() {
    let served = Served::start(|limits| limits.grace = Duration::from_millis(200)).await;
    let mut stream = tls(served.address, served.authority.roots(), Protocol::Http1).await;
    stream
        .write_all(b"POST /mutate-pods HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        .await
        .unwrap();
    let mut go_on = [0; 25];
    soon(stream.read_exact(&mut go_on)).await.unwrap();
    served.stop.cancel();
    let Served { task, metrics, .. } = served;
    soon(task).await.unwrap().unwrap();
    let text = metrics.encode().unwrap();
    assert!(text.contains("obtrace_zero_connections_refused_total{reason=\"stopped\"} 1"), "{text}");
    assert!(text.contains("obtrace_zero_connections 0"), "{text}");
}
