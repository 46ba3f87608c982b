use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::board::identity::PortId;
use crate::board::ports::AttachedPort;
use crate::board::qemu::QemuSettings;
use crate::board::reset::ResetMethod;
use crate::run::BoardChoice;

fn settings(project: &str, bench: &str) -> Settings {
    let layer = |name: &str, text: &str| Layer::parse(name, text).unwrap_or_else(|e| panic!("{e:?}"));
    let merged = layer(BENCH_FILE, bench).over(layer(PROJECT_FILE, project)).over(layer("defaults", DEFAULTS));
    Settings { merged, files: vec![PROJECT_FILE.into(), BENCH_FILE.into()] }
}

fn chosen(settings: &Settings, board: &str) -> Result<Vec<Chosen>, String> {
    let asked = Asked { board: Some(board.to_owned()), every: BoardLayer::default() };
    settings.choose(&asked, &[]).map_err(|e| e.to_string())
}

fn port_of(chosen: &Chosen) -> String {
    match &chosen.board {
        BoardChoice::Serial { id, .. } => id.to_string(),
        other @ (BoardChoice::Virtual | BoardChoice::Qemu(_)) => other.name(),
    }
}

#[test]
fn upper_layers_win_key_by_key() {
    let project = "[run]\nport = 8003\nseed = 7\n[boards.desk]\nport = \"/dev/ttyUSB0\"\nbaud = 74880\n";
    let bench = "[run]\nseed = 9\nboard = \"desk\"\n[boards.desk]\nport = \"usb:303a:1001\"\n";
    let settings = settings(project, bench);
    assert_eq!(settings.merged.run.seed, Some(9), "the bench file over the project file");
    assert_eq!(settings.merged.run.port, Some(8003), "the project file over the defaults");
    let every = BoardLayer { reset: Some(ResetMethod::UsbSerialJtag), ..BoardLayer::default() };
    let boards = settings.choose(&Asked { board: None, every }, &[]).expect("the bench file's board");
    let [desk] = boards.as_slice() else { panic!("one board: {boards:?}") };
    assert_eq!((desk.name.as_deref(), desk.baud, desk.ota_port), (Some("desk"), 74880, 8003));
    let BoardChoice::Serial { id, reset, .. } = &desk.board else { panic!("serial") };
    assert_eq!(id.to_string(), "usb:303a:1001");
    assert_eq!(*reset, ResetMethod::UsbSerialJtag, "what is asked for over all files");
}

#[test]
fn without_any_file_the_virtual_board_is_taken() {
    let settings = settings("", "");
    let boards = settings.choose(&Asked::default(), &[]).expect("the default");
    assert_eq!(boards.iter().map(port_of).collect::<Vec<_>>(), ["virtual"]);
    assert_eq!((boards[0].ota_port, &boards[0].name), (8002, &None));
}

#[test]
fn pool_is_all_its_boards_and_a_port_is_itself() {
    let project = "[boards.a]\nport = \"/dev/ttyUSB0\"\npool = \"c3\"\n[boards.b]\nport = \"/dev/ttyUSB1\"\npool = \"c3\"\nota-port = 8003\n";
    let settings = settings(project, "");
    let pool = chosen(&settings, "c3").expect("the pool");
    assert_eq!(pool.iter().map(port_of).collect::<Vec<_>>(), ["/dev/ttyUSB0", "/dev/ttyUSB1"]);
    assert_eq!(port_of(&chosen(&settings, "b").expect("one")[0]), "/dev/ttyUSB1");
    assert_eq!(port_of(&chosen(&settings, "/dev/ttyUSB7").expect("a port")[0]), "/dev/ttyUSB7");
    assert_eq!(port_of(&chosen(&settings, "usb:10c4:ea60").expect("an identity")[0]), "usb:10c4:ea60");
}

