//! Random lives of secrets, each step compared with a model that knows nothing of the code: plain lists and a clock.
//!
//! `TACIT_ALL=1` runs 20,000 lives in memory and 500 on disk; without it a few of each.

use std::path::Path;

use serde_json::json;
use tacit_crypto::RootKey;
use tacit_model::{Code, EnvironmentName, Problem, SecretName, SecretType, Timestamp, Visibility};
use tacit_vault::{Caller, NewSecret, SettingsPatch, Vault, VersionState, open_instance};

use crate::ground::{NOW, caller, destinations, fields};

const KEEP_COUNT: i64 = 3;
const KEEP_DAYS: i64 = 4;
const WINDOW_DAYS: i64 = 5;
const DAY_SECS: i64 = 86_400;

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

/// One version as the model has it.
#[derive(Clone, Debug)]
struct ModelVersion {
    value: String,
    replaced_at: Option<Timestamp>,
    is_destroyed: bool,
}

/// A value in one environment; the last of its versions is in force while it is there.
#[derive(Clone, Debug, Default)]
struct ModelValue {
    versions: Vec<ModelVersion>,
    is_there: bool,
    is_disabled: bool,
}

impl ModelValue {
    fn set(&mut self, value: String, now: Timestamp) -> i64 {
        if self.is_there {
            self.versions.last_mut().unwrap().replaced_at = Some(now);
        }
        self.versions.push(ModelVersion { value, replaced_at: None, is_destroyed: false });
        self.is_there = true;
        self.destroy(now, true);
        self.versions.len() as i64
    }

    /// What is beyond the window goes.
    fn destroy(&mut self, now: Timestamp, by_count: bool) {
        let oldest = now.plus_secs(-KEEP_DAYS * DAY_SECS);
        let newest = self.versions.len();
        for (at, version) in self.versions.iter_mut().enumerate() {
            let is_too_many = by_count && at + (KEEP_COUNT as usize) < newest;
            version.is_destroyed |= version.replaced_at.is_some_and(|at| at < oldest || is_too_many);
        }
    }

    fn current(&self) -> Option<&str> {
        self.is_there.then(|| self.versions.last().unwrap().value.as_str())
    }
}

/// A secret as the model has it.
#[derive(Clone, Debug, Default)]
struct Model {
    /// `test`, and `live`, which is protected.
    values: [ModelValue; 2],
    is_disabled: bool,
    deleted_at: Option<Timestamp>,
}

struct World {
    vault: Vault,
    owner: Caller,
    numbers: Numbers,
    now: Timestamp,
}

const NAMES: [&str; 2] = ["test", "live"];

fn code(result: Result<(), Problem>) -> Result<(), Code> {
    result.map_err(|problem| problem.code)
}

impl World {
    async fn new(directory: &Path, seed: u64) -> Self {
        let (vault, owner) = open_instance(directory, RootKey::generate(), NOW).await.unwrap();
        let owner = caller(owner.unwrap().token.dangerous_expose());
        let settings = SettingsPatch {
            version_keep_days: Some(KEEP_DAYS),
            version_keep_count: Some(KEEP_COUNT),
            deletion_window_days: Some(WINDOW_DAYS),
            allow_protected_delete: Some(false),
            ..SettingsPatch::default()
        };
        vault.update_workspace(&owner, settings, false).await.unwrap();
        Self { vault, owner, numbers: Numbers(seed), now: NOW }
    }

    fn caller(&self) -> Caller {
        Caller { now: self.now, ..self.owner.clone() }
    }

    async fn create(&self, name: &SecretName) {
        let new = NewSecret {
            name: name.clone(),
            kind: SecretType::Text,
            visibility: Visibility::Masked,
            description: String::new(),
            folder: "".parse().unwrap(),
            destinations: destinations(&[]),
            values: Vec::new(),
            rotate_every_days: None,
            expires_at: None,
            reason: None,
        };
        self.vault.create_secret(&self.caller(), &new, false).await.unwrap();
    }

