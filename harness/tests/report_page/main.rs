//! The report's page in a real browser: headless Chromium, driven through chromedriver.
//!
//! Pictures of the page (wide, narrow, dark, on paper) and what it took to make and show it are kept under
//! `target/report-page`, for people and as artifacts of CI.

#[allow(dead_code, reason = "it serves several test binaries, each of which uses a part")]
#[path = "../support/browser.rs"]
mod browser;
mod recordings;

use std::process::ExitCode;
use std::time::Instant;

use brickproof::recording::Header;
use outside_tools::Need;
use serde_json::{Value, json};

use browser::Browser;
use recordings::{Folder, header};

fn main() -> ExitCode {
    outside_tools::main(
        &[Need::Program("chromium"), Need::Program("chromedriver")],
        outside_tools::tests![
            page_opens_at_what_failed_with_its_cause,
            timeline_zooms_and_pans_by_wheel_drag_buttons_and_keys,
            deciding_event_leads_to_its_line_and_back_to_its_expectation,
            console_finds_text_and_regular_expressions_and_hides_levels,
            keys_are_listed_and_reach_everything,
            without_script_what_failed_and_why_can_still_be_read,
            dark_and_light_follow_the_system_until_the_switch_is_used,
            hostile_console_is_inert,
            hundred_thousand_lines_keep_few_rows_in_the_document,
            fifty_scenarios_make_a_page_that_opens_at_once,
        ],
    )
}

const WIDE: (u32, u32) = (1280, 900);

/// What the kept recordings make: one firmware failure, one rig failure, the rest passed.
fn kept() -> Folder {
    Folder::new().with_kept(&[
        "impatient.jsonl",
        "wrong-port.jsonl",
        "backoff-doubles.jsonl",
        "reset-mid-download.jsonl",
        "terminated.jsonl",
        "truncated-image.jsonl",
    ])
}

/// Neither the page's script nor the policy complained.
fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.log(), Vec::<String>::new());
    assert!(!browser.has_dialog());
}

fn page_opens_at_what_failed_with_its_cause() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    let first = browser.text("document.querySelector('.answer').innerText");
    assert!(
        first.contains("✗ fail") && first.contains("impatient") && first.contains("lacks") | first.contains("no port")
    );
    assert!(browser.number("document.querySelector('.answer').getBoundingClientRect().bottom") < 900.0, "in sight");
    assert_eq!(browser.text("document.querySelector('details.run').querySelector('h3').innerText"), "✗ fail impatient");
    assert_eq!(browser.number("document.querySelectorAll('details.run[open]').length"), 1.0);
    let rows = browser.text("[...document.querySelectorAll('.all tbody tr')].slice(0, 2).map(r => r.innerText).join()");
    assert!(rows.find("✗ fail") < rows.find("! error"), "{rows}");
    browser.until("document.querySelector('.timeline').dataset.to");
    browser.picture("wide");
    for run in ["reset-mid-download", "truncated-image", "wrong-port", "backoff-doubles"] {
        let section = format!("[...document.querySelectorAll('details.run')].find(r => r.innerText.includes('{run}'))");
        browser.js(&format!("const r = {section}; r.open = true; r.classList.add('pictured-{run}')"));
        browser.until(&format!("document.querySelector('.pictured-{run} .timeline').dataset.to"));
        browser.picture_of(run, &format!(".pictured-{run}"));
        browser.js(&format!("document.querySelector('.pictured-{run}').open = false"));
    }
    // The link leads to the run, opened.
    browser.click(".answer.error a");
    browser.until("document.querySelectorAll('details.run[open]').length === 2");
    assert_quiet(&browser);
    for (name, size) in [("narrow", (420, 900)), ("tablet", (800, 1000))] {
        let browser = Browser::open(&folder.report(), size);
        browser.until("document.querySelector('.timeline').dataset.to");
        let sideways = browser.number("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert!(sideways <= 0.0, "{name}: the page is {sideways} pixels wider than its window");
        browser.picture(name);
    }
}

