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
/// Seconds a run may take.
pub const RUN_SECS_MAX: u64 = 3600;
/// Live tokens of one service account.
pub const TOKENS_PER_ACCOUNT_MAX: usize = 32;
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
