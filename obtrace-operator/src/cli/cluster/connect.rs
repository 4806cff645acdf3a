//! The way to the cluster.

use std::time::Duration;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use obtrace_cli::Failure;

use super::arguments::Connection;
use crate::install::Cluster;

/// How long the API server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the cluster that is meant, as kubectl would find it.
///
/// # Errors
///
/// If no kubeconfig is found, it names no such context, or its credentials cannot be used.
pub(in crate::cli) async fn connect(connection: &Connection) -> Result<Cluster, Failure> {
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    let config = match &connection.kubeconfig {
        Some(path) => {
            let failed = |error| Failure::failed(format_args!("cannot use the kubeconfig {}: {error}", path.display()));
            let file = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(failed)
        }
        None if connection.context.is_some() => Config::from_kubeconfig(&options)
            .await
            .map_err(|error| Failure::failed(format_args!("cannot use the kubeconfig: {error}"))),
        None => Config::infer().await.map_err(|error| {
            Failure::failed(format_args!(
                "no cluster is known: {error}\nname a kubeconfig by --kubeconfig or $KUBECONFIG"
            ))
        }),
    };
    let mut config = config?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(ANSWER_TIMEOUT);
    let client = Client::try_from(config);
    client.map(Cluster::new).map_err(|error| Failure::failed(format_args!("cannot use the kubeconfig: {error}")))
}
