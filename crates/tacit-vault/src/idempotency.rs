//! `Idempotency-Key`: a write that is asked for twice is done once.
//!
//! A key counts for one principal on one route for a day. That a write begins is durable before it begins, and how it ended
//! is added when it has; so whatever is interrupted in between, nothing is done a second time. Kept is a keyed fingerprint of
//! the request, because a request holds values, and of the answer only what holds nothing that is shown once.

use tacit_crypto::{SecretValue, fingerprint, sha256};
use tacit_model::{Code, Problem, Timestamp, WorkspaceId, limits};
use tacit_store::{
    Change, WriteError,
    idempotency::{self as rows, KeptWrite, WriteKey},
};

use crate::{Caller, Vault};

/// An answer that was given before.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its status.
    pub status: u16,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its body.
    pub body: String,
}

/// A write that may be done now, for the first time.
#[derive(Debug)]
pub struct FirstTime {
    workspace: WorkspaceId,
    key: WriteKey,
}

/// What a key says about a write.
#[derive(Debug)]
pub enum Once {
    /// It was not asked for yet.
    First(FirstTime),
    /// It was done; this was the answer.
    Again(Replay),
}

impl Vault {
    /// Looks a key up and remembers that the write begins.
    ///
    /// # Errors
    /// `validation_failed` for a key that is none, or that came with another request; `already_done` where the answer of the
    /// first time cannot be given again, or nobody knows it; `unauthenticated`, `not_found`.
    pub async fn begin_write(
        &self,
        caller: &Caller,
        route: &str,
        key: &str,
        request: Vec<u8>,
    ) -> Result<Once, Problem> {
        if key.is_empty()
            || key.len() > limits::IDEMPOTENCY_KEY_CHARS_MAX
            || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            let message = format!(
                "must be 1 to {} visible ASCII characters, such as a UUID",
                limits::IDEMPOTENCY_KEY_CHARS_MAX
            );
            return Err(Problem::invalid("Idempotency-Key", message));
        }
        let access = self.access(caller).await?;
        let workspace = access.view.workspace.id;
        let key = WriteKey {
            principal: access.principal.actor.id,
            route: route.to_owned(),
            key: sha256(key.as_bytes()),
        };
        let print = fingerprint(&*self.0.keys.fingerprint(workspace).await?, &SecretValue::from(request));
        // Once more if somebody else's was forgotten in between.
        for _ in 0..2 {
            if let Some(kept) = self.0.store.kept_write(workspace, &key).await.map_err(Problem::internal)? {
                if !is_forgotten(&kept, caller.now) {
                    return replay(kept, &print).map(Once::Again);
                }
                self.write_plain(Change::new(workspace).and(rows::forget(workspace, &key))).await?;
            }
            let begun = rows::begin(workspace, &key, &print, caller.now);
            match self.0.store.write(Change::new(workspace).and(begun)).await {
                Ok(_) => return Ok(Once::First(FirstTime { workspace, key })),
                Err(WriteError::Unavailable(cause)) => return Err(Problem::audit_unavailable(cause)),
                // The same key came at the same time.
                Err(_) => {}
            }
        }
        Err(unknown())
    }

    /// Remembers how a write ended. `body` is the answer, where it may be given again; without a status nothing was done, and
    /// the key is as good as new.
    ///
    /// # Errors
    /// The database cannot be written; then a second asking is told that nobody knows.
    pub async fn finish_write(
        &self,
        write: FirstTime,
        status: Option<u16>,
        etag: Option<&str>,
        body: Option<&str>,
    ) -> Result<(), Problem> {
        let FirstTime { workspace, key } = write;
        let statement = match status {
            Some(status) => rows::finish(workspace, &key, status, etag, body),
            None => rows::forget(workspace, &key),
        };
        self.write_plain(Change::new(workspace).and(statement)).await
    }

    async fn write_plain(&self, change: Change) -> Result<(), Problem> {
        self.0.store.write(change).await.map(drop).map_err(Problem::audit_unavailable)
    }
}

fn is_forgotten(kept: &KeptWrite, now: Timestamp) -> bool {
    kept.created_at.plus_secs(limits::IDEMPOTENCY_KEEP_HOURS * 3_600) <= now
}

fn replay(kept: KeptWrite, print: &[u8; 32]) -> Result<Replay, Problem> {
    if !tacit_crypto::ct_eq(&kept.request, print) {
        return Err(Problem::invalid("Idempotency-Key", "was used for another request already")
            .suggest("make a new key for each write, and send the same one only to repeat it"));
    }
    match (kept.status.and_then(|status| u16::try_from(status).ok()), kept.body) {
        (Some(status), Some(body)) => Ok(Replay { status, etag: kept.etag, body }),
        (Some(_), None) => Err(Problem::new(
            Code::AlreadyDone,
            "this was done already, and its answer held something that is shown only once",
        )
        .suggest("look at what is there; to do it again, send a new key")),
        (None, _) => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new(
        Code::AlreadyDone,
        "a write with this key is going on, or was interrupted and nobody knows how it ended",
    )
    .suggest("look at what is there before you do it again with a new key")
}
