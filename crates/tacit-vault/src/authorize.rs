//! Who may do what: pure functions over a principal and a snapshot, and the proofs they make.
//!
//! A proof ([`Authorized`]) has a private constructor and can be made only here. It is bound to one secret, one
//! environment and the revision it was decided on, is consumed when it is used, and is worth nothing until its intent is
//! on the record (see `decrypt`).
//!
//! Order of checks: right, then visibility and state, then destination, then place. The address is the broker's.

use std::marker::PhantomData;

use tacit_model::{
    Code, Destination, EnvironmentId, EnvironmentName, HostKey, Place, Problem, Right, Rights, Scheme,
    SecretId, Target, Visibility, destination::ResponseRule,
};

use crate::access::Snapshot;

/// What a proof is for.
pub(crate) trait Verb {}
/// Showing a value to the caller.
pub(crate) enum Reveal {}
/// Putting a value into one request.
pub(crate) enum Use {}
/// Knowing a value only to take it out of an answer.
pub(crate) enum Scan {}
/// Turning ciphertext into ciphertext.
pub(crate) enum Reseal {}
impl Verb for Reveal {}
impl Verb for Use {}
impl Verb for Scan {}
impl Verb for Reseal {}

/// The proof that one thing may be done with one secret in one environment, as decided at one revision.
pub(crate) struct Authorized<V: Verb> {
    secret: SecretId,
    environment: EnvironmentId,
    revision: i64,
    _verb: PhantomData<V>,
}

impl<V: Verb> Authorized<V> {
    fn new(snapshot: &Snapshot, environment: EnvironmentId, revision: i64) -> Self {
        Self { secret: snapshot.secret.id, environment, revision, _verb: PhantomData }
    }

    pub(crate) fn secret(&self) -> SecretId {
        self.secret
    }

    pub(crate) fn environment(&self) -> EnvironmentId {
        self.environment
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }
}

/// A right, or the sentence that it is missing.
pub(crate) fn require(rights: Rights, right: Right) -> Result<(), Problem> {
    if rights.has(right) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("this needs the right `{right}`, which you do not hold here"))
        .suggest("ask an owner or admin of the workspace for a role that has it"))
}

/// Whether a value may be shown.
pub(crate) fn reveal(
    rights: Rights,
    snapshot: &Snapshot,
    environment: EnvironmentId,
    revision: i64,
) -> Result<Authorized<Reveal>, Problem> {
    require(rights, Right::SecretReveal)?;
    if snapshot.secret.visibility == Visibility::Restricted {
        return Err(Problem::new(
            Code::RestrictedSecret,
            format!("`{}` is restricted: nobody may ever read it back", snapshot.secret.name),
        )
        .suggest("use it by name where it is needed; to replace the value, rotate it"));
    }
    check_is_on(snapshot, environment)?;
    check_has_value(snapshot, environment)?;
    Ok(Authorized::new(snapshot, environment, revision))
}

/// What a secret would be used for.
pub(crate) struct Purpose<'a> {
    pub(crate) target: &'a Target,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) other_path: Option<&'a str>,
    pub(crate) place: &'a Place,
    pub(crate) environment: EnvironmentId,
    pub(crate) environment_name: &'a EnvironmentName,
}

/// On whose authority a secret would be used.
#[derive(Clone, Copy)]
pub(crate) enum Authority<'a> {
    /// The caller's own.
    Rights(Rights),
    /// A published automation's grant; the origin it is pinned to, for a secret without destinations.
    Grant { pinned: Option<&'a str> },
    /// A published automation that has no grant for this secret.
    NoGrant,
    /// A lease's: what whoever took it may do, of a secret it has a placeholder for.
    Leased(Rights),
    /// A lease that has no placeholder for this secret.
    NotLeased,
}

/// What a permitted use comes with.
pub(crate) struct Permitted<'a> {
    pub(crate) proof: Authorized<Use>,
    /// The destination that allows it; none for a secret that has none.
    pub(crate) destination: Option<&'a Destination>,
    pub(crate) response: ResponseRule,
    pub(crate) echoes: bool,
    /// What the destinations that allow it say of an SFTP server's key.
    pub(crate) host_keys: Vec<HostKey>,
}

