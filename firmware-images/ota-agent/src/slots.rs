//! The OTA slots on flash: which one runs, which one is next, and the states in otadata.

use embedded_storage_async::nor_flash::NorFlash;
use esp_image::SECTOR;
use esp_image::otadata::{ENTRY, Entry, ImageState, OtaData};
use esp_image::partition::{self, DATA, FACTORY, OTADATA, Partition, PartitionTable};

/// The slots, as read at start.
pub struct Slots {
    /// The partition that runs.
    pub running: Partition,
    /// The slot that an update is written to.
    pub next: Option<(u8, Partition)>,
    otadata: Option<Partition>,
    count: u8,
}

/// Why the slots cannot be known or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// Flash cannot be read or written.
    Flash,
    /// The partition table is no good, or the running offset is not in it.
    Table,
    /// There is no otadata partition.
    NoOtaData,
}

impl Slots {
    /// Reads the partition table and finds the running partition by its offset.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn read(flash: &mut impl NorFlash, running_offset: u32) -> Result<Self, SlotError> {
        let mut bytes = [0; partition::MAX_LEN];
        flash.read(partition::OFFSET, &mut bytes).await.map_err(|_| SlotError::Flash)?;
        let table = PartitionTable::parse(&bytes).map_err(|_| SlotError::Table)?;
        let running = *table.at(running_offset).ok_or(SlotError::Table)?;
        let count = table.ota_slots();
        let next = match running.ota_slot() {
            Some(slot) if count > 1 => Some((slot + 1) % count),
            Some(_) => None,
            None => (count > 0).then_some(0),
        };
        let next = next.and_then(|slot| table.slot(slot).map(|p| (slot, *p)));
        Ok(Self { running, next, otadata: table.find(DATA, OTADATA).copied(), count })
    }

    /// True when the factory application runs.
    #[must_use]
    pub fn is_factory(&self) -> bool {
        self.running.kind == partition::APP && self.running.subtype == FACTORY
    }

    async fn load(&self, flash: &mut impl NorFlash) -> Result<(Partition, OtaData), SlotError> {
        let otadata = self.otadata.ok_or(SlotError::NoOtaData)?;
        let mut entries = [[0; ENTRY]; 2];
        flash.read(otadata.offset, &mut entries[0]).await.map_err(|_| SlotError::Flash)?;
        flash.read(otadata.offset + SECTOR, &mut entries[1]).await.map_err(|_| SlotError::Flash)?;
        Ok((otadata, OtaData::parse(&entries[0], &entries[1])))
    }

    async fn store(
        flash: &mut impl NorFlash,
        otadata: Partition,
        sector: usize,
        entry: Entry,
    ) -> Result<(), SlotError> {
        let offset = otadata.offset + if sector == 0 { 0 } else { SECTOR };
        flash.erase(offset, offset + SECTOR).await.map_err(|_| SlotError::Flash)?;
        flash.write(offset, &entry.encode()).await.map_err(|_| SlotError::Flash)
    }

    /// What otadata says of the running image, where it is the one that is selected.
    async fn state(&self, flash: &mut impl NorFlash) -> Result<Option<ImageState>, SlotError> {
        let (_, data) = self.load(flash).await?;
        let active = data.active().map(|(_, entry)| entry);
        Ok(active.filter(|entry| Some(entry.slot(self.count)) == self.running.ota_slot()).map(|entry| entry.state))
    }

    /// True when the running image waits for its confirmation.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn is_pending(&self, flash: &mut impl NorFlash) -> Result<bool, SlotError> {
        Ok(self.state(flash).await? == Some(ImageState::PendingVerify))
    }

    /// True when the running image is still noted as never booted: its bootloader has no rollback.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn is_new(&self, flash: &mut impl NorFlash) -> Result<bool, SlotError> {
        Ok(self.state(flash).await? == Some(ImageState::New))
    }

    /// Refuses the running image, so that the other entry's slot boots next, and says which. `None`, and nothing is changed,
    /// where no other one can boot.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn refuse(&self, flash: &mut impl NorFlash) -> Result<Option<u8>, SlotError> {
        let (otadata, mut data) = self.load(flash).await?;
        let Some((sector, entry)) = data.active() else { return Ok(None) };
        data.entries[sector] = None;
        let Some((_, other)) = data.active() else { return Ok(None) };
        Self::store(flash, otadata, sector, Entry { state: ImageState::Invalid, ..entry }).await?;
        Ok(Some(other.slot(self.count)))
    }

    /// Confirms the running image.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn mark_valid(&self, flash: &mut impl NorFlash) -> Result<(), SlotError> {
        let (otadata, data) = self.load(flash).await?;
        match data.active() {
            Some((sector, entry)) => {
                Self::store(flash, otadata, sector, Entry { state: ImageState::Valid, ..entry }).await
            }
            None => Ok(()),
        }
    }

    /// Selects a slot for the next boot, its image new.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub async fn select(&self, flash: &mut impl NorFlash, slot: u8) -> Result<(), SlotError> {
        let (otadata, data) = self.load(flash).await?;
        let (sector, entry) = data.select(slot, self.count, ImageState::New);
        Self::store(flash, otadata, sector, entry).await
    }
}
