//! `Idempotency-Key` where something is interrupted: what nobody knows the end of is never done a second time.

use tacit_model::{Code, Role};
use tacit_vault::{Caller, FirstTime, Once};

use crate::ground::Ground;

const ROUTE: &str = "PUT /secrets/{name}/values/{environment}";

async fn begin(
    ground: &Ground,
    caller: &Caller,
    key: &str,
    request: &str,
) -> Result<Option<FirstTime>, Code> {
    match ground.vault.begin_write(caller, ROUTE, key, request.as_bytes().to_vec()).await {
        Ok(Once::First(first)) => Ok(Some(first)),
        Ok(Once::Again(replay)) => {
            assert_eq!((replay.status, replay.body.as_str()), (201, "{}"));
            Ok(None)
        }
        Err(problem) => Err(problem.code),
    }
}

/// A server that is gone between the beginning of a write and its end leaves a key that is answered with `already_done`, after a
/// restart too, for a day; then it is as good as new. A write that ended is answered the same way before and after.
#[tokio::test]
async fn what_was_interrupted_is_not_repeated() {
    let ground = Ground::new().await;
    let other = ground.account("ci", Role::Admin).await;
    let owner = ground.owner.clone();
    assert!(begin(&ground, &owner, "cut-off", "a").await.unwrap().is_some());
    let ended = begin(&ground, &owner, "ended", "b").await.unwrap().unwrap();
    ground.vault.finish_write(ended, Some(201), None, Some("{}")).await.unwrap();
    let refused = begin(&ground, &owner, "refused", "c").await.unwrap().unwrap();
    ground.vault.finish_write(refused, None, None, None).await.unwrap();
    let ground = ground.tampered("").await.unwrap();
    assert_eq!(begin(&ground, &owner, "cut-off", "a").await.err(), Some(Code::AlreadyDone));
    assert_eq!(begin(&ground, &owner, "cut-off", "other").await.err(), Some(Code::ValidationFailed));
    assert!(begin(&ground, &owner, "ended", "b").await.unwrap().is_none());
    assert!(begin(&ground, &owner, "refused", "another request").await.unwrap().is_some());
    // Somebody else's key is another key, whatever it is called.
    assert!(begin(&ground, &other, "ended", "x").await.unwrap().is_some());
    let later = |secs| Caller { now: owner.now.plus_secs(secs), ..owner.clone() };
    assert_eq!(begin(&ground, &later(86_399), "cut-off", "a").await.err(), Some(Code::AlreadyDone));
    assert!(begin(&ground, &later(86_400), "cut-off", "another request").await.unwrap().is_some());
    ground.vault.keep_up(owner.now.plus_secs(2 * 86_400 + 1), false).await.unwrap();
    assert!(begin(&ground, &owner, "ended", "forgotten").await.unwrap().is_some());
}
