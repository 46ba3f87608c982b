//! Boards in an emulator, through the real binary: against a stand-in for Espressif's QEMU, which this program is, too,
//! when it is started under an emulator's name.

mod bench;
mod stand_in;

use std::path::Path;
use std::process::ExitCode;

use bench::{Bench, SHORT, words};

fn main() -> ExitCode {
    let name: std::path::PathBuf = std::env::args_os().next().map(Into::into).unwrap_or_default();
    match Path::file_name(&name).and_then(|name| name.to_str()) {
        Some(program) if program.starts_with("qemu-system-") => stand_in::main(program),
        _ => outside_tools::main(
            &[],
            outside_tools::tests![
                sound_firmware_updates_in_the_emulator_and_nothing_of_it_is_left,
                each_chip_has_its_program_and_command_line,
                settings_of_a_file_reach_the_emulator,
                firmware_that_does_not_update_is_exit_1,
                settings_changed_in_mid_run_are_read_after_the_reset,
                power_cut_ends_the_machine_and_power_makes_another_with_the_same_flash,
                emulator_that_is_not_there_is_exit_3_with_how_to_get_it,
                qemu_without_the_machine_is_told_as_not_espressifs,
                program_that_does_not_speak_qmp_is_told,
                emulator_that_dies_at_its_start_is_exit_3_with_its_last_words,
                emulator_that_dies_in_mid_run_is_exit_3_with_its_last_words,
                order_that_is_refused_is_a_rig_error,
                what_the_emulator_tells_by_itself_is_noted_and_changes_no_verdict,
                all_that_was_printed_before_a_power_cut_is_heard_after_it,
                what_is_typed_reaches_the_console,
                runs_on_one_port_take_turns,
                killed_run_leaves_no_emulator,
                terminated_run_ends_its_emulator,
                image_for_the_virtual_board_alone_is_refused,
                scenarios_that_an_emulator_cannot_show_are_skipped_with_the_reason,
            ],
        ),
    }
}

