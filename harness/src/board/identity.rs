//! Which port: by path, or by the identity of the USB device behind it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::BoardError;
use super::ports::{AttachedPort, told};
use super::rfc2217::{Address, SCHEME};
use crate::labgrid::{self, Place};

/// How a user names a serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortId {
    /// A path: `/dev/ttyUSB0`, `/dev/serial/by-id/...`, a pty.
    Path(String),
    /// A port on another machine: `rfc2217://HOST:PORT`.
    Rfc2217(Address),
    /// A place of labgrid, to be acquired before it is a port: `labgrid:PLACE`.
    Labgrid(Place),
    /// A USB identity: `usb:303a:1001`, `usb:303a:1001:SERIAL` or `usb:303a:1001@1-1.2`.
    Usb {
        /// Vendor id.
        vid: u16,
        /// Product id.
        pid: u16,
        /// Serial number, where several equal devices are attached.
        serial: Option<String>,
        /// Where it is plugged in, where equal devices have no serial number: `1-1.2`.
        location: Option<String>,
    },
}

/// Bus, dash, ports of hubs with dots between: `1-1.2`.
fn is_place(text: &str) -> bool {
    let Some((bus, ports)) = text.split_once('-') else { return false };
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    number(bus) && ports.split('.').all(number)
}

impl FromStr for PortId {
    type Err = BoardError;

    fn from_str(text: &str) -> Result<Self, BoardError> {
        if text.starts_with(labgrid::SCHEME) {
            return Place::parse(text).map(Self::Labgrid);
        }
        if text.starts_with(SCHEME) {
            return Address::parse(text).map(Self::Rfc2217);
        }
        let Some(usb) = text.strip_prefix("usb:") else { return Ok(Self::Path(text.to_owned())) };
        let malformed = |why: &str| BoardError::Malformed {
            given: text.to_owned(),
            what: "USB identity",
            why: format!(
                "{why}; write usb:VID:PID, usb:VID:PID:SERIAL or usb:VID:PID@LOCATION with VID and PID in hexadecimal, as \
                 `brickproof boards` shows them"
            ),
        };
        // No serial number has a dash between digits after its last @ but by chance, and then the @ is part of it.
        let place = usb.rsplit_once('@').filter(|(_, place)| is_place(place));
        let (usb, location) = place.map_or((usb, None), |(usb, place)| (usb, Some(place.to_owned())));
        let mut parts = usb.splitn(3, ':');
        let mut number = |name: &str| {
            let part = parts.next().ok_or_else(|| malformed(&format!("the {name} is missing")))?;
            u16::from_str_radix(part, 16).map_err(|_| malformed(&format!("{part:?} is no hexadecimal {name}")))
        };
        let (vid, pid) = (number("VID")?, number("PID")?);
        Ok(Self::Usb { vid, pid, serial: parts.next().map(str::to_owned), location })
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Rfc2217(address) => address.fmt(f),
            Self::Labgrid(place) => place.fmt(f),
            Self::Usb { vid, pid, serial, location } => {
                write!(f, "usb:{vid:04x}:{pid:04x}")?;
                if let Some(serial) = serial {
                    write!(f, ":{serial}")?;
                }
                location.as_ref().map_or(Ok(()), |location| write!(f, "@{location}"))
            }
        }
    }
}

impl PortId {
    /// What tells the board on this port from all others, and stays when the port comes back under another name; `None`
    /// where there is no such port. However it is named, a board has one.
    #[must_use]
    pub fn board(&self, attached: &[AttachedPort]) -> Option<String> {
        match self {
            // How it is spoken to does not make it another board.
            Self::Rfc2217(address) => return Some(Address { unconfirmed: false, ..address.clone() }.to_string()),
            Self::Labgrid(_) => return Some(self.to_string()),
            Self::Path(_) | Self::Usb { .. } => {}
        }
        let path = self.resolve(attached).ok()?;
        let real = std::fs::canonicalize(&path).ok()?;
        let port = attached.iter().find(|port| Path::new(&port.path) == real);
        Some(port.and_then(AttachedPort::identity).unwrap_or_else(|| real.to_string_lossy().into_owned()))
    }

