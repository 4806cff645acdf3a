//! A webhook in a process of its own: what it takes, and how it does without.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use futures::future::join_all;
use rustls::{RootCertStore, pki_types::CertificateDer};
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE, PROTOCOLS, Protocol, Served, is_patched, review, soon};

/// Tells this program that it is the child.
const CHILD: &str = "OBTRACE_TEST_WEBHOOK_CHILD";
/// As the Deployment has it.
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

/// Not a test but the child, which the tests below start as `this_program child --exact`.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let served = Served::start(|_| {}).await;
        let root: Vec<String> = served.authority.roots_der().iter().map(|byte| format!("{byte:02x}")).collect();
        // Past the capture of tests, on a line of its own.
        writeln!(io::stderr(), "\nchild {} {}", served.address, root.concat()).unwrap();
        served.task.await.unwrap().unwrap();
    });
}

/// A webhook in a process of its own, which ends with this.
struct Process {
    child: Child,
    address: SocketAddr,
    root: CertificateDer<'static>,
}

impl Process {
    /// Starts it below a shell that runs `before` first.
    fn start(before: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
            .arg(env::current_exe().unwrap())
            .args(["memory::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .env(THRESHOLD, "131072")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("child ").map(str::to_owned)).unwrap();
        let (address, root) = line.split_once(' ').unwrap();
        let root: Vec<u8> =
            (0..root.len()).step_by(2).map(|at| u8::from_str_radix(&root[at..at + 2], 16).unwrap()).collect();
        Self { child, address: address.parse().unwrap(), root: root.into() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    async fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.address, self.roots(), protocol).await
    }

    /// The most memory that it ever had, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reviews_at_once_fit_into_128_mb() {
    let deployment = include_str!("../../../deploy/kustomize/obtrace-zero.yaml");
    assert!(deployment.contains(&format!("- name: {THRESHOLD}\n          value: \"131072\"")));
    let process = Process::start("");
    let bodies: Vec<_> =
        [0, 60_000, 300_000, 0, 20_000, 0, 1_000_000, 0, 100_000, 3_000_000].map(|size| review("u", size)).into();
    for protocol in PROTOCOLS {
        let per_connection = if protocol == Protocol::Http1 { 1 } else { 100 };
        let clients = join_all((0..1000 / per_connection).map(|_| process.connect(protocol))).await;
        let (clients, bodies) = (Arc::new(clients), Arc::new(bodies.clone()));
        let tasks = (0..1000).map(|i| {
            let (clients, bodies) = (Arc::clone(&clients), Arc::clone(&bodies));
            tokio::spawn(async move {
                let client = &clients[i % clients.len()];
                is_patched(&client.review(bodies[i / 7 % bodies.len()].clone()).await, "u")
            })
        });
        let patched = tokio::time::timeout(PATIENCE * 3, join_all(tasks)).await.unwrap();
        let patched = patched.into_iter().filter(|it| *it.as_ref().unwrap()).count();
        assert_eq!(patched, 1000, "{protocol:?}");
        let peak = process.peak();
        println!("{protocol:?}: peak of {peak} KiB");
        assert!(peak <= 128 << 10, "{protocol:?}: {peak} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_left_it_goes_on() {
    let process = Process::start("ulimit -n 32;");
    let connect = async || TcpStream::connect(process.address).await.unwrap();
    let idle = join_all((0..100).map(|_| connect())).await;
    // It cannot take all of those: the ones that are idle longest are closed for those that wait.
    for protocol in PROTOCOLS {
        let late = soon(process.connect(protocol)).await;
        assert!(is_patched(&late.review(review("late", 0)).await, "late"));
    }
    drop(idle);
    let after = soon(process.connect(Protocol::Http2)).await;
    assert!(is_patched(&after.review(review("after", 0)).await, "after"));
}
