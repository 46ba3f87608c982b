//! From the file as written to a scenario that cannot be wrong in itself.

use std::collections::BTreeMap;
use std::ops::Range;

use ota_agent::parameters::{Parameters, WORDS};
use ota_server::plan::FaultRule;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;

use crate::timeline::{Action, DeviceEvent};

use super::model::{
    Anchor, Count, Expectation, ExpectationKind, Images, Limit, Pattern, Scenario, Source, Step, StepAction, Template,
    Wait, Window,
};
use super::raw::{RawExpect, RawImages, RawPattern, RawScenario, RawStep};
use super::values::{Values, delay_law};
use crate::problem::{Problems, meant, suggestion};
use crate::secrets::Secrets;

pub(super) struct Checker<'c, 't> {
    pub(super) problems: &'c mut Problems<'t>,
    pub(super) values: &'c Values,
}

impl Checker<'_, '_> {
    pub(super) fn scenario(&mut self, name: &str, source: Source, raw: RawScenario) -> Option<Scenario> {
        let provision = self.templates(raw.provision);
        let faults = self.faults(raw.faults);
        let names: Vec<String> = raw.step.iter().map(|s| s.get_ref().name.clone()).collect();
        let steps: Vec<Option<Step>> =
            raw.step.into_iter().map(|step| self.step(step, raw.image.offer.is_some())).collect();
        let expectations: Vec<Option<Expectation>> =
            raw.expect.into_iter().map(|e| self.expectation(e, &names)).collect();
        if expectations.is_empty() {
            self.problems.add(
                0..0,
                "a scenario without an expectation cannot fail",
                Some("add an [[expect]]".to_owned()),
            );
        }
        Some(Scenario {
            name: name.to_owned(),
            summary: raw.summary,
            tags: raw.tags.into_iter().collect(),
            source,
            requires: raw.requires.into_iter().collect(),
            device_time: raw.device_time.get(),
            image: self.images(raw.image),
            provision,
            faults,
            steps: steps.into_iter().collect::<Option<_>>()?,
            expectations: expectations.into_iter().collect::<Option<_>>()?,
        })
    }

    fn templates(&mut self, raw: BTreeMap<String, Spanned<String>>) -> BTreeMap<String, Template> {
        let values = self.values;
        let mut fill = |text: Spanned<String>| {
            let filled = values.fill_but_environment(text.get_ref());
            Template(self.told(text.span(), filled))
        };
        raw.into_iter().map(|(key, text)| (key, fill(text))).collect()
    }

    fn fill(&mut self, span: Range<usize>, text: &str) -> String {
        let filled = self.values.fill(text);
        self.told(span, filled)
    }

    fn told(&mut self, span: Range<usize>, filled: Result<String, (String, Option<String>)>) -> String {
        filled.unwrap_or_else(|(message, help)| {
            self.problems.add(span, message, help);
            String::new()
        })
    }

    fn images(&mut self, raw: RawImages) -> Images {
        let offer_defect = raw.offer_defect.map(|defect| {
            if ota_agent::defect::Defect::find(defect.get_ref()).is_none() {
                let known: Vec<&str> = ota_agent::defect::ALL.iter().map(|(name, _)| *name).collect();
                let message = format!("the reference firmware has no defect `{}`", defect.get_ref());
                self.problems.add(defect.span(), message, suggestion(defect.get_ref(), &known));
            }
            defect.into_inner()
        });
        let flash_with = raw.flash_with.into_iter().map(|word| {
            // What is wrong with a firmware stands in mutant files, never in how it is built.
            let is_setting = Parameters::parse(word.get_ref()).is_ok_and(|all| all.defect.is_none());
            if !is_setting {
                let message = format!("the reference firmware cannot be built with {:?}", word.get_ref());
                self.problems.add(word.span(), message, Some(format!("there are {}", WORDS.join(", "))));
            }
            word.into_inner()
        });
        let flash_with = flash_with.collect();
        Images { flash: raw.flash, flash_with, flash_security: raw.flash_security, offer: raw.offer, offer_defect }
    }

    fn faults(&mut self, rules: Vec<Spanned<FaultRule>>) -> Vec<FaultRule> {
        rules
            .into_iter()
            .map(|rule| {
                if let Some(problem) = rule.get_ref().problem() {
                    self.problems.add(rule.span(), problem, Some("docs/faults.md lists every fault".to_owned()));
                }
                rule.into_inner()
            })
            .collect()
    }

