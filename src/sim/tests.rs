//! Worlds by the hundred, and what must be true in each.

use super::*;

#[test]
fn scratch() {
    let from: u64 = std::env::var("FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("COUNT").ok().and_then(|s| s.parse().ok()).unwrap_or(100);
    let nodes = std::env::var("NODES").ok().and_then(|s| s.parse().ok());
    let started = std::time::Instant::now();
    let mut bad = 0;
    let (mut steps, mut messages) = (0, 0);
    for seed in from..from + count {
        let t = std::time::Instant::now();
        let outcome = run(&Options { seed, nodes, ..Options::default() });
        let took = t.elapsed().as_millis();
        steps += outcome.counts.steps;
        messages += outcome.counts.messages;
        if took > 300 {
            println!("seed {seed} slow {took} ms {:?}", outcome.counts);
        }
        if !outcome.broken().is_empty() {
            bad += 1;
            println!("seed {seed}: {} broken, {:?}", outcome.broken().len(), outcome.counts);
            for broken in outcome.broken().iter().take(3) {
                println!("   {}", broken.told(&outcome.areas));
            }
            if count == 1 {
                let lines = match std::env::var("MSG").ok().and_then(|s| s.parse().ok()) {
                    Some(m) => outcome.lines_about(mail::MessageNo(m)),
                    None => outcome.last_lines(usize::MAX),
                };
                std::fs::write("/tmp/plan/sim.txt", lines.join("\n")).unwrap();
            }
        }
    }
    println!("{bad} of {count} bad; {steps} steps, {messages} messages; {:?}", started.elapsed());
}
