//! The workshop's tcpconnect probe in each of its variants: the same connections give the same counts.

use std::{path::Path, process::Command};

use testkit::{
    connections::{OVER_IPV6, Pair, connect_over_ipv6},
    findings::Findings,
    probe::{Counts, Run, until},
};

const PROBE: &str = "/tcpconnect.o";

/// Runs the probe, as whoever `bee` is, once for each variant and all at once, so that they see the same connections.
/// Socket operations take CAP_NET_ADMIN: `variants` are those that whoever it is may load.
pub fn count_the_same(findings: &mut Findings, who: &str, variants: &[&str], bee: &dyn Fn() -> Command) {
    let unchosen = Run::start(bee(), Path::new(PROBE), &[]);
    let taken = until(|| unchosen.said().contains("attached (kprobe);"));
    findings.add(taken, format!("{who}: bee takes the kprobe by itself"));
    drop(unchosen);

    let run = |variant: &str| Run::start(bee(), Path::new(PROBE), &["--variant", variant]);
    let runs: Vec<_> = variants.iter().map(|variant| (*variant, run(variant))).collect();
    let mut compare = |what: &str, pair: Pair, made: u64| {
        for (variant, run) in &runs {
            let counts = run.counts(pair);
            let Counts { hash, ring, missed } = counts;
            let missed = if missed == 0 { String::new() } else { format!(" ({missed} runs missed so far)") };
            let counted = format!("{who}: {what}: {variant} has {hash} in events_hash, {ring} in events_ring{missed}");
            let right = if *variant == "tp_btf" { counts.are_but_for_missed(made) } else { counts.are(made) };
            findings.add(right, counted);
        }
    };
    let pair = Pair::of(1);
    pair.connect_twice_from_one_port();
    compare("1 connection and 1 that fails before its SYN", pair, 1);
    let pair = Pair::of(2);
    pair.connect_mapped();
    compare("1 connection over IPv4 by a socket of IPv6", pair, 1);
    connect_over_ipv6();
    compare("1 connection over IPv6", OVER_IPV6, 0);
    for (number, threads, each) in [(3, 1, 1), (4, 1, 100), (5, 8, 125)] {
        let pair = Pair::of(number);
        pair.connect(threads, each);
        compare(&format!("{threads} x {each} connections"), pair, (threads * each) as u64);
    }
}
