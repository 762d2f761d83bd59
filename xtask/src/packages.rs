//! Debian packages for `--setup`: installs those that its caller found missing, if it may.

use std::process::Command;

use crate::Result;
use crate::process::{self, Show};

pub fn install(missing: &[&str]) -> Result {
    println!("to be installed: {}", missing.join(" "));
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
        missing.join(" ")
    );
    let rights = if process::find("apt-get").is_none() { None } else { rights()? };
    let Some(rights) = rights else {
        return Err(format!("it may not install packages here; the command is\n  {by_hand}"));
    };
    let apt_get = |words: &[&str]| {
        let mut line = rights.clone();
        line.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(words);
        process::run(&mut command, Show::Live, process::LIMIT * 4)?.expect_success("apt-get")
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], missing].concat())?;
    Ok(())
}

/// What must stand before a command that changes the system; `None`: it may not be changed.
fn rights() -> Result<Option<Vec<&'static str>>> {
    if process::output(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Some(Vec::new()));
    }
    if process::find("sudo").is_none() {
        return Ok(None);
    }
    let asked = process::run(Command::new("sudo").args(["-n", "true"]), Show::Nothing, process::LIMIT)?;
    Ok(asked.success().then(|| vec!["sudo", "-n"]))
}
