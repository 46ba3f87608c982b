//! Boards behind RFC 2217: the virtual board's own server, which has modem lines.

mod remote;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use brickproof::board::board::{Board, Heard, flash_session};
use brickproof::board::commands::Commands;
use brickproof::board::flasher::FlashOptions;
use brickproof::board::reset::ResetMethod;
use brickproof::board::serial::Connection;
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
    };
    let heard = virtual_time::run(Mode::Real, &InFlight::new(), async {
        let mut board = connection.open().expect("the port");
        let facts = flash_session(&mut board, |flash| flash.facts()).await.expect("a chip");
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

/// A relay in front of a server that lets so many bytes through to it, and then drops both connections.
fn broken_off(to: SocketAddr, after: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let here = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut server = TcpStream::connect(to).expect("the server");
            let (mut back_from, mut back_to) = (server.try_clone().expect("clone"), client.try_clone().expect("clone"));
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
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
            let _ = (client.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both));
        }
    });
    here
}

#[test]
fn server_that_drops_the_connection_while_flashing_is_the_rigs_failure() {
    let board = VirtualBoard::new();
    let server = board.rfc2217.parse().expect("an address");
    // Far enough to be in the middle of an image.
    let relay = broken_off(server, 30_000);
    let reset = format!("virtual:{}", board.control);
    let port = format!("rfc2217://{relay}");
    let done = board.brickproof(&["run", "./short.toml", "--board", &port, "--reset", &reset, "--no-restore"]);
    let said = words(&done);
    assert_eq!(done.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("{port}: the server dropped the connection")), "{said}");
}