#[test]
fn pool_whose_boards_would_serve_at_one_address_is_refused() {
    let project =
        "[boards.a]\nport = \"/dev/ttyUSB0\"\npool = \"c3\"\n[boards.b]\nport = \"/dev/ttyUSB1\"\npool = \"c3\"\n";
    let error = chosen(&settings(project, ""), "c3").expect_err("one server");
    assert!(error.contains("boards a and b") && error.contains("ota-port"), "{error}");
    let virtual_ones = project.replace("pool", "reset = \"virtual:/run/x\"\npool");
    chosen(&settings(&virtual_ones, ""), "c3").expect("their network is the rig's own: no clash");
    let unequal = project.replacen("pool", "ota-port = 9\nchip = \"esp32\"\npool", 1);
    let error = chosen(&settings(&unequal, ""), "c3").expect_err("two chips");
    assert!(error.contains("different chips"), "{error}");
}

#[test]
fn unknown_name_is_told_with_what_was_meant_and_where_boards_stand() {
    let settings = settings("[boards.desk]\nport = \"/dev/ttyUSB0\"\n", "");
    let asked = Asked { board: Some("desc".to_owned()), every: BoardLayer::default() };
    let error = settings.choose(&asked, &[]).expect_err("unknown");
    assert!(error.to_string().contains("boards and pools are desk, qemu, virtual (brickproof.toml and"), "{error}");
    let ChooseError::Unknown { help, .. } = error else { panic!("{error:?}") };
    assert_eq!(help, "did you mean `desk`?");
}

#[test]
fn two_boards_on_one_port_are_refused_with_both_names() {
    let folder = tempfile::tempdir().expect("folder");
    let (port, link) = (folder.path().join("ttyUSB0"), folder.path().join("by-id"));
    fs::write(&port, "").expect("port");
    std::os::unix::fs::symlink(&port, &link).expect("link");
    let project = format!(
        "[boards.one]\nport = {:?}\n[boards.two]\nport = {:?}\n[boards.three]\nport = \"/dev/ttyUSB9\"\n",
        port.display().to_string(),
        link.display().to_string()
    );
    let settings = settings(&project, "");
    let error = chosen(&settings, "two").expect_err("one port");
    assert!(error.contains("boards one and two are both on"), "{error}");
    chosen(&settings, "three").expect("another port: not concerned");
}

#[test]
fn board_that_lacks_something_is_told_with_its_name() {
    for (text, words) in [
        ("[boards.desk]\nbaud = 9600\n", "it has no `port`"),
        ("[boards.desk]\nbackend = \"virtual\"\nport = \"/dev/ttyUSB0\"\n", "a virtual board has no `port`"),
        ("[boards.desk]\nbackend = \"virtual\"\npool = \"c3\"\n", "in no `pool`"),
        ("[boards.desk]\nport = \"/dev/ttyUSB0\"\nreset = \"commands\"\n", "needs `hold`, `run` and `download`"),
        ("[boards.desk]\nport = \"/dev/ttyUSB0\"\ncommands = { power-off = \"true\" }\n", "are given together"),
    ] {
        let error = chosen(&settings(text, ""), "desk").expect_err(text);
        assert!(error.contains("board desk (brickproof.toml and") && error.contains(words), "{error}");
    }
}

#[test]
fn emulator_named_for_a_board_that_is_none_is_refused() {
    let every = BoardLayer { qemu: Some(crate::board::qemu::QemuSettings::default()), ..BoardLayer::default() };
    let settings = settings("", "");
    let error = settings.choose(&Asked { board: None, every: every.clone() }, &[]).expect_err("virtual").to_string();
    assert!(error.contains("board virtual") && error.contains("is not emulated"), "{error}");
    settings.choose(&Asked { board: Some("qemu".to_owned()), every }, &[]).expect("emulated");
}

