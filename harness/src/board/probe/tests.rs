//! probe-rs itself, on a chip that is not there: see `fake_chip`.

use super::fake_chip::{Bench, SharedChip, chip, with};
use super::wired::{Wired, list};
use super::*;
use crate::board::BoardError;
use crate::board::flash::{ChipFacts, ENCRYPTED, Region};
use esp_image::chip::ChipId;

/// Where the firmware of these tests runs: in flash, as the instruction bus shows it.
const RUNS_AT: u32 = 0x4200_5440;

fn settings(select: &str) -> ProbeSettings {
    ProbeLayer::of(select.parse().expect("a probe")).complete().expect("named")
}

fn attach(bench: &Bench, select: &str) -> Result<Wired, String> {
    Wired::attach(&bench.lister(), &settings(select), ChipId::Esp32C3).map_err(|e| e.to_string())
}

/// A probe of a machine that has one.
fn probe(chip: &SharedChip, settings: &ProbeSettings) -> Probe {
    let bench = Bench::of(chip);
    Probe::known_to(move || bench.lister(), settings, ChipId::Esp32C3)
}

fn refused(bench: &Bench, select: &str) -> String {
    match attach(bench, select) {
        Ok(_) => panic!("attached"),
        Err(why) => why,
    }
}

#[test]
fn attached_probes_are_listed_as_they_are_chosen() {
    let probes = list(&Bench::of(&chip(RUNS_AT)).lister());
    let [probe] = probes.as_slice() else { panic!("one: {probes:?}") };
    assert_eq!((probe.select.as_str(), probe.kind.as_str(), probe.accessible), ("303a:1001:A", "Fake", true));
    probe.select.parse::<ProbeSelector>().expect("as --probe takes it");
}

#[test]
fn probe_that_cannot_be_chosen_says_why() {
    let bench = Bench::of(&chip(RUNS_AT));
    let none = refused(&bench.clone().empty(), "303a:1001");
    assert!(none.contains("cannot find debug probe 303a:1001: no debug probe is attached"), "{none}");
    let other = refused(&bench, "0403:6010");
    assert!(other.contains("attached are 303a:1001:A (fake JTAG)"), "{other}");
    let several = refused(&bench.clone().and("B"), "303a:1001");
    assert!(several.contains("2 probes are that: name one of 303a:1001:A, 303a:1001:B"), "{several}");
    attach(&bench.clone().and("B"), "303a:1001:B").map(drop).expect("one of them");
    let forbidden = refused(&bench.forbidden(), "303a:1001");
    assert!(forbidden.contains("udev"), "{forbidden}");
}

#[tokio::test]
async fn inspected_chip_tells_where_it_stands_and_runs_on() {
    let chip = chip(RUNS_AT);
    with(&chip, |chip| chip.stand(0x4200_1004, 0x3fc9_0000, &[7, 0x4200_2002]));
    let inspection = probe(&chip, &settings("303a:1001")).inspect().await.expect("inspected");
    let [core] = inspection.cores.as_slice() else { panic!("one core: {inspection:?}") };
    assert_eq!((core.core, core.counter, core.callers.as_slice()), (0, u64::from(RUNS_AT), &[0x4200_1002][..]));
    assert_eq!(core.stack[..3], [7, 0x4200_2002, 0]);
    assert!(with(&chip, |chip| chip.is_running()), "it runs on");
    assert_eq!(with(&chip, |chip| (chip.resets, chip.attached)), (0, 1));
}

#[tokio::test]
async fn chip_that_is_held_stands_in_reset_until_it_is_let_run() {
    let chip = chip(RUNS_AT);
    let probe = probe(&chip, &settings("303a:1001"));
    probe.hold().await.expect("held");
    assert!(with(&chip, |chip| chip.resets > 0 && !chip.is_running()));
    probe.run().await.expect("let go");
    assert!(with(&chip, |chip| chip.is_running()));
}