/// Whether a value may be put into a request.
pub(crate) fn use_in_request<'a>(
    authority: Authority<'_>,
    snapshot: &'a Snapshot,
    purpose: &Purpose<'a>,
    revision: i64,
) -> Result<Permitted<'a>, Problem> {
    match authority {
        Authority::Rights(rights) | Authority::Leased(rights) => require(rights, Right::SecretUse)?,
        Authority::Grant { .. } => {}
        Authority::NotLeased => {
            return Err(Problem::new(
                Code::Forbidden,
                format!("this lease has no placeholder for `{}` as it is now", snapshot.secret.name),
            )
            .suggest("take a new lease that names it"));
        }
        Authority::NoGrant => {
            return Err(Problem::new(
                Code::Forbidden,
                format!("this automation was not published with `{}`", snapshot.secret.name),
            )
            .suggest("publish it again as someone who may use the secret"));
        }
    }
    check_is_on(snapshot, purpose.environment)?;
    check_has_value(snapshot, purpose.environment)?;
    let proof = || Authorized::new(snapshot, purpose.environment, revision);
    if snapshot.secret.destinations.is_empty() {
        let may_look = match authority {
            Authority::Rights(rights) => rights.has(Right::SecretReveal),
            Authority::Grant { pinned } => pinned.is_some_and(|origin| origin == purpose.target.to_string()),
            // Whoever holds a placeholder chooses the host; that somebody could look at the value is no leave to send it
            // anywhere.
            Authority::Leased(_) | Authority::NotLeased | Authority::NoGrant => false,
        };
        // Of an SFTP server without a destination nobody has said which key it has.
        let is_pinned = purpose.target.scheme() != Scheme::Sftp;
        if snapshot.secret.visibility == Visibility::Restricted || !may_look || !is_pinned {
            return Err(destination_required(snapshot, purpose));
        }
        return Ok(Permitted {
            proof: proof(),
            destination: None,
            response: ResponseRule::Scrub,
            echoes: true,
            host_keys: Vec::new(),
        });
    }
    let matching: Vec<&Destination> = snapshot
        .secret
        .destinations
        .matching(purpose.target, purpose.method, purpose.path, purpose.environment_name)
        .filter(|destination| purpose.other_path.is_none_or(|path| destination.means_path(path)))
        .collect();
    if matching.is_empty() {
        return Err(destination_not_allowed(snapshot, purpose));
    }
    let placed: Vec<&Destination> =
        matching.iter().copied().filter(|d| d.places.contains(purpose.place)).collect();
    let Some(first) = placed.first() else {
        return Err(placement_not_allowed(snapshot, purpose, matching[0]));
    };
    // Where several destinations allow the same request, the strictest word about the answer counts.
    let response = placed.iter().map(|d| d.response).max().unwrap_or(ResponseRule::Scrub);
    Ok(Permitted {
        proof: proof(),
        destination: Some(first),
        response,
        echoes: placed.iter().any(|d| d.echoes),
        host_keys: placed.iter().filter_map(|d| d.host_key.clone()).collect(),
    })
}

/// Whether a lease may have a placeholder for a secret. It yields no proof: what is done with the placeholder is decided
/// anew each time.
pub(crate) fn lease(rights: Rights, snapshot: &Snapshot, environment: EnvironmentId) -> Result<(), Problem> {
    require(rights, Right::SecretUse)?;
    check_is_on(snapshot, environment)?;
    check_has_value(snapshot, environment)?;
    if !snapshot.secret.destinations.is_empty() {
        return Ok(());
    }
    let name = &snapshot.secret.name;
    Err(Problem::new(
        Code::DestinationRequired,
        format!(
            "`{name}` has no destination, and a placeholder works only where its secret's destinations allow"
        ),
    )
    .suggest(format!(
        "have someone who may aim it say where it may go: tacit secrets policy {} --to HOST",
        quoted(name)
    )))
}

/// A value that may come back in an answer may be known in order to take it out. Nobody sees it by this.
pub(crate) fn scan(snapshot: &Snapshot, environment: EnvironmentId, revision: i64) -> Authorized<Scan> {
    Authorized::new(snapshot, environment, revision)
}

/// Whether the kept versions may be sealed anew under another policy.
pub(crate) fn reseal_for_policy(
    rights: Rights,
    snapshot: &Snapshot,
    environment: EnvironmentId,
    revision: i64,
) -> Result<Authorized<Reseal>, Problem> {
    require(rights, Right::SecretPolicy)?;
    Ok(Authorized::new(snapshot, environment, revision))
}

/// Whether an earlier version may be sealed anew as the next one.
pub(crate) fn reseal_for_rollback(
    rights: Rights,
    snapshot: &Snapshot,
    environment: EnvironmentId,
    revision: i64,
) -> Result<Authorized<Reseal>, Problem> {
    require(rights, Right::SecretWrite)?;
    Ok(Authorized::new(snapshot, environment, revision))
}

/// Whether the value in force of one environment may be sealed anew as the next version in another one, by somebody with
/// these rights there. What others gain by it is `Vault::check_copy`'s. A value that is switched off stays where it is.
pub(crate) fn reseal_for_copy(
    rights: Rights,
    snapshot: &Snapshot,
    (from, to): (EnvironmentId, EnvironmentId),
    revision: i64,
) -> Result<(Authorized<Reseal>, Authorized<Reseal>), Problem> {
    require(rights, Right::SecretWrite)?;
    check_is_on(snapshot, from)?;
    check_has_value(snapshot, from)?;
    Ok((Authorized::new(snapshot, from, revision), Authorized::new(snapshot, to, revision)))
}

