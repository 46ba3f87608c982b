//! The checks over the network, in the order in which a device would fail.

use std::io::{Error, ErrorKind};

use url::Url;

use crate::diagnose::names_port;

use super::answer::{OtaCheck, Shape};
use super::probe::{Answer, connect, get, post_check, resolve};
use super::{Finding, Options};

/// Does with the URL what a device does. Returns the URL of the same host that does answer as an OTA server, if that is
/// another one.
pub(super) fn check(url: &Url, options: &Options, findings: &mut Vec<Finding>) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = match resolve(url) {
        Ok(addresses) => addresses,
        Err(error) => {
            let message =
                format!("{host} cannot be resolved: {error}; a device shows ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME");
            findings.push(Finding::problem("resolve", message).with_remedy("use the server's IP address, or mend DNS"));
            return None;
        }
    };
    if url.domain().is_some() {
        let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        findings.push(Finding::ok("resolve", format!("{host} is {}", shown.join(", "))));
        if !options.allow_loopback && host != "localhost" && addresses.iter().any(|address| address.ip().is_loopback())
        {
            let message = format!("{host} is a loopback address on this machine; a device asks its own DNS server");
            findings.push(Finding::warning("resolve", message));
        }
    }
    match connect(&addresses, options.timeout) {
        Ok(address) => findings.push(Finding::ok("connect", format!("port {port} of {} answers", address.ip()))),
        Err(error) => {
            findings.push(unconnected(host, port, &error));
            return nearby(url, options, findings);
        }
    }
    if url.scheme() == "https" {
        findings.push(Finding::note("get", "over TLS nothing is asked: doctor speaks plain HTTP only"));
        return None;
    }
    if answers_as_ota(url, options, findings) { None } else { nearby(url, options, findings) }
}

fn unconnected(host: &str, port: u16, error: &Error) -> Finding {
    match error.kind() {
        ErrorKind::ConnectionRefused => Finding::problem(
            "connect",
            format!(
                "port {port} of {host} refuses: nothing listens there. A device shows this as \"Connection reset by peer\" \
                 (errno 104) and ESP_ERR_HTTP_CONNECT"
            ),
        ),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Finding::problem(
            "connect",
            format!(
                "port {port} of {host} does not answer: the host is off or elsewhere, or a firewall drops the packets"
            ),
        ),
        _ => Finding::problem("connect", format!("no connection to port {port} of {host}: {error}")),
    }
}

/// GET and the check itself. True when the check is answered as a device needs it.
fn answers_as_ota(url: &Url, options: &Options, findings: &mut Vec<Finding>) -> bool {
    match get(url, options.timeout) {
        Ok(answer) if (200..300).contains(&answer.status) => {
            findings.push(Finding::ok("get", format!("GET: status {}, {}", answer.status, answer.shape().in_words())));
        }
        Ok(answer) => {
            findings
                .push(Finding::note("get", format!("GET: status {}, {}", answer.status, answer.shape().in_words())));
        }
        Err(error) => findings.push(Finding::note("get", format!("GET: {error}"))),
    }
    match post_check(url, options.timeout) {
        Ok(answer) => judge(url, &answer, findings),
        Err(error) => {
            findings.push(Finding::problem("post", format!("POST (the version check): {error}")));
            false
        }
    }
}

fn judge(url: &Url, answer: &Answer, findings: &mut Vec<Finding>) -> bool {
    let status = answer.status;
    let shape = answer.shape();
    match (status, &shape) {
        (200, Shape::OtaCheck(check)) => {
            let offers =
                check.version.as_ref().map_or(String::new(), |version| format!(", offering version {version}"));
            findings.push(Finding::ok("post", format!("POST: status 200, an OTA server's answer{offers}")));
            firmware(url, check, findings);
            true
        }
        (300..=399, _) => {
            let to = answer.location.as_deref().unwrap_or("nowhere");
            let finding = Finding::problem("post", format!("POST: redirected (status {status}) to {to}"));
            findings.push(finding.with_remedy("set the URL that the redirect leads to"));
            false
        }
        (404, _) => {
            let message = format!("POST: status 404: this server does not know the path {}", url.path());
            findings.push(Finding::problem("post", message).with_remedy("xiaozhi servers answer at /xiaozhi/ota/"));
            false
        }
        (500..=599, _) => {
            let message = format!("POST: status {status}: the server failed, and so would the check of a device");
            findings.push(Finding::problem("post", message).with_remedy("look into the server's log"));
            false
        }
        _ => {
            let message = format!("POST: status {status}, and the answer is {}: no OTA server", shape.in_words());
            findings.push(Finding::problem("post", message));
            false
        }
    }
}

/// The firmware's URL in the answer: where the next step would go.
fn firmware(url: &Url, check: &OtaCheck, findings: &mut Vec<Finding>) {
    let Some(text) = &check.firmware_url else { return };
    match Url::parse(text) {
        Ok(firmware) if firmware.host().is_some() => {
            let same_host = firmware.host() == url.host();
            let port = |url: &Url| url.port_or_known_default().unwrap_or_default();
            if same_host && port(&firmware) != port(url) && !names_port(text) {
                let message = format!(
                    "the answer sends devices to {text}, which has no port: they would ask port {}, not {}",
                    port(&firmware),
                    port(url)
                );
                let remedy = "set the server's own address with its port in the server's configuration";
                findings.push(Finding::problem("firmware", message).with_remedy(remedy));
            }
            if text.contains("merged") {
                let message = format!("{text} looks like a merged image, which no device can take over the air");
                let remedy = "serve the application image (build/<project>.bin)";
                findings.push(Finding::warning("firmware", message).with_remedy(remedy));
            }
        }
        _ => {
            let message = format!("the answer's firmware URL \"{text}\" is no whole URL");
            findings.push(Finding::problem("firmware", message).with_remedy("give it with scheme, host and port"));
        }
    }
}

/// Looks for an OTA server on the candidate ports of the same host.
fn nearby(url: &Url, options: &Options, findings: &mut Vec<Finding>) -> Option<String> {
    let own = url.port_or_known_default().unwrap_or_default();
    let mut tried = Vec::new();
    let mut suggestion = None;
    for port in options.candidate_ports.iter().copied().filter(|port| *port != own) {
        let mut other = url.clone();
        // The candidates speak plain HTTP, whatever the URL's scheme.
        if other.set_scheme("http").is_err() || other.set_port(Some(port)).is_err() || tried.contains(&port) {
            continue;
        }
        tried.push(port);
        let answers = resolve(&other).and_then(|addresses| connect(&addresses, options.timeout)).is_ok()
            && post_check(&other, options.timeout)
                .is_ok_and(|answer| answer.status == 200 && matches!(answer.shape(), Shape::OtaCheck(_)));
        if answers {
            findings.push(Finding::note(
                "ports",
                format!("port {port} of the same host answers as an OTA server: {other}"),
            ));
            suggestion.get_or_insert_with(|| other.to_string());
        }
    }
    if suggestion.is_none() && !tried.is_empty() {
        let shown: Vec<String> = tried.iter().map(u16::to_string).collect();
        let message = format!("no OTA server on port {} of the same host either", shown.join(", "));
        findings.push(Finding::note("ports", message).with_remedy("see that the OTA server runs, and on which port"));
    }
    suggestion
}
