//! The ledger: every attack of the list, and how it stands. The build fails when it and the truth differ in either
//! direction: a stopped attack that gets through, and one listed as not yet stopped that is.

use std::{collections::BTreeSet, path::Path};

use crate::{
    scene::Verdict,
    world::{World, runtime, world},
};

/// How an attack stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing {
    /// It does not work, and its case shows that.
    Stopped,
    /// What is left cannot be stopped, and is documented. The case shows what holds all the same.
    Residual(&'static str),
    /// It works; its case fails, and must be moved to the stopped ones when it no longer does.
    NotYet(&'static str),
}
use Standing::{NotYet, Residual, Stopped};

macro_rules! cases {
    ($($id:literal $module:ident $standing:expr;)+) => {
        /// The attacks with a case.
        const CASES: &[(&str, &str, Standing)] = &[$(($id, stringify!($module), $standing)),+];
        $(
            #[test]
            fn $module() {
                judge($id, $standing, crate::$module::case(world()));
            }
        )+
    };
}

cases! {
    "A1" a01_own_server Stopped;
    "A2" a02_redirects Stopped;
    "A3" a03_host_header Stopped;
    "A4" a04_server_name Stopped;
    "A5" a05_authority_per_stream Stopped;
    "A6" a06_hosts_in_the_head Stopped;
    "A7" a07_domain_fronting Stopped;
    "A8" a08_userinfo Stopped;
    "A9" a09_spellings Stopped;
    "A10" a10_number_spellings Stopped;
    "A11" a11_embedded_addresses Stopped;
    "A12" a12_rebinding Stopped;
    "A13" a13_metadata Stopped;
    "A14" a14_own_listener Stopped;
    "A15" a15_private_hosts Stopped;
    "A16" a16_wildcards Stopped;
    "A17" a17_other_ports Stopped;
    "A18" a18_certificates Stopped;
    "A19" a19_proxy_variables Stopped;
    "A20" a20_alternative_services Stopped;
    "A21" a21_unknown_protocols Stopped;
    "A22" a22_tunnels_in_tunnels Stopped;
    "B1" b01_other_headers Stopped;
    "B2" b02_create_then_read Stopped;
    "B3" b03_other_tenants Stopped;
    "B4" b04_foreign_credentials Stopped;
    "B5" b05_copies Stopped;
    "B6" b06_concatenation Stopped;
    "B7" b07_in_the_authority Stopped;
    "B8" b08_query Stopped;
    "B9" b09_line_breaks Stopped;
    "B10" b10_other_bodies Stopped;
    "B11" b11_coded_bodies Stopped;
    "B13" b13_benign_text Stopped;
    "B14" b14_two_readings_of_json Stopped;
    "B15" b15_batches Residual("a rule that covers a batch endpoint covers what is in a batch");
    "B16" b16_path_spellings Stopped;
    "B17" b17_overrides Stopped;
    "B18" b18_lies_about_the_type Stopped;
    "B19" b19_large_heads Stopped;
    "C1" c01_body_echo Stopped;
    "C2" c02_header_values Stopped;
    "C3" c03_header_names Stopped;
    "C4" c04_reason_phrases Stopped;
    "C5" c05_interim_answers Stopped;
    "C6" c06_trailers Stopped;
    "C7" c07_chunk_extensions Stopped;
    "C8" c08_fragments Stopped;
    "C9" c09_our_own_errors Stopped;
    "C10" c10_trace Stopped;
    "C11" c11_later_answers Stopped;
    "C12" c12_earlier_versions Stopped;
    "C13" c13_derived_forms Stopped;
    "C14" c14_caches Stopped;
    "C15" c15_ranges Stopped;
    "C16" c16_one_character_a_time Residual("a character alone cannot be recognised: budgets, record and paths are left");
    "C17" c17_archives Residual("what is packed in an answer cannot be seen: it is marked, or withheld");
    "D1" d01_base64 Stopped;
    "D2" d02_hex Stopped;
    "D3" d03_percent Stopped;
    "D4" d04_backslashes Stopped;
    "D5" d05_entities Stopped;
    "D6" d06_reversed Stopped;
    "D7" d07_wide_characters Stopped;
    "D8" d08_folded Stopped;
    "D9" d09_content_codings Stopped;
    "D10" d10_bombs Stopped;
    "D11" d11_packed_without_a_label Stopped;
    "D12" d12_computed_forms Residual("what is computed from a value cannot be recognised; saving warns of hosts");
    "E1" e01_splits Stopped;
    "E2" e02_overlapping_values Stopped;
    "E3" e03_slow_drip Stopped;
    "E4" e04_prefix_oracle Stopped;
    "E5" e05_over_messages Stopped;
    "E6" e06_behind_padding Stopped;
    "E7" e07_broken_off Stopped;
    "E8" e08_huge_uploads Stopped;
    "F1" f01_framing Stopped;
    "F2" f02_shared_connections Stopped;
    "F3" f03_named_by_connection Stopped;
    "F4" f04_behind_a_refusal Stopped;
    "F5" f05_odd_requests Stopped;
    "F6" f06_header_compression Stopped;
    "G1" g01_minting Residual("an endpoint that a destination covers can mint; saving warns of hosts");
    "G2" g02_token_answers NotYet("the answers of token endpoints are not captured; a client gets the token as the service wrote it");
    "G3" g03_session_cookies Stopped;
    "G4" g04_presigned_urls Stopped;
    "G5" g05_signing_oracle Stopped;
    "G7" g07_endpoints_that_tell Stopped;
    "G8" g08_requests_of_the_service Stopped;
    "G9" g09_after_the_revocation Stopped;
    "H1" h01_foreign_placeholders Stopped;
    "H2" h02_after_the_end Stopped;
    "H3" h03_stolen_tokens Stopped;
    "H4" h04_anothers_host Stopped;
    "H5" h05_environments Stopped;
    "H6" h06_aiming Stopped;
    "H7" h07_wider_than_allowed Stopped;
    "H8" h08_guessing Stopped;
    "H9" h09_enumeration Stopped;
    "H10" h10_second_order Stopped;
    "H11" h11_secrets_of_secrets Stopped;
    "H12" h12_replaced_secrets Stopped;
    "H13" h13_callers_in_the_process Stopped;
    "I1" i01_functions Stopped;
    "I2" i02_comparisons Stopped;
    "I3" i03_computed_names Stopped;
    "I4" i04_data_as_templates Stopped;
    "I5" i05_what_a_run_shows Stopped;
    "I6" i06_in_the_host Stopped;
    "I7" i07_fields Residual("rights are per secret, as the contract has it, and not per field");
    "I8" i08_second_attempts Stopped;
    "I9" i09_projection Stopped;
    "I10" i10_exports Stopped;
    "J1" j01_lengths Residual("a service that tells how long a request was tells how long the value is");
    "J2" j02_weak_values Stopped;
    "J3" j03_public_prefixes Stopped;
    "J4" j04_compression Stopped;
    "J5" j05_comparing_placeholders Stopped;
    "J6" j06_metadata Stopped;
    "J7" j07_the_record Stopped;
    "J8" j08_markers Stopped;
    "J10" j10_expensive_answers Stopped;
    "K1" k01_logs Stopped;
    "K2" k02_process_memory Stopped;
    "K3" k03_authority_keys Stopped;
    "K4" k04_metrics Stopped;
    "K5" k05_crashes Stopped;
    "L1" l01_past_the_proxy Residual("without a network of its own a program can send what else it knows");
    "L2" l02_every_way_in Stopped;
    "M5" m05_host_keys Stopped;
    "M7" m07_paths Stopped;
    "N1" n01_more_answers_than_requests Stopped;
    "N2" n02_text_in_frames Stopped;
    "N3" n03_behind_the_body Stopped;
    "N4" n04_events_in_disguise Stopped;
    "N5" n05_calls_without_a_body Stopped;
    "N6" n06_revoked_while_connecting Stopped;
    "N7" n07_the_other_door Stopped;
    "N8" n08_relays Stopped;
    "N9" n09_agents_tools Stopped;
    "N10" n10_ways_back Stopped;
    "N11" n11_kept_indexes Stopped;
    "N12" n12_token_endpoints Stopped;
    "N13" n13_fetched_tokens Stopped;
    "N14" n14_files Stopped;
}

/// The attacks without a case, because what they attack does not exist.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("B12", "WebSockets are refused (501), so no frame is ever looked into; gRPC bodies are inert (B10)"),
    ("E9", "WebSockets are refused (501), so there is nothing to negotiate a compression of"),
    (
        "G6",
        "there is no catalogue of account endpoints yet; methods and paths of destinations are what keeps from them (G1)",
    ),
    ("H14", "there are no approvals yet, so nobody can approve their own"),
    ("H15", "there are no rate, byte or spend limits of secrets yet; leases and agents have budgets (C16)"),
    ("J9", "there is no hit budget yet: an extension of known characters is confirmed by its marker"),
    ("L3", "there is no sandbox with a network namespace yet, so there is no synthetic DNS"),
    ("L4", "there is no sandbox yet, so nothing keeps a program from the machine's sockets"),
    ("M1", "there is no PostgreSQL listener yet"),
    ("M2", "there is no PostgreSQL listener yet"),
    ("M3", "there is no listener for protocols beyond HTTP yet"),
    ("M4", "there is no listener for sessions beyond HTTP yet"),
    ("M6", "there is no SSH listener yet"),
    ("M8", "there is no listener for MySQL, Redis or SMTP yet"),
    ("M9", "there are no client certificates yet"),
];

