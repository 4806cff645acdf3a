//! Connections with TLS, over HTTP and gRPC: who is trusted, what is shown, what happens when certificates change.
#![cfg(all(feature = "http", feature = "grpc"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest")]
mod secure;

use std::{
    future::Future,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use obtrace_export::{
    model::{LogRecord, Resource, Scope, Signal},
    pipeline::{Config, Exporter},
    retry::{Class, Policy},
    stats::Stats,
    transport::{Grpc, GrpcConfig, Http, HttpConfig, Reply, SendError, Tls, Transport},
};
use secure::{
    Act, Server,
    certificates::{Authority, Folder, receiver},
};

const TIMEOUT: Duration = Duration::from_secs(20);
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Either transport.
enum Client {
    Http(Http),
    Grpc(Grpc),
}

impl Client {
    async fn send(&self) -> Result<Reply, SendError> {
        match self {
            Self::Http(http) => http.send(b"{}".to_vec()).await,
            Self::Grpc(grpc) => grpc.send(Vec::new()).await,
        }
    }

    async fn accepted(&self) {
        assert_eq!(self.send().await.map(|reply| reply.class), Ok(Class::Accepted));
    }

    /// What is said when there is no connection.
    async fn refused(&self) -> String {
        self.send().await.unwrap_err().to_string()
    }
}

fn clients(url: &str, tls: &Tls, timeout: Duration) -> [Client; 2] {
    let http = HttpConfig::otlp(url, Signal::Traces).unwrap().with_tls(tls.clone());
    let grpc = GrpcConfig::new(url, Signal::Traces).unwrap().with_tls(tls.clone());
    [
        Client::Http(Http::new(http.with_timeout(timeout)).unwrap()),
        Client::Grpc(Grpc::new(grpc.with_timeout(timeout)).unwrap()),
    ]
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_receiver_of_our_own_authority_is_reached_over_http2() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    let server = Server::start_tls(receiver(&authority.server("localhost"), None, BOTH));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        for client in clients(&server.https(), &tls, TIMEOUT).iter().chain(&clients(
            &server.https(),
            &tls.with_system_ca(),
            TIMEOUT,
        )) {
            client.accepted().await;
            client.accepted().await;
        }
        let requests = server.requests();
        assert!(requests.len() == 8 && requests.iter().all(|request| request.http2), "{requests:?}");
    });
}

#[test]
fn without_http2_there_is_http1_and_no_grpc() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
            let server = Server::start_tls(receiver(&authority.server("localhost"), None, alpn));
            let [http, grpc] = clients(&server.https(), &tls, TIMEOUT);
            http.accepted().await;
            let said = grpc.refused().await;
            let [request] = &server.requests()[..] else { panic!("one request") };
            assert!(!request.http2 && request.path == "/v1/traces", "{request:?}");
            assert!(said.starts_with("no connection: "), "{said}");
            assert!(said.contains("port of OTLP/gRPC") || said.contains("NoApplicationProtocol"), "{said}");
        }
    });
}

#[test]
fn an_authority_that_is_not_trusted_is_named_until_its_file_is() {
    let (folder, authority, other) = (Folder::new(), Authority::new("ours"), Authority::new("other"));
    let server = Server::start_tls(receiver(&authority.server("localhost"), None, BOTH));
    run(async {
        for client in clients(&server.https(), &Tls::new(), TIMEOUT) {
            let said = client.refused().await;
            assert!(said.contains("OTEL_EXPORTER_OTLP_CERTIFICATE") && said.contains("no connection"), "{said}");
        }
        let ca = folder.write("ca.pem", &other.pem);
        let clients = clients(&server.https(), &Tls::new().with_ca(&ca), TIMEOUT);
        for client in &clients {
            let said = client.refused().await;
            assert!(said.contains("UnknownIssuer") && said.contains(ca.to_str().unwrap()), "{said}");
        }
        assert!(server.requests().is_empty(), "nothing was sent to whom nobody trusts");
        // A bundle of both, as while an authority is being replaced.
        folder.write("ca.pem", &format!("{}{}", other.pem, authority.pem));
        for client in &clients {
            client.accepted().await;
        }
        folder.write("ca.pem", "half writt");
        for client in &clients {
            client.accepted().await;
        }
        // And then the receiver's certificate is of the other.
        server.set_tls(receiver(&other.server("localhost"), None, BOTH));
        for client in &clients {
            client.accepted().await;
        }
    });
}

