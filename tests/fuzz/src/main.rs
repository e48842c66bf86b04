//! The targets under libFuzzer, which is told by `REDIAL_FUZZ_TARGET` which one: one binary, because each more costs a link.
//! Built by `tests/fuzz/run` with coverage counters in the crates of this workspace.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use redial_fuzz::Target;

#[expect(clippy::disallowed_methods, reason = "libFuzzer owns the command line")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = setting("REDIAL_FUZZ_TARGET").expect("REDIAL_FUZZ_TARGET names a target");
    redial_fuzz::target(&name).expect("REDIAL_FUZZ_TARGET names a target that there is")
});

/// Writes down where fuzzing begins, for libFuzzer to read afterwards.
fn begin() {
    let Some(folder) = setting("REDIAL_FUZZ_SEEDS") else {
        return;
    };
    let seeds = (TARGET.seeds)().into_iter();
    let kept = ["corpus", "crashes"]
        .into_iter()
        .flat_map(|kind| redial_fuzz::kept(kind, TARGET.name));
    for (n, input) in seeds.chain(kept).enumerate() {
        std::fs::write(format!("{folder}/{n:05}"), input).expect("the folder can be written");
    }
}

fuzz_target!(init: begin(), |input: &[u8]| {
    if input.len() <= TARGET.max_len {
        (TARGET.run)(input);
    }
});
