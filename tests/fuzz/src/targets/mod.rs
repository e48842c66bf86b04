//! One file a target.

pub(crate) mod api;
pub(crate) mod cursor;
pub(crate) mod envelope;
pub(crate) mod field;
pub(crate) mod record;
pub(crate) mod response;
pub(crate) mod retry_after;
pub(crate) mod schema;
pub(crate) mod template;
pub(crate) mod url;

/// The inputs of that many texts.
fn inputs<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<Vec<u8>> {
    texts
        .into_iter()
        .map(|text| text.as_ref().as_bytes().to_vec())
        .collect()
}

/// The first column of a corpus of `tests/data` whose cells are JSON string content, of the rows that `wanted` takes.
fn column(file: &str, n: usize, wanted: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let rows = crate::data(file);
    let rows = rows.lines().map(|row| row.split('\t').collect::<Vec<_>>());
    let cells = rows
        .filter(|row| row.len() > n && wanted(row))
        .map(|row| row[n].to_owned());
    // A cell that says how often a text is repeated stays as it is: fuzzing repeats by itself.
    cells
        .filter_map(|cell| serde_json::from_str(&format!("\"{cell}\"")).ok())
        .collect()
}
