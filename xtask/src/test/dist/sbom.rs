//! The SBOM, judged by CycloneDX' own schema, and each licence by the list of SPDX.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::report::Report;
use crate::dist::tools;
use crate::process;
use crate::{Result, files, workspace};

/// CycloneDX' own library; it brings the schema, and SPDX' list with it.
const JUDGE: &str = "\
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing
text = open(sys.argv[1], encoding='utf-8').read()
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if error is not None:
    sys.exit(f'the schema: {error}'[:1000])
bom, spdx = json.loads(text), get_spdx_licensing()
for component in [bom['metadata']['component'], *bom['components']]:
    licences = [one.get('expression', '') for one in component.get('licenses', [])]
    if not licences or any(spdx.validate(one).errors or not one for one in licences):
        sys.exit(f'the licences of {component[\"name\"]}: {licences}')
";

pub fn check(file: &Path, report: &mut Report) -> Result {
    let text = files::read(file)?;
    let bom: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    report.check("the SBOM names what is linked in", names_what_is_linked(&bom));
    report.check("the SBOM: the schema of CycloneDX 1.5, and a licence of SPDX for each", judge(&bom));
    for (what, mistake, told) in MISTAKES {
        let mut wrong = bom.clone();
        mistake(&mut wrong);
        report.check(&format!("the SBOM with {what} is refused"), refused(&wrong, told));
    }
    Ok(())
}

/// What it is, how it is made, and what the refusal has to say.
type Mistake = (&'static str, fn(&mut Value), &'static str);

const MISTAKES: &[Mistake] = &[
    (
        "a component of a kind that there is not",
        |bom| bom["components"][0]["type"] = json!("crate"),
        "the schema",
    ),
    ("a property that there is not", |bom| bom["components"][0]["licence"] = json!("MIT"), "the schema"),
    ("a component without a licence", |bom| bom["components"][0]["licenses"] = json!([]), "the licences"),
    (
        "a licence that SPDX does not know",
        |bom| bom["components"][0]["licenses"] = json!([{ "expression": "Nonsense-1.0" }]),
        "the licences",
    ),
];

fn judge(bom: &Value) -> Result {
    let file = workspace::scratch("sbom")?.join("judged.cdx.json");
    files::write(&file, &bom.to_string())?;
    process::output(Command::new(tools::program("python")?).args(["-c", JUDGE]).arg(&file)).map(drop)
}

fn refused(bom: &Value, told: &str) -> Result {
    match judge(bom) {
        Ok(()) => Err("it was not".to_owned()),
        Err(why) if why.contains(told) => Ok(()),
        Err(why) => Err(format!("for another reason: {why}")),
    }
}

fn names_what_is_linked(bom: &Value) -> Result {
    let names = bom["components"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    let names: BTreeSet<_> = names.collect();
    let missing: Vec<_> = ["ring", "rustls", "ureq-proto", "windows-sys"]
        .into_iter()
        .filter(|name| !names.contains(name))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("without {}", missing.join(", "))) }
}
