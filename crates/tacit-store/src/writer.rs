//! The one writer: a thread that takes everything that waits and makes it durable in one commit.
//!
//! Each change runs in a savepoint of its own, so that one that fails takes nothing with it; the flush to disk is paid
//! once for all of them. Nobody is told of success before the commit has returned.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use tacit_model::WorkspaceId;
use tokio::sync::oneshot;

use crate::{Change, StoreError, WriteError, sqlite::Revisions};

/// Changes in one commit.
const BATCH_MAX: usize = 256;
/// Changes that may wait; whoever comes later is told that the record cannot be written.
const QUEUE_MAX: usize = 8192;

/// How long a change that nobody waits for may wait for company.
const UNWAITED_HELD: Duration = Duration::from_millis(10);

/// Where so many wait, more are on their way: waiting for them a moment costs less than another flush. (PostgreSQL calls
/// the two `commit_siblings` and `commit_delay`.)
const COMPANY_MIN: usize = 3;
const COMPANY_AWAITED: Duration = Duration::from_micros(250);

/// What became durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The workspace's revision after the change.
    pub revision: i64,
    /// The sequence number of the change's first event, if it has one.
    pub first_seq: i64,
}

/// The end of a change that is in the queue.
pub(crate) type Pending = oneshot::Receiver<Result<Committed, WriteError>>;

struct Job {
    change: Change,
    /// None where nobody waits for the end.
    done: Option<oneshot::Sender<Result<Committed, WriteError>>>,
}

impl Job {
    fn answer(self, result: Result<Committed, WriteError>) {
        match (self.done, result) {
            // Whoever waited may be gone.
            (Some(done), result) => drop(done.send(result)),
            (None, Err(error)) => tracing::error!(%error, "an outcome could not be recorded"),
            (None, Ok(_)) => {}
        }
    }
}