const LINE: &str = "document.querySelector('.timeline')";

fn timeline_zooms_and_pans_by_wheel_drag_buttons_and_keys() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    browser.until(&format!("{LINE}.dataset.to"));
    let all = browser.shown();
    assert!(all.0 == 0.0 && all.1 > 127e6, "{all:?}");

    // Untouched it lets the page scroll.
    browser.wheel(".timeline svg", -240);
    assert_eq!(browser.shown(), all);

    browser.drag(".timeline svg", 0.0);
    browser.wheel(".timeline svg", -480);
    let zoomed = browser.shown();
    assert!(zoomed.1 - zoomed.0 < (all.1 - all.0) * 0.6 && zoomed.0 > 0.0, "{zoomed:?}");

    browser.drag(".timeline svg", -200.0);
    let panned = browser.shown();
    assert!(panned.0 > zoomed.0 && ((panned.1 - panned.0) - (zoomed.1 - zoomed.0)).abs() < 2.0, "{panned:?}");

    browser.click(".timeline button[title='zoom in']");
    let closer = browser.shown();
    assert!(closer.1 - closer.0 < (panned.1 - panned.0) * 0.6, "{closer:?}");
    browser.click(".timeline button[title='pan left']");
    assert!(browser.shown().0 < closer.0);

    browser.drag(".timeline svg", 0.0);
    let before = browser.shown();
    browser.press("+");
    let keyed = browser.shown();
    assert!(keyed.1 - keyed.0 < before.1 - before.0);
    browser.press("\u{e014}"); // Right.
    assert!(browser.shown().0 > keyed.0);
    browser.press("0");
    assert_eq!(browser.shown(), all);
    // Drawn with Shift, a part; two fingers that part, closer.
    browser.holding('\u{e008}', || browser.drag(".timeline svg", 200.0));
    let part = browser.shown();
    assert!((part.1 - part.0) < (all.1 - all.0) * 0.25 && part.0 > all.1 * 0.4, "{part:?}");
    browser.press("0");
    browser.js(
        "const t = document.querySelector('.timeline svg'), r = t.getBoundingClientRect(), y = r.top + 50;
         const finger = (type, pointerId, x) =>
           t.dispatchEvent(new PointerEvent(type, { pointerId, pointerType: 'touch', clientX: r.left + x, clientY: y, bubbles: true }));
         finger('pointerdown', 71, 500); finger('pointerdown', 72, 600); finger('pointermove', 72, 800);
         finger('pointerup', 71, 500); finger('pointerup', 72, 800)",
    );
    let pinched = browser.shown();
    let ratio = (pinched.1 - pinched.0) / (all.1 - all.0);
    assert!((ratio - 1.0 / 3.0).abs() < 0.01, "three times as far apart shows a third: {ratio}");
    browser.press("0");
    // Marks of all lanes are there, and the retry that was not as due says so in words.
    assert_eq!(browser.shown(), all);
    let lanes = browser.text("[...document.querySelectorAll('.timeline .lane')].map(t => t.textContent).join()");
    assert_eq!(lanes, "harness,retries,device,console");
    assert!(browser.text("document.querySelector('.lane-retries').textContent").contains("✗ 1: 1 min (due 10 s)"));
    assert_quiet(&browser);
}

