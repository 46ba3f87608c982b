//! Writes what the image says of itself: application descriptor and profile record, by the crate that reads them.
//!
//! The values are the environment's, since one source makes several images: `OTA_AGENT_VERSION`, `OTA_AGENT_PROFILE`,
//! `OTA_AGENT_PARAMETERS`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use esp_image::descriptor::AppDescriptor;
use esp_image::record::ProfileRecord;

fn main() -> Result<(), Box<dyn Error>> {
    let value = |name: &str, unless: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var(name).unwrap_or_else(|_| unless.to_owned())
    };
    let version = value("OTA_AGENT_VERSION", "1.5.9");
    let profile = value("OTA_AGENT_PROFILE", "xiaozhi-1.5.9");
    // The bootloader that the images are flashed with has no rollback, and this body no TLS.
    let parameters = value("OTA_AGENT_PARAMETERS", "own-rollback=3 no-tls");
    let mut descriptor = AppDescriptor::new("ota-agent", &version);
    // No time of the build: the same source makes the same bytes. The bootloader's and this field's ESP-IDF need not be
    // the same.
    descriptor.set_idf_version("esp-hal 1.2.2");
    let mut identity = descriptor.encode().to_vec();
    identity.extend_from_slice(ProfileRecord::new(&profile, &parameters).encode());
    fs::write(Path::new(&env::var("OUT_DIR")?).join("identity.bin"), identity)?;
    Ok(())
}
