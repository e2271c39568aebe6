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
    let mut facts = std::collections::BTreeMap::new();
    let mut promises = std::collections::BTreeMap::new();
    for seed in from..from + count {
        let t = std::time::Instant::now();
        let outcome = run(&Options {
            seed,
            nodes,
            broken_disks: std::env::var("BROKEN").is_ok(),
            ..Options::default()
        });
        let took = t.elapsed().as_millis();
        steps += outcome.sizes.steps;
        messages += outcome.sizes.messages;
        if took > 300 {
            println!("seed {seed} slow {took} ms {:?}", outcome.sizes);
        }
        for b in outcome.broken() {
            *promises.entry(b.promise).or_insert(0) += 1;
        }
        for e in outcome.history().entries() {
            let name = format!("{:?}", e.fact);
            let name: String =
                name.split(|c: char| c == ' ' || c == '{' || c == '(').next().unwrap().to_owned();
            let name = match e.fact {
                Fact::Said { word, duplicate, .. } => format!("{name} {word} {duplicate}"),
                Fact::LetGo { why, .. } => format!("{name} {why:?}"),
                Fact::Begins(s) => format!("{name} {s:?}").split('(').next().unwrap().to_owned(),
                Fact::Departed { body, .. } => format!("{name} {body}"),
                _ => name,
            };
            *facts.entry(name).or_insert(0u64) += 1;
        }
        *facts.entry("missing".into()).or_insert(0) += outcome.missing().len() as u64;
        if !outcome.broken().is_empty() {
            bad += 1;
            println!("seed {seed}: {} broken, {:?}", outcome.broken().len(), outcome.sizes);
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
    println!("{facts:#?} {promises:?}");
    println!("{bad} of {count} bad; {steps} steps, {messages} messages; {:?}", started.elapsed());
}
