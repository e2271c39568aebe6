//! Fuzzes `directory`; what it does is in `targets.rs`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod targets;

use std::sync::LazyLock;

use trust::verify::ChainVerifier;

static CHAINS: LazyLock<ChainVerifier> =
    LazyLock::new(|| targets::chains(include_bytes!("../root.der")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("directory", data, &CHAINS));
