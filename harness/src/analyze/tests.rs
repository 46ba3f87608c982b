use std::path::Path;

use super::*;
use crate::diagnose::{CauseKind, Confidence};
use crate::dialect;

fn xiaozhi() -> Arc<Dialect> {
    Arc::new(dialect::embedded("xiaozhi").expect("embedded"))
}

fn of(console: &[u8], server: Option<&str>) -> Analysis {
    let server = server.map(|url| Url::parse(url).expect("a URL"));
    analyze(console, xiaozhi(), server.as_ref()).expect("read")
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/consoles").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn wrong_port_case() {
    insta::assert_snapshot!(render(&of(&fixture("wrong-port-1.5.9.log"), None)));
}

#[test]
fn wrong_port_case_with_the_server_known() {
    let server = Some("http://192.168.88.200:8002/xiaozhi/ota/");
    insta::assert_snapshot!(render(&of(&fixture("wrong-port-1.5.9.log"), server)));
}

#[test]
fn every_console_kept_is_read_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/consoles");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("fixtures/consoles")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".log"))
        .collect();
    names.sort_unstable();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        insta::assert_snapshot!(
            format!("console-{}", name.trim_end_matches(".log")),
            render(&of(&fixture(&name), None))
        );
    }
}

#[test]
fn ten_tries_are_constant_and_the_device_gives_up() {
    let analysis = of(&fixture("wrong-port-ten-tries-1.5.9.log"), None);
    let [ladder] = &analysis.summary.ladders[..] else { panic!("{:?}", analysis.summary.ladders) };
    assert_eq!(ladder.count, 9);
    assert_eq!(ladder.announced, Law::Constant { ms: 60_000 });
    assert_eq!(ladder.measured, Law::Constant { ms: 60_000 });
    assert!(analysis.summary.exhausted_line.is_some());
    assert_eq!(analysis.causes[0].kind, CauseKind::WrongPort);
    assert!(analysis.causes[0].sentence.contains("10 times and the device gave up"), "{}", analysis.causes[0].sentence);
}

#[test]
fn the_doubling_of_newer_firmware_is_found() {
    let analysis = of(&fixture("wrong-port-doubling-1.6.log"), None);
    let ladder = &analysis.summary.ladders[0];
    assert_eq!(ladder.announced, Law::Doubling { first_ms: 10_000, cap_ms: None });
    assert_eq!(ladder.measured, Law::Doubling { first_ms: 10_007, cap_ms: None });
    assert_eq!(analysis.causes[0].kind, CauseKind::WrongPort);
}

#[test]
fn a_case_that_the_operator_cured_says_so() {
    let mut console = fixture("wrong-port-1.5.9.log");
    console.extend_from_slice(&fixture("healthy-update-esp32c3.log"));
    let analysis = of(&console, None);
    let cause = &analysis.causes[0];
    assert_eq!(cause.kind, CauseKind::WrongPort);
    assert!(cause.resolved.as_ref().is_some_and(|line| line.text.contains("Marking firmware as valid")), "{cause:?}");
}

#[test]
fn a_healthy_update_has_no_cause() {
    assert_eq!(of(&fixture("healthy-update-esp32c3.log"), None).causes, []);
}

#[test]
fn the_analysis_is_the_same_in_any_pieces_and_as_json() {
    struct OneByte<'a>(&'a [u8]);
    impl Read for OneByte<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(into.len()).min(1);
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }
    let console = fixture("rollback-after-crash-esp32c3.log");
    let whole = of(&console, None);
    assert_eq!(analyze(OneByte(&console), xiaozhi(), None).expect("read"), whole);
    let mut out = Vec::new();
    run(&console[..], ConsoleReader::new(xiaozhi()), None, None, Format::Json, &mut out).expect("written");
    assert_eq!(serde_json::from_slice::<Analysis>(&out).expect("JSON"), whole);
}

#[test]
fn an_empty_and_a_foreign_console_say_so() {
    assert!(render(&of(b"", None)).starts_with("The console is empty."));
    assert!(render(&of(b"hello\n", None)).starts_with("No line of this console"));
}

#[test]
fn lists_stay_bounded_on_an_endless_console() {
    let mut console = Vec::new();
    for n in 0..5000_u32 {
        console.extend_from_slice(
            format!(
                "rst:0xc (SW_CPU_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)\n\
                 I (5) EspHttp: Opening HTTP connection to http://host{n}/\n\
                 E (6) EspHttp: Failed: ESP_ERR_NUMBER_{n}\n\
                 W (7) Application: Check new version failed, retry in 60 seconds (1/10)\n\
                 abort() was called at PC 0x400d1234 on core 0\n"
            )
            .as_bytes(),
        );
    }
    let analysis = of(&console, None);
    assert_eq!((analysis.summary.resets, analysis.summary.retries, analysis.summary.crash_count), (5000, 5000, 5000));
    assert_eq!(analysis.summary.boots.len(), 100);
    assert!(render(&analysis).len() < 20_000);
}

#[test]
fn a_console_with_flipped_bytes_is_still_read() {
    let mut state = 1_u32;
    let mut console = fixture("rollback-after-crash-esp32c3.log");
    // Flips bytes of a real console: damaged headers, numbers and banners, not only noise.
    for round in 0..60 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = (state >> 8) as usize % console.len();
        console[at] = state.to_le_bytes()[3];
        let analysis = of(&console, None);
        assert!(!render(&analysis).is_empty(), "round {round}");
        assert!(analysis.causes.iter().all(|cause| cause.confidence <= Confidence::Possible));
    }
}

