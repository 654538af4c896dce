//! Whether a text looks like a credential. It stands where a name belongs, so a guess too many is answered with a
//! message, and one too few leaves a value in a file: known beginnings, and long runs without any order.

/// How credentials of well-known services begin. What follows has at least [`REST`] characters.
const BEGINNINGS: [&str; 36] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "whsec_",
    "sk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "SG.",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "hf_",
    "tct_",
    "EAAC",
    "AGE-SECRET-KEY-",
    "Bearer ",
    "Basic ",
    "-----BEGIN ",
];
/// A name such as `sk-production` is shorter, or has words in it.
const REST: usize = 12;
/// Letters and digits in one run that change this often between the two are no words.
const CHANGES: usize = 4;
const RUN: usize = 20;

/// Whether this is more likely a value than a name.
pub(super) fn like_a_credential(text: &str) -> bool {
    let begins = |beginning: &&str| {
        text.strip_prefix(*beginning).is_some_and(|rest| {
            rest.len() >= REST && (rest.bytes().any(|b| b.is_ascii_digit()) || beginning.ends_with(' '))
        })
    };
    BEGINNINGS.iter().any(begins) || has_password(text) || has_random_run(text)
}

/// `https://user:password@host`
fn has_password(text: &str) -> bool {
    let rest = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    rest.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

fn has_random_run(text: &str) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+';
    text.as_bytes().split(|b| !is_base64(*b)).filter(|run| run.len() >= RUN).any(|run| {
        let changes =
            run.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
        changes >= CHANGES
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of all kinds are noticed, names of all kinds are not.
    #[test]
    fn values_and_names() {
        for value in [
            "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE1",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
            "xoxb-123456789012-abcdefghij",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQ",
            "Bearer abcdefghijklm",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1a2b3c4d5e6f7",
            "postgres://app:hunter2@db.internal/app",
        ] {
            assert!(like_a_credential(value), "{value}");
        }
        for name in [
            "STRIPE_KEY",
            "stripe-api-key",
            "HubSpot API key – production",
            "HubSpotAPIKeyProduction2024",
            "sk-production",
            "sk_live_key_for_the_billing_service",
            "s3-2024-q1-eu1-k8s-db2-key-v2-b7-c9",
            "npm_publish_token_of_the_bot",
            "eyJust a name",
            "AKIA access key",
            "internationalisation-of-the-website-2",
            "",
        ] {
            assert!(!like_a_credential(name), "{name}");
        }
    }
}
