//! The dashboard: trends of a history and pages of kept runs over HTTP, to be read and nothing else.
//!
//! `pages.rs` makes HTML of trends and knows no files, `runs.rs` finds kept runs on disk; here is only HTTP. What this module
//! must never do: write to a history, a recording or a report, or serve a file as it is.

mod pages;
mod runs;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ota_server::api::names_an_address;
use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};

use crate::history::{Access, Filter, HistoryError, Place, Stamp, Store, Trend, trends};
use pages::{Shown, View};
use runs::Runs;

/// Requests that read a history or recordings at once; others wait. Each may hold a page of some 100 MiB.
const AT_ONCE: usize = 2;

/// How long answers under way have when it is told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The policy of the dashboard's own pages: their style sheet, their form, and nothing from anywhere else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a dashboard shows.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The history.
    pub history: Place,
    /// Report folders, below whose `runs` the recordings are.
    pub reports: Vec<PathBuf>,
}

struct Dashboard {
    history: Place,
    runs: Runs,
    room: Arc<Semaphore>,
    /// The trends of all, as they were when the history had this stamp: a long history takes a second to read.
    known: Mutex<Option<(Stamp, Arc<Vec<Trend>>)>>,
}

/// Serves a dashboard until `shutdown` is there. Only whoever reaches the listener's address sees it.
///
/// # Errors
///
/// The listener cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    sources: Sources,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router(sources, listener.local_addr()?);
    let (asked, begun) = oneshot::channel();
    let shutdown = async {
        shutdown.await;
        // Whoever waited for it may have ended first.
        let _ = asked.send(());
    };
    let late = async {
        match begun.await {
            Ok(()) => tokio::time::sleep(LAST_WORDS).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(shutdown).into_future() => served,
        // A client that never ends its request does not hold it.
        () = late => Ok(()),
    }
}

fn router(sources: Sources, address: SocketAddr) -> Router {
    let dashboard = Dashboard {
        history: sources.history,
        runs: Runs::below(sources.reports),
        room: Arc::new(Semaphore::new(AT_ONCE)),
        known: Mutex::default(),
    };
    let router = Router::new()
        .route("/", get(overview))
        .route("/scenario", get(scenario))
        .route("/run/{run}", get(run))
        .route("/trends.json", get(trends_json))
        .route("/style.css", get(style))
        .fallback(async || Refusal::none("there is nothing here"))
        .method_not_allowed_fallback(async || Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            words: "the dashboard is to be read: GET alone".to_owned(),
        })
        .layer(middleware::map_response(with_policy))
        .with_state(Arc::new(dashboard));
    if is_loopback(address.ip()) { router.layer(middleware::from_fn(only_by_address)) } else { router }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Lets no web page read a dashboard that is on loopback by way of a browser, by a name that its site made point here (DNS
/// rebinding). One that listens elsewhere is there to be reached by a name.
async fn only_by_address(request: Request, next: Next) -> Response {
    if names_an_address(request.headers()) {
        return next.run(request).await;
    }
    let words = "Host is a name: use the address, or localhost".to_owned();
    Refusal { status: StatusCode::FORBIDDEN, words }.into_response()
}

async fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A run's page has a policy of its own, by the hashes of its script and style.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response
}

/// A page that is not there, or cannot be made now.
struct Refusal {
    status: StatusCode,
    words: String,
}

impl Refusal {
    fn none(words: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, words: words.to_owned() }
    }

    fn broken(words: String) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, words }
    }
}

impl From<HistoryError> for Refusal {
    fn from(why: HistoryError) -> Self {
        let status = if why.is_passing() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
        Self { status, words: why.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, html(pages::message(self.status.canonical_reason().unwrap_or_default(), &self.words)))
            .into_response()
    }
}

fn html(text: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text.into()).into_response()
}

/// What of the overview is asked for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// Part of a scenario's name.
    #[serde(default)]
    q: String,
    /// Only what does not pass, or wavers: any value.
    bad: Option<String>,
}

