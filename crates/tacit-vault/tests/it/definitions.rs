//! Random definitions: what was saved, exported, imported elsewhere and saved there is the same, byte by byte.
//!
//! `TACIT_ALL=1` takes 10,000 of them; without it a few.

use std::path::Path;

use serde_json::{Map, Number, Value, json};
use tacit_crypto::RootKey;
use tacit_model::{Automation, SecretName};
use tacit_template::Template;
use tacit_vault::{Imported, Manifest, VariablePatch, Vault, open_instance};

use crate::ground::{NOW, caller};

/// How many are exported and imported together.
const BATCH: usize = 100;

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn bits(&mut self) -> u64 {
        let mut word = 0;
        for _ in 0..2 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word = (word << 32) | (self.0 >> 32);
        }
        word
    }

    fn below(&mut self, below: usize) -> usize {
        (self.bits() % below as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn often(&mut self) -> bool {
        self.below(3) > 0
    }

    /// Text that breaks parsers: of quotes, breaks, braces, odd characters, what other formats take for something else.
    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a",
            " ",
            "é",
            "🔑",
            "\u{202e}",
            "\"",
            "\\",
            "\n",
            "\r\n",
            "\t",
            "{",
            "}",
            "{{\"{{\"}}",
            "null",
            "yes",
            "~",
            "1e3",
            "0x1f",
            "- ",
            ": ",
            "#",
            "'",
            "\u{7f}",
            "\u{0}",
            "\u{feff}",
            "\u{2028}",
            "%2F",
            "/",
            "&",
            "<",
            "e\u{301}",
            "{{input.a}}",
            "{{ steps.first.body[0][\"b c\"] | json }}",
            "{{vars.HOST}}",
            "{{env}}",
            "{{run.id}}",
        ];
        loop {
            let text: String = (0..self.below(6)).map(|_| self.one(PIECES)).collect();
            // Two braces side by side begin a reference, whoever put them there.
            if Template::parse(&text).is_ok() {
                return text;
            }
        }
    }

    /// Text for a place that takes no break and no character that is not seen.
    fn line(&mut self) -> String {
        loop {
            let seen = |c: &char| c.is_ascii_graphic() || *c == ' ';
            let line: String = self.text().chars().filter(seen).collect();
            // What was left out may have kept two braces apart.
            if Template::parse(line.trim()).is_ok() {
                return line.trim().to_owned();
            }
        }
    }

    fn number(&mut self) -> Number {
        loop {
            let number = match self.below(4) {
                0 => Some(Number::from(self.bits())),
                1 => Some(Number::from(self.bits() as i64)),
                2 => Number::from_f64(self.below(100_000) as f64 / 100.0),
                _ => Number::from_f64(f64::from_bits(self.bits())),
            };
            if let Some(number) = number {
                return number;
            }
        }
    }

    fn json(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => Value::Null,
            1 => Value::Bool(self.often()),
            2 => Value::Number(self.number()),
            3 => Value::String(self.text()),
            4 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
            _ => Value::Object(
                (0..self.below(4))
                    .map(|n| (format!("{n}{}", self.line().replace('{', "")), self.json(depth - 1)))
                    .collect(),
            ),
        }
    }

    fn pairs(&mut self, prefix: &str) -> Map<String, Value> {
        let names: Vec<String> = (0..1 + self.below(3)).map(|at| format!("{prefix}{at}")).collect();
        names.into_iter().map(|name| (name, Value::String(self.line()))).collect()
    }

    fn http(&mut self) -> Value {
        let mut step = Map::new();
        let fields: [(&str, Value); 9] = [
            ("method", self.one(&["POST", "PUT", "PATCH", "DELETE"]).into()),
            ("auth", json!({"secret": self.one(&["KEY", "HubSpot API key – production"])})),
            ("headers", self.pairs("X-Head-").into()),
            ("query", self.pairs("q").into()),
            ("expect_status", json!([200, 201, self.one(&[202, 204, 404])])),
            ("fields", json!(["/id", ""])),
            ("redirects", self.one(&[0, 1, 3]).into()),
            ("timeout_secs", (1 + self.below(300)).into()),
            ("retry", json!({"attempts": 1 + self.below(5)})),
        ];
        // In any order, as people write.
        let start = self.below(fields.len());
        for at in 0..fields.len() {
            let (name, value) = &fields[(start + at) % fields.len()];
            if self.often() {
                step.insert((*name).to_owned(), value.clone());
            }
        }
        let url = self.one(&[
            "https://api.example.com/v1/",
            "https://{{vars.HOST}}/x?a=b",
            "https://api.example.com:8443",
        ]);
        step.insert("url".to_owned(), url.into());
        let body = match self.below(4) {
            0 => json!({"json": self.json(4)}),
            1 => json!({"form": self.pairs("f")}),
            2 => json!({"text": self.text()}),
            _ => Value::Null,
        };
        if !body.is_null() {
            step.insert("body".to_owned(), body);
        }
        step.into()
    }

    fn definition(&mut self, number: usize) -> Value {
        let mut steps = vec![json!({"id": "first", "http": {"url": "https://api.example.com/"}})];
        for at in 0..self.below(4) {
            let mut step = Map::new();
            step.insert("id".to_owned(), format!("step-{at}").into());
            match self.below(5) {
                0 => step.insert("sftp".to_owned(), json!({
                    "host": "files.bank.example", "auth": {"secret": "SFTP"},
                    "put": {"path": "/in/a.json", "content": self.text()}
                })),
                1 => step.insert("storage".to_owned(), json!({
                    "endpoint": "https://s3.example.com", "bucket": "receipts", "auth": {"secret": "STORE"},
                    "put": {"key": "{{input.a}}.json", "content": self.text()}
                })),
                _ => step.insert("http".to_owned(), self.http()),
            };
            if self.often() {
                let when = self.one(&[
                    "steps.first.status == 200",
                    "vars.HOST != \"a b\" and not (input.a > 1.50)",
                    "true",
                ]);
                step.insert("when".to_owned(), when.into());
            }
            if self.often() {
                step.insert("on_error".to_owned(), self.one(&["stop", "continue"]).into());
            }
            steps.push(step.into());
        }
        let mut definition = json!({"name": format!("Überweisung {number}"), "steps": steps});
        if self.often() {
            definition["description"] = self.text().into();
        }
        if self.often() {
            definition["concurrency"] = 4.into();
        }
        if self.often() {
            definition["triggers"] = json!([{"schedule": {"cron": "0 6 * * MON-FRI", "timezone": "Europe/Berlin"}}, {"webhook": {}}]);
        }
        definition
    }
}

