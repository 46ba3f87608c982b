//! The little of SVG that the charts need: shapes with classes, text escaped, scales with round ticks. Colours and dashes
//! stand in the page's style sheet, so that the charts follow its light and dark themes.

use std::fmt::Write as _;

use super::untrusted::visible;

/// Width of every chart in its own units; the page scales it.
pub(super) const WIDTH: f64 = 720.0;

/// A drawing that grows.
pub(super) struct Svg {
    body: String,
    height: f64,
}

impl Svg {
    pub(super) fn new(height: f64) -> Self {
        Self { body: String::new(), height }
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (w, h): (f64, f64)) {
        let (w, h) = (w.max(1.0), h.max(1.0));
        let _ = write!(self.body, r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}"/>"#);
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = write!(self.body, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
    }

    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let _ = write!(self.body, r#"<polyline class="{class}" points=""#);
        for (x, y) in points {
            let _ = write!(self.body, "{x:.1},{y:.1} ");
        }
        self.body.push_str(r#""/>"#);
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), r: f64) {
        let _ = write!(self.body, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{r:.1}"/>"#);
    }

    /// A diamond: a fault.
    pub(super) fn diamond(&mut self, class: &str, (x, y): (f64, f64), r: f64, title: &str) {
        let _ = write!(
            self.body,
            r#"<path class="{class}" d="M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z"><title>{}</title></path>"#,
            y - r,
            x + r,
            y + r,
            x - r,
            escaped(title)
        );
    }

    /// Text; `anchor` is start, middle or end. Untrusted.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = escaped(text);
        let _ =
            write!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
    }

    /// The element; `label` says in words what it shows.
    pub(super) fn finish(self, label: &str) -> String {
        format!(
            r#"<svg class="chart" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}">{}</svg>"#,
            self.height,
            escaped(label),
            self.body
        )
    }
}

/// Text for element content and attributes in double quotes.
fn escaped(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A scale from values to a range of the drawing: linear, or logarithmic where the values differ too much for it.
pub(super) struct Scale {
    low: f64,
    high: f64,
    range: (f64, f64),
    log: bool,
}

/// Values that differ by more than this factor are shown on a logarithmic scale.
const LOG_BEYOND: f64 = 40.0;

impl Scale {
    /// From zero.
    pub(super) fn linear(high: f64, range: (f64, f64)) -> Self {
        Self { low: 0.0, high: if high > 0.0 { high } else { 1.0 }, range, log: false }
    }

    /// For lengths of time in milliseconds.
    pub(super) fn of(values: impl Iterator<Item = f64>, range: (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|v| *v > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low.is_finite() && high / low > LOG_BEYOND {
            Self { low: low / 2.0, high, range, log: true }
        } else {
            Self::linear(high, range)
        }
    }

    /// True when it is logarithmic, which is to be said beside it.
    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let (from, to) = self.range;
        let part = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        from + (to - from) * part.clamp(0.0, 1.0)
    }

    /// Round values to write beside the axis, of time in milliseconds.
    pub(super) fn time_ticks(&self) -> Vec<f64> {
        const STEPS: &[f64] = &[
            1., 2., 5., 10., 20., 50., 100., 200., 500., 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3,
            900e3, 1800e3, 3600e3, 7200e3, 14400e3, 28800e3, 86400e3,
        ];
        if self.log {
            let wanted = [1., 10., 100., 1e3, 10e3, 60e3, 600e3, 3600e3, 36000e3];
            return wanted.into_iter().filter(|v| *v >= self.low && *v <= self.high).collect();
        }
        let step = STEPS.iter().copied().find(|step| self.high / step <= 6.0).unwrap_or(self.high / 4.0);
        multiples(step, self.high)
    }

    /// Round values of anything that is counted in tens.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let rough = self.high / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|s| *s >= rough).unwrap_or(rough);
        multiples(step, self.high)
    }
}

fn multiples(step: f64, high: f64) -> Vec<f64> {
    let mut values = Vec::new();
    let mut value = 0.0;
    while value <= high * 1.0001 && values.len() < 20 {
        values.push(value);
        value += step;
    }
    values
}

/// A length of time for an axis: "250 ms", "10 s", "2 min", "1 h 25 min".
pub(super) fn tick_words(ms: f64) -> String {
    let whole = |value: f64| format!("{value:.1}").trim_end_matches(".0").to_owned();
    match ms {
        0.0 => "0".to_owned(),
        ms if ms < 1000.0 => format!("{} ms", whole(ms)),
        ms if ms < 60e3 => format!("{} s", whole(ms / 1000.0)),
        ms if ms < 3600e3 => format!("{} min", whole(ms / 60e3)),
        ms => format!("{} h", whole(ms / 3600e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let mut svg = Svg::new(10.0);
        svg.text("t", (0.0, 0.0), "start", "<script>\"&\u{1b}");
        let svg = svg.finish("\"><b>");
        assert!(
            svg.contains("&lt;script&gt;&quot;&amp;␛") && svg.contains(r#"aria-label="&quot;&gt;&lt;b&gt;""#),
            "{svg}"
        );
    }

    #[test]
    fn delays_that_double_many_times_get_a_logarithmic_scale() {
        let scale = Scale::of([10e3, 2_560e3].into_iter(), (0.0, 100.0));
        assert!(scale.log && (scale.at(2_560e3) - 100.0).abs() < 1e-9 && scale.at(10e3) > 5.0);
        let even = Scale::of([10e3, 60e3].into_iter(), (0.0, 100.0));
        assert!((even.at(30e3) - 50.0).abs() < 1e-9);
        assert_eq!(even.time_ticks(), [0.0, 10e3, 20e3, 30e3, 40e3, 50e3, 60e3].map(|v: f64| v)[..].to_vec());
    }

    #[test]
    fn nothing_to_scale_is_no_division_by_zero() {
        let scale = Scale::of(std::iter::empty(), (0.0, 100.0));
        assert!(scale.at(5.0).is_finite() && !scale.ticks().is_empty());
    }
}
