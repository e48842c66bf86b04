//! What fuzzing found, again: every input of the corpora and every one that ever broke a target, in a second or two. And the
//! largest inputs that a stranger can send end in time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use redial_domain::event::{MAX_BATCH_EVENTS, MAX_BODY_BYTES, MAX_EVENT_BYTES};
use redial_domain::json;
use redial_fuzz::{TARGETS, Target, kept, target};

/// Fewest inputs that all targets have together: a corpus that is not found must not pass.
const MIN_INPUTS: usize = 400;

/// The functions catch a panic in one record, so that its neighbours do not suffer: it counts all the same.
static PANICKED: AtomicBool = AtomicBool::new(false);
/// One at a time: what panics is known by the input that is read.
static READING: Mutex<()> = Mutex::new(());

fn reads(target: &Target, input: &[u8]) -> bool {
    let alone = READING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    PANICKED.store(false, Ordering::SeqCst);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        println!("{info}");
    }));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (target.run)(input)));
    std::panic::set_hook(usual);
    let is_well = caught.is_ok() && !PANICKED.load(Ordering::SeqCst);
    drop(alone);
    is_well
}

/// How many inputs a target has, and those that break it.
fn replay(target: &Target) -> (usize, Vec<String>) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} begins with nothing", target.name);
    let found = ["corpus", "crashes"].map(|kind| kept(kind, target.name)).concat();
    let inputs = [seeds, found].concat();
    let broken = inputs.iter().filter(|input| !reads(target, input));
    let shown = |input: &Vec<u8>| String::from_utf8_lossy(&input[..input.len().min(400)]).into_owned();
    (inputs.len(), broken.map(shown).collect())
}

#[test]
fn nothing_that_was_ever_found_breaks_anything() {
    let replayed: Vec<(&str, (usize, Vec<String>))> = TARGETS.iter().map(|it| (it.name, replay(it))).collect();
    let broken: Vec<_> = replayed.iter().filter(|(_, (_, broken))| !broken.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let inputs: usize = replayed.iter().map(|(_, (count, _))| count).sum();
    assert!(inputs >= MIN_INPUTS, "only {inputs} inputs");
}

#[test]
fn a_panic_is_seen_also_where_a_function_catches_it() {
    fn fails(input: &[u8]) {
        assert!(input.is_empty(), "planted");
    }
    fn hides(input: &[u8]) {
        let _ = std::panic::catch_unwind(|| fails(input));
    }
    for run in [fails, hides] {
        let planted = Target {
            name: "planted",
            max_len: 1,
            run,
            seeds: Vec::new,
        };
        assert!(reads(&planted, b"") && !reads(&planted, b"x"));
    }
}

/// Each is as large as it may be and of the shape that a careless reader needs its square of time for, which would be days.
#[test]
fn the_largest_inputs_of_strangers_end_in_time() {
    let envelope = target("envelope").unwrap();
    let event = |data: &str| format!(r#"{{"type":"a.b","tenant":"acme","data":{data}}}"#);
    let long = MAX_EVENT_BYTES - 100;
    let keys: Vec<String> = (0..long / 12).map(|n| format!(r#""{n:x}":1"#)).collect();
    let inside = json::MAX_DEPTH - 2;
    let shapes = [
        format!("{{{}}}", keys.join(",")),
        format!("[{}1]", "1,".repeat(long / 2 - 2)),
        format!("\"{}\"", "\\u0041".repeat(long / 6 - 1)),
        format!("\"{}\"", "\\\\".repeat(long / 2 - 2)),
        "9".repeat(long),
        "[".repeat(long),
        format!(
            "[{}]",
            vec![format!("{}{}", "[".repeat(inside), "]".repeat(inside)); long / (2 * inside + 2)].join(",")
        ),
    ];
    for data in &shapes {
        assert!(data.len() <= MAX_EVENT_BYTES, "{}", data.len());
        assert!(reads(&envelope, event(data).as_bytes()), "{}", &data[..20]);
    }
    let small = event("1");
    let many = format!("[{}]", vec![small.as_str(); MAX_BATCH_EVENTS].join(","));
    let too_many = format!(
        "[{}]",
        vec![small.as_str(); MAX_BODY_BYTES / (small.len() + 1) - 1].join(",")
    );
    let unknown = format!("{{\"{}\":1}}", "x".repeat(MAX_BODY_BYTES - 10));
    for body in [
        many,
        too_many,
        unknown,
        " ".repeat(MAX_BODY_BYTES),
        "{".repeat(MAX_BODY_BYTES),
    ] {
        assert!(reads(&envelope, body.as_bytes()), "{}", &body[..20]);
    }
    for (name, text) in [
        ("url", format!("https://{}example.com/", "a.".repeat(100_000))),
        ("url", format!("https://{}.com/", "ü".repeat(1_000))),
        ("url", format!("https://[{}]/", ":".repeat(2_000))),
        ("retry_after", "9".repeat(1 << 20)),
        ("retry_after", " ".repeat(1 << 20)),
        ("cursor", format!("q\n{}", "A".repeat(1 << 20))),
        ("field", "a.".repeat(1 << 19)),
        ("record", format!(r#"{{"t":"acme","b":"{}"}}"#, "A".repeat(1 << 20))),
        (
            "schema",
            format!("{}{{}}{}\n1", r#"{"not":"#.repeat(60), "}".repeat(60)),
        ),
        ("template", "a: ".repeat(20_000)),
    ] {
        assert!(reads(&target(name).unwrap(), text.as_bytes()), "{name} {}", &text[..20]);
    }
}
