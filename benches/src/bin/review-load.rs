//! Sends AdmissionReviews to a webhook over TLS, at a steady rate or as fast as answers come, and prints what came of it as JSON.
//!
//! Times are counted from when a review was due, not from when it was sent: a server that is late is late for all that wait behind.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
};
use tokio_rustls::TlsConnector;

const USAGE: &str = "usage: review-load --to ADDRESS --ca FILE --name NAME --body FILE... \
[--http 1|2] [--connections N] [--rate PER_SECOND | --in-flight N [--reviews N]] [--seconds N] [--show]";

/// How many reviews may be due and not sent.
const MOST_WAITING: usize = 1 << 16;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is asked for.
struct Options {
    to: SocketAddr,
    ca: PathBuf,
    name: String,
    bodies: Vec<Bytes>,
    http2: bool,
    connections: usize,
    rate: Option<f64>,
    in_flight: usize,
    /// How many reviews there are to send, where there is no rate.
    reviews: usize,
    seconds: f64,
    show: bool,
}

fn options() -> Result<Options, Failure> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let Some(name) = argument.strip_prefix("--") else { return Err(format!("{argument}: not known").into()) };
        let value = if name == "show" {
            String::new()
        } else {
            arguments.next().ok_or_else(|| format!("{argument} needs a value"))?
        };
        named.entry(name.to_owned()).or_default().push(value);
    }
    let mut one = |name: &str| named.remove(name).and_then(|values| values.into_iter().next());
    let number = |text: Option<String>, otherwise: f64| text.map_or(Ok(otherwise), |text| text.parse::<f64>());
    let required = |text: Option<String>, name: &str| text.ok_or_else(|| format!("--{name} is missing"));
    let found = Options {
        to: required(one("to"), "to")?.parse()?,
        ca: required(one("ca"), "ca")?.into(),
        name: required(one("name"), "name")?,
        http2: one("http").is_none_or(|version| version == "2"),
        connections: number(one("connections"), 4.0)?.max(1.0) as usize,
        rate: one("rate").map(|text| text.parse()).transpose()?,
        in_flight: number(one("in-flight"), 16.0)?.max(1.0) as usize,
        reviews: number(one("reviews"), f64::MAX)? as usize,
        seconds: number(one("seconds"), 5.0)?,
        show: one("show").is_some(),
        bodies: Vec::new(),
    };
    let files = named.remove("body").ok_or("--body is missing")?;
    if let Some(name) = named.keys().next() {
        return Err(format!("--{name}: not known").into());
    }
    let bodies = files.iter().map(|file| fs::read(file).map(Bytes::from)).collect::<io::Result<_>>()?;
    Ok(Options { bodies, ..found })
}

/// One connection, of either version.
enum Sender {
    One(conn::http1::SendRequest<Full<Bytes>>),
    Two(conn::http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn open(options: &Options, tls: &TlsConnector) -> Result<Self, Failure> {
        let stream = TcpStream::connect(options.to).await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(tls.connect(ServerName::try_from(options.name.clone())?, stream).await?);
        // What breaks here shows in the requests.
        if options.http2 {
            let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            return Ok(Self::Two(sender));
        }
        let (sender, connection) = conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Self::One(sender))
    }

    /// The status and the body of the answer.
    async fn send(&mut self, options: &Options, body: Bytes) -> Result<(u16, Bytes), Failure> {
        let host = &options.name;
        let target = if options.http2 {
            format!("https://{host}/mutate-pods?timeout=10s")
        } else {
            "/mutate-pods?timeout=10s".to_owned()
        };
        let request = Request::post(target)
            .header("host", host)
            .header("content-type", "application/json")
            .header("accept", "application/json, */*");
        let request = request.body(Full::new(body))?;
        let response = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Another that sends over the same connection, where the version allows it.
    fn share(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Two(sender) => Some(Self::Two(sender.clone())),
        }
    }
}

/// What came of one review: the time since it was due, and whether it was answered as it should be.
type Sent = (Duration, Result<(), String>);

fn judge(answer: Result<(u16, Bytes), Failure>) -> Result<(), String> {
    let (status, body) = answer.map_err(|error| error.to_string())?;
    let allowed = |answer: serde_json::Value| answer["response"]["allowed"] == true;
    match serde_json::from_slice(&body).map(allowed) {
        Ok(true) if status == 200 => Ok(()),
        _ => Err(format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)]))),
    }
}

