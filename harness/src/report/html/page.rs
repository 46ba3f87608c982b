//! The page put together: overview, sections with their data, style and script, and a policy that lets no other run.

use std::io::{self, Read, Seek, SeekFrom, Write};

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::data::{Data, Evidence};
use super::overview::{Known, Overview, overview, rank};
use super::section::section;
use super::untrusted::visible;
use crate::metrics::Metrics;
use crate::report::model::{Report, ScenarioReport, Status, time_words};

/// Bytes of timelines that one page may hold. Browsers open a page of this size in seconds; what did not pass comes
/// first, so what is left out are runs that passed.
const DATA: usize = 96 << 20;

const CSS: &str = include_str!("assets/page.css");
/// Plain script in parts, one reason to change each; one script on the page.
const JS: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("assets/data.js"),
    include_str!("assets/console.js"),
    include_str!("assets/lanes.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/page.js"),
    "})();\n"
);

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The file or its scratch file could not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The template engine refused.
    #[error("{0}")]
    Template(#[from] askama::Error),
    /// A timeline could not be written as JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Template)]
#[template(path = "report_head.html")]
struct Head<'a> {
    overview: Overview<'a>,
    report: &'a Report,
    problems: Vec<String>,
    wall: String,
    covered: String,
    css: &'a str,
    policy: String,
}

#[derive(Template)]
#[template(path = "report_foot.html")]
struct Foot<'a> {
    js: &'a str,
}

/// Writes the page. `find` reads a scenario's recording, where it has one; one is in memory at a time. Sections are
/// gathered in `scratch`, which is empty, since the overview stands before them and is known after them.
///
/// # Errors
///
/// `out` or `scratch` cannot be written. A recording that cannot be read is told on the page.
pub fn write(
    report: &Report,
    find: impl FnMut(&ScenarioReport) -> Result<Option<Evidence>, String>,
    scratch: &mut (impl Read + Write + Seek),
    out: &mut impl Write,
) -> Result<(), PageError> {
    write_within(DATA, report, find, scratch, out)
}

/// [`write`] with at most so many bytes of timelines.
fn write_within(
    mut left: usize,
    report: &Report,
    mut find: impl FnMut(&ScenarioReport) -> Result<Option<Evidence>, String>,
    scratch: &mut (impl Read + Write + Seek),
    out: &mut impl Write,
) -> Result<(), PageError> {
    let mut order: Vec<usize> = (0..report.scenarios.len()).collect();
    // The page opens at the answer: what failed stands first, otherwise the run's order.
    order.sort_by_key(|n| rank(report.scenarios[*n].status));
    let mut known: Vec<Option<Known>> = vec![None; report.scenarios.len()];
    let mut first = true;
    {
        let mut sections = io::BufWriter::new(&mut *scratch);
        for n in order {
            let s = &report.scenarios[n];
            let open = first && matches!(s.status, Status::Fail | Status::Error);
            first = false;
            let (evidence, data) = details(s, &mut find, &mut left);
            known[n] =
                evidence.as_ref().map(|e| Known { began: e.began.clone(), recovery: Metrics::of(&e.events).recovery });
            let past = report.past.as_ref().and_then(|past| past.scenario(s));
            section(n, s, evidence.as_ref(), data.as_ref().map_err(Clone::clone), past, open)
                .write_into(&mut sections)?;
            if let Ok(data) = &data {
                write!(sections, "<script type=\"application/json\" id=\"d{n}\">")?;
                data.write(&mut sections)?;
                sections.write_all(b"</script>\n")?;
            }
        }
        sections.flush()?;
    }
    let head = Head {
        overview: overview(report, &known),
        report,
        problems: report.problems.iter().map(|p| visible(p)).collect(),
        wall: time_words(report.wall_ms),
        covered: time_words(report.scenarios.iter().map(|s| s.run_ms).sum()),
        css: CSS,
        policy: policy(),
    };
    head.write_into(out)?;
    scratch.seek(SeekFrom::Start(0))?;
    io::copy(scratch, out)?;
    Foot { js: JS }.write_into(out)?;
    Ok(out.flush()?)
}

/// A run's evidence, and its data or why the page has none.
fn details(
    s: &ScenarioReport,
    find: &mut impl FnMut(&ScenarioReport) -> Result<Option<Evidence>, String>,
    left: &mut usize,
) -> (Option<Evidence>, Result<Data, String>) {
    let left_out = || {
        let why = "the timeline is left out, for the page would be too large; `brickproof report` over a folder with this \
                   recording alone makes a page that has it";
        Err(why.to_owned())
    };
    // Once there is no room nothing more is read: a report may be of many thousands of runs.
    if *left == 0 {
        return (None, left_out());
    }
    match find(s) {
        Ok(Some(evidence)) => {
            let data = Data::of(&evidence);
            match left.checked_sub(data.weight()) {
                Some(room) => {
                    *left = room;
                    (Some(evidence), Ok(data))
                }
                None => {
                    *left = 0;
                    (Some(evidence), left_out())
                }
            }
        }
        Ok(None) => (None, Err("nothing was recorded: the run did not begin".to_owned())),
        Err(why) => (None, Err(format!("there is no timeline: {}", visible(&why)))),
    }
}

