//! `automations template`, `export`, `import`: definitions to take elsewhere, without any value.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde_json::Value;
use tacit_api::{Destination, Imported, Manifest};

use crate::{
    error::{Failure, Outcome},
    input,
    output::{talk, warn},
    secrets,
    session::Session,
};

/// Print automations as a document that `import` takes: definitions, and what each thing that they name has to be.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit automations export settle-invoices > settle-invoices.json\n  tacit automations export > all.json"
)]
pub(crate) struct Export {
    /// Their names; all of the workspace unless said.
    names: Vec<String>,
}

/// Import automations: makes what they name and is not there, without values, and says what is missing.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit automations import settle-invoices.json --map STRIPE_KEY=STRIPE_EU --dry-run"
)]
pub(crate) struct Import {
    /// What `template` or `export` printed; standard input for `-`.
    file: PathBuf,
    /// A secret or variable that is called otherwise here; can be repeated.
    #[arg(long, value_name = "THERE=HERE")]
    map: Vec<String>,
    /// Another name for the automation, if there is only one.
    #[arg(long = "as", value_name = "NAME")]
    rename: Option<String>,
    /// Only show what would be done and what would be missing.
    #[arg(long)]
    dry_run: bool,
}

impl Export {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        if self.names.is_empty() {
            let all = workspace.export().await?;
            warn(&all.warnings);
            return session.out.json(&all);
        }
        let mut all = Manifest::default();
        for name in &self.names {
            let one = workspace.automation_template(name, session.named_environment.as_deref()).await?;
            all.version = one.version;
            all.automations.extend(one.automations);
            all.warnings.extend(one.warnings);
            for secret in one.secrets {
                if !all.secrets.iter().any(|known| known.name == secret.name) {
                    all.secrets.push(secret);
                }
            }
            for variable in one.variables {
                if !all.variables.iter().any(|known| known.name == variable.name) {
                    all.variables.push(variable);
                }
            }
        }
        warn(&all.warnings);
        session.out.json(&all)
    }
}

impl Import {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        super::publishing_environment(session).await?;
        let mut manifest = parse(&input::file(&self.file)?)?;
        manifest.map = mapping(&self.map)?;
        if let Some(name) = self.rename {
            let [Value::Object(only)] = manifest.automations.as_mut_slice() else {
                return Err(Failure::usage(
                    "--as names one automation, and this is not one",
                    "export automations one by one to rename them",
                ));
            };
            only.insert("name".to_owned(), name.into());
        }
        let report = session.workspace().import(&manifest, self.dry_run).await?;
        for item in report.secrets.iter().chain(&report.automations) {
            warn(&item.warnings);
        }
        // Where a value will go is for whoever sets it to know, and not for whoever wrote the document to decide unseen.
        for item in report.secrets.iter().filter(|item| item.result == Imported::Created) {
            let written = item.from.as_ref().unwrap_or(&item.name);
            let made =
                manifest.secrets.iter().find(|secret| secret.name.to_lowercase() == written.to_lowercase());
            let hosts: Vec<String> = made.iter().flat_map(|made| &made.destinations).map(host).collect();
            if !hosts.is_empty() {
                talk(&format!("{} may go to {}", item.name, hosts.join(", ")));
            }
        }
        secrets::import::show(session, &report)
    }
}

fn host(destination: &Destination) -> String {
    match destination.port {
        Some(port) => format!("{}:{port}", destination.host),
        None => destination.host.clone(),
    }
}

fn parse(text: &str) -> Outcome<Manifest> {
    let found = match serde_json::from_str(text) {
        Ok(manifest) => Some(manifest),
        Err(_) => serde_saphyr::from_str(text).ok(),
    };
    found.ok_or_else(|| {
        Failure::usage(
            "this is not what `tacit automations template` or `export` prints",
            "for a definition alone: tacit automations apply -f FILE",
        )
    })
}

fn mapping(arguments: &[String]) -> Outcome<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for argument in arguments {
        let Some((from, to)) =
            argument.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty())
        else {
            return Err(Failure::usage(
                "--map needs the name there and the name here",
                "write --map STRIPE_KEY=STRIPE_EU",
            ));
        };
        map.insert(from.to_owned(), to.to_owned());
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document is told from other things, in JSON and in YAML, and pairs need both sides.
    #[test]
    fn documents_and_pairs() {
        let manifest = r#"{"version": 1, "automations": [{"name": "a", "steps": []}]}"#;
        assert_eq!(parse(manifest).unwrap().automations.len(), 1);
        assert_eq!(parse("version: 1\nsecrets:\n  - name: K\n").unwrap().secrets[0].name, "K");
        for bad in ["", "name: a\nsteps: []", "[]"] {
            assert_eq!(parse(bad).unwrap_err().exit as u8, 2, "{bad}");
        }
        assert_eq!(mapping(&["A=B".into()]).unwrap()["A"], "B");
        assert!(mapping(&["A".into()]).is_err() && mapping(&["=B".into()]).is_err());
    }
}