fn deciding_event_leads_to_its_line_and_back_to_its_expectation() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    browser.until("document.querySelector('.timeline .flag')");
    let selected = "document.querySelector('.row.selected')?.innerText ?? ''";
    // From the expectation to the line.
    browser.click("article.expectation:nth-of-type(2) > button.go");
    browser.until(&format!("({selected}).includes('retry in 60 seconds (1/10)')"));
    assert_eq!(browser.number("document.querySelectorAll('.timeline .cursor').length"), 1.0);
    // From the line back.
    browser.click(".row.selected .back");
    browser.until("document.querySelector('.expectation.pointed h4, .others .pointed')");
    let card = browser.text("document.activeElement.closest('article').innerText");
    assert!(card.contains("3 retries"), "{card}");
    // From the timeline's flag to the line.
    browser.click(".timeline .flag");
    browser.until(&format!("({selected}).includes('App version')"));
    // From an evidence line to the console.
    browser.click(".log tr:not(.deciding) .go");
    browser.until(&format!("({selected}).includes('Loaded app from partition')"));
    // From a console line to the timeline.
    browser.js("document.querySelector('.timeline').dataset.seen = document.querySelector('.timeline .cursor').getAttribute('x1')");
    browser.press("\u{e010}"); // End.
    browser.until(&format!("document.querySelector('.timeline .cursor').getAttribute('x1') !== {LINE}.dataset.seen"));
    assert_quiet(&browser);
}

fn console_finds_text_and_regular_expressions_and_hides_levels() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    browser.until("document.querySelector('.rows').dataset.shown > 0");
    let found = "document.querySelector('.console .found').innerText";
    browser.type_into(".console input[type=search]", "RESET BY PEER");
    browser.until(&format!("{found}.includes('2 matches')"));
    browser.press("\u{e007}"); // Enter: the next match.
    browser.until("document.querySelector('.row.selected mark')?.textContent === 'reset by peer'");

    browser.type_into(".console input[type=search]", r"retry in \d+ seconds \((\d)/10\)$");
    browser.until(&format!("{found}.includes('no match')"));
    browser.click(".console input[type=checkbox]");
    browser.until(&format!("{found}.includes('2 matches')"));
    browser.click(".console label:nth-of-type(2) input");
    browser.until("document.querySelectorAll('.row').length === 2");

    // What is no regular expression is said, not thrown.
    browser.type_into(".console input[type=search]", "(");
    browser.until(&format!("{found}.includes('no regular expression')"));
    browser.type_into(".console input[type=search]", " ");
    browser.press("\u{e003}"); // Backspace.

    browser.until("document.querySelectorAll('.row').length > 10");
    let errors = browser.number("document.querySelectorAll('.row.level-E').length");
    assert!(errors > 0.0);
    browser.click(".toggles .level-E");
    browser.until("document.querySelectorAll('.row.level-E').length === 0");
    for level in ["W", "I", "D", "V", "none"] {
        browser.click(&format!(".toggles .level-{level}"));
    }
    browser.until("document.querySelectorAll('.row.side-device').length === 0");
    assert!(browser.number("document.querySelectorAll('.row.side-harness').length") > 0.0, "levels are the device's");
    browser.click(".toggles .side-h");
    browser.until("document.querySelectorAll('.row.side-harness').length === 0");
    // A jump to a line that is hidden shows it.
    browser.click("article.expectation .go");
    browser.until("document.querySelector('.row.selected')");
    assert_quiet(&browser);
}

fn keys_are_listed_and_reach_everything() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    browser.until("document.querySelector('.timeline .flag')");
    browser.press("?");
    browser.until("document.querySelector('dialog[open]')");
    browser.press("\u{e00c}"); // Escape.
    browser.until("!document.querySelector('dialog[open]')");
    // To the failed run, on to its timeline, to a deciding event, to its line, to the search and back.
    browser.press("f");
    browser.until("document.activeElement.matches('summary')");
    browser.js("document.querySelector('.timeline svg').focus()");
    browser.press("nn\u{e007}");
    browser.until("document.activeElement.matches('.rows') && document.querySelector('.row.selected.deciding')");
    browser.press("/");
    browser.until("document.activeElement.matches('input[type=search]')");
    browser.press("panic\u{e00c}");
    browser.until("document.activeElement.matches('.rows')");
    browser.press("b");
    browser.until("document.activeElement.closest('.expectation, .others li, .timeline')");
    // Every control can be reached and names itself.
    let nameless = browser.js(
        "return [...document.querySelectorAll('button, input, summary, [tabindex=\"0\"]')]
           .filter(e => e.tabIndex >= 0 && !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.textContent))
           .map(e => e.outerHTML)",
    );
    assert_eq!(nameless, json!([]));
    assert_quiet(&browser);
}

