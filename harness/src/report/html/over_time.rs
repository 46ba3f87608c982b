//! How recovery went from run to run: a mark for each run of a history, whose shape tells its verdict.

use super::svg::{Scale, Svg, WIDTH, tick_words};
use crate::date::rfc3339_ms;
use crate::history::Run;
use crate::verdict::Status;

/// Room left of the axis for its words.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
/// Where runs stand that never recovered: above all times.
const NEVER: f64 = 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 142.0;

/// Recovery times over the runs of a history, oldest left. `None` where no run had anything to recover from.
#[must_use]
pub fn over_history(runs: &[Run]) -> Option<String> {
    if runs.len() < 2 || !runs.iter().any(|run| run.recovery_ms.is_some() || run.never_recovered > 0) {
        return None;
    }
    let scale = Scale::of(runs.iter().filter_map(|run| run.recovery_ms), (BOTTOM, TOP));
    let mut svg = Svg::new(BOTTOM + 34.0);
    for tick in scale.time_ticks() {
        svg.line("grid", (LEFT, scale.at(tick)), (WIDTH - RIGHT, scale.at(tick)));
        svg.text("tick", (LEFT - 6.0, scale.at(tick) + 4.0), "end", &tick_words(tick));
    }
    let slot = (WIDTH - LEFT - RIGHT) / coordinate(runs.len());
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (n, run) in runs.iter().enumerate() {
        let x = LEFT + slot * (coordinate(n) + 0.5);
        if run.never_recovered > 0 {
            svg.text("value never", (x, NEVER + 5.0), "middle", "△");
        }
        match (run.verdict(), run.recovery_ms) {
            (None, _) => svg.text("tick", (x, BOTTOM - 3.0), "middle", if run.rig_errors > 0 { "!" } else { "–" }),
            (Some(_), None) => {}
            (Some(verdict), Some(ms)) => {
                let y = scale.at(ms);
                line.push((x, y));
                if verdict == Status::Pass {
                    svg.circle("point", (x, y), 3.5);
                } else {
                    svg.text("value bad", (x, y + 4.5), "middle", "✗");
                }
            }
        }
    }
    if line.len() > 1 {
        svg.polyline("series", &line);
    }
    svg.line("axis", (LEFT, BOTTOM), (WIDTH - RIGHT, BOTTOM));
    let ends = [runs.first().map(|run| ("start", LEFT, run)), runs.last().map(|run| ("end", WIDTH - RIGHT, run))];
    for (anchor, x, run) in ends.into_iter().flatten() {
        svg.text("tick", (x, BOTTOM + 16.0), anchor, &rfc3339_ms(run.began_ms));
        svg.text("tick", (x, BOTTOM + 30.0), anchor, run.label.as_deref().unwrap_or_default());
    }
    if scale.is_log() {
        svg.text("tick", (LEFT + 4.0, BOTTOM - 6.0), "start", "logarithmic scale");
    }
    let never = runs.iter().filter(|run| run.never_recovered > 0).count();
    Some(
        svg.finish(&format!(
            "recovery time over {} runs, of which {never} had a repeat that never recovered",
            runs.len()
        )),
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^53")]
fn coordinate(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Entry, trends};
    use crate::metrics::Recovery;

    fn runs(of: &[(Status, Option<Recovery>)]) -> Vec<Run> {
        let entries: Vec<Entry> = of
            .iter()
            .zip(1..)
            .map(|((status, recovery), n)| {
                let entry = Entry::example("a", &format!("run-{n}"), n * 86_400_000, *status);
                Entry { recovery: *recovery, label: Some(format!("<b>{n}")), ..entry }
            })
            .collect();
        trends(&entries).remove(0).runs
    }

    #[test]
    fn each_verdict_has_a_shape_of_its_own() {
        let svg = over_history(&runs(&[
            (Status::Pass, Some(Recovery::After(5000))),
            (Status::Fail, Some(Recovery::After(9000))),
            (Status::Fail, Some(Recovery::Never)),
            (Status::Error, None),
            (Status::Pass, Some(Recovery::After(6000))),
        ]))
        .expect("a chart");
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        for mark in [">✗<", ">△<", ">!<", "&lt;b&gt;1", "1970-01-06"] {
            assert!(svg.contains(mark), "{mark}: {svg}");
        }
        assert!(svg.contains("recovery time over 5 runs, of which 1 had a repeat that never recovered"));
    }

    #[test]
    fn nothing_to_recover_from_is_no_chart() {
        assert_eq!(over_history(&runs(&[(Status::Pass, Some(Recovery::NotNeeded)), (Status::Pass, None)])), None);
        assert_eq!(over_history(&runs(&[(Status::Pass, Some(Recovery::After(1)))])), None, "one run is no trend");
    }
}
