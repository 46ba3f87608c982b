//! Causes that lie in the device: its boots, its image, its network.

use crate::timeline::{RefusedBecause, Standing};

use super::cause::{Cause, CauseKind, Confidence, Evidence};
use super::facts::{Facts, Seen};

/// Resets in a row, with nothing of normal operation between, that make a boot loop.
const LOOP: u64 = 3;

/// Device time in ms without an address after which the network counts as not joined.
const NETWORK_PATIENCE_MS: u64 = 30_000;

/// Device time in ms on the network without a request after which the device counts as not asking.
const REQUEST_PATIENCE_MS: u64 = 60_000;

pub(super) fn causes(facts: &Facts) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(seen) = &facts.nothing_bootable {
        causes.push(make(
            CauseKind::NothingBootable,
            Confidence::Certain,
            "The flash holds nothing that the chip can boot.".to_owned(),
            "Flash the device by cable. If an update left it so, the update wrote over the only good slot.",
            seen.evidence(),
        ));
    }
    causes.extend(facts.refused.iter().map(|(because, seen)| refused(*because, seen)));
    causes.extend(rolled_back(facts));
    causes.extend(boot_loop(facts));
    for (reason, seen) in &facts.panics {
        causes.push(make(
            CauseKind::Crash,
            Confidence::Certain,
            match &facts.crashed_in {
                Some(place) => format!("The firmware crashed{} in {place}: {reason}.", times(seen.count)),
                None => format!("The firmware crashed{}: {reason}.", times(seen.count)),
            },
            match facts.crashed_in {
                Some(_) => "The recording holds the whole call chain.",
                None => {
                    "Decode the backtrace with the ELF file of this very build: `brickproof analyze --elf`, or give it to \
                     `brickproof image add --elf` so that every run does."
                }
            },
            seen.evidence(),
        ));
    }
    causes.extend(hang(facts));
    if let Some(seen) = &facts.brownout {
        causes.push(make(
            CauseKind::Brownout,
            Confidence::Certain,
            format!("The supply voltage dropped below the brownout threshold{}.", times(seen.count)),
            "Use a better supply or cable: Wi-Fi draws peaks of about 500 mA.",
            seen.evidence(),
        ));
    }
    causes.extend(network(facts));
    causes
}

fn hang(facts: &Facts) -> Option<Cause> {
    let (standing, seq) = facts.stands.as_ref()?;
    let Standing::Stuck { halted, looks } = standing else { return None };
    let place = halted.frames.first()?;
    Some(make(
        CauseKind::Hang,
        Confidence::Likely,
        format!("The device hangs in {place}: {looks} looks at its processor found it there."),
        "Look at what this function waits for, and give the wait a limit; the timeline has the whole call chain.",
        vec![Evidence { seq: *seq, text: standing.to_string() }],
    ))
}

fn refused(because: RefusedBecause, seen: &Seen) -> Cause {
    let (kind, what, remedy) = match because {
        RefusedBecause::Chip => (
            CauseKind::WrongChip,
            "it is for another chip",
            "Serve and flash the image that was built for this chip (idf.py set-target).",
        ),
        RefusedBecause::Magic => (
            CauseKind::CorruptImage,
            "its first byte is not that of an application image (0xE9)",
            "The slot is empty, half written, or holds something else, such as a merged image: write it again.",
        ),
        RefusedBecause::Checksum => (
            CauseKind::CorruptImage,
            "its checksum is wrong",
            "The image was damaged or written in part: write it again.",
        ),
        RefusedBecause::Hash => (
            CauseKind::CorruptImage,
            "its SHA-256 is wrong",
            "The image was damaged or written in part: write it again.",
        ),
        RefusedBecause::Segments => (
            CauseKind::CorruptImage,
            "its segments are out of bounds",
            "The image was damaged or written in part: write it again.",
        ),
        RefusedBecause::Revision => (
            CauseKind::RefusedImage,
            "it needs another chip revision",
            "Build the image for the revision of this chip (CONFIG_ESP..._REV_MIN).",
        ),
        RefusedBecause::SecurityVersion => (
            CauseKind::RefusedImage,
            "its security version is lower than the chip's (anti-rollback)",
            "Serve an image whose security version is at least the chip's.",
        ),
        RefusedBecause::Other => {
            (CauseKind::RefusedImage, "it is not valid", "Run `esptool image_info` on the file that was written.")
        }
    };
    make(
        kind,
        Confidence::Certain,
        format!("An image was refused: {what}{}.", times(seen.count)),
        remedy,
        seen.evidence(),
    )
}

fn rolled_back(facts: &Facts) -> Option<Cause> {
    let evidence = facts.rolled_back.clone()?;
    let refused = !facts.refused.is_empty();
    let why = if refused {
        "the new image was refused"
    } else {
        "the new image was not confirmed before the next restart, or asked for it"
    };
    Some(make(
        CauseKind::RolledBack,
        Confidence::Likely,
        format!("After an update the device went back to the firmware it had before: {why}."),
        "The new firmware must reach its server and mark itself valid (esp_ota_mark_app_valid_cancel_rollback) before it \
         restarts: see what kept it from that.",
        evidence,
    ))
}

fn boot_loop(facts: &Facts) -> Option<Cause> {
    let seen = facts.longest_loop.as_ref().filter(|seen| seen.count >= LOOP)?;
    Some(make(
        CauseKind::BootLoop,
        Confidence::Likely,
        format!("The device restarts again and again: {} resets without normal operation between.", seen.count),
        "The lines before each reset say why: a refused image, a crash, a watchdog, the supply.",
        seen.evidence(),
    ))
}

fn network(facts: &Facts) -> Option<Cause> {
    if let Some(up) = &facts.network_up {
        let waited = facts.device_ms.saturating_sub(facts.network_up_ms.unwrap_or(facts.device_ms));
        let asked = facts.requests > 0 || !facts.failures.is_empty() || facts.success.is_some();
        return (!asked && waited >= REQUEST_PATIENCE_MS).then(|| {
            make(
                CauseKind::NeverAsked,
                Confidence::Possible,
                format!("The device was on its network for {} s and never asked the OTA server.", waited / 1000),
                "See whether the firmware checks at its start at all, and whether the dialect knows the line it prints then.",
                up.evidence(),
            )
        });
    }
    if facts.requests > 0 {
        return None;
    }
    match &facts.wifi_lost {
        Some(lost) => Some(make(
            CauseKind::NetworkNeverUp,
            Confidence::Likely,
            format!("The device did not get onto its Wi-Fi network: refused or lost{}.", times(lost.count)),
            "Check the network's name and password on the device, its 2.4 GHz band, and the distance.",
            lost.evidence(),
        )),
        None if facts.device_ms >= NETWORK_PATIENCE_MS && facts.longest_loop.is_none() => Some(make(
            CauseKind::NetworkNeverUp,
            Confidence::Possible,
            format!("In {} s of device time no line says that the device got an address.", facts.device_ms / 1000),
            "Check the Wi-Fi settings of the device, and whether the dialect knows the line with the address.",
            Vec::new(),
        )),
        None => None,
    }
}

fn times(count: u64) -> String {
    if count == 1 { String::new() } else { format!(", {count} times") }
}

fn make(kind: CauseKind, confidence: Confidence, sentence: String, remedy: &str, evidence: Vec<Evidence>) -> Cause {
    Cause { kind, confidence, sentence, remedy: remedy.to_owned(), evidence, resolved: None }
}
