//! The charts: retries against their law, downloads with the faults that hit them, recovery by scenario.
//!
//! Each is made from a timeline alone, as SVG with classes (see `svg.rs`); `None` where there is nothing to show.

use ota_server::event::ServerEvent;

use super::svg::{Scale, Svg, WIDTH, tick_words};
use crate::judge::Interval;
use crate::metrics::Recovery;
use crate::timeline::{DeviceEvent, Event, EventKind};

/// Retries drawn in one chart; the timeline shows all.
const RETRIES: usize = 60;
/// Downloads drawn in one chart.
const DOWNLOADS: usize = 6;
/// Room left of the axis for its words.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;

/// Delays between retries: bars for those kept, a band for what was due, a ring for what was announced.
pub(super) fn retries(intervals: &[Interval]) -> Option<String> {
    let shown = &intervals[..intervals.len().min(RETRIES)];
    let known: Vec<f64> = shown.iter().flat_map(|i| [i.measured, i.due, i.announced]).flatten().map(millis).collect();
    if known.is_empty() {
        return None;
    }
    let (height, top, bottom) = (200.0, 22.0, 172.0);
    let scale = Scale::of(known.iter().copied(), (bottom, top));
    let mut svg = Svg::new(height);
    for tick in scale.time_ticks() {
        svg.line("grid", (LEFT, scale.at(tick)), (WIDTH - RIGHT, scale.at(tick)));
        svg.text("tick", (LEFT - 6.0, scale.at(tick) + 4.0), "end", &tick_words(tick));
    }
    let slot = ((WIDTH - LEFT - RIGHT) / count(shown.len())).min(80.0);
    let words = shown.len() <= 14;
    for (n, interval) in shown.iter().enumerate() {
        let x = LEFT + slot * (count(n) + 0.5);
        let wide = slot * 0.5;
        if let Some(due) = interval.due.map(millis) {
            let slack = millis(interval.tolerance);
            let (high, low) = (scale.at(due + slack), scale.at((due - slack).max(0.0)));
            svg.rect("band", (x - wide * 0.8, high), (wide * 1.6, low - high));
            svg.line("due", (x - wide * 0.8, scale.at(due)), (x + wide * 0.8, scale.at(due)));
        }
        if let Some(measured) = interval.measured.map(millis) {
            let off = interval.is_off();
            let y = scale.at(measured);
            svg.rect(if off { "kept off" } else { "kept" }, (x - wide / 2.0, y), (wide, bottom - y));
            let mark = if off { "✗ " } else { "" };
            if words {
                svg.text("value", (x, y - 5.0), "middle", &format!("{mark}{}", tick_words(measured)));
            } else if off {
                svg.text("value", (x, y - 5.0), "middle", "✗");
            }
        }
        if let Some(announced) = interval.announced.map(millis) {
            svg.circle("announced", (x, scale.at(announced)), 3.5);
        }
        if words || n % 5 == 4 {
            svg.text("tick", (x, bottom + 16.0), "middle", &interval.attempt.to_string());
        }
    }
    svg.line("axis", (LEFT, bottom), (WIDTH - RIGHT, bottom));
    svg.text("tick", (LEFT, height - 2.0), "start", "retry");
    if scale.is_log() {
        svg.text("tick", (LEFT + 4.0, 11.0), "start", "logarithmic scale");
    }
    let left_out = intervals.len() - shown.len();
    if left_out > 0 {
        svg.text("tick", (WIDTH - RIGHT, height - 2.0), "end", &format!("{left_out} more on the timeline"));
    }
    let off = intervals.iter().filter(|i| i.is_off()).count();
    Some(svg.finish(&format!("{} retries with their delays, {off} of them not as due", intervals.len())))
}