    /// The path of the port among those attached.
    ///
    /// # Errors
    ///
    /// No port matches, or several do and the identity does not tell them apart.
    pub fn resolve(&self, attached: &[AttachedPort]) -> Result<String, BoardError> {
        let Self::Usb { vid, pid, serial, location } = self else { return Ok(self.to_string()) };
        let matching: Vec<_> = attached
            .iter()
            .filter(|port| {
                port.usb.as_ref().is_some_and(|usb| {
                    usb.vid == *vid
                        && usb.pid == *pid
                        && (serial.is_none() || usb.serial == *serial)
                        && (location.is_none() || usb.location == *location)
                })
            })
            .collect();
        match matching.as_slice() {
            [one] => Ok(one.path.clone()),
            [] => Err(BoardError::NoSuchPort { port: self.to_string(), hint: told(attached) }),
            several => {
                let names: Vec<_> = several.iter().map(|p| p.describe()).collect();
                Err(BoardError::Malformed {
                    given: self.to_string(),
                    what: "unique USB identity",
                    why: format!(
                        "{} ports have it: {}; add the serial number, or where it is plugged in",
                        several.len(),
                        names.join(", ")
                    ),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ports::UsbDevice;
    use super::*;

    fn usb(name: &str, vid: u16, pid: u16, serial: Option<&str>) -> AttachedPort {
        let serial = serial.map(str::to_owned);
        let usb = UsbDevice { vid, pid, serial, product: None, location: Some(format!("1-{}", &name[11..])) };
        AttachedPort { path: name.to_owned(), usb: Some(usb) }
    }

    #[test]
    fn equal_bridges_without_serial_numbers_are_told_apart_by_where_they_are() {
        let attached = [usb("/dev/ttyUSB1", 0x10c4, 0xea60, None), usb("/dev/ttyUSB2", 0x10c4, 0xea60, None)];
        let id: PortId = "usb:10c4:ea60@1-2".parse().expect("identity");
        assert_eq!(id.resolve(&attached).expect("one"), "/dev/ttyUSB2");
        assert_eq!(id.to_string(), "usb:10c4:ea60@1-2");
        let id: PortId = "usb:10c4:ea60".parse().expect("identity");
        let error = id.resolve(&attached).expect_err("two").to_string();
        assert!(error.contains("usb:10c4:ea60@1-1") && error.contains("where it is plugged in"), "{error}");
    }

    #[test]
    fn board_is_known_by_its_identity_however_its_port_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let (tty, link) = (folder.path().join("ttyACM1"), folder.path().join("by-id"));
        std::fs::write(&tty, "").expect("a port");
        std::os::unix::fs::symlink(&tty, &link).expect("a link");
        let tty = tty.canonicalize().expect("path").display().to_string();
        let usb = UsbDevice { vid: 0x303a, pid: 0x1001, serial: Some("AA".to_owned()), product: None, location: None };
        let attached = [AttachedPort { path: tty.clone(), usb: Some(usb) }];
        for name in ["usb:303a:1001", &tty, &link.display().to_string()] {
            let id: PortId = name.parse().expect("a port");
            assert_eq!(id.board(&attached).as_deref(), Some("usb:303a:1001:AA"), "{name}");
        }
        assert_eq!(PortId::Path("/nowhere".to_owned()).board(&attached), None);
    }

    #[test]
    fn at_sign_in_a_serial_number_is_part_of_it() {
        let id: PortId = "usb:303a:1001:A@B".parse().expect("identity");
        let PortId::Usb { serial, location, .. } = id else { panic!("no USB identity") };
        assert_eq!((serial.as_deref(), location), (Some("A@B"), None));
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
        assert!(error.contains("/dev/ttyACM0 (usb:303a:1001@1-0)"), "{error}");
    }

    #[test]
    fn malformed_identity_says_what_is_meant() {
        let error = "usb:303a:zz".parse::<PortId>().expect_err("no hex").to_string();
        assert!(error.contains("\"zz\" is no hexadecimal PID") && error.contains("usb:VID:PID"), "{error}");
    }
}