fn without_script_what_failed_and_why_can_still_be_read() {
    let folder = kept();
    let page = folder.report();
    let browser = Browser::open(&page, WIDE);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.devtools("Page.reload", &json!({}));
    browser.until("document.readyState === 'complete' && !document.documentElement.classList.contains('live')");
    let text = browser.text("document.body.innerText");
    for said in
        ["impatient", "Likely cause:", "What to do:", "version 1.5.9 runs from ota_0", "App version:      1.5.9"]
    {
        assert!(text.contains(said), "{said} is not in: {text}");
    }
    assert_eq!(browser.number("[...document.querySelectorAll('.scripted')].filter(e => e.offsetHeight).length"), 0.0);
    assert!(browser.number("document.querySelectorAll('svg.chart').length") >= 3.0);
    browser.picture("without-script");
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    browser.picture("print");
}

fn dark_and_light_follow_the_system_until_the_switch_is_used() {
    let folder = kept();
    let browser = Browser::open(&folder.report(), WIDE);
    let prefer = |scheme: &str| {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    };
    let paper = || browser.text("getComputedStyle(document.body).backgroundColor");
    prefer("light");
    let light = paper();
    prefer("dark");
    let dark = paper();
    assert_ne!(light, dark);
    browser.until("document.querySelector('.timeline .flag')");
    browser.picture("dark");
    browser.click("#theme");
    assert_eq!(paper(), light);
    browser.press("t");
    assert_eq!(paper(), dark);
    prefer("light");
    assert_eq!(paper(), dark, "the switch holds");
    assert_quiet(&browser);
}

/// A scenario whose words are as hostile as its console.
const HOSTILE: &str = r#"
summary = "</script><script>window.pwned = 1</script>"
device-time = "1min"
[image]
flash = "1.6.0"
[[expect]]
label = "<img src=x onerror='window.pwned = 1'>"
never = { console = "onerror" }
until-end = true
"#;

fn hostile_console() -> impl Iterator<Item = (u64, Vec<u8>)> {
    let lines: [&[u8]; 12] = [
        b"<script>window.pwned = 1</script>",
        b"</script><script>window.pwned = 1; alert(1)</script>",
        b"<!--<script>",
        b"]]></style><iframe src=javascript:alert(1)></iframe><svg onload=alert(1)>",
        b"<img src=x onerror=\"window.pwned = 1; alert(1)\">",
        b"E (10) tag: \x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J",
        b"nul \x00 bell \x07 delete \x7f",
        "bidi \u{202e}gnp.exe\u{202c} zero\u{200b}width \u{2066}isolate\u{2069} \u{feff}".as_bytes(),
        b"invalid \xff\xfe\xc3\x28 utf-8",
        "line\u{2028}separator \u{85} and tag \u{e0041}".as_bytes(),
        b"&lt;b&gt; &#60;script&#62; ${7*7} {{7*7}}",
        b"\"'`<a href=\"javascript:alert(1)\">click</a>",
    ];
    let many: Vec<u8> = std::iter::repeat_n(b'y', 1 << 20).collect();
    let lines = lines.into_iter().map(<[u8]>::to_vec).chain([many]);
    lines.zip(1..).map(|(mut line, n)| {
        line.push(b'\n');
        (n * 10, line)
    })
}

