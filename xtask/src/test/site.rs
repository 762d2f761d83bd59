//! The documentation's site: it builds without a warning, and no link in it leads nowhere.

use super::report::Report;
use super::{Context, Step, step};
use crate::{Result, docs};

pub fn steps() -> Vec<Step> {
    vec![step("docs", "docs-site", site)]
}

fn site(context: &Context, report: &mut Report) -> Result {
    let Some(python) = docs::environment(context.options.setup)? else {
        report.skip("docs", "Sphinx is not installed: run it once with --setup");
        return Ok(());
    };
    report.check("the site builds, and its links lead somewhere", docs::build(&python).map(drop));
    Ok(())
}
