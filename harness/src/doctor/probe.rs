//! One look at one URL over the network, as a device would take it.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use url::Url;

/// Bytes of an answer that are read: a check's answer is a few hundred.
const MAX_BODY: u64 = 64 * 1024;

/// A locally administered address that no device has, so that a server's records tell these checks from devices.
const DEVICE_ID: &str = "02:00:00:62:72:6b";
const CLIENT_ID: &str = "00000000-0000-4000-8000-0200006272b0";

/// An answer, as much of it as was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The addresses that a URL's host has.
pub(super) fn resolve(url: &Url) -> io::Result<Vec<SocketAddr>> {
    let host = url.host_str().unwrap_or_default();
    // `ToSocketAddrs` takes an IPv6 address without its brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// Tries to connect to each address in turn, returns the first that answers.
pub(super) fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<SocketAddr> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(_) => return Ok(*address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// GET, without following redirects.
pub(super) fn get(url: &Url, timeout: Duration) -> Result<Answer, String> {
    let response = with_headers(agent(timeout).get(url.as_str())).call();
    answer(response)
}

/// The version check as xiaozhi firmware sends it, for a device that runs 0.0.0.
pub(super) fn post_check(url: &Url, timeout: Duration) -> Result<Answer, String> {
    let body = serde_json::json!({
        "version": 2,
        "mac_address": DEVICE_ID,
        "uuid": CLIENT_ID,
        "chip_model_name": "esp32s3",
        "application": { "name": "xiaozhi", "version": "0.0.0" },
        "board": { "type": "brickproof-doctor", "name": "brickproof-doctor", "mac": DEVICE_ID },
    });
    let request = with_headers(agent(timeout).post(url.as_str())).header("Content-Type", "application/json");
    answer(request.send(body.to_string()))
}

fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        // A device knows no proxy of this machine.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .build()
        .into()
}

fn with_headers<B>(request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
    request
        .header("Device-Id", DEVICE_ID)
        .header("Client-Id", CLIENT_ID)
        .header("User-Agent", concat!("brickproof-doctor/", env!("CARGO_PKG_VERSION")))
        .header("Accept-Language", "en-US")
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let response = response.map_err(|error| in_words(&error))?;
    let status = response.status().as_u16();
    let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    // What came before an error is still worth judging: a captive portal may not end its answer properly.
    let read = response.into_body().into_reader().take(MAX_BODY).read_to_end(&mut body);
    match read {
        Err(error) if body.is_empty() => Err(format!("the answer's body could not be read: {error}")),
        _ => Ok(Answer { status, location, body }),
    }
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed without an answer".to_owned()
        }
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            "the connection was reset before an answer".to_owned()
        }
        ureq::Error::Protocol(_) => format!("what answers speaks no HTTP ({error})"),
        other => other.to_string(),
    }
}