/// An instance with everything that the definitions name.
async fn instance(directory: &Path) -> (Vault, tacit_vault::Caller) {
    let (vault, owner) = open_instance(directory, RootKey::generate(), NOW).await.unwrap();
    let owner = caller(owner.unwrap().token.dangerous_expose());
    for (name, kind) in [
        ("KEY", "bearer_token"),
        ("HubSpot API key – production", "bearer_token"),
        ("SFTP", "sftp_password"),
        ("STORE", "access_key"),
    ] {
        let new = tacit_vault::NewSecret {
            name: name.parse().unwrap(),
            kind: kind.parse().unwrap(),
            visibility: tacit_model::Visibility::Restricted,
            description: String::new(),
            folder: "".parse().unwrap(),
            destinations: Default::default(),
            values: Vec::new(),
            rotate_every_days: None,
            expires_at: None,
            reason: None,
        };
        vault.create_secret(&owner, &new, false).await.unwrap();
    }
    let variable: SecretName = "HOST".parse().unwrap();
    vault.create_variable(&owner, &variable, &VariablePatch::default(), &[]).await.unwrap();
    (vault, owner)
}

/// Save, export, import on another instance, save: the stored bytes are the same, and so is a second time around.
#[tokio::test]
async fn definitions_travel_unchanged() {
    let memory = Path::new("/dev/shm");
    let new_directory =
        || if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
    let (here, there) = (new_directory(), new_directory());
    let (source, source_owner) = instance(here.path()).await;
    let (target, target_owner) = instance(there.path()).await;
    let count = if std::env::var_os("TACIT_ALL").is_some() { 10_000 } else { 300 };
    let mut numbers = Numbers(7);
    for batch in 0..count / BATCH {
        let mut saved: Vec<(SecretName, String)> = Vec::new();
        for number in 0..BATCH {
            // As a client writes it: text.
            let written = numbers.definition(batch * BATCH + number).to_string();
            let definition: Automation = serde_json::from_str(&written).unwrap();
            let name = definition.name.clone();
            source.publish_automation(&source_owner, &definition, false).await.unwrap_or_else(|problem| {
                panic!("{problem} {:?}: {written}", problem.issues);
            });
            let (stored, _) = source.show_automation(&source_owner, &name, None).await.unwrap();
            saved.push((name, stored));
        }
        let exported = source.export_manifest(&source_owner).await.unwrap();
        assert_eq!(exported.automations.len(), BATCH);
        let text = serde_json::to_string_pretty(&exported.automations).unwrap();
        let manifest = Manifest { automations: serde_json::from_str(&text).unwrap(), ..Manifest::default() };
        let report = target.import_manifest(&target_owner, manifest, &[], false).await.unwrap();
        assert!(report.automations.iter().all(|item| item.what == Imported::Published));
        for (name, stored) in &saved {
            let (arrived, _) = target.show_automation(&target_owner, name, None).await.unwrap();
            assert_eq!(&arrived, stored);
            let again: Automation = serde_json::from_str(&arrived).unwrap();
            target.publish_automation(&target_owner, &again, false).await.unwrap();
            assert_eq!(&target.show_automation(&target_owner, name, None).await.unwrap().0, stored);
            // A template has the same definition.
            let template = source.automation_template(&source_owner, name, None).await.unwrap();
            assert_eq!(&serde_json::to_string(&template.automations[0]).unwrap(), stored);
            source.delete_automation(&source_owner, name).await.unwrap();
            target.delete_automation(&target_owner, name).await.unwrap();
        }
    }
}
