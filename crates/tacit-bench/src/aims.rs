//! What was aimed at, beside what was found.

use crate::{proxies::Proxies, report::Report};

const SHARE_MIN: f64 = 0.4;
const REVEAL_OVER_FLUSH_US_MAX: f64 = 50.0;
const SEALED_OVER_FLUSH_US_MAX: f64 = 100.0;
const PROXY_OVER_FLUSH_US_MAX: f64 = 50.0;
const MITMPROXY_TIMES_MIN: f64 = 30.0;
const READY_MS_MAX: f64 = 100.0;
const REST_MB_MAX: f64 = 40.0;
const BINARY_MB_MAX: f64 = 40.0;

/// One aim, in words and as a verdict.
pub(crate) struct Aim {
    pub(crate) what: String,
    pub(crate) aim: String,
    pub(crate) found: String,
    pub(crate) is_met: bool,
}

/// Every aim that this run says something about.
pub(crate) fn aims(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    for compared in &report.reveal {
        if compared.clients == 1 {
            aims.push(over_flush(
                "reveal, 1 client, added",
                compared.added_p50_us,
                compared.flush_p50_us,
                REVEAL_OVER_FLUSH_US_MAX,
            ));
        } else {
            aims.push(Aim {
                what: format!("reveal, {} clients, share of bare", compared.clients),
                aim: format!(">= {SHARE_MIN:.2}"),
                found: format!("{:.2}", compared.share),
                is_met: compared.share >= SHARE_MIN,
            });
        }
    }
    for compared in report.sealed.iter().filter(|compared| compared.clients == 1) {
        aims.push(over_flush(
            "sealed use, 1 client, added",
            compared.added_p50_us,
            compared.flush_p50_us,
            SEALED_OVER_FLUSH_US_MAX,
        ));
    }
    if let Some(proxies) = &report.proxies {
        aims.extend(proxy_aims(proxies));
    }
    if let Some(start) = &report.start {
        aims.push(at_most("exec to ready", start.ready_ms, READY_MS_MAX, "ms"));
        if let Some(rss) = start.at_rest.rss {
            aims.push(at_most("resident at rest", mb(rss), REST_MB_MAX, "MB"));
        }
    }
    aims.push(at_most("binary", mb(report.binary_bytes), BINARY_MB_MAX, "MB"));
    aims
}

fn proxy_aims(proxies: &Proxies) -> Vec<Aim> {
    let way = |name: &str, clients: usize| {
        proxies.ways.iter().find(|way| way.name == name && way.clients == clients)
    };
    let mut aims = Vec::new();
    if let Some(tacit) = way("tacit", 1) {
        let flush = proxies.flush_p50_us;
        aims.push(over_flush("proxy, 1 client, added", tacit.added_p50_us, flush, PROXY_OVER_FLUSH_US_MAX));
    }
    for (peer, times) in [("hudsucker", 1.0), ("mitmproxy", MITMPROXY_TIMES_MIN)] {
        if let (Some(tacit), Some(peer)) = (way("tacit", 32), way(peer, 32)) {
            let found = tacit.sample.per_sec / peer.sample.per_sec;
            aims.push(Aim {
                what: format!("proxy, 32 clients, beside {}", peer.name),
                aim: format!(">= {times:.0} times"),
                found: format!("{found:.2}"),
                is_met: found >= times,
            });
        }
    }
    aims
}

fn over_flush(what: &str, added_us: f64, flush_us: f64, over_us: f64) -> Aim {
    Aim {
        what: what.to_owned(),
        aim: format!("<= flush {flush_us:.0} + {over_us:.0} us"),
        found: format!("{added_us:.0} us"),
        is_met: added_us <= flush_us + over_us,
    }
}

fn at_most(what: &str, found: f64, most: f64, unit: &str) -> Aim {
    Aim {
        what: what.to_owned(),
        aim: format!("<= {most:.0} {unit}"),
        found: format!("{found:.1} {unit}"),
        is_met: found <= most,
    }
}

/// Bytes as megabytes.
pub(crate) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