pub(crate) struct Writer {
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, revisions: Revisions) -> Result<Self, StoreError> {
        let (sender, receiver) = bounded(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("tacit-writer".to_owned())
            .spawn(move || Loop { connection, revisions, heads: HashMap::new() }.run(&receiver))?;
        Ok(Self { jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Puts a change into the queue.
    pub(crate) fn submit(&self, change: Change) -> Result<Pending, WriteError> {
        let (done, result) = oneshot::channel();
        self.queue(Job { change, done: Some(done) })?;
        Ok(result)
    }

    /// Puts a change into the queue whose end nobody waits for.
    pub(crate) fn submit_unwaited(&self, change: Change) -> Result<(), WriteError> {
        self.queue(Job { change, done: None })
    }

    fn queue(&self, job: Job) -> Result<(), WriteError> {
        let Some(jobs) = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Err(WriteError::Unavailable("the server is stopping".to_owned()));
        };
        jobs.try_send(job).map_err(|_| WriteError::Unavailable("too many writes are waiting".to_owned()))
    }

    /// Lets what waits be written and ends the thread.
    pub(crate) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// Where a workspace stands: kept in memory, because this thread is the only one that moves it.
#[derive(Clone, Copy)]
struct Head {
    revision: i64,
    next_seq: i64,
}

struct Loop {
    connection: Connection,
    revisions: Revisions,
    heads: HashMap<WorkspaceId, Head>,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut is_waited_for = first.done.is_some();
            let mut batch = vec![first];
            // What nobody waits for rides along with the next change that somebody does, instead of making that one wait
            // behind a flush of its own.
            let deadline = Instant::now() + UNWAITED_HELD;
            while !is_waited_for && batch.len() < BATCH_MAX {
                let Ok(next) = jobs.recv_deadline(deadline) else { break };
                is_waited_for = next.done.is_some();
                batch.push(next);
            }
            let take = |batch: &mut Vec<Job>| {
                let room = BATCH_MAX - batch.len();
                batch.extend(jobs.try_iter().take(room));
            };
            take(&mut batch);
            if batch.iter().filter(|job| job.done.is_some()).count() >= COMPANY_MIN {
                std::thread::sleep(COMPANY_AWAITED);
                take(&mut batch);
            }
            self.commit(batch);
        }
        // All senders are gone: leave one whole file behind.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn commit(&mut self, batch: Vec<Job>) {
        let mut changed = Vec::new();
        let written = self.connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            let mut results = Vec::with_capacity(batch.len());
            for job in &batch {
                let result = self.apply(&job.change)?;
                if result.is_ok() {
                    let bumped = job.change.parts().filter(|part| part.bumps_revision);
                    changed.extend(bumped.map(|part| part.workspace));
                }
                results.push(result);
            }
            self.connection.execute_batch("COMMIT")?;
            Ok(results)
        });
        match written {
            Ok(results) => {
                self.publish(&changed);
                if batch.iter().any(|job| job.change.settles) {
                    let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
                }
                metrics::counter!("tacit_store_commits_total").increment(1);
                metrics::counter!("tacit_store_events_total").increment(
                    batch
                        .iter()
                        .zip(&results)
                        .filter(|(_, r)| r.is_ok())
                        .flat_map(|(job, _)| job.change.parts())
                        .map(|part| part.events.len() as u64)
                        .sum(),
                );
                for (job, result) in batch.into_iter().zip(results) {
                    job.answer(result);
                }
            }
            Err(error) => self.give_up(batch, &error),
        }
    }

    /// One change, in a savepoint. The outer error is the database's own and fails the whole batch.
    fn apply(&mut self, change: &Change) -> rusqlite::Result<Result<Committed, WriteError>> {
        let known = self.head(change.workspace)?;
        if change.expected_revision.is_some_and(|expected| known.is_none_or(|head| head.revision != expected))
        {
            return Ok(Err(WriteError::Stale));
        }
        if change.statements.is_empty() && !change.bumps_revision && change.elsewhere.is_empty() {
            // An intent is one insert: nothing can fail half-way.
            return Ok(Ok(self.append(change, known)?));
        }
        self.connection.execute_batch("SAVEPOINT change")?;
        let applied = self.run_statements(change)?;
        if let Err(error) = applied {
            self.connection.execute_batch("ROLLBACK TO change; RELEASE change")?;
            return Ok(Err(error));
        }
        let committed = self.advance(change)?;
        for part in &change.elsewhere {
            self.advance(part)?;
        }
        self.connection.execute_batch("RELEASE change")?;
        Ok(Ok(committed))
    }

    /// The workspace's revision and events, when the statements have been run.
    fn advance(&mut self, change: &Change) -> rusqlite::Result<Committed> {
        let known = self.head(change.workspace)?;
        if change.bumps_revision {
            self.connection
                .prepare_cached("UPDATE workspaces SET revision = revision + 1 WHERE id = ?1")?
                .execute([&change.workspace.as_bytes()[..]])?;
        }
        let head =
            known.map(|head| Head { revision: head.revision + i64::from(change.bumps_revision), ..head });
        self.append(change, head)
    }

    fn run_statements(&self, change: &Change) -> rusqlite::Result<Result<(), WriteError>> {
        for statement in &change.statements {
            let executed = self
                .connection
                .prepare_cached(statement.sql)?
                .execute(rusqlite::params_from_iter(&statement.args));
            match executed {
                Ok(rows) if statement.exactly_one && rows != 1 => return Ok(Err(WriteError::Conflict)),
                Ok(_) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
                    let unique = error.sqlite_error().is_some_and(|e| {
                        e.extended_code == SQLITE_CONSTRAINT_UNIQUE
                            || e.extended_code == SQLITE_CONSTRAINT_PRIMARYKEY
                    });
                    return Ok(Err(if unique { WriteError::Taken } else { WriteError::Conflict }));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(()))
    }

    fn append(&mut self, change: &Change, head: Option<Head>) -> rusqlite::Result<Committed> {
        let Some(mut head) = head else {
            // Statements without a workspace (an instance's identity) have no record to go to.
            debug_assert!(change.events.is_empty(), "events belong to a workspace");
            return Ok(Committed { revision: 0, first_seq: 0 });
        };
        let first_seq = head.next_seq;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO events (workspace, seq, bytes, leaf, at, actor, verb, object, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for event in &change.events {
            insert.execute(params![
                &change.workspace.as_bytes()[..],
                head.next_seq,
                event.bytes,
                &event.leaf[..],
                event.at,
                event.actor,
                event.verb,
                event.object,
                event.outcome
            ])?;
            head.next_seq += 1;
        }
        drop(insert);
        self.heads.insert(change.workspace, head);
        Ok(Committed { revision: head.revision, first_seq })
    }

    fn head(&mut self, workspace: WorkspaceId) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.heads.get(&workspace) {
            return Ok(Some(*head));
        }
        let id = &workspace.as_bytes()[..];
        let revision: Option<i64> = self
            .connection
            .prepare_cached("SELECT revision FROM workspaces WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let Some(revision) = revision else { return Ok(None) };
        let next_seq: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(seq) + 1, 0) FROM events WHERE workspace = ?1")?
            .query_row([id], |row| row.get(0))?;
        let head = Head { revision, next_seq };
        self.heads.insert(workspace, head);
        Ok(Some(head))
    }

    fn publish(&self, changed: &[WorkspaceId]) {
        if changed.is_empty() {
            return;
        }
        let mut revisions = self.revisions.write().unwrap_or_else(PoisonError::into_inner);
        for workspace in changed {
            if let Some(head) = self.heads.get(workspace) {
                revisions.insert(*workspace, head.revision);
            }
        }
    }

    /// Nothing of the batch happened. What this thread believed about it is forgotten and read anew.
    fn give_up(&mut self, batch: Vec<Job>, error: &rusqlite::Error) {
        if error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC) {
            // After a failed flush the kernel may call dirty pages clean; only a restart that reads the disk knows
            // what is there (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
            tracing::error!(
                "flushing to disk failed; stopping so that the next start reads what is really there"
            );
            std::process::abort();
        }
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.heads.clear();
        metrics::counter!("tacit_store_failed_commits_total").increment(1);
        tracing::error!(%error, changes = batch.len(), "the record could not be written");
        for job in batch {
            job.answer(Err(WriteError::Unavailable(error.to_string())));
        }
    }
}
