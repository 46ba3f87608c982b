//! The start file that `brickproof init` writes: what was found, with comments that say what else there is.

use std::fmt::Write as _;

use crate::board::ports::{AttachedPort, UsbDevice};

/// Espressif's own USB devices: USB-Serial-JTAG of S3 and C3 (USB vendor id list; esp-idf's documentation of the
/// peripheral).
const ESPRESSIF: u16 = 0x303a;

/// The text of a start file.
#[must_use]
pub fn start_file(attached: &[AttachedPort]) -> String {
    let boards: Vec<&AttachedPort> = attached.iter().filter(|port| port.usb.is_some()).collect();
    let mut text = String::from(
        "# Boards and defaults of `brickproof run`. What is true of one machine alone (ports, addresses) can stand in\n\
         # brickproof.bench.toml beside this file, in the same form, and wins over it; keep that one out of version control.\n\
         # The environment (BRICKPROOF_BOARD, BRICKPROOF_RESET, BRICKPROOF_BIND, BRICKPROOF_ADVERTISE) wins over both, the\n\
         # command line over all. docs/bench.md describes every key.\n\n[run]\n\
         # The name of a board or pool below, `virtual`, or a serial port.\n",
    );
    let first = boards.first().map_or_else(|| "virtual".to_owned(), |_| name(0));
    let _ = writeln!(text, "board = \"{first}\"");
    text.push_str(
        "# Address under which a real board reaches this host: there is no telling from here.\n\
         # advertise = \"192.168.1.10\"\n\
         # Your firmware and images: `brickproof image add BUILD_FOLDER` makes a catalogue.\n\
         # firmware = \"firmware.toml\"\n# catalogue = \"catalogue.toml\"\n",
    );
    if boards.is_empty() {
        text.push_str(
            "\n# No USB serial port was attached when this file was written. A board looks like this:\n\
             # [boards.desk]\n# chip = \"esp32c3\"\n# port = \"usb:303a:1001\"\n# reset = \"usb-serial-jtag\"\n",
        );
    }
    for (index, port) in boards.into_iter().enumerate() {
        let Some(usb) = &port.usb else { continue };
        text.push_str(&board(index, port, usb));
    }
    text.push_str(
        "\n# More keys of a board, all optional:\n\
         # pool = \"c3\"                 boards of one pool are equal: `--board c3` takes whichever is free\n\
         # baud = 115200               of the console\n\
         # flash-baud = 921600         while flashing\n\
         # probe = { select = \"303a:1001\" }   a debug probe: see where a silent device hangs\n\
         # ota-port = 8003             where boards of a pool run at once on one host address\n\
         # wifi = { ssid-env = \"ATTIC_SSID\", password-env = \"ATTIC_PASSWORD\" }   never the credentials themselves\n\
         # [boards.desk.commands]      shell commands; the port is in BRICKPROOF_PORT\n\
         # power-off = \"uhubctl -l 1-1 -p 2 -a off\"\n\
         # power-on = \"uhubctl -l 1-1 -p 2 -a on\"\n\
         \n# Passwords and tokens are masked in all that is written; what else must not be shown (docs/secrets.md):\n\
         # [secrets]\n# env = [\"OTA_TOKEN\"]         values of these environment variables\n\
         # patterns = ['serial (\\d+)']   what these regular expressions match, or their groups\n",
    );
    text
}

fn name(index: usize) -> String {
    if index == 0 { "desk".to_owned() } else { format!("desk-{}", index + 1) }
}

fn board(index: usize, port: &AttachedPort, usb: &UsbDevice) -> String {
    let identity = toml::Value::String(port.identity().unwrap_or_else(|| port.path.clone()));
    let product: String =
        usb.product.as_deref().unwrap_or("a serial port").chars().filter(|c| !c.is_control()).collect();
    let reset = if usb.vid == ESPRESSIF { "usb-serial-jtag" } else { "dtr-rts" };
    format!(
        "\n# {product}, at {} when this file was written.\n[boards.{}]\n\
         # The port does not tell the chip: esp32, esp32s3, esp32c3.\nchip = \"{}\"\nport = {identity}\nreset = \"{reset}\"\n",
        port.path,
        name(index),
        if usb.vid == ESPRESSIF { "esp32c3" } else { "esp32" },
    )
}
