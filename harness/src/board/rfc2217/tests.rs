use std::io::{Read, Write};
use std::net::TcpListener;

use virtual_esp32::rfc2217::frame::{COM_PORT, DONT, IAC};

use super::*;

fn address(listener: &TcpListener) -> Address {
    let address = listener.local_addr().expect("address");
    Address { host: address.ip().to_string(), port: address.port(), unconfirmed: false }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("listener")
}

#[test]
fn addresses_read_back_as_written_and_malformed_ones_are_told() {
    for text in [
        "rfc2217://bench:4000",
        "rfc2217://127.0.0.1:1",
        "rfc2217://[::1]:4000",
        "rfc2217://bench:4000?ign_set_control",
    ] {
        assert_eq!(Address::parse(text).expect(text).to_string(), text);
    }
    for (text, words) in [
        ("rfc2217://bench", "the port is missing"),
        ("rfc2217://bench:x", "its port is no number"),
        ("rfc2217://bench:0", "its port is no number"),
        ("rfc2217://bench:4000?nonsense", "only ign_set_control"),
        ("rfc2217://:4000", "the host is missing"),
        ("rfc2217://::1:4000", "in brackets"),
        ("rfc2217://user@bench:4000", "the host is missing or no name"),
    ] {
        let error = Address::parse(text).expect_err(text).to_string();
        assert!(error.contains(words) && error.contains("write rfc2217://HOST:PORT"), "{error}");
    }
}

#[test]
fn port_without_a_server_is_told_with_what_to_look_at() {
    let gone = address(&listener());
    let error = RemotePort::connect(&gone).expect_err("nobody listens").to_string();
    assert!(error.contains(&gone.to_string()) && error.contains("is the server running there"), "{error}");
}

#[test]
fn server_that_refuses_the_option_is_told_apart_from_one_that_is_gone() {
    for (answer, words) in
        [(Some([IAC, DONT, COM_PORT]), "it refuses COM-PORT-OPTION"), (None, "does another client hold the port?")]
    {
        let listener = listener();
        let to = address(&listener);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            // Read first: closing with unread bytes would be a reset.
            let mut offer = [0; 15];
            stream.read_exact(&mut offer).expect("an offer");
            if let Some(answer) = answer {
                stream.write_all(&answer).expect("answered");
                // Until the client leaves.
                let _ = stream.read(&mut [0; 1]);
            }
        });
        let error = RemotePort::connect(&to).expect_err("no such server").to_string();
        server.join().expect("served");
        assert!(error.contains(words), "{error}");
    }
}
