use miette::{GraphicalReportHandler, GraphicalTheme};

use super::*;
use crate::console::LineSplitter;
use crate::timeline::DeviceEvent;

fn events(dialect: &Dialect, line: &str) -> Vec<DeviceEvent> {
    let mut splitter = LineSplitter::new();
    splitter.feed(format!("{line}\n").as_bytes()).iter().flat_map(|line| dialect.read(&line.line)).collect()
}

fn json(dialect: &Dialect, line: &str) -> Vec<String> {
    events(dialect, line).iter().map(|event| serde_json::to_string(event).expect("serialises")).collect()
}

fn report(text: &str) -> String {
    let error = parse("my.toml", text).expect_err("a wrong dialect");
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(120)
        .render_report(&mut out, &error)
        .expect("rendered");
    out
}

#[test]
fn the_embedded_dialects_are_right_and_their_examples_match() {
    for name in embedded_names() {
        assert_eq!(embedded(name).unwrap_or_else(|e| panic!("{name}: {e:?}")).name(), name);
    }
}

#[test]
fn the_lines_of_the_wrong_port_case_become_events() {
    let xiaozhi = embedded("xiaozhi").expect("embedded");
    let of = |line: &str| json(&xiaozhi, line).join("\n");
    insta::assert_snapshot!(of("E (6973) esp-tls: [sock=54] delayed connect error: Connection reset by peer"),
        @r#"{"event":"error","name":null,"code":null,"errno":104,"status":null,"message":"[sock=54] delayed connect error: Connection reset by peer"}"#);
    insta::assert_snapshot!(of("E (6973) transport_base: Failed to open a new connection: 32772"),
        @r#"{"event":"error","name":"ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST","code":32772,"errno":null,"status":null,"message":"Failed to open a new connection: 32772"}"#);
    insta::assert_snapshot!(of("E (6983) EspHttp: Failed to perform HTTP request: ESP_ERR_HTTP_CONNECT"),
        @r#"{"event":"error","name":"ESP_ERR_HTTP_CONNECT","code":28674,"errno":null,"status":null,"message":"Failed to perform HTTP request: ESP_ERR_HTTP_CONNECT"}"#);
    insta::assert_snapshot!(of("W (6993) Application: Check new version failed, retry in 60 seconds (1/10)"),
        @r#"{"event":"retry-scheduled","attempt":1,"max":10,"delay-ms":60000}"#);
}

#[test]
fn several_rules_may_match_one_line() {
    let xiaozhi = embedded("xiaozhi").expect("embedded");
    let found = events(&xiaozhi, "E (6993) Ota: Failed to open HTTP connection, code=0x7002");
    assert!(matches!(&found[..], [DeviceEvent::Error { code: Some(0x7002), .. }, DeviceEvent::AttemptFailed { .. }]));
}

#[test]
fn level_and_tag_narrow_a_rule() {
    let text = "name = 'x'\n[[rule]]\nname = 'a'\ntag = 'Ota|OTA'\nlevel = 'EW'\nmatch = 'gone'\nevent = 'idle'\n";
    let dialect = parse("x.toml", text).expect("right");
    assert_eq!(events(&dialect, "E (1) Ota: gone"), [DeviceEvent::Idle]);
    assert!(events(&dialect, "I (1) Ota: gone").is_empty());
    assert!(events(&dialect, "E (1) Otar: gone").is_empty());
    assert!(events(&dialect, "gone").is_empty());
}

#[test]
fn a_number_too_large_for_its_field_gives_no_event() {
    let xiaozhi = embedded("xiaozhi").expect("embedded");
    let line = "W (1) Application: Check new version failed, retry in 60 seconds (99999999999/10)";
    assert!(events(&xiaozhi, line).is_empty());
}

#[test]
fn a_child_replaces_and_leaves_out_inherited_rules() {
    let text = "name = 'mine'\nextends = 'xiaozhi'\nwithout = ['idle']\n[[rule]]\nname = 'retry'\nmatch = 'again in (?<delay_min>[0-9.]+) min, no\\. (?<attempt>\\d+)'\nevent = 'retry-scheduled'\n";
    let dialect = parse("mine.toml", text).expect("right");
    assert!(events(&dialect, "I (1) Application: STATE: idle").is_empty());
    assert!(events(&dialect, "W (1) Application: Check new version failed, retry in 60 seconds (1/10)").is_empty());
    let found = events(&dialect, "W (1) App: again in 1.5 min, no. 3");
    assert_eq!(found, [DeviceEvent::RetryScheduled { attempt: 3, max: None, delay_ms: Some(90_000) }]);
}

#[test]
fn a_dialect_file_extends_another_by_path_and_a_circle_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    file("base.toml", "name = 'base'\nextends = 'esp-idf'\n");
    let child = file("child.toml", "name = 'child'\nextends = 'base.toml'\n");
    let dialect = load(&child).expect("right");
    assert_eq!(dialect.name(), "child");
    assert!(!events(&dialect, "rst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)").is_empty());
    let circle = file("circle.toml", "name = 'circle'\nextends = 'circle.toml'\n");
    let error = load(&circle).expect_err("a circle");
    let DialectError::Invalid { problems, .. } = &error else { panic!("{error:?}") };
    assert!(problems[0].to_string().contains("extend each other"), "{}", problems[0]);
}

#[test]
fn a_missing_file_and_an_unknown_name_say_what_to_do() {
    assert!(load("no/such.toml").expect_err("missing").to_string().contains("no/such.toml"));
    assert_eq!(
        load("xiaozi").expect_err("unknown").to_string(),
        "no dialect is named \"xiaozi\"; the embedded ones are esp-idf, xiaozhi"
    );
}

#[test]
fn a_misspelt_key_is_named_with_its_place() {
    insta::assert_snapshot!(report("name = 'x'\n\n[[rule]]\nname = 'a'\nmatch = 'a'\nevent = 'idle'\nlevels = 'E'\n"));
}

#[test]
fn all_problems_of_a_file_are_reported_at_once() {
    insta::assert_snapshot!(report(
        r#"name = 'x'
extends = 'esp-idf'
without = ['brown-out']

[[rule]]
name = 'a'
match = 'retry (?<atempt>\d+)'
event = 'retry-sheduled'

[[rule]]
name = 'b'
level = 'EX'
match = 'retry (?<atempt>\d+)'
event = 'retry-scheduled'

[[rule]]
name = 'c'
match = 'open ( bracket'
event = 'idle'

[[rule]]
name = 'd'
match = 'hash'
event = 'image-refused'
set = { because = 'hsh', offset = 99999999999, colour = 'red' }

[[rule]]
name = 'd'
match = 'never this'
event = 'idle'
examples = ['I (1) a: but that']
"#
    ));
}

#[test]
fn the_json_schema_is_in_step() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/dialects/dialect.schema.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, schema()).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, schema(), "run this test with UPDATE_SCHEMAS=1 and commit scenarios/dialects/dialect.schema.json");
}