/// TLS that trusts the given CA alone.
fn tls(options: &Options) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&options.ca)? {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if options.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Prints the answer to each body.
async fn show(options: &Options, tls: &TlsConnector) -> Result<(), Failure> {
    let mut sender = Sender::open(options, tls).await?;
    for body in &options.bodies {
        let (status, answer) = sender.send(options, body.clone()).await?;
        let answer = String::from_utf8_lossy(&answer);
        if status != 200 {
            return Err(format!("{status}: {answer}").into());
        }
        println!("{}", answer.trim_end());
    }
    Ok(())
}

/// As many senders as requests may be under way, over as many connections as were asked for.
///
/// None is open yet where a number of reviews is asked for on connections that cannot be shared: there may be a thousand of them, and the
/// first would wait for the last longer than a server waits for its first request.
async fn senders(options: &Options, tls: &TlsConnector) -> Result<Vec<Option<Sender>>, Failure> {
    let count = options.in_flight.max(options.connections);
    if !options.http2 && options.reviews != usize::MAX {
        return Ok((0..count).map(|_| None).collect());
    }
    let mut open: Vec<Sender> = Vec::new();
    for index in 0..count {
        let shared = open.get(index % options.connections).and_then(Sender::share);
        open.push(match shared {
            Some(sender) => sender,
            None => Sender::open(options, tls).await?,
        });
    }
    Ok(open.into_iter().map(Some).collect())
}

/// Reviews that wait until a sender is free: which body, and when it was due.
type Waiting = Arc<Mutex<mpsc::Receiver<(usize, Instant)>>>;

/// What all senders share.
struct Work {
    options: Arc<Options>,
    tls: TlsConnector,
    waiting: Waiting,
    /// How many were begun, where there is no rate.
    begun: AtomicUsize,
    until: Instant,
}

impl Work {
    /// The next review; `None` at the end.
    async fn next(&self) -> Option<(usize, Instant)> {
        if self.options.rate.is_some() {
            return self.waiting.lock().await.recv().await;
        }
        let now = Instant::now();
        let index = self.begun.fetch_add(1, Ordering::Relaxed);
        (now < self.until && index < self.options.reviews).then_some((index, now))
    }
}

/// Sends what is due, or one review after the other, until the end or until one fails.
async fn send_all(sender: Option<Sender>, work: Arc<Work>, told: mpsc::UnboundedSender<Sent>) {
    let options = &work.options;
    let began = Instant::now();
    let open = match sender {
        Some(sender) => Ok(sender),
        None => Sender::open(options, &work.tls).await,
    };
    let mut sender = match open {
        Ok(sender) => sender,
        Err(error) => return drop(told.send((began.elapsed(), Err(error.to_string())))),
    };
    while let Some((index, when)) = work.next().await {
        let body = options.bodies[index % options.bodies.len()].clone();
        let result = judge(sender.send(options, body).await);
        let failed = result.is_err();
        if told.send((when.elapsed(), result)).is_err() || failed {
            return;
        }
    }
}

/// Waits until then. The runtime's timer counts whole milliseconds and is up to two late, as long as a review takes: the last of them are spent
/// asking for the time, which the processor has nothing better to do with.
async fn wait_until(when: Instant) {
    const COARSE: Duration = Duration::from_millis(3);
    if let Some(early) = when.checked_sub(COARSE) {
        tokio::time::sleep_until(early.into()).await;
    }
    while Instant::now() < when {
        tokio::task::yield_now().await;
    }
}

async fn load(options: Arc<Options>) -> Result<(), Failure> {
    let tls = tls(&options)?;
    if options.show {
        return show(&options, &tls).await;
    }
    let open = senders(&options, &tls).await?;
    let (due, waiting) = mpsc::channel(MOST_WAITING);
    let waiting = Arc::new(Mutex::new(waiting));
    let (told, mut results) = mpsc::unbounded_channel();
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(options.seconds);
    let work = Arc::new(Work { options: Arc::clone(&options), tls, waiting, begun: AtomicUsize::new(0), until });
    for sender in open {
        tokio::spawn(send_all(sender, Arc::clone(&work), told.clone()));
    }
    drop(told);
    let mut unsent = 0_u64;
    for index in 0..options.rate.map_or(0, |rate| (rate * options.seconds) as usize) {
        let when = began + Duration::from_secs_f64(index as f64 / options.rate.unwrap_or(1.0));
        wait_until(when).await;
        unsent += u64::from(due.try_send((index, when)).is_err());
    }
    drop(due);
    let mut times = Vec::new();
    let mut failures: BTreeMap<String, u64> = BTreeMap::new();
    while let Some((time, result)) = results.recv().await {
        match result {
            Ok(()) => times.push(time),
            Err(reason) => *failures.entry(reason).or_default() += 1,
        }
    }
    println!("{}", summary(times, &failures, unsent, began.elapsed()));
    if failures.is_empty() && unsent == 0 { Ok(()) } else { Err("not all were answered".into()) }
}

fn summary(
    mut times: Vec<Duration>,
    failures: &BTreeMap<String, u64>,
    unsent: u64,
    elapsed: Duration,
) -> serde_json::Value {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = |share: f64| {
        times.get(((times.len() as f64 * share) as usize).min(last)).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
    };
    serde_json::json!({
        "answered": times.len(), "unsent": unsent, "failures": failures, "seconds": elapsed.as_secs_f64(),
        "milliseconds": { "p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": at(1.0) },
    })
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => Arc::new(options),
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // One thread: it is pinned to the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(load(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("review-load: {error}");
            ExitCode::FAILURE
        }
    }
}
