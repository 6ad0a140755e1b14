//! `regstorm explain`: what a response code, a finding, a loop or a status means.

use super::failure::{Exit, Failure};
use super::output::{print, width};
use crate::cli::ExplainArgs;
use crate::diagnose::explain;
use crate::report::explanation;

pub(super) fn execute(args: &ExplainArgs) -> Result<Exit, Failure> {
    let texts = explain::explain(&args.name).map_err(|nearest| unknown(&args.name, &nearest))?;
    print(&if args.json { explanation::render_json(&texts) } else { explanation::render(&texts, width()) })?;
    Ok(Exit::Success)
}

fn unknown(name: &str, nearest: &[String]) -> Failure {
    let names = match nearest {
        [] => "give a response code like 403, timeout, or the id of a finding like limit.concurrent".to_owned(),
        [one] => format!("did you mean {one}?"),
        several => format!("the nearest known names are {}", several.join(", ")),
    };
    Failure::usage(format!("nothing is known of \"{name}\"; {names}"))
}
