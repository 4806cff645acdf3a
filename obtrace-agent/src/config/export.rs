//! Who is sent spans and metrics, and how.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use obtrace_export::{
    batch::Limits,
    encode::Format,
    model::Signal,
    pipeline::Config as Delivery,
    retry::Policy,
    spool::{self, WhenFull},
    transport::{
        Compression, Console, ConsoleForm, File, FileConfig, Grpc, GrpcConfig, Http, HttpConfig, Tls, Transport,
    },
};

use super::{Config, ConfigError, value};
use crate::metrics;

/// Where receivers are if nobody says anything else.
const LOCAL_HTTP: &str = "http://localhost:4318";
const LOCAL_GRPC: &str = "http://localhost:4317";

/// A way out for items of one signal.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outlet {
    route: Route,
    /// How items are batched, sent and kept.
    pub delivery: Delivery,
}

#[derive(Debug)]
enum Route {
    Transport(Transport),
    /// It is made when it is needed: who only looks at the configuration wants no file.
    File(FileConfig, Opened),
}

/// What is no file of its own is opened once for every signal: lines of two who do not know of each other would be torn.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<Mutex<Option<File>>>);

impl Opened {
    fn file(&self, config: FileConfig) -> io::Result<File> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(file) => Ok(file.clone()),
            None => Ok(opened.insert(File::new(config)?).clone()),
        }
    }
}

impl Outlet {
    /// To whom, fit to be shown.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.route {
            Route::Transport(transport) => transport.target(),
            Route::File(file, _) => file.path.display().to_string(),
        }
    }

    /// The way itself.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(self) -> io::Result<(Transport, Delivery)> {
        let transport = match self.route {
            Route::Transport(transport) => transport,
            Route::File(file, opened) => opened.file(file)?.into(),
        };
        Ok((transport, self.delivery))
    }
}

/// Which metrics there are and where they go.
#[derive(Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// What is measured, and how often it is sent.
    pub settings: metrics::Settings,
    /// Where it is sent.
    pub outlets: Vec<Outlet>,
    /// The page for Prometheus.
    pub page: Option<Page>,
}

/// A page for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The host that it is on: a name or an address.
    pub host: String,
    /// Its port; 0: any that is free.
    pub port: u16,
    /// Its path.
    pub path: String,
}

