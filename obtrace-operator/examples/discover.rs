//! Watches a cluster by the kubeconfig at hand.
use std::sync::Arc;

use arc_swap::ArcSwap;
use obtrace_operator::{index::Index, watch};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), kube::Error> {
    tracing_subscriber::fmt().json().init();
    let client = kube::Client::try_default().await?;
    let index = Arc::new(ArcSwap::from_pointee(Index::default()));
    let stop = CancellationToken::new();
    watch::run(client, index, || println!("synced"), stop).await;
    Ok(())
}
