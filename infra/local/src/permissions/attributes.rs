//! Which attributes an update names, as AWS tells them to a condition on `dynamodb:Attributes`. One that returns others than
//! it names has [`EVERY`] besides, which no such condition lets through; one that cannot be told is not let through at all.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>

use std::collections::BTreeSet;

use serde_json::Value;

/// What names attributes in an `UpdateItem`, or an `Update` of a transaction.
const EXPRESSIONS: [&str; 2] = ["UpdateExpression", "ConditionExpression"];
/// The older way to say the same.
const LEGACY: [&str; 2] = ["AttributeUpdates", "Expected"];
/// What asks for attributes back.
const RETURNS: [&str; 2] = ["ReturnValues", "ReturnValuesOnConditionCheckFailure"];
/// Words of both languages, whatever their case.
const WORDS: [&str; 9] = ["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"];

/// Every attribute that there is: no name of one.
const EVERY: &str = "*";

/// The top-level attributes of its key and its expressions; `None` if they cannot be told.
pub(super) fn of_update(update: &Value) -> Option<BTreeSet<String>> {
    let is_there = |name: &&str| !update[*name].is_null();
    let returns_all = |name: &&str| update[*name].as_str().is_some_and(|what| what.starts_with("ALL"));
    if LEGACY.iter().any(is_there) {
        return None;
    }
    let mut attributes: BTreeSet<String> = update["Key"].as_object()?.keys().cloned().collect();
    attributes.extend(RETURNS.iter().any(returns_all).then(|| EVERY.to_owned()));
    for text in EXPRESSIONS.iter().filter_map(|name| update[*name].as_str()) {
        for name in names(text) {
            let attribute = match name.strip_prefix('#') {
                Some(_) => update["ExpressionAttributeNames"][name].as_str()?,
                None => name,
            };
            attributes.insert(attribute.to_owned());
        }
    }
    Some(attributes)
}

/// The first name of each path of an expression. A function written apart from its parenthesis counts as a name too, which
/// no role grants.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !c.is_alphanumeric() && !"_:#.[]".contains(c);
    text.split_inclusive(ends).filter_map(move |piece| {
        let is_function = piece.ends_with('(');
        let name = piece.trim_end_matches(ends).split(['.', '[']).next()?;
        let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(name));
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '#' || c == '_');
        (is_name && !is_word && !is_function).then_some(name)
    })
}
