//! The known differences between what AWS documents, the embedded server and ministack: the table of `docs/SQS.md`, so that
//! what people read is what the tests assert. Never decides who is right; the table says it, with the page.

use std::sync::OnceLock;

/// The documented answer where the pages say none.
pub(crate) const UNDOCUMENTED: &str = "not documented";

const PAGE: &str = include_str!("../../../../../docs/SQS.md");
/// How the table's head begins.
const HEAD: &str = "| point | test |";
const COLUMNS: usize = 6;

/// One row.
#[derive(Debug)]
pub(crate) struct Difference {
    /// What a test judges: [`crate::target::Target::judge`].
    pub(crate) point: &'static str,
    /// The test.
    pub(crate) test: &'static str,
    /// What AWS documents, or [`UNDOCUMENTED`].
    pub(crate) documented: &'static str,
    /// The page that says it, or that does not say it.
    pub(crate) page: &'static str,
    pub(crate) embedded: &'static str,
    pub(crate) ministack: &'static str,
    /// Who is right.
    pub(crate) right: &'static str,
}

/// Every row.
pub(crate) fn all() -> &'static [Difference] {
    static ALL: OnceLock<Vec<Difference>> = OnceLock::new();
    ALL.get_or_init(|| {
        let lines = PAGE.lines().skip_while(|line| !line.starts_with(HEAD)).skip(2);
        lines.take_while(|line| line.starts_with('|')).map(row).collect()
    })
}

/// The difference at a point, if one is known.
pub(crate) fn of(point: &str) -> Option<&'static Difference> {
    all().iter().find(|row| row.point == point)
}

fn row(line: &'static str) -> Difference {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let cells: [&str; COLUMNS] = cells.try_into().unwrap_or_else(|_| panic!("not six cells: {line}"));
    let [point, test, documented, embedded, ministack, right] = cells;
    let (documented, page) = documented.trim_start_matches('[').split_once("](").unwrap();
    Difference {
        point: point.trim_matches('`'),
        test: test.trim_matches('`'),
        documented,
        page: page.trim_end_matches(')'),
        embedded,
        ministack,
        right,
    }
}