/// What is not run unless it is asked for (`--ignored`), and why.
const ASKED_FOR: &[(&str, &str)] = &[(
    "j05_comparing_placeholders::measure_look_ups",
    "it measures time, which means something only on a machine that does nothing else",
)];

/// Attacks of the first set that have no case all the same: what they attack is not there in any form.
const OF_THE_FIRST_SET: &[&str] = &["L3", "L4"];

/// Attacks that were put off: what they attack comes later.
const PUT_OFF: &[&str] = &["B12", "E9", "G6", "H14", "H15", "J9", "M1", "M2", "M3", "M4", "M6", "M8", "M9"];

/// Runs a case and compares its verdict with the ledger. A panic is a broken test, whatever the ledger says.
fn judge(id: &str, standing: Standing, case: impl Future<Output = Verdict> + Send + 'static) {
    let verdict = match runtime().block_on(runtime().spawn(case)) {
        Ok(verdict) => verdict,
        Err(panicked) => {
            // What a thread of the runtime prints goes to whichever test started it.
            let panicked = panicked.into_panic();
            let text = panicked.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or_default();
            panic!("the case {id} is broken: {text}");
        }
    };
    let world: &World = world();
    let verdict = verdict.and_then(|()| match world.logged_value_of(&id.to_lowercase()) {
        Some(line) => Err(format!("the server's log holds a value: {line}")),
        None => Ok(()),
    });
    match (standing, verdict) {
        (Stopped | Residual(_), Ok(())) | (NotYet(_), Err(_)) => {}
        (Stopped | Residual(_), Err(how)) => panic!("{id} gets through: {how}"),
        (NotYet(why), Ok(())) => {
            panic!("{id} is stopped now: list it as that in the ledger (it said: {why})")
        }
    }
}

