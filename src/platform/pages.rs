//! From page to page, to an end that exists.
//!
//! Platforms say in several ways that there is more: a link to the next page, the number of pages,
//! a total. They differ from one another and from what they document, so nothing of it is trusted
//! alone: a page that was had already, an empty one, a link to a page that was asked for already
//! and one beyond the last page each end it.

use serde_json::Value;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The pages of one answer.
#[derive(Debug)]
pub struct Paging {
    /// Paths that were asked for.
    asked: HashSet<String>,
    /// Digests of pages that came.
    came: HashSet<u64>,
    rows: u64,
    page: u64,
}

/// What comes after a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AfterPage {
    /// Asked for by the link that the platform gave: path and query.
    Link(String),
    /// Asked for by its number.
    Number(u64),
    /// It was the last one.
    End,
    /// It came before, and its rows are not counted again.
    Again,
    /// It ends here, and the platform had said that there would be more.
    Short { rows: u64, total: u64 },
}

/// What a page says of the others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct PageFacts {
    next: Option<String>,
    pages: Option<u64>,
    total: Option<u64>,
}

/// No answer has as many; a platform that goes on all the same goes round.
const MOST_PAGES: u64 = 10_000;

impl Paging {
    /// Begins with the question that is asked first.
    pub fn new(first: &str) -> Paging {
        Paging { asked: HashSet::from([first.to_owned()]), came: HashSet::new(), rows: 0, page: 1 }
    }

    /// Takes a page with so many rows. `host` is the URL that links may lead to.
    pub fn after(&mut self, page: &Value, rows: u64, host: &str) -> AfterPage {
        // The rows alone: a page that comes again may bear another link.
        let mut hasher = DefaultHasher::new();
        let lists = page.as_object().into_iter().flatten().map(|(_, value)| value).chain([page]);
        lists.filter(|value| value.is_array()).for_each(|list| list.to_string().hash(&mut hasher));
        if !self.came.insert(hasher.finish()) && rows > 0 {
            return AfterPage::Again;
        }
        self.rows += rows;
        let facts = PageFacts::of(page);
        if rows == 0 || self.page >= MOST_PAGES || facts.pages.is_some_and(|pages| self.page >= pages) {
            return self.end(&facts);
        }
        let link = facts.next.as_deref().and_then(|link| path_on(link, host));
        if let Some(link) = link.filter(|link| self.asked.insert(link.clone())) {
            self.page += 1;
            return AfterPage::Link(link);
        }
        // Without a link that leads on, the numbers decide.
        let more = match (facts.pages, facts.total) {
            (Some(pages), _) => self.page < pages,
            (None, Some(total)) => self.rows < total,
            (None, None) => false,
        };
        if !more {
            return self.end(&facts);
        }
        self.page += 1;
        AfterPage::Number(self.page)
    }

    fn end(&self, facts: &PageFacts) -> AfterPage {
        match facts.total {
            Some(total) if total > self.rows => AfterPage::Short { rows: self.rows, total },
            _ => AfterPage::End,
        }
    }
}

impl PageFacts {
    fn of(page: &Value) -> PageFacts {
        let next = ["nextUri", "nextPageUri", "nextPage"].iter().find_map(|key| page.get(key)?.as_str());
        let number = |keys: &[&str]| keys.iter().find_map(|key| page.get(key)?.as_u64());
        PageFacts {
            next: next.filter(|link| !link.is_empty()).map(str::to_owned),
            pages: number(&["pageCount"]),
            total: number(&["total", "totalHits", "totalCount"]),
        }
    }
}

