//! What a misspelt name was perhaps to be.

/// The nearest of `known`, at most three and the nearest first; none if all are far.
///
/// An argument may follow the name, so its beginnings up to each `-` are looked at, too.
pub(super) fn names(text: &str, known: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let ends = text.match_indices('-').map(|(at, _)| at).chain([text.len()]);
    let beginnings: Vec<_> = ends.map(|end| &text[..end]).collect();
    let rate = |name: &'static str| {
        let best = beginnings.iter().map(|text| distance(text, name)).min()?;
        (best <= (name.len() / 4).max(1)).then_some((best, name))
    };
    let mut near: Vec<_> = known.filter_map(rate).collect();
    near.sort_unstable();
    let least = near.first().map(|(distance, _)| *distance);
    near.into_iter().filter(|(distance, _)| Some(*distance) == least).take(3).map(|(_, name)| name).collect()
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (from, to, count) in
            [("", "abc", 3), ("abc", "abc", 0), ("aprove", "approve", 1), ("dney", "deny", 2)]
        {
            assert_eq!(distance(from, to), count, "{from} {to}");
        }
    }
}