/// The page's policy: nothing from anywhere, and of scripts and styles those alone that the page was made with, by their
/// hashes (W3C Content Security Policy Level 3, "hash-source"; the hash is that of the element's text).
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!("default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'", hash(JS), hash(CSS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{Line, Status};
    use crate::timeline::Side;

    /// The page without recordings.
    fn page(report: &Report) -> String {
        let (mut scratch, mut out) = (io::Cursor::new(Vec::new()), Vec::new());
        write(report, |_| Ok(None), &mut scratch, &mut out).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn hostile_console_text_is_inert() {
        let line = Line {
            seq: 0,
            at_ms: 1,
            side: Side::Device,
            text: "</script><script>alert(1)</script>\u{1b}[31m\u{0}\u{202e}<img src=x onerror=alert(1)>".to_owned(),
            deciding: false,
        };
        let scenario =
            ScenarioReport { last_lines: vec![line], ..ScenarioReport::example("<b>name</b>", 1, Status::Fail) };
        let html = page(&Report { scenarios: vec![scenario], ..Report::example() });
        let scripts = html.matches("<script").count();
        assert_eq!(scripts, 1, "the page's own alone");
        assert!(!html.contains("<img") && !html.contains("<b>name"));
        assert!(!html.contains('\u{1b}') && !html.contains('\u{0}') && !html.contains('\u{202e}'));
        assert!(html.contains("⟨U+202E⟩") && html.contains('␛'));
    }

    #[test]
    fn what_failed_is_open_and_before_what_passed() {
        let scenarios =
            vec![ScenarioReport::example("good", 1, Status::Pass), ScenarioReport::example("bad", 1, Status::Fail)];
        let html = page(&Report { scenarios, ..Report::example() });
        let place = |id: &str| html.find(&format!("\" id=\"{id}\"")).expect(id);
        assert!(place("s1") < place("s0"));
        assert!(html[place("s1")..].starts_with("\" id=\"s1\" open>"));
    }

    #[test]
    fn recording_that_cannot_be_read_is_told_and_the_rest_of_the_report_stands() {
        let scenarios = vec![ScenarioReport::example("lost", 1, Status::Fail)];
        let report = Report { scenarios, ..Report::example() };
        let (mut scratch, mut out) = (io::Cursor::new(Vec::new()), Vec::new());
        let lost = |_: &ScenarioReport| Err("cannot read recording lost.jsonl: <gone>".to_owned());
        write(&report, lost, &mut scratch, &mut out).expect("written");
        let html = String::from_utf8(out).expect("UTF-8");
        assert!(html.contains("there is no timeline: cannot read recording lost.jsonl: &#60;gone&#62;"), "{html}");
        assert!(html.contains("brickproof: 1 of 1 scenarios failed"));
    }

    #[test]
    fn page_that_would_be_too_large_keeps_the_timelines_of_what_failed() {
        let scenarios = vec![
            ScenarioReport::example("good", 1, Status::Pass),
            ScenarioReport::example("bad", 1, Status::Fail),
            ScenarioReport::example("also-good", 1, Status::Pass),
        ];
        let report = Report { scenarios, ..Report::example() };
        let mut asked = Vec::new();
        let find = |s: &ScenarioReport| {
            asked.push(s.name.clone());
            let kind = crate::timeline::EventKind::Action(crate::timeline::Action::RunEnded);
            let event = crate::timeline::Event { seq: 0, at_ns: 0, wall_ms: 0, device: None, kind };
            let verdict = crate::verdict::Verdict { status: s.status, reason: None, expectations: vec![] };
            let (source, began) = (String::new(), String::new());
            Ok(Some(Evidence { events: vec![event], verdict, intervals: vec![], source, began }))
        };
        let (mut scratch, mut out) = (io::Cursor::new(Vec::new()), Vec::new());
        write_within(40, &report, find, &mut scratch, &mut out).expect("written");
        let html = String::from_utf8(out).expect("UTF-8");
        assert!(html.contains("<script type=\"application/json\" id=\"d1\">"), "what failed has its timeline");
        assert_eq!(html.matches("application/json\" id=").count(), 1);
        assert_eq!(html.matches("the timeline is left out").count(), 2);
        assert_eq!(asked, ["bad", "good"], "nothing is read that has no room");
    }

    #[test]
    fn style_and_script_hold_nothing_that_ends_their_element() {
        assert!(!JS.contains("</script") && !JS.contains("<!--") && !CSS.contains("</style"));
        // Text only: console text never becomes markup.
        for banned in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setAttribute(\"style\""]
        {
            assert!(!JS.contains(banned), "{banned}");
        }
    }
}