#[test]
fn the_readme_s_example_is_a_right_dialect() {
    let readme = include_str!("../../../scenarios/dialects/README.md");
    let example = readme.split("```").nth(1).expect("an example").trim_start_matches("toml");
    let dialect = parse("README.md", example).unwrap_or_else(|error| panic!("{error:?}"));
    let found = events(&dialect, "W (812) updater: next try in 30 s, attempt 2 of 5");
    assert_eq!(found, [DeviceEvent::RetryScheduled { attempt: 2, max: Some(5), delay_ms: Some(30_000) }]);
}

mod properties {
    use proptest::prelude::*;
    use std::sync::Arc;

    use super::*;
    use crate::console::ConsoleReader;

    proptest! {
        #[test]
        fn any_text_is_a_dialect_or_an_error(text in "(name|rule|match|event|set|[\\[\\]='\"{}\\\\.\\n a-z0-9]){0,60}") {
            let _ = parse("any.toml", &text);
        }
    }

    #[test]
    fn a_megabyte_of_random_bytes_is_read() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        let mut reader = ConsoleReader::new(Arc::new(embedded("xiaozhi").expect("embedded")));
        let mut lines = 0;
        for piece in bytes.chunks(777) {
            lines += reader.feed(piece).len();
        }
        assert!(lines > 1000);
    }
}

#[test]
fn no_rule_that_reads_a_line_is_passed_over() {
    let xiaozhi = embedded("xiaozhi").expect("embedded");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/consoles");
    let mut console = String::new();
    for entry in std::fs::read_dir(folder).expect("consoles") {
        let bytes = std::fs::read(entry.expect("entry").path()).expect("console");
        console.push_str(&String::from_utf8_lossy(&bytes));
    }
    // Letters beside what a rule looks for, at which words begin and end: as they are, and where text is not ASCII.
    console.push_str("E (1) a: errno 104\nE (1) a: \u{e9}errno 104\nE (1) a: 天 errno=104\nW (1) b: status 404天\nW (1) b: 天 status 404\n");
    let mut read = 0;
    for line in LineSplitter::new().feed(console.as_bytes()) {
        let candidates = xiaozhi.candidates(&line.line);
        for (index, rule) in xiaozhi.rules.iter().enumerate() {
            if rule.read(&line.line).is_some() {
                assert!(candidates.contains(&index), "rule {} is passed over at {:?}", rule.name, line.line.text);
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
    assert_eq!(events(&xiaozhi, "E (1) a: \u{e9}errno 104"), [], "no word begins there");
    assert_eq!(events(&xiaozhi, "E (1) a: 天 errno=104").len(), 1);
}
