//! What one event costs. Run with `cargo test --release -p tacit-audit -- --ignored --nocapture speed`.

use std::{hint::black_box, time::Instant};

use tacit_audit::{Event, Frontier, leaf_hash};

use crate::sample;

fn nanos_each<T>(what: &str, mut act: impl FnMut() -> T) {
    const ROUNDS: u32 = 200_000;
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| drop(black_box(act())));
    say(&format!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS)));
}

#[allow(clippy::print_stdout, reason = "the numbers are the result")]
fn say(line: &str) {
    println!("{line}");
}

/// Prints; asserts nothing, because a loaded machine is not a bug.
#[test]
#[ignore = "a measurement"]
fn speed() {
    for (name, event) in
        [("intent", sample::intent()), ("outcome", sample::outcome()), ("every field", sample::full())]
    {
        let bytes = event.encode();
        say(&format!("{name}: {} bytes", bytes.len()));
        nanos_each("  encode", || black_box(&event).encode());
        nanos_each("  decode", || Event::decode(black_box(&bytes)));
        nanos_each("  leaf_hash", || leaf_hash(black_box(&bytes)));
    }
    let mut frontier = Frontier::new();
    nanos_each("push", || frontier.push(black_box([7; 32])));
}
