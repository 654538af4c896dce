//! The data that a step's templates see.

use std::collections::HashMap;

use serde_json::Value;
use tacit_template::Scope;

/// Input, variables and earlier steps' results.
#[derive(Clone, Debug, Default)]
pub struct Data {
    input: Value,
    variables: HashMap<String, String>,
    steps: HashMap<String, Value>,
    environment: String,
    run: String,
}

impl Data {
    /// Data of a run that has just begun. A sealed request has neither input nor steps; its run's name is empty.
    pub fn new(input: Value, environment: &str, run: &str) -> Self {
        Self { input, environment: environment.to_owned(), run: run.to_owned(), ..Self::default() }
    }

    /// Replaces the variables.
    pub fn set_variables(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables.into_iter().collect();
    }

    /// Keeps a step's result for those after it.
    pub(crate) fn keep(&mut self, step: &str, result: Value) {
        self.steps.insert(step.to_owned(), result);
    }
}

impl Scope for Data {
    fn var(&self, name: &str) -> Option<Value> {
        self.variables.get(name).cloned().map(Value::String)
    }

    fn input(&self) -> &Value {
        &self.input
    }

    fn step(&self, id: &str) -> Option<&Value> {
        self.steps.get(id)
    }

    fn env(&self) -> &str {
        &self.environment
    }

    fn run_id(&self) -> &str {
        &self.run
    }
}
