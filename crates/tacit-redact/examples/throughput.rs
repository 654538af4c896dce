//! Prints how fast texts are scrubbed and what a set costs: `cargo run --release -p tacit-redact --example throughput`.
//! With an argument, only the texts whose names contain it.
#![allow(clippy::print_stdout)]

use std::{hint::black_box, time::Instant};

use tacit_redact::{ScanSet, Scrubber};

const TEXT_BYTES: usize = 8 << 20;

fn main() {
    println!("{:>8} {:>7} {:>12} {:>10} {:>14}", "values", "bytes", "build", "index", "index/value");
    for (count, length) in [(1, 40), (10, 40), (100, 40), (1000, 40), (1, 1700)] {
        let values = values(count, length);
        let times = 2000 / count + 1;
        let seconds = best(|| (0..times).for_each(|_| drop(black_box(set(&values))))) / times as f64;
        let bytes = set(&values).heap_bytes();
        println!(
            "{count:>8} {length:>7} {:>9.1} µs {:>6.1} KiB {:>10.2} KiB",
            seconds * 1e6,
            kib(bytes),
            kib(bytes) / count as f64
        );
    }

    println!("\n{:<34} {:>10} {:>10} {:>10}", "GB/s in chunks of 16 KiB", "1 value", "10", "1000");
    for (name, make) in texts() {
        let cells: Vec<String> = [1, 10, 1000]
            .map(|count| {
                let values = values(count, 40);
                let (set, text) = (set(&values), make(&values));
                format!("{:>10.3}", text.len() as f64 / best(|| scrub(&set, &text, 16 * 1024)) / 1e9)
            })
            .into();
        println!("{name:<34} {}", cells.join(" "));
    }
    let long = values(1, 1700);
    println!("\n{:<34} {:>10} {:>10}", "GB/s, one value of 1700 bytes", "16 KiB", "64 bytes");
    for (name, make) in texts() {
        let (set, text) = (set(&long), make(&long));
        let rate = |chunk| text.len() as f64 / best(|| scrub(&set, &text, chunk)) / 1e9;
        println!("{name:<34} {:>10.3} {:>10.3}", rate(16 * 1024), rate(64));
    }

    println!("\n{:<34} {:>10} {:>10} {:>10}", "µs for a body", "200 B", "2000 B", "set + 200 B");
    for (name, make) in texts() {
        let values = values(1, 40);
        let (ready, text) = (set(&values), make(&values));
        let mut out = Vec::new();
        let mut time = |length: usize, build: bool| {
            1e3 * best(|| {
                for _ in 0..1000 {
                    out.clear();
                    let own = build.then(|| set(&values));
                    let mut scrubber = Scrubber::new(own.as_ref().unwrap_or(&ready));
                    scrubber.push(&text[..length], &mut out);
                    black_box(scrubber.finish(&mut out));
                }
            })
        };
        println!(
            "{name:<34} {:>10.2} {:>10.2} {:>10.2}",
            time(200, false),
            time(2000, false),
            time(200, true)
        );
    }
}

type Text = (&'static str, fn(&[String]) -> Vec<u8>);

const TEXTS: &[Text] = &[
    ("log lines", |_| {
        filled(|n| {
            format!(
                "2026-01-0{}T12:{:02}:07Z INFO request {n:x} took {} ms: GET /v1/items/{n} status=200\n",
                n % 9,
                n % 60,
                n % 977
            )
        })
    }),
    ("prose", |_| {
        b"It is a truth universally acknowledged, that a single man in possession of a good fortune. "
            .repeat(TEXT_BYTES / 91)
    }),
    ("base64 without blanks", |_| random(TEXT_BYTES)),
    ("JSON", |_| {
        filled(|n| {
            format!(
                "{{\"id\":\"ch_{n:016x}\",\"amount\":{n},\"paid\":true,\"url\":\"https://a.test/?a=1&b={n}\"}},"
            )
        })
    }),
    ("escape-heavy: JSON in JSON", |_| {
        filled(|n| format!("{{\\\"id\\\":\\\"ch_{n:016x}\\\",\\\"text\\\":\\\"a\\\\u00e9b\\n\\\"}},"))
    }),
    ("escape-heavy: all percent", |_| {
        filled(|n| format!("{n}").bytes().map(|b| format!("%{b:02x}")).collect())
    }),
    ("hostile: value repeated", |v| v.concat().into_bytes().repeat(TEXT_BYTES / 40 / v.len())),
    ("hostile: value repeated in UTF-16", |v| {
        v[0].bytes().flat_map(|b| [b, 0]).collect::<Vec<u8>>().repeat(TEXT_BYTES / 80)
    }),
    ("hostile: fragments of 15", |v| format!("{}~", &v[0][8..23]).into_bytes().repeat(TEXT_BYTES / 16)),
    ("hostile: one gram of 8 repeated", |v| format!("{}~", &v[0][9..17]).into_bytes().repeat(TEXT_BYTES / 9)),
    ("hostile: 15 in percent", |v| {
        v[0][8..23]
            .bytes()
            .map(|b| format!("%{b:02x}"))
            .collect::<String>()
            .into_bytes()
            .repeat(TEXT_BYTES / 45)
    }),
];

fn texts() -> impl Iterator<Item = &'static Text> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    TEXTS.iter().filter(move |(name, _)| name.contains(&wanted))
}

fn filled(line: impl Fn(u64) -> String) -> Vec<u8> {
    let mut text = Vec::new();
    let mut n = 1u64;
    while text.len() < TEXT_BYTES {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend(line(n >> 20).into_bytes());
    }
    text
}

fn random(length: usize) -> Vec<u8> {
    let mut n = length as u64;
    (0..length)
        .map(|_| {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(n >> 58) as usize]
        })
        .collect()
}

fn values(count: usize, length: usize) -> Vec<String> {
    let text = random(count * length + count);
    let value = |n: usize| String::from_utf8_lossy(&text[n * (length + 1)..][..length]).into_owned();
    (0..count).map(|n| format!("sk_live_{}", &value(n)[8..])).collect()
}

fn set(values: &[String]) -> ScanSet {
    let mut set = ScanSet::builder();
    for value in values {
        set.add("[sealed:STRIPE_KEY]", value.as_bytes());
    }
    set.build()
}

fn scrub(set: &ScanSet, text: &[u8], chunk: usize) {
    let mut out = Vec::with_capacity(2 * chunk + 65_536);
    let mut scrubber = Scrubber::new(set);
    for chunk in text.chunks(chunk) {
        out.clear();
        scrubber.push(chunk, &mut out);
        black_box(&out);
    }
    black_box(scrubber.finish(&mut out));
}

/// Seconds of the fastest of a few rounds: the machine is shared.
fn best(mut work: impl FnMut()) -> f64 {
    (0..4)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}