fn sound_firmware_updates_in_the_emulator_and_nothing_of_it_is_left() {
    let bench = Bench::new();
    let ran = bench.run("healthy-update", &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let recording = bench.recording();
    assert!(recording.contains(r#""how":"file""#), "flashed as a file");
    assert!(recording.contains("http://10.0.2.2:"), "the device was told the emulator's address of this host");
    assert!(recording.contains("ESP-ROM:esp32c3-api1-20210207"), "from the console's first line on");
    assert!(!recording.contains("the emulator tells"), "nothing of what was ordered is told");
    assert_eq!(bench.orders(), ["qmp_capabilities", "cont", "stop"], "run, and held at the end");
    bench.assert_nothing_left();
}

fn each_chip_has_its_program_and_command_line() {
    let check = |chip: &str, program: &str| {
        let bench = Bench::new();
        let ran = bench.run(&bench.write("short.toml", SHORT), &["--chip", chip]);
        assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
        let expected = format!(
            "{program} -M {chip} -drive file=DIR/flash.bin,if=mtd,format=raw -drive \
             file=DIR/efuse.bin,if=none,format=raw,id=efuse -global driver=nvram.{chip}.efuse,property=drive,value=efuse -nic \
             user,model=open_eth -display none -monitor none -chardev pipe,id=console,path=DIR/console -serial \
             chardev:console -chardev socket,id=monitor,path=DIR/monitor -mon chardev=monitor,mode=control -S"
        );
        assert_eq!(bench.command_lines(), [expected]);
    };
    // Time is real: beside each other they take no longer than one.
    std::thread::scope(|scope| {
        scope.spawn(|| check("esp32", "qemu-system-xtensa"));
        scope.spawn(|| check("esp32s3", "qemu-system-xtensa"));
        scope.spawn(|| check("esp32c3", "qemu-system-riscv32"));
    });
}

fn settings_of_a_file_reach_the_emulator() {
    let bench = Bench::new();
    let efuse = vec![0; 1024];
    std::fs::write(bench.path("fuses.bin"), &efuse).expect("fuses");
    bench.write(
        "brickproof.toml",
        r#"
        [boards.emulated]
        backend = "qemu"
        chip = "esp32s3"
        [boards.emulated.qemu]
        flash-size = "8MiB"
        efuse = "fuses.bin"
        watchdogs = false
        host = "192.168.88.200"
        psram = "8MiB"
        octal-psram = true
        "#,
    );
    let scenario = bench.write("short.toml", SHORT);
    let mut command = bench.plain(&scenario, &["--board", "emulated"]);
    let ran = command.arg("--catalogue").arg(bench.path("images/catalogue.toml")).output().expect("runs");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let lines = bench.command_lines();
    let [line] = lines.as_slice() else { panic!("one emulator: {lines:?}") };
    for part in [
        "-M esp32s3 -m 8M ",
        "-global driver=timer.esp32s3.timg,property=wdt_disable,value=true",
        "-global driver=ssi_psram,property=is_octal,value=true",
        "-nic user,model=open_eth,net=192.168.88.0/24,host=192.168.88.200 ",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(bench.recording().contains("http://192.168.88.200:"), "the device was told that address");
}

fn firmware_that_does_not_update_is_exit_1() {
    let bench = Bench::new();
    // Nobody corrects the URL, yet an update is expected. The port is closed: this bench's own, before its server is there.
    let scenario = r#"
summary = "an update that cannot happen"
device-time = "10s"
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "http://{server.host}:1/xiaozhi/ota/"
[[step]]
name = "first failure"
until = { event = "retry-scheduled", where = { attempt = 1 } }
within = "1min"
[[expect]]
boots = { version = "1.6.0", slot = "other" }
from-step = "first failure"
until-end = true
"#;
    let ran = bench.run(&bench.write("impatient.toml", scenario), &[]);
    assert_eq!(ran.status.code(), Some(1), "{}", words(&ran));
    assert!(words(&ran).contains("version 1.5.9 runs from ota_0"), "{}", words(&ran));
    bench.assert_nothing_left();
}

fn settings_changed_in_mid_run_are_read_after_the_reset() {
    let bench = Bench::new();
    let scenario = r#"
summary = "the operator sets the right URL"
device-time = "20s"
[image]
flash = "1.6.0"
offer = "1.6.0"
[provision]
ota-url = "http://{server.host}:1/xiaozhi/ota/"
[[step]]
name = "wrong"
until = { event = "retry-scheduled", where = { attempt = 1 } }
within = "1min"
[[step]]
name = "right"
provision = { ota-url = "{server.url}" }
reset = true
until = { event = "up-to-date" }
within = "1min"
[[step]]
name = "again"
reset = true
until = { event = "up-to-date" }
within = "1min"
[[expect]]
error = { name = "ESP_ERR_HTTP_CONNECT", errno = 104 }
from-step = "wrong"
until-end = true
[[expect]]
in-order = [{ action = "reset" }, { event = "app-started" }, { action = "provisioned" }, { action = "reset" }, { event = "app-started" }, { event = "up-to-date" }, { action = "reset" }, { event = "app-started" }, { event = "up-to-date" }]
until-end = true
"#;
    let ran = bench.run(&bench.write("corrected.toml", scenario), &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let (first, second) =
        (["qmp_capabilities", "cont", "stop", "quit"], ["qmp_capabilities", "cont", "system_reset", "stop"]);
    assert_eq!(bench.orders(), [first, second].concat(), "off while its flash is written; then a mere reset");
    bench.assert_nothing_left();
}

fn power_cut_ends_the_machine_and_power_makes_another_with_the_same_flash() {
    let bench = Bench::new();
    let scenario = r#"
summary = "power fails after the update"
device-time = "40s"
requires = ["power"]
[image]
flash = "1.5.9"
offer = "1.6.0"
[provision]
ota-url = "{server.url}"
[[step]]
name = "update"
until = { event = "marked-valid" }
within = "2min"
[[step]]
name = "power fails"
power-off = true
wait = "1s"
[[step]]
name = "power is back"
power-on = true
until = { event = "up-to-date" }
within = "1min"
[[expect]]
in-order = [{ event = "upgrade-successful" }, { event = "app-started", where = { version = "1.6.0" } }, { action = "power-off" }, { action = "power-on" }, { event = "app-started", where = { version = "1.6.0" } }]
until-end = true
[[expect]]
never = { event = "app-started" }
from-step = "power fails"
within = "1s"
[[expect]]
boots = { version = "1.6.0", slot = "ota_1" }
from-step = "power is back"
until-end = true
"#;
    let ran = bench.run(&bench.write("power.toml", scenario), &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let pids = bench.pids();
    assert_eq!(pids.len(), 2, "a machine before the cut, another after it");
    let one = ["qmp_capabilities", "cont", "stop", "quit"];
    assert_eq!(bench.orders(), [&one[..], &one[..3]].concat());
    bench.assert_nothing_left();
}

fn emulator_that_is_not_there_is_exit_3_with_how_to_get_it() {
    let bench = Bench::new();
    let scenario = bench.write("short.toml", SHORT);
    let ran = bench.command(&scenario, &[]).env("PATH", bench.path("tmp")).output().expect("runs");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    for part in
        ["cannot find the emulator `qemu-system-riscv32`", "1 folders of PATH", "idf_tools.py install qemu-riscv32"]
    {
        assert!(words(&ran).contains(part), "{part}: {}", words(&ran));
    }
    let absent = Bench::new();
    let ran = absent.run(&absent.write("short.toml", SHORT), &["--qemu", "./no-such-program"]);
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("`./no-such-program`: there is no such file"), "{}", words(&ran));
    absent.assert_nothing_left();
}

fn qemu_without_the_machine_is_told_as_not_espressifs() {
    let bench = Bench::new();
    let ran = bench.with_vice(&bench.write("short.toml", SHORT), "no-machine");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    for part in
        ["is not Espressif's QEMU: it has no machine `esp32c3`", "unsupported machine type", "install qemu-riscv32"]
    {
        assert!(words(&ran).contains(part), "{part}: {}", words(&ran));
    }
    bench.assert_nothing_left();
}

fn program_that_does_not_speak_qmp_is_told() {
    let bench = Bench::new();
    let ran = bench.with_vice(&bench.write("short.toml", SHORT), "no-qmp");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("does not speak QMP") && words(&ran).contains("220 mail.example"), "{}", words(&ran));
    bench.assert_nothing_left();
}

fn emulator_that_dies_at_its_start_is_exit_3_with_its_last_words() {
    let bench = Bench::new();
    let ran = bench.with_vice(&bench.write("short.toml", SHORT), "dies-at-start");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    for part in ["ended by itself while it was started (exit status: 1)", "Unable to load the ROM"] {
        assert!(words(&ran).contains(part), "{part}: {}", words(&ran));
    }
    bench.assert_nothing_left();
}

fn emulator_that_dies_in_mid_run_is_exit_3_with_its_last_words() {
    let bench = Bench::new();
    let ran = bench.with_vice(&bench.write("short.toml", SHORT), "dies");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    for part in ["ended by itself while a scenario ran (exit status: 1)", stand_in::LAST_WORDS] {
        assert!(words(&ran).contains(part), "{part}: {}", words(&ran));
    }
    assert!(bench.recording().contains("Loaded app from partition"), "what it printed before its end is recorded");
    bench.assert_nothing_left();
}

fn order_that_is_refused_is_a_rig_error() {
    let bench = Bench::new();
    let scenario = SHORT.replace("[[expect]]\nboots", "[[step]]\nname = \"reset\"\nreset = true\n[[expect]]\nboots");
    let ran = bench.with_vice(&bench.write("reset.toml", &scenario), "refuses-reset");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("refused `system_reset`: it is stuck"), "{}", words(&ran));
    bench.assert_nothing_left();
}

fn what_the_emulator_tells_by_itself_is_noted_and_changes_no_verdict() {
    let bench = Bench::new();
    let ran = bench.with_vice(&bench.write("short.toml", SHORT), "tells");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert!(bench.recording().contains("the emulator tells WATCHDOG (reset)"));
}

/// A scenario that would last for minutes, with the emulator under way.
fn long_run(bench: &Bench) -> (std::process::Child, i32) {
    let mut run = bench.command("wrong-port", &[]).spawn().expect("runs");
    bench.wait_for(&mut run, "app-started");
    let pids = bench.pids();
    let [pid] = pids.as_slice() else { panic!("one emulator: {pids:?}") };
    (run, *pid)
}

fn all_that_was_printed_before_a_power_cut_is_heard_after_it() {
    let bench = Bench::new();
    let scenario = r#"
summary = "a megabyte is printed while the machine is switched off"
device-time = "10s"
requires = ["power"]
[image]
flash = "1.6.0"
[provision]
ota-url = "http://{server.host}:1/xiaozhi/ota/"
[[step]]
name = "boots"
until = { event = "app-started" }
within = "1min"
[[step]]
name = "power fails"
power-off = true
until = { console = "the noise is over" }
within = "1min"
[[expect]]
in-order = [{ action = "power-off" }, { console = "the noise is over" }]
until-end = true
"#;
    let ran = bench.with_vice(&bench.write("flood.toml", scenario), "floods");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert_eq!(bench.recording().matches("noise on the line").count(), 1 << 16);
    bench.assert_nothing_left();
}

fn what_is_typed_reaches_the_console() {
    let bench = Bench::new();
    let known =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/firmware/xiaozhi.toml"));
    let known = known.expect("the reference firmware's file");
    let provision = "how = \"console\"\ncommands = { ota-url = \"set url {value}\" }\nready = \"Loaded app\"\n";
    let firmware = bench.write("firmware.toml", &format!("{known}\n[provision]\n{provision}"));
    let scenario = r#"
summary = "the device is told its URL on its console, which echoes"
device-time = "10s"
[image]
flash = "1.6.0"
[provision]
ota-url = "{server.url}"
[[step]]
name = "told"
until = { console = "set url http://10.0.2.2:" }
within = "1min"
[[expect]]
in-order = [{ console = "Loaded app" }, { console = "set url http://10.0.2.2:" }]
until-end = true
"#;
    let mut command = bench.command(&bench.write("told.toml", scenario), &["--firmware", &firmware]);
    let ran = command.env(stand_in::VICE, "echoes").output().expect("runs");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
}

fn runs_on_one_port_take_turns() {
    let (first, mut second) = (Bench::new(), Bench::new());
    let mut running = first.command(&first.write("short.toml", SHORT), &[]).spawn().expect("runs");
    first.wait_for(&mut running, "app-started");
    second.port = first.port;
    let mut waiting = second.command(&second.write("short.toml", SHORT), &[]);
    let waited = waiting.env("BRICKPROOF_LEASES", first.path("leases")).output().expect("runs");
    let ran = running.wait_with_output().expect("ends");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert_eq!(waited.status.code(), Some(0), "{}", words(&waited));
    assert!(words(&waited).contains(&format!("127.0.0.1:{}", first.port)), "{}", words(&waited));
    assert!(words(&waited).contains("waiting for it"), "{}", words(&waited));
}

fn killed_run_leaves_no_emulator() {
    let bench = Bench::new();
    let (mut run, pid) = long_run(&bench);
    run.kill().expect("killed");
    run.wait().expect("gone");
    bench.wait_until_gone(pid);
}

fn terminated_run_ends_its_emulator() {
    let bench = Bench::new();
    let (run, _) = long_run(&bench);
    let id = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signal");
    let ran = run.wait_with_output().expect("ends");
    assert_eq!(ran.status.code(), Some(3), "{}", words(&ran));
    assert!(words(&ran).contains("SIGTERM ended the run"), "{}", words(&ran));
    bench.assert_nothing_left();
}

fn image_for_the_virtual_board_alone_is_refused() {
    let bench = Bench::new();
    let ran = bench.plain("healthy-update", &["--board", "qemu"]).output().expect("runs");
    assert_eq!(ran.status.code(), Some(2), "{}", words(&ran));
    assert!(words(&ran).contains("runs on virtual only, not on board qemu"), "{}", words(&ran));
    assert!(words(&ran).contains("brickproof image add"), "{}", words(&ran));
    assert_eq!(bench.pids(), [0; 0], "nothing was started");
}

fn scenarios_that_an_emulator_cannot_show_are_skipped_with_the_reason() {
    let bench = Bench::new();
    for (scenario, reason) in [
        ("name-changes", "does not ask the rig's name server"),
        ("wifi-drops-in-check", "access point"),
        ("power-cut-at-random", "only a virtual board knows its own operations"),
    ] {
        let ran = bench.run(scenario, &[]);
        assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
        let page = std::fs::read_to_string(bench.path("report/junit.xml")).expect("report");
        let page = page.replace("&apos;", "'");
        assert!(page.contains("<skipped") && page.contains(reason), "{scenario}: {page}");
    }
    assert_eq!(bench.pids(), [0; 0], "nothing was started");
}