#[test]
fn what_waits_for_a_certificate_is_delivered_once_it_is_there() {
    let (folder, authority, other) = (Folder::new(), Authority::new("ours"), Authority::new("other"));
    let server = Server::start_tls(receiver(&authority.expired(), None, BOTH));
    let tls = Tls::new().with_ca(folder.write("ca.pem", &other.pem));
    let transports: [Transport; 2] = clients(&server.https(), &tls, TIMEOUT).map(|client| match client {
        Client::Http(http) => http.into(),
        Client::Grpc(grpc) => grpc.into(),
    });
    let exporters = transports.map(|transport| {
        let policy = Policy::new().with_waits(Duration::from_millis(20), Duration::from_millis(80));
        let (exporter, worker) = Exporter::new(transport, Config::new().with_retry(policy));
        worker.spawn_thread().unwrap();
        for number in 0..7 {
            let (resource, scope) = (Arc::new(Resource::default()), Arc::new(Scope::new("test", "1")));
            exporter.try_send(LogRecord::new(number.to_string(), resource, scope)).unwrap();
        }
        exporter
    });
    let wait_until = |done: fn(&Stats) -> bool| {
        for exporter in &exporters {
            let end = Instant::now() + Duration::from_secs(30);
            while !done(&exporter.stats()) {
                assert!(exporter.stats().is_balanced() && Instant::now() < end, "{:?}", exporter.stats());
                thread::sleep(Duration::from_millis(1));
            }
        }
    };
    wait_until(|stats| stats.retries >= 2);
    folder.write("ca.pem", &authority.pem);
    let retries = exporters.each_ref().map(|exporter| exporter.stats().retries);
    wait_until(|stats| stats.retries >= 4);
    assert!(server.requests().is_empty() && retries.iter().all(|retries| *retries >= 2));
    server.set_tls(receiver(&authority.server("localhost"), None, BOTH));
    wait_until(|stats| stats.exported == 7 && stats.in_flight() == 0 && stats.is_balanced());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn certificates_that_do_not_hold_are_refused_with_the_reason() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        for (pair, said) in
            [(authority.expired(), "has expired, renew it"), (authority.server("elsewhere"), "is for another name")]
        {
            let server = Server::start_tls(receiver(&pair, None, BOTH));
            for client in clients(&server.https(), &tls, TIMEOUT) {
                let error = client.refused().await;
                assert!(error.starts_with("no connection: ") && error.contains(said), "{error}");
            }
            assert!(server.requests().is_empty());
        }
    });
}

#[test]
fn a_client_certificate_is_shown_and_replaced_while_running() {
    let (folder, authority, other) = (Folder::new(), Authority::new("ours"), Authority::new("other"));
    let server = Server::start_tls(receiver(&authority.server("localhost"), Some(&authority), BOTH));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        for client in clients(&server.https(), &tls, TIMEOUT) {
            let said = client.refused().await;
            assert!(said.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{said}");
        }
        let (certificate, key) = folder.write_pair(&other.client("agent"));
        let clients = clients(&server.https(), &tls.with_client(&certificate, key), TIMEOUT);
        for client in &clients {
            let said = client.refused().await;
            assert!(said.contains("does not seem to take the client certificate in"), "{said}");
            assert!(said.contains(certificate.to_str().unwrap()), "{said}");
        }
        assert!(server.requests().is_empty());
        folder.write_pair(&authority.client("agent"));
        for client in &clients {
            client.accepted().await;
        }
        // The certificate is there and its key is not yet: what was there before is shown.
        folder.write("tls.crt", &authority.client("agent").certificate);
        for client in &clients {
            client.accepted().await;
        }
    });
}

#[test]
fn a_connection_that_died_without_a_word_does_not_get_the_next_request() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        for which in [0, 1] {
            let config = receiver(&authority.server("localhost"), None, BOTH);
            let server = Server::start_tls_with(config, [Act::message(b""), Act::Freeze]);
            let client = clients(&server.https(), &tls, Duration::from_secs(3)).into_iter().nth(which).unwrap();
            client.accepted().await;
            let error = client.send().await.unwrap_err();
            client.accepted().await;
            let connections: Vec<_> = server.requests().iter().map(|request| request.connection).collect();
            assert_eq!(connections, [1, 1, 2], "{error}");
        }
    });
}

#[test]
fn a_reply_without_end_is_not_read_over_http2() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    run(async {
        let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
        let server = Server::start_tls_with(receiver(&authority.server("localhost"), None, BOTH), [Act::Huge]);
        let [http, _] = clients(&server.https(), &tls, TIMEOUT);
        http.accepted().await;
        // What was read, and what may be under way by the windows of HTTP/2.
        assert!(server.written() <= 3 * 64 * 1024, "{}", server.written());
    });
}

#[test]
fn tls_where_there_is_none_and_the_other_way_round_is_said() {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
    run(async {
        let plain = Server::start([]);
        for client in clients(&plain.https(), &tls, TIMEOUT) {
            let said = client.refused().await;
            assert!(said.contains("is http:// meant?"), "{said}");
        }
        let secure = Server::start_tls(receiver(&authority.server("localhost"), None, BOTH));
        for client in clients(&secure.url(), &tls, TIMEOUT) {
            let said = client.refused().await;
            assert!(said.contains("is https:// meant?") || said.contains("without TLS?"), "{said}");
        }
        assert!(plain.requests().is_empty() && secure.requests().is_empty());
    });
}
