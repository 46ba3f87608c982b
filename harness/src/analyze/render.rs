//! An analysis in words.

use std::fmt::Write as _;

use crate::esp_err;
use crate::reset_reason::in_words;

use super::Analysis;
use super::law::Law;
use super::summary::{ErrorSeen, Ladder, Summary};

/// Width that sentences are wrapped to.
const WIDTH: usize = 100;

/// Entries of a list that people are shown; the JSON form has more.
const SHOWN: usize = 12;

/// The analysis as text for people, the likely cause first.
#[must_use]
pub fn render(analysis: &Analysis) -> String {
    let mut out = String::new();
    causes(&mut out, analysis);
    happened(&mut out, &analysis.summary);
    for ladder in analysis.summary.ladders.iter().take(SHOWN) {
        retries(&mut out, ladder);
    }
    let summary = &analysis.summary;
    more(&mut out, count(&summary.ladders) + summary.left_out.ladders, 0);
    let understood =
        format!("{} of {} lines understood by dialect {}", summary.understood_lines, summary.lines, analysis.dialect);
    let end = if analysis.ended_early { "; the compressed file ends early, all that is whole was read" } else { "" };
    let _ = writeln!(out, "Read: {} bytes, {understood}{}{end}", summary.bytes, oddities(summary));
    out
}

fn causes(out: &mut String, analysis: &Analysis) {
    let Analysis { causes, summary, .. } = analysis;
    if causes.is_empty() {
        let what = if summary.lines == 0 {
            "The console is empty."
        } else if summary.understood_lines == 0 {
            "No line of this console is one that the dialect knows: is it the right dialect, and the right baud rate?"
        } else {
            "Nothing here looks wrong."
        };
        let _ = writeln!(out, "{what}\n");
    }
    for (index, cause) in causes.iter().take(SHOWN).enumerate() {
        let title = if index == 0 { "Likely cause" } else { "Also" };
        let sureness = match &cause.resolved {
            Some(success) => format!("{}; over by line {}", cause.confidence, success.seq),
            None => cause.confidence.to_string(),
        };
        let _ = writeln!(out, "{title} ({sureness})");
        wrapped(out, &cause.sentence);
        let _ = writeln!(out, "What to do");
        wrapped(out, &cause.remedy);
        if !cause.evidence.is_empty() {
            let _ = writeln!(out, "Evidence");
        }
        for line in &cause.evidence {
            let _ = writeln!(out, "  line {:<5} {}", line.seq, line.text);
        }
        out.push('\n');
    }
    more(out, count(causes), 0);
    if analysis.failures_left_out > 0 {
        let _ =
            writeln!(out, "Failures of further kinds, which no cause was looked for: {}\n", analysis.failures_left_out);
    }
}

fn happened(out: &mut String, summary: &Summary) {
    let _ = writeln!(out, "What happened ({} of device time)", duration(summary.device_ms));
    if summary.resets > 0 {
        let _ = writeln!(out, "  resets     {}", summary.resets);
        for boot in summary.boots.iter().take(SHOWN) {
            let slot = boot.slot_offset.map_or(String::new(), |offset| format!(", loaded from {offset:#x}"));
            let version = boot.version.as_ref().map_or(String::new(), |version| format!(", version {version}"));
            let download = if boot.download { ", download mode" } else { "" };
            let _ = writeln!(out, "    line {:<5} {}{download}{slot}{version}", boot.line, in_words(&boot.reason));
        }
        more(out, summary.resets, 0);
    }
    let left_out = &summary.left_out;
    for (title, entries, left_out) in
        [("versions", &summary.versions, left_out.versions), ("addresses", &summary.addresses, left_out.addresses)]
    {
        if !entries.is_empty() {
            let shown: Vec<&str> = entries.iter().take(SHOWN).map(String::as_str).collect();
            let _ = writeln!(out, "  {title:<10} {}", shown.join(", "));
            more(out, count(entries), left_out);
        }
    }
    for request in summary.requests.iter().take(SHOWN) {
        let _ = writeln!(
            out,
            "  asked      {} ({}, first on line {})",
            request.url,
            times(request.count),
            request.first_line
        );
    }
    more(out, count(&summary.requests), left_out.requests);
    for error in summary.errors.iter().take(SHOWN) {
        let what = describe(error);
        let _ = writeln!(out, "  error      {what} ({}, first on line {})", times(error.count), error.first_line);
    }
    more(out, count(&summary.errors), left_out.errors);
    for crash in summary.crashes.iter().take(SHOWN) {
        let backtrace = crash.backtrace.as_ref().map_or(String::new(), |addresses| format!(", at {addresses}"));
        let _ = writeln!(out, "  crash      line {}: {}{backtrace}", crash.line, crash.reason);
        for frame in &crash.frames {
            let function = frame.function.as_deref().unwrap_or("(unknown)");
            let place = match (&frame.file, frame.line) {
                (Some(file), Some(line)) => format!(" at {file}:{line}"),
                (Some(file), None) => format!(" at {file}"),
                _ => String::new(),
            };
            let _ = writeln!(out, "               {:#010x} in {function}{place}", frame.address);
        }
        if !crash.on_stack.is_empty() {
            let names: Vec<String> = crash.on_stack.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "               on its stack: {}", names.join(", "));
        }
        if let Some(why) = &crash.not_decoded {
            let _ = writeln!(out, "               not decoded: {why}");
        }
    }
    more(out, summary.crash_count, 0);
    for (line, what) in summary.milestones.iter().take(SHOWN) {
        let _ = writeln!(out, "  line {line:<5} {what}");
    }
    more(out, count(&summary.milestones) + left_out.milestones, 0);
    out.push('\n');
}

