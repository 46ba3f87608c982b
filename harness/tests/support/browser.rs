//! A headless Chromium behind its own chromedriver, ended on drop.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction, WheelAction, WheelActions};
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// A wait ends with what it waits for; this ends one that would never end.
const GUARD: Duration = Duration::from_secs(120);

pub(crate) struct Browser {
    driver: Child,
    base: String,
    client: Client,
    runtime: tokio::runtime::Runtime,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a file in a window of this size. Problems of the page are told from here on.
    pub(crate) fn open(page: &Path, size: (u32, u32)) -> Self {
        let url = url::Url::from_file_path(page).expect("an absolute path");
        Self::open_url(url.as_str(), size)
    }

    /// Opens a page in a window of this size.
    pub(crate) fn open_url(url: &str, (width, height): (u32, u32)) -> Self {
        let mut driver = Command::new(outside_tools::program("chromedriver"))
            .args(["--port=0", "--allowed-ips="])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let base = format!("http://127.0.0.1:{}", port(&mut driver));
        let profile = tempfile::tempdir().expect("profile");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the client");
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": outside_tools::program("chromium"),
                "args": [
                    "--headless=new",
                    // Needed where tests run as root, as in a container; the page is the tests' own.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    // Nothing of its own goes out to the network.
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-quic",
                    "--disable-sync",
                    "--no-first-run",
                    "--force-device-scale-factor=1",
                    "--lang=en",
                    // A picture of the whole page has no scroll bars, and is to be laid out as what was measured.
                    "--hide-scrollbars",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
            },
            // A dialog that a page opens is an error of the next command, never answered away.
            "unhandledPromptBehavior": "ignore",
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let mut connector = HttpConnector::new();
        connector.enforce_http(true);
        let client = runtime
            .block_on(ClientBuilder::new(connector).capabilities(capabilities).connect(&base))
            .expect("Chromium starts");
        let browser = Self { driver, base, client, runtime, _profile: profile };
        // The viewport itself, whatever a window's frame takes: a narrow window is wider than it is told to be.
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        browser.go(url);
        browser
    }

