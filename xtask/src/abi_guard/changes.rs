//! `CHANGES.md`: how the first description became today's, step by step.
//!
//! An entry is a heading that says why, and the facts that went (`-`) and came (`+`), indented; a
//! fact that changed went and came. Any other line is prose.

use crate::Result;

use super::facts::{Facts, breaks};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Growth,
    Incompatible,
}

const KINDS: [(Kind, &str); 2] = [(Kind::Growth, "Growth"), (Kind::Incompatible, "Incompatible")];

#[derive(Debug)]
pub struct Entry {
    pub kind: Kind,
    pub why: String,
    /// "+ constant MFA_X = 1", in the order in which they are made.
    pub changes: Vec<String>,
}

impl Entry {
    pub fn text(&self) -> String {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, name)| name);
        let lines: String = self.changes.iter().map(|change| format!("    {change}\n")).collect();
        format!("## {kind}: {}\n\n{lines}", self.why)
    }
}

pub fn read(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            entries.push(begin(heading)?);
        } else if let Some(change) = line.strip_prefix("    ").filter(|l| l.starts_with(['+', '-'])) {
            let entry = entries.last_mut().ok_or(format!("'{change}' stands under no heading"))?;
            entry.changes.push(change.to_owned());
        }
    }
    Ok(entries)
}

fn begin(heading: &str) -> Result<Entry> {
    let (name, why) = heading.split_once(": ").unwrap_or((heading, ""));
    let kind = KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
    let kind =
        kind.ok_or(format!("'## {heading}' is neither '## Growth: WHY' nor '## Incompatible: WHY'"))?;
    Ok(Entry { kind, why: why.trim().to_owned(), changes: Vec::new() })
}

/// What went, and what came.
pub fn between(before: &Facts, now: &Facts) -> Vec<String> {
    let went = before.without(now).into_iter().map(|fact| format!("- {fact}"));
    went.chain(now.without(before).into_iter().map(|fact| format!("+ {fact}"))).collect()
}

/// What `first` is after all the changes. What breaks programs must say that it does.
pub fn replay(first: &Facts, entries: &[Entry]) -> Result<Facts> {
    let mut facts = first.clone();
    for entry in entries {
        let before = facts.clone();
        if entry.why.is_empty() {
            return Err("an entry does not say why".to_owned());
        }
        for change in &entry.changes {
            match change.split_at(1) {
                ("+", fact) => facts.add(fact.trim()),
                (_, fact) => facts.remove(fact.trim()),
            }
            .map_err(|why| format!("'{}': {why}", entry.why))?;
        }
        let breaks = breaks(&before, &facts);
        if entry.kind == Kind::Growth && !breaks.is_empty() {
            return Err(format!("'{}' is incompatible, not growth\n  {}", entry.why, breaks.join("\n  ")));
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "constant MFA_ONE = 1\nstruct mfa_x = 8|8 bytes, aligned to 4|4\n\
                         field mfa_x.struct_size = uint32_t at 0|0\nfield mfa_x.a = uint32_t at 4|4\n";

    fn replayed(changes: &str) -> Result<Facts> {
        replay(&Facts::read(FIRST).unwrap(), &read(changes)?)
    }

    #[test]
    fn the_first_description_and_its_changes_make_today_s() {
        let grown = "# What changed\nprose\n\n## Growth: a second\n\nMore prose.\n\n    + constant MFA_TWO = 2\n\n\
                     ## Growth: a field\n\n    - struct mfa_x = 8|8 bytes, aligned to 4|4\n\
                     \x20   + struct mfa_x = 12|12 bytes, aligned to 4|4\n\
                     \x20   + field mfa_x.b = uint32_t at 8|8\n";
        let now = replayed(grown).unwrap();
        assert_eq!(between(&Facts::read(FIRST).unwrap(), &now).len(), 4);
        let entry = Entry {
            kind: Kind::Growth,
            why: "all".into(),
            changes: between(&Facts::read(FIRST).unwrap(), &now),
        };
        assert_eq!(replayed(&entry.text()).unwrap(), now);
    }

    #[test]
    fn what_breaks_says_so() {
        let renumbered = "    - constant MFA_ONE = 1\n    + constant MFA_ONE = 2\n";
        assert!(replayed(&format!("## Growth: no\n{renumbered}")).unwrap_err().contains("incompatible"));
        assert!(replayed(&format!("## Incompatible: before the first release\n{renumbered}")).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for changes in [
            "## Growth: twice\n    + constant MFA_ONE = 1\n",
            "## Incompatible: never there\n    - constant MFA_NONE = 1\n",
            "## Incompatible: another value\n    - constant MFA_ONE = 3\n",
            "## Growth:\n    + constant MFA_TWO = 2\n",
            "## A heading of no kind: why\n",
            "    + constant MFA_TWO = 2\n",
            "## Growth: no fact\n    + MFA_TWO\n",
        ] {
            assert!(replayed(changes).is_err(), "{changes}");
        }
    }
}