    fn step(&mut self, raw: Spanned<RawStep>, offers: bool) -> Option<Step> {
        let span = raw.span();
        let raw = raw.into_inner();
        let mut actions = Vec::new();
        if let Some(faults) = raw.faults {
            actions.push(StepAction::Faults(self.faults(faults)));
        }
        if let Some(offer) = raw.offer {
            actions.push(StepAction::Offer(Some(offer).filter(|o| !o.is_empty())));
        }
        if let Some(cut) = raw.cut_power {
            let wrong = match (cut.operation, cut.percent) {
                (Some(_), None) => None,
                (None, Some(1..=100)) if offers => None,
                (None, Some(1..=100)) => {
                    Some("`percent` is of the update to the offered image, and `[image]` has no `offer`".to_owned())
                }
                (None, Some(percent)) => Some(format!("{percent} per cent of an update is no place to cut power at")),
                _ => Some("`cut-power` has either `operation` or `percent`".to_owned()),
            };
            if let Some(wrong) = wrong {
                let help = "`operation = 12`, or `percent = 50` of the offered image's update (1 to 100)".to_owned();
                self.problems.add(span.clone(), wrong, Some(help));
            }
            actions.push(StepAction::CutPower(cut));
        }
        if raw.wifi_off {
            actions.push(StepAction::Wifi { in_reach: false });
        }
        if raw.power_off {
            actions.push(StepAction::PowerOff);
        }
        if let Some(wait) = raw.wait {
            actions.push(StepAction::Wait(wait.get()));
        }
        if raw.inspect {
            actions.push(StepAction::Inspect);
        }
        if let Some(provision) = raw.provision {
            if !raw.reset {
                self.problems.add(
                    span.clone(),
                    format!("step {:?} provisions and does not reset: the device would stand still", raw.name),
                    Some("add `reset = true`".to_owned()),
                );
            }
            actions.push(StepAction::Provision(self.templates(provision)));
        }
        if raw.wifi_on {
            actions.push(StepAction::Wifi { in_reach: true });
        }
        if raw.power_on {
            actions.push(StepAction::PowerOn);
        }
        if raw.reset {
            actions.push(StepAction::Reset);
        }
        let until = match (raw.until, raw.within) {
            (Some(pattern), Some(within)) => {
                let pattern = self.pattern(pattern)?;
                Some(Wait { pattern, count: raw.count.unwrap_or(1), within: within.get() })
            }
            (Some(_), None) => {
                self.problems.add(
                    span.clone(),
                    format!("step {:?} waits without a limit", raw.name),
                    Some("add `within = \"5min\"`".to_owned()),
                );
                None
            }
            (None, Some(_)) => {
                self.problems.add(
                    span.clone(),
                    format!("step {:?} has a limit and waits for nothing", raw.name),
                    Some("add `until = { event = \"...\" }`, or use `wait`".to_owned()),
                );
                None
            }
            (None, None) => None,
        };
        Some(Step { name: raw.name, span, actions, until })
    }

    fn pattern(&mut self, raw: Spanned<RawPattern>) -> Option<Pattern> {
        let span = raw.span();
        let raw = raw.into_inner();
        let mut fields = BTreeMap::new();
        for (key, value) in raw.fields {
            let value = match value {
                toml::Value::String(text) => {
                    let text = self.fill(span.clone(), &text);
                    if let std::borrow::Cow::Owned(masked) = Secrets::default().mask(&text) {
                        let message = format!("`{key}` can never be this text: events hold it masked, as {masked:?}");
                        let help =
                            "what may be a password, a token or a query's value is never recorded (docs/secrets.md)";
                        self.problems.add(span.clone(), message, Some(help.to_owned()));
                    }
                    text.parse::<u64>()
                        .ok()
                        .filter(|_| text.len() < 20 && self.values.0.values().any(|v| *v == text))
                        .map_or(Value::from(text), Value::from)
                }
                other => serde_json::to_value(other).unwrap_or_default(),
            };
            fields.insert(key, value);
        }
        match (raw.event, raw.console, raw.server, raw.action) {
            (Some(event), None, None, None) => self
                .known::<DeviceEvent>(&span, "device event", "event", &event, &fields)
                .then_some(Pattern::Device { event, fields }),
            (None, Some(regex), None, None) => match regex::Regex::new(&regex) {
                Ok(regex) => Some(Pattern::Console(regex)),
                Err(e) => {
                    self.problems.add(span, format!("this is no regular expression: {e}"), None);
                    None
                }
            },
            (None, None, Some(event), None) => self
                .known::<ota_server::event::ServerEvent>(&span, "server event", "server", &event, &fields)
                .then_some(Pattern::Server { event, fields }),
            (None, None, None, Some(event)) => self
                .known::<Action>(&span, "harness action", "action", &event, &fields)
                .then_some(Pattern::Action { event, fields }),
            _ => {
                self.problems.add(
                    span,
                    "a pattern has exactly one of `event`, `console`, `server`, `action`",
                    Some("for example { event = \"retry-scheduled\", where = { attempt = 3 } }".to_owned()),
                );
                None
            }
        }
    }

