//! Version comparison: dot-separated numbers, missing ones count as 0.

/// True when `offered` is newer than `running`.
#[must_use]
pub fn is_newer(offered: &str, running: &str) -> bool {
    let numbers = |text: &str, at: usize| -> u64 {
        let part = text.split('.').nth(at).unwrap_or("0");
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        part[..digits].parse().unwrap_or(0)
    };
    let length = offered.split('.').count().max(running.split('.').count());
    for at in 0..length {
        let (new, old) = (numbers(offered, at), numbers(running, at));
        if new != old {
            return new > old;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        assert!(is_newer("1.10.0", "1.9.9") && is_newer("1.6", "1.5.9") && is_newer("2", "1.99.99"));
        assert!(!is_newer("1.5.9", "1.5.9") && !is_newer("1.5", "1.5.0") && !is_newer("1.5.8", "1.5.9"));
        assert!(!is_newer("", "1") && !is_newer("..", "0.0.0") && !is_newer("x", "1"));
    }
}
