//! The upgrade: download into the other slot, verify, select.

use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use esp_image::SECTOR;
use esp_image::descriptor::{self, AppDescriptor};
use esp_image::partition::Partition;
use esp_image::verify::{Demands, ImageError, Verifier};

use crate::defect::Defect;
use crate::error::EspError;
use crate::http::{self, Client, Io, Request};
use crate::log::{error, info};
use crate::platform::{Console, Parts, Platform, System};
use crate::profile::Profile;
use crate::slots::Slots;
use crate::url::Url;

/// Bytes written at a time: a flash sector.
const BLOCK: usize = 4096;
/// Progress is printed this often, in milliseconds.
const PROGRESS_MS: u64 = 1000;

/// The upgrade failed; the console says why.
pub(crate) struct UpgradeFailed;

/// Downloads, writes, verifies and selects an image.
pub(crate) async fn upgrade<P: Parts>(
    platform: &mut Platform<P>,
    slots: &Slots,
    profile: &Profile,
    client: &mut Client,
    url: &str,
) -> Result<(), UpgradeFailed> {
    let Platform { flash, console, system, delay, network, .. } = platform;
    info!(*console, "Ota", "Upgrading firmware from {}", url);
    let Some((slot, target)) = slots.next else {
        error!(*console, "Ota", "Failed to get update partition");
        return Err(UpgradeFailed);
    };
    let (slot, target) = match (profile.has(Defect::WritesRunningSlot), slots.running.ota_slot()) {
        (true, Some(running)) => (running, slots.running),
        _ => (slot, target),
    };
    info!(*console, "Ota", "Writing to partition {} at offset 0x{:x}", target.label(), target.offset);
    let Ok(url) = Url::parse(url) else {
        error!(*console, "Ota", "Failed to open HTTP connection: {}", EspError::InvalidArg.name());
        return Err(UpgradeFailed);
    };
    let mut io = Io { console, system, delay, profile, client };
    let request = Request { method: "GET", headers: "", body: &[] };
    let mut response = match http::perform(network, &mut io, &url, &request).await {
        Ok(response) => response,
        Err(failure) => {
            error!(*io.console, "Ota", "Failed to open HTTP connection: {}", failure.error.name());
            return Err(UpgradeFailed);
        }
    };
    if response.status != 200 {
        error!(*io.console, "Ota", "Failed to get firmware, status code: {}", response.status);
        return Err(UpgradeFailed);
    }
    let total = match response.content_length {
        Some(total) if total > 0 => total,
        _ => {
            error!(*io.console, "Ota", "Failed to get content length");
            return Err(UpgradeFailed);
        }
    };
    if total > u64::from(target.size) && !profile.has(Defect::IgnoresSize) {
        error!(*io.console, "Ota", "Image of {} bytes does not fit: {}", total, EspError::InvalidSize.name());
        return Err(UpgradeFailed);
    }

    let mut write = Writer::new(target, total, io.console.uptime_ms());
    let demanded = demands(io.system, profile, &target);
    let mut header = Verifier::new(demanded);
    let mut block = [0u8; BLOCK];
    let mut filled = 0;
    loop {
        let n = match response.read(&mut io, &mut block[filled..]).await {
            Ok(n) => n,
            Err(failure) => {
                error!(*io.console, "Ota", "Failed to read HTTP data: {}", failure.error.name());
                return Err(UpgradeFailed);
            }
        };
        filled += n;
        write.received += n as u64;
        if filled == BLOCK || (n == 0 && filled > 0) {
            if write.written == 0 {
                check_begin(io.console, profile, &mut header, &block[..filled]).await?;
                if profile.has(Defect::SelectsTooEarly) && slots.select(flash, slot).await.is_err() {
                    return Err(UpgradeFailed);
                }
            }
            write.block(flash, io.console, &block[..filled]).await?;
            filled = 0;
        }
        write.progress(io.console, n == 0).await;
        if n == 0 {
            break;
        }
    }

    if profile.verify {
        verify(flash, io.console, demanded, &target).await?;
    }
    if !profile.has(Defect::SelectsTooEarly) && slots.select(flash, slot).await.is_err() {
        error!(*io.console, "Ota", "Failed to set boot partition: {}", EspError::OtaSelectInfoInvalid.name());
        return Err(UpgradeFailed);
    }
    info!(*io.console, "Ota", "Firmware upgrade successful");
    Ok(())
}

fn demands(system: &impl System, profile: &Profile, target: &Partition) -> Demands {
    Demands {
        chip: (!profile.has(Defect::IgnoresChip)).then(|| system.chip()),
        revision: (!profile.has(Defect::IgnoresRevision)).then(|| system.revision()),
        limit: target.size,
    }
}

