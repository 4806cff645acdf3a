//! The Collector as a process: its configuration, its ports, what it wrote.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use obtrace_export::model::Signal;

use super::certificates::Certificates;

/// How long anything may take: start, delivery, end. Waited for is the event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What it says once every receiver listens.
const READY: &str = "Everything is ready";

/// Which of its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Without TLS.
    Plain,
    /// With a certificate of its own.
    Tls,
    /// It also wants one of the client.
    MutualTls,
}

/// A Collector that runs, with a folder for what it writes.
pub(crate) struct Collector {
    child: Child,
    folder: PathBuf,
    ports: [u16; 6],
}

impl Collector {
    /// Starts it and waits until it listens. The ports are free when they are chosen; if another takes one before the
    /// Collector does, it ends, and others are tried. It scrapes `page`, if there is one.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        certificates: &Certificates,
        page: Option<SocketAddr>,
    ) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let mut said = String::new();
        for _ in 0..5 {
            let ports = free_ports().map_err(|error| format!("no free ports: {error}"))?;
            let config = folder.join("collector.yaml");
            fs::write(&config, configuration(folder, certificates, ports, page)).map_err(|error| error.to_string())?;
            let mut child = Command::new(program)
                .arg("--config")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
            match wait_until_ready(&mut child) {
                Ok(()) => return Ok(Self { child, folder: folder.to_owned(), ports }),
                Err(reason) => said = reason,
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(format!("the Collector did not start: {said}"))
    }

    /// Where a receiver listens.
    pub(crate) fn endpoint(&self, door: Door, grpc: bool) -> String {
        let scheme = if door == Door::Plain { "http" } else { "https" };
        let port = self.ports[door as usize * 2 + usize::from(grpc)];
        format!("{scheme}://localhost:{port}")
    }

    /// Ends it and waits for that; it writes what it still has.
    pub(crate) fn stop(mut self) -> Result<Written, String> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .map_err(|error| error.to_string())?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return if status.success() {
                    Written::read(&self.folder)
                } else {
                    Err(format!("the Collector ended with {status}"))
                };
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the Collector does not end".to_owned())
    }
}

/// What its file exporters wrote: OTLP JSON lines of each signal.
pub(crate) struct Written([(Signal, String); 3]);

impl Written {
    fn read(folder: &Path) -> Result<Self, String> {
        let mut texts = Signal::ALL.map(|signal| (signal, String::new()));
        for (signal, text) in &mut texts {
            let path = folder.join(file(*signal));
            *text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        }
        Ok(Self(texts))
    }

    /// The lines of a signal.
    pub(crate) fn lines(&self, signal: Signal) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| *of == signal).flat_map(|(_, text)| text.lines())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until_ready(child: &mut Child) -> Result<(), String> {
    let (sender, said) = mpsc::channel();
    let output = BufReader::new(child.stderr.take().ok_or("no output of it")?);
    // Reads on for as long as it runs: its log must not block it.
    thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let until = Instant::now() + PATIENCE;
    let mut last = Vec::new();
    loop {
        match said.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(READY) => return Ok(()),
            Ok(line) => last.push(line),
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(format!("not ready within {PATIENCE:?}")),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let from = last.len().saturating_sub(3);
                return Err(last[from..].join("; "));
            }
        }
    }
}

/// Six ports that nobody has; all are held until the last is found, so that they differ.
fn free_ports() -> io::Result<[u16; 6]> {
    let (mut ports, mut held) = ([0; 6], Vec::new());
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn file(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces.jsonl",
        Signal::Logs => "logs.jsonl",
        _ => "metrics.jsonl",
    }
}

fn configuration(folder: &Path, certificates: &Certificates, ports: [u16; 6], page: Option<SocketAddr>) -> String {
    let [http, grpc, tls_http, tls_grpc, mutual_http, mutual_grpc] = ports.map(|port| format!("127.0.0.1:{port}"));
    let own = format!(
        "cert_file: {}, key_file: {}",
        certificates.path("server.crt").display(),
        certificates.path("server.key").display()
    );
    let mutual = format!("{own}, client_ca_file: {}", certificates.path("ca.crt").display());
    let exporter = |signal: Signal| {
        let path = folder.join(file(signal));
        format!("  file/{}: {{ path: {}, flush_interval: 20ms }}\n", signal.name(), path.display())
    };
    let scrape = page.map_or_else(String::new, |page| {
        format!(
            "  prometheus:\n    config:\n      scrape_configs:\n        - {{ job_name: page, scrape_interval: 1s, \
             scrape_timeout: 1s, honor_labels: true, static_configs: [{{ targets: ['{page}'] }}] }}\n"
        )
    });
    let receivers = "[otlp/plain, otlp/tls, otlp/mutual]";
    let metrics = if page.is_some() { "[otlp/plain, otlp/tls, otlp/mutual, prometheus]" } else { receivers };
    format!(
        "receivers:\n\
        \x20 otlp/plain: {{ protocols: {{ http: {{ endpoint: '{http}' }}, grpc: {{ endpoint: '{grpc}' }} }} }}\n\
        \x20 otlp/tls: {{ protocols: {{ http: {{ endpoint: '{tls_http}', tls: {{ {own} }} }}, \
                                         grpc: {{ endpoint: '{tls_grpc}', tls: {{ {own} }} }} }} }}\n\
        \x20 otlp/mutual: {{ protocols: {{ http: {{ endpoint: '{mutual_http}', tls: {{ {mutual} }} }}, \
                                            grpc: {{ endpoint: '{mutual_grpc}', tls: {{ {mutual} }} }} }} }}\n\
        {scrape}\
        processors:\n\
        \x20 batch: {{ timeout: 20ms }}\n\
        exporters:\n{}{}{}\
        \x20 debug: {{}}\n\
        service:\n\
        \x20 telemetry: {{ metrics: {{ level: none }} }}\n\
        \x20 pipelines:\n\
        \x20   traces: {{ receivers: {receivers}, processors: [batch], exporters: [file/traces, debug] }}\n\
        \x20   logs: {{ receivers: {receivers}, processors: [batch], exporters: [file/logs, debug] }}\n\
        \x20   metrics: {{ receivers: {metrics}, processors: [batch], exporters: [file/metrics, debug] }}\n",
        exporter(Signal::Traces),
        exporter(Signal::Logs),
        exporter(Signal::Metrics),
    )
}
