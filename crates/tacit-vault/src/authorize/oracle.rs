//! The decisions once more, from the contract's text: on words, without the types of the code, on a million cases.
//!
//! The oracle below knows nothing of bits, scopes or destinations as the code has them. A case is lists of words; a right is
//! its name; a folder is split at its slashes. It is slow and plain on purpose.

use serde_json::json;
use tacit_audit::{Actor, ActorKind};
use tacit_model::{
    Code, Destination, Destinations, EnvironmentId, EnvironmentName, Host, Place, Right, Rights, RoleRef,
    Scheme, Scope, SecretId, SecretType, Target, Timestamp, Visibility, name::Folder,
};
use tacit_store::secrets::{Secret, Value};

use super::{Authority, Purpose, lease, reveal, use_in_request};
use crate::access::{Holding, Principal, Snapshot};

/// `TACIT_ORACLE_CASES` asks for another number.
const CASES: u64 = 1_000_000;
const NOW: i64 = 1000;

const HOSTS: &[&str] =
    &["api.good.test", "x.good.test", "a.x.good.test", "good.test", "evilgood.test", "127.0.0.1"];
const PATTERNS: &[&str] = &["api.good.test", "*.good.test", "good.test", "127.0.0.1"];
const PATHS: &[&str] = &["/", "/v1", "/v1/a", "/v1/a/b", "/v2/a"];
const PATH_PATTERNS: &[&str] = &["/v1", "/v1/*", "/v1/**", "/**", "/*/a"];
const METHODS: &[&str] = &["GET", "POST", "DELETE"];
const PLACES: &[&str] = &["auth", "header:x-a", "query:k", "json:/a"];
const ENVIRONMENTS: &[&str] = &["test", "live"];
const FOLDERS: &[&str] = &["", "pay", "pay/eu", "pay/eu/de", "payments", "pay2/eu", "eu"];
const SECRETS: &[&str] = &["first", "second"];
/// The contract's list of rights.
const RIGHTS: &[&str] = &[
    "secret.list",
    "secret.use",
    "secret.reveal",
    "secret.write",
    "secret.delete",
    "secret.policy",
    "variable.write",
    "automation.write",
    "automation.run",
    "deploy",
    "connection.manage",
    "grant.manage",
    "member.manage",
    "audit.read",
    "workspace.manage",
];
/// The contract's table of roles: `owner` all, `admin` all but one.
const ROLES: &[(&str, &[&str])] = &[
    ("editor", &["secret.list", "secret.use", "variable.write", "automation.write", "automation.run"]),
    ("operator", &["secret.list", "automation.run", "deploy"]),
    ("member", &["secret.list", "automation.run"]),
    ("auditor", &["secret.list", "audit.read"]),
];
/// What an agent may have at all, whoever it acts for.
const OF_AGENTS: &[&str] =
    &["secret.list", "secret.use", "variable.write", "automation.write", "automation.run"];

