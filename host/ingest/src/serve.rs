//! Serving a router on a socket. By hand instead of `axum::serve`, which has no time limit for a client that sends its
//! headers byte by byte, and no limit of connections.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tower_service::Service;

#[derive(Debug, Clone, Copy)]
pub struct ServeConfig {
    /// Connections at a time; others wait in the backlog of the socket.
    pub connections_max: usize,
    /// How long the head of a request may take; also how long a connection may be idle between two.
    pub header_time_max: Duration,
    /// How long requests that are under way may take when it is time to stop.
    pub drain_time_max: Duration,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            connections_max: 10_000,
            header_time_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(5),
        }
    }
}

/// Pause after a failed accept: usually there are no file descriptors left, and asking again at once gives none.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then lets open requests come to their end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServeConfig,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept(), if connections.len() < config.connections_max => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection =
                    Connection { peer, router: router.clone(), config, stopped: stopped.clone() };
                connections.spawn(connection.run(stream));
            }
            Err(e) => {
                tracing::warn!("connection can not be accepted: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, stopped, stopping));
    let all_gone = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(config.drain_time_max, all_gone).await.is_err() {
        tracing::warn!("connections that did not end in time are cut: {}", connections.len());
    }
    Ok(())
}

fn report(ended: Result<(), JoinError>) {
    if let Err(e) = ended {
        tracing::error!("connection failed: {e}");
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    config: ServeConfig,
    /// Closed when it is time to stop.
    stopped: watch::Receiver<()>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let Connection { peer, router, config, mut stopped } = self;
        // An answer is one small write: waiting to fill a packet only delays it.
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY: {e}");
        }
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let mut router = router.clone();
            async move { Service::call(&mut router, request.map(Body::new)).await as Result<_, Infallible> }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(config.header_time_max);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(e) = ended {
            tracing::debug!(%peer, "connection ended: {e}");
        }
    }
}
