//! A person with a browser that has cookies and no script, who signs the display in.

use std::collections::BTreeMap;

use reqwest::{Client, Response, redirect};
use url::Url;

use crate::program::PATIENCE;

/// A person; whoever it is, the provider knows no passwords.
pub(super) struct Person {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Person {
    pub(super) fn new() -> Self {
        Self { http: http(), cookies: BTreeMap::new() }
    }

    /// Types a code at the provider, compares it, says yes, and signs in.
    pub(super) async fn approve(&mut self, issuer: &str, code: &str) {
        let place = Url::parse(issuer).unwrap().join("/device").unwrap();
        let (_, page) = self.goes_to(place.clone()).await;
        let (_, page) =
            self.posts(place.clone(), &[("xsrf", proof(&page)), ("user_code", code)]).await;
        assert!(page.contains(code), "the provider shows the code to be compared: {page}");
        let yes = [("xsrf", proof(&page)), ("user_code", code), ("confirm", "yes")];
        let (place, page) = self.posts(place, &yes).await;
        assert!(page.contains("name=\"login\""), "it asks who it is: {page}");
        let (_, page) = self.posts(place, &[("login", "ada")]).await;
        assert!(page.contains("Signed in"), "{page}");
    }

    async fn goes_to(&mut self, place: Url) -> (Url, String) {
        let reply = self.http.get(place.clone()).header("cookie", self.crumbs()).send().await;
        self.arrives(place, reply.unwrap()).await
    }

    async fn posts(&mut self, place: Url, form: &[(&str, &str)]) -> (Url, String) {
        let request = self.http.post(place.clone()).header("cookie", self.crumbs()).form(form);
        let reply = request.send().await.unwrap();
        self.arrives(place, reply).await
    }

    /// Follows where a reply leads, as a browser does.
    async fn arrives(&mut self, place: Url, reply: Response) -> (Url, String) {
        for line in reply.headers().get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        match reply.headers().get("location") {
            Some(next) => {
                let next = place.join(next.to_str().unwrap()).unwrap();
                Box::pin(self.goes_to(next)).await
            }
            None => (place, reply.text().await.unwrap()),
        }
    }

    fn crumbs(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

/// Returns an HTTP client that follows no redirect and uses no proxy.
pub(super) fn http() -> Client {
    // A second start in one process finds it installed; that is what is wanted.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().redirect(redirect::Policy::none()).no_proxy();
    http.timeout(PATIENCE).build().unwrap()
}

/// Returns what a page's form proves its origin with.
fn proof(page: &str) -> &str {
    let rest = page.split_once("name=\"xsrf\" value=\"").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("no form in {page}"))
}
