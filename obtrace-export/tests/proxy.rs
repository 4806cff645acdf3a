//! Receivers behind a proxy, over HTTP and gRPC, as set and as the environment says.
#![cfg(all(feature = "http", feature = "grpc"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest")]
mod secure;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use obtrace_export::{
    model::Signal,
    retry::Class,
    transport::{Grpc, GrpcConfig, Http, HttpConfig, Reply, SendError, Tls},
};
use secure::{
    Server,
    certificates::{Authority, Folder, receiver},
};

/// A name that only the proxy can reach.
const HOST: &str = "collector.test";

/// A proxy that reaches one address whatever it is asked for, and keeps the heads of what it was asked.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(to: SocketAddr, refuses: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&proxy.heads);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                thread::spawn(move || serve(stream, to, refuses, &heads));
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("http://user:hunter22@{}", self.address)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, to: SocketAddr, refuses: bool, heads: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    if refuses {
        stream.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").ok()?;
    } else if head.starts_with("CONNECT ") {
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").ok()?;
        tunnel(stream, TcpStream::connect(to).ok()?);
    } else {
        // Plain HTTP is the proxy's to answer.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    }
    Some(())
}

fn tunnel(one: TcpStream, other: TcpStream) {
    let (mut from, mut to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (other, one);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn http(config: HttpConfig) -> Result<Reply, SendError> {
    run(async { Http::new(config).unwrap().send(b"{}".to_vec()).await })
}

fn grpc(config: GrpcConfig) -> Result<Reply, SendError> {
    run(async { Grpc::new(config).unwrap().send(Vec::new()).await })
}

fn secure_server() -> (Folder, Tls, Server) {
    let (folder, authority) = (Folder::new(), Authority::new("ours"));
    let tls = Tls::new().with_ca(folder.write("ca.pem", &authority.pem));
    let server = Server::start_tls(receiver(&authority.server(HOST), None, &[b"h2", b"http/1.1"]));
    (folder, tls, server)
}

#[test]
fn plain_http_is_asked_of_the_proxy() {
    let server = Server::start([]);
    let proxy = Proxy::start(server.address, false);
    let config =
        HttpConfig::otlp(&format!("http://{HOST}:4318"), Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap();
    assert_eq!(http(config).unwrap().class, Class::Accepted);
    let [head] = &proxy.heads()[..] else { panic!("one request") };
    assert!(head.starts_with("POST http://collector.test:4318/v1/logs HTTP/1.1\r\n"), "{head}");
    // user:hunter22
    assert!(head.contains("\r\nproxy-authorization: Basic dXNlcjpodW50ZXIyMg==\r\n"), "{head}");
}

#[test]
fn grpc_and_https_go_through_a_tunnel_with_tls_inside_it() {
    let (_folder, tls, server) = secure_server();
    let proxy = Proxy::start(server.address, false);
    let url = format!("https://{HOST}:4317");
    let config = HttpConfig::otlp(&url, Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap().with_tls(tls.clone());
    assert_eq!(http(config).unwrap().class, Class::Accepted);
    let config = GrpcConfig::new(&url, Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap().with_tls(tls);
    assert_eq!(grpc(config).unwrap().class, Class::Accepted);

    let plain = Server::start([]);
    let second = Proxy::start(plain.address, false);
    let config = GrpcConfig::new(&format!("http://{HOST}"), Signal::Logs).unwrap().with_proxy(&second.url()).unwrap();
    assert_eq!(grpc(config).unwrap().class, Class::Accepted);

    let heads = [proxy.heads(), second.heads()].concat();
    let targets: Vec<_> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
    let secure = "CONNECT collector.test:4317 HTTP/1.1";
    assert_eq!(targets, [secure, secure, "CONNECT collector.test:80 HTTP/1.1"]);
    let is_known =
        |head: &String| head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpodw50zxiymg==");
    assert!(heads.iter().all(is_known), "{heads:?}");
}

#[test]
fn a_proxy_that_refuses_is_said_without_its_password() {
    let proxy = Proxy::start("127.0.0.1:1".parse().unwrap(), true);
    let url = format!("https://{HOST}:4317");
    let errors = [
        http(HttpConfig::otlp(&url, Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap()).unwrap_err(),
        grpc(GrpcConfig::new(&url, Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap()).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, SendError::Connect(said) if said.contains("proxy")), "{error:?}");
        assert!(!error.to_string().contains("hunter22"), "{error}");
    }
    let plain = HttpConfig::otlp(&format!("http://{HOST}"), Signal::Logs).unwrap().with_proxy(&proxy.url()).unwrap();
    assert_eq!(http(plain).unwrap().status, 407);
}

/// Run by the test below, with variables that this process must not have.
#[test]
fn as_the_environment_says() {
    let Ok(local) = std::env::var("OBTRACE_TEST_RECEIVER") else { return };
    let remote = format!("http://{HOST}:4317");
    assert_eq!(http(HttpConfig::otlp(&remote, Signal::Traces).unwrap()).unwrap().class, Class::Accepted);
    assert_eq!(grpc(GrpcConfig::new(&remote, Signal::Traces).unwrap()).unwrap().class, Class::Accepted);
    // This machine is never asked for through a proxy.
    assert_eq!(grpc(GrpcConfig::new(&local, Signal::Metrics).unwrap()).unwrap().class, Class::Accepted);
    // Past it: by NO_PROXY, or because the transport was told so. By this name a machine reaches itself, but it is not one of
    // those that are never asked for through a proxy.
    let other = local.replace("127.0.0.1", "0.0.0.0");
    let (mut to_http, mut to_grpc) =
        (HttpConfig::otlp(&other, Signal::Metrics).unwrap(), GrpcConfig::new(&other, Signal::Metrics).unwrap());
    if std::env::var_os("no_proxy").is_none() {
        (to_http, to_grpc) = (to_http.without_proxy(), to_grpc.without_proxy());
    }
    assert_eq!(grpc(to_grpc).unwrap().class, Class::Accepted);
    // The receiver speaks HTTP/2 only.
    assert!(matches!(http(to_http), Err(SendError::Broken(_))));
}

#[test]
fn the_environment_names_a_proxy_and_what_is_reached_without() {
    for no_proxy in [Some("0.0.0.0"), None] {
        let server = Server::start([]);
        let proxy = Proxy::start(server.address, false);
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
            command.env_remove(name).env_remove(name.to_ascii_lowercase());
        }
        let done = command
            .args(["--exact", "as_the_environment_says", "--nocapture"])
            .env("http_proxy", proxy.url())
            .envs(no_proxy.map(|hosts| ("no_proxy", hosts)))
            .env("OBTRACE_TEST_RECEIVER", server.url())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let heads = proxy.heads();
        let targets: Vec<_> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
        assert_eq!(
            targets,
            ["POST http://collector.test:4317/v1/traces HTTP/1.1", "CONNECT collector.test:4317 HTTP/1.1"]
        );
        assert_eq!(server.requests().len(), 3, "one through the proxy and two past it");
    }
}
