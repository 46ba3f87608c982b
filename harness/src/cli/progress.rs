//! Live progress on stderr: one line that is written over on a terminal, a line per verdict elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::report::model::time_words;
use crate::report::terminal::safe;
use crate::run::Progress;
use crate::verdict::Status;

/// Shows progress.
pub(super) struct Shown {
    quiet: bool,
    live: bool,
    last: Option<Instant>,
    done: usize,
    total: usize,
}

/// The line is written over at most this often.
const EVERY: Duration = Duration::from_millis(80);

impl Shown {
    pub(super) fn new(quiet: bool, ci: bool, total: usize) -> Self {
        Self { quiet, live: !ci && std::io::stderr().is_terminal(), last: None, done: 0, total }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        if self.quiet {
            return;
        }
        let mut err = anstream::stderr().lock();
        match progress {
            Progress::Now { scenario, at_ms, text } => {
                if !self.live || self.last.is_some_and(|at| at.elapsed() < EVERY) {
                    return;
                }
                self.last = Some(Instant::now());
                let line =
                    format!("[{}/{}] {scenario} · {} · {}", self.done, self.total, time_words(at_ms), safe(&text));
                let cut: String = line.chars().take(110).collect();
                // Progress that cannot be shown hurts nobody.
                let _ = write!(err, "\r\u{1b}[K{cut}");
                let _ = err.flush();
            }
            Progress::Done(report) => {
                self.done += 1;
                let clear = if self.live { "\r\u{1b}[K" } else { "" };
                let colour = match report.status {
                    Status::Pass => "\u{1b}[32m",
                    Status::Skip => "\u{1b}[2m",
                    Status::Fail => "\u{1b}[31m",
                    Status::Error => "\u{1b}[33m",
                };
                let attempt = if report.attempt > 1 { format!(" #{}", report.attempt) } else { String::new() };
                let _ = writeln!(
                    err,
                    "{clear}{colour}{} {:<5}\u{1b}[0m {}{attempt} ({} of run time in {})",
                    report.status.sign(),
                    report.status.word(),
                    report.name,
                    time_words(report.run_ms),
                    time_words(report.wall_ms),
                );
            }
        }
    }
}
