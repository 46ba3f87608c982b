//! A plain, self-contained HTML page. Everything from the console is untrusted and escaped by the template engine;
//! control characters, which a browser may drop or act on, are shown as their pictures first.

use askama::Template;

use super::junit::headline;
use super::model::{Line, Report, ScenarioReport, Status, time_words};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    report: &'a Report,
    wall: String,
    covered: String,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    status: &'static str,
    sign: &'static str,
    run: String,
    wall: String,
    headline: String,
    open: bool,
    s: ScenarioReport,
}

/// The page.
///
/// # Errors
///
/// The template engine's error, in words.
pub fn render(report: &Report) -> Result<String, String> {
    let failed = |status| report.scenarios.iter().filter(|s| s.status == status).count();
    let (fails, errors) = (failed(Status::Fail), failed(Status::Error));
    let title = match (fails, errors) {
        (0, 0) => format!("brickproof: {} scenarios, none failed", report.scenarios.len()),
        (fails, 0) => format!("brickproof: {fails} of {} scenarios failed", report.scenarios.len()),
        (0, errors) => format!("brickproof: the rig failed in {errors} of {} scenarios", report.scenarios.len()),
        (fails, errors) => format!("brickproof: {fails} scenarios failed, and the rig failed in {errors}"),
    };
    let mut rows: Vec<Row> = report.scenarios.iter().enumerate().map(|(n, s)| row(n, s)).collect();
    // The page opens at the answer: what failed stands first, otherwise the run's order.
    rows.sort_by_key(|row| std::cmp::Reverse(row.s.status));
    let page = Page {
        title,
        wall: time_words(report.wall_ms),
        covered: time_words(report.scenarios.iter().map(|s| s.run_ms).sum()),
        rows,
        report,
    };
    page.render().map_err(|e| e.to_string())
}

fn row(n: usize, scenario: &ScenarioReport) -> Row {
    let mut s = scenario.clone();
    s.last_lines.iter_mut().for_each(show_controls);
    s.expectations.iter_mut().flat_map(|e| e.evidence.iter_mut()).for_each(show_controls);
    Row {
        id: format!("s{n}"),
        name: if s.attempt > 1 { format!("{} (repeat {})", s.name, s.attempt) } else { s.name.clone() },
        status: s.status.word(),
        sign: s.status.sign(),
        run: time_words(s.run_ms),
        wall: time_words(s.wall_ms),
        headline: if s.status == Status::Pass { String::new() } else { visible(&headline(&s)) },
        open: matches!(s.status, Status::Fail | Status::Error),
        s,
    }
}

fn show_controls(line: &mut Line) {
    line.text = visible(&line.text);
}

/// Control characters as their Unicode pictures, bidirectional overrides as their code points.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{0}'..='\u{1f}' if c != '\n' && c != '\t' => {
                char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}').to_string()
            }
            '\u{7f}' => '\u{2421}'.to_string(),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{80}'..='\u{9f}' => {
                format!("⟨U+{:04X}⟩", u32::from(c))
            }
            _ => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::FORMAT;
    use crate::timeline::Side;

    #[test]
    fn hostile_console_text_is_inert() {
        let line = Line {
            seq: 0,
            at_ms: 1,
            side: Side::Device,
            text: "</script><script>alert(1)</script>\u{1b}[31m\u{0}\u{202e}<img src=x onerror=alert(1)>".to_owned(),
            deciding: false,
        };
        let scenario = ScenarioReport {
            file: "f".to_owned(),
            last_lines: vec![line],
            ..ScenarioReport::example("<b>name</b>", 1, Status::Fail)
        };
        let report = Report {
            format: FORMAT,
            made_by: "test".to_owned(),
            began: "now".to_owned(),
            wall_ms: 1,
            scenarios: vec![scenario],
            problems: vec![],
        };
        let html = render(&report).expect("renders");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>name"), "{html}");
        assert!(!html.contains('\u{1b}') && !html.contains('\u{0}') && !html.contains('\u{202e}'));
        assert!(html.contains("⟨U+202E⟩") && html.contains('␛'));
    }
}
