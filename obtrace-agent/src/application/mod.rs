//! The application agent: requests and queries of local programs, from the kernel's ring buffer to the sinks.
//!
//! ```text
//! reader ──batches──▶ parser ──spans──▶ printer
//!                       │  ▲        └──▶ exporter ──▶ receivers
//!                    exec events             └──▶ metrics ──▶ receivers, Prometheus
//!                       ▼
//!                   discovery
//! ```

mod accounts;
mod parser;
mod reader;
mod sinks;
mod summary;

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use obtrace_export::{
    model::{Item, Metric, Span},
    pipeline::Exporter,
    stats::Stats,
};
use obtrace_probes::{Backend, Options, Probes};

use crate::{
    connections,
    discovery::{self, Choice, Selection},
    enrich,
    metrics::Metrics,
    pipeline::{self, BoxError, Graph, Pipeline, Running},
    print::Format,
    traces::{self, SpanRecord},
};

pub use summary::Summary;

use parser::{Channels, Parser};
use reader::RingSource;
use summary::{Results, Sources};

/// What the application agent does.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Which processes are observed.
    pub selection: Selection,
    /// How often `/proc` is looked through for processes that no event told of.
    pub scan_interval: Duration,
    /// Bounds of the connection table.
    pub connections: connections::Settings,
    /// Bounds and choices for spans.
    pub traces: traces::Settings,
    /// What is said of processes.
    pub enrich: enrich::Settings,
    /// Sizes and times of the pipeline.
    pub pipeline: pipeline::Settings,
    /// How the kernel is hooked.
    pub backend: Backend,
    /// Size of the kernel's ring buffer in bytes.
    pub ring_bytes: u32,
    /// Most bytes captured of one call.
    pub capture_limit: u32,
    /// In which form spans are printed.
    pub format: Format,
    /// Whether in colour.
    pub color: bool,
    /// Where to write one line about the bytes of each connection that ends.
    pub accounts: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            scan_interval: Duration::from_secs(10),
            connections: connections::Settings::default(),
            traces: traces::Settings::default(),
            enrich: enrich::Settings::default(),
            pipeline: pipeline::Settings::default(),
            backend: Backend::Auto,
            ring_bytes: 4 << 20,
            capture_limit: 256 << 10,
            format: Format::Text,
            color: false,
            accounts: None,
        }
    }
}

impl Settings {
    /// The defaults: every process, one line a span.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Where spans and metrics go beside standard output.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outlets {
    /// Who is handed the spans of traces that are kept.
    pub spans: Vec<Exporter<Span>>,
    /// Who counts all of them; [`traces::Settings::unsampled`] decides whether those of other traces come too.
    pub metrics: Option<Metrics>,
}

impl Outlets {
    /// Nowhere.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an exporter of spans.
    #[must_use]
    pub fn with_spans(mut self, exporter: Exporter<Span>) -> Self {
        self.spans.push(exporter);
        self
    }

    /// Sets the metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.metrics.is_none()
    }

    /// Adds what metrics know.
    fn complete(&self, mut summary: Summary) -> Summary {
        if let Some(metrics) = &self.metrics {
            metrics.complete(&mut summary);
        }
        summary
    }

    fn metric_exporters(&self) -> &[Exporter<Metric>] {
        self.metrics.as_ref().map_or(&[], Metrics::exporters)
    }

    /// Ends all exporters at a time: what they are left with is dropped after that while.
    fn shutdown(&self, within: Duration) -> (Vec<Stats>, Vec<Stats>) {
        thread::scope(|scope| {
            let metrics = scope.spawn(|| shut_down(self.metric_exporters(), within));
            let spans = shut_down(&self.spans, within);
            (spans, metrics.join().unwrap_or_default())
        })
    }
}

fn shut_down<T: Item>(exporters: &[Exporter<T>], within: Duration) -> Vec<Stats> {
    thread::scope(|scope| {
        let ending: Vec<_> = exporters.iter().map(|it| scope.spawn(move || it.shutdown_blocking(within))).collect();
        ending.into_iter().zip(exporters).map(|(ended, it)| ended.join().unwrap_or_else(|_| it.stats())).collect()
    })
}

/// Why the agent did not start or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The probes could not be loaded, attached or asked.
    #[error(transparent)]
    Probes(#[from] obtrace_probes::Error),
    /// A file could not be made.
    #[error("cannot write {path}: {source}; choose another place with --accounts")]
    Accounts {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// None of the processes that were asked for exists.
    #[error("there is no process {0}; `ps -e` lists those that are")]
    NoProcess(String),
    /// The pipeline did not start.
    #[error("{0}")]
    Start(String),
    /// A part of the pipeline failed.
    #[error("{0}; everything is detached")]
    Failed(String),
}

impl Error {
    /// Whether this machine cannot do it: a kernel feature or a capability is missing.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Probes(error) if error.is_unsupported())
    }
}

/// The running agent.
#[derive(Debug)]
pub struct Agent {
    running: Running,
    probes: Probes,
    outlets: Outlets,
    sources: Sources,
    shutdown_timeout: Duration,
    /// How many processes are observed at first.
    observed: usize,
}

