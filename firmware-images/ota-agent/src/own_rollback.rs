//! Going back without the bootloader's help.
//!
//! A bootloader without rollback boots a selected image for ever and leaves it NEW. Firmware that is built with
//! `own-rollback=N` counts its boots until it is confirmed, and after N of them refuses itself. It helps against an image
//! that comes this far and then fails; what crashes before this code is not saved by it. Where the bootloader has
//! rollback, the state is PENDING_VERIFY and nothing is counted.

use crate::log::{error, info, warning};
use crate::note;
use crate::platform::{Nvs, Parts, Platform, System as _};
use crate::slots::Slots;

const KEY: &str = "boots";

/// Counts this boot. True where the other slot is selected, and a restart is due.
pub(crate) async fn begin<P: Parts>(platform: &mut Platform<P>, version: &str, boots: u32) -> bool {
    // What cannot be read is told by those who need it.
    let Ok(slots) = Slots::read(&mut platform.flash, platform.system.running_offset()).await else { return false };
    if slots.is_new(&mut platform.flash).await != Ok(true) {
        return false;
    }
    let boot = note::find(&mut platform.nvs, KEY, version).await.saturating_add(1);
    if boot <= boots {
        info!(platform.console, "Ota", "Image {} is not confirmed yet, boot {} of {}", version, boot, boots);
        if !note::keep(&mut platform.nvs, KEY, version, boot).await {
            error!(platform.console, "Settings", "Failed to store ota/{}", KEY);
        }
        return false;
    }
    match slots.refuse(&mut platform.flash).await {
        Ok(Some(slot)) => {
            warning!(platform.console, "Ota", "Not confirmed in {} boots: rolling back to ota_{}", boots, slot);
            forget(&mut platform.nvs).await;
            true
        }
        Ok(None) => {
            warning!(platform.console, "Ota", "Not confirmed in {} boots, and no other image to go back to", boots);
            false
        }
        Err(e) => {
            error!(platform.console, "Ota", "Failed to refuse the firmware: {:?}", e);
            false
        }
    }
}

/// The image is confirmed, or gone: its boots do not count any more.
pub(crate) async fn forget(nvs: &mut impl Nvs) {
    note::forget(nvs, KEY).await;
}
