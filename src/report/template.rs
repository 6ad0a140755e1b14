//! Templates that are part of the program: rendered with escaping by their name (`.html`, `.xml`),
//! and strict, so that a name the template asks for and the page lacks is found by the first test
//! and not by a reader. What pages share (their style, a table, a chart, the foot) is included by
//! name.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// Renders `source`; the name decides how values are escaped.
pub(super) fn render(name: &'static str, source: &'static str, page: &impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Lines that hold a block only leave no blank line behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters differ from each other"));
    for (shared, text) in SHARED {
        environment.add_template(shared, text).expect("a template of the program, tested with its pages");
    }
    environment
        .render_named_str(name, source, Serde(page))
        .expect("the template and its page are both part of the program, and tested together")
}

/// What pages include.
const SHARED: [(&str, &str); 4] = [
    ("page.css", include_str!("page.css")),
    ("chart.html.j2", include_str!("chart.html.j2")),
    ("footer.html.j2", include_str!("footer.html.j2")),
    ("sheet.html.j2", include_str!("sheet.html.j2")),
];
