//! What the running image says of itself, read from the slot that it was booted from: so a patched image behaves as the
//! patch says, on a chip as on the host.

use embedded_storage_async::nor_flash::ReadNorFlash;
use esp_image::descriptor::{self, AppDescriptor};
use esp_image::record::{self, ProfileRecord};

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The application descriptor, where there is one.
    pub descriptor: Option<AppDescriptor>,
    /// The profile record, in images of the reference firmware.
    pub profile: Option<ProfileRecord>,
}

impl Identity {
    /// Reads the image at `offset`; flash that cannot be read says nothing.
    pub async fn read(flash: &mut impl ReadNorFlash, offset: u32) -> Self {
        let mut begin = [0; record::PROFILE_OFFSET + record::LEN];
        if flash.read(offset, &mut begin).await.is_err() {
            return Self::default();
        }
        let descriptor = begin[descriptor::OFFSET..][..descriptor::LEN].try_into().ok().and_then(AppDescriptor::parse);
        let profile = begin[record::PROFILE_OFFSET..].try_into().ok().and_then(ProfileRecord::parse);
        Self { descriptor, profile }
    }
}
