//! The queue's side: claiming what waits, renewing what goes, looking after what somebody left.

use std::{collections::HashMap, time::Duration};

use tacit_model::limits;

use crate::{Runner, lock, now};

/// How often to look at the queue when nobody says that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often to renew the claims on runs; three times within what they last for.
const RENEW_EVERY: Duration = Duration::from_secs(limits::RUN_LEASE_SECS as u64 / 3);

impl Runner {
    /// Works on the queue: claims nothing more when the process is about to stop, and keeps what it has until it is dropped.
    pub async fn work(self) {
        tokio::join!(self.claim(), self.renew());
    }

    /// Claims runs while there are some and there is room.
    async fn claim(&self) {
        while !self.is_closing() {
            match self.vault.claim_run(*self.shared.node, now()).await {
                Ok(Some(started)) => {
                    self.changed(started.ticket.run);
                    self.go(started).await;
                    continue;
                }
                Ok(None) => {}
                Err(problem) => tracing::error!(cause = problem.cause(), "the queue cannot be read"),
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.closing() => {}
            }
        }
    }

    /// Keeps this node's claims, hears of runs that were cancelled elsewhere, and takes over what nobody renews.
    async fn renew(&self) {
        let mut every = tokio::time::interval(RENEW_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let mut here: HashMap<_, Vec<_>> = HashMap::new();
            for (id, going) in lock(&self.shared.going).iter() {
                here.entry(going.workspace).or_default().push(*id);
            }
            for (workspace, runs) in here {
                match self.vault.renew_runs(workspace, &runs, *self.shared.node, now()).await {
                    Ok(cancelled) => cancelled.into_iter().for_each(|id| self.stop(id)),
                    Err(problem) => {
                        tracing::error!(cause = problem.cause(), "claims on runs cannot be renewed")
                    }
                }
            }
            match self.vault.recover_runs(now(), false).await {
                Ok(recovered) if recovered.put_back > 0 => self.shared.wake.notify_one(),
                Ok(_) => {}
                Err(problem) => {
                    tracing::error!(cause = problem.cause(), "runs of other nodes cannot be looked after")
                }
            }
        }
    }
}
