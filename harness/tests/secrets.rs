//! Planted secrets, and every output searched for them: the real binary on the virtual board. What today's reference
//! firmware never prints (credentials of HTTP and MQTT) is planted in a captured console here, and sent to a real server in
//! fixtures/ota-server/tests/secrets.rs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/binary.rs"]
mod binary;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use binary::{code, stderr, stdout};

const WIFI: &str = "wifi-Pw.7731_kept";
const MARKED: &str = "marked~5512-value";
const TOKEN: &str = "url-token-9917-abc";
const SECRETS: [&str; 3] = [WIFI, MARKED, TOKEN];

/// A bench of files in a folder, and the secrets in its environment.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(secrets: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("brickproof.toml"), format!("[run]\nseed = 1\n{secrets}")).expect("settings");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn scenario(&self, name: &str, ota_url: &str) {
        let text = format!(
            r#"summary = "an update that cannot happen"
device-time = "2min"
[image]
flash = "1.5.9"
[provision]
ota-url = "{ota_url}"
[[expect]]
boots = {{ version = "1.6.0", slot = "other" }}
within = "90s"
[[expect]]
never = {{ event = "request-started" }}
within = "90s"
"#
        );
        std::fs::write(self.path(&format!("{name}.toml")), text).expect("scenario");
    }

    fn runs(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_brickproof"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .env("BRICKPROOF_WIFI_PASSWORD", WIFI)
            .env("PLANTED_MARKED", MARKED)
            .env("PLANTED_TOKEN", TOKEN)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", self.path("step-summary.md"))
            .output()
            .expect("the binary runs")
    }
}

/// The forms in which a value could have got out.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms =
        vec![value.as_bytes().to_vec(), hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    for before in ["", "u", "us"] {
        for engine in [&STANDARD, &URL_SAFE] {
            // The digits that tell of the value alone.
            let digits = engine.encode(format!("{before}{value}"));
            let end = (before.len() + value.len()) * 8 / 6;
            forms.push(digits.as_bytes()[(before.len() * 8).div_ceil(6)..end].to_vec());
        }
    }
    let percent: String = value
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    forms.push(percent.to_lowercase().into_bytes());
    forms.push(percent.into_bytes());
    forms
}

