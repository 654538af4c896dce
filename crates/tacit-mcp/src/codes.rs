//! What each code means, what to do about it, and who can.

/// A code in words.
pub(crate) struct Explained {
    code: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) what_to_do: &'static str,
    pub(crate) who: &'static str,
}

/// The words for a code; `None` if it is none of Tacit's.
pub(crate) fn explained(code: &str) -> Option<&'static Explained> {
    CODES.iter().find(|explained| explained.code == code)
}

/// Every code, for somebody who named none of them.
pub(crate) fn all() -> String {
    CODES.iter().map(|explained| explained.code).collect::<Vec<_>>().join(", ")
}

const YOU: &str = "you, in the request";
const NOBODY: &str = "nobody: it is a rule";
const WRITERS: &str = "whoever has `secret.write` (owners and admins)";
const AIMERS: &str =
    "whoever has `secret.policy`, and `secret.reveal` where it gets wider (owners and admins)";
const GRANTERS: &str = "an owner or admin, who gives roles";
const OPERATOR: &str = "whoever runs the Tacit server";
const SERVICE: &str = "whoever runs the service that was asked";

const fn code(
    code: &'static str,
    meaning: &'static str,
    what_to_do: &'static str,
    who: &'static str,
) -> Explained {
    Explained { code, meaning, what_to_do, who }
}

#[rustfmt::skip]
const CODES: &[Explained] = &[
    code("unauthenticated", "the token is not known any more: this agent's session expired or was ended, or the person behind it lost their access", "tell the person; they connect again for a new session", "the person you act for"),
    code("not_found", "there is no such thing, or you may not know of it; the two look alike on purpose", "check the name with find_secrets", GRANTERS),
    code("forbidden", "a right is missing: an agent has at most what the person behind it has, and never more than to list, use, automate and run", "tell the person which right the refusal names", GRANTERS),
    code("validation_failed", "a field breaks a rule; `errors` says which", "correct the fields and try again", YOU),
    code("immutable_field", "a name, a type and a visibility are fixed when a secret is made", "propose another secret", NOBODY),
    code("unknown_reference", "a reference names a secret, a variable or a step that is not there", "check the spelling with find_secrets, or ask for the secret with propose_secret", WRITERS),
    code("placement_not_allowed", "the secret stands in a place of the request that its destination does not name", "use the place that describe_secret shows, usually `auth`", AIMERS),
    code("name_taken", "a secret or variable of this name is there already, or was deleted and can still be restored", "use the one that is there, or choose another name", WRITERS),
    code("secret_in_use", "automations depend on the secret", "look at them first", WRITERS),
    code("role_in_use", "somebody has the role", "an agent does not manage roles", GRANTERS),
    code("last_owner", "the workspace would have no owner", "an agent does not manage members", GRANTERS),
    code("protected_environment", "a protected environment keeps its values, and nothing is published in it directly", "work in an environment that is not protected, such as test", "an owner, in the workspace's settings"),
    code("not_deployed", "the automation is not published in this environment", "run it in the environment where save_automation published it", "whoever has `deploy`"),
    code("secret_disabled", "somebody switched the secret off, or deleted it", "ask why before asking for it back", WRITERS),
    code("no_value_in_environment", "the secret has no value in this environment", "use an environment where describe_secret shows `set`, or have a person run `tacit secrets set`", WRITERS),
    code("already_done", "the same write, by its `Idempotency-Key`, was done or begun before", "look whether it is done; write again only with another key", YOU),
    code("version_conflict", "somebody else changed it in between", "look at it again and try again", YOU),
    code("restricted_secret", "nobody may ever read this secret's value", "use it by name; the value is not needed", NOBODY),
    code("destination_required", "the secret has no destination, so an agent cannot use it", "have a person say where it may go: `tacit secrets policy`", AIMERS),
    code("destination_not_allowed", "the secret may not go there: host, port, scheme, method, path or environment fits none of its destinations", "compare with explain_refusal (secret, method, url), correct the request, or have a person add the destination", AIMERS),
    code("foreign_credential", "the request carries a credential that is not a stored secret, to a host that accepts only stored ones", "leave out handwritten keys and tokens; name the secret in `auth`", AIMERS),
    code("address_blocked", "the host's address is private or Tacit's own, and no destination allows it", "use the service's public address", OPERATOR),
    code("redirect_refused", "the service redirects to where the secret may not go", "ask for the final address directly", AIMERS),
    code("host_key_mismatch", "the SFTP server has another key than the secret's destination names: it was set up anew, or it is somebody else's; nothing was sent", "do not try again; have a person ask whoever runs the server for the fingerprint of its key", AIMERS),
    code("response_unscannable", "the answer is coded in a way that cannot be searched for secrets, so it is withheld", "ask for another form, for example without a range or with another Accept header", SERVICE),
    code("upstream_failed", "the service could not be reached or did not answer properly", "check host and port; try again later", SERVICE),
    code("upstream_timeout", "the service took too long", "set `timeout_secs` higher, or ask for less; a write may have happened", SERVICE),
    code("unexpected_status", "a step got a status that does not count as success", "look at the step's output; set `expect_status` if the status is right", YOU),
    code("cancelled", "somebody stopped the run", "ask whether it should run again", YOU),
    code("interrupted", "the server stopped while the run went on", "check what was done, then run it again", YOU),
    code("payload_too_large", "more was sent than is taken", "send less", YOU),
    code("rate_limited", "a limit is reached: this agent's session has sent as many requests as it may, or too many things are open", "stop, and tell the person: they look at what was done and connect again for a new session", "the person you act for"),
    code("audit_unavailable", "the record cannot be written, so nothing is done", "tell the person; try again later", OPERATOR),
    code("internal", "something failed in Tacit; the log has the cause under the request's id", "tell the person the request's id", OPERATOR),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code there is has words, and no other has.
    #[test]
    fn every_code_is_explained() {
        let mut known: Vec<&str> = tacit_model::Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut words: Vec<&str> = CODES.iter().map(|explained| explained.code).collect();
        known.sort_unstable();
        words.sort_unstable();
        assert_eq!(words, known);
        assert!(explained("made_up").is_none());
    }
}
