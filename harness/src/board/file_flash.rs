//! Flash that is a file: an emulated chip's, while its machine is off.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use esp_image::SECTOR;
use esp_image::chip::ChipId;

use super::BoardError;
use super::flash::{ChipFacts, FlashAccess, Region, Written};

/// A file with a chip's whole flash, opened for reading and writing.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    path: PathBuf,
    place: String,
    chip: ChipId,
    size: u32,
    secured: Option<String>,
}

impl FileFlash {
    /// Makes the file of an erased flash of `size` bytes, in place of what may be there.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn create_erased(path: &Path, size: u32) -> io::Result<()> {
        let sector = [0xff; SECTOR as usize];
        let file = File::create(path)?;
        (0..size / SECTOR).try_for_each(|n| file.write_all_at(&sector, u64::from(n) * u64::from(SECTOR)))
    }

    /// Opens the file of a chip's flash. `secured` says why the chip's fuses forbid writing plain images.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is larger than any flash.
    pub fn open(path: &Path, chip: ChipId, secured: Option<String>) -> Result<Self, BoardError> {
        let place = path.display().to_string();
        let failed = |why: String| BoardError::FlashFile { doing: "open".to_owned(), path: place.clone(), why };
        let open = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let size = file.metadata()?.len();
            Ok::<_, io::Error>((file, size))
        };
        let (file, size) = open().map_err(|e| failed(e.to_string()))?;
        let size = u32::try_from(size).map_err(|_| failed(format!("{size} bytes are no flash")))?;
        Ok(Self { file, path: path.to_owned(), place, chip, size, secured })
    }

    fn failed(&self, doing: String, why: impl ToString) -> BoardError {
        BoardError::FlashFile { doing, path: self.path.display().to_string(), why: why.to_string() }
    }

    /// That a range lies within the flash.
    fn check(&self, doing: &str, offset: u32, length: u64) -> Result<(), BoardError> {
        if u64::from(offset) + length <= u64::from(self.size) {
            return Ok(());
        }
        let why = format!("{length:#x} bytes at {offset:#x} end behind the flash of {:#x} bytes", self.size);
        Err(self.failed(doing.to_owned(), why))
    }

    fn at(&self, offset: u32, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, u64::from(offset))?;
        Ok(bytes)
    }

    /// What the sectors that a region touches hold after it is written: the rest of them is ones.
    fn sectors(region: &Region) -> (u32, Vec<u8>) {
        let start = region.offset / SECTOR * SECTOR;
        let before = (region.offset - start) as usize;
        let mut bytes = vec![0xff; (before + region.bytes.len()).next_multiple_of(SECTOR as usize)];
        bytes[before..before + region.bytes.len()].copy_from_slice(&region.bytes);
        (start, bytes)
    }
}

impl FlashAccess for FileFlash {
    fn place(&self) -> &str {
        &self.place
    }