fn hostile_console_is_inert() {
    let folder = Folder::new();
    let board = "<b onclick=alert(1)>\u{202e}".to_owned();
    folder.record("hostile.jsonl", &Header { board, ..header(HOSTILE) }, hostile_console());
    let page = folder.report();
    let source = std::fs::read_to_string(&page).expect("UTF-8");
    assert!(
        !source.contains(['\0', '\u{1b}', '\u{202e}', '\u{2028}', '\u{200b}', '\u{e0041}']),
        "shown, not passed on"
    );
    let browser = Browser::open(&page, WIDE);
    browser.until("document.querySelector('.rows').dataset.shown > 12");
    browser.js("document.querySelector('.rows').focus()");
    // Every line is shown once, and asked for as a whole.
    let shown = browser.number("Number(document.querySelector('.rows').dataset.shown)");
    browser.press("\u{e011}"); // Home.
    let mut texts = String::new();
    for _ in 0..14 {
        browser.press("\u{e007}\u{e015}"); // Enter: the whole line; down.
        texts += &browser.text("document.querySelector('.whole pre').textContent + '\\n'");
    }
    assert!(shown > 70.0, "a line of 1 MiB comes in pieces, and as one: {shown}");
    for said in [
        "</script><script>window.pwned = 1; alert(1)</script>",
        "nul \u{fffd} bell",
        "⟨U+202E⟩gnp.exe⟨U+202C⟩ zero⟨U+200B⟩width",
        "invalid",
        "⟨U+2028⟩",
        "⟨U+E0041⟩",
    ] {
        assert!(texts.contains(said), "{said:?} is not in {}", texts.chars().take(4000).collect::<String>());
    }
    browser.press("\u{e010}\u{e013}\u{e013}"); // End, up, up: control characters as they are in the recording.
    browser.until("document.querySelector('.row.selected').innerText.includes('nul ␀ bell ␇ delete ␡ escape ␛[31m next line ⟨U+0085⟩')");
    assert!(!texts.contains('\u{1b}') && !texts.contains('\0'));
    // The last line but one is 1 MiB long: cut in its row, whole on demand.
    browser.press("\u{e010}\u{e013}"); // End, up.
    browser.until("document.querySelector('.row.selected .unfold')");
    assert!(browser.number("document.querySelector('.row.selected').textContent.length") < 1000.0);
    browser.click(".row.selected .unfold");
    browser.until("document.querySelector('.whole pre').textContent.length === 1048576");
    let counts = "['img', 'iframe', 'a[href^=\"javascript\"]', 'b[onclick]', 'svg[onload]', 'style', 'script:not([type])', 'link', 'object']";
    let counts = browser.js(&format!("return {counts}.map(s => document.querySelectorAll(s).length)"));
    assert_eq!(counts, json!([0, 0, 0, 0, 0, 1, 1, 0, 0]), "the page's own style and script alone");
    assert_eq!(browser.js("return window.pwned ?? null"), Value::Null);
    browser.picture("hostile");
    // A script that gets into the page all the same does not run.
    let refused =
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 2'; document.body.append(s);
                   return window.pwned ?? null";
    assert_eq!(browser.js(refused), Value::Null);
    let complaints = browser.log();
    assert!(complaints.len() == 1 && complaints[0].contains("Content Security Policy"), "{complaints:?}");
    assert!(!browser.has_dialog());
}

const LONG: &str = r#"
summary = "A very long console"
device-time = "1min"
[image]
flash = "1.6.0"
[[expect]]
label = "it never fails"
never = { console = "this is the needle" }
until-end = true
"#;

/// Figures for people; nothing is asserted of speed.
fn keep_figures(name: &str, figures: &Value) {
    let text = serde_json::to_string_pretty(figures).expect("JSON");
    std::fs::write(browser::kept().join(format!("{name}.json")), text).expect("written");
}

fn paints(browser: &Browser) -> Value {
    browser.until("performance.getEntriesByType('paint').length >= 2");
    browser.js(
        "return Object.fromEntries(performance.getEntriesByType('paint').map(p => [p.name, Math.round(p.startTime)])
           .concat([['loaded', Math.round(performance.timing.loadEventEnd - performance.timing.navigationStart)]]))",
    )
}

