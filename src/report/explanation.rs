//! An explanation as text for a terminal: wrapped, a cause per paragraph.

use super::json;
use crate::diagnose::explain::Explanation;

/// The widest line, in characters, where the terminal is not narrower.
pub const WIDTH: usize = 100;

/// Renders everything a name stands for, one after another, in lines of this width.
pub fn render(texts: &[Explanation], width: usize) -> String {
    texts.iter().map(|text| one(text, width)).collect::<Vec<_>>().join("\n")
}

/// Explanations as JSON: a list, as a name may stand for several things.
pub fn render_json(texts: &[Explanation]) -> String {
    json::text(json::pretty(&texts))
}

fn one(text: &Explanation, width: usize) -> String {
    let mut out = format!("{} ({}): {}\n\n", text.name, text.topic.as_str(), text.title);
    out.push_str(&wrap(&text.meaning, "  ", "  ", width));
    out.push_str("\nlikely causes\n");
    for cause in &text.causes {
        out.push_str(&labelled(&cause.when, &cause.what, width));
    }
    out.push_str("\nwhere to look\n");
    for place in &text.look_at {
        out.push_str(&labelled(&place.system, &place.what, width));
    }
    if !text.ask.is_empty() {
        out.push_str("\nask whoever runs the registrar\n");
        out.push_str(&wrap(&text.ask, "      ", "      ", width));
    }
    if !text.rivals.is_empty() {
        out.push_str("\nwhat else would look like it, what excludes that, and the test\n");
    }
    for rival in &text.rivals {
        out.push_str(&labelled(&rival.cause, &rival.excluded_by, width));
        out.push_str(&wrap(&format!("test: {}", rival.test), "      ", "      ", width));
    }
    out
}

/// A label, and what belongs to it indented below.
fn labelled(label: &str, text: &str, width: usize) -> String {
    format!("  {label}:\n{}", wrap(text, "      ", "      ", width))
}

/// A line of a list, with its label before it; what does not fit goes on below the text.
pub fn line_with_label(label: &str, text: &str, width: usize) -> String {
    wrap(text, &format!("{label:<14}"), &" ".repeat(14), width)
}

/// Breaks a text between words so that no line is wider than this, unless a single word is.
pub fn wrap(text: &str, first: &str, rest: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(&line);
            out.push('\n');
            line = rest.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&line);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::explain::{all, explain};
    use proptest::prelude::*;

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for text in all() {
            let rendered = one(&text, WIDTH);
            let wide = rendered.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{}", text.name);
        }
    }

    #[test]
    fn a_name_of_two_things_shows_both() {
        let text = render(&explain("401").expect("known"), WIDTH);
        assert!(text.starts_with("401 (response): ") && text.contains("\n401 (loop): "), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&render_json(&explain("403").expect("known"))).expect("JSON");
        assert_eq!(json[0]["topic"], "response");
        assert_eq!(json[0]["causes"][0]["when"], "before any challenge");
        assert_eq!(json[0]["look_at"][1]["system"], "Asterisk PJSIP");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word_in_order(text in "[a-z ]{0,400}") {
            let wrapped = wrap(&text, "  ", "    ", WIDTH);
            prop_assert!(text.split_whitespace().eq(wrapped.split_whitespace()));
            prop_assert!(wrapped.lines().all(|line| line.len() <= WIDTH || line.split_whitespace().count() <= 1));
        }
    }
}
