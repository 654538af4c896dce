//! The tools: what each is called, says of itself, takes and answers.
//!
//! A tool's answer is a type with a schema. Types that carry values have none, so no tool can answer with one.

mod describe;
mod explain;
mod find;
mod propose;
mod request;
mod run;
mod save;
mod send;

use std::{pin::Pin, sync::LazyLock};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Refusal, agent::Agent};

/// What a client may tell its user about a tool before it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints {
    /// It changes nothing.
    pub(crate) reads_only: bool,
    /// It may change or remove what is there.
    pub(crate) destructive: bool,
    /// Twice is as good as once.
    pub(crate) idempotent: bool,
    /// It speaks to services outside.
    pub(crate) open_world: bool,
}

/// Looks and changes nothing.
const LOOKS: Hints = Hints { reads_only: true, destructive: false, idempotent: true, open_world: false };

/// One tool, as its file describes it.
pub(crate) trait Describes {
    const NAME: &'static str;
    const TITLE: &'static str;
    const DESCRIPTION: &'static str;
    const HINTS: Hints;
    type Input: DeserializeOwned + JsonSchema + Send;
    type Output: Serialize + JsonSchema;

    fn run(agent: &Agent, input: Self::Input) -> impl Future<Output = Result<Self::Output, Refusal>> + Send;
}

/// One tool, as the table has it.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) hints: Hints,
    pub(crate) input: Map<String, Value>,
    pub(crate) output: Map<String, Value>,
    run: for<'a> fn(&'a Agent, Value) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send + 'a>>;

/// Every tool.
pub(crate) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    vec![
        tool::<find::FindSecrets>(),
        tool::<describe::DescribeSecret>(),
        tool::<send::SendRequest>(),
        tool::<save::SaveAutomation>(),
        tool::<run::RunAutomation>(),
        tool::<run::GetRun>(),
        tool::<propose::ProposeSecret>(),
        tool::<explain::ExplainRefusal>(),
    ]
});

impl Tool {
    /// The tool of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Calls it.
    pub(crate) async fn call(&self, agent: &Agent, arguments: Value) -> Result<Value, Refusal> {
        (self.run)(agent, arguments).await
    }
}

fn tool<T: Describes>() -> Tool {
    let settings = || SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    Tool {
        name: T::NAME,
        title: T::TITLE,
        description: T::DESCRIPTION,
        hints: T::HINTS,
        input: object(settings().for_deserialize().into_generator().into_root_schema_for::<T::Input>()),
        output: object(settings().for_serialize().into_generator().into_root_schema_for::<T::Output>()),
        run: |agent, arguments| {
            Box::pin(async move {
                let input = serde_json::from_value(arguments).map_err(Refusal::arguments)?;
                let output = T::run(agent, input).await?;
                serde_json::to_value(output).map_err(|error| Refusal::new("internal", error.to_string()))
            })
        },
    }
}

/// A schema of a struct, without the names that only this code has.
fn object(schema: schemars::Schema) -> Map<String, Value> {
    let Value::Object(mut schema) = schema.to_value() else { return Map::new() };
    schema.remove("$schema");
    schema.remove("title");
    schema.remove("description");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight of the contract, each with a description, and of every field what it means.
    #[test]
    fn the_table() {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        assert_eq!(
            names,
            [
                "find_secrets",
                "describe_secret",
                "send_request",
                "save_automation",
                "run_automation",
                "get_run",
                "propose_secret",
                "explain_refusal"
            ]
        );
        for tool in TOOLS.iter() {
            assert!(tool.description.len() > 60 && tool.description.len() < 1200, "{}", tool.name);
            for (what, schema) in [("input", &tool.input), ("output", &tool.output)] {
                assert_eq!(schema["type"], "object", "{} {what}", tool.name);
                let text = Value::Object(schema.clone()).to_string();
                assert!(!text.contains("$ref"), "{} {what}: a model has to look elsewhere", tool.name);
                for (field, schema) in schema["properties"].as_object().unwrap() {
                    assert!(schema.get("description").is_some(), "{} {what} {field} says nothing", tool.name);
                }
            }
            assert_eq!(tool.input["additionalProperties"], false, "{}", tool.name);
        }
    }

    /// No tool changes what is there without saying so.
    #[test]
    fn hints() {
        for tool in TOOLS.iter() {
            let looks =
                ["find_secrets", "describe_secret", "get_run", "explain_refusal"].contains(&tool.name);
            assert_eq!(tool.hints.reads_only, looks, "{}", tool.name);
            assert!(!(tool.hints.reads_only && tool.hints.destructive), "{}", tool.name);
        }
    }
}
