//! The chip's flash by the ROM's functions (`esp-storage`), and what was booted from it.

use alloc::boxed::Box;
use core::cell::RefCell;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use esp_bootloader_esp_idf::partitions::{PARTITION_TABLE_MAX_LEN, read_partition_table};
use esp_hal::peripherals::FLASH;
use esp_image::partition::{DATA, NVS, OFFSET, Partition, PartitionTable};
use esp_storage::{FlashStorage, FlashStorageError};

/// The whole flash. Clones are the same chip: the agent and NVS use it in turn.
#[derive(Clone)]
pub(crate) struct Flash(&'static RefCell<FlashStorage<'static>>);

/// What was booted.
pub(crate) struct Booted {
    /// Flash offset of the partition that runs.
    pub(crate) running: Option<u32>,
    /// That partition.
    pub(crate) slot: Option<Partition>,
    /// Offset and size of the NVS partition.
    pub(crate) nvs: Option<(u32, u32)>,
}

impl Flash {
    pub(crate) fn new(flash: FLASH<'static>) -> Self {
        Self(Box::leak(Box::new(RefCell::new(FlashStorage::new(flash)))))
    }

    /// Finds the running partition (by the cache's first page, which shows where the image lies) and NVS.
    pub(crate) async fn booted(&mut self) -> Booted {
        let mut bytes = [0; PARTITION_TABLE_MAX_LEN];
        let running = read_partition_table(&mut self.0.borrow_mut(), &mut bytes)
            .and_then(|table| table.booted_partition())
            .ok()
            .flatten()
            .map(|partition| partition.offset());
        let table = match ReadNorFlash::read(self, OFFSET, &mut bytes).await {
            Ok(()) => PartitionTable::parse(&bytes).ok(),
            Err(_) => None,
        };
        let slot = table.as_ref().zip(running).and_then(|(table, offset)| table.at(offset).copied());
        let nvs = table.as_ref().and_then(|table| table.find(DATA, NVS)).map(|p| (p.offset, p.size));
        Booted { running, slot, nvs }
    }
}

/// A flash error as the ecosystem's traits want it.
#[derive(Debug)]
pub(crate) struct FlashError(FlashStorageError);

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self.0 {
            FlashStorageError::NotAligned => NorFlashErrorKind::NotAligned,
            FlashStorageError::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = FlashStorage::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.borrow_mut().read_nor(offset, bytes).map_err(FlashError)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.borrow_mut().erase(from, to).map_err(FlashError)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.borrow_mut().write_nor(offset, bytes).map_err(FlashError)
    }
}

/// The same flash as NVS wants it, without waiting.
pub(crate) struct NvsFlash(Flash);

impl NvsFlash {
    pub(crate) fn new(flash: &Flash) -> Self {
        Self(flash.clone())
    }
}

impl esp_nvs::platform::Crc for NvsFlash {
    fn crc32(init: u32, data: &[u8]) -> u32 {
        esp_nvs::platform::software_crc32(init, data)
    }
}

impl embedded_storage::nor_flash::ErrorType for NvsFlash {
    type Error = NorFlashErrorKind;
}

impl embedded_storage::nor_flash::ReadNorFlash for NvsFlash {
    const READ_SIZE: usize = FlashStorage::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.0.borrow_mut().read_nor(offset, bytes).map_err(|e| FlashError(e).kind())
    }

    fn capacity(&self) -> usize {
        self.0.0.borrow().capacity()
    }
}

impl embedded_storage::nor_flash::NorFlash for NvsFlash {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.0.borrow_mut().erase(from, to).map_err(|e| FlashError(e).kind())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.0.borrow_mut().write_nor(offset, bytes).map_err(|e| FlashError(e).kind())
    }
}