/// One download as the device tells of it. Times are milliseconds since it began.
#[derive(Debug, Default, PartialEq)]
struct Download {
    began_ms: f64,
    /// Time and per cent.
    progress: Vec<(f64, f64)>,
    /// Time and bytes per second.
    speed: Vec<(f64, f64)>,
    /// Time, per cent reached, and what the fault is called.
    faults: Vec<(f64, f64, String)>,
}

fn downloads(events: &[Event]) -> Vec<Download> {
    let mut all: Vec<Download> = Vec::new();
    let mut runs = false;
    for event in events {
        let at = millis(event.at());
        match &event.kind {
            EventKind::Device { event: DeviceEvent::DownloadStarted { .. }, .. } => {
                runs = true;
                all.push(Download { began_ms: at, progress: vec![(0.0, 0.0)], ..Download::default() });
            }
            EventKind::Device { event: DeviceEvent::Progress { percent, speed, .. }, .. } => {
                let percent = f64::from((*percent).min(100));
                let back = all.last().and_then(|d| d.progress.last()).is_some_and(|(_, before)| *before > percent);
                if !runs || back {
                    runs = true;
                    all.push(Download { began_ms: at, ..Download::default() });
                }
                if let Some(download) = all.last_mut() {
                    let since = at - download.began_ms;
                    download.progress.push((since, percent));
                    if let Some(speed) = speed {
                        download.speed.push((since, count(usize::try_from(*speed).unwrap_or(usize::MAX))));
                    }
                }
            }
            EventKind::Device {
                event: DeviceEvent::UpgradeFailed { .. } | DeviceEvent::UpgradeSuccessful | DeviceEvent::Reset { .. },
                ..
            } => {
                runs = false;
            }
            EventKind::Server(ServerEvent::FaultFired { fault, .. }) if runs => {
                if let Some(download) = all.last_mut() {
                    let reached = download.progress.last().map_or(0.0, |(_, percent)| *percent);
                    download.faults.push((at - download.began_ms, reached, fault.clone()));
                }
            }
            _ => {}
        }
    }
    all.retain(|d| d.progress.len() > 1 || !d.faults.is_empty());
    all
}

/// Downloads over time since each began: per cent above, bytes per second below, faults as diamonds.
pub(super) fn progress(events: &[Event]) -> Option<String> {
    let all = downloads(events);
    let shown = &all[..all.len().min(DOWNLOADS)];
    let longest = shown.iter().flat_map(|d| d.progress.iter().map(|p| p.0).chain(d.faults.iter().map(|f| f.0)));
    let longest = longest.fold(0.0, f64::max);
    if shown.is_empty() {
        return None;
    }
    let fastest = shown.iter().flat_map(|d| d.speed.iter().map(|s| s.1)).fold(0.0, f64::max);
    let (top, bottom) = (14.0, 134.0);
    let has_speed = fastest > 0.0;
    let floor = if has_speed { bottom + 96.0 } else { bottom };
    let x = Scale::linear(longest, (LEFT, WIDTH - RIGHT - 20.0));
    let y = Scale::linear(100.0, (bottom, top));
    let mut svg = Svg::new(floor + 30.0);
    for tick in [0.0, 50.0, 100.0] {
        svg.line("grid", (LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)));
        svg.text("tick", (LEFT - 6.0, y.at(tick) + 4.0), "end", &format!("{tick:.0} %"));
    }
    let speed = Scale::linear(fastest, (floor, bottom + 22.0));
    if has_speed {
        for tick in speed.ticks().into_iter().take(6) {
            svg.line("grid", (LEFT, speed.at(tick)), (WIDTH - RIGHT, speed.at(tick)));
            svg.text("tick", (LEFT - 6.0, speed.at(tick) + 4.0), "end", &speed_words(tick));
        }
    }
    for (n, download) in shown.iter().enumerate() {
        let place = |(at, value): &(f64, f64), scale: &Scale| (x.at(*at), scale.at(*value));
        let points: Vec<_> = download.progress.iter().map(|p| place(p, &y)).collect();
        svg.polyline(&format!("series n{n}"), &points);
        if let Some((end_x, end_y)) = points.last() {
            svg.circle(&format!("point n{n}"), (*end_x, *end_y), 3.0);
            svg.text("value", (end_x + 6.0, end_y + 4.0 + 11.0 * count(n % 2)), "start", &(n + 1).to_string());
        }
        let points: Vec<_> = download.speed.iter().map(|p| place(p, &speed)).collect();
        match points.as_slice() {
            [] => {}
            [(x, y)] => svg.circle(&format!("point n{n}"), (*x, *y), 3.0),
            points => svg.polyline(&format!("series n{n}"), points),
        }
    }
    for download in shown {
        for (at, reached, name) in &download.faults {
            svg.line("faulted", (x.at(*at), top), (x.at(*at), floor));
            svg.diamond("fault", (x.at(*at), y.at(*reached)), 6.0, &format!("fault {name}"));
        }
    }
    for tick in x.time_ticks() {
        svg.text("tick", (x.at(tick), floor + 16.0), "middle", &tick_words(tick));
    }
    svg.line("axis", (LEFT, floor), (WIDTH - RIGHT, floor));
    let more = all.len() - shown.len();
    if more > 0 {
        svg.text("tick", (WIDTH - RIGHT, floor + 28.0), "end", &format!("{more} more downloads on the timeline"));
    }
    let hit: usize = all.iter().map(|d| d.faults.len()).sum();
    Some(svg.finish(&format!("{} downloads over time, hit by {hit} faults", all.len())))
}

