//! What stands where on flash at a first flash: bootloader, partition table, blank otadata, application.

use std::collections::BTreeSet;
use std::ops::Range;

use esp_image::SECTOR;
use esp_image::chip::ChipId;
use esp_image::partition::{self, APP, DATA, FACTORY, NVS, OTADATA, Partition, PartitionTable};
use esp_image::patch;

use super::catalogue::{Catalogue, Image};
use super::entry::{BootloaderCapability, Kind};
use super::error::ImageError;
use crate::board::flash::Region;

/// Flash content for a first flash.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Chip.
    pub chip: ChipId,
    /// What to write, by ascending offset, without overlaps. NVS is not among it: provisioning writes it.
    pub regions: Vec<Region>,
    /// The partition table among it.
    pub table: PartitionTable,
    /// The partition that the application stands in and boots from.
    pub application: Partition,
    /// What the bootloader among it can do.
    pub capabilities: BTreeSet<BootloaderCapability>,
}

impl Layout {
    /// The NVS partition that the configuration is provisioned to: the first one.
    #[must_use]
    pub fn nvs(&self) -> Option<&Partition> {
        self.table.find(DATA, NVS)
    }

    /// The otadata partition.
    #[must_use]
    pub fn otadata(&self) -> Option<&Partition> {
        self.table.find(DATA, OTADATA)
    }

    /// Bytes of flash that the board must have.
    #[must_use]
    pub fn flash_size(&self) -> u64 {
        let partitions = self.table.partitions().iter().map(|p| u64::from(p.offset) + u64::from(p.size));
        let regions = self.regions.iter().map(end);
        partitions.chain(regions).max().unwrap_or(0)
    }

    /// The whole flash as it is after flashing an erased chip of so many bytes.
    ///
    /// # Errors
    ///
    /// The chip is too small.
    pub fn snapshot(&self, size: u32) -> Result<Vec<u8>, ImageError> {
        let need = self.flash_size();
        if need > u64::from(size) {
            let why = format!("it needs {need:#x} bytes of flash, the board has {size:#x}; choose a smaller layout");
            return Err(ImageError::Layout { name: self.chip.name().to_owned(), why });
        }
        let mut flash = vec![0xff; index(size)];
        for region in &self.regions {
            flash[index(region.offset)..][..region.bytes.len()].copy_from_slice(&region.bytes);
        }
        Ok(flash)
    }
}

fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn end(region: &Region) -> u64 {
    u64::from(region.offset) + u64::try_from(region.bytes.len()).unwrap_or(u64::MAX)
}

fn region(label: &str, offset: u32, bytes: Vec<u8>) -> Region {
    Region { label: label.to_owned(), offset, bytes }
}

/// The partition that boots while otadata is blank: the factory application's, or else the first slot.
fn boots_first(table: &PartitionTable) -> Option<Partition> {
    table.find(APP, FACTORY).or_else(|| table.slot(0)).copied()
}

impl Catalogue {
    /// What to write on an empty board so that it boots this image.
    ///
    /// # Errors
    ///
    /// Bootloader or partition table are not named by its entry, or the parts do not fit.
    pub fn layout(&self, image: &Image) -> Result<Layout, ImageError> {
        match &image.entry.kind {
            Kind::Merged { offset, capabilities, .. } => self.merged_layout(image, *offset, capabilities.clone()),
            Kind::Application { flash_with, .. } => self.assembled_layout(image, flash_with),
            other => Err(no_layout(image, format!("it is a {}, no application", other.name()))),
        }
    }