#[test]
fn crash_names_the_build_whose_elf_file_decodes_it() {
    let console = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\
                   Backtrace: 0x400d525d:0x3ffb46b0 0x400d316e:0x3ffb46e0\r\n\r\nELF file SHA256: a511d501e\r\n";
    let analysis = analyze(console.as_bytes(), xiaozhi(), None).expect("read");
    let [crash] = &analysis.summary.crashes[..] else { panic!("{:?}", analysis.summary.crashes) };
    assert_eq!(crash.elf_sha256.as_deref(), Some("a511d501e"));
    // This program is not the firmware that crashed: nothing is decoded, and that is said.
    let other = Elf::open(&std::env::current_exe().expect("path")).expect("an ELF file");
    let mut crash = crash.clone();
    crash.decode(&other);
    assert!(crash.frames.is_empty());
    assert!(crash.not_decoded.as_ref().is_some_and(|why| why.contains("the crash says a511d501e")), "{crash:?}");
    // Without the digits there is nothing to compare with, and addresses that it does not know stay addresses.
    crash = Crash { elf_sha256: None, not_decoded: None, ..crash };
    crash.decode(&other);
    assert_eq!(crash.frames.len(), 2);
    assert!(crash.frames.iter().all(|frame| frame.function.is_none()));
    let text = render(&Analysis { summary: Summary { crashes: vec![crash], ..analysis.summary }, ..analysis });
    assert!(text.contains("0x400d525d in (unknown)"), "{text}");
}

/// Everything that is kept of a console, and how much room it takes as JSON.
fn kept(console: &[u8]) -> (usize, Analysis) {
    let analysis = of(console, None);
    (serde_json::to_string(&analysis).expect("JSON").len(), analysis)
}

/// Lines of which each is of a kind of its own, with all that lists are made of.
fn ever_new(n: u32) -> String {
    format!(
        "rst:0xc (SW_CPU_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)\n\
         I (1) app_init: App version:      1.0.{n}\n\
         I (2) wifi: Got IP: 10.{}.{}.{}\n\
         I (3) EspHttp: Opening HTTP connection to http://host{n}/\n\
         E (4) EspHttp: Failed: ESP_ERR_NUMBER_{n}\n\
         E (5) Ota: Failed to open HTTP connection\n\
         W (6) Application: Check new version failed, retry in 60 seconds (1/10)\n\
         Guru Meditation Error: Core  0 panic'ed (Reason{n}). Exception was unhandled.\n\
         Backtrace: 0x400d{:04x}:0x3ffb46b0\nELF file SHA256: {n:09x}\n\
         I (7) Ota: New version available: 2.0.{n}\n",
        n >> 16,
        n >> 8 & 0xff,
        n & 0xff,
        n & 0xffff
    )
}

#[test]
fn what_is_kept_of_an_endless_console_does_not_grow_and_what_is_left_out_is_counted() {
    let console = |n: u32| (0..n).map(ever_new).collect::<String>();
    let (small, few) = kept(console(1000).as_bytes());
    let (large, many) = kept(console(4000).as_bytes());
    // Numbers take more digits; nothing else does.
    assert!(large < small + 200, "{small} bytes of 1000 repeats, {large} of 4000");
    let left_out = |n: u64| LeftOut {
        versions: n - 100,
        addresses: n - 100,
        requests: n - 100,
        errors: n - 100,
        ladders: n - 64,
        milestones: n - 100,
    };
    assert_eq!((few.summary.left_out, many.summary.left_out.clone()), (left_out(1000), left_out(4000)));
    // Each failure is at a URL of its own, each crash for a reason of its own.
    assert_eq!(many.failures_left_out, 2 * (4000 - 32));
    let text = render(&many);
    assert!(text.contains("and 88 more, and 3900 lines that name others still"), "{text}");
    assert!(text.contains("Failures of further kinds, which no cause was looked for: 7936"), "{text}");
    assert!(text.contains("and 3988 more\n"), "turning points, boots and crashes: {text}");
}

#[test]
fn what_is_told_of_a_crash_that_was_left_out_is_given_to_no_other() {
    let console: String = (0..102).map(ever_new).collect();
    let (_, analysis) = kept(console.as_bytes());
    let last = analysis.summary.crashes.last().expect("a crash");
    assert_eq!((last.reason.as_str(), last.backtrace.as_deref()), ("Reason99", Some("0x400d0063")));
}

#[test]
fn console_that_is_compressed_is_read_as_what_was_compressed() {
    let console = fixture("wrong-port-ten-tries-1.5.9.log");
    let packed = zstd::encode_all(&console[..], 3).expect("packed");
    assert_eq!(of(&packed, None), of(&console, None));
    // Killed while it was written: what is whole is told, and that there is no end.
    let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("encoder");
    writer.write_all(&console).and_then(|()| writer.flush()).expect("packed");
    let cut = of(writer.get_ref(), None);
    assert_eq!(cut, Analysis { ended_early: true, ..of(&console, None) });
    assert!(render(&cut).contains("the compressed file ends early, all that is whole was read"), "{}", render(&cut));
    let damaged = [&packed[..], b"what zstd did not write"].concat();
    let error = analyze(&damaged[..], xiaozhi(), None).expect_err("damaged").to_string();
    assert!(error.contains("the compressed data is damaged"), "{error}");
}

#[test]
fn recording_is_no_console_and_says_where_to_take_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings/wrong-port.jsonl");
    let error = analyze(std::fs::File::open(path).expect("kept"), xiaozhi(), None).expect_err("no console");
    assert!(error.to_string().contains("`brickproof judge` reads it"), "{error}");
}
