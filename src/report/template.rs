//! Templates that are part of the program: rendered with escaping by their name (`.html`, `.xml`), and strict, so that
//! a name the template asks for and the page lacks is found by the first test and not by a reader.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// Renders `source`; the name decides how values are escaped.
pub fn render(name: &'static str, source: &'static str, page: &impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Lines that hold a block only leave no blank line behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters differ from each other"));
    environment
        .render_named_str(name, source, Serde(page))
        .expect("the template and its page are both part of the program, and tested together")
}
