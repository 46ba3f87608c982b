use super::*;
use crate::mutant::{Carrier, CaughtBy};
use crate::report::model::ExpectationReport;

fn report(name: &str, status: Status, failed: &[&str]) -> ScenarioReport {
    let expectation = |label: &&str| ExpectationReport {
        label: (*label).to_owned(),
        status: Status::Fail,
        found: String::new(),
        line: 1,
        column: 1,
        source: String::new(),
        evidence: vec![],
    };
    ScenarioReport {
        reason: (status == Status::Error).then(|| "port gone".to_owned()),
        expectations: failed.iter().map(expectation).collect(),
        ..ScenarioReport::example(name, 1, status)
    }
}

fn mutant(name: &str, caught_by: &[(&str, &str)]) -> Mutant {
    let by = |(s, e): &(&str, &str)| CaughtBy { scenario: (*s).to_owned(), expectation: (*e).to_owned() };
    Mutant {
        name: name.to_owned(),
        summary: String::new(),
        defect: "no-delay".to_owned(),
        carrier: Carrier::Base,
        caught_by: caught_by.iter().map(by).collect(),
    }
}

fn healthy() -> Vec<ScenarioReport> {
    vec![report("a[n=1]", Status::Pass, &[]), report("b", Status::Pass, &[])]
}

#[test]
fn mutant_is_caught_by_the_expectation_named_beforehand() {
    let runs = vec![report("a[n=1]", Status::Fail, &["3 retries, delays 60s"]), report("b", Status::Pass, &[])];
    let matrix = Matrix::new(&healthy(), vec![(mutant("m", &[("a[n=1]", "3 retries")]), runs)]);
    assert!(matrix.rows[0].is_caught() && matrix.complaints().is_empty(), "{:?}", matrix.complaints());
    assert_eq!(matrix.families(), BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 0)]));
    assert_eq!(matrix.idle_families(), ["b"]);
}

#[test]
fn failing_for_another_reason_surviving_and_broken_rigs_are_complaints_of_their_own() {
    let complaint = |caught_by: &[(&str, &str)], run: ScenarioReport| {
        Matrix::new(&healthy(), vec![(mutant("m", caught_by), vec![run])]).complaints().join("; ")
    };
    let other = complaint(&[("b", "x")], report("a[n=1]", Status::Fail, &["something else"]));
    assert!(other.contains("caught for another reason") && other.contains("b: x"), "{other}");
    let alive = complaint(&[("b", "x")], report("b", Status::Pass, &[]));
    assert!(alive.contains("not noticed by any scenario"), "{alive}");
    let error = complaint(&[("b", "x")], report("b", Status::Error, &["x"]));
    assert!(error.contains("the rig failed in b: port gone") && error.contains("not noticed"), "{error}");
}

#[test]
fn sound_firmware_that_fails_is_a_complaint() {
    let matrix = Matrix::new(&[report("a", Status::Fail, &["x"])], vec![]);
    assert_eq!(matrix.complaints(), ["the sound firmware does not pass a: fail"]);
}

#[test]
fn page_shows_who_noticed_whom_and_escapes_what_it_shows() {
    let caught = mutant("caught", &[("b", "no retry <storm>")]);
    let alive = mutant("alive", &[("b", "anything")]);
    let reports = vec![report("a[n=1]", Status::Pass, &[]), report("b", Status::Fail, &["no retry <storm>"])];
    let matrix = Matrix::new(&healthy(), vec![(caught, reports), (alive, healthy())]);
    let page = html(&matrix).expect("page");
    assert!(page.contains("1 of 2 mutants caught"), "{page}");
    assert!(page.contains("no retry &#60;storm&#62;"), "{page}");
    assert!(page.contains("mutant alive is not noticed by any scenario"));
    assert_eq!(page.matches("class=\"n named\"").count(), 1);
}