/// A small generator, the same each time: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % (sides << 20)) >> 20
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    fn some(&mut self, of: &[&'static str], least: u64, most: u64) -> Vec<&'static str> {
        (0..least + self.roll(most - least + 1)).map(|_| self.one(of)).collect()
    }

    fn perhaps<T: Copy>(&mut self, percent: u64, of: &[T]) -> Option<T> {
        self.chance(percent).then(|| self.one(of))
    }
}

#[derive(Debug)]
struct Held {
    rights: Vec<&'static str>,
    environment: Option<&'static str>,
    folder: Option<&'static str>,
    secret: Option<&'static str>,
    until: Option<i64>,
}

#[derive(Debug)]
struct Aim {
    host: &'static str,
    https: bool,
    port: u16,
    methods: Vec<&'static str>,
    paths: Vec<&'static str>,
    places: Vec<&'static str>,
    environments: Vec<&'static str>,
}

/// What cases are put together from, in words and as the code has it: parsing a million times would take most of the time.
struct Parts {
    held: Vec<(Held, Holding)>,
    aims: Vec<(Aim, Destination)>,
    folders: Vec<Folder>,
    places: Vec<Place>,
    environments: Vec<EnvironmentName>,
    hosts: Vec<Host>,
}

const PARTS: usize = 3000;

impl Parts {
    fn new(dice: &mut Dice) -> Self {
        Self {
            held: (0..PARTS)
                .map(|_| held(dice))
                .map(|held| {
                    let holding = holding(&held);
                    (held, holding)
                })
                .collect(),
            aims: (0..PARTS)
                .map(|_| aim(dice))
                .map(|aim| {
                    let parsed = destination(&aim);
                    (aim, parsed)
                })
                .collect(),
            folders: FOLDERS.iter().map(|text| text.parse().unwrap()).collect(),
            places: PLACES.iter().map(|text| text.parse().unwrap()).collect(),
            environments: ENVIRONMENTS.iter().map(|text| text.parse().unwrap()).collect(),
            hosts: HOSTS.iter().map(|text| Host::parse(text).unwrap()).collect(),
        }
    }
}

fn at<'a, T>(words: &[&str], word: &str, parsed: &'a [T]) -> &'a T {
    &parsed[words.iter().position(|known| *known == word).unwrap()]
}

#[derive(Debug)]
struct Case<'a> {
    held: Vec<&'a (Held, Holding)>,
    is_agent: bool,
    secret: &'static str,
    folder: &'static str,
    restricted: bool,
    disabled: bool,
    disabled_here: bool,
    deleted: bool,
    has_value: bool,
    aims: Vec<&'a (Aim, Destination)>,
    host: &'static str,
    https: bool,
    port: u16,
    method: &'static str,
    path: &'static str,
    place: &'static str,
    environment: &'static str,
    until: Option<i64>,
}

fn held(dice: &mut Dice) -> Held {
    let rights = match dice.roll(4) {
        0 => dice.some(RIGHTS, 0, 4),
        1 => RIGHTS.iter().copied().filter(|right| *right != "workspace.manage" || dice.chance(50)).collect(),
        _ => dice.one(ROLES).1.to_vec(),
    };
    Held {
        rights,
        environment: dice.perhaps(40, ENVIRONMENTS),
        folder: dice.perhaps(50, &FOLDERS[1..]),
        secret: dice.perhaps(20, SECRETS),
        until: dice.perhaps(40, &[1, NOW - 1, NOW, NOW + 1, NOW + 500]),
    }
}

fn aim(dice: &mut Dice) -> Aim {
    Aim {
        host: dice.one(PATTERNS),
        https: dice.chance(70),
        port: dice.one(&[443, 8443]),
        methods: dice.some(METHODS, 0, 2),
        paths: dice.some(PATH_PATTERNS, 0, 2),
        places: dice.some(PLACES, 1, 2),
        environments: dice.some(ENVIRONMENTS, 0, 2),
    }
}

fn case<'a>(dice: &mut Dice, parts: &'a Parts) -> Case<'a> {
    let mut pick = |count: u64| -> Vec<usize> {
        (0..count).map(|_| usize::try_from(dice.roll(PARTS as u64)).unwrap()).collect()
    };
    let (held, aims) = (pick(4), pick(3));
    Case {
        held: held[..1 + usize::try_from(dice.roll(4)).unwrap()].iter().map(|at| &parts.held[*at]).collect(),
        is_agent: dice.chance(15),
        secret: dice.one(SECRETS),
        folder: dice.one(FOLDERS),
        restricted: dice.chance(40),
        disabled: dice.chance(8),
        disabled_here: dice.chance(8),
        deleted: dice.chance(5),
        has_value: dice.chance(92),
        aims: aims[..usize::try_from(dice.roll(4)).unwrap()].iter().map(|at| &parts.aims[*at]).collect(),
        host: dice.one(HOSTS),
        https: dice.chance(70),
        port: dice.one(&[443, 8443]),
        method: dice.one(METHODS),
        path: dice.one(PATHS),
        place: dice.one(PLACES),
        environment: dice.one(ENVIRONMENTS),
        until: dice.perhaps(50, &[NOW + 1, NOW + 500, NOW + 501]),
    }
}

