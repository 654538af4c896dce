//! Tests of the whole: a real server process, spoken to over HTTP and by the command line.

#[expect(dead_code, reason = "a harness offers more than the tests need today")]
mod harness;
mod main_job;