/// The path of a link that stays on the host; one that leads elsewhere is none.
fn path_on(link: &str, host: &str) -> Option<String> {
    let path = link.strip_prefix(host).unwrap_or(link);
    path.starts_with('/').then(|| path.to_owned()).filter(|path| !path.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOST: &str = "https://api.example.com";

    fn after(paging: &mut Paging, page: &Value, rows: u64) -> AfterPage {
        let mut page = page.clone();
        page["rows"] = json!([page.get("n")]);
        paging.after(&page, rows, HOST)
    }

    fn paging() -> Paging {
        Paging::new("/logs?page=1")
    }

    #[test]
    fn a_page_without_a_link_is_the_last_however_that_is_written() {
        for last in [json!({}), json!({ "nextUri": null }), json!({ "nextUri": "" }), json!({ "nextPageUri": null })] {
            assert_eq!(after(&mut paging(), &last, 500), AfterPage::End, "{last}");
        }
    }

    #[test]
    fn links_are_followed_to_an_end_even_where_they_lead_round() {
        let mut round = paging();
        let link = |path: &str, n: u64| json!({ "nextUri": path, "n": n });
        assert_eq!(after(&mut round, &link("/logs?page=2", 1), 5), AfterPage::Link("/logs?page=2".to_owned()));
        // The page points at itself.
        assert_eq!(after(&mut round, &link("/logs?page=2", 2), 5), AfterPage::End);
        let mut back = paging();
        after(&mut back, &link("/logs?page=2", 1), 5);
        assert_eq!(after(&mut back, &link("/logs?page=1", 2), 5), AfterPage::End);
    }

    #[test]
    fn a_page_that_came_before_is_not_counted_again() {
        let mut repeated = paging();
        let page = |link: &str| json!({ "nextUri": link, "n": "the same rows" });
        assert_eq!(after(&mut repeated, &page("/logs?page=2"), 2), AfterPage::Link("/logs?page=2".to_owned()));
        assert_eq!(after(&mut repeated, &page("/logs?page=3"), 2), AfterPage::Again);
    }

    #[test]
    fn a_link_beyond_the_last_page_and_an_empty_page_end_it() {
        let mut beyond = paging();
        let page = json!({ "nextUri": "/logs?page=2", "pageCount": 1 });
        assert_eq!(after(&mut beyond, &page, 5), AfterPage::End);
        let mut empty = paging();
        assert_eq!(after(&mut empty, &json!({ "nextUri": "/logs?page=2" }), 0), AfterPage::End);
    }

    #[test]
    fn numbers_decide_where_the_link_is_missing_in_between() {
        let mut counted = paging();
        assert_eq!(after(&mut counted, &json!({ "pageCount": 3, "n": 1 }), 5), AfterPage::Number(2));
        assert_eq!(after(&mut counted, &json!({ "pageCount": 3, "n": 2 }), 5), AfterPage::Number(3));
        assert_eq!(after(&mut counted, &json!({ "pageCount": 3, "n": 3 }), 5), AfterPage::End);
        let mut total = paging();
        assert_eq!(after(&mut total, &json!({ "total": 7, "n": 1 }), 5), AfterPage::Number(2));
        assert_eq!(after(&mut total, &json!({ "total": 7, "n": 2 }), 0), AfterPage::Short { rows: 5, total: 7 });
    }

    #[test]
    fn a_link_to_another_host_is_not_followed() {
        for elsewhere in ["https://evil.example/logs", "//evil.example/logs", "ftp:x"] {
            assert_eq!(after(&mut paging(), &json!({ "nextUri": elsewhere }), 5), AfterPage::End, "{elsewhere}");
        }
        let own = json!({ "nextUri": "https://api.example.com/logs?page=2" });
        assert_eq!(after(&mut paging(), &own, 5), AfterPage::Link("/logs?page=2".to_owned()));
    }

    #[test]
    fn a_platform_that_never_ends_is_left() {
        let mut paging = paging();
        let ends = (0..2 * MOST_PAGES).find(|n| {
            let page = json!({ "nextUri": format!("/logs?page={n}x"), "n": n });
            after(&mut paging, &page, 5) == AfterPage::End
        });
        assert_eq!(ends, Some(MOST_PAGES - 1));
    }
}
