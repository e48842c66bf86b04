//! The suite held against its own rules: every test names its page, every row of the table is asserted. Asks no server.
//! Of the pages it checks that they are named, never what they say. A test is read up to its first blank line: none has one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::differences::{self, UNDOCUMENTED};

const PAGES: &str = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/";

/// The tests that ask a server: their names, each with its source from its comment to its end.
fn tests() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut tests = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for item in source.split("\n\n").filter(|item| item.contains("#[tokio::test]\n")) {
            let (_, name) = item.split_once("async fn ").unwrap();
            let (name, _) = name.split_once('(').unwrap();
            tests.insert(name.to_owned(), item.to_owned());
        }
    }
    assert!(tests.len() > 50, "only {} tests", tests.len());
    tests
}

/// The points that a test judges.
fn points(source: &str) -> impl Iterator<Item = &str> {
    let calls = source.split("judge(").skip(1);
    calls.map(|call| call.split('"').nth(1).unwrap())
}

#[test]
fn every_test_names_the_page_that_decides_it() {
    for (name, source) in tests() {
        let comment: Vec<&str> = source.lines().filter(|line| line.starts_with("///")).collect();
        assert!(comment.iter().any(|line| line.contains(PAGES)), "{name}");
    }
}

#[test]
fn every_row_of_the_table_is_asserted_by_the_test_that_it_names() {
    let tests = tests();
    let mut seen = BTreeSet::new();
    for row in differences::all() {
        assert!(seen.insert(row.point), "{} twice", row.point);
        let source = tests
            .get(row.test)
            .unwrap_or_else(|| panic!("{}: no test {}", row.point, row.test));
        assert!(
            points(source).any(|point| point == row.point),
            "{} is not judged by {}",
            row.point,
            row.test
        );
    }
}

#[test]
fn every_row_of_the_table_is_a_difference_with_a_page_and_a_verdict() {
    for row in differences::all() {
        assert!(row.page.starts_with(PAGES), "{row:?}");
        let who_may_be = match (row.embedded == row.documented, row.ministack == row.documented) {
            (true, true) => panic!("no difference: {row:?}"),
            (true, false) => "embedded",
            (false, true) => "ministack",
            (false, false) if row.documented == UNDOCUMENTED => "open",
            (false, false) => "neither",
        };
        assert_eq!(row.right, who_may_be, "{row:?}");
    }
}

#[test]
fn what_is_not_documented_is_in_the_table() {
    for (name, source) in tests() {
        let rows: Vec<&str> = points(&source)
            .filter(|point| differences::of(point).is_some())
            .collect();
        let open = source.matches("UNDOCUMENTED").count();
        let known = rows
            .iter()
            .filter(|point| differences::of(point).unwrap().documented == UNDOCUMENTED);
        assert_eq!(known.count(), open, "{name}");
    }
}