fn retries(out: &mut String, ladder: &Ladder) {
    let most = ladder.retries.iter().find_map(|retry| retry.max);
    let of = most.map_or(String::new(), |max| format!(" of at most {max} attempts"));
    let of_law = |how, of| if of == Law::Unknown { String::new() } else { format!(", {how} {}", law(of)) };
    let (announced, kept) = (of_law("announced", ladder.announced), of_law("kept", ladder.measured));
    let _ = writeln!(out, "Retries: {}{of}{announced}{kept}", ladder.count);
    for retry in ladder.retries.iter().take(SHOWN) {
        let max = retry.max.map_or(String::new(), |max| format!("/{max}"));
        let announced =
            retry.announced_ms.map_or("no delay announced".to_owned(), |ms| format!("announced {}", duration(ms)));
        let kept =
            retry.measured_ms.map_or("no request seen after it".to_owned(), |ms| format!("kept {}", duration(ms)));
        let _ = writeln!(out, "  line {:<5} {}{max}  {announced}, {kept}", retry.line, retry.attempt);
    }
    more(out, ladder.count, 0);
    out.push('\n');
}

fn law(law: Law) -> String {
    match law {
        Law::Unknown => "too few to tell".to_owned(),
        Law::Constant { ms } => format!("constant {}", duration(ms)),
        Law::Doubling { first_ms, cap_ms: None } => format!("doubling from {}", duration(first_ms)),
        Law::Doubling { first_ms, cap_ms: Some(cap) } => {
            format!("doubling from {} up to {}", duration(first_ms), duration(cap))
        }
        Law::Linear { first_ms, step_ms } => format!("linear from {} by {}", duration(first_ms), duration(step_ms)),
        Law::Irregular => "irregular".to_owned(),
    }
}

fn describe(error: &ErrorSeen) -> String {
    let mut parts = Vec::new();
    match (&error.name, error.code) {
        (Some(name), Some(code)) if code >= 0 => parts.push(format!("{name} (0x{code:x})")),
        (Some(name), _) => parts.push(name.clone()),
        (None, Some(code)) => parts.push(esp_err::describe(code)),
        (None, None) => {}
    }
    if let Some(errno) = error.errno {
        parts.push(match (esp_err::errno_name(errno), esp_err::errno_text(errno)) {
            (Some(name), Some(text)) => format!("errno {errno} {name}, {text}"),
            _ => format!("errno {errno}"),
        });
    }
    if let Some(status) = error.status {
        parts.push(format!("HTTP status {status}"));
    }
    if parts.is_empty() {
        parts.push(format!("\"{}\"", error.message.as_deref().unwrap_or_default()));
    }
    parts.join(", ")
}

fn oddities(summary: &Summary) -> String {
    let mut parts = String::new();
    if summary.cut_lines > 0 {
        let _ = write!(parts, ", {} cut", summary.cut_lines);
    }
    if summary.binary_lines > 0 {
        let _ = write!(parts, ", {} with bytes that are no text", summary.binary_lines);
    }
    parts
}

/// How much more there is than is shown. `further`: lines that name what there was no room to keep.
fn more(out: &mut String, all: u64, further: u64) {
    let hidden = all.saturating_sub(SHOWN as u64);
    let _ = match (hidden, further) {
        (0, _) => Ok(()),
        (_, 0) => writeln!(out, "    and {hidden} more"),
        (..) => writeln!(out, "    and {hidden} more, and {further} lines that name others still"),
    };
}

fn count<T>(list: &[T]) -> u64 {
    list.len() as u64
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Milliseconds as people say them: `60 s`, `6.973 s`, `42 min 40 s`.
fn duration(ms: u64) -> String {
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let seconds = match rest % 1000 {
        0 => format!("{} s", rest / 1000),
        milli => format!("{}.{milli:03} s", rest / 1000),
    };
    match (minutes, rest) {
        (0, _) => seconds,
        (1, 0) => "60 s".to_owned(),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, _) => format!("{minutes} min {seconds}"),
    }
}

fn wrapped(out: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            column = 0;
        }
        out.push_str(if column == 0 { "  " } else { " " });
        column += if column == 0 { 2 } else { 1 } + width;
        out.push_str(word);
    }
    out.push('\n');
}
