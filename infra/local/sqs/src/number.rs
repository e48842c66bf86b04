//! Numbers of message attributes: which text SQS takes for one, and the text it keeps. Never computes with them.
//! Source: the developer guide, "Message attribute data types".

/// Digits that a number may have, leading and trailing zeros not counted.
const DIGITS: usize = 38;
/// A number lies between 10 to the power of these two, or is zero.
const LEAST_EXPONENT: i64 = -128;
const GREATEST_EXPONENT: i64 = 126;

/// The number in a text as SQS keeps it, without leading and trailing zeros; `None` if SQS does not take it for one.
/// Sign and exponent stay as they were given.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => text.split_at_checked(at)?,
        None => (text, ""),
    };
    let power: i64 = match exponent.get(1..) {
        Some(power) => power.parse::<i32>().ok()?.into(),
        None => 0,
    };
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let sign = mantissa.strip_suffix(unsigned)?;
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if !is_in_range(whole, fraction, power) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}{exponent}"))
}

/// Whether a number without its outer zeros has few enough digits and is neither too small nor too large.
fn is_in_range(whole: &str, fraction: &str, power: i64) -> bool {
    let all = format!("{whole}{fraction}");
    let digits = all.trim_matches('0');
    if digits.is_empty() {
        return true;
    }
    let zeros = all.len() - all.trim_start_matches('0').len();
    let places = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // The exponent of the first digit that is not zero.
    let first = power.saturating_add(places(whole.len()) - places(zeros) - 1);
    let below = first < GREATEST_EXPONENT || (first == GREATEST_EXPONENT && digits == "1");
    digits.len() <= DIGITS && first >= LEAST_EXPONENT && below
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_kept_without_its_outer_zeros() {
        for (given, kept) in [
            ("-007.50", "-7.5"),
            ("0", "0"),
            ("000", "0"),
            ("+1", "+1"),
            ("100", "100"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.0010", "0.001"),
            ("-12.50e3", "-12.5e3"),
            ("1E-5", "1E-5"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(kept), "{given}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", ".", "e5", "1e", "one", "1 ", "1,5", "--1", "1.2.3", "1e1.5", "NaN", "inf", "٣",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_has_at_most_38_digits_and_lies_between_its_bounds() {
        assert!(canonical(&"1".repeat(38)).is_some() && canonical(&"1".repeat(39)).is_none());
        assert!(canonical(&format!("{}{}", "1".repeat(38), "0".repeat(20))).is_some());
        for (inside, outside) in [
            ("1e126", "1.1e126"),
            ("1e126", "1e127"),
            ("1e-128", "9.9e-129"),
            ("0e999", "1e999"),
        ] {
            assert!(
                canonical(inside).is_some() && canonical(outside).is_none(),
                "{inside} {outside}"
            );
        }
    }

    proptest! {
        #[test]
        fn to_be_kept_changes_no_value_and_only_once(text in r"[+-]?0{0,3}[0-9]{1,9}(\.[0-9]{0,9}0{0,3})?(e[+-]?[0-9]{1,2})?") {
            let kept = canonical(&text).unwrap();
            prop_assert_eq!(kept.parse::<f64>().unwrap(), text.parse::<f64>().unwrap());
            prop_assert_eq!(canonical(&kept), Some(kept));
        }
    }
}
