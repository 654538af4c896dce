//! The crate from outside: vectors named after attacks, and properties.

mod attacks;
mod properties;

use serde_json::Value;
use tacit_template::Scope;

/// A scope in which every variable, the input and every step is the same value.
struct Everywhere(Value);

impl Scope for Everywhere {
    fn var(&self, _: &str) -> Option<Value> {
        Some(self.0.clone())
    }
    fn input(&self) -> &Value {
        &self.0
    }
    fn step(&self, _: &str) -> Option<&Value> {
        Some(&self.0)
    }
    fn env(&self) -> &str {
        self.0.as_str().unwrap_or("test")
    }
    fn run_id(&self) -> &str {
        self.0.as_str().unwrap_or("run_1")
    }
}