    /// One life, from its creation on.
    async fn live(&mut self, number: usize) {
        let name: SecretName = format!("secret-{number}").parse().unwrap();
        let mut model = Some(Model::default());
        self.create(&name).await;
        for step in 0..4 + self.numbers.next(16) {
            self.now = self.now.plus_secs(self.numbers.next(30) as i64 * 3600);
            let context = format!("life {number}, step {step}");
            self.step(&name, &mut model, &context).await;
            self.check(&name, model.as_ref(), &context).await;
        }
    }

    async fn step(&mut self, name: &SecretName, model: &mut Option<Model>, context: &str) {
        let at = self.numbers.next(2);
        let environment: EnvironmentName = NAMES[at].parse().unwrap();
        let (caller, now, vault) = (self.caller(), self.now, self.vault.clone());
        let choice = self.numbers.next(20);
        let Some(secret) = model else {
            // Purged: the name is free, and what is made under it begins anew.
            self.create(name).await;
            *model = Some(Model::default());
            return;
        };
        let is_gone = secret.deleted_at.is_some();
        let gone = if is_gone { Err(Code::NotFound) } else { Ok(()) };
        match choice {
            0..=7 => {
                let value = format!("value {} of {name}", self.numbers.next(1_000_000));
                let fields = fields(&value);
                let given = json!({"value": fields.text("value")});
                let done = vault
                    .set_value(&caller, name, &environment, given.as_object().unwrap(), None, false)
                    .await;
                let expected =
                    if is_gone { Err(Code::NotFound) } else { Ok(secret.values[at].set(value, now)) };
                assert_eq!(done.map(|(version, _)| version).map_err(|p| p.code), expected, "set, {context}");
            }
            8..=10 => {
                let versions = &secret.values[at].versions;
                let to = 1 + self.numbers.next(versions.len() + 1);
                let old = versions.get(to - 1).filter(|version| !version.is_destroyed).cloned();
                let done = vault.roll_back(&caller, name, &environment, to as i64, None).await;
                let expected = match old {
                    Some(old) if !is_gone => Ok(secret.values[at].set(old.value, now)),
                    _ => Err(Code::NotFound),
                };
                assert_eq!(done.map_err(|p| p.code), expected, "rollback to {to}, {context}");
            }
            11 | 12 => {
                let disabled = self.numbers.next(2) == 0;
                let everywhere = self.numbers.next(2) == 0;
                let place = (!everywhere).then_some(&environment);
                let done = vault.set_disabled(&caller, name, place, disabled).await;
                let expected = match (is_gone, everywhere) {
                    (true, _) => gone,
                    (false, true) => {
                        secret.is_disabled = disabled;
                        Ok(())
                    }
                    (false, false) if !secret.values[at].is_there => Err(Code::NoValueInEnvironment),
                    (false, false) => {
                        secret.values[at].is_disabled = disabled;
                        Ok(())
                    }
                };
                assert_eq!(code(done), expected, "switch, {context}");
            }
            13 => {
                let done = vault.delete_value(&caller, name, &environment).await;
                let value = &mut secret.values[at];
                let expected = match (is_gone, NAMES[at]) {
                    (true, _) => gone,
                    (false, "live") => Err(Code::ProtectedEnvironment),
                    (false, _) if !value.is_there => Err(Code::NoValueInEnvironment),
                    (false, _) => {
                        value.is_there = false;
                        value.is_disabled = false;
                        for version in &mut value.versions {
                            version.is_destroyed = true;
                            version.replaced_at.get_or_insert(now);
                        }
                        Ok(())
                    }
                };
                assert_eq!(code(done), expected, "delete value, {context}");
            }
            14 | 15 => {
                let done = vault.delete_secret(&caller, name, false).await.map(drop);
                let expected = match (is_gone, secret.values[1].is_there) {
                    (true, _) => gone,
                    (false, true) => Err(Code::ProtectedEnvironment),
                    (false, false) => {
                        secret.deleted_at = Some(now);
                        Ok(())
                    }
                };
                assert_eq!(code(done), expected, "delete, {context}");
            }
            16 | 17 => {
                let done = vault.restore_secret(&caller, name).await.map(drop);
                let in_time = |at: Timestamp| at.plus_secs(WINDOW_DAYS * DAY_SECS) > now;
                let expected = match secret.deleted_at {
                    Some(at) if in_time(at) => {
                        secret.deleted_at = None;
                        Ok(())
                    }
                    _ => Err(Code::NotFound),
                };
                assert_eq!(code(done), expected, "restore, {context}");
            }
            _ => {
                vault.keep_up(now, choice == 19).await.unwrap();
                for value in &mut secret.values {
                    value.destroy(now, choice == 19);
                }
                let oldest = now.plus_secs(-WINDOW_DAYS * DAY_SECS);
                if secret.deleted_at.is_some_and(|at| at < oldest) {
                    *model = None;
                }
            }
        }
    }

