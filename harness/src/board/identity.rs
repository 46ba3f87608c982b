//! Which port: by path, or by the identity of the USB device behind it.

use std::fmt;
use std::str::FromStr;

use serialport::{SerialPortInfo, SerialPortType};

use super::BoardError;

/// How a user names a serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortId {
    /// A path: `/dev/ttyUSB0`, `/dev/serial/by-id/...`, a pty.
    Path(String),
    /// A USB identity: `usb:303a:1001` or `usb:303a:1001:SERIAL`.
    Usb {
        /// Vendor id.
        vid: u16,
        /// Product id.
        pid: u16,
        /// Serial number, where several equal devices are attached.
        serial: Option<String>,
    },
}

impl FromStr for PortId {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Self, BoardError> {
        let Some(usb) = text.strip_prefix("usb:") else { return Ok(Self::Path(text.to_owned())) };
        let malformed = |why: &str| BoardError::Malformed {
            given: text.to_owned(),
            what: "USB identity",
            why: format!(
                "{why}; write usb:VID:PID or usb:VID:PID:SERIAL with VID and PID in hexadecimal, as lsusb shows them"
            ),
        };
        let mut parts = usb.splitn(3, ':');
        let mut number = |name: &str| {
            let part = parts.next().ok_or_else(|| malformed(&format!("the {name} is missing")))?;
            u16::from_str_radix(part, 16).map_err(|_| malformed(&format!("{part:?} is no hexadecimal {name}")))
        };
        let (vid, pid) = (number("VID")?, number("PID")?);
        Ok(Self::Usb { vid, pid, serial: parts.next().map(str::to_owned) })
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Usb { vid, pid, serial: None } => write!(f, "usb:{vid:04x}:{pid:04x}"),
            Self::Usb { vid, pid, serial: Some(serial) } => write!(f, "usb:{vid:04x}:{pid:04x}:{serial}"),
        }
    }
}

impl PortId {
    /// The path of the port among those attached.
    ///
    /// # Errors
    ///
    /// No port matches, or several do and the identity does not tell them apart.
    pub fn resolve(&self, attached: &[SerialPortInfo]) -> Result<String, BoardError> {
        let Self::Usb { vid, pid, serial } = self else { return Ok(self.to_string()) };
        let matching: Vec<_> = attached
            .iter()
            .filter(|port| {
                matches!(&port.port_type, SerialPortType::UsbPort(usb)
                    if usb.vid == *vid && usb.pid == *pid && (serial.is_none() || usb.serial_number == *serial))
            })
            .collect();
        match matching.as_slice() {
            [one] => Ok(one.port_name.clone()),
            [] => Err(BoardError::NoSuchPort { port: self.to_string(), hint: attached_ports(attached) }),
            several => {
                let names: Vec<_> = several.iter().map(|p| describe(p)).collect();
                Err(BoardError::Malformed {
                    given: self.to_string(),
                    what: "unique USB identity",
                    why: format!("{} ports have it: {}; add the serial number", several.len(), names.join(", ")),
                })
            }
        }
    }
}

/// What is attached, for messages.
#[must_use]
pub fn attached_ports(attached: &[SerialPortInfo]) -> String {
    if attached.is_empty() {
        return "no serial port is attached".to_owned();
    }
    format!("attached: {}", attached.iter().map(describe).collect::<Vec<_>>().join(", "))
}

fn describe(port: &SerialPortInfo) -> String {
    match &port.port_type {
        SerialPortType::UsbPort(usb) => format!(
            "{} (usb:{:04x}:{:04x}{})",
            port.port_name,
            usb.vid,
            usb.pid,
            usb.serial_number.as_ref().map(|s| format!(":{s}")).unwrap_or_default()
        ),
        _ => port.port_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serialport::UsbPortInfo;

    use super::*;

    fn usb(name: &str, vid: u16, pid: u16, serial: Option<&str>) -> SerialPortInfo {
        SerialPortInfo {
            port_name: name.to_owned(),
            port_type: SerialPortType::UsbPort(UsbPortInfo {
                vid,
                pid,
                serial_number: serial.map(str::to_owned),
                manufacturer: None,
                product: None,
            }),
        }
    }

    #[test]
    fn path_stays_a_path() {
        let id: PortId = "/dev/ttyUSB0".parse().expect("path");
        assert_eq!(id.resolve(&[]).expect("path"), "/dev/ttyUSB0");
    }

    #[test]
    fn identity_finds_the_port_that_has_it_now() {
        let attached =
            [usb("/dev/ttyACM0", 0x303a, 0x1001, Some("AA")), usb("/dev/ttyACM1", 0x303a, 0x1001, Some("BB"))];
        let id: PortId = "usb:303a:1001:BB".parse().expect("identity");
        assert_eq!(id.resolve(&attached).expect("one"), "/dev/ttyACM1");
        assert_eq!(id.to_string(), "usb:303a:1001:BB");
    }

    #[test]
    fn equal_boards_need_a_serial_number() {
        let attached =
            [usb("/dev/ttyACM0", 0x303a, 0x1001, Some("AA")), usb("/dev/ttyACM1", 0x303a, 0x1001, Some("BB"))];
        let id: PortId = "usb:303a:1001".parse().expect("identity");
        let error = id.resolve(&attached).expect_err("two").to_string();
        assert!(error.contains("2 ports have it") && error.contains("usb:303a:1001:BB"), "{error}");
    }

    #[test]
    fn absent_identity_lists_what_is_attached() {
        let id: PortId = "usb:10c4:ea60".parse().expect("identity");
        let error = id.resolve(&[usb("/dev/ttyACM0", 0x303a, 0x1001, None)]).expect_err("none").to_string();
        assert!(error.contains("/dev/ttyACM0 (usb:303a:1001)"), "{error}");
    }

    #[test]
    fn malformed_identity_says_what_is_meant() {
        let error = "usb:303a:zz".parse::<PortId>().expect_err("no hex").to_string();
        assert!(error.contains("\"zz\" is no hexadecimal PID") && error.contains("usb:VID:PID"), "{error}");
    }
}
