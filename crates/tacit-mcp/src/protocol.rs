//! The protocol: the only file that knows its library, which changes often.
//!
//! Two ways in. On standard input and output a process serves one client. Over HTTP every message is a request of its own,
//! and which session it belongs to is settled before it comes here (`http.rs`).

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response, request::Parts};
use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        InitializeRequestParams, InitializeResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool as WireTool, ToolAnnotations,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;

use crate::{
    Refusal, Session, lines,
    tools::{TOOLS, Tool},
};

/// What a client tells its model about all of this.
const INSTRUCTIONS: &str = "Tacit keeps this workspace's credentials. You work with their names; the values are put in on \
    the way to the service, and you never see them and never need them.\n\
    - Need a key, token or password? Call find_secrets first, then describe_secret for how to use one.\n\
    - One request: send_request, with the name in `auth` or {{secrets.NAME}} as the value of a header, parameter or field.\n\
    - Something repeated or scheduled: save_automation, then run_automation. Never write a credential into a step.\n\
    - Not stored yet? propose_secret, and tell the person the command it answers. Never ask for a value in the \
    conversation, and if one is pasted there, say that it should be replaced.\n\
    - Refused? explain_refusal says what does not match and who can change it. Do not look for a way around it.\n\
    - [sealed:NAME] in an answer stands where a credential was taken out. `test` is the usual environment; name `live` only \
    if the person asked for it. What you do is on the record under your name and theirs.";

/// Bytes of one message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An answer to a message over HTTP.
pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Serves one client on standard input and output, until it closes them or `stop` ends.
///
/// # Errors
/// The client does not speak the protocol.
pub async fn serve_stdio(session: Arc<Session>, stop: impl Future<Output = ()>) -> Result<(), String> {
    let handler = Handler(Some(Arc::clone(&session)));
    let (stdio, carried) = lines::stdio();
    let serving = async {
        let running = handler.serve(stdio).await.map_err(|error| error.to_string())?;
        running.waiting().await.map(drop).map_err(|error| error.to_string())
    };
    let both = async {
        let (served, carried) = tokio::join!(serving, carried);
        served.and(carried.map_err(|error| error.to_string()))
    };
    let ended = tokio::select! {
        ended = both => ended,
        () = stop => Ok(()),
    };
    session.end().await;
    ended
}

/// Takes single messages over HTTP.
#[derive(Clone)]
pub(crate) struct Messages(StreamableHttpService<Handler, NeverSessionManager>);

impl Messages {
    pub(crate) fn new() -> Self {
        // Sessions, hosts and origins are looked at before a message comes here. Answers are streams because a stream can
        // be kept alive while a run goes on.
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
            .with_sse_retry(None);
        let sessions = Arc::new(NeverSessionManager::default());
        Self(StreamableHttpService::new(|| Ok(Handler(None)), sessions, config))
    }

    /// Answers one message of a session.
    pub(crate) async fn answer(&self, mut request: Request<Bytes>, session: Arc<Session>) -> Answer {
        request.extensions_mut().insert(Attached(session));
        self.0.handle(request.map(Full::new)).await
    }
}

/// The session of a message, beside it.
#[derive(Clone)]
struct Attached(Arc<Session>);

/// What the library calls: the session of the process, or none if each message brings its own.
struct Handler(Option<Arc<Session>>);

impl Handler {
    fn session(&self, context: &RequestContext<RoleServer>) -> Option<Arc<Session>> {
        let attached = || context.extensions.get::<Parts>()?.extensions.get::<Attached>();
        self.0.clone().or_else(|| attached().map(|attached| Arc::clone(&attached.0)))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let tacit = Implementation::new("tacit", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(tacit)
            .with_instructions(INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if let Some(session) = self.session(&context) {
            // What the server says against it is what the first tool answers: there a model reads it.
            session.introduce(&request.client_info.name);
            let _ = session.agent().await;
        }
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(wire).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<WireTool> {
        Tool::named(name).map(wire)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::named(&request.name) else {
            return Err(ErrorData::invalid_params("there is no such tool; tools/list has all", None));
        };
        let Some(session) = self.session(&context) else {
            return Err(ErrorData::internal_error("the message belongs to no session", None));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        // Without a handshake each message says who sends it.
        if let Some(client) = context.meta.client_info() {
            session.introduce(&client.name);
        }
        let calling = async { tool.call(session.agent().await?, arguments).await };
        let answered = tokio::select! {
            answered = calling => answered,
            () = context.ct.cancelled() => Err(Refusal::new("cancelled", "the call was cancelled by the client")),
        };
        Ok(result(answered).into())
    }
}

fn wire(tool: &Tool) -> WireTool {
    let annotations = ToolAnnotations::with_title(tool.title)
        .read_only(tool.hints.reads_only)
        .destructive(tool.hints.destructive)
        .idempotent(tool.hints.idempotent)
        .open_world(tool.hints.open_world);
    WireTool::new(tool.name, tool.description, tool.input.clone())
        .with_title(tool.title)
        .with_raw_output_schema(Arc::new(tool.output.clone()))
        .with_annotations(annotations)
}

/// As structure for programs, and as text for models.
fn result(answered: Result<Value, Refusal>) -> CallToolResult {
    let (mut result, structured) = match answered {
        Ok(output) => (CallToolResult::success(vec![ContentBlock::text(output.to_string())]), output),
        Err(refusal) => {
            let text = refusal.text();
            let structured = serde_json::to_value(refusal).unwrap_or_default();
            (CallToolResult::error(vec![ContentBlock::text(text)]), structured)
        }
    };
    result.structured_content = Some(structured);
    result
}
