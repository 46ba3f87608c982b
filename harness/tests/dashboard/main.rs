//! The dashboard in a real browser: headless Chromium against the real binary.
//!
//! Pictures of its pages are kept under `target/report-page`, beside those of the report.

#[path = "../support/binary.rs"]
mod binary;
#[allow(dead_code, reason = "it serves several test binaries, each of which uses a part")]
#[path = "../support/browser.rs"]
mod browser;
#[allow(dead_code, reason = "it serves several test binaries, each of which uses a part")]
#[path = "../support/histories.rs"]
mod histories;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use binary::{code, stderr};
use browser::Browser;
use outside_tools::Need;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

fn main() -> ExitCode {
    outside_tools::main(
        &[Need::Program("chromium"), Need::Program("chromedriver")],
        outside_tools::tests![
            overview_opens_at_what_fails_and_leads_to_the_timeline_of_a_run,
            hostile_history_is_inert,
            only_reading_is_answered_and_only_by_address,
            history_that_goes_away_is_told_on_the_page_and_comes_back,
            client_that_never_ends_its_request_does_not_hold_a_dashboard_that_is_to_end,
            run_with_a_blank_in_its_name_is_reached,
        ],
    )
}

const WIDE: (u32, u32) = (1280, 900);

/// A dashboard on a port of its own, ended with the test.
struct Dashboard {
    process: Child,
    url: String,
}

impl Dashboard {
    fn of(history: &Path, reports: &[&Path]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_brickproof"))
            .args(["dashboard", "--listen", "127.0.0.1:0", "--history"])
            .arg(history)
            .args(reports.iter().flat_map(|folder| [Path::new("--reports"), *folder]))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut said = BufReader::new(process.stdout.take().expect("stdout"));
        let mut line = String::new();
        said.read_line(&mut line).expect("what it says");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
        Self { url: url.to_owned(), process }
    }

    /// The answer to a request as it is written, head and body.
    fn answer(&self, request: &str) -> String {
        use std::io::Write;
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut connection = std::net::TcpStream::connect(address).expect("it listens");
        connection.write_all(request.replace("HERE", address).as_bytes()).expect("asked");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("answered");
        answer
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // As Ctrl-C: it must end by itself.
        if let Some(id) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::INT);
        }
        let _ = self.process.wait();
    }
}

/// A history of a scenario that passed, then failed twice, and of one that always passed; and the report folder.
fn history(folder: &Path) -> (PathBuf, PathBuf) {
    let (history, reports) = (folder.join("h.db"), folder.join("r"));
    let path = folder.join("update.toml");
    for (label, version) in [("c0ffee1", "1.6.0"), ("c0ffee2", "9.9.9"), ("c0ffee3", "9.9.9")] {
        std::fs::write(&path, histories::UPDATE.replace("VERSION", version)).expect("scenario");
        let scenarios = [path.to_str().expect("UTF-8"), "wrong-port"];
        let ran = histories::run_into(history.to_str().expect("UTF-8"), &reports, label, &scenarios);
        assert!(code(&ran) < 2, "{}", stderr(&ran));
    }
    (history, reports)
}

fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.log(), Vec::<String>::new());
    assert!(!browser.has_dialog());
}