    fn means(&self) -> &'static str {
        "file"
    }

    /// An emulated chip tells no MAC address: nothing of it is kept for another run.
    fn facts(&mut self) -> Result<ChipFacts, BoardError> {
        Ok(ChipFacts { chip: self.chip.to_string(), mac: None, flash_size: self.size, secured: self.secured.clone() })
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, BoardError> {
        self.check("read", offset, u64::from(size))?;
        let doing = || format!("read {size:#x} bytes at {offset:#x}");
        self.at(offset, size as usize).map_err(|e| self.failed(doing(), e))
    }

    fn write(&mut self, regions: &[Region]) -> Result<Written, BoardError> {
        let mut sum = Written::default();
        for region in regions {
            let doing = format!("write {}", region.label);
            let (start, bytes) = Self::sectors(region);
            let length = bytes.len() as u64;
            self.check(&doing, start, length)?;
            let found = self.at(start, bytes.len()).map_err(|e| self.failed(doing.clone(), e))?;
            if found == bytes {
                sum.unchanged += region.bytes.len() as u64;
                continue;
            }
            self.file.write_all_at(&bytes, u64::from(start)).map_err(|e| self.failed(doing.clone(), e))?;
            sum.written += region.bytes.len() as u64;
        }
        Ok(sum)
    }

    fn erase(&mut self, offset: u32, size: u32) -> Result<(), BoardError> {
        let doing = format!("erase {size:#x} bytes at {offset:#x}");
        self.check(&doing, offset, u64::from(size))?;
        if !offset.is_multiple_of(SECTOR) || !size.is_multiple_of(SECTOR) {
            return Err(self.failed(doing, "an erase begins and ends on sectors of 0x1000 bytes"));
        }
        let ones = vec![0xff; size as usize];
        self.file.write_all_at(&ones, u64::from(offset)).map_err(|e| self.failed(doing, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 0x8000;

    fn flash(folder: &tempfile::TempDir) -> FileFlash {
        let path = folder.path().join("flash.bin");
        FileFlash::create_erased(&path, SIZE).expect("made");
        FileFlash::open(&path, ChipId::Esp32C3, None).expect("opened")
    }

    fn region(offset: u32, bytes: &[u8]) -> Region {
        Region { label: "nvs".to_owned(), offset, bytes: bytes.to_vec() }
    }

    #[test]
    fn rest_of_a_touched_sector_becomes_ones_and_its_neighbours_stay() {
        let folder = tempfile::tempdir().expect("folder");
        let mut flash = flash(&folder);
        flash.write(&[region(0, &[0; 0x4000])]).expect("all zeros");
        let written = flash.write(&[region(0x1000, b"settings")]).expect("written");
        assert_eq!(written, Written { written: 8, unchanged: 0 });
        let content = flash.read(0, SIZE).expect("read");
        assert_eq!(&content[0x1000..0x1008], b"settings");
        assert!(content[0x1008..0x2000].iter().all(|b| *b == 0xff), "the rest of the sector");
        assert!(content[..0x1000].iter().chain(&content[0x2000..0x4000]).all(|b| *b == 0), "its neighbours");
        assert!(content[0x4000..].iter().all(|b| *b == 0xff), "erased from the start");
    }

    #[test]
    fn what_is_there_already_counts_as_unchanged() {
        let folder = tempfile::tempdir().expect("folder");
        let mut flash = flash(&folder);
        flash.write(&[region(0x1000, b"same")]).expect("written");
        let again = flash.write(&[region(0x1000, b"same"), region(0x2000, b"other")]).expect("written");
        assert_eq!(again, Written { written: 5, unchanged: 4 });
    }

    #[test]
    fn erase_makes_ones_of_whole_sectors_only() {
        let folder = tempfile::tempdir().expect("folder");
        let mut flash = flash(&folder);
        flash.write(&[region(0x1000, &[0; 0x2000])]).expect("zeros");
        flash.erase(0x1000, 0x1000).expect("erased");
        assert!(flash.read(0x1000, 0x1000).expect("read").iter().all(|b| *b == 0xff));
        assert!(flash.read(0x2000, 0x1000).expect("read").iter().all(|b| *b == 0));
        let error = flash.erase(0x1010, 0x1000).expect_err("unaligned").to_string();
        assert!(error.contains("sectors"), "{error}");
    }

    #[test]
    fn range_behind_the_end_is_refused_and_nothing_is_lengthened() {
        let folder = tempfile::tempdir().expect("folder");
        let mut flash = flash(&folder);
        let behind = region(SIZE - 2, b"four");
        for error in [
            flash.write(std::slice::from_ref(&behind)).map(drop).expect_err("write"),
            flash.read(SIZE, 1).map(drop).expect_err("read"),
            flash.erase(SIZE, SECTOR).expect_err("erase"),
            flash.read(u32::MAX, u32::MAX).map(drop).expect_err("far behind"),
        ] {
            let error = error.to_string();
            assert!(error.contains("end behind the flash of 0x8000 bytes"), "{error}");
        }
        assert_eq!(flash.facts().expect("facts").flash_size, SIZE);
    }

    #[test]
    fn another_chips_image_and_a_fused_chip_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let error = flash(&folder).fitting(ChipId::Esp32).expect_err("another chip").to_string();
        assert!(error.contains("is an esp32c3, but this run is for esp32"), "{error}");
        let secured = Some("flash encryption is on".to_owned());
        let path = folder.path().join("flash.bin");
        let mut fused = FileFlash::open(&path, ChipId::Esp32C3, secured).expect("opened");
        assert!(matches!(fused.fitting(ChipId::Esp32C3), Err(BoardError::Secured { .. })));
    }
}