    /// What is seen is what the model says.
    async fn check(&mut self, name: &SecretName, model: Option<&Model>, context: &str) {
        let caller = self.caller();
        let seen = self.vault.describe_secret(&caller, name).await;
        let Some(model) = model.filter(|model| model.deleted_at.is_none()) else {
            assert_eq!(seen.map(drop).map_err(|p| p.code), Err(Code::NotFound), "{context}");
            return;
        };
        let seen = seen.unwrap();
        assert_eq!(seen.secret.disabled, model.is_disabled, "{context}");
        for (at, value) in model.values.iter().enumerate() {
            let environment: EnvironmentName = NAMES[at].parse().unwrap();
            let shown = seen.values.iter().find(|shown| shown.environment == environment);
            let shown = shown.map(|shown| (shown.version, shown.disabled));
            let expected = value.is_there.then_some((value.versions.len() as i64, value.is_disabled));
            assert_eq!(shown, expected, "{context}");
            let listed = self.vault.list_versions(&caller, name, &environment).await.unwrap();
            let listed: Vec<_> =
                listed.iter().rev().map(|version| (version.version, version.state)).collect();
            let expected: Vec<_> = value
                .versions
                .iter()
                .enumerate()
                .map(|(number, version)| {
                    let state = match version.is_destroyed {
                        true => VersionState::Destroyed,
                        false if value.is_there && number + 1 == value.versions.len() => {
                            VersionState::Current
                        }
                        false => VersionState::Kept,
                    };
                    (number as i64 + 1, state)
                })
                .collect();
            assert_eq!(listed, expected, "{context}");
        }
        let at = self.numbers.next(2);
        let environment: EnvironmentName = NAMES[at].parse().unwrap();
        let revealed = self.vault.reveal(&caller, name, &environment, None).await;
        let revealed =
            revealed.map(|shown| shown.fields["value"].to_string()).map_err(|problem| problem.code);
        let value = &model.values[at];
        let expected = if model.is_disabled || value.is_disabled {
            Err(Code::SecretDisabled)
        } else {
            value.current().map(str::to_owned).ok_or(Code::NoValueInEnvironment)
        };
        assert_eq!(revealed, expected, "{context}");
    }
}

fn lives(few: usize, all: usize) -> usize {
    if std::env::var_os("TACIT_ALL").is_some() { all } else { few }
}

/// In memory, as far as the system has a directory there.
#[tokio::test]
async fn lives_in_memory() {
    let memory = Path::new("/dev/shm");
    let directory =
        if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
    let mut world = World::new(directory.path(), 1).await;
    for number in 0..lives(150, 20_000) {
        world.live(number).await;
    }
}

/// On disk; and what was destroyed is still so after it was opened again.
#[tokio::test]
async fn lives_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new(directory.path(), 2).await;
    for number in 0..lives(20, 500) {
        world.live(number).await;
    }
}
