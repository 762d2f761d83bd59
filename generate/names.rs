//! How the code table's names and texts read in what is generated.

use super::codes::Entry;

/// MFA_ERR_TOKEN_EXPIRED → TokenExpired.
pub fn camel(name: &str) -> String {
    let words = name.trim_start_matches("MFA_").trim_start_matches("ERR_").split('_');
    words.map(|w| w[..1].to_owned() + &w[1..].to_lowercase()).collect()
}

pub fn message(entry: &Entry) -> String {
    format!("{} {}", entry.meaning, entry.remedy)
}
