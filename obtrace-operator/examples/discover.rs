//! Watches and discovers a cluster by the kubeconfig at hand, as the operator does, and makes Events for reviews on standard input,
//! one a line. `discover [--resync SECONDS]`; tells on standard output what a script wants to wait for.

use std::{env, error::Error, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use obtrace_operator::{admission, discovery, index::Index, telemetry::Metrics, watch};
use tokio::sync::{mpsc, watch as channel};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let resync = env::args().skip_while(|word| word != "--resync").nth(1).unwrap_or_else(|| "60".to_owned());
    let client = kube::Client::try_default().await?;
    let index = Arc::new(ArcSwap::from_pointee(Index::default()));
    let metrics = Arc::new(Metrics::new());
    let stop = CancellationToken::new();
    let (_leads, leader) = channel::channel(true);
    let (drifted, mut told) = channel::channel(Arc::from([]));
    let (verdicts, queue) = mpsc::channel(64);
    let mut options = discovery::Options::default();
    options.resync = Duration::from_secs(resync.parse()?);
    options.write_every = Duration::from_millis(500);
    options.drifted = Some(drifted);
    tokio::spawn(watch::run(
        client.clone(),
        Arc::clone(&index),
        None,
        Arc::clone(&metrics),
        || println!("synced"),
        stop.clone(),
    ));
    tokio::spawn(discovery::events::run(client.clone(), queue, Arc::clone(&metrics), stop.clone()));
    let discover = discovery::run(client, options, leader, Arc::clone(&index), Arc::clone(&metrics), stop.clone());
    tokio::spawn(discover);
    tokio::spawn(async move {
        while told.changed().await.is_ok() {
            let names: Vec<_> = told.borrow().iter().map(|it| format!("{}/{}", it.namespace, it.name)).collect();
            println!("drifted {}", names.join(" "));
        }
    });
    let (send, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| send.blocking_send(line))
    });
    while let Some(line) = lines.recv().await {
        if line == "metrics" {
            print!("{}", metrics.encode()?);
            continue;
        }
        let answer = admission::judge(line.as_bytes(), &index.load());
        println!("judged {}", answer.verdict.outcome.as_str());
        verdicts.send(answer.verdict).await?;
    }
    stop.cancel();
    Ok(())
}