/// Whom items of one signal are sent to.
pub(super) enum Endpoint<'a> {
    /// The product's ingest.
    Ingest(&'a str),
    /// A receiver of every signal.
    Base(&'a str),
    /// The receiver of this signal.
    Exact(&'a str),
    /// Whoever listens on this machine.
    Local,
}

/// What HTTP and gRPC are told alike.
macro_rules! with_settings {
    ($config:expr, $signal:expr, $transport:expr) => {{
        let config: &Config = $config;
        let signal: Signal = $signal;
        let timeout = value::duration(config.of(signal, "timeout")).unwrap_or_default();
        let compression = match config.of(signal, "compression") {
            "gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            _ => Compression::None,
        };
        let mut transport =
            $transport.with_timeout(timeout).with_compression(compression).with_tls(config.tls(signal)?);
        transport = transport.with_product(concat!("obtrace-agent/", env!("CARGO_PKG_VERSION"))).map_err(refused)?;
        transport = transport.with_header_list(config.of(signal, "headers")).map_err(refused)?;
        if config.gives_key(signal) {
            transport = transport.with_header("x-api-key", config.get("export.api_key").trim()).map_err(refused)?;
        }
        transport
    }};
}

impl Config {
    /// Where spans go.
    pub(super) fn traces(&self, opened: &Opened) -> Result<Vec<Outlet>, ConfigError> {
        let wanted = self.destinations();
        self.outlets(Signal::Traces, wanted.traces_otlp, opened)
    }

    /// Which metrics there are and where they go; `None`: there are none.
    pub(super) fn metrics(&self, opened: &Opened) -> Result<Option<Metrics>, ConfigError> {
        let wanted = self.destinations();
        if !wanted.has_metrics() {
            return Ok(None);
        }
        let otlp = self.sent().any(|signal| signal == Signal::Metrics);
        let mut outlets = self.outlets(Signal::Metrics, otlp, opened)?;
        if wanted.metrics_console {
            outlets.push(self.console());
        }
        if outlets.is_empty() && wanted.prometheus.is_none() {
            return Err(ConfigError::Conflict(
                "metrics have nowhere to go: --otlp URL sends them, --prometheus 9464 shows them".to_owned(),
            ));
        }
        let page =
            wanted.prometheus.map(|(host, port)| Page { host, port, path: self.get("prometheus.path").to_owned() });
        Ok(Some(Metrics { settings: self.metric_settings(), outlets, page }))
    }

    fn outlets(&self, signal: Signal, otlp: bool, opened: &Opened) -> Result<Vec<Outlet>, ConfigError> {
        let mut outlets = Vec::new();
        if otlp {
            let delivery = match self.spool() {
                Some(spool) => self.delivery().with_spool(spool),
                None => self.delivery(),
            };
            outlets.push(Outlet { route: Route::Transport(self.receiver(signal)?), delivery });
        }
        if let Some(file) = self.file(signal) {
            let opened = if file.is_shared() { opened.clone() } else { Opened::default() };
            outlets.push(Outlet { route: Route::File(file, opened), delivery: self.delivery() });
        }
        Ok(outlets)
    }

    /// The file that requests are written to: of spans that which is named, of others one beside it.
    fn file(&self, signal: Signal) -> Option<FileConfig> {
        let named = Path::new(self.get("export.file"));
        let mut name = named.file_stem()?.to_owned();
        // A device or a pipe is one for every signal: beside it there is no place for another.
        if signal != Signal::Traces && !FileConfig::new(named).is_shared() {
            name.push(format!(".{signal}"));
        }
        if let Some(kind) = named.extension() {
            name.push(".");
            name.push(kind);
        }
        let kept = u32::try_from(self.count("export.file_count").saturating_sub(1)).unwrap_or(u32::MAX);
        let bytes = u64::try_from(self.bytes("export.file_bytes")).unwrap_or(u64::MAX);
        Some(FileConfig::new(named.with_file_name(name)).with_max_bytes(bytes).with_kept(kept))
    }

    /// Metrics for people: on standard output, or on standard error where spans are on the other.
    fn console(&self) -> Outlet {
        let has_spans = self.destinations().traces_console || !matches!(self.get("print"), "" | "none");
        let console = if has_spans { Console::stderr } else { Console::stdout };
        let console = match self.get("color") {
            "always" => console(ConsoleForm::Lines).with_color(true),
            "never" => console(ConsoleForm::Lines).with_color(false),
            _ => console(ConsoleForm::Lines),
        };
        Outlet { route: Route::Transport(console.into()), delivery: self.delivery() }
    }

    /// How items are batched, sent and kept.
    fn delivery(&self) -> Delivery {
        let retry = Policy::new().with_give_up_after(self.duration("export.retry_for"));
        Delivery::new().with_limits(self.queue_limits()).with_retry(retry)
    }

    /// How much of a signal waits, and how long.
    pub(super) fn queue_limits(&self) -> Limits {
        Limits::new()
            .with_batch_items(self.count("export.batch_items"))
            .with_delay(self.duration("export.delay"))
            .with_queue_items(self.count("export.queue_items"))
            .with_queue_bytes(self.bytes("export.queue_bytes"))
    }

    /// Where what nobody has taken yet is kept; each signal has a folder of its own within it.
    fn spool(&self) -> Option<spool::Config> {
        let folder = self.get("export.spool");
        let when_full = match self.get("export.spool_drop") {
            "newest" => WhenFull::DropNewest,
            _ => WhenFull::DropOldest,
        };
        let bytes = u64::try_from(self.bytes("export.spool_bytes")).unwrap_or(u64::MAX);
        (!folder.is_empty()).then(|| spool::Config::new(folder).with_max_bytes(bytes).with_when_full(when_full))
    }

    fn receiver(&self, signal: Signal) -> Result<Transport, ConfigError> {
        let endpoint = self.endpoint(signal);
        if self.protocol(signal, &endpoint) == "grpc" {
            return self.grpc(signal, &endpoint);
        }
        let http = match endpoint {
            Endpoint::Ingest(url) => HttpConfig::ingest(url, signal),
            Endpoint::Base(url) => HttpConfig::otlp(url, signal),
            Endpoint::Exact(url) => HttpConfig::exact(url),
            Endpoint::Local => HttpConfig::otlp(LOCAL_HTTP, signal),
        };
        let format = match self.protocol(signal, &endpoint) {
            "http/protobuf" => Format::Protobuf,
            _ => Format::Json,
        };
        let http = with_settings!(self, signal, http.map_err(refused)?.with_format(format));
        Ok(Http::new(http).map_err(refused)?.into())
    }

    fn grpc(&self, signal: Signal, endpoint: &Endpoint<'_>) -> Result<Transport, ConfigError> {
        let url = match *endpoint {
            Endpoint::Local => LOCAL_GRPC.to_owned(),
            Endpoint::Base(url) | Endpoint::Exact(url) | Endpoint::Ingest(url) if url.contains("://") => url.to_owned(),
            // gRPC's endpoints may go without a scheme.
            Endpoint::Base(url) | Endpoint::Exact(url) | Endpoint::Ingest(url) => {
                let is_insecure = value::switch(self.of(signal, "insecure")).unwrap_or(false);
                format!("{}://{url}", if is_insecure { "http" } else { "https" })
            }
        };
        let grpc = with_settings!(self, signal, GrpcConfig::new(&url, signal).map_err(refused)?);
        Ok(Grpc::new(grpc).map_err(refused)?.into())
    }

    /// The ingest takes one form.
    pub(super) fn protocol(&self, signal: Signal, endpoint: &Endpoint<'_>) -> &str {
        if matches!(endpoint, Endpoint::Ingest(_)) { "http/json" } else { self.of(signal, "protocol") }
    }

    fn tls(&self, signal: Signal) -> Result<Tls, ConfigError> {
        let [ca, certificate, key] =
            ["certificate", "client_certificate", "client_key"].map(|what| self.of(signal, what));
        let tls = if ca.is_empty() { Tls::new() } else { Tls::new().with_ca(ca) };
        match (certificate, key) {
            ("", "") => Ok(tls),
            (certificate, key) if !certificate.is_empty() && !key.is_empty() => Ok(tls.with_client(certificate, key)),
            _ => Err(ConfigError::Conflict(format!(
                "a client certificate needs its key: of export.client_certificate ({}) and export.client_key ({}) only one is set",
                self.origin("export.client_certificate"),
                self.origin("export.client_key"),
            ))),
        }
    }

    /// Whether the key goes with items of a signal: to the ingest, and to another receiver on its host that is asked no less safely.
    /// It is nobody else's.
    pub(super) fn gives_key(&self, signal: Signal) -> bool {
        if self.get("export.api_key").trim().is_empty() {
            return false;
        }
        let url = match self.endpoint(signal) {
            Endpoint::Ingest(_) => return true,
            Endpoint::Base(url) | Endpoint::Exact(url) => url,
            Endpoint::Local => return false,
        };
        let is_insecure = value::switch(self.of(signal, "insecure")).unwrap_or(false);
        let Some((scheme, host)) = host_of(url, !is_insecure) else { return false };
        host_of(self.get("export.ingest_url"), true).is_some_and(|(asked, known)| {
            let is_as_safe = scheme.eq_ignore_ascii_case("https") || !asked.eq_ignore_ascii_case("https");
            host.eq_ignore_ascii_case(known) && is_as_safe
        })
    }

    pub(super) fn endpoint(&self, signal: Signal) -> Endpoint<'_> {
        let own = self.get(&own_key(signal, "endpoint"));
        let (base, ingest) = (self.get("export.otlp_endpoint"), self.get("export.ingest_url"));
        match (own, base, ingest) {
            // What was said on the command line wins over a variable that is more special.
            (_, base, _) if !base.is_empty() && (own.is_empty() || self.is_flag("export.otlp_endpoint")) => {
                Endpoint::Base(base)
            }
            ("", _, "") => Endpoint::Local,
            ("", _, ingest) => Endpoint::Ingest(ingest),
            (own, ..) => Endpoint::Exact(own),
        }
    }

    /// What is said of one signal alone, else what is said of all.
    pub(super) fn of(&self, signal: Signal, what: &str) -> &str {
        self.get(&self.key_of(signal, what))
    }
}

/// Scheme and host of a URL; gRPC's may go without a scheme.
fn host_of(url: &str, is_secure: bool) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://").unwrap_or((if is_secure { "https" } else { "http" }, url));
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let place = authority.rsplit('@').next()?;
    let host = match place.split_once(']') {
        Some((address, _)) => address.strip_prefix('[')?,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then_some((scheme, host))
}

pub(super) fn own_key(signal: Signal, what: &str) -> String {
    format!("export.{signal}_{what}")
}

fn refused(error: obtrace_export::transport::ConfigError) -> ConfigError {
    ConfigError::Conflict(error.to_string())
}