/// The first block tells whether this is an application image for this chip: nothing is written before.
async fn check_begin(
    console: &mut impl Console,
    profile: &Profile,
    header: &mut Verifier,
    block: &[u8],
) -> Result<(), UpgradeFailed> {
    if let Err(e) = header.feed(block, |_| {}) {
        refuse(console, e).await;
        return Err(UpgradeFailed);
    }
    let described = block
        .get(descriptor::OFFSET..descriptor::OFFSET + descriptor::LEN)
        .and_then(|bytes| bytes.try_into().ok())
        .and_then(AppDescriptor::parse);
    match described {
        Some(new) => {
            info!(*console, "Ota", "New firmware version: {}", new.version());
            Ok(())
        }
        None if profile.has(Defect::AcceptsMergedImage) => Ok(()),
        None => {
            error!(*console, "esp_ota_ops", "New image has no application descriptor: is this a merged image?");
            error!(*console, "Ota", "Image validation failed, image is corrupted");
            Err(UpgradeFailed)
        }
    }
}

/// What ESP-IDF says of an image it refuses.
async fn refuse(console: &mut impl Console, e: ImageError) {
    match e {
        ImageError::Magic { found } => {
            error!(*console, "esp_ota_ops", "OTA image has invalid magic byte (expected 0xE9, saw 0x{:02x})", found);
        }
        ImageError::Chip { found, expected } => {
            error!(*console, "esp_image", "mismatch chip ID, expected {}, found {}", expected, found);
        }
        ImageError::Checksum { calculated, read } => {
            error!(*console, "esp_image", "Checksum failed. Calculated 0x{:x} read 0x{:x}", calculated, read);
        }
        ImageError::Hash => error!(*console, "esp_image", "Image hash failed - image is corrupt"),
        other => error!(*console, "esp_image", "{}", other),
    }
    error!(*console, "Ota", "Image validation failed, image is corrupted");
}

struct Writer {
    target: Partition,
    total: u64,
    received: u64,
    written: u32,
    printed_at: u64,
    printed: u64,
}

impl Writer {
    fn new(target: Partition, total: u64, now: u64) -> Self {
        Self { target, total, received: 0, written: 0, printed_at: now, printed: 0 }
    }

    /// Erases as it goes, as ESP-IDF does with `OTA_WITH_SEQUENTIAL_WRITES`.
    async fn block(
        &mut self,
        flash: &mut impl NorFlash,
        console: &mut impl Console,
        block: &[u8],
    ) -> Result<(), UpgradeFailed> {
        let offset = self.target.offset + self.written;
        let mut padded = [0xff; BLOCK];
        padded[..block.len()].copy_from_slice(block);
        // Encrypted or not, ESP-IDF writes 16-byte units; what is over stays ones.
        let length = block.len().next_multiple_of(16);
        let result = match flash.erase(offset, offset + SECTOR).await {
            Ok(()) => flash.write(offset, &padded[..length]).await,
            Err(e) => Err(e),
        };
        if result.is_err() {
            error!(*console, "Ota", "Failed to write OTA data at 0x{:x}", offset);
            return Err(UpgradeFailed);
        }
        self.written += u32::try_from(block.len()).unwrap_or(0);
        Ok(())
    }

    async fn progress(&mut self, console: &mut impl Console, last: bool) {
        let now = console.uptime_ms();
        let passed = now.saturating_sub(self.printed_at);
        if passed < PROGRESS_MS && !last {
            return;
        }
        let speed = (self.received - self.printed) * 1000 / passed.max(1);
        info!(
            *console,
            "Ota",
            "Progress: {}% ({}/{}), Speed: {}B/s",
            self.received * 100 / self.total,
            self.received,
            self.total,
            speed
        );
        self.printed_at = now;
        self.printed = self.received;
    }
}

async fn verify(
    flash: &mut impl ReadNorFlash,
    console: &mut impl Console,
    demands: Demands,
    target: &Partition,
) -> Result<(), UpgradeFailed> {
    let mut verifier = Verifier::new(demands);
    let mut block = [0u8; BLOCK];
    let mut at = 0;
    let result = loop {
        if at >= target.size || verifier.is_done() {
            break verifier.finish().map(drop);
        }
        if flash.read(target.offset + at, &mut block).await.is_err() {
            error!(*console, "Ota", "Failed to read back at 0x{:x}", target.offset + at);
            return Err(UpgradeFailed);
        }
        if let Err(e) = verifier.feed(&block, |_| {}) {
            break Err(e);
        }
        at += SECTOR;
    };
    match result {
        Ok(()) => Ok(()),
        Err(e) => {
            refuse(console, e).await;
            Err(UpgradeFailed)
        }
    }
}