/// The oracle.
impl Case<'_> {
    /// `payments/eu` is in `payments` and in itself, and not in `pay`: segments count whole.
    fn is_in(&self, folder: &str) -> bool {
        let (outer, inner): (Vec<&str>, Vec<&str>) =
            (folder.split('/').collect(), self.folder.split('/').collect());
        inner.len() >= outer.len() && outer.iter().zip(&inner).all(|(a, b)| a == b)
    }

    /// Whether a right is held for this secret, in an environment or (without one) in all of them: by one grant that covers
    /// it and has not ended.
    fn holds(&self, right: &str, environment: Option<&str>, ends_after: Option<Option<i64>>) -> bool {
        if self.is_agent && !OF_AGENTS.contains(&right) {
            return false;
        }
        self.held.iter().any(|(held, _)| {
            let in_environment = match (held.environment, environment) {
                (None, _) => true,
                (Some(granted), Some(asked)) => granted == asked,
                (Some(_), None) => false,
            };
            let lasts = match (held.until, ends_after) {
                (None, _) => true,
                (Some(until), None) => until > NOW,
                (Some(_), Some(None)) => false,
                (Some(until), Some(Some(other))) => until > NOW && until >= other,
            };
            held.rights.contains(&right)
                && in_environment
                && lasts
                && held.folder.is_none_or(|folder| self.is_in(folder))
                && held.secret.is_none_or(|secret| secret == self.secret)
        })
    }

    fn is_off(&self) -> bool {
        self.deleted || self.disabled || (self.disabled_here && self.has_value)
    }

    fn reveals(&self) -> Result<(), Code> {
        match () {
            () if !self.holds("secret.reveal", Some(self.environment), None) => Err(Code::Forbidden),
            () if self.restricted => Err(Code::RestrictedSecret),
            () if self.is_off() => Err(Code::SecretDisabled),
            () if !self.has_value => Err(Code::NoValueInEnvironment),
            () => Ok(()),
        }
    }

    fn leases(&self) -> Result<(), Code> {
        match () {
            () if !self.holds("secret.use", Some(self.environment), None) => Err(Code::Forbidden),
            () if self.is_off() => Err(Code::SecretDisabled),
            () if !self.has_value => Err(Code::NoValueInEnvironment),
            () if self.aims.is_empty() => Err(Code::DestinationRequired),
            () => Ok(()),
        }
    }

    /// Used on one's own authority; `blind` is under a lease, where `secret.reveal` does not count.
    fn uses(&self, blind: bool) -> Result<(), Code> {
        if !self.holds("secret.use", Some(self.environment), None) {
            return Err(Code::Forbidden);
        }
        let may_look =
            !blind && self.holds("secret.reveal", Some(self.environment), None) && !self.restricted;
        self.goes(may_look)
    }

    /// What counts beside the right: state, destination, placement.
    fn goes(&self, may_go_anywhere: bool) -> Result<(), Code> {
        if self.is_off() {
            return Err(Code::SecretDisabled);
        }
        if !self.has_value {
            return Err(Code::NoValueInEnvironment);
        }
        if self.aims.is_empty() {
            return if may_go_anywhere { Ok(()) } else { Err(Code::DestinationRequired) };
        }
        let fits = |aim: &&Aim| {
            aim.https == self.https
                && aim.port == self.port
                && fits_host(aim.host, self.host)
                && (aim.methods.is_empty() || aim.methods.contains(&self.method))
                && (aim.paths.is_empty() || aim.paths.iter().any(|pattern| fits_path(pattern, self.path)))
                && (aim.environments.is_empty() || aim.environments.contains(&self.environment))
        };
        let fitting: Vec<&Aim> = self.aims.iter().map(|(aim, _)| aim).filter(fits).collect();
        match () {
            () if fitting.is_empty() => Err(Code::DestinationNotAllowed),
            () if fitting.iter().any(|aim| aim.places.contains(&self.place)) => Ok(()),
            () => Err(Code::PlacementNotAllowed),
        }
    }
}