fn check_is_on(snapshot: &Snapshot, environment: EnvironmentId) -> Result<(), Problem> {
    let name = &snapshot.secret.name;
    if snapshot.secret.deleted_at.is_some() {
        return Err(Problem::new(Code::SecretDisabled, format!("`{name}` was deleted"))
            .suggest("an owner or admin can restore it within its deletion window"));
    }
    if snapshot.secret.disabled || snapshot.value(environment).is_some_and(|value| value.disabled) {
        return Err(Problem::new(Code::SecretDisabled, format!("`{name}` is disabled")).suggest(format!(
            "someone who may write secrets can enable it: tacit secrets enable {}",
            quoted(name)
        )));
    }
    Ok(())
}

fn check_has_value(snapshot: &Snapshot, environment: EnvironmentId) -> Result<(), Problem> {
    if snapshot.value(environment).is_some() {
        return Ok(());
    }
    let name = &snapshot.secret.name;
    Err(Problem::new(Code::NoValueInEnvironment, format!("`{name}` has no value in this environment"))
        .suggest(format!("set one: tacit secrets set {} --env ENVIRONMENT", quoted(name))))
}

/// Something as a shell takes it. Names, paths and places are chosen by others than who pastes the command.
fn quoted(text: &impl ToString) -> String {
    let text = text.to_string();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:%@+,=".contains(&b);
    if text.bytes().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn aimed(problem: Problem, snapshot: &Snapshot, purpose: &Purpose<'_>) -> Problem {
    if purpose.target.scheme() == Scheme::Sftp {
        // A destination without the server's key is none, and only whoever runs the server can say what the key is.
        return problem.suggest(format!(
            "if it should go there, someone who may aim it can add a destination with the fingerprint of the server's key: \
             {{\"host\": \"{}\", \"scheme\": \"sftp\", \"port\": {}, \"host_key\": \"SHA256:…\"}}",
            purpose.target.host(),
            purpose.target.port()
        ));
    }
    let secret = &snapshot.secret;
    let mut destination = Destination::for_target(purpose.target, purpose.place.clone());
    let mut command = format!("{} --to ", quoted(&secret.name));
    let is_known = secret.destinations.0.iter().any(|known| known.matches_origin(purpose.target));
    if is_known && *purpose.place != Place::Path {
        // It may go there for something: not for everything, then.
        destination = destination.narrowed_to(purpose.method, purpose.path);
        let to = format!("{}{}", purpose.target, purpose.path);
        command.push_str(&format!("{} --method {}", quoted(&to), quoted(&purpose.method)));
    } else {
        command.push_str(&quoted(purpose.target));
    }
    if *purpose.place != Place::Auth {
        command.push_str(&format!(" --place {}", quoted(purpose.place)));
    }
    let json = serde_json::to_string(&destination).unwrap_or_default();
    let how = if secret.visibility == Visibility::Restricted {
        format!(
            "together with new values, because the secret is restricted: tacit secrets set --add {command}"
        )
    } else {
        format!("tacit secrets policy --add {command}")
    };
    let mut problem = problem.suggest(format!(
        "if it should go there, someone who may aim it can add this destination: {json} ({how})"
    ));
    problem.destination = Some(destination);
    problem
}

fn destination_required(snapshot: &Snapshot, purpose: &Purpose<'_>) -> Problem {
    let name = &snapshot.secret.name;
    let detail = format!("`{name}` has no destination, so it cannot be sent to {}", purpose.target);
    aimed(Problem::new(Code::DestinationRequired, detail), snapshot, purpose)
}

fn destination_not_allowed(snapshot: &Snapshot, purpose: &Purpose<'_>) -> Problem {
    let name = &snapshot.secret.name;
    let same_origin = snapshot.secret.destinations.0.iter().any(|d| d.matches_origin(purpose.target));
    let what = if same_origin {
        format!("`{name}` may go to {}, but not with this method, path or environment", purpose.target)
    } else {
        format!("`{name}` may not go to {}", purpose.target)
    };
    aimed(Problem::new(Code::DestinationNotAllowed, what), snapshot, purpose)
}

fn placement_not_allowed(snapshot: &Snapshot, purpose: &Purpose<'_>, destination: &Destination) -> Problem {
    let allowed = destination.places.iter().map(Place::to_string).collect::<Vec<_>>().join(", ");
    Problem::new(
        Code::PlacementNotAllowed,
        format!(
            "`{}` may not stand in `{}` of a request to {}; there it may stand in: {allowed}",
            snapshot.secret.name, purpose.place, purpose.target
        ),
    )
    .suggest("move the reference, or have someone who may aim the secret add the place to its destination")
}

#[cfg(test)]
mod oracle;