    /// Whether an event of this name with these fields can exist: the event type itself is asked.
    fn known<T: DeserializeOwned>(
        &mut self,
        span: &Range<usize>,
        what: &str,
        tag: &str,
        name: &str,
        fields: &BTreeMap<String, Value>,
    ) -> bool {
        let mut object = serde_json::Map::from_iter(fields.clone());
        object.insert(tag.to_owned(), name.into());
        let Err(error) = serde_json::from_value::<T>(object.into()) else { return true };
        let message = error.to_string();
        // A pattern names only the fields that matter.
        if message.starts_with("missing field") {
            return true;
        }
        self.problems.add(span.clone(), format!("no such {what}: {}", first_clause(&message)), meant(&message));
        false
    }

    fn count(&mut self, span: &Range<usize>, raw: &RawExpect) -> Count {
        match (raw.times, raw.at_least, raw.at_most) {
            (Some(n), None, None) => Count { min: n, max: Some(n) },
            (None, Some(min), max) => Count { min, max },
            (None, None, Some(max)) => Count { min: 0, max: Some(max) },
            (None, None, None) => Count { min: 1, max: None },
            _ => {
                self.problems.add(span.clone(), "`times` goes without `at-least` and `at-most`", None);
                Count { min: 1, max: None }
            }
        }
    }

    fn expectation(&mut self, raw: Spanned<RawExpect>, steps: &[String]) -> Option<Expectation> {
        let span = raw.span();
        let mut raw = raw.into_inner();
        let window = self.window(&span, &mut raw, steps)?;
        let count = self.count(&span, &raw);
        let mut kinds: Vec<(ExpectationKind, String)> = Vec::new();
        if let Some(pattern) = raw.happens.take() {
            let pattern = self.pattern(pattern)?;
            let words = format!("{} {}", super::words(&pattern), crate::judge::count_words(count));
            kinds.push((ExpectationKind::Happens { pattern, count }, words));
        }
        if let Some(pattern) = raw.never.take() {
            let pattern = self.pattern(pattern)?;
            let words = format!("never {}", super::words(&pattern));
            kinds.push((ExpectationKind::Never { pattern }, words));
        }
        if let Some(patterns) = raw.in_order.take() {
            let patterns: Option<Vec<Pattern>> = patterns.into_iter().map(|p| self.pattern(p)).collect();
            let patterns = patterns?;
            let words = patterns.iter().map(super::words).collect::<Vec<_>>().join(", then ");
            kinds.push((ExpectationKind::InOrder { patterns }, words));
        }
        if let Some(retries) = raw.retries.take() {
            kinds.push(self.retries(retries)?);
        }
        if let Some(boots) = raw.boots.take() {
            let version = self.fill(span.clone(), &boots.version);
            let from = boots.slot.as_ref().map_or_else(String::new, |s| format!(" from slot {s}"));
            let words = format!("version {version} runs{from}");
            kinds.push((ExpectationKind::Boots { version: Template(version), slot: boots.slot }, words));
        }
        if raw.marked_valid {
            kinds.push((ExpectationKind::MarkedValid, "the running image is marked valid".to_owned()));
        }
        if let Some(error) = raw.error.take() {
            kinds.push(self.error(error, count)?);
        }
        if raw.still_runs {
            kinds.push((ExpectationKind::StillRuns, "the device still runs".to_owned()));
        }
        let [(kind, words)] = <[_; 1]>::try_from(kinds)
            .map_err(|kinds| {
                self.problems.add(
                    span.clone(),
                    format!("an expectation has exactly one kind, this has {}", kinds.len()),
                    Some(
                        "kinds are happens, never, in-order, retries, boots, marked-valid, error, still-runs"
                            .to_owned(),
                    ),
                );
            })
            .ok()?;
        Some(Expectation { label: raw.label.unwrap_or(words), span, window, kind })
    }

