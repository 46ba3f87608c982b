use super::*;
use crate::problem::FileErrors;
use crate::scenario::embedded::SCENARIOS;

fn values() -> Values {
    Values::of_network("192.168.88.200", 8002)
        .with("firmware.max_attempts", "10")
        .with("firmware.delay", "60s")
        .with("firmware.name", "xiaozhi")
        .with("firmware.version", "1.5.9")
}

fn wrong_port() -> &'static str {
    SCENARIOS.iter().find(|(name, _)| *name == "wrong-port").expect("embedded").1
}

/// Replaces a text that must be there, and expects errors.
fn broken(from: &str, to: &str) -> FileErrors {
    let text = wrong_port();
    assert!(text.contains(from), "the example no longer holds {from:?}");
    parse("wrong-port", "wrong-port.toml", &text.replacen(from, to, 1), &values()).expect_err("broken")
}

fn only(errors: &FileErrors) -> (usize, &str, Option<&str>) {
    assert_eq!(errors.problems.len(), 1, "{errors:?}");
    let problem = &errors.problems[0];
    (problem.line, &problem.message, problem.help.as_deref())
}

#[test]
fn every_built_in_scenario_is_valid_and_quick_ones_total_under_their_limit() {
    let mut quick = std::time::Duration::ZERO;
    for (name, text) in SCENARIOS {
        for case in matrix::cases(name, text).unwrap_or_else(|e| panic!("{name}: {e:?}")) {
            let scenario = parse(name, name, &case.text, &values()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            if scenario.tags.contains("quick") {
                quick += scenario.device_time;
            }
        }
    }
    assert!(quick < std::time::Duration::from_secs(15 * 60), "{quick:?}");
}

#[test]
fn templates_are_filled_with_this_runs_values() {
    let scenario = parse("wrong-port", "f", wrong_port(), &values()).expect("valid");
    assert_eq!(scenario.provision["ota-url"].0, "http://192.168.88.200/xiaozhi/ota/");
    assert!(matches!(
        scenario.expectations[1].kind,
        model::ExpectationKind::Retries { max: Some(10), delay: Some(model::DelayLaw::Constant(d)), .. }
            if d.as_secs() == 60
    ));
}

#[test]
fn misspelt_key_stops_with_its_place_and_what_was_meant() {
    let errors = broken("device-time", "devise-time");
    let (line, message, help) = only(&errors);
    assert_eq!((line, help), (4, Some("did you mean `device-time`?")));
    assert!(message.contains("unknown field `devise-time`"), "{message}");
}

#[test]
fn misspelt_event_field_value_and_step_are_named() {
    let (_, message, help) = {
        let errors = broken("event = \"retry-scheduled\"", "event = \"retry-sheduled\"");
        let (l, m, h) = only(&errors);
        (l, m.to_owned(), h.map(str::to_owned))
    };
    assert!(message.contains("no such device event: unknown variant `retry-sheduled`"), "{message}");
    assert_eq!(help.as_deref(), Some("did you mean `retry-scheduled`?"));

    let errors = broken("where = { attempt = 3 }", "where = { atempt = 3 }");
    assert_eq!(only(&errors).2, Some("did you mean `attempt`?"));

    let errors = broken("{server.url}", "{server.uri}");
    assert_eq!(only(&errors).2, Some("did you mean `server.url`?"));

    let errors = broken("from-step = \"three failures\"", "from-step = \"three falures\"");
    assert_eq!(only(&errors).2, Some("did you mean `three failures`?"));
}

#[test]
fn bad_values_say_what_is_meant() {
    let errors = broken("within = \"5min\"", "within = \"5\"");
    assert!(only(&errors).1.contains("no duration"), "{errors:?}");
    let errors = broken("ESP_ERR_HTTP_CONNECT", "ESP_ERR_HTTP_CONECT");
    assert!(only(&errors).1.contains("no ESP-IDF error"), "{errors:?}");
}

#[test]
fn expectation_of_what_is_never_recorded_is_refused() {
    let query = "{ server = \"request\", where = { path = \"/ota/?mac=aabbcc&v=1\" } }";
    let text = format!(
        "summary = 'x'\ndevice-time = '1min'\n[image]\nflash = '1.5.9'\n[[expect]]\nhappens = {query}\nwithin = '1min'\n"
    );
    let values = Values::of_network("192.168.88.200", 8002);
    let errors = parse("s", "s.toml", &text, &values).expect_err("it could never hold");
    assert!(only(&errors).1.contains("events hold it masked, as \"/ota/?mac=***&v=1\""), "{errors:?}");
    parse("s", "s.toml", &text.replace("mac=aabbcc&", ""), &values).expect("what is harmless stands as it is");
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = wrong_port()
        .replacen("{server.url}", "{server.uri}", 1)
        .replacen("where = { attempt = 3 }", "where = { atempt = 3 }", 1)
        .replacen("\nuntil-end = true", "\n", 1);
    let errors = parse("wrong-port", "f", &text, &values()).expect_err("three problems");
    let lines: Vec<_> = errors.problems.iter().map(|p| p.line).collect();
    assert_eq!(errors.problems.len(), 3, "{errors:?}");
    assert!(lines.is_sorted());
}

#[test]
fn expectation_without_window_or_with_two_kinds_is_refused() {
    let errors = broken("marked-valid = true\n", "marked-valid = true\nstill-runs = true\n");
    assert!(only(&errors).1.contains("exactly one kind, this has 2"));
}

#[test]
fn power_cut_has_an_operation_or_a_part_of_the_update() {
    let cut_of = |offer: &str, place: &str| {
        let text = format!(
            "summary = 'x'\ndevice-time = '1min'\n[image]\nflash = '1.5.9'\n{offer}[[step]]\nname = 'cut'\ncut-power = {{ {place} \
             when = 'before' }}\n[[expect]]\nmarked-valid = true\nuntil-end = true\n"
        );
        let parsed = parse("s", "s.toml", &text, &Values::of_network("192.168.88.200", 8002))?;
        let [model::StepAction::CutPower(cut)] = parsed.steps[0].actions.as_slice() else { panic!("one cut") };
        Ok::<_, FileErrors>(*cut)
    };
    let cut = |place: &str| cut_of("offer = '1.6.0'\n", place);
    let errors = cut_of("", "percent = 50,").expect_err("of nothing");
    assert!(only(&errors).1.contains("`[image]` has no `offer`"), "{errors:?}");
    assert_eq!(cut_of("", "operation = 3,").expect("needs no image").below(0), 3);
    assert_eq!(cut("operation = 12,").expect("valid").below(163_888), 12);
    // 41 sectors, 641 pages, and what selects and confirms them.
    assert_eq!(cut("percent = 100,").expect("valid").below(163_888), 699);
    assert_eq!(cut("percent = 50,").expect("valid").below(163_888), 349);
    for wrong in ["", "operation = 12, percent = 50,", "percent = 0,", "percent = 101,"] {
        let errors = cut(wrong).expect_err(wrong);
        assert!(only(&errors).2.is_some_and(|help| help.contains("percent = 50")), "{errors:?}");
    }
}

#[test]
fn window_until_a_step_needs_one_that_begins_after_it() {
    let expect = |window: &str| {
        let step =
            |name: &str| format!("[[step]]\nname = '{name}'\nuntil = {{ event = 'up-to-date' }}\nwithin = '1s'\n");
        let text = format!(
            "summary = 'x'\ndevice-time = '1min'\n[image]\nflash = '1.5.9'\n{}{}[[expect]]\nnever = {{ event = 'progress' \
             }}\n{window}\n",
            step("first"),
            step("second")
        );
        parse("s", "s.toml", &text, &Values::of_network("192.168.88.200", 8002))
    };
    expect("until-step = 'second'").expect("from the run's begin");
    expect("from-step = 'first'\nuntil-step = 'second'").expect("one step long");
    let errors = expect("until-step = 'secnd'").expect_err("no such step");
    assert_eq!(only(&errors).2, Some("did you mean `second`?"));
    let errors = expect("from-step = 'second'\nuntil-step = 'first'").expect_err("the wrong way round");
    assert!(only(&errors).1.contains("begins no earlier"), "{errors:?}");
    let errors = expect("until-step = 'first'").expect_err("nothing runs by then");
    assert!(only(&errors).1.contains("begins no earlier"), "{errors:?}");
    let errors = expect("until-step = 'second'\nuntil-end = true").expect_err("two ends");
    assert!(only(&errors).1.contains("how long it looks"), "{errors:?}");
}

#[test]
fn schemas_are_what_the_code_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/schema");
    for (name, text) in [("scenario", schema()), ("firmware", crate::firmware_file::schema())] {
        let path = format!("{folder}/{name}.schema.json");
        if std::env::var_os("BRICKPROOF_UPDATE").is_some() {
            std::fs::write(&path, &text).expect("schema");
        }
        let stored = std::fs::read_to_string(&path).expect("schema");
        assert_eq!(stored, text, "write {name}.schema.json again with BRICKPROOF_UPDATE=1");
    }
}

#[test]
fn every_fault_is_in_some_scenario() {
    for doc in ota_server::fault::DOCS {
        let named = super::embedded::SCENARIOS.iter().any(|(_, text)| text.contains(doc.name));
        assert!(named, "no scenario uses {}", doc.name);
    }
}

#[test]
fn firmware_is_built_with_settings_and_never_with_a_defect() {
    let with = |words: &str| wrong_port().replacen("offer = ", &format!("flash-with = [{words}]\noffer = "), 1);
    let values = values();
    assert!(parse("wrong-port", "wrong-port", &with("\"resume\", \"attempts=5\""), &values).is_ok());
    for bad in ["\"resumes\"", "\"attempts=0\"", "\"defect=no-delay\"", "\"resume defect=no-delay\""] {
        let errors = parse("wrong-port", "wrong-port", &with(bad), &values).expect_err(bad);
        assert!(errors.problems[0].message.contains("cannot be built with"), "{bad}: {errors}");
    }
}
