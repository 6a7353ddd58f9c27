//! Debian's Chromium, driven by its chromedriver.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use super::program::{PATIENCE, Program, eventually, tool};

/// A page as a person sees it: the kind of screen and the colours that the person prefers.
#[derive(Clone, Copy)]
pub(super) struct Look {
    name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
    colours: &'static str,
}

/// The looks that every page is shown in.
pub(super) const LOOKS: [Look; 4] = [
    Look { name: "desktop-light", width: 1280, height: 900, phone: false, colours: "light" },
    Look { name: "desktop-dark", width: 1280, height: 900, phone: false, colours: "dark" },
    Look { name: "phone-light", width: 390, height: 844, phone: true, colours: "light" },
    Look { name: "phone-dark", width: 390, height: 844, phone: true, colours: "dark" },
];

/// A browser with a profile of its own.
pub(super) struct Browser {
    pub(super) client: Client,
    /// What it looks like while nobody takes pictures.
    usual: Look,
    _driver: Program,
    _profile: TempDir,
}

/// A line of the browser's console.
#[derive(Clone, Debug)]
pub(super) struct Complaint {
    pub(super) source: String,
    pub(super) text: String,
}

/// A command of Chromium's own beside the WebDriver standard.
#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    pub(super) async fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Program::start(&tool("CHROMEDRIVER"), |command| {
            command.args(["--port=0", "--log-level=SEVERE"]);
            // What a killed browser leaves behind goes with its profile.
            command.env("TMPDIR", profile.path());
        });
        let told = |line: &str| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        };
        let port = driver.line(told).await;
        let folder = format!("--user-data-dir={}", profile.path().display());
        let wanted = json!({
            "browserName": "chrome",
            "timeouts": { "pageLoad": PATIENCE.as_millis(), "script": PATIENCE.as_millis() },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": tool("CHROMIUM"),
                "args": [
                    "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                    // Containers give a browser's own sandbox no user namespaces, and the pages
                    // here are all ours.
                    "--no-sandbox",
                    // By its pipe the browser notices that its driver was killed.
                    "--remote-debugging-pipe",
                    "--no-proxy-server", "--hide-scrollbars", folder,
                ],
            },
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        Self { client, usual: LOOKS[0], _driver: driver, _profile: profile }
    }

    /// Opens one on a telephone.
    pub(super) async fn on_phone() -> Self {
        let browser = Self { usual: LOOKS[2], ..Self::open().await };
        browser.put_on(browser.usual).await;
        browser
    }

    /// Presses what a selector finds, once it is there.
    pub(super) async fn press(&self, selector: &str) {
        let waiting = self.client.wait().at_most(PATIENCE);
        waiting.for_element(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Waits until the browser shows an address.
    pub(super) async fn arrives(&self, url: &str) {
        eventually(&format!("the browser is at {url}"), PATIENCE, async || {
            let place = self.client.current_url().await.unwrap();
            (place.as_str() == url).then_some(())
        })
        .await;
    }

    /// Returns the text of an element.
    pub(super) async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    /// Returns the value of the gateway's cookie.
    pub(super) async fn session_cookie(&self) -> String {
        self.client.get_named_cookie("tokenward").await.unwrap().value().to_owned()
    }

    /// Shows a page in every look: keeps a picture of each, and fails where a page is wider than
    /// its screen.
    pub(super) async fn show(&self, name: &str) {
        for look in LOOKS {
            self.put_on(look).await;
            let size = "return [document.documentElement.scrollWidth, innerWidth, \
                        document.documentElement.scrollHeight]";
            let size = self.client.execute(size, vec![]).await.unwrap();
            assert!(size[0].as_u64() <= size[1].as_u64(), "{name} {}: {size}", look.name);
            let clip = json!({ "x": 0, "y": 0, "width": size[1], "height": size[2], "scale": 1 });
            let ask = json!({ "captureBeyondViewport": true, "clip": clip });
            let picture = self.chromium("Page.captureScreenshot", ask).await.unwrap();
            let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
            std::fs::write(folder().join(format!("{name}-{}.png", look.name)), bytes).unwrap();
        }
        self.put_on(self.usual).await;
    }

    /// Returns what the console was told since it was asked last, as errors.
    pub(super) async fn complaints(&self) -> Vec<Complaint> {
        let ask = Chromium { path: "se/log", body: json!({ "type": "browser" }) };
        let lines = self.client.issue_cmd(ask).await.unwrap();
        let errors = lines.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors
            .map(|line| Complaint { source: text(&line["source"]), text: text(&line["message"]) })
            .collect()
    }

    pub(super) async fn close(self) {
        self.client.close().await.unwrap();
    }

    async fn put_on(&self, look: Look) {
        let screen = json!({
            "width": look.width, "height": look.height, "mobile": look.phone,
            "deviceScaleFactor": if look.phone { 2 } else { 1 },
        });
        self.chromium("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
        let scheme = json!({ "name": "prefers-color-scheme", "value": look.colours });
        let media = json!({ "features": [scheme] });
        self.chromium("Emulation.setEmulatedMedia", media).await.unwrap();
    }

    async fn chromium(&self, command: &str, parameters: Value) -> Result<Value, CmdError> {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Chromium { path: "goog/cdp/execute", body }).await
    }
}

/// Returns the folder of the pictures, for a person to look at.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