    fn window(&mut self, span: &Range<usize>, raw: &mut RawExpect, steps: &[String]) -> Option<Window> {
        let from = match (raw.from_step.take(), raw.after.take()) {
            (None, None) => Anchor::Start,
            (Some(name), None) => Anchor::Step(self.step_named(&name, steps)?),
            (None, Some(pattern)) => Anchor::After(self.pattern(pattern)?),
            (Some(_), Some(_)) => {
                self.problems.add(span.clone(), "a window begins at `from-step` or `after`, not at both", None);
                return None;
            }
        };
        let until = match (raw.within, raw.until_step.take(), raw.until_end) {
            (Some(within), None, false) => Limit::Within(within.get()),
            (None, Some(name), false) => {
                let index = self.step_named(&name, steps)?;
                // Before the first step a board is only flashed.
                if index == 0 || matches!(from, Anchor::Step(first) if first >= index) {
                    let message =
                        format!("the window ends where step {:?} begins, and begins no earlier", name.get_ref());
                    self.problems.add(name.span(), message, Some("name a step after that of `from-step`".to_owned()));
                    return None;
                }
                Limit::Step(index)
            }
            (None, None, true) => Limit::End,
            _ => {
                self.problems.add(
                    span.clone(),
                    "an expectation says how long it looks: `within`, `until-step`, or `until-end`",
                    Some("add `within = \"2min\"`, or `until-end = true`".to_owned()),
                );
                return None;
            }
        };
        Some(Window { from, until })
    }

    fn step_named(&mut self, name: &Spanned<String>, steps: &[String]) -> Option<usize> {
        let index = steps.iter().position(|step| step == name.get_ref());
        if index.is_none() {
            let known: Vec<&str> = steps.iter().map(String::as_str).collect();
            let message = format!("there is no step {:?}", name.get_ref());
            self.problems.add(name.span(), message, suggestion(name.get_ref(), &known));
        }
        index
    }

    fn retries(&mut self, raw: Spanned<super::raw::RawRetries>) -> Option<(ExpectationKind, String)> {
        let span = raw.span();
        let raw = raw.into_inner();
        let max = match raw.max {
            None => None,
            Some(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let text = self.fill(span.clone(), &text);
                match text.parse() {
                    Ok(max) => Some(max),
                    Err(_) => {
                        self.problems.add(span.clone(), format!("{text:?} is no number of attempts"), None);
                        return None;
                    }
                }
            }
        };
        let delay = match raw.delay {
            None => None,
            Some(text) => {
                let text = self.fill(span.clone(), &text);
                match delay_law(&text) {
                    Ok(law) => Some((law, text)),
                    Err(message) => {
                        self.problems.add(span, message, None);
                        return None;
                    }
                }
            }
        };
        let count = raw.count.map(|n| Count { min: n, max: Some(n) });
        let mut words = raw.count.map_or_else(|| "retries".to_owned(), |n| format!("{n} retries"));
        if let Some((_, text)) = &delay {
            words.push_str(&format!(", delays {text}"));
        }
        if let Some(max) = max {
            words.push_str(&format!(", of {max} attempts"));
        }
        let tolerance_per_mille = raw.tolerance_percent.unwrap_or(5) * 10;
        Some((ExpectationKind::Retries { count, max, delay: delay.map(|d| d.0), tolerance_per_mille }, words))
    }

    fn error(&mut self, raw: Spanned<super::raw::RawError>, count: Count) -> Option<(ExpectationKind, String)> {
        let span = raw.span();
        let raw = raw.into_inner();
        if raw.name.is_none() && raw.errno.is_none() {
            self.problems.add(span, "an error has a `name`, an `errno`, or both", None);
            return None;
        }
        if let Some(name) = &raw.name
            && crate::esp_err::code_of(name).is_none()
        {
            self.problems.add(span, format!("{name:?} is no ESP-IDF error known here"), None);
            return None;
        }
        let mut words = "error".to_owned();
        if let Some(name) = &raw.name {
            words.push_str(&format!(" {name}"));
        }
        if let Some(errno) = raw.errno {
            words.push_str(&format!(" errno {errno}"));
        }
        words.push_str(&format!(" {}", crate::judge::count_words(count)));
        Some((ExpectationKind::Error { name: raw.name, errno: raw.errno, count }, words))
    }
}

/// serde's message without its list of alternatives, which the help holds.
fn first_clause(message: &str) -> &str {
    message.split(", expected").next().unwrap_or(message)
}
