use super::*;

/// This test's own program: an ELF file with line tables.
fn own() -> Elf {
    Elf::open(&std::env::current_exe().expect("a path")).expect("an ELF file")
}

#[test]
fn backtraces_of_both_architectures_are_read() {
    let xtensa = "0x400d525d:0x3ffb46b0 0x400d316e:0x3ffb46e0";
    assert_eq!(program_counters(xtensa), [0x400d_525d, 0x400d_316e]);
    assert_eq!(program_counters("0x42005440"), [0x4200_5440]);
    assert_eq!(program_counters("|<-CORRUPTED 0x400d1234:0x3ffb46b0 (none)"), [0x400d_1234]);
}

#[test]
fn address_of_a_function_is_its_name_file_and_line() {
    let elf = own();
    // Where the linker put this function: its symbol's value in the file.
    let name = "program_counters";
    let mut found = None;
    for address in addresses_of(&elf, name) {
        found = elf.frames(address).into_iter().find(|f| f.function.as_deref().is_some_and(|f| f.contains(name)));
        if found.is_some() {
            break;
        }
    }
    let frame = found.expect("the function is in this program");
    assert!(frame.file.is_some_and(|file| file.ends_with("symbols/mod.rs")), "{:?}", frame.function);
    assert!(frame.line.is_some_and(|line| line > 100));
}

/// Addresses at which the program's symbols say that a function begins.
pub(super) fn addresses_of(elf: &Elf, name: &str) -> Vec<u64> {
    let bytes = std::fs::read(&elf.path).expect("the file");
    let u = |at: usize, n: usize| bytes[at..at + n].iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b));
    let size = |n: u64| usize::try_from(n).expect("fits");
    // The section headers of a 64-bit little-endian ELF file (System V ABI): type 2 is the symbol table.
    let (table, entry, count) = (size(u(0x28, 8)), size(u(0x3a, 2)), size(u(0x3c, 2)));
    let header = |n: usize| table + n * entry;
    let symbols = (0..count).map(header).find(|at| u(at + 4, 4) == 2).expect("a symbol table");
    let names = size(u(header(size(u(symbols + 0x28, 4))) + 0x18, 8));
    let (begin, length) = (size(u(symbols + 0x18, 8)), size(u(symbols + 0x20, 8)));
    (begin..begin + length)
        .step_by(24)
        .filter(|at| {
            let text = &bytes[names + size(u(*at, 4))..];
            let end = text.iter().position(|b| *b == 0).unwrap_or(0);
            text[..end].windows(name.len()).any(|w| w == name.as_bytes())
        })
        .map(|at| u(at + 8, 8))
        .collect()
}

#[test]
fn address_outside_the_program_has_no_name() {
    assert_eq!(own().frames(1), [Frame { address: 1, function: None, file: None, line: None }]);
}

#[test]
fn elf_of_another_build_is_told_apart() {
    let elf = own();
    let digits = &elf.sha256[..9];
    elf.is_of_build(digits).expect("the same");
    elf.is_of_build(&format!("{}...", digits.to_uppercase())).expect("ESP-IDF 4 prints three dots");
    let error = elf.is_of_build("zzz").expect_err("another").to_string();
    assert!(error.contains("of another build") && error.contains(&digits[..3]), "{error}");
}

#[test]
fn file_that_is_no_elf_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("app.bin");
    std::fs::write(&file, [0xe9; 100]).expect("file");
    assert!(Elf::open(&file).expect_err("no ELF").to_string().contains("not the .bin"));
    assert!(Elf::open(&folder.path().join("none.elf")).expect_err("none").to_string().contains("cannot read"));
}
