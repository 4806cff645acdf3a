//! Look-ups in a registry of our own, on the loopback without TLS.

use std::{collections::BTreeSet, sync::Mutex};

use axum::{Router, body::Body, extract::Request, http::Response as Answer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A server that answers by a function, and what it was asked: method and address, and who asked.
struct Server {
    host: String,
    asked: Asked,
}

impl Server {
    async fn start(answer: impl Fn(&str, Option<&str>) -> Answer<Body> + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Asked::default();
        let log = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            let line = format!("{} {}", request.method(), request.uri());
            log.lock().unwrap().push((line.clone(), header.clone()));
            let answer = answer(&line, header.as_deref());
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, asked }
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer<Body> {
    let mut answer = Answer::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.into()).unwrap()
}

fn ok(body: &str) -> Answer<Body> {
    answer(200, &[], body.to_owned())
}

/// An image in an index: the paths of its parts below `/v2/shop/cart/`, and their bodies.
#[derive(Clone)]
struct Image {
    index: String,
    manifest: String,
    config: String,
}

impl Image {
    fn new(oci: bool) -> Self {
        let config =
            json!({ "architecture": "amd64", "os": "linux", "config": { "Entrypoint": ["node"], "Cmd": ["cart.js"] } });
        let config = config.to_string();
        let (config_type, manifest_type) = match oci {
            true => ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.manifest.v1+json"),
            false => (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.distribution.manifest.v2+json",
            ),
        };
        let descriptor = json!({ "mediaType": config_type, "digest": sha256(config.as_bytes()), "size": config.len() });
        let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": descriptor, "layers": [] });
        Self { config, ..Self::of(&manifest) }
    }

    /// With another manifest.
    fn of(manifest: &Value) -> Self {
        let manifest = manifest.to_string();
        let entry =
            json!({ "digest": sha256(manifest.as_bytes()), "platform": { "os": "linux", "architecture": "amd64" } });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
        Self { index, manifest, config: String::new() }
    }

    fn digest(&self) -> String {
        sha256(self.index.as_bytes())
    }

    /// The part that a line asks for.
    fn answer(&self, line: &str) -> Answer<Body> {
        let of = |kind: &str, body: &str| format!("/v2/shop/cart/{kind}/{}", sha256(body.as_bytes()));
        match line.split_once(' ').unwrap() {
            (_, "/v2/shop/cart/manifests/1") => answer(200, &[(CONTENT_DIGEST, &self.digest())], self.index.clone()),
            (_, path) if path == of("manifests", &self.manifest) => ok(&self.manifest),
            (_, path) if path == of("blobs", &self.config) => ok(&self.config),
            _ => answer(404, &[], ""),
        }
    }
}

/// A client that asks these without TLS.
fn plain(hosts: BTreeSet<String>) -> Client {
    Client::new(Egress::new(BTreeSet::new(), hosts), REQUEST).unwrap()
}

async fn look_up(servers: &[&Server], credentials: &Credentials) -> Result<Found, Fault> {
    look_up_again(servers, credentials, None).await
}

async fn look_up_again(servers: &[&Server], credentials: &Credentials, previous: Option<&str>) -> Result<Found, Fault> {
    let client = plain(servers.iter().map(|server| server.host.clone()).collect());
    let image = Reference::parse(&format!("{}/shop/cart:1", servers[0].host)).unwrap();
    client.look_up(&image, credentials, previous, |_| false).await
}

async fn anonymous(server: &Server) -> Result<Found, Fault> {
    look_up(&[server], &Credentials::Anonymous).await
}

fn password() -> Credentials {
    Credentials::Password("user".to_owned(), "pass".to_owned())
}

const BASIC: &str = "Basic dXNlcjpwYXNz";

#[tokio::test]
async fn images_of_both_kinds_are_found_through_their_index() {
    for oci in [true, false] {
        let image = Image::new(oci);
        let digest = image.digest();
        let server = Server::start(move |line, _| image.answer(line)).await;
        let found = anonymous(&server).await.unwrap();
        assert_eq!(found.digest, digest);
        assert_eq!(found.config.unwrap().entrypoint, ["node"]);
        assert_eq!(server.asked().len(), 3);
        let again = look_up_again(&[&server], &Credentials::Anonymous, Some(&digest)).await.unwrap();
        assert_eq!((again.digest, again.config), (digest, None));
        let asked: Vec<_> = server.asked().into_iter().map(|(line, _)| line).collect();
        assert_eq!(asked, ["HEAD /v2/shop/cart/manifests/1"], "what is as it was is not pulled");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_by_whom_the_registry_names() {
    let tokens = Server::start(|_, who| match who {
        Some(BASIC) => ok(r#"{"access_token": "t0ken"}"#),
        _ => answer(401, &[], ""),
    });
    let tokens = tokens.await;
    let challenge = format!(r#"Bearer realm="http://{}/token?a=b",service="registry""#, tokens.host);
    let image = Image::new(true);
    let server = Server::start(move |line, who| match who {
        Some("Bearer t0ken") => image.answer(line),
        _ => answer(401, &[("www-authenticate", &challenge)], ""),
    });
    let server = server.await;
    assert!(look_up(&[&server, &tokens], &password()).await.unwrap().config.is_some());
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "one token is for all of an image");
    assert_eq!(asked[0].0, "GET /token?a=b&scope=repository%3Ashop%2Fcart%3Apull&service=registry");
    assert!(server.asked().iter().all(|(_, who)| who.as_deref() != Some(BASIC)), "the registry sees no password");
    assert_eq!(look_up(&[&server, &tokens], &Credentials::Anonymous).await, Err(Fault::Refused(401)));
    let unsafe_realm = look_up(&[&server], &password()).await.unwrap_err();
    assert!(unsafe_realm.to_string().contains("without TLS"), "{unsafe_realm}");
}

#[tokio::test]
async fn an_identity_token_is_sent_in_a_form_and_a_password_where_it_is_asked_for() {
    let tokens = Server::start(|line, who| match (line, who) {
        ("POST /token", None) => ok(r#"{"token": "t"}"#),
        _ => answer(400, &[], ""),
    });
    let tokens = tokens.await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, tokens.host);
    let image = Image::new(true);
    let other = image.clone();
    let server = Server::start(move |line, who| match who {
        Some("Bearer t") => image.answer(line),
        _ => answer(401, &[("www-authenticate", &challenge)], ""),
    });
    let identity = Credentials::Identity("i".to_owned());
    assert!(look_up(&[&server.await, &tokens], &identity).await.is_ok());
    let server = Server::start(move |line, who| match who {
        Some(BASIC) => other.answer(line),
        _ => answer(401, &[("www-authenticate", "Basic realm=x")], ""),
    });
    let server = server.await;
    assert!(look_up(&[&server], &password()).await.is_ok());
    assert_eq!(anonymous(&server).await, Err(Fault::Refused(401)));
    let wrong = Credentials::Password("user".to_owned(), "other".to_owned());
    server.asked();
    assert_eq!(look_up(&[&server], &wrong).await, Err(Fault::Refused(401)));
    assert_eq!(server.asked().len(), 2, "a password that is refused is not tried again");
}

#[tokio::test]
async fn a_redirect_elsewhere_takes_no_credentials_along() {
    let image = Image::new(true);
    let store = {
        let image = image.clone();
        Server::start(move |_, _| ok(&image.config)).await
    };
    let location = format!("http://{}/blob?signature=x", store.host);
    let server = Server::start(move |line, who| match (who, line.contains("/blobs/")) {
        (Some(BASIC), true) => answer(307, &[("location", &location)], ""),
        (Some(BASIC), false) => image.answer(line),
        _ => answer(401, &[("www-authenticate", "Basic")], ""),
    });
    let server = server.await;
    assert!(look_up(&[&server, &store], &password()).await.is_ok());
    assert_eq!(store.asked(), [("GET /blob?signature=x".to_owned(), None)]);
    let fault = look_up(&[&server], &password()).await.unwrap_err();
    assert!(fault.to_string().contains("without TLS") && store.asked().is_empty(), "{fault}");
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    for (location, word) in [("/again", "more than"), ("ftp://x/", "without TLS"), ("http://[", "nowhere")] {
        let server = Server::start(move |_, _| answer(302, &[("location", location)], "")).await;
        let fault = anonymous(&server).await.unwrap_err().to_string();
        assert!(fault.contains(word), "{location}: {fault}");
    }
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    for (part, word) in [("manifests/1", "manifest"), ("manifests/sha256", "manifest"), ("blobs/", "configuration")] {
        let image = Image::new(true);
        let server = Server::start(move |line, _| match line.contains(part) {
            // The same JSON with other bytes.
            true => answer(
                200,
                &[(CONTENT_DIGEST, &image.digest())],
                match part {
                    "blobs/" => format!("{} ", image.config),
                    "manifests/1" => format!("{} ", image.index),
                    _ => format!("{} ", image.manifest),
                },
            ),
            false => image.answer(line),
        });
        let fault = anonymous(&server.await).await.unwrap_err().to_string();
        assert!(fault.contains(word) && fault.contains("digest"), "{part}: {fault}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    // With its length said, and without.
    let server = Server::start(|_, _| answer(200, &[], vec![b' '; MOST_MANIFEST + 1])).await;
    assert!(anonymous(&server).await.unwrap_err().to_string().contains("more than 4194304 bytes"));
    let endless = || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])));
    let server = Server::start(move |_, _| answer(200, &[], endless())).await;
    assert!(anonymous(&server).await.unwrap_err().to_string().contains("more than 4194304 bytes"));
    let config =
        json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b""), "size": 2 << 20 });
    let image = Image::of(&json!({ "schemaVersion": 2, "config": config }));
    let server = Server::start(move |line, _| image.answer(line)).await;
    assert!(anonymous(&server).await.unwrap_err().to_string().contains("has 2097152 bytes"));
    assert!(server.asked().iter().all(|(line, _)| !line.contains("/blobs/")));
}

