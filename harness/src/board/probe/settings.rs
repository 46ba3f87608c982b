//! Which debug probe belongs to a board, and what it is used for.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::board::BoardError;

/// How a user names a debug probe: `VID:PID`, `VID:PID:SERIAL`, with `-INTERFACE` after the PID where one device has
/// several (an ESP-Prog).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSelector {
    /// USB vendor id.
    pub vid: u16,
    /// USB product id.
    pub pid: u16,
    /// USB interface.
    pub interface: Option<u8>,
    /// Serial number. The built-in probe of an ESP32-S3 or -C3 has the chip's MAC address, colons and all.
    pub serial: Option<String>,
}

impl FromStr for ProbeSelector {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Self, BoardError> {
        let malformed = |why: &str| BoardError::Malformed {
            given: text.to_owned(),
            what: "debug probe",
            why: format!(
                "{why}; write VID:PID or VID:PID:SERIAL with VID and PID in hexadecimal, as `brickproof boards` shows them"
            ),
        };
        let mut parts = text.splitn(3, ':');
        let vid = parts.next().and_then(hexadecimal).ok_or_else(|| malformed("it does not begin with a vendor id"))?;
        let product = parts.next().ok_or_else(|| malformed("it has no product id"))?;
        let (product, interface) = match product.split_once('-') {
            Some((product, interface)) => {
                (product, Some(interface.parse().map_err(|_| malformed("its interface is no number up to 255"))?))
            }
            None => (product, None),
        };
        let pid = hexadecimal(product).ok_or_else(|| malformed("its product id is no hexadecimal number"))?;
        let serial = parts.next().map(str::to_owned);
        if serial.as_ref().is_some_and(String::is_empty) {
            return Err(malformed("nothing follows the last colon"));
        }
        Ok(Self { vid, pid, interface, serial })
    }
}

fn hexadecimal(text: &str) -> Option<u16> {
    text.chars().all(|c| c.is_ascii_hexdigit()).then(|| u16::from_str_radix(text, 16).ok())?
}

impl fmt::Display for ProbeSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vid, self.pid)?;
        if let Some(interface) = self.interface {
            write!(f, "-{interface}")?;
        }
        match &self.serial {
            Some(serial) => write!(f, ":{serial}"),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for ProbeSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A board's debug probe as a file has it. The board keeps its serial port: that is what it is known and held by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeLayer {
    /// Which probe: `VID:PID` or `VID:PID:SERIAL`, as `brickproof boards` shows them.
    #[schemars(with = "Option<String>")]
    pub select: Option<ProbeSelector>,
    /// Flash through the probe, in place of the serial download mode.
    pub flash: Option<bool>,
    /// Read the console from RTT's first up-channel, in place of the serial port. The probe then stays attached while
    /// the firmware runs, and the chip's watchdogs are off.
    pub rtt: Option<bool>,
    /// JTAG clock in kHz; the probe's own default unless given.
    #[schemars(range(min = 1))]
    pub speed_khz: Option<u32>,
}

impl ProbeLayer {
    /// A probe by its name alone.
    #[must_use]
    pub fn of(select: ProbeSelector) -> Self {
        Self { select: Some(select), ..Self::default() }
    }

    /// This one, and what `lower` says of the same probe where this one says nothing.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            select: self.select.or(lower.select),
            flash: self.flash.or(lower.flash),
            rtt: self.rtt.or(lower.rtt),
            speed_khz: self.speed_khz.or(lower.speed_khz),
        }
    }

    /// With nothing left open; `None` where it names no probe.
    #[must_use]
    pub fn complete(self) -> Option<ProbeSettings> {
        Some(ProbeSettings {
            select: self.select?,
            flash: self.flash.unwrap_or(false),
            rtt: self.rtt.unwrap_or(false),
            speed_khz: self.speed_khz,
        })
    }
}

/// A board's debug probe, and what it is used for beside inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Which probe.
    pub select: ProbeSelector,
    /// Flash through it.
    pub flash: bool,
    /// Read the console by RTT.
    pub rtt: bool,
    /// JTAG clock in kHz.
    pub speed_khz: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_with_a_mac_address_as_serial_number_is_read_whole() {
        let selector: ProbeSelector = "303a:1001:F4:12:FA:00:11:22".parse().expect("a probe");
        assert_eq!(selector.serial.as_deref(), Some("F4:12:FA:00:11:22"));
        assert_eq!(selector.to_string(), "303a:1001:F4:12:FA:00:11:22");
        let selector: ProbeSelector = "0403:6010-0".parse().expect("a probe");
        assert_eq!((selector.pid, selector.interface, selector.serial), (0x6010, Some(0), None));
    }

    #[test]
    fn selector_that_names_no_probe_says_what_is_wrong() {
        for (text, why) in [
            ("esp-prog", "no product id"),
            ("303a", "no product id"),
            ("xyz:1001", "vendor id"),
            ("303a:+001", "product id"),
            ("303a:1001-x", "interface"),
            ("303a:1001:", "last colon"),
            ("303a0:1001", "vendor id"),
        ] {
            let error = text.parse::<ProbeSelector>().expect_err(text).to_string();
            assert!(error.contains("is no debug probe") && error.contains("brickproof boards"), "{error}");
            assert!(error.contains(why) || text == "esp-prog", "{text}: {error}");
        }
    }

    #[test]
    fn upper_layer_names_the_probe_and_the_lower_one_says_what_it_is_for() {
        let lower: ProbeLayer = toml::from_str("select = \"303a:1001\"\nflash = true").expect("a layer");
        let upper = ProbeLayer::of("0403:6010".parse().expect("a probe"));
        let settings = upper.over(lower).complete().expect("named");
        assert_eq!((settings.select.vid, settings.flash, settings.rtt), (0x0403, true, false));
        assert_eq!(ProbeLayer { rtt: Some(true), ..ProbeLayer::default() }.complete(), None);
    }

    #[test]
    fn settings_with_an_unknown_key_are_refused() {
        let error = toml::from_str::<ProbeLayer>("select = \"303a:1001\"\nflsh = true").expect_err("a slip");
        assert!(error.to_string().contains("flsh"), "{error}");
    }
}
