//! Accepting connections, until told to stop, whatever goes wrong on the way.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ServeError, connection, front::Front};
use crate::telemetry::RefusedConnection;

/// How long to wait before accepting again when the system has nothing left to give.
const RECOVERY: Duration = Duration::from_millis(100);

/// How often to look for a connection to close while there are too many.
const EVICTION: Duration = Duration::from_millis(50);

/// Serves until `stop`, then goes on for [`Limits::linger`](super::Limits::linger), then ends what is left.
pub(super) async fn run(listener: TcpListener, mut front: Front, stop: CancellationToken) -> Result<(), ServeError> {
    front.stopping = stop.clone();
    let front = Arc::new(front);
    let lingered = async {
        stop.cancelled().await;
        sleep(front.limits.linger).await;
    };
    // A connection that waits for a place when the time is over is closed: nothing of it was read.
    let accepted = tokio::select! {
        result = accept_all(&listener, &front) => result,
        () = lingered => Ok(()),
    };
    end(listener, &front).await;
    accepted
}

async fn accept_all(listener: &TcpListener, front: &Arc<Front>) -> Result<(), ServeError> {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => serve(stream, peer, slot(front).await, front),
            Err(error) => recover(error, front).await?,
        }
    }
}

/// A place for one more connection, that of the idlest if there is none. Until there is, no other is accepted.
async fn slot(front: &Front) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(slot) = Arc::clone(&front.slots).try_acquire_owned() {
            return Some(slot);
        }
        front.registry.evict();
        if let Ok(slot) = timeout(EVICTION, Arc::clone(&front.slots).acquire_owned()).await {
            return slot.ok();
        }
    }
}

/// Waits out what passes: a client that is gone already (`ECONNABORTED` and the network's own errors, see accept(2)), a system without
/// descriptors or memory.
///
/// # Errors
/// If the listener is none any more.
async fn recover(error: io::Error, front: &Front) -> Result<(), ServeError> {
    if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::Unsupported) {
        return Err(ServeError::Accept(error));
    }
    front.refused(RefusedConnection::Accept);
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !gone {
        warn!(%error, "cannot accept a connection; the one that is idle longest is closed");
        front.registry.evict();
        sleep(RECOVERY).await;
    }
    Ok(())
}

fn serve(stream: TcpStream, peer: SocketAddr, slot: Option<OwnedSemaphorePermit>, front: &Arc<Front>) {
    let entry = front.registry.open(peer.ip().to_canonical());
    front.count_connections();
    let front = Arc::clone(front);
    front.tasks.clone().spawn(async move {
        if let Some(reason) = connection::serve(stream, &entry.link, &front).await {
            front.refused(reason);
        }
        drop((entry, slot));
        front.count_connections();
    });
}

/// Takes what the system has accepted already, answers what has begun, and closes.
async fn end(listener: TcpListener, front: &Arc<Front>) {
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        serve(stream, peer, None, front);
    }
    drop(listener);
    front.closing.cancel();
    front.tasks.close();
    if timeout(front.limits.grace, front.tasks.wait()).await.is_err() {
        info!(connections = front.registry.len(), "closing connections that are still busy");
        front.end.cancel();
        front.tasks.wait().await;
    }
}