    fn assembled_layout(&self, image: &Image, flash_with: &[String]) -> Result<Layout, ImageError> {
        let incomplete = |missing: String| ImageError::Incomplete { name: image.name().to_owned(), missing };
        let mut regions = Vec::new();
        let mut bootloader = None;
        let mut table = None;
        for name in flash_with {
            let Some((entry, bytes)) = self.file(name)? else {
                return Err(incomplete(format!("`{name}`, which it is flashed with, is in no catalogue")));
            };
            match entry.kind {
                Kind::Bootloader { chip, .. } if chip != image.chip => {
                    return Err(ImageError::OtherChip { name: entry.name, found: chip, wanted: image.chip });
                }
                Kind::Bootloader { capabilities, .. } => {
                    regions.push(region("bootloader", image.chip.bootloader_offset(), bytes));
                    if bootloader.replace(capabilities).is_some() {
                        return Err(no_layout(image, "it names two bootloaders".to_owned()));
                    }
                }
                Kind::PartitionTable { offset } => {
                    let parsed = PartitionTable::parse(&bytes)
                        .map_err(|e| no_layout(image, format!("partition table `{name}`: {e}")))?;
                    regions.push(region("partition-table", offset, bytes));
                    if table.replace(parsed).is_some() {
                        return Err(no_layout(image, "it names two partition tables".to_owned()));
                    }
                }
                Kind::Data { offset } => regions.push(region(name, offset, bytes)),
                Kind::Application { .. } | Kind::Merged { .. } => {
                    return Err(no_layout(image, format!("`{name}`, which it is flashed with, is an application")));
                }
            }
        }
        let capabilities = bootloader.ok_or_else(|| incomplete("its entry names no bootloader".to_owned()))?;
        let table = table.ok_or_else(|| incomplete("its entry names no partition table".to_owned()))?;
        let application = boots_first(&table).ok_or_else(|| {
            no_layout(image, "its partition table has neither a factory application nor an OTA slot".to_owned())
        })?;
        regions.push(region(application.label(), application.offset, image.bytes.clone()));
        if let Some((label, blank)) = blank_otadata(&table) {
            let length = usize::try_from(blank.end - blank.start).unwrap_or(0);
            regions.push(region(&label, blank.start, vec![0xff; length]));
        }
        finish(image, regions, table, application, capabilities)
    }

    fn merged_layout(
        &self,
        image: &Image,
        offset: u32,
        capabilities: BTreeSet<BootloaderCapability>,
    ) -> Result<Layout, ImageError> {
        let Some((_, mut bytes)) = self.file(image.name())? else {
            return Err(no_layout(image, "it is in no catalogue".to_owned()));
        };
        let parts = patch::merged_parts(&bytes);
        let Some((parts, table)) = parts.and_then(|p| p.table.clone().map(|table| (p, table))) else {
            return Err(no_layout(
                image,
                format!("the merged file has no partition table at {:#x}", partition::OFFSET),
            ));
        };
        let at = u32::try_from(parts.application).ok().and_then(|at| at.checked_add(offset));
        let application = *at.and_then(|at| table.at(at)).ok_or_else(|| {
            no_layout(image, "its application does not begin where its partition table says".to_owned())
        })?;
        if let Some((_, blank)) = blank_otadata(&table) {
            let place = |at: u32| index(at.saturating_sub(offset));
            let (from, to) = (place(blank.start), place(blank.end));
            // Where the file ends before or within otadata, it is lengthened: stale entries would select a slot.
            if bytes.len() < to {
                bytes.resize(to, 0xff);
            }
            bytes[from..to].fill(0xff);
        }
        finish(image, vec![region("merged", offset, bytes)], table, application, capabilities)
    }
}

fn no_layout(image: &Image, why: String) -> ImageError {
    ImageError::Layout { name: image.name().to_owned(), why }
}

/// Label and place of otadata's two entries: left blank, the flashed application boots, and no selection of an earlier
/// run does.
fn blank_otadata(table: &PartitionTable) -> Option<(String, Range<u32>)> {
    let otadata = table.find(DATA, OTADATA)?;
    let length = otadata.size.min(2 * SECTOR);
    Some((otadata.label().to_owned(), otadata.offset..otadata.offset.checked_add(length)?))
}

/// Puts all in order and checks that it fits.
fn finish(
    image: &Image,
    mut regions: Vec<Region>,
    table: PartitionTable,
    application: Partition,
    capabilities: BTreeSet<BootloaderCapability>,
) -> Result<Layout, ImageError> {
    if image.bytes.len() > index(application.size) {
        let (length, size) = (image.bytes.len(), application.size);
        let why = format!("{length:#x} bytes do not fit partition {} of {size:#x} bytes", application.label());
        return Err(no_layout(image, why));
    }
    regions.sort_by_key(|r| r.offset);
    for pair in regions.windows(2) {
        // Erasing goes by sectors, so that parts must not share one.
        if end(&pair[0]).next_multiple_of(u64::from(SECTOR)) > u64::from(pair[1].offset) {
            let (a, b) = (&pair[0], &pair[1]);
            let why = format!(
                "{} ({:#x} to {:#x}) runs into {} at {:#x}; check the offsets of what it is flashed with",
                a.label,
                a.offset,
                end(a),
                b.label,
                b.offset
            );
            return Err(no_layout(image, why));
        }
    }
    Ok(Layout { chip: image.chip, regions, table, application, capabilities })
}
