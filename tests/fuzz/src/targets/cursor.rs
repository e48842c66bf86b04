//! Cursors: a question, a line end, and a cursor that somebody sends with it. Only what was signed for exactly this question is
//! read, and it is read as it was written. The rest of the input is also tried as a place that nobody signed.

use redial_api::{Place, Signer};

use super::inputs;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "cursor",
    max_len: 4_096,
    run,
    seeds,
};

const OURS: [u8; 32] = [9; 32];
const OTHER: [u8; 32] = [8; 32];
const QUESTION: &str = r#"["deliveries","acme",[["state","dead"]]]"#;
/// What a cursor of ours may be as long as.
const MAX_LEN: usize = 1_024;

fn seeds() -> Vec<Vec<u8>> {
    let written = |place: &str| Signer::new(OURS).write(QUESTION, &Place::after_key(place));
    let mut texts = vec![
        format!("{QUESTION}\n{}", written("01JD3ZK8Q0/src_1")),
        format!("[]\n{}", written("")),
        "\nAAAA".to_owned(),
        format!("{QUESTION}\n{}", r#"{"k":"01JD3ZK8Q0/src_1","e":"ep_1","r":[5,9]}"#),
    ];
    texts.push(format!("{QUESTION}\n{}A", written("x")));
    inputs(texts)
}

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((question, cursor)) = text.split_once('\n') else {
        return;
    };
    let (ours, other) = (Signer::new(OURS), Signer::new(OTHER));
    match ours.read(question, cursor) {
        Ok(place) => {
            assert!(cursor.len() <= MAX_LEN);
            assert_eq!(ours.write(question, &place), cursor, "read, and not what is written");
            assert!(other.read(question, cursor).is_err(), "read under another key");
            let elsewhere = format!("{question} ");
            assert!(ours.read(&elsewhere, cursor).is_err(), "read for another question");
        }
        Err(problem) => assert_eq!((problem.status, problem.code.as_str()), (400, "cursor_invalid")),
    }
    // A cursor that another deployment signed, and one of ours for another question, whatever they name.
    if cursor.len() < MAX_LEN / 2 {
        let place = Place::after_key(cursor);
        let written = ours.write(question, &place);
        if written.len() <= MAX_LEN {
            assert_eq!(ours.read(question, &written).ok().as_ref(), Some(&place), "{cursor:?}");
        }
        assert!(ours.read(question, &other.write(question, &place)).is_err());
        assert!(ours.read("another", &written).is_err() || question == "another");
    }
}