#[test]
fn wrong_files_are_told_at_their_place() {
    for (text, line, words, help) in [
        ("[run]\nbaord = \"x\"\n", 2, "baord", Some("did you mean `board`?")),
        ("[boards.desk]\nport = 7\n", 2, "invalid type: integer", None),
        ("[boards.desk]\nbaud = \"fast\"\n", 2, "invalid type: string", None),
        ("[boards.desk]\nport = \"usb:zz:1\"\n", 2, "no hexadecimal VID", None),
        ("[boards.desk]\nchip = \"esp8266\"\n", 2, "\"esp8266\" is no chip", None),
        ("[boards.desk]\nreset = \"button\"\n", 2, "is no reset method", None),
        ("[boards.\"a/b\"]\n", 1, "\"a/b\" is no name of a board", None),
        ("[boards.desk]\nflash-baud = 0\n", 2, "flash-baud is 0", None),
        ("[boards.desk\n", 1, "", None),
    ] {
        let errors = Layer::parse("bench.toml", text).expect_err(text);
        let problem = &errors.problems[0];
        assert_eq!(problem.line, line, "{text}: {problem:?}");
        assert!(problem.message.contains(words), "{text}: {problem}");
        if help.is_some() {
            assert_eq!(problem.help.as_deref(), help, "{text}");
        }
    }
}

#[test]
fn project_file_is_found_above_and_the_bench_file_beside_it() {
    let root = tempfile::tempdir().expect("folder");
    let below = root.path().join("firmware/main");
    fs::create_dir_all(&below).expect("folder");
    assert_eq!(Settings::load(&Sources::default(), &below).expect("defaults").files, Vec::<PathBuf>::new());
    fs::write(root.path().join(PROJECT_FILE), "[run]\nfirmware = \"fw.toml\"\n").expect("file");
    fs::write(root.path().join(BENCH_FILE), "[run]\nseed = 3\n").expect("file");
    let settings = Settings::load(&Sources::default(), &below).expect("both");
    assert_eq!(settings.files, [root.path().join(PROJECT_FILE), root.path().join(BENCH_FILE)]);
    assert_eq!(settings.merged.run.seed, Some(3));
    assert_eq!(settings.merged.run.firmware, Some(root.path().join("fw.toml")), "relative to its file");
    let named = Sources { project: Some(root.path().join("nowhere.toml")), bench: None };
    let error = Settings::load(&named, &below).expect_err("named, and not there").to_string();
    assert!(error.contains("nowhere.toml"), "{error}");
}

#[test]
fn start_file_is_valid_and_names_what_was_found() {
    let usb = |vid, serial: Option<&str>| crate::board::ports::UsbDevice {
        vid,
        pid: 0x1001,
        serial: serial.map(str::to_owned),
        product: Some("USB JTAG/serial\ndebug unit".to_owned()),
        location: Some("1-1.2".to_owned()),
    };
    let found = [
        AttachedPort { path: "/dev/ttyACM0".to_owned(), usb: Some(usb(0x303a, Some("AA:BB"))) },
        AttachedPort { path: "/dev/ttyUSB0".to_owned(), usb: Some(usb(0x10c4, None)) },
        AttachedPort { path: "/dev/ttyS0".to_owned(), usb: None },
    ];
    let text = init::start_file(&found);
    insta::assert_snapshot!(text);
    let layer = Layer::parse(PROJECT_FILE, &text).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(layer.boards["desk"].port, Some("usb:303a:1001:AA:BB".parse::<PortId>().expect("identity")));
    assert_eq!(layer.boards["desk-2"].port.as_ref().expect("port").to_string(), "usb:10c4:1001@1-1.2");
    let nothing = Layer::parse(PROJECT_FILE, &init::start_file(&[])).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(nothing.run.board.as_deref(), Some("virtual"));
}

