//! Every limit on what is stored or sent, with its unit, in one place.

/// Bytes of one secret's or variable's value, all fields of it together.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a secret's or variable's name.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// Bytes of a folder's path.
pub const FOLDER_BYTES_MAX: usize = 512;
/// Characters of a person's reason.
pub const REASON_CHARS_MAX: usize = 200;
/// Destinations of one secret.
pub const DESTINATIONS_MAX: usize = 32;
/// Secrets of one workspace.
pub const SECRETS_MAX: usize = 100_000;
/// Environments of one workspace.
pub const ENVIRONMENTS_MAX: usize = 32;
/// Steps of one automation.
pub const STEPS_MAX: usize = 64;
/// Triggers of one automation.
pub const TRIGGERS_MAX: usize = 16;
/// Bytes of an automation's definition.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a request to the API.
pub const REQUEST_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The body of a request by which somebody signs in, joins or confirms who they are: read from whoever asks.
pub const SIGN_IN_BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an upstream's answer that a step or a sealed request may return (after decoding and scrubbing).
pub const RESPONSE_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Headers of a step.
pub const STEP_HEADERS_MAX: usize = 64;
/// Query parameters of a step, and fields of a form.
pub const STEP_FIELDS_MAX: usize = 256;
/// Seconds a step may wait for its upstream.
pub const STEP_TIMEOUT_SECS_MAX: u64 = 300;
/// Seconds a step waits when it does not say.
pub const STEP_TIMEOUT_SECS_DEFAULT: u64 = 20;
/// Redirects a step may follow.
pub const REDIRECTS_MAX: u32 = 5;
/// Times a step is sent at most, the first included.
pub const RETRY_ATTEMPTS_MAX: u32 = 10;
/// Milliseconds until a step is sent for the second time, when it does not say.
pub const RETRY_BACKOFF_MS_DEFAULT: u64 = 500;
/// Milliseconds until a step is sent again at most, whatever the service asks for.
pub const RETRY_BACKOFF_MS_MAX: u64 = 300_000;
/// Bytes of a path on an SFTP server, and of an object's key.
pub const REMOTE_PATH_BYTES_MAX: usize = 1024;
/// Runs that go at the same time in an instance.
pub const RUNS_AT_ONCE_MAX: i64 = 256;
/// Runs that go at the same time in a workspace.
pub const RUNS_AT_ONCE_OF_WORKSPACE_MAX: i64 = 128;
/// Runs of one automation that go at the same time in an environment; its definition may say fewer.
pub const RUNS_AT_ONCE_OF_AUTOMATION_MAX: i64 = 32;
/// Runs of a workspace that may wait.
pub const RUNS_QUEUED_MAX: i64 = 20_000;
/// Bytes of what a run is started with.
pub const RUN_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of all results of a run together.
pub const RUN_RESULTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Seconds for which a node claims a run; it renews that three times as often.
pub const RUN_LEASE_SECS: i64 = 30;
/// Days for which a run's history is kept.
pub const RUN_KEEP_DAYS_DEFAULT: i64 = 30;
/// Calls of one webhook, one after the other.
pub const HOOK_CALLS_BURST: i64 = 120;
/// Seconds until one more.
pub const HOOK_CALLS_REFILL_SECS: i64 = 1;
/// Seconds a run may take.
pub const RUN_SECS_MAX: u64 = 3600;
/// Live tokens of one service account.
pub const TOKENS_PER_ACCOUNT_MAX: usize = 32;
/// Characters of a person's password at least.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of a person's password.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Seconds after which somebody signs in anew in a browser.
pub const COOKIE_SESSION_SECS: i64 = 12 * 3600;
/// Seconds after which somebody signs in anew with a program.
pub const TOKEN_SESSION_SECS: i64 = 30 * 24 * 3600;
/// Sessions of one person; with one more the oldest ends.
pub const SESSIONS_PER_PERSON_MAX: usize = 100;
/// Sign-ins of one account that may fail at once.
pub const SIGN_IN_BY_ACCOUNT_BURST: i64 = 10;
/// Seconds until one more may fail.
pub const SIGN_IN_BY_ACCOUNT_REFILL_SECS: i64 = 60;
/// Sign-ins from one address at once (of IPv6, from one network of 64 bits).
pub const SIGN_IN_BY_ADDRESS_BURST: i64 = 60;
/// Seconds until one more.
pub const SIGN_IN_BY_ADDRESS_REFILL_SECS: i64 = 5;
/// Passwords that are hashed at the same time; each takes 19 MiB.
pub const PASSWORDS_HASHED_AT_ONCE: usize = 2;
/// Recovery codes of a second factor.
pub const RECOVERY_CODES: usize = 10;
/// Seconds an invitation can be accepted when it does not say.
pub const INVITATION_SECS_DEFAULT: u64 = 7 * 24 * 3600;
/// Seconds an invitation can be accepted at most.
pub const INVITATION_SECS_MAX: u64 = 30 * 24 * 3600;
/// Open invitations of one workspace.
pub const INVITATIONS_MAX: usize = 1000;
/// Seconds after which a client should hide a value that was looked at.
pub const HIDE_AFTER_SECS_DEFAULT: i64 = 30;
/// Values that one principal may look at, one after the other.
pub const REVEALS_BURST: i64 = 60;
/// Seconds until one more.
pub const REVEALS_REFILL_SECS: i64 = 10;
/// Custom roles of one workspace.
pub const ROLES_MAX: usize = 200;
/// Grants of one workspace.
pub const GRANTS_MAX: usize = 10_000;
/// Rows of one page of a list.
pub const PAGE_ROWS_MAX: usize = 500;
/// Rows of a page when the caller does not say.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Versions a value keeps.
pub const VERSION_KEEP_COUNT_DEFAULT: i64 = 10;
/// Days an earlier version is kept.
pub const VERSION_KEEP_DAYS_DEFAULT: i64 = 7;
/// Days a deleted secret can be restored.
pub const DELETION_WINDOW_DAYS_DEFAULT: i64 = 7;
/// Secrets bound to one host whose values are looked for in its answers. With more, answers there are `status_only`.
pub const SCANNED_SECRETS_MAX: usize = 512;
/// Secrets of one lease.
pub const LEASE_SECRETS_MAX: usize = 64;
/// Open leases of one principal.
pub const LEASES_PER_PRINCIPAL_MAX: usize = 100;
/// Address ranges that one lease may be used from.
pub const LEASE_SOURCES_MAX: usize = 16;
/// Seconds a lease lives when it does not say, and is renewed for.
pub const LEASE_TTL_SECS_DEFAULT: u64 = 900;
/// Seconds a lease lives at least.
pub const LEASE_TTL_SECS_MIN: u64 = 10;
/// Seconds a lease lives at most without being renewed.
pub const LEASE_TTL_SECS_MAX: u64 = 3600;
/// Seconds after which a lease ends however often it is renewed.
pub const LEASE_LIFE_SECS_MAX: u64 = 24 * 3600;
/// Requests that a lease may be limited to.
pub const REQUESTS_BUDGET_MAX: u64 = 1_000_000;
/// Open agent sessions of one principal.
pub const AGENT_SESSIONS_PER_PRINCIPAL_MAX: usize = 20;
/// Seconds an agent's session lives when it does not say.
pub const AGENT_SESSION_TTL_SECS_DEFAULT: u64 = 8 * 3600;
/// Seconds an agent's session lives at least.
pub const AGENT_SESSION_TTL_SECS_MIN: u64 = 60;
/// Seconds an agent's session lives at most.
pub const AGENT_SESSION_TTL_SECS_MAX: u64 = 24 * 3600;
/// Requests of an agent's session when it does not say.
pub const AGENT_REQUESTS_DEFAULT: u64 = 500;
/// Proposals of a workspace that wait for a value.
pub const PROPOSALS_MAX: usize = 200;
/// Days after which ended leases and agent sessions are forgotten; what they did stays on the record.
pub const ENDED_KEEP_DAYS: i64 = 30;
/// Days before a date at which a reminder begins.
pub const REMIND_DAYS: i64 = 7;
/// Versions of one value that a list shows, destroyed ones included.
pub const VERSIONS_SHOWN_MAX: usize = 500;
/// Days for which it is known beside the record who used a secret where.
pub const OBSERVED_KEEP_DAYS: i64 = 400;
/// Bytes of an access token.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a token endpoint's answer.
pub const TOKEN_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Seconds that fetching an access token may take.
pub const TOKEN_FETCH_SECS_MAX: u64 = 20;
/// Hours for which an `Idempotency-Key` is remembered.
pub const IDEMPOTENCY_KEEP_HOURS: i64 = 24;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Comparisons of one principal in a minute.
pub const COMPARISONS_PER_MINUTE_MAX: u32 = 30;
/// Other secrets that a comparison names for one value.
pub const REUSED_WITH_MAX: usize = 20;
/// Automations of one deployment.
pub const DEPLOYMENT_AUTOMATIONS_MAX: usize = 100;
/// Secrets, and variables, whose values one deployment copies.
pub const DEPLOYMENT_COPIES_MAX: usize = 500;
/// Bytes of all definitions of one deployment, those that it replaces included.
pub const DEPLOYMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Places that the plan of a deployment names as different in one definition.
pub const DIFFERENCES_MAX: usize = 500;