    /// Leads to another page.
    pub(crate) fn go(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).expect("the page opens");
    }

    /// Runs a function body in the page.
    pub(crate) fn js(&self, body: &str) -> Value {
        self.try_js(body).unwrap_or_else(|e| panic!("{body}: {e}"))
    }

    pub(crate) fn try_js(&self, body: &str) -> Result<Value, CmdError> {
        self.runtime.block_on(self.client.execute(body, vec![]))
    }

    /// What the first timeline shows, once what was changed is drawn: that is done with the next frame.
    pub(crate) fn shown(&self) -> (f64, f64) {
        let shown = self.js("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
               const t = document.querySelector('.timeline').dataset; done([Number(t.from), Number(t.to)]) })))");
        (shown[0].as_f64().expect("from"), shown[1].as_f64().expect("to"))
    }

    pub(crate) fn number(&self, expression: &str) -> f64 {
        self.js(&format!("return {expression}")).as_f64().unwrap_or_else(|| panic!("{expression} is no number"))
    }

    pub(crate) fn text(&self, expression: &str) -> String {
        let value = self.js(&format!("return {expression}"));
        value.as_str().unwrap_or_else(|| panic!("{expression} is no text: {value}")).to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.js(&format!("return !!({expression})")) != json!(true) {
            assert!(begun.elapsed() < GUARD, "it never came true: {expression}");
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    pub(crate) fn click(&self, css: &str) {
        // Where the pointer's target stands still: the page scrolls smoothly.
        self.js(&format!(
            "document.querySelector({}).scrollIntoView({{ block: 'center', behavior: 'instant' }})",
            json!(css)
        ));
        let clicked = self.runtime.block_on(async { self.client.find(Locator::Css(css)).await?.click().await });
        clicked.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    pub(crate) fn type_into(&self, css: &str, text: &str) {
        let typed = self.runtime.block_on(async {
            let element = self.client.find(Locator::Css(css)).await?;
            element.clear().await?;
            element.send_keys(text).await
        });
        typed.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// Presses keys, one after the other, wherever the focus is. Special keys are WebDriver's code points.
    pub(crate) fn press(&self, keys: &str) {
        let actions = keys.chars().fold(KeyActions::new("keys".to_owned()), |actions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.runtime.block_on(self.client.perform_actions(actions)).expect("keys");
    }

    /// Holds a key down while something is done.
    pub(crate) fn holding(&self, value: char, act: impl FnOnce()) {
        let key = |action| KeyActions::new("held".to_owned()).then(action);
        self.runtime.block_on(self.client.perform_actions(key(KeyAction::Down { value }))).expect("key down");
        act();
        self.runtime.block_on(self.client.perform_actions(key(KeyAction::Up { value }))).expect("key up");
    }

    /// Centre of an element in the viewport.
    fn centre(&self, css: &str) -> (f64, f64) {
        let place = self.js(&format!(
            "const e = document.querySelector({}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }});
             const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]",
            json!(css)
        ));
        (place[0].as_f64().expect("x").round(), place[1].as_f64().expect("y").round())
    }

    /// Turns the wheel over an element's centre; `delta_y` in pixels, up is negative.
    pub(crate) fn wheel(&self, css: &str, delta_y: i64) {
        #[expect(clippy::cast_possible_truncation, reason = "places on a screen")]
        let (x, y) = {
            let (x, y) = self.centre(css);
            (x as i64, y as i64)
        };
        let mut wheel = WheelActions::new("wheel".to_owned());
        wheel.push(WheelAction::Scroll { duration: None, x, y, delta_x: 0, delta_y });
        self.runtime.block_on(self.client.perform_actions(wheel)).expect("wheel");
    }

    /// Drags from an element's centre by so many pixels.
    pub(crate) fn drag(&self, css: &str, by: f64) {
        let (x, y) = self.centre(css);
        let mouse = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveTo { duration: None, x, y })
            .then(PointerAction::Down { button: 0 })
            .then(PointerAction::MoveBy { duration: None, x: by / 2.0, y: 0.0 })
            .then(PointerAction::MoveBy { duration: None, x: by / 2.0, y: 0.0 })
            .then(PointerAction::Up { button: 0 });
        self.runtime.block_on(self.client.perform_actions(mouse)).expect("drag");
    }

    /// A command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, params: &Value) -> Value {
        self.ask("goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    /// What the page's console and the browser's policy said.
    pub(crate) fn log(&self) -> Vec<String> {
        let entries = self.ask("se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list").iter();
        entries.map(|e| format!("{}: {}", e["level"].as_str().unwrap_or(""), e["message"])).collect()
    }

    /// What chromedriver knows beyond WebDriver.
    fn ask(&self, what: &str, body: &Value) -> Value {
        let session = self.runtime.block_on(self.client.session_id()).expect("session").expect("a session");
        let url = format!("{}/session/{session}/{what}", self.base);
        let mut response = ureq::post(&url).content_type("application/json").send(body.to_string()).expect("an answer");
        let text = response.body_mut().read_to_string().expect("text");
        serde_json::from_str::<Value>(&text).expect("JSON")["value"].take()
    }

    /// True when the page has opened a dialog.
    pub(crate) fn has_dialog(&self) -> bool {
        self.runtime.block_on(self.client.get_alert_text()).is_ok()
    }

    /// Keeps a picture of the whole page.
    pub(crate) fn picture(&self, name: &str) {
        self.picture_of(name, "body");
    }

    /// Keeps a picture of an element.
    pub(crate) fn picture_of(&self, name: &str, css: &str) {
        let place = self.js(&format!(
            "scrollTo({{ top: 0, behavior: 'instant' }}); const r = document.querySelector({}).getBoundingClientRect();
             return [r.left + scrollX, r.top + scrollY, r.width, Math.min(r.height, 6000)]",
            json!(css)
        ));
        let clip = json!({ "x": place[0], "y": place[1], "width": place[2], "height": place[3], "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.devtools("Page.captureScreenshot", &params);
        let png = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            taken["data"].as_str().expect("a picture"),
        );
        std::fs::write(kept().join(format!("{name}.png")), png.expect("base64")).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; a driver that ended by itself is no concern here.
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that chromedriver says it listens on.
fn port(driver: &mut Child) -> u16 {
    let mut output = BufReader::new(driver.stdout.take().expect("stdout"));
    let mut line = String::new();
    while output.read_line(&mut line).expect("what it says") > 0 {
        if let Some(port) = line.trim().strip_suffix('.').and_then(|l| l.rsplit_once("successfully on port ")) {
            let port = port.1.parse().expect("a port");
            // What it says later is read to nowhere, lest it waits for a reader.
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            return port;
        }
        line.clear();
    }
    panic!("chromedriver ended without a port")
}

/// Where pictures and figures are kept, for people and as artifacts of CI.
pub(crate) fn kept() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../report-page");
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}