fn hundred_thousand_lines_keep_few_rows_in_the_document() {
    let folder = Folder::new();
    let lines = (0..100_000u64).map(|n| {
        let level = ["I", "D", "W", "E"][usize::try_from(n % 97 / 32).unwrap_or_default()];
        let text =
            if n == 61_234 { "this is the needle".to_owned() } else { format!("line {n} with a few words more") };
        (n * 7, format!("{level} ({}) task: {text}\n", n * 7).into_bytes())
    });
    folder.record("long.jsonl", &header(LONG), lines);
    let begun = Instant::now();
    let page = folder.report();
    let report_ms = begun.elapsed().as_millis();
    let browser = Browser::open(&page, WIDE);
    browser.until("document.querySelector('.rows').dataset.shown > 100000");
    let rows = "document.querySelectorAll('.row').length";
    let few = |browser: &Browser| {
        let rows = browser.number(rows);
        assert!(rows > 5.0 && rows < 120.0, "{rows} rows are in the document");
    };
    few(&browser);
    let elements = browser.number("document.querySelectorAll('*').length");
    assert!(elements < 5000.0, "{elements} elements");
    // Opened at what failed; by scrolling to the end, at the last line.
    browser.until("document.querySelector('.row.selected')?.innerText.includes('this is the needle')");
    browser.js("const v = document.querySelector('.rows'); v.scrollTop = v.scrollHeight");
    browser.until("[...document.querySelectorAll('.row')].at(-1)?.innerText.includes('observation ended')");
    few(&browser);
    browser.js("document.querySelector('.rows').scrollTop = 1000 * 20");
    browser.until("[...document.querySelectorAll('.row')].some(r => r.innerText.includes('line 1005 with'))");
    few(&browser);
    browser.type_into(".console input[type=search]", "line 99999 ");
    browser.until("document.querySelector('.console .found').innerText.includes('1 match')");
    browser.press("\u{e007}");
    browser.until("document.querySelector('.row.selected')?.innerText.includes('line 99999 with')");
    few(&browser);
    let drawing = browser.js(
        "const t = document.querySelector('.timeline svg'); t.focus(); const begun = performance.now();
         const press = (key) => t.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
         press('0'); return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun))))",
    );
    keep_figures(
        "hundred-thousand-lines",
        &json!({
            "report command ms": u64::try_from(report_ms).ok(),
            "page bytes": std::fs::metadata(&page).expect("page").len(),
            "paint ms": paints(&browser),
            "timeline redrawn in ms": drawing,
            "elements": elements,
        }),
    );
    browser.picture("hundred-thousand-lines");
    assert_quiet(&browser);
}

fn fifty_scenarios_make_a_page_that_opens_at_once() {
    let folder = Folder::new();
    let names = [
        "wrong-port.jsonl",
        "backoff-doubles.jsonl",
        "reset-mid-download.jsonl",
        "truncated-image.jsonl",
        "impatient.jsonl",
    ];
    let folder = folder.with_kept(&[]);
    for n in 0..50 {
        let name = names[n % names.len()];
        let single = Folder::new().with_kept(&[name]);
        let text = std::fs::read_to_string(single.path().join(name)).expect("recording");
        // Each under a name of its own: no repeats of one another.
        let text = text.replacen("\"scenario-path\":\"", &format!("\"scenario-path\":\"n{n:02}-"), 1);
        let text = text.replacen("n00-scenarios/scenarios/", "n00-", 1);
        std::fs::write(folder.path().join(format!("{n:02}-{name}")), text).expect("written");
    }
    let begun = Instant::now();
    let page = folder.report();
    let report_ms = begun.elapsed().as_millis();
    let browser = Browser::open(&page, WIDE);
    browser.until("document.querySelector('.timeline').dataset.to");
    assert_eq!(browser.number("document.querySelectorAll('details.run').length"), 50.0);
    assert_eq!(browser.number("document.querySelectorAll('.timeline svg').length"), 1.0, "those that are opened alone");
    keep_figures(
        "fifty-scenarios",
        &json!({
            "report command ms": u64::try_from(report_ms).ok(),
            "page bytes": std::fs::metadata(&page).expect("page").len(),
            "paint ms": paints(&browser),
        }),
    );
    assert_quiet(&browser);
}