/// How many attacks each group has. A to M are the list that the broker was built against; N were found on it.
const GROUPS: &[(char, usize)] = &[
    ('A', 22),
    ('B', 19),
    ('C', 17),
    ('D', 12),
    ('E', 9),
    ('F', 6),
    ('G', 9),
    ('H', 15),
    ('I', 10),
    ('J', 10),
    ('K', 5),
    ('L', 4),
    ('M', 9),
    ('N', 14),
];

/// Every attack of the list is in the ledger, once.
#[test]
fn the_ledger_is_complete() {
    let all = GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n}")));
    let expected: BTreeSet<String> = all.collect();
    assert_eq!(expected.len(), 161);
    let cases = CASES.iter().map(|(id, ..)| *id);
    let listed: Vec<&str> = cases.chain(WITHOUT_CASE.iter().map(|(id, _)| *id)).collect();
    let distinct: BTreeSet<String> = listed.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(listed.len(), distinct.len(), "an attack is listed twice");
    let missing: Vec<_> = expected.difference(&distinct).collect();
    let surplus: Vec<_> = distinct.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, unknown {surplus:?}");
    let without_case: BTreeSet<&str> = WITHOUT_CASE.iter().map(|(id, _)| *id).collect();
    let accounted: BTreeSet<&str> = PUT_OFF.iter().chain(OF_THE_FIRST_SET).copied().collect();
    assert_eq!(without_case, accounted, "an attack of the first set lost its case, or got one");
    for (id, module, standing) in CASES {
        match standing {
            Stopped => println!("{id:4} stopped       {module}"),
            Residual(why) => println!("{id:4} residual      {module}: {why}"),
            NotYet(why) => println!("{id:4} not stopped   {module}: {why}"),
        }
    }
    for (id, why) in WITHOUT_CASE {
        println!("{id:4} without case  {why}");
    }
    for (name, why) in ASKED_FOR {
        println!("     not run       {name}: {why}");
    }
}

/// Nothing is passed over in silence.
#[test]
fn what_is_not_run_says_why() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker_attacks");
    let mut ignored = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line.starts_with("#[ignore") {
                let name = lines.find_map(|line| line.strip_prefix("fn ")).unwrap();
                ignored.insert(format!("{module}::{}", name.split('(').next().unwrap()));
            }
        }
    }
    let listed: BTreeSet<String> = ASKED_FOR.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ignored, listed);
}

/// Each case is a file named after its attack, and each such file is a case.
#[test]
fn cases_are_files() {
    let mut listed = BTreeSet::new();
    for (id, module, standing) in CASES {
        let (group, number) = id.split_at(1);
        let prefix = format!("{}{number:0>2}_", group.to_lowercase());
        assert!(module.starts_with(&prefix), "{module} is listed as {id}");
        listed.insert(format!("{module}.rs"));
        if let Residual(why) | NotYet(why) = standing {
            assert!(why.len() > 20, "{id}: say why");
        }
    }
    assert!(WITHOUT_CASE.iter().all(|(_, why)| why.len() > 20), "say why there is no case");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker_attacks");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_case = |name: &String| name.as_bytes()[1].is_ascii_digit() && name.as_bytes()[3] == b'_';
    let found: BTreeSet<String> = files.filter(is_case).collect();
    assert_eq!(found, listed);
}
