//! What brickproof writes for machines is read by the parsers that others use: JSON Schema, OpenMetrics, TAP, JUnit XML.

use std::path::Path;
use std::process::{Command, ExitCode};

use outside_tools::Need;

fn main() -> ExitCode {
    outside_tools::main(
        &[
            Need::PythonModule("jsonschema"),
            Need::PythonModule("prometheus_client"),
            Need::PythonModule("tap"),
            Need::PythonModule("xmlschema"),
            Need::Program("junit-10.xsd"),
        ],
        outside_tools::tests![every_form_of_a_report_is_read_by_its_own_parser],
    )
}

/// Reads the report folder named in its first argument, with the schema of report.json in its second and that of JUnit XML in its
/// third.
const READER: &str = r##"
import json, pathlib, sys
from jsonschema import Draft202012Validator
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tap.parser import Parser
import xmlschema

folder = pathlib.Path(sys.argv[1])
schema = json.loads(pathlib.Path(sys.argv[2]).read_text())
Draft202012Validator.check_schema(schema)
report = json.loads((folder / "report.json").read_text())
Draft202012Validator(schema).validate(report)

junit = xmlschema.XMLSchema(sys.argv[3])
for error in junit.iter_errors(str(folder / "junit.xml")):
    sys.exit(f"junit.xml: {error.path}: {error.reason}")

families = {f.name: f for f in text_string_to_metric_families((folder / "metrics.txt").read_text())}
runs = {(s.labels["scenario"], s.labels["verdict"]): s.value for s in families["brickproof_runs"].samples}
points = [line for line in Parser().parse_file(str(folder / "results.tap")) if line.category == "test"]
print(json.dumps({
    "pass": sum(n for (_, verdict), n in runs.items() if verdict == "pass"),
    "fail": sum(n for (_, verdict), n in runs.items() if verdict == "fail"),
    "ok": sum(1 for point in points if point.ok),
    "not-ok": sum(1 for point in points if not point.ok),
    "scenarios": len(report["scenarios"]),
}, sort_keys=True))
"##;

/// A scenario that no sound firmware passes: it wants what never comes.
const FAILS: &str = r#"summary = "Fails: \"quoted\", #hash, back\\slash"
device-time = "1min"
requires = ["flash", "provision", "reset"]

[image]
flash = "1.5.9"

[provision]
ota-url = "{server.url}"

[[expect]]
happens = { event = "brownout" }
within = "30s"
"#;

fn every_form_of_a_report_is_read_by_its_own_parser() {
    let folder = tempfile::tempdir().expect("folder");
    let scenario = folder.path().join("fails #1.toml");
    std::fs::write(&scenario, FAILS).expect("scenario");
    let report = folder.path().join("report");
    let ran = Command::new(env!("CARGO_BIN_EXE_brickproof"))
        .args(["run", "healthy-update"])
        .arg(&scenario)
        .args(["--repeat", "2", "--quiet", "--report"])
        .arg(&report)
        .output()
        .expect("the binary runs");
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stdout));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema/report.schema.json");
    let read = Command::new(outside_tools::program("python"))
        .args(["-c", READER])
        .arg(&report)
        .arg(&schema)
        .arg(outside_tools::program("junit-10.xsd"))
        .output()
        .expect("python runs");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    // The TAP parser tells before of what it was not given.
    let told = String::from_utf8_lossy(&read.stdout).into_owned();
    let read: serde_json::Value = serde_json::from_str(told.lines().last().unwrap_or_default()).expect("JSON");
    let wanted = serde_json::json!({ "pass": 2, "fail": 2, "ok": 2, "not-ok": 2, "scenarios": 4 });
    assert_eq!(read, wanted);
}
