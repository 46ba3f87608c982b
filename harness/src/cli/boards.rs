//! `brickproof boards`: which serial ports are attached, and who holds them.

use std::fmt::Write as _;

use miette::{Result, miette};
use serde::Serialize;
use serialport::{SerialPortInfo, SerialPortType};

use super::args::BoardsArgs;
use super::out;
use crate::lease::{self, Holder};

/// An attached port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Attached {
    port: String,
    /// As `--board` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

fn attached(port: SerialPortInfo, held: Option<Option<Holder>>) -> Attached {
    let (usb, product) = match port.port_type {
        SerialPortType::UsbPort(usb) => {
            let serial = usb.serial_number.map(|serial| format!(":{serial}")).unwrap_or_default();
            (Some(format!("usb:{:04x}:{:04x}{serial}", usb.vid, usb.pid)), usb.product)
        }
        _ => (None, None),
    };
    Attached { port: port.port_name, usb, product, held: held.is_some(), holder: held.flatten() }
}

pub(super) fn boards(args: &BoardsArgs) -> Result<u8> {
    let ports = serialport::available_ports().map_err(|e| miette!("cannot list serial ports: {e}"))?;
    let folder = lease::default_folder();
    let mut all = Vec::new();
    for port in ports {
        let held = lease::holder(&folder, &port.port_name).map_err(|e| miette!("{e}"))?;
        all.push(attached(port, held));
    }
    if args.json {
        out(&(serde_json::to_string_pretty(&all).map_err(|e| miette!("{e}"))? + "\n"))?;
    } else {
        out(&table(&all))?;
    }
    Ok(0)
}

fn table(all: &[Attached]) -> String {
    if all.is_empty() {
        return "no serial port is attached; a virtual board needs none: `brickproof run`\n".to_owned();
    }
    let mut text = format!("{:<16} {:<34} {:<24} held by\n", "port", "--board", "product");
    for port in all {
        let holder = match (&port.holder, port.held) {
            (Some(holder), _) => holder.to_string(),
            (None, true) => "a process that does not say who it is".to_owned(),
            (None, false) => "nobody".to_owned(),
        };
        let name = port.usb.as_deref().unwrap_or(&port.port);
        let product = port.product.as_deref().unwrap_or("");
        let _ = writeln!(text, "{:<16} {name:<34} {product:<24} {holder}", port.port);
    }
    text
}

#[cfg(test)]
mod tests {
    use serialport::UsbPortInfo;

    use super::*;

    #[test]
    fn ports_are_shown_as_board_takes_them_with_who_holds_them() {
        let usb = UsbPortInfo {
            vid: 0x303a,
            pid: 0x1001,
            serial_number: Some("AA:BB".to_owned()),
            manufacturer: None,
            product: Some("USB JTAG/serial".to_owned()),
        };
        let port = |name: &str, port_type| SerialPortInfo { port_name: name.to_owned(), port_type };
        let holder = Holder { pid: 7, doing: "3 scenarios".to_owned(), since: "2026-11-23T17:00:00Z".to_owned() };
        let all = [
            attached(port("/dev/ttyACM0", SerialPortType::UsbPort(usb)), Some(Some(holder))),
            attached(port("/dev/ttyS0", SerialPortType::PciPort), None),
            attached(port("/dev/ttyS1", SerialPortType::Unknown), Some(None)),
        ];
        insta::assert_snapshot!(table(&all), @r"
        port             --board                            product                  held by
        /dev/ttyACM0     usb:303a:1001:AA:BB                USB JTAG/serial          process 7 (3 scenarios) since 2026-11-23T17:00:00Z
        /dev/ttyS0       /dev/ttyS0                                                  nobody
        /dev/ttyS1       /dev/ttyS1                                                  a process that does not say who it is
        ");
        assert!(table(&[]).contains("no serial port is attached"));
        let json = serde_json::to_value(&all[0]).expect("JSON");
        assert_eq!(json["holder"]["pid"], 7);
    }
}