fn speed_words(bytes: f64) -> String {
    match bytes {
        b if b >= 1e6 => format!("{:.1} MB/s", b / 1e6),
        b if b >= 1e3 => format!("{:.0} kB/s", b / 1e3),
        b => format!("{b:.0} B/s"),
    }
}

/// Recovery times of one scenario on one board.
pub(super) struct Recovered {
    /// The scenario, with its board where there are several.
    pub(super) name: String,
    /// Its runs.
    pub(super) runs: Vec<Recovery>,
}

/// Recovery time by scenario: a dot for each run, a bar to the slowest, words for one that did not recover:
/// where a scenario expects the device to give up, that is as it should be.
pub(super) fn recoveries(all: &[Recovered]) -> Option<String> {
    let shown: Vec<&Recovered> = all.iter().filter(|r| r.runs.iter().any(|run| *run != Recovery::NotNeeded)).collect();
    if shown.is_empty() {
        return None;
    }
    let times = |r: &Recovered| -> Vec<f64> {
        let ms = |run: &Recovery| match run {
            Recovery::After(ms) => Some(millis(std::time::Duration::from_millis(*ms))),
            _ => None,
        };
        r.runs.iter().filter_map(ms).collect()
    };
    let (left, row, top) = (250.0, 20.0, 8.0);
    let bottom = top + row * count(shown.len());
    let scale = Scale::of(shown.iter().flat_map(|r| times(r)), (left, WIDTH - 90.0));
    let mut svg = Svg::new(bottom + 24.0);
    for tick in scale.time_ticks() {
        svg.line("grid", (scale.at(tick), top), (scale.at(tick), bottom));
        svg.text("tick", (scale.at(tick), bottom + 16.0), "middle", &tick_words(tick));
    }
    for (n, recovered) in shown.iter().enumerate() {
        let y = top + row * (count(n) + 0.5);
        svg.text("label", (left - 8.0, y + 4.0), "end", &shortened(&recovered.name));
        let times = times(recovered);
        let slowest = times.iter().copied().fold(0.0, f64::max);
        let mut end = left;
        if !times.is_empty() {
            end = scale.at(slowest);
            svg.rect("kept", (left, y - 4.0), (end - left, 8.0));
            if times.len() > 1 {
                times.iter().for_each(|ms| svg.circle("point", (scale.at(*ms), y), 3.0));
            }
        }
        let never = recovered.runs.iter().filter(|run| **run == Recovery::Never).count();
        let words = match (times.is_empty(), never) {
            (false, 0) => tick_words(slowest),
            (true, _) => "not within the run".to_owned(),
            (false, never) => format!("{}; {never} not", tick_words(slowest)),
        };
        svg.text(if never > 0 { "value never" } else { "value" }, (end + 6.0, y + 4.0), "start", &words);
    }
    if scale.is_log() {
        svg.text("tick", (left - 8.0, bottom + 16.0), "end", "logarithmic scale");
    }
    svg.line("axis", (left, top), (left, bottom));
    Some(svg.finish(&format!("recovery time of {} scenarios", shown.len())))
}

