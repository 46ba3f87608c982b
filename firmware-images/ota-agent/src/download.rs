//! The upgrade: download into the other slot, verify, select.

use core::fmt::Write as _;

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use esp_image::SECTOR;
use esp_image::descriptor::{self, AppDescriptor};
use esp_image::partition::Partition;
use esp_image::verify::{Demands, ImageError, Verifier};
use heapless::String;

use crate::defect::Defect;
use crate::error::EspError;
use crate::http::{self, Client, Io, Request, Response};
use crate::log::{error, info};
use crate::platform::{Console, Errno, Internet, Nvs, Parts, Platform, System};
use crate::profile::Profile;
use crate::resume;
use crate::slots::Slots;
use crate::url::Url;

/// Bytes written at a time: a flash sector.
const BLOCK: usize = 4096;
/// How far a download got is kept every so many bytes: NVS wears out.
const KEEP: u32 = 4 * 4096;
/// Bytes asked for at a time, where the image is asked for piece by piece (esp_https_ota's `max_http_request_size`).
const RANGE: u32 = 8 * 4096;
/// Progress is printed this often, in milliseconds.
const PROGRESS_MS: u64 = 1000;

/// The upgrade failed; the console says why.
pub(crate) struct UpgradeFailed;

/// What is to be installed.
pub(crate) struct Wanted<'a> {
    /// Its version, as the server announced it.
    pub(crate) version: &'a str,
    /// Where it is.
    pub(crate) url: &'a str,
}

/// Downloads, writes, verifies and selects an image.
pub(crate) async fn upgrade<P: Parts>(
    platform: &mut Platform<P>,
    slots: &Slots,
    profile: &Profile,
    client: &mut Client,
    wanted: &Wanted<'_>,
) -> Result<(), UpgradeFailed> {
    let Platform { flash, nvs, console, system, delay, network, .. } = platform;
    info!(*console, "Ota", "Upgrading firmware from {}", wanted.url);
    let Some((slot, target)) = slots.next else {
        error!(*console, "Ota", "Failed to get update partition");
        return Err(UpgradeFailed);
    };
    let (slot, target) = match (profile.has(Defect::WritesRunningSlot), slots.running.ota_slot()) {
        (true, Some(running)) => (running, slots.running),
        _ => (slot, target),
    };
    info!(*console, "Ota", "Writing to partition {} at offset 0x{:x}", target.label(), target.offset);
    let Ok(url) = Url::parse(wanted.url) else {
        error!(*console, "Ota", "Failed to open HTTP connection: {}", EspError::InvalidArg.name());
        return Err(UpgradeFailed);
    };
    let mut io = Io { console, system, delay, profile, client };
    let demanded = demands(io.system, profile, &target);
    let mut write = Writer::new(target, io.console.uptime_ms());
    if profile.resumes {
        write.resume(flash, &mut io, nvs, wanted, demanded).await;
    }
    loop {
        let mut response = match request(network, &mut io, &url, &mut write).await {
            Ok(response) => response,
            Err(why) => {
                // The image is another one by now: what is on flash of the old one is of no use.
                if profile.resumes && why == Unasked::Range && !profile.has(Defect::KeepsResumeRecord) {
                    resume::forget(nvs).await;
                }
                return Err(UpgradeFailed);
            }
        };
        write.body(flash, &mut io, nvs, wanted, (slots, slot), demanded, &mut response).await?;
        if !profile.ranges || u64::from(write.written) >= write.total {
            break;
        }
    }
    if profile.resumes {
        resume::forget(nvs).await;
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

/// Why no image comes; the console says more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unasked {
    /// The part that was asked for is not to be had.
    Range,
    /// Anything else.
    Failed,
}

/// Asks for the image, or for the part of it that is to come next, and sees that this is what comes.
async fn request<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
    write: &mut Writer,
) -> Result<Response<N::Connection<'n>>, Unasked>
where
    N: Internet,
    C: Console,
    S: System,
    D: DelayNs,
{
    let from = write.written;
    let mut headers = String::<64>::new();
    let asked = if io.profile.ranges {
        write!(headers, "Range: bytes={from}-{}\r\n", from + RANGE - 1)
    } else if from > 0 {
        write!(headers, "Range: bytes={from}-\r\n")
    } else {
        Ok(())
    };
    if asked.is_err() {
        return Err(Unasked::Failed);
    }
    let request = Request { method: "GET", headers: &headers, body: &[] };
    let response = match http::perform(network, io, url, &request).await {
        Ok(response) => response,
        Err(failure) => {
            error!(*io.console, "Ota", "Failed to open HTTP connection: {}", failure.error.name());
            return Err(Unasked::Failed);
        }
    };
    let total = match (response.status, response.content_range) {
        (206, Some((first, total))) if first == u64::from(from) => Some(total),
        (206, _) if !headers.is_empty() => {
            error!(*io.console, "Ota", "The server sent another range than it was asked for");
            return Err(Unasked::Range);
        }
        (200, _) => {
            if from > 0 && !io.profile.has(Defect::IgnoresResumeStatus) {
                info!(*io.console, "Ota", "The server does not resume: starting from the beginning");
                *write = Writer::new(write.target, io.console.uptime_ms());
            }
            response.content_length
        }
        (status, _) => {
            error!(*io.console, "Ota", "Failed to get firmware, status code: {}", status);
            return Err(if status == 416 { Unasked::Range } else { Unasked::Failed });
        }
    };
    let Some(total) = total.filter(|total| *total > 0) else {
        error!(*io.console, "Ota", "Failed to get content length");
        return Err(Unasked::Failed);
    };
    if total > u64::from(write.target.size) && !io.profile.has(Defect::IgnoresSize) {
        error!(*io.console, "Ota", "Image of {} bytes does not fit: {}", total, EspError::InvalidSize.name());
        return Err(Unasked::Failed);
    }
    write.total = total;
    Ok(response)
}

