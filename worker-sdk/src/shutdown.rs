//! When to stop.

/// Completes when the operating system asks this process to end: SIGTERM or SIGINT (Ctrl-C on
/// Windows). A signal that cannot be listened to never comes.
pub async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            futures::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => futures::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = futures::future::pending::<()>();
    futures::future::select(std::pin::pin!(interrupt), std::pin::pin!(terminate)).await;
}