fn holds(bytes: &[u8], value: &str) -> bool {
    forms(value).iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

/// Every output must hold none of the values, and the mask.
fn is_masked(what: &str, bytes: &[u8], values: &[&str]) {
    for value in values {
        assert!(!holds(bytes, value), "{what} holds {value}: {}", String::from_utf8_lossy(bytes));
    }
    let mask = bytes.windows(3).any(|window| window == b"***");
    assert!(mask, "{what} does not hold the mask: was anything secret in it? {}", String::from_utf8_lossy(bytes));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// The device's own address, as a run that masks nothing of it tells.
fn device_id() -> String {
    let bench = Bench::new("");
    bench.scenario("plain", "{server.url}");
    let ran = bench.runs(&["run", "plain.toml", "--report", "report"]);
    assert_eq!(code(&ran), 1, "{}{}", stdout(&ran), stderr(&ran));
    let recording = files(&bench.path("report")).into_iter().find(|p| p.extension().is_some_and(|e| e == "jsonl"));
    let text = std::fs::read_to_string(recording.expect("a recording")).expect("text");
    let after = text.split_once("[\"device-id\",\"").expect("the header").1;
    after.split_once('"').expect("its value").0.to_owned()
}

const SETTINGS: &str = "[secrets]\nenv = [\"PLANTED_MARKED\", \"NOT_SET_ANYWHERE\"]\npatterns = ['(?i)\\b((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\\b']\n";

#[test]
fn planted_secrets_are_in_nothing_that_a_run_and_its_recordings_lead_to() {
    let device = device_id();
    assert_eq!(device.len(), 17, "an address: {device}");
    let planted = [WIFI, MARKED, TOKEN, device.as_str()];
    let bench = Bench::new(SETTINGS);
    let query = "?token={env.PLANTED_TOKEN}&v={env.BRICKPROOF_WIFI_PASSWORD}&version={env.PLANTED_MARKED}&mac=4711";
    bench.scenario("reached", &format!("{{server.url}}{query}"));
    bench.scenario("wrong-port", &format!("http://{{server.host}}/xiaozhi/ota/{query}"));
    let run = |report: &str, seed: &str| {
        let ran = bench.runs(&[
            "-vv",
            "run",
            "reached.toml",
            "wrong-port.toml",
            "--ci",
            "--report",
            report,
            "--seed",
            seed,
            "--history",
            "history.db",
        ]);
        assert_eq!(code(&ran), 1, "{}{}", stdout(&ran), stderr(&ran));
        ran
    };
    let ran = run("report", "1");
    is_masked("stdout", &ran.stdout, &planted);
    is_masked("stderr", &ran.stderr, &planted);
    let text = stdout(&ran);
    assert!(
        text.contains("likely cause") && text.contains("::error "),
        "the failure is told, and to the CI system: {text}"
    );

    let written = files(&bench.path("report"));
    assert!(written.len() >= 8, "page, JUnit, JSON, TAP, metrics, summary, two recordings: {written:?}");
    // What tells verdicts and figures alone holds nothing that could have been masked.
    let of_figures = |path: &Path| path.ends_with("metrics.txt");
    for file in written.iter().filter(|path| !of_figures(path)) {
        is_masked(&file.display().to_string(), &std::fs::read(file).expect("readable"), &planted);
    }
    let figures = std::fs::read(bench.path("report/metrics.txt")).expect("metrics");
    assert!(!planted.iter().any(|value| holds(&figures, value)));
    is_masked("the job summary", &std::fs::read(bench.path("step-summary.md")).expect("summary"), &planted);

    let recordings: Vec<&PathBuf> =
        written.iter().filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    let reached = recordings.iter().find(|path| path.ends_with("reached.jsonl")).expect("a recording");
    let text = std::fs::read_to_string(reached).expect("text");
    // Console, device event, server event, provisioning, and the scenario that names where the values come from.
    assert!(
        text.contains("HTTP connection to http://192.168.88.200:8002/xiaozhi/ota/?token=***&v=***&version=***&mac=***"),
        "{text}"
    );
    assert!(text.contains("\"path\":\"/xiaozhi/ota/?token=***&v=***&version=***&mac=***\""), "{text}");
    assert!(
        text.contains("[\"device-id\",\"***\"]")
            && text.contains("[\"wifi/ota_url\",\"http://192.168.88.200:8002/xiaozhi/ota/?token=***")
    );
    assert!(text.contains("{env.PLANTED_TOKEN}"), "the scenario as it is");

    for recording in &recordings {
        let name = recording.to_str().expect("text");
        for more in [&["judge", name][..], &["judge", name, "--json"]] {
            let judged = bench.runs(more);
            assert_eq!(code(&judged), 1, "the same verdict from the recording alone");
            assert!(!planted.iter().any(|value| holds(&judged.stdout, value) || holds(&judged.stderr, value)));
        }
    }
    let reported = bench.runs(&["report", "report", "--output", "again"]);
    assert_eq!(code(&reported), 1, "{}", stderr(&reported));
    is_masked("the page made again", &std::fs::read(bench.path("again/report.html")).expect("page"), &planted);

    run("other", "2");
    for arguments in [
        &["compare", "report", "other", "--json"][..],
        &["compare", "report", "other"],
        &["history", "--history", "history.db", "--json"],
        &["history", "--history", "history.db"],
    ] {
        let told = bench.runs(arguments);
        assert!(code(&told) <= 1, "{arguments:?}: {}", stderr(&told));
        assert!(!planted.iter().any(|value| holds(&told.stdout, value) || holds(&told.stderr, value)), "{arguments:?}");
    }
    for file in files(bench.folder.path()).iter().filter(|path| !path.ends_with("brickproof.toml")) {
        let bytes = std::fs::read(file).expect("readable");
        assert!(!planted.iter().any(|value| holds(&bytes, value)), "{}", file.display());
    }
}

#[test]
fn scenario_whose_text_holds_a_secret_is_refused_in_clear_words() {
    let bench = Bench::new(SETTINGS);
    bench.scenario("holds", &format!("{{server.url}}{MARKED}/"));
    bench.scenario("literal", "{server.url}?access_token=abcdefgh");
    let ran = bench.runs(&["run", "holds.toml", "literal.toml", "--report", "report"]);
    let text = stdout(&ran);
    assert_eq!(code(&ran), 3, "{text}");
    assert!(
        text.contains("holds.toml:6:") && text.contains("holds a secret's value") && text.contains("{env.NAME}"),
        "{text}"
    );
    assert!(text.contains("`access_token` in the URL ota-url stands in the scenario's text"), "{text}");
    for file in files(&bench.path("report")) {
        assert!(!holds(&std::fs::read(&file).expect("readable"), MARKED), "{}", file.display());
    }
    assert!(!holds(&ran.stdout, MARKED) && !holds(&ran.stderr, MARKED));

    bench.scenario("unset", "{server.url}?token={env.NOT_SET_ANYWHERE}");
    let ran = bench.runs(&["run", "unset.toml", "--report", "report"]);
    assert!(code(&ran) == 3 && stdout(&ran).contains("NOT_SET_ANYWHERE, which is not set"), "{}", stdout(&ran));
    std::fs::write(bench.path("expects.toml"), "summary = 'x'\ndevice-time = '1min'\n[image]\nflash = '1.5.9'\n[[expect]]\nboots = { version = '{env.PLANTED_TOKEN}' }\nwithin = '1min'\n").expect("scenario");
    let checked = bench.runs(&["check", "expects.toml"]);
    assert!(
        code(&checked) == 2 && stderr(&checked).contains("where something is provisioned, and nowhere else"),
        "{}",
        stderr(&checked)
    );
}

#[test]
fn what_names_a_scenario_or_a_run_is_masked_in_all_that_is_written_of_it() {
    let bench = Bench::new("[secrets]\nenv = [\"PLANTED_MARKED\"]\npatterns = ['virt\\w+']\n");
    bench.scenario(MARKED, "{server.url}");
    bench.scenario("plain", "{server.url}");
    let text = std::fs::read_to_string(bench.path("plain.toml")).expect("scenario");
    std::fs::write(bench.path("told.toml"), text.replace("that cannot happen", MARKED)).expect("scenario");
    let named = format!("{MARKED}.toml");
    let label = format!("built with {MARKED}");
    let arguments = [
        "run",
        &named,
        "told.toml",
        "plain.toml",
        "--ci",
        "--history",
        "h.db",
        "--label",
        &label,
        "--report",
        "report",
    ];
    let ran = bench.runs(&arguments);
    assert_eq!(code(&ran), 3, "{}{}", stdout(&ran), stderr(&ran));
    is_masked("stdout", &ran.stdout, &[MARKED]);
    assert!(!holds(&ran.stderr, MARKED), "{}", stderr(&ran));
    let written = files(&bench.path("report")).into_iter().chain([bench.path("h.db"), bench.path("step-summary.md")]);
    for file in written {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!holds(&bytes, MARKED), "{} holds it: {}", file.display(), String::from_utf8_lossy(&bytes));
    }
    // The board is one and the same in the run and in its recording: added again, nothing is new.
    let added = bench.runs(&["history", "add", "report", "--history", "h.db"]);
    assert!(stdout(&added).starts_with("0 of 1 runs are new"), "{}{}", stdout(&added), stderr(&added));
}

#[test]
fn captured_console_is_analysed_without_its_secrets() {
    let bench = Bench::new(SETTINGS);
    let console = format!(
        "I (100) wifi: join net with {WIFI}\r\n\
         I (6953) Ota: Current version: {MARKED}\r\n\
         I (6963) EspHttp: Opening HTTP connection to http://192.168.88.200:8002/xiaozhi/ota/?token=tok-en-1&mac=aa:bb:cc:dd:ee:ff\r\n\
         I (6970) http: > Authorization: Bearer auth-4711\r\n\
         E (6980) Ota: Failed to check version, status code: 404 of {{\"mqtt\":{{\"password\":\"mqtt-4712\"}},\"websocket\":{{\"token\":\"ws-4713\"}}}}\r\n\
         I (6990) main: App version: {MARKED}\r\n\
         guru {TOKEN}\r\n"
    );
    std::fs::write(bench.path("console.log"), console).expect("console");
    let planted = [WIFI, MARKED, "tok-en-1", "aa:bb:cc:dd:ee:ff", "auth-4711", "mqtt-4712", "ws-4713"];
    for arguments in [&["analyze", "console.log"][..], &["analyze", "console.log", "--json"]] {
        let told = bench.runs(arguments);
        assert_eq!(code(&told), 0, "{}", stderr(&told));
        is_masked("the analysis", &told.stdout, &planted);
        assert!(stdout(&told).contains("/xiaozhi/ota/?token=***&mac=***"), "{}", stdout(&told));
    }
}

#[test]
fn errors_doctor_and_bad_settings_do_not_show_what_they_are_about() {
    let bench = Bench::new(SETTINGS);
    let missing = bench.runs(&["judge", &format!("no-{MARKED}-such.jsonl")]);
    assert_eq!(code(&missing), 2);
    is_masked("an error", &missing.stderr, &SECRETS);
    let examined =
        bench.runs(&["doctor", &format!("http://me:{WIFI}@127.0.0.1:1/xiaozhi/ota/?token=tok-en-1"), "--json"]);
    is_masked("the examination", &examined.stdout, &[WIFI, "tok-en-1"]);

    for (secrets, words) in [
        ("[secrets]\npatterns = ['(']\n", "brickproof.toml:4:13"),
        ("[secrets]\nenv = ['$TOKEN']\n", "is no name of an environment variable"),
        ("[secrets]\npatterns = ['x*']\n", "matches the empty text"),
    ] {
        let bad = Bench::new(secrets).runs(&["run", "wrong-port", "--report", "report"]);
        assert!(code(&bad) == 2 && stderr(&bad).contains(words), "{}", stderr(&bad));
    }
    let short = Bench::new("[secrets]\nenv = ['GITHUB_ACTIONS', 'SHORT']\n");
    let ran = Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(["doctor", "http://127.0.0.1:1/"])
        .current_dir(short.folder.path())
        .env("SHORT", "abc")
        .output()
        .expect("the binary runs");
    assert!(code(&ran) == 2 && stderr(&ran).contains("SHORT is to be kept secret and has 3 bytes"), "{}", stderr(&ran));
}

#[test]
fn list_of_settings_shows_no_passwords_unless_it_is_asked_for_them() {
    let bench = Bench::new("");
    let partition = bench.path("nvs.bin");
    std::fs::write(&partition, vec![0xff; 0x4000]).expect("partition");
    let file = partition.to_str().expect("text");
    for (key, value) in
        [("wifi/ota_url", "http://h/?token=tok-en-1"), ("wifi/password", "hunter2-long"), ("wifi/ssid", "home")]
    {
        assert_eq!(code(&bench.runs(&["nvs", "--file", file, "set", key, value])), 0);
    }
    let list = |more: &[&str]| stdout(&bench.runs(&[&["nvs", "--file", file, "list"], more].concat()));
    let hidden = list(&["--values"]);
    assert!(hidden.contains("home") && hidden.contains("http://h/?token=***"), "{hidden}");
    assert!(!hidden.contains("hunter2-long") && !hidden.contains("tok-en-1"), "{hidden}");
    assert!(list(&["--secrets"]).contains("hunter2-long"));
    let asked = bench.runs(&["nvs", "--file", file, "get", "wifi/password"]);
    assert_eq!(stdout(&asked).trim(), "hunter2-long", "a key that is named is asked for");
}