#[test]
fn schema_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema/brickproof.schema.json");
    if std::env::var_os("BRICKPROOF_UPDATE").is_some() {
        fs::write(&path, schema()).expect("writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema(), "run BRICKPROOF_UPDATE=1 cargo nextest run -p brickproof --lib");
}

#[test]
fn emulated_board_is_there_without_a_file_and_its_settings_are_merged_key_by_key() {
    let emulated = |settings: &Settings, every: BoardLayer| {
        let asked = Asked { board: Some("qemu".to_owned()), every };
        let boards = settings.choose(&asked, &[]).unwrap_or_else(|e| panic!("{e}"));
        let [board] = boards.as_slice() else { panic!("one board: {boards:?}") };
        assert_eq!((&board.name, board.bind.is_loopback()), (&None, true));
        let BoardChoice::Qemu(settings) = &board.board else { panic!("emulated: {board:?}") };
        settings.clone()
    };
    assert_eq!(emulated(&settings("", ""), BoardLayer::default()), QemuSettings::default());

    let project = "[boards.qemu.qemu]\nwatchdogs = false\nprogram = \"one\"\n";
    let bench = "[boards.qemu.qemu]\nprogram = \"two\"\npsram = \"4MiB\"\n";
    let asked = QemuSettings { program: Some("three".into()), ..QemuSettings::default() };
    let merged = emulated(&settings(project, bench), BoardLayer { qemu: Some(asked), ..BoardLayer::default() });
    assert_eq!(merged.program.as_deref(), Some(Path::new("three")), "what is asked for over all files");
    assert_eq!((merged.watchdogs, merged.psram.map(|size| size.0)), (Some(false), Some(4 << 20)));
}

#[test]
fn emulated_board_with_a_port_is_refused() {
    let error = chosen(&settings("[boards.qemu]\nport = \"/dev/ttyUSB0\"\n", ""), "qemu").expect_err("a port");
    assert!(error.contains("has no `port`"), "{error}");
}

#[test]
fn probe_is_part_of_its_board_and_what_it_cannot_be_is_told() {
    let with = |board: &str| chosen(&settings(&format!("[boards.desk]\n{board}"), ""), "desk");
    let port = "port = \"/dev/ttyUSB0\"\n";
    let boards = with(&format!("{port}reset = \"probe\"\nprobe = {{ select = \"303a:1001:AA\", flash = true }}"));
    let BoardChoice::Serial { probe: Some(probe), .. } = &boards.expect("a board")[0].board else { panic!("a probe") };
    assert_eq!((probe.select.to_string().as_str(), probe.flash), ("303a:1001:AA", true));
    for (board, why) in [
        (format!("{port}reset = \"probe\"\nprobe = {{ select = \"303a:1001\" }}"), "flash = true"),
        (format!("{port}reset = \"probe\""), "flash = true"),
        (format!("{port}probe = {{ rtt = true }}"), "no `select`"),
        ("backend = \"virtual\"\nprobe = { select = \"303a:1001\" }".to_owned(), "no hardware"),
    ] {
        let error = with(&board).expect_err(&board);
        assert!(error.contains(why), "{board}: {error}");
    }
}

#[test]
fn secrets_of_both_files_count_together_and_unset_variables_are_fine() {
    let project = "[secrets]\nenv = [\"A\", \"UNSET\"]\npatterns = ['serial (\\d+)']\n[boards.desk]\nwifi = { ssid-env = \"S\", password-env = \"P\" }\n";
    let settings = settings(project, "[secrets]\nenv = [\"B\"]\npatterns = ['dev-[0-9]+']\n");
    let value = |name: &str| ["A", "B", "P"].contains(&name).then(|| format!("value-of-{name}"));
    let secrets = settings.merged.secrets(value).expect("long enough");
    assert_eq!(secrets.mask("value-of-A value-of-B value-of-P serial 12 dev-34"), "*** *** *** serial *** ***");
    let why = settings.merged.secrets(|_| Some("abc".to_owned())).expect_err("too short");
    assert!(why.contains('A') && why.contains("3 bytes") && !why.contains("abc"), "{why}");
}

#[test]
fn pattern_that_is_none_is_told_at_its_place() {
    let wrong = |text: &str| {
        let errors = Layer::parse("f.toml", text).expect_err("wrong");
        errors.problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(wrong("[secrets]\npatterns = ['ok', '(']\n"), "2:19 no regular expression: unclosed group");
    assert!(wrong("[secrets]\npatterns = ['x*']\n").contains("matches the empty text"));
    assert!(wrong("[secrets]\nenv = ['A=b']\n").starts_with("2:8 \"A=b\" is no name"));
    assert!(wrong("[secrets]\nvalues = ['b']\n").contains("unknown field `values`"));
}