#[tokio::test]
async fn clock_is_set_as_configured() {
    let chip = chip(RUNS_AT);
    let settings = ProbeSettings { speed_khz: Some(2000), ..settings("303a:1001") };
    probe(&chip, &settings).inspect().await.expect("inspected");
    assert_eq!(with(&chip, |chip| chip.speed_khz), 2000);
}

/// What a flash session does on a chip.
async fn flashing<T: Send + 'static>(
    chip: &SharedChip,
    mut work: impl FnMut(&mut dyn crate::board::flash::FlashAccess) -> Result<T, BoardError> + Send + 'static,
) -> T {
    let (done, result) = std::sync::mpsc::channel();
    let work = Box::new(move |flash: &mut dyn crate::board::flash::FlashAccess| {
        done.send(work(flash)?).expect("the test waits");
        Ok(())
    });
    probe(chip, &settings("303a:1001")).with_flash(work).await.expect("done");
    result.recv().expect("a result")
}

#[tokio::test]
async fn chip_facts_come_from_its_fuses_and_the_flash_loader() {
    let chip = chip(RUNS_AT);
    with(&chip, |chip| {
        chip.set_word(0x6000_8844, 0xfa00_1122);
        chip.set_word(0x6000_8848, 0xf412);
    });
    let facts = flashing(&chip, |flash| flash.facts()).await;
    let mac = Some("f4:12:fa:00:11:22".to_owned());
    assert_eq!(facts, ChipFacts { chip: "esp32c3".to_owned(), mac, flash_size: 0x40_0000, secured: None });
    with(&chip, |chip| chip.set_word(0x6000_8834, 1 << 18));
    let facts = flashing(&chip, |flash| flash.facts()).await;
    assert_eq!(facts.secured.as_deref(), Some(ENCRYPTED));
}

#[tokio::test]
async fn written_regions_are_in_flash_and_their_neighbours_stay() {
    let chip = chip(RUNS_AT);
    // Everything of the first 256 KiB is something else's.
    with(&chip, |chip| chip.flash()[..0x4_0000].fill(0x5a));
    let app: Vec<u8> = (0..70_000_u32).map(|n| u8::try_from(n / 7 % 251).unwrap_or(0)).collect();
    let regions = [
        Region { label: "app".to_owned(), offset: 0x1_0000, bytes: app.clone() },
        Region { label: "nvs".to_owned(), offset: 0x9000, bytes: vec![1; 100] },
    ];
    let again = regions.clone();
    let written = flashing(&chip, move |flash| flash.write(&regions)).await;
    assert_eq!((written.written, written.unchanged), (70_100, 0));
    with(&chip, |chip| {
        let flash = chip.flash();
        assert_eq!(&flash[0x1_0000..0x1_0000 + app.len()], &app[..]);
        assert!(flash[0x9000..0x9064].iter().all(|byte| *byte == 1));
        assert!(flash[0x9064..0xa000].iter().all(|byte| *byte == 0xff), "the rest of a touched sector");
        assert!(flash[..0x9000].iter().chain(&flash[0xa000..0x1_0000]).all(|byte| *byte == 0x5a), "sectors before");
        let end = (0x1_0000 + app.len()).next_multiple_of(0x1000);
        assert!(flash[end..0x4_0000].iter().all(|byte| *byte == 0x5a), "sectors after");
    });
    let written = flashing(&chip, move |flash| flash.write(&again)).await;
    assert_eq!((written.written, written.unchanged), (0, 70_100), "it is there already");
}

#[tokio::test]
async fn flash_is_read_back_over_the_loaders_pages_and_erased_in_sectors() {
    let chip = chip(RUNS_AT);
    let content: Vec<u8> = (0..40_000_u32).map(|n| u8::try_from(n % 253).unwrap_or(0)).collect();
    with(&chip, |chip| chip.flash()[0x3_0100..0x3_0100 + 40_000].copy_from_slice(&content));
    assert_eq!(flashing(&chip, |flash| flash.read(0x3_0100, 40_000)).await, content);
    flashing(&chip, |flash| flash.erase(0x3_1000, 0x1000)).await;
    with(&chip, |chip| {
        let flash = chip.flash();
        assert!(flash[0x3_1000..0x3_2000].iter().all(|byte| *byte == 0xff));
        assert_eq!(&flash[0x3_0100..0x3_1000], &content[..0xf00]);
        assert_eq!(&flash[0x3_2000..0x3_0100 + 40_000], &content[0x1f00..]);
    });
}