/// A name that fits beside the axis.
fn shortened(name: &str) -> String {
    const ROOM: usize = 36;
    let length = name.chars().count();
    if length <= ROOM {
        return name.to_owned();
    }
    // Names of a matrix differ at their end.
    let tail: String = name.chars().skip(length - ROOM + 14).collect();
    let head: String = name.chars().take(13).collect();
    format!("{head}…{tail}")
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A count as a coordinate.
#[expect(clippy::cast_precision_loss, reason = "counts and speeds here are far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn device(at_ms: u64, event: DeviceEvent) -> Event {
        let kind = EventKind::Device { line: 0, event };
        Event { seq: 0, at_ns: at_ms * 1_000_000, wall_ms: 0, device: None, kind }
    }

    fn progress_of(at_ms: u64, percent: u32) -> Event {
        device(at_ms, DeviceEvent::Progress { percent, done: None, total: None, speed: Some(1000) })
    }

    fn fault(at_ms: u64) -> Event {
        let fired = ServerEvent::FaultFired {
            connection: None,
            request: None,
            fault: "reset".to_owned(),
            detail: String::new(),
        };
        Event { kind: EventKind::Server(fired), ..progress_of(at_ms, 0) }
    }

    #[test]
    fn download_that_starts_again_is_another_one_and_faults_stand_where_they_hit() {
        let failed = device(300, DeviceEvent::UpgradeFailed { message: None });
        let events = [
            fault(1),
            device(100, DeviceEvent::DownloadStarted { url: None, slot: None }),
            progress_of(200, 40),
            fault(250),
            failed,
            fault(400),
            progress_of(500, 10),
            progress_of(700, 100),
        ];
        let all = downloads(&events);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].faults, [(150.0, 40.0, "reset".to_owned())], "only the one while it ran");
        assert_eq!(all[1].progress, [(0.0, 10.0), (200.0, 100.0)]);
        assert!(progress(&events).expect("a chart").contains("2 downloads over time, hit by 1 faults"));
        assert_eq!(progress(&[fault(1)]), None);
    }

    #[test]
    fn retry_that_is_not_as_due_is_marked_by_more_than_colour() {
        let seconds = |n| Some(Duration::from_secs(n));
        let interval = |attempt, measured| Interval {
            seq: 0,
            until: None,
            attempt,
            announced: seconds(10),
            measured: seconds(measured),
            due: seconds(10),
            tolerance: Duration::from_millis(500),
        };
        let svg = retries(&[interval(1, 10), interval(2, 60)]).expect("a chart");
        assert!(svg.contains("2 retries with their delays, 1 of them not as due") && svg.contains("✗ 1 min"), "{svg}");
        assert_eq!(retries(&[]), None);
    }

    #[test]
    fn scenario_that_never_recovered_is_said_so() {
        let runs = vec![Recovery::After(5000), Recovery::Never];
        let all = [
            Recovered { name: "a".repeat(60), runs },
            Recovered { name: "calm".to_owned(), runs: vec![Recovery::NotNeeded] },
        ];
        let svg = recoveries(&all).expect("a chart");
        assert!(svg.contains("5 s; 1 not") && !svg.contains("calm"), "{svg}");
    }
}
