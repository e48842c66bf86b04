//! A number and what it counts, for the sentences that people read. Never decides anything.

/// A number of things in English: `1 delivery`, `2 deliveries`, `0 deliveries`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        let said = |count| counted(count, "delivery", "deliveries");
        assert_eq!(
            [said(0), said(1), said(2)],
            ["0 deliveries", "1 delivery", "2 deliveries"]
        );
    }
}