#[tokio::test]
async fn a_registry_without_time_says_for_how_long() {
    for (status, header, after) in [
        (429, "7", Some(Duration::from_secs(7))),
        (503, "soon", None),
        (500, "-1", None),
        (502, "99999999999999999999", None),
    ] {
        let server = Server::start(move |_, _| answer(status, &[("retry-after", header)], "")).await;
        assert_eq!(anonymous(&server).await, Err(Fault::Busy(status, after)));
    }
    let server = Server::start(|_, _| answer(404, &[], "")).await;
    assert_eq!(anonymous(&server).await, Err(Fault::Absent));
    let server = Server::start(|_, _| answer(418, &[], "")).await;
    assert!(matches!(anonymous(&server).await, Err(Fault::Odd(_))));
}

#[tokio::test]
async fn nobody_there_and_no_tls_are_no_answer() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let server = Server { host: gone, asked: Asked::default() };
    assert!(matches!(anonymous(&server).await, Err(Fault::Away(_))));
    let plain = Server::start(|_, _| ok("{}")).await;
    let client = Client::new(Egress::new([plain.host.clone()].into(), BTreeSet::new()), REQUEST).unwrap();
    let image = Reference::parse(&format!("{}/shop/cart:1", plain.host)).unwrap();
    let fault = client.look_up(&image, &password(), None, |_| false).await.unwrap_err();
    assert!(matches!(&fault, Fault::Away(said) if !said.contains("pass")), "{fault}");
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn an_answer_that_never_ends_is_waited_for_no_longer_than_is_set() {
    let stuck = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let server = Server::start(move |_, _| answer(200, &[], stuck())).await;
    let egress = Egress::new(BTreeSet::new(), [server.host.clone()].into());
    let client = Client::new(egress, Duration::from_millis(200)).unwrap();
    let image = Reference::parse(&format!("{}/shop/cart:1", server.host)).unwrap();
    let fault = client.look_up(&image, &Credentials::Anonymous, None, |_| false).await.unwrap_err();
    assert_eq!(fault, Fault::Away("no answer in time".to_owned()));
}