async fn overview(State(dashboard): State<Arc<Dashboard>>, Query(asked): Query<Asked>) -> Result<Response, Refusal> {
    let all = dashboard.all().await?;
    let shown = Shown { part: asked.q, bad: asked.bad.is_some() };
    let page =
        pages::overview(&all, &dashboard.history.to_string(), &shown).map_err(|e| Refusal::broken(e.to_string()))?;
    Ok(html(page))
}

async fn trends_json(State(dashboard): State<Arc<Dashboard>>) -> Result<Response, Refusal> {
    let text = serde_json::to_vec(&*dashboard.all().await?).map_err(|e| Refusal::broken(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Which scenario on which board.
#[derive(Debug, Deserialize)]
struct Which {
    name: String,
    board: String,
    chip: String,
    /// How many runs are listed.
    last: Option<usize>,
}

async fn scenario(State(dashboard): State<Arc<Dashboard>>, Query(which): Query<Which>) -> Result<Response, Refusal> {
    let filter = Filter { scenarios: vec![which.name.clone()], board: Some(which.board.clone()), ..Filter::default() };
    let found = dashboard.trends(filter).await?.into_iter().find(|trend| trend.chip == which.chip);
    let trend = found.ok_or_else(|| Refusal::none("the history has no run of this scenario on this board"))?;
    let last = which.last.unwrap_or(pages::LISTED);
    let of = Arc::clone(&dashboard);
    let page = dashboard.aside(move || {
        let kept = |run: &str| !of.runs.find(run).is_empty();
        let view = View { history: &of.history.to_string(), last, kept: &kept };
        pages::scenario(&trend, &view)
    });
    Ok(html(page.await?.map_err(|e| Refusal::broken(e.to_string()))?))
}

/// Which of a run's recordings, and where several folders have a run of this name, which of them.
#[derive(Debug, Deserialize)]
struct Part {
    recording: Option<String>,
    of: Option<usize>,
}

async fn run(
    State(dashboard): State<Arc<Dashboard>>,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, Refusal> {
    let folders = dashboard.runs.find(&name);
    let folder = match (folders.as_slice(), part.of) {
        ([], _) => return Err(Refusal::none("no report folder of this dashboard has that run (--reports)")),
        ([one], None) => one.clone(),
        (several, None) => {
            let page = pages::choice(&name, several, part.recording.as_deref());
            return Ok(html(page.map_err(|e| Refusal::broken(e.to_string()))?));
        }
        (several, Some(n)) => several.get(n).cloned().ok_or_else(|| Refusal::none("there is no such folder"))?,
    };
    let made = dashboard.aside(move || runs::page(&folder, part.recording.as_deref())).await?;
    let mut response = html(made.map_err(Refusal::broken)?);
    let policy = HeaderValue::from_static("frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], pages::CSS)
}

impl Dashboard {
    /// The trends of all scenarios, read anew where runs were added.
    async fn all(self: &Arc<Self>) -> Result<Arc<Vec<Trend>>, Refusal> {
        let dashboard = Arc::clone(self);
        let read = move || {
            let mut store = Store::open(&dashboard.history, Access::Read)?;
            let stamp = store.stamp()?;
            let lock = || dashboard.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, known)) = lock().as_ref().filter(|(of, _)| *of == stamp) {
                return Ok::<_, HistoryError>(Arc::clone(known));
            }
            let all = Arc::new(trends(&store.entries(&Filter::default())?));
            *lock() = Some((stamp, Arc::clone(&all)));
            Ok(all)
        };
        Ok(self.aside(read).await??)
    }

    /// The trends of what a filter lets through.
    async fn trends(&self, filter: Filter) -> Result<Vec<Trend>, Refusal> {
        let place = self.history.clone();
        let read = move || Ok::<_, HistoryError>(trends(&Store::open(&place, Access::Read)?.entries(&filter)?));
        Ok(self.aside(read).await??)
    }

    /// Does what takes long on a thread of its own.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|e| Refusal::broken(e.to_string()))?;
        let work = move || {
            // Held by the work: a client that leaves makes no room before it is done.
            let _room = room;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| Refusal::broken(format!("the page could not be made: {e}")))
    }
}
