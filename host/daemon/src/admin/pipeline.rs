//! The routes that show and change the pipeline. `tamis pipeline` is their client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use host_pipeline::Partitions;
use host_pipeline::generation::{self, Action, GenerationError, Manifest, Proposal, Published};
use host_plugin::limits::COMPONENT_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::control::{self, Change, Shown, Summary};
use crate::generations::{Generations, end_of_trial};

/// Bytes of a proposal: the configurations of all stages.
const PROPOSAL_BYTES_MAX: usize = 16 << 20;

/// What the routes need.
pub struct Control {
    pub generations: Arc<Generations>,
    pub partitions: Partitions,
    /// Who knows it may change the pipeline.
    pub token: Option<String>,
    pub listen: SocketAddr,
}

pub fn router(control: Arc<Control>) -> Router {
    let writes = Router::new()
        .route("/pipeline/components/{digest}", put(put_component))
        .layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX))
        .route("/pipeline/changes", post(change).layer(DefaultBodyLimit::max(PROPOSAL_BYTES_MAX)))
        .layer(middleware::from_fn_with_state(Arc::clone(&control), authorize));
    Router::new()
        .route("/pipeline", get(show))
        .route("/pipeline/history", get(history))
        .route("/pipeline/report", get(report))
        .route("/pipeline/generations/{number}", get(read))
        .merge(writes)
        .with_state(control)
}

/// Changes are for those who know the token. Without one they are for this machine alone, and not for its browsers: those can not send JSON
/// to another origin without asking first, and nobody answers that question.
async fn authorize(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    match refusal(&control, request.headers()) {
        Some((status, why)) => (status, Json(Failure::new(why))).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(control: &Control, headers: &HeaderMap) -> Option<(StatusCode, String)> {
    let given =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match &control.token {
        Some(token) if given.is_some_and(|given| is_equal(given.as_bytes(), token.as_bytes())) => None,
        Some(_) => Some((StatusCode::UNAUTHORIZED, "admin.token is set: give it with --token".to_owned())),
        None if !control.listen.ip().is_loopback() => {
            let why = format!(
                "admin.listen is {}, which others can reach: changes need admin.token",
                control.listen
            );
            Some((StatusCode::FORBIDDEN, why))
        }
        None if headers.contains_key(header::ORIGIN) => {
            Some((StatusCode::FORBIDDEN, "changes do not come from web pages".to_owned()))
        }
        None => None,
    }
}

/// Takes the same time wherever the difference is.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// What went wrong, for the client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    pub error: String,
    /// The generation that was first, when that is what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Box<Manifest>>,
}

impl Failure {
    fn new(error: impl ToString) -> Failure {
        Failure { error: error.to_string(), newest: None }
    }
}

/// What changes the pipeline.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChangeRequest {
    /// The components must be there already.
    Publish(Change),
    Rollback {
        to: Option<u64>,
        note: String,
    },
    /// Ends the trial, with the candidate or with its base in charge.
    End {
        action: Action,
        note: String,
    },
}

type Answer<T> = Result<T, (StatusCode, Json<Failure>)>;

/// Loading and the store block: they get a thread that may.
async fn blocking<T: Send + 'static>(
    control: Arc<Control>,
    work: impl FnOnce(&Control) -> anyhow::Result<T> + Send + 'static,
) -> Answer<T> {
    let done = tokio::task::spawn_blocking(move || work(&control)).await;
    let done = done.unwrap_or_else(|e| Err(anyhow::anyhow!("it panicked, see the log: {e}")));
    done.map_err(|e| {
        let mut failure = Failure::new(format!("{e:#}"));
        let status = match e.downcast_ref::<GenerationError>() {
            Some(GenerationError::Raced { found, .. }) => {
                failure.newest = Some(found.clone());
                StatusCode::CONFLICT
            }
            Some(GenerationError::Busy { .. }) => StatusCode::CONFLICT,
            Some(GenerationError::Unknown { .. }) => StatusCode::NOT_FOUND,
            Some(GenerationError::Store { .. }) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(failure))
    })
}

async fn show(State(control): State<Arc<Control>>) -> Answer<Json<Shown>> {
    let shown = |control: &Control| {
        let generations = &control.generations;
        let partitions = control.partitions.all();
        let workers = partitions.iter().map(|(_, worker)| worker.generation.load(Relaxed)).collect();
        let stages = generations.stages().into_iter().map(control::StageShown::from).collect();
        Ok(Shown {
            manifest: generations.manifest()?,
            newest: generation::newest(generations.shelf())?.map_or(0, |newest| newest.generation),
            workers,
            stages,
            refused: generations.refused(),
            report: generations.report(),
        })
    };
    blocking(control, shown).await.map(Json)
}

#[derive(Deserialize)]
struct Most {
    most: Option<usize>,
}

async fn history(
    State(control): State<Arc<Control>>,
    Query(Most { most }): Query<Most>,
) -> Answer<Json<Vec<Summary>>> {
    let read = move |control: &Control| control::history(control.generations.shelf(), most);
    blocking(control, read).await.map(Json)
}

async fn read(State(control): State<Arc<Control>>, Path(number): Path<u64>) -> Answer<Json<Manifest>> {
    blocking(control, move |control| Ok(generation::read(control.generations.shelf(), number)?))
        .await
        .map(Json)
}

async fn report(State(control): State<Arc<Control>>) -> Answer<Response> {
    Ok(match control.generations.report() {
        Some(report) => Json(report).into_response(),
        None => (StatusCode::NOT_FOUND, Json(Failure::new("there is no trial"))).into_response(),
    })
}

async fn put_component(
    State(control): State<Arc<Control>>,
    Path(digest): Path<String>,
    bytes: Bytes,
) -> Answer<StatusCode> {
    let put = move |control: &Control| {
        let found = generation::digest_of(&bytes);
        anyhow::ensure!(found == digest, "these bytes have the digest {found}");
        generation::keep_component(control.generations.shelf(), &digest, bytes.into())?;
        Ok(StatusCode::NO_CONTENT)
    };
    blocking(control, put).await
}

async fn change(
    State(control): State<Arc<Control>>,
    Json(request): Json<ChangeRequest>,
) -> Answer<(StatusCode, Json<Manifest>)> {
    let apply = move |control: &Control| {
        let (generations, now) = (&control.generations, clock::now_text());
        match request {
            ChangeRequest::Publish(Change { stages, rollout, because, expected }) => {
                generations.publish(Proposal { stages, rollout, because, expected }, &[], &now)
            }
            ChangeRequest::Rollback { to, note } => generations.rollback(to, note, &now),
            ChangeRequest::End { action, note } => {
                let report = generations.report();
                generations.publish(end_of_trial(generations, action, note, report)?, &[], &now)
            }
        }
    };
    let published = blocking(control, apply).await?;
    let status = if matches!(published, Published::New(_)) { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(published.manifest())))
}