fn overview_opens_at_what_fails_and_leads_to_the_timeline_of_a_run() {
    let folder = tempfile::tempdir().expect("folder");
    let (history, reports) = history(folder.path());
    let dashboard = Dashboard::of(&history, &[&reports]);
    let browser = Browser::open_url(&dashboard.url, WIDE);
    assert_eq!(
        browser.text("document.querySelector('h1').innerText"),
        "brickproof: 1 of 2 scenarios fail in their last run"
    );
    let first = browser.text("document.querySelector('tbody tr').innerText");
    assert!(
        first.contains("✗ fail") && first.contains("update") && first.contains("✓✗✗") && first.contains("c0ffee2"),
        "{first}"
    );
    // Its style sheet was let in by its own policy.
    assert_eq!(browser.text("getComputedStyle(document.querySelector('.strip')).whiteSpace"), "nowrap");
    browser.picture("dashboard");
    browser.click("input[name=bad]");
    browser.click("form button");
    browser.until("document.querySelectorAll('tbody tr').length === 1");
    browser.click("tbody th a");
    browser.until("document.querySelector('h1').innerText.includes('update')");
    let page = browser.text("document.body.innerText");
    assert!(
        page.contains("fails since") && page.contains("passed last") && page.contains("2 of 3 judged runs failed"),
        "{page}"
    );
    assert_eq!(browser.number("document.querySelectorAll('svg.chart').length"), 1.0);
    assert_eq!(browser.number("document.querySelectorAll('.runs tbody tr').length"), 3.0);
    browser.picture("dashboard-scenario");
    // From a run to its timeline: the very page that a report is.
    browser.click(".runs tbody a");
    browser.until("document.querySelector('.timeline')?.dataset.to");
    let title = browser.text("document.querySelector('h1').innerText");
    assert_eq!(title, "brickproof: 1 of 1 scenarios failed");
    assert_quiet(&browser);
    // The whole run has both scenarios.
    browser.js("history.back()");
    browser.until("document.querySelector('.runs')");
    browser.click(".runs tbody a:nth-of-type(2)");
    browser.until("document.querySelectorAll('details.run').length === 2");
    assert_quiet(&browser);
}

/// Others may write to the database that a team shares.
fn hostile_history_is_inert() {
    let folder = tempfile::tempdir().expect("folder");
    let reports = folder.path().join("r");
    let hostile = "</td><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\u{202e}\u{1b}[2J";
    let scenario = folder.path().join("<img src=x onerror=alert(1)>.toml");
    let text = histories::UPDATE.replace("VERSION", "9.9.9");
    let labelled = text.replace("[[expect]]\n", "[[expect]]\nlabel = \"<svg onload=alert(1)>\"\n");
    std::fs::write(&scenario, labelled).expect("scenario");
    let history = folder.path().join("h.db");
    for _ in 0..2 {
        let ran = histories::run_into(
            history.to_str().expect("UTF-8"),
            &reports,
            hostile,
            &[scenario.to_str().expect("UTF-8")],
        );
        assert_eq!(code(&ran), 1, "{}", stderr(&ran));
    }
    let dashboard = Dashboard::of(&history, &[&reports]);
    let browser = Browser::open_url(&dashboard.url, WIDE);
    for page in ["overview", "scenario"] {
        assert_eq!(browser.js("return window.pwned ?? null"), json!(null), "{page}");
        assert_eq!(browser.number("document.querySelectorAll('img, script, svg[onload]').length"), 0.0, "{page}");
        let text = browser.text("document.body.textContent");
        assert!(text.contains("<img src=x onerror=alert(1)>") && text.contains("⟨U+202E⟩"), "{page}: {text}");
        assert_quiet(&browser);
        if page == "overview" {
            browser.click("tbody th a");
            browser.until("document.querySelector('.runs')");
        }
    }
    assert!(browser.text("document.body.textContent").contains("<svg onload=alert(1)>"));
}

