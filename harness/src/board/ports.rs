//! The serial ports that are attached, with the USB devices behind them.

use std::fs;
use std::path::Path;

use serialport::{SerialPortInfo, SerialPortType};

/// An attached port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPort {
    /// Its path.
    pub path: String,
    /// The USB device behind it, where there is one.
    pub usb: Option<UsbDevice>,
}

/// A USB device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// Vendor id.
    pub vid: u16,
    /// Product id.
    pub pid: u16,
    /// Serial number, where it has one. Many cheap bridges have none, or all the same.
    pub serial: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Where it is plugged in, as Linux names it: bus, then the ports of hubs on the way (`1-1.2`). It stays the same when
    /// the device is plugged in again there, and tells equal devices without serial numbers apart.
    pub location: Option<String>,
}

/// Where Linux keeps what it knows of terminals.
const TTYS: &str = "/sys/class/tty";

/// What is attached now. None where that cannot be found out.
#[must_use]
pub fn attached() -> Vec<AttachedPort> {
    let ports = serialport::available_ports().unwrap_or_default();
    ports.into_iter().map(|port| known(port, Path::new(TTYS))).collect()
}

fn known(port: SerialPortInfo, ttys: &Path) -> AttachedPort {
    let usb = match port.port_type {
        SerialPortType::UsbPort(usb) => Some(UsbDevice {
            vid: usb.vid,
            pid: usb.pid,
            serial: usb.serial_number,
            product: usb.product,
            location: location(&port.port_name, ttys),
        }),
        _ => None,
    };
    AttachedPort { path: port.port_name, usb }
}

/// The USB device's name in sysfs, above the interface that the terminal belongs to.
fn location(port: &str, ttys: &Path) -> Option<String> {
    let name = Path::new(port).file_name()?;
    let device = fs::canonicalize(ttys.join(name).join("device")).ok()?;
    // .../usb1/1-1/1-1.2/1-1.2:1.0/ttyUSB0: interfaces have a colon, root hubs no dash.
    let names = device.ancestors().filter_map(|folder| folder.file_name()?.to_str());
    let is_device =
        |name: &&str| name.contains('-') && name.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.');
    names.into_iter().find(is_device).map(str::to_owned)
}

impl AttachedPort {
    /// What stays the same when the device comes back under another name, and tells it from all others: its serial
    /// number, else where it is plugged in. None of a port that is no USB device.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        let usb = self.usb.as_ref()?;
        let ids = format!("usb:{:04x}:{:04x}", usb.vid, usb.pid);
        match (&usb.serial, &usb.location) {
            (Some(serial), _) => Some(format!("{ids}:{serial}")),
            (None, Some(location)) => Some(format!("{ids}@{location}")),
            (None, None) => None,
        }
    }

    /// The path, with what it is.
    #[must_use]
    pub fn describe(&self) -> String {
        let ids = |usb: &UsbDevice| format!("usb:{:04x}:{:04x}", usb.vid, usb.pid);
        match &self.usb {
            Some(usb) => format!("{} ({})", self.path, self.identity().unwrap_or_else(|| ids(usb))),
            None => self.path.clone(),
        }
    }
}

/// What is attached, for messages.
#[must_use]
pub fn told(attached: &[AttachedPort]) -> String {
    if attached.is_empty() {
        return "no serial port is attached".to_owned();
    }
    format!("attached: {}", attached.iter().map(AttachedPort::describe).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Terminals as sysfs shows them: a bridge behind a hub, and one that is part of its chip.
    fn sysfs() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for (name, device) in [
            ("ttyUSB0", "devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.2/1-1.2:1.0/ttyUSB0"),
            ("ttyACM0", "devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0"),
            ("ttyS0", "devices/pnp0/00:01"),
        ] {
            fs::create_dir_all(root.path().join(device)).expect("device");
            fs::create_dir_all(root.path().join("tty").join(name)).expect("tty");
            symlink(root.path().join(device), root.path().join("tty").join(name).join("device")).expect("link");
        }
        root
    }

    #[test]
    fn place_of_a_usb_device_is_found_above_its_interface() {
        let root = sysfs();
        let ttys = root.path().join("tty");
        assert_eq!(location("/dev/ttyUSB0", &ttys).as_deref(), Some("1-1.2"));
        assert_eq!(location("/dev/ttyACM0", &ttys).as_deref(), Some("1-3"));
        assert_eq!(location("/dev/ttyS0", &ttys), None, "no USB device");
        assert_eq!(location("/dev/ttyUSB9", &ttys), None, "not there");
    }

    #[test]
    fn identity_is_the_serial_number_or_else_the_place() {
        let usb = UsbDevice { vid: 0x303a, pid: 0x1001, serial: None, product: None, location: Some("1-3".to_owned()) };
        let mut port = AttachedPort { path: "/dev/ttyACM0".to_owned(), usb: Some(usb) };
        assert_eq!(port.identity().as_deref(), Some("usb:303a:1001@1-3"));
        port.usb.as_mut().expect("USB").serial = Some("AA:BB".to_owned());
        assert_eq!(port.identity().as_deref(), Some("usb:303a:1001:AA:BB"));
        assert_eq!(port.describe(), "/dev/ttyACM0 (usb:303a:1001:AA:BB)");
    }
}