impl Agent {
    /// Loads the probes, attaches them and starts the pipeline; spans are printed to `out` and given to `outlets`, which end with the agent.
    ///
    /// # Errors
    /// [`Error`]; nothing is left attached.
    pub fn start(settings: Settings, outlets: Outlets, out: impl Write + Send + 'static) -> Result<Self, Error> {
        let options = Options::new()
            .with_sockets(u32::try_from(settings.connections.max_connections).unwrap_or(u32::MAX))
            .with_backend(settings.backend)
            .with_ring_bytes(settings.ring_bytes)
            .with_capture_limit(settings.capture_limit);
        let accounts = settings.accounts.clone().map(accounts::Accounts::create).transpose()?;
        let mut probes = Probes::load(&options)?;
        let reader = probes.reader();
        let filter = probes.filter();
        probes.attach_tcp()?;
        // Beside one Pod there is no other's process to see.
        let cluster = settings.enrich.cluster.clone().filter(|cluster| cluster.is_selective());
        let choice = Choice { selection: &settings.selection, cluster: cluster.as_deref() };
        let (known, observed) = discovery::begin(&filter, choice)?;
        if observed == 0 && !settings.selection.pids.is_empty() {
            let pids: Vec<_> = settings.selection.pids.iter().map(u32::to_string).collect();
            return Err(Error::NoProcess(pids.join(", ")));
        }
        let results = Arc::new(Mutex::new(Results::default()));
        let (ask, asked) = mpsc::sync_channel(discovery::QUEUE);
        let (give_back, used) = mpsc::sync_channel(settings.pipeline.queue_length);
        let verdicts = probes.verdicts();
        let sources = Sources { results: Arc::clone(&results), losses: probes.loss_counters() };
        if let Some(metrics) = &outlets.metrics {
            let (sources, spans) = (sources.clone(), outlets.spans.clone());
            metrics.watch(&enrich::of_agent(&settings.enrich), move || {
                sources.summary(spans.iter().map(Exporter::stats).collect())
            });
        }
        let parser = Parser::new(&settings, verdicts, &known, accounts, results, Channels { ask, used });
        let (frame, shutdown_timeout) = (settings.pipeline, settings.pipeline.shutdown_timeout);
        let sinks = outlets.clone();
        let instancer = move |graph: &mut Graph| -> Result<(), BoxError> {
            let Some(reader) = reader else { return Err("the ring buffer has a reader already".into()) };
            layout(graph, settings, RingSource::new(reader), parser, sinks, (out, give_back), (filter, asked));
            Ok(())
        };
        let running = Pipeline::new(frame)
            .with_application(instancer)
            .start()
            .map_err(|error| Error::Start(error.to_string()))?;
        // TCP is read from now on; the rest takes as long again.
        if let Err(error) = probes.attach().and_then(|()| probes.join()) {
            drop(probes);
            // It fails for the reason above.
            let _ = running.stop();
            return Err(error.into());
        }
        Ok(Self { running, probes, outlets, sources, shutdown_timeout, observed })
    }

    /// How many processes were observed when it started.
    #[must_use]
    pub const fn observed(&self) -> usize {
        self.observed
    }

    /// The name of the back end in use.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.probes.backend()
    }

    /// A way to ask it to stop from another thread.
    #[must_use]
    pub fn handle(&self) -> pipeline::Handle {
        self.running.handle()
    }

    /// Waits until it is asked to stop or a part of it ends.
    pub fn wait(&self) {
        self.running.wait();
    }

    /// Waits as [`Agent::wait`] at most this long. Whether there is a reason to stop.
    #[must_use]
    pub fn wait_within(&self, at_most: Duration) -> bool {
        self.running.wait_within(at_most)
    }

    /// What happened so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.outlets.complete(self.sources.summary(self.outlets.spans.iter().map(Exporter::stats).collect()))
    }

    /// Detaches, works off what is on its way, flushes, within the pipeline's shutdown time.
    ///
    /// # Errors
    /// A part of the pipeline had failed; it is stopped all the same.
    pub fn stop(self) -> Result<Summary, Error> {
        // The links go with the last handle: the reader still empties the ring buffer.
        drop(self.probes);
        let stopped = self.running.stop();
        let (spans, metrics) = self.outlets.shutdown(self.shutdown_timeout / 2);
        let stopped = stopped.map_err(|failure| Error::Failed(failure.to_string()))?;
        let summary = self.outlets.complete(self.sources.summary(spans));
        Ok(Summary { metrics, left: stopped.left, ..summary })
    }
}

/// Lays out the nodes and the wires between them.
fn layout(
    graph: &mut Graph,
    settings: Settings,
    mut source: RingSource,
    parser: Parser,
    outlets: Outlets,
    (out, give_back): (impl Write + Send + 'static, mpsc::SyncSender<Vec<SpanRecord>>),
    (filter, asked): (obtrace_probes::Filter, mpsc::Receiver<discovery::Question>),
) {
    let frame = *graph.settings();
    let (stop, scan_stop, print_stop) = (graph.stop(), graph.stop(), graph.stop());
    let batches = graph.wire("batches");
    let spans = graph.wire("spans");
    let output = batches.output("reader");
    graph.node("reader", move || pipeline::read_batches(&mut source, &output, &frame, &stop));
    let (input, output) = (batches.input("parser", 2), spans.output("parser"));
    let used = settings.format != Format::None || !outlets.is_empty();
    graph.node("parser", move || parser.run(&input, used.then_some(&output)));
    let give_back_exported = give_back.clone();
    if settings.format != Format::None {
        let input = spans.input("printer", frame.queue_length);
        let (format, color) = (settings.format, settings.color);
        graph.node("printer", move || sinks::print(&input, out, (format, color), &print_stop, &give_back));
    }
    if !outlets.is_empty() {
        let input = spans.input("exporter", frame.queue_length);
        let Outlets { spans, metrics } = outlets;
        graph.node("exporter", move || sinks::export(&input, &spans, metrics.as_ref(), &give_back_exported));
    }
    let (selection, interval) = (settings.selection, settings.scan_interval);
    let cluster = settings.enrich.cluster.filter(|cluster| cluster.is_selective());
    graph.node("discovery", move || {
        let choice = Choice { selection: &selection, cluster: cluster.as_deref() };
        discovery::run(&filter, choice, interval, &asked, &scan_stop)
    });
}
