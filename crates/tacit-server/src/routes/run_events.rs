//! A run as it goes: server-sent events.
//!
//! Twice a second, and each time something changed here, it is looked up anew, on the rights of that moment: who may not see
//! it any more hears nothing more. What is sent is what the history holds, scrubbed before it got there.

use std::{
    collections::HashMap,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use serde_json::{Value, json};
use tacit_api::{Problem as ProblemOut, Run, StepStatus};
use tacit_model::{Problem, RunId, limits};
use tacit_vault::Caller;
use tokio::sync::mpsc;

use super::{
    Answer,
    runs::{out, run_id},
};
use crate::{
    app::App,
    extract::{Member, Path},
    time,
};

/// How often to look when nobody says that there is something: another node may have the run.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often to say something, so that nothing between here and there thinks that nobody is left.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Events that may wait for a slow reader.
const WAITING_MAX: usize = 16;

/// How long a reader may take over one event. What waits for them is in memory.
const READING_MAX: Duration = Duration::from_secs(30);

/// A run as it goes: an event `step` for each step that begins or ends, an event `run` for the run itself. Ends with the run.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/runs/{id}/events", tag = "runs", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn stream(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Response> {
    let id = run_id(&id)?;
    let first = out(&app.vault.show_run(&caller, id).await?)?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(watch(app, caller, id, first, sender));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Events(receiver))).into_response())
}

/// Tells what changes until the run is over, nobody reads any more, or whoever reads may not see it.
async fn watch(app: App, caller: Caller, id: RunId, first: Run, sender: mpsc::Sender<Bytes>) {
    let mut changes = app.runner.changes();
    let mut told = Told::default();
    let (mut run, mut mark) = (Some(first), None);
    let mut spoke = Instant::now();
    let until = Instant::now() + Duration::from_secs(limits::RUN_SECS_MAX);
    loop {
        let mut events = run.as_ref().map(|run| told.news(run)).unwrap_or_default();
        let is_over = run.take().is_some_and(|run| run.status.is_over());
        if events.is_empty() && spoke.elapsed() > ALIVE_EVERY {
            events.push(Bytes::from_static(b": still there\n\n"));
        }
        for event in events {
            tokio::select! {
                sent = sender.send_timeout(event, READING_MAX) => if sent.is_err() { return },
                () = app.runner.closing() => return,
            }
            spoke = Instant::now();
        }
        if is_over || Instant::now() > until {
            return;
        }
        let look = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(look);
        loop {
            tokio::select! {
                // Of other runs nothing is said; who fell behind looks.
                changed = changes.recv() => if !matches!(changed, Ok(other) if other != id) { break },
                () = &mut look => break,
                () = sender.closed() => return,
                () = app.runner.closing() => return,
            }
        }
        // On the rights of this moment, whether there is something new or not. All that a run brought is read only if there is.
        let caller = Caller { now: time::now(), ..caller.clone() };
        let Ok(found) = app.vault.run_mark(&caller, id).await else { return };
        if mark.as_ref() == Some(&found) {
            continue;
        }
        mark = Some(found);
        match current(&app, &caller, id).await {
            Ok(current) => run = Some(current),
            Err(_) => return,
        }
    }
}

async fn current(app: &App, caller: &Caller, id: RunId) -> Result<Run, Problem> {
    out(&app.vault.show_run(caller, id).await?)
}

/// What was told already.
#[derive(Default)]
struct Told {
    steps: HashMap<String, StepStatus>,
    run: Option<Value>,
}

impl Told {
    /// The events for what is new.
    fn news(&mut self, run: &Run) -> Vec<Bytes> {
        let mut events = Vec::new();
        for step in &run.steps {
            if self.steps.insert(step.id.clone(), step.status) != Some(step.status) {
                events.push(event("step", &serde_json::to_value(step).unwrap_or_default()));
            }
        }
        let mut itself = json!({"id": run.id, "status": run.status, "cancelling": run.cancelling});
        if let Some(error) = &run.error {
            itself["error"] = serde_json::to_value(error).unwrap_or_default();
        }
        if let Some(finished_at) = &run.finished_at {
            itself["finished_at"] = finished_at.clone().into();
        }
        if self.run.as_ref() != Some(&itself) {
            events.push(event("run", &itself));
            self.run = Some(itself);
        }
        events
    }
}

/// JSON has no line breaks of its own, so that data cannot begin another event.
fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The body of the answer.
struct Events(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was told is not told again; data with line breaks stays one event.
    #[test]
    fn news_once() {
        let run = |value: Value| serde_json::from_value::<Run>(value).ok().unwrap();
        let base = json!({"id": "run_1", "automation": "a", "environment": "test", "status": "running", "steps": [], "started_by": "user:o", "started_at": "x"});
        let mut told = Told::default();
        assert_eq!(told.news(&run(base.clone())).len(), 1);
        assert!(told.news(&run(base.clone())).is_empty());
        let mut next = base;
        next["steps"] = json!([{"id": "s", "status": "succeeded", "output": {"body": "a\n\nevent: run\ndata: {}"}, "redactions": 0, "duration_ms": 1}]);
        next["status"] = "succeeded".into();
        let events = told.news(&run(next));
        assert_eq!(events.len(), 2);
        let text = String::from_utf8(events[0].to_vec()).unwrap();
        assert_eq!(text.matches("\n\n").count(), 1, "{text}");
        assert!(text.starts_with("event: step\ndata: {"));
    }
}