fn fits_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == host,
        Some(base) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == base),
    }
}

fn fits_path(pattern: &str, path: &str) -> bool {
    fn walk(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            (["**"], _) | ([], []) => true,
            ([first, rest @ ..], [segment, more @ ..]) => {
                (*first == *segment || (*first == "*" && !segment.is_empty())) && walk(rest, more)
            }
            _ => false,
        }
    }
    walk(&pattern[1..].split('/').collect::<Vec<_>>(), &path[1..].split('/').collect::<Vec<_>>())
}

/// The same case in the code's own types.
fn environment_id(name: &str) -> EnvironmentId {
    EnvironmentId::from_bytes([if name == "test" { 1 } else { 2 }; 16])
}

fn secret_id(name: &str) -> SecretId {
    SecretId::from_bytes([if name == "first" { 3 } else { 4 }; 16])
}

fn holding(held: &Held) -> Holding {
    Holding {
        rights: held.rights.join(" ").parse().unwrap(),
        scope: Scope {
            environment: held.environment.map(environment_id),
            folder: held.folder.map(|folder| folder.parse().unwrap()),
            secret: held.secret.map(secret_id),
        },
        until: held.until.map(Timestamp::from_millis),
        role: RoleRef::BuiltIn(tacit_model::Role::Member),
        role_name: String::new(),
        grant: None,
    }
}

fn destination(aim: &Aim) -> Destination {
    let scheme = if aim.https { "https" } else { "http" };
    let written = json!({"host": aim.host, "scheme": scheme, "port": aim.port, "methods": aim.methods,
        "paths": aim.paths, "places": aim.places, "environments": aim.environments});
    serde_json::from_value(written).unwrap()
}

fn principal(case: &Case<'_>) -> Principal {
    let actor = Actor::new(ActorKind::User, [5; 16], "somebody");
    let mut holdings: Vec<Holding> = case.held.iter().map(|(_, holding)| holding.clone()).collect();
    if case.is_agent {
        holdings.iter_mut().for_each(|holding| holding.rights = holding.rights.and(Rights::AGENT));
    }
    Principal {
        on_behalf_of: case.is_agent.then(|| actor.clone()),
        actor,
        role: String::new(),
        rights: Rights::NONE,
        holdings,
        requests_max: None,
        expires_at: None,
    }
}

fn snapshot(case: &Case<'_>, parts: &Parts) -> Snapshot {
    let time = Timestamp::from_millis(0);
    let secret = Secret {
        id: secret_id(case.secret),
        name: "K".parse().unwrap(),
        kind: SecretType::Text,
        visibility: if case.restricted { Visibility::Restricted } else { Visibility::Masked },
        description: String::new(),
        folder: at(FOLDERS, case.folder, &parts.folders).clone(),
        destinations: Destinations(case.aims.iter().map(|(_, parsed)| parsed.clone()).collect()),
        rotate_every_days: None,
        rotate_at: None,
        purge_at: None,
        expires_at: None,
        disabled: case.disabled,
        deleted_at: case.deleted.then_some(time),
        created_at: time,
        created_by: String::new(),
        updated_at: time,
        proposed: false,
        suggested_destinations: Destinations::default(),
    };
    let value = Value {
        environment: environment_id(case.environment),
        current: 1,
        latest: 1,
        disabled: case.disabled_here,
        set_at: time,
        shown: "{}".to_owned(),
    };
    Snapshot { secret, values: if case.has_value { vec![value] } else { Vec::new() } }
}

