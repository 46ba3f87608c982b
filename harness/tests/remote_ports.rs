//! Boards behind RFC 2217: the virtual board's own server, which has modem lines.

mod remote;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brickproof::board::board::{Heard, flash_session};
use brickproof::board::commands::Commands;
use brickproof::board::flasher::FlashOptions;
use brickproof::board::reset::ResetMethod;
use brickproof::board::serial::Connection;
use esp_image::chip::ChipId;
use remote::{VirtualBoard, words};
use virtual_time::{InFlight, Mode};

#[test]
fn whole_path_over_rfc2217_resets_by_dtr_and_rts_and_flashes() {
    let board = VirtualBoard::new();
    let port = format!("rfc2217://{}", board.rfc2217);
    let connection = Connection {
        id: port.parse().expect("a port"),
        reset: ResetMethod::DtrRts,
        commands: Commands::default(),
        baud: 115_200,
        flash: FlashOptions { baud: Some(921_600), ..FlashOptions::default() },
        probe: None,
        chip: ChipId::Esp32C3,
    };
    let heard = virtual_time::run(Mode::Real, &InFlight::new(), async {
        let mut board = connection.open().expect("the port");
        let facts = flash_session(&mut *board, |flash| flash.facts()).await.expect("a chip");
        assert_eq!(facts.chip, "esp32c3");
        board.start().await.expect("started");
        let mut said = String::new();
        let mut buffer = [0; 256];
        // Nothing is on flash: the ROM says so, over and over.
        while !said.contains("invalid header") {
            match board.read_console(&mut buffer).await.expect("a console") {
                Heard::Bytes(n) => said.push_str(&String::from_utf8_lossy(&buffer[..n])),
                Heard::Gap(words) | Heard::Note(words) => panic!("{words}"),
            }
        }
        said
    })
    .expect("runtime");
    assert!(heard.contains("rst:0x1 (POWERON)") && heard.contains("SPI_FAST_FLASH_BOOT"), "run mode: {heard}");
}

#[test]
fn scenario_passes_over_rfc2217() {
    let board = VirtualBoard::new();
    board.passes_behind(&format!("rfc2217://{}", board.rfc2217));
    // The same board by another way: its settings are there.
    let port = format!("rfc2217://{}", board.rfc2217);
    let told = board.brickproof(&["nvs", "list", "--board", &port]);
    assert!(told.status.success() && words(&told).contains("wifi/ota_url"), "{}", words(&told));
}

/// What becomes of a connection after so many bytes to the server.
#[derive(Clone, Copy)]
enum Then {
    /// Both ends are closed.
    Drop,
    /// Nothing passes any more in either direction, and nobody says so: the machine is gone.
    Freeze,
}

/// A relay in front of a server.
fn relay(to: SocketAddr, after: usize, then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let here = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut server = TcpStream::connect(to).expect("the server");
            let (mut back_from, mut back_to) = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
            let frozen = Arc::new(AtomicBool::new(false));
            let is_frozen = Arc::clone(&frozen);
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(n @ 1..) = back_from.read(&mut buffer) {
                    if !is_frozen.load(Ordering::Relaxed) && back_to.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                }
            });
            let mut left = after;
            let mut buffer = [0; 1024];
            while left > 0 {
                let Ok(n @ 1..) = client.read(&mut buffer) else { break };
                let n = n.min(left);
                left -= n;
                if server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            if left == 0 && matches!(then, Then::Freeze) {
                frozen.store(true, Ordering::Relaxed);
                // Swallows the rest; the client waits in vain.
                let _ = std::io::copy(&mut client, &mut std::io::sink());
            }
            let _ = (client.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both));
        }
    });
    here
}

/// Runs the scenario through a relay that goes wrong in the middle of an image: what is said, and the exit code.
fn flash_through(then: Then) -> (String, String, Option<i32>) {
    let board = VirtualBoard::new();
    let relay = relay(board.rfc2217.parse().expect("an address"), 30_000, then);
    let (reset, port) = (format!("virtual:{}", board.control), format!("rfc2217://{relay}"));
    let done = board.brickproof(&["run", "./short.toml", "--board", &port, "--reset", &reset, "--no-restore"]);
    (words(&done), port, done.status.code())
}

#[test]
fn server_that_drops_the_connection_while_flashing_is_the_rigs_failure() {
    let (said, port, code) = flash_through(Then::Drop);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("{port}: the server dropped the connection")), "{said}");
}

#[test]
fn server_whose_machine_vanishes_is_the_rigs_failure() {
    let (said, port, code) = flash_through(Then::Freeze);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&port) && said.contains("is its machine still there?"), "{said}");
}
