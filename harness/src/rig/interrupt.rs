//! Ends a run early, so that a board is given back as it was.

use tokio::sync::watch;

/// Tells everything that waits for a board that the run is to end.
#[derive(Clone, Debug)]
pub struct Interrupt {
    reason: watch::Receiver<Option<&'static str>>,
}

impl Interrupt {
    /// One that never comes.
    #[must_use]
    pub fn never() -> Self {
        // Without its sender it waits for ever: see `wait`.
        Self { reason: watch::channel(None).1 }
    }

    /// One that comes with the first SIGINT, SIGTERM or SIGHUP; these no longer end the process then.
    ///
    /// # Errors
    ///
    /// The operating system's error when a handler cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (sender, reason) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let name = tokio::select! {
                        _ = interrupt.recv() => "SIGINT",
                        _ = terminate.recv() => "SIGTERM",
                        _ = hangup.recv() => "SIGHUP",
                    };
                    tracing::warn!("{name}: ending the run and writing the board's own settings back");
                    // Keeps the first reason; nobody may be left to hear of it.
                    sender.send_if_modified(|reason| reason.is_none() && reason.replace(name).is_none());
                }
            });
        })?;
        Ok(Self { reason })
    }

    /// Why the run is to end, once it is.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        *self.reason.borrow()
    }

    /// Waits for it.
    pub async fn wait(&self) -> &'static str {
        let mut reason = self.reason.clone();
        match reason.wait_for(Option::is_some).await.map(|found| *found) {
            Ok(Some(name)) => name,
            _ => std::future::pending().await,
        }
    }
}