fn check(case: &Case<'_>, parts: &Parts) -> [bool; 5] {
    let (principal, snapshot, now) = (principal(case), snapshot(case, parts), Timestamp::from_millis(NOW));
    let environment = environment_id(case.environment);
    let here = Scope::secret(snapshot.secret.id, &snapshot.secret.folder, Some(environment));
    let everywhere = Scope { environment: None, ..here.clone() };
    let until = case.until.map(Timestamp::from_millis);
    let rights = principal.rights_at(&here, now);
    let wide = principal.rights_at(&everywhere, now);
    let somewhere = principal.rights_in_some_environment(&here, now);
    let to_give = principal.rights_to_give(&here, until, now);
    for (right, parsed) in RIGHTS.iter().zip(Right::ALL) {
        let agree = |held: Rights, expected: bool, what: &str| {
            assert_eq!(held.has(*parsed), expected, "{right} {what}: {case:#?}");
        };
        agree(rights, case.holds(right, Some(case.environment), None), "here");
        agree(wide, case.holds(right, None, None), "everywhere");
        agree(
            somewhere,
            ENVIRONMENTS.iter().any(|at| case.holds(right, Some(at), None)),
            "in some environment",
        );
        agree(to_give, case.holds(right, Some(case.environment), Some(case.until)), "to give");
    }
    let scheme = if case.https { Scheme::Https } else { Scheme::Http };
    let target = Target::new(scheme, at(HOSTS, case.host, &parts.hosts).clone(), case.port);
    let purpose = Purpose {
        target: &target,
        method: case.method,
        path: case.path,
        other_path: None,
        place: at(PLACES, case.place, &parts.places),
        environment,
        environment_name: at(ENVIRONMENTS, case.environment, &parts.environments),
    };
    let code = |authority| {
        use_in_request(authority, &snapshot, &purpose, 7).map(drop).map_err(|problem| problem.code)
    };
    let used = code(Authority::Rights(rights));
    assert_eq!(used, case.uses(false), "{case:#?}");
    assert_eq!(code(Authority::Leased(rights)), case.uses(true), "{case:#?}");
    assert_eq!(code(Authority::NotLeased), Err(Code::Forbidden));
    assert_eq!(code(Authority::NoGrant), Err(Code::Forbidden));
    assert_eq!(code(Authority::Grant { pinned: None }), case.goes(false), "{case:#?}");
    let pinned = format!("{}", purpose.target);
    assert_eq!(code(Authority::Grant { pinned: Some(&pinned) }), case.goes(!case.restricted), "{case:#?}");
    let revealed = reveal(rights, &snapshot, environment, 7).map(drop).map_err(|problem| problem.code);
    assert_eq!(revealed, case.reveals(), "{case:#?}");
    let leased = lease(rights, &snapshot, environment).map_err(|problem| problem.code);
    assert_eq!(leased, case.leases(), "{case:#?}");
    [
        used.is_ok(),
        revealed.is_ok(),
        leased.is_ok(),
        used == Err(Code::PlacementNotAllowed),
        used == Err(Code::DestinationNotAllowed),
    ]
}

/// What is decided is what the contract says, and the cases are such that everything is decided both ways.
#[test]
fn agrees_with_the_contract() {
    let cases = std::env::var("TACIT_ORACLE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let threads = 2;
    let of = |thread: u64| {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (thread + 1));
        let parts = Parts::new(&mut dice);
        (0..cases / threads).fold([0u64; 5], |mut sum, _| {
            for (count, is) in sum.iter_mut().zip(check(&case(&mut dice, &parts), &parts)) {
                *count += u64::from(is);
            }
            sum
        })
    };
    let counts = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || of(thread))).collect();
        running.into_iter().fold([0; 5], |mut sum, one| {
            for (count, more) in sum.iter_mut().zip(one.join().unwrap()) {
                *count += more;
            }
            sum
        })
    });
    // A generator that hardly ever permits would prove little.
    assert!(counts.iter().all(|count| *count > cases / 500), "{counts:?} of {cases}");
}

/// The oracle's table of roles is the code's.
#[test]
fn roles_are_the_contracts() {
    for (role, rights) in ROLES {
        let role: tacit_model::Role = role.parse().unwrap();
        assert_eq!(role.rights().to_string(), rights.join(" "));
    }
    assert_eq!(Rights::of(Right::ALL).to_string(), RIGHTS.join(" "));
    assert_eq!(Rights::AGENT.to_string(), OF_AGENTS.join(" "));
}
