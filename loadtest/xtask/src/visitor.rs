//! A person with a browser, in a few lines: signs in through the pages and calls APIs.

use std::collections::BTreeMap;

use tokenward_programs::http::{Answer, Caller};

use crate::stage::SAME_ORIGIN;

/// How many redirects and pages a sign-in may take: the longest seen takes seven.
const STEPS_MAX: usize = 16;

/// A browser that keeps its cookies by host, as the cookie rules of RFC 6265 make ports share.
#[derive(Debug)]
pub(crate) struct Visitor {
    caller: Caller,
    gateway: String,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// Makes a visitor of the gateway at an origin such as `http://127.0.0.1:8080`.
    pub(crate) fn new(gateway: &str) -> Self {
        Self { caller: Caller::new(), gateway: gateway.to_owned(), cookies: BTreeMap::new() }
    }

    /// Signs in, filling each form with what it offers and `login` as the account.
    ///
    /// # Errors
    /// Where the sign-in got stuck; the text holds no secret.
    pub(crate) fn sign_in(&mut self, login: &str) -> Result<(), String> {
        self.walk("/auth/login?return_to=/", login)
    }

    /// Goes to a path of the gateway and on through all pages until the gateway's front page,
    /// filling each form with what it offers and `typed` where something is to be typed.
    ///
    /// # Errors
    /// Where the way got stuck; the text holds no secret.
    pub(crate) fn walk(&mut self, path: &str, typed: &str) -> Result<(), String> {
        self.walk_to("/", path, typed)
    }

    /// Goes from a path of the gateway as [`Visitor::walk`] does, until another of its paths.
    ///
    /// # Errors
    /// Where the way got stuck; the text holds no secret.
    pub(crate) fn walk_to(&mut self, end: &str, path: &str, typed: &str) -> Result<(), String> {
        let mut url = format!("{}{path}", self.gateway);
        let mut form = None;
        for _ in 0..STEPS_MAX {
            let answer = self.step(&url, form.take())?;
            if let Some(next) = answer.header("location") {
                url = resolve(&url, next);
                if url.strip_prefix(&self.gateway) == Some(end) {
                    return Ok(());
                }
                continue;
            }
            let Some(found) = Form::first_in(&answer.body) else {
                // The query of a sign-in address holds codes and states: only the path is told.
                let place = url.split('?').next().unwrap_or_default();
                return Err(format!("{place} answered {} without a form to go on", answer.status));
            };
            url = resolve(&url, &found.action);
            form = Some(found.filled(typed));
        }
        Err(format!("the way took more than {STEPS_MAX} steps"))
    }

    /// Calls a path of the gateway with the session's cookie.
    ///
    /// # Errors
    /// The transport's words when no answer came.
    pub(crate) fn call(&self, path: &str) -> Result<Answer, String> {
        let cookie = self.cookie();
        self.caller.fetch(&format!("{}{path}", self.gateway), &[("cookie", &cookie)])
    }

    /// Returns the cookies as a request sends them.
    pub(crate) fn cookie(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn step(&mut self, url: &str, form: Option<Vec<(String, String)>>) -> Result<Answer, String> {
        let cookie = self.cookie();
        let origin = origin(url);
        let mut headers = vec![("accept", "text/html")];
        if !cookie.is_empty() {
            headers.push(("cookie", &cookie));
        }
        let answer = match form {
            None => self.caller.fetch(url, &headers)?,
            Some(fields) => {
                headers.extend([("origin", origin), SAME_ORIGIN]);
                self.caller.post_form(url, &headers, &fields)?
            }
        };
        self.keep_cookies(&answer);
        Ok(answer)
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        let set =
            answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        for line in set {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if value.is_empty() || line.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name.trim());
            } else {
                self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

/// An HTML form with its fields as offered.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
    /// The input that the page leaves to the person, where there is one.
    empty: Option<String>,
}

impl Form {
    /// Reads the first form of a page: its text and hidden inputs, and its first named button.
    fn first_in(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form")?;
        let (head, rest) = rest.split_once('>')?;
        let body = rest.split_once("</form").map_or(rest, |(body, _)| body);
        let mut form = Self {
            action: attribute(head, "action").unwrap_or_default(),
            fields: Vec::new(),
            empty: None,
        };
        let mut pressed = false;
        for tag in body.split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag) {
            let button = tag.starts_with("button");
            if !(tag.starts_with("input") || button && !pressed) {
                continue;
            }
            let Some(name) = attribute(tag, "name") else {
                continue;
            };
            pressed |= button;
            match attribute(tag, "value") {
                Some(value) if !value.is_empty() || button => form.fields.push((name, value)),
                Some(_) | None => form.empty = form.empty.or(Some(name)),
            }
        }
        Some(form)
    }

    fn filled(self, login: &str) -> Vec<(String, String)> {
        let mut fields = self.fields;
        fields.extend(self.empty.map(|name| (name, login.to_owned())));
        fields
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&#38;", "&").replace("&quot;", "\"").replace("&amp;", "&"))
}

fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Completes a link found at `base`; an empty link means the page itself.
fn resolve(base: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    match link {
        "" => base.to_owned(),
        _ if link.starts_with('/') => format!("{}{link}", origin(base)),
        _ => {
            let path = base.split('?').next().unwrap_or(base);
            let folder = path.rfind('/').map_or(path, |at| &path[..=at]);
            format!("{folder}{link}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_completed_as_a_browser_does() {
        let page = "http://127.0.0.1:8080/a/b?x=1/2";
        for (link, whole) in [
            ("http://other/z", "http://other/z"),
            ("/c?d=e", "http://127.0.0.1:8080/c?d=e"),
            ("c", "http://127.0.0.1:8080/a/c"),
            ("", page),
        ] {
            assert_eq!(resolve(page, link), whole);
        }
    }

    #[test]
    fn a_form_is_filled_with_what_it_offers_and_the_account() {
        let page = r#"<p><form method="post" action="/u?a=1&amp;b=2">
            <input type="hidden" name="state" value="s&quot;1"><input type="text" name="username" value="">
            <button name="action" value="in">Sign in</button><button name="action" value="out">No</button>
            </form>"#;
        let form = Form::first_in(page).unwrap();
        assert_eq!(form.action, "/u?a=1&b=2");
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            form.filled("ada"),
            [field("state", "s\"1"), field("action", "in"), field("username", "ada")]
        );
        assert_eq!(Form::first_in("<p>no form</p>"), None);
    }
}