fn demands(system: &impl System, profile: &Profile, target: &Partition) -> Demands {
    Demands {
        chip: (!profile.has(Defect::IgnoresChip)).then(|| system.chip()),
        revision: (!profile.has(Defect::IgnoresRevision)).then(|| system.revision()),
        limit: target.size,
    }
}

/// The application descriptor in an image's first block.
fn described(block: &[u8]) -> Option<AppDescriptor> {
    let bytes = block.get(descriptor::OFFSET..descriptor::OFFSET + descriptor::LEN)?;
    bytes.try_into().ok().and_then(AppDescriptor::parse)
}

/// The first block tells whether this is an application image for this chip: nothing is written before.
async fn check_begin<C, S, D>(
    io: &mut Io<'_, C, S, D>,
    header: &mut Verifier,
    block: &[u8],
) -> Result<(), UpgradeFailed>
where
    C: Console,
    S: System,
{
    let Io { console, system, profile, .. } = io;
    if let Err(e) = header.feed(block, |_| {}) {
        refuse(*console, e).await;
        return Err(UpgradeFailed);
    }
    match described(block) {
        Some(new) => {
            info!(**console, "Ota", "New firmware version: {}", new.version());
            let (needed, found) = (system.secure_version(), new.secure_version());
            if found < needed && !profile.has(Defect::IgnoresSecurityVersion) {
                error!(
                    **console,
                    "esp_https_ota",
                    "New firmware security version is less than eFuse programmed, {} < {}",
                    found,
                    needed
                );
                error!(**console, "Ota", "Image validation failed, image is corrupted");
                return Err(UpgradeFailed);
            }
            Ok(())
        }
        None if profile.has(Defect::AcceptsMergedImage) => Ok(()),
        None => {
            error!(**console, "esp_ota_ops", "New image has no application descriptor: is this a merged image?");
            error!(**console, "Ota", "Image validation failed, image is corrupted");
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
    fn new(target: Partition, now: u64) -> Self {
        Self { target, total: 0, received: 0, written: 0, printed_at: now, printed: 0 }
    }

    /// Goes on where an earlier download of the same version broke off, if its begin is on flash. What is remembered and is
    /// not there is forgotten: it must not keep the device from starting anew.
    async fn resume<C, S, D>(
        &mut self,
        flash: &mut impl NorFlash,
        io: &mut Io<'_, C, S, D>,
        nvs: &mut impl Nvs,
        wanted: &Wanted<'_>,
        demanded: Demands,
    ) where
        C: Console,
        S: System,
        D: DelayNs,
    {
        let written = resume::find(nvs, wanted.version).await;
        if written == 0 {
            return;
        }
        let mut block = [0u8; BLOCK];
        let read = flash.read(self.target.offset, &mut block).await.is_ok();
        let sound = read && Verifier::new(demanded).feed(&block, |_| {}).is_ok();
        let is_it = sound && described(&block).is_some_and(|new| new.version() == wanted.version);
        if !is_it || written > self.target.size {
            resume::forget(nvs).await;
            return;
        }
        info!(*io.console, "Ota", "Resuming the download at {}", written);
        self.written = written;
        self.received = u64::from(written);
        self.printed = self.received;
        if io.profile.has(Defect::ResumesAtWrongOffset) {
            self.written += SECTOR;
            self.received += u64::from(SECTOR);
        }
    }

    /// Writes a response's body as it comes.
    #[expect(clippy::too_many_arguments, reason = "the parts of a platform, borrowed apart")]
    async fn body<T, C, S, D>(
        &mut self,
        flash: &mut impl NorFlash,
        io: &mut Io<'_, C, S, D>,
        nvs: &mut impl Nvs,
        wanted: &Wanted<'_>,
        (slots, slot): (&Slots, u8),
        demanded: Demands,
        response: &mut Response<T>,
    ) -> Result<(), UpgradeFailed>
    where
        T: Read<Error: Errno> + Write,
        C: Console,
        S: System,
        D: DelayNs,
    {
        let mut header = Verifier::new(demanded);
        let mut block = [0u8; BLOCK];
        let mut filled = 0;
        loop {
            let n = match response.read(io, &mut block[filled..]).await {
                Ok(n) => n,
                Err(failure) => {
                    error!(*io.console, "Ota", "Failed to read HTTP data: {}", failure.error.name());
                    return Err(UpgradeFailed);
                }
            };
            filled += n;
            self.received += n as u64;
            if filled == BLOCK || (n == 0 && filled > 0) {
                if self.written == 0 {
                    check_begin(io, &mut header, &block[..filled]).await?;
                    if io.profile.has(Defect::SelectsTooEarly) && slots.select(flash, slot).await.is_err() {
                        return Err(UpgradeFailed);
                    }
                }
                self.block(flash, io.console, &block[..filled]).await?;
                filled = 0;
                if io.profile.resumes && self.written.is_multiple_of(KEEP) {
                    resume::keep(nvs, wanted.version, self.written).await;
                }
            }
            let last = n == 0 && (!io.profile.ranges || self.received >= self.total);
            self.progress(io.console, last).await;
            if n == 0 {
                return Ok(());
            }
        }
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