fn only_reading_is_answered_and_only_by_address() {
    let folder = tempfile::tempdir().expect("folder");
    let (history, reports) = history(folder.path());
    std::fs::write(folder.path().join("secret.txt"), "kept to itself").expect("written");
    let before = std::fs::read(&history).expect("history");
    let dashboard = Dashboard::of(&history, &[&reports]);
    let status = |request: &str| {
        let answer = dashboard.answer(&format!("{request}\r\nConnection: close\r\n\r\n"));
        assert!(!answer.contains("kept to itself"), "{request}: {answer}");
        answer.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: HERE", "200"),
        ("HEAD / HTTP/1.1\r\nHost: HERE", "200"),
        ("GET /trends.json HTTP/1.1\r\nHost: localhost", "200"),
        ("GET / HTTP/1.1\r\nHost: evil.example", "403"),
        ("POST / HTTP/1.1\r\nHost: HERE\r\nContent-Length: 0", "405"),
        ("DELETE /run/x HTTP/1.1\r\nHost: HERE", "405"),
        ("GET /none HTTP/1.1\r\nHost: HERE", "404"),
        ("GET /scenario HTTP/1.1\r\nHost: HERE", "400"),
        ("GET /scenario?name=none&board=virtual&chip=esp32c3 HTTP/1.1\r\nHost: HERE", "404"),
        ("GET /run/..%2F..%2Fsecret.txt HTTP/1.1\r\nHost: HERE", "404"),
        ("GET /run/%2E%2E HTTP/1.1\r\nHost: HERE", "404"),
        ("GET /run/..%2f.. HTTP/1.1\r\nHost: HERE", "404"),
        ("GET /run/%00 HTTP/1.1\r\nHost: HERE", "404"),
    ] {
        assert_eq!(status(request), expected, "{request}");
    }
    let run = std::fs::read_dir(reports.join("runs")).expect("runs").next().expect("a run").expect("entry").file_name();
    let run = run.to_string_lossy();
    assert_eq!(status(&format!("GET /run/{run}?recording=wrong-port.jsonl HTTP/1.1\r\nHost: HERE")), "200");
    assert_eq!(status(&format!("GET /run/{run}?recording=..%2F..%2F..%2Fsecret.txt HTTP/1.1\r\nHost: HERE")), "500");
    drop(dashboard);
    assert_eq!(std::fs::read(&history).expect("history"), before, "nothing was written");
}

fn client_that_never_ends_its_request_does_not_hold_a_dashboard_that_is_to_end() {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("folder");
    let (history, reports) = history(folder.path());
    let dashboard = Dashboard::of(&history, &[&reports]);
    let address = dashboard.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stalled = std::net::TcpStream::connect(&address).expect("it listens");
    stalled.write_all(b"GET / HT").expect("begun");
    // Answered after the other was taken: both are with the dashboard.
    assert!(dashboard.answer("GET / HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    // Dropping it is Ctrl-C, and waits for its end.
    drop(dashboard);
    let mut rest = Vec::new();
    assert!(matches!(stalled.read_to_end(&mut rest), Ok(0) | Err(_)), "{rest:?}");
}

fn run_with_a_blank_in_its_name_is_reached() {
    let folder = tempfile::tempdir().expect("folder");
    let (_, reports) = history(folder.path());
    let run = histories::newest_run(&reports);
    let named = run.with_file_name("night 1 %2F+ä");
    std::fs::rename(&run, &named).expect("renamed");
    let history = folder.path().join("other.db");
    let added = binary::brickproof(&[
        "history",
        "add",
        named.to_str().expect("UTF-8"),
        "--history",
        history.to_str().expect("UTF-8"),
    ]);
    assert_eq!(code(&added), 0, "{}", stderr(&added));
    let dashboard = Dashboard::of(&history, &[&reports]);
    let browser = Browser::open_url(&dashboard.url, WIDE);
    browser.click("tbody th a");
    browser.until("document.querySelector('.runs a')");
    browser.click(".runs tbody a");
    browser.until("document.querySelector('.timeline')?.dataset.to");
    // Of all runs together there is no page.
    assert!(
        dashboard
            .answer("GET /run/runs HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 404")
    );
}

fn history_that_goes_away_is_told_on_the_page_and_comes_back() {
    let folder = tempfile::tempdir().expect("folder");
    let (history, reports) = history(folder.path());
    let dashboard = Dashboard::of(&history, &[&reports]);
    let away = folder.path().join("away.db");
    std::fs::rename(&history, &away).expect("away");
    let browser = Browser::open_url(&dashboard.url, WIDE);
    let said = browser.text("document.body.innerText");
    assert!(said.contains("there is no history"), "{said}");
    std::fs::rename(&away, &history).expect("back");
    browser.go(&dashboard.url);
    assert_eq!(browser.number("document.querySelectorAll('tbody tr').length"), 2.0);
    browser.picture("dashboard-again");
}
