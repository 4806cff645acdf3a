//! What may be meant by a name that does not exist.

/// The candidate with the smallest edit distance, if it is near enough to be a slip of the pen.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let allowed = |candidate: &str| 1 + candidate.len().min(name.len()) / 4;
    candidates
        .map(|candidate| {
            let whole = distance(name, candidate);
            // The right name in the wrong place counts as near.
            let distance = if last(name) == last(candidate) { whole.min(1) } else { whole };
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(128).collect(), b.chars().take(128).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, &above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ports", "port", 1)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["limits.max_sockets", "select.ports", "print"];
        assert_eq!(nearest("limits.max_socket", names.into_iter()), Some("limits.max_sockets"));
        assert_eq!(nearest("ports", names.into_iter()), Some("select.ports"));
        assert_eq!(nearest("prnt", names.into_iter()), Some("print"));
        assert_eq!(nearest("something.else", names.into_iter()), None);
    }
}