#[tokio::test]
async fn flash_that_does_not_take_what_is_written_is_an_error() {
    let chip = chip(RUNS_AT);
    let region = Region { label: "app".to_owned(), offset: 0xff_0000, bytes: vec![1; 16] };
    let probe = probe(&chip, &settings("303a:1001"));
    let error = probe.with_flash(Box::new(move |flash| flash.write(std::slice::from_ref(&region)).map(drop))).await;
    let error = error.expect_err("beyond the end of this chip's flash").to_string();
    assert!(error.contains("app") && error.contains("through debug probe 303a:1001"), "{error}");
}

/// Where these tests' firmware has its RTT control block.
const RTT_AT: u32 = 0x3fc9_1000;

/// What a console says until it has said so much.
async fn hear(probe: &mut Probe, size: usize) -> Vec<u8> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 10]);
    while heard.len() < size {
        match probe.heard(&mut buffer).await.expect("it is there") {
            RttRead::Bytes(n) => heard.extend_from_slice(&buffer[..n]),
            RttRead::Note(note) => panic!("{note}"),
        }
    }
    heard
}

#[tokio::test]
async fn what_was_said_before_a_reset_is_not_heard_after_it() {
    let chip = chip(RUNS_AT);
    print(&chip, b"Marking firmware as valid\n");
    let mut probe = probe(&chip, &settings("303a:1001"));
    probe.forget_console().await;
    assert!(!with(&chip, |chip| chip.is_running()), "nothing puts it there again");
    assert_ne!(with(&chip, |chip| chip.bytes(RTT_AT, 10)), b"SEGGER RTT", "it would be found after the reset");
    probe.hold().await.expect("held");
    probe.run().await.expect("let go");
    probe.listen();
    print(&chip, b"I (30) boot\n");
    assert_eq!(hear(&mut probe, 12).await, b"I (30) boot\n");
}

/// Puts an RTT control block into a chip's memory, with one up-channel that holds a text.
fn print(chip: &SharedChip, text: &[u8]) {
    // Layout of SEGGER's `SEGGER_RTT_CB`: id, number of channels up and down, then a descriptor each.
    let (block, name, buffer) = (RTT_AT, 0x3fc9_2000_u32, 0x3fc9_3000_u32);
    with(chip, |chip| {
        chip.set_bytes(name, b"Terminal\0");
        chip.set_bytes(buffer, text);
        let length = u32::try_from(text.len()).expect("short");
        for (at, word) in (block + 16..).step_by(4).zip([1, 0, name, buffer, 1024, length, 0, 0]) {
            chip.set_word(at, word);
        }
        chip.set_bytes(block, b"SEGGER RTT\0\0\0\0\0\0");
    });
}

#[tokio::test]
async fn console_is_read_by_rtt_as_soon_as_the_firmware_has_one() {
    let chip = chip(RUNS_AT);
    let mut probe = probe(&chip, &settings("303a:1001"));
    probe.listen();
    print(&chip, b"I (900) Ota: Current version: 1.5.9\n");
    let heard = hear(&mut probe, 36).await;
    assert_eq!(heard, b"I (900) Ota: Current version: 1.5.9\n");
    assert!(with(&chip, |chip| chip.is_running()), "it is read while the firmware runs");
    let inspection = probe.inspect().await.expect("inspected while it is listened to");
    assert_eq!(inspection.cores.len(), 1);
    probe.let_go();
    assert!(with(&chip, |chip| chip.attached) == 1, "one attachment served both");
}
