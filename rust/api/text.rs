//! The rule for a message's text.

/// Code points.
const LONGEST: usize = 4_096;
/// What C's `isspace` takes for white space; Rust's `is_ascii_whitespace` leaves out the vertical tab.
const WHITESPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// The text without the white space around it, or the sentences that say which rules it breaks.
pub fn check(text: &str) -> Result<&str, Vec<&'static str>> {
    let text = text.trim_matches(WHITESPACE);
    let mut broken = Vec::new();
    if text.is_empty() {
        broken.push("Must not be empty");
    }
    // No text has more code points than bytes; most need not be counted.
    if text.len() > LONGEST && text.chars().count() > LONGEST {
        broken.push("Must be at most 4096 characters long");
    }
    if text.bytes().any(|byte| byte < b' ' && !b"\n\r\t".contains(&byte)) {
        broken.push("Must not contain control characters");
    }
    if broken.is_empty() { Ok(text) } else { Err(broken) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_code_points_not_bytes() {
        let longest = "й".repeat(4_096);
        assert_eq!(check(&longest), Ok(longest.as_str()));
        assert_eq!(check(&format!("{longest}й")), Err(vec!["Must be at most 4096 characters long"]));
    }

    #[test]
    fn trims_ascii_white_space_only() {
        assert_eq!(check(" \x0b\x0c\r\n\t a b \t"), Ok("a b"));
        assert_eq!(check("\u{a0}"), Ok("\u{a0}"));
        assert_eq!(check(" \n "), Err(vec!["Must not be empty"]));
    }

    #[test]
    fn says_every_broken_rule() {
        let text = format!("\0{}", "x".repeat(4_096));
        assert_eq!(check(&text).unwrap_err().len(), 2);
    }

    proptest! {
        #[test]
        fn what_passes_is_trimmed_bounded_and_free_of_controls(text in any::<String>()) {
            if let Ok(kept) = check(&text) {
                prop_assert!(!kept.is_empty() && kept.chars().count() <= 4_096 && text.contains(kept));
                prop_assert!(!kept.starts_with(WHITESPACE) && !kept.ends_with(WHITESPACE));
                prop_assert!(kept.chars().all(|c| c >= ' ' || ['\n', '\r', '\t'].contains(&c)));
            }
        }
    }
}
