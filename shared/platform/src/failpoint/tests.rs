//! Tests of the kill points: each is where it is said to be, and a plan names passes. That a process dies of one is for the
//! fault tool to see (tests/faults).

use std::path::{Path, PathBuf};

use super::plan::Plan;
use super::*;

#[test]
fn a_point_is_deadly_at_the_pass_that_is_named_and_at_no_other() {
    let plan = Plan::parse("ingest.before_write:3, dispatcher.in_post:1").unwrap();
    let passes = (0..5).map(|_| plan.pass("ingest.before_write"));
    assert_eq!(passes.collect::<Vec<_>>(), [None, None, Some(3), None, None]);
    assert_eq!(plan.pass("ingest.after_write"), None);
    assert_eq!(plan.pass("dispatcher.in_post"), Some(1));
    assert_eq!(Plan::parse("").unwrap().pass("ingest.before_write"), None);
}

#[test]
fn what_names_no_point_or_no_pass_is_refused() {
    for text in [
        "ingest.before_write",
        "ingest.before_write:0",
        "ingest.before_write:-1",
        "ingest.nowhere:1",
        "ingest.before_write:1,x",
    ] {
        assert!(Plan::parse(text).is_err(), "{text}");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The source folders of the crates that have points, by what their points begin with.
fn folders_of(point: &str) -> &'static str {
    match point.split('.').next().unwrap() {
        "ingest" => "functions/ingest/src",
        "dispatcher" => "functions/dispatcher/src",
        "replay" => "functions/replay/src",
        "sweeper" | "intake" => "functions/sweeper/src",
        "queue" => "shared/platform/src/queue.rs",
        other => panic!("where are the points of {other}?"),
    }
}

#[test]
fn every_point_is_passed_at_one_place_in_the_function_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .parent()
        .unwrap();
    let mut files = Vec::new();
    for folder in ["functions", "shared", "infra"] {
        sources(&root.join(folder), &mut files);
    }
    let own = root.join("shared/platform/src/failpoint");
    files.retain(|file| !file.starts_with(&own) && *file != own.with_extension("rs"));
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (file, text)
        })
        .collect();
    for (point, _) in POINTS {
        let quoted = format!("{point:?}");
        let places: Vec<&PathBuf> = texts
            .iter()
            .flat_map(|(file, text)| text.matches(&quoted).map(move |_| file))
            .collect();
        assert_eq!(places.len(), 1, "{point} is passed at {places:?}");
        let expected = root.join(folders_of(point));
        assert!(places[0].starts_with(&expected), "{point} is passed in {places:?}");
    }
    let named: usize = texts.iter().map(|(_, text)| text.matches("failpoint::").count()).sum();
    assert!(named >= POINTS.len(), "{named} places name this module");
}