#[tokio::test]
async fn an_index_of_indexes_and_a_known_image_end_the_look_up() {
    let image = Image::of(&json!({ "schemaVersion": 2, "manifests": [{ "digest": sha256(b"x") }] }));
    let server = Server::start(move |line, _| image.answer(line)).await;
    assert!(anonymous(&server).await.unwrap_err().to_string().contains("another index"));
    let image = Image::new(true);
    let digest = image.digest();
    let server = Server::start(move |line, _| image.answer(line)).await;
    let client = plain([server.host.clone()].into());
    let image = Reference::parse(&format!("{}/shop/cart:1", server.host)).unwrap();
    let found = client.look_up(&image, &Credentials::Anonymous, None, |known| known == digest).await.unwrap();
    assert_eq!((found.config, server.asked().len()), (None, 1), "what another reference had is not fetched");
}

#[tokio::test]
async fn nobody_is_asked_at_an_address_of_the_machine_that_is_not_named() {
    let server = Server::start(|_, _| ok("{}")).await;
    let port = server.host.rsplit_once(':').unwrap().1.to_owned();
    let client = plain(BTreeSet::new());
    let bare = async |host: &str| {
        let image = Reference::parse(&format!("{host}:{port}/shop/cart:1")).unwrap();
        client.look_up(&image, &Credentials::Anonymous, None, |_| false).await
    };
    for host in ["127.0.0.1", "localhost", "a.localhost", "0.0.0.0", "[::1]", "[::ffff:7f00:1]", "169.254.169.254"] {
        assert_eq!(bare(host).await, Err(Fault::Barred(Barred::Address)), "{host}");
    }
    let named = Client::new(Egress::new(["registry.example.com".to_owned()].into(), BTreeSet::new()), REQUEST).unwrap();
    let image = Reference::parse("ghcr.io/shop/cart").unwrap();
    let fault = named.look_up(&image, &Credentials::Anonymous, None, |_| false).await;
    assert_eq!(fault, Err(Fault::Barred(Barred::Registry)));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn neither_a_redirect_nor_a_token_service_leads_where_nobody_is_asked() {
    let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = inner.local_addr().unwrap();
    let redirect = format!("https://{address}/latest/meta-data");
    let realm = format!(r#"Bearer realm="https://localhost:{}/token""#, address.port());
    for (status, header, value) in [(307, "location", redirect), (401, "www-authenticate", realm)] {
        let server = Server::start(move |_, _| answer(status, &[(header, &value)], "")).await;
        assert_eq!(look_up(&[&server], &password()).await, Err(Fault::Barred(Barred::Address)), "{header}");
    }
    let connected = tokio::time::timeout(Duration::ZERO, inner.accept()).await;
    assert!(connected.is_err(), "nobody has connected");
}

#[tokio::test]
async fn a_grant_that_is_not_valid_is_a_refusal() {
    let tokens = Server::start(|_, _| answer(400, &[], r#"{"error":"invalid_grant"}"#)).await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, tokens.host);
    let server = Server::start(move |_, _| answer(401, &[("www-authenticate", &challenge)], "")).await;
    let fault = look_up(&[&server, &tokens], &Credentials::Identity("old".to_owned())).await;
    assert_eq!(fault, Err(Fault::Refused(400)), "other credentials are tried");
}
