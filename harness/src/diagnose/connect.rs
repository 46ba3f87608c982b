//! Causes that keep a connection from being made.

use super::attempt::{Class, Failure};
use super::cause::{Cause, CauseKind, Confidence};
use super::facts::Facts;
use super::tried::Tried;

/// Ports that the community's xiaozhi servers listen on.
const USUAL_PORTS: &str = "xiaozhi servers listen on 8002, the full deployment, or 8003, the single module";

/// Where a xiaozhi device keeps its URL.
const WHERE_TO_SET: &str =
    "on xiaozhi firmware in Wi-Fi configuration mode; it is kept in NVS, namespace `wifi`, key `ota_url`";

pub(super) fn causes(facts: &Facts) -> Vec<Cause> {
    facts.failures.iter().filter_map(|failure| cause(facts, failure)).collect()
}

fn cause(facts: &Facts, failure: &Failure) -> Option<Cause> {
    let tried = failure.url.as_deref().and_then(Tried::new);
    match (failure.class, tried) {
        (Class::Refused, Some(tried)) => Some(refused(facts, failure, &tried)),
        (Class::Refused, None) => Some(refused_somewhere(failure)),
        (Class::ConnectTimedOut | Class::Unreachable, tried) => Some(unreachable(facts, failure, tried.as_ref())),
        (Class::Dns, tried) => Some(dns(facts, failure, tried.as_ref())),
        (Class::Tls, tried) => Some(super::tls::cause(facts, failure, tried.as_ref())),
        (Class::ConnectFailed, Some(tried)) => Some(connect_failed(facts, failure, &tried)),
        (Class::BadScheme, tried) => Some(bad_scheme(failure, tried.as_ref())),
        (Class::UrlNotSet, _) => Some(url_not_set(facts, failure)),
        _ => None,
    }
}

/// How often, and whether the device gave up, as the end of a sentence.
pub(super) fn how_often(facts: &Facts, failure: &Failure) -> String {
    let gave_up = facts.exhausted.is_some();
    match (failure.count, gave_up) {
        (1, false) => String::new(),
        (count, false) => format!(" This happened {count} times."),
        (count, true) => {
            format!(" This happened {count} time{} and the device gave up.", if count == 1 { "" } else { "s" })
        }
    }
}

fn refused(facts: &Facts, failure: &Failure, tried: &Tried) -> Cause {
    let (host, port) = (tried.host(), tried.port());
    let refused = format!(
        "{} Port {port} of {host} refused the connection: nothing listens there. (lwIP shows a refused connection as \
         \"Connection reset by peer\", errno 104; Linux would say ECONNREFUSED.)",
        tried.port_in_words()
    );
    let often = how_often(facts, failure);
    let no_use = "With the wrong address no number of retries helps.";
    let make = |kind, confidence, sentence: String, remedy: String| Cause {
        kind,
        confidence,
        sentence: sentence + &often,
        remedy,
        evidence: failure.evidence(),
        resolved: None,
    };
    if let Some(server) = &facts.server {
        let difference = tried.differs_from(server);
        if difference.host {
            let sentence = format!("{refused} The OTA server is {server}: the device was sent to another host.");
            let remedy = format!("Set the OTA URL to {server} ({WHERE_TO_SET}), then restart the device. {no_use}");
            return make(CauseKind::WrongHost, Confidence::Likely, sentence, remedy);
        }
        if difference.port {
            let right = server.port_or_known_default().unwrap_or_default();
            let sentence =
                format!("{refused} The OTA server is {server}: the port is the difference, {port} instead of {right}.");
            let remedy = format!("Set the OTA URL to {server} ({WHERE_TO_SET}), then restart the device. {no_use}");
            return make(CauseKind::WrongPort, Confidence::Certain, sentence, remedy);
        }
        let sentence = format!("{refused} That is the OTA server's own port.");
        let remedy = format!(
            "See that the OTA server runs, listens on port {port} at the address {host} (not only on 127.0.0.1), and \
             that no firewall rejects the device."
        );
        return make(CauseKind::ServerDown, Confidence::Likely, sentence, remedy);
    }
    // Without a server named, a run's own listeners tell which port would have been right.
    if !facts.listening.is_empty() {
        if facts.listening.contains_key(&port) {
            let sentence = format!("{refused} The OTA server of this run had closed that port.");
            let remedy = "A port closed on purpose should be tried again later: see how the device retries.".to_owned();
            return make(CauseKind::ServerDown, Confidence::Certain, sentence, remedy);
        }
        let ports: Vec<String> = facts.listening.keys().map(u16::to_string).collect();
        let sentence = format!("{refused} The OTA server of this run listens on {}.", ports.join(" and "));
        let url = tried.with_port(&ports[0]);
        let remedy = format!("Set the OTA URL to {url} ({WHERE_TO_SET}), then restart the device. {no_use}");
        return make(CauseKind::WrongPort, Confidence::Certain, sentence, remedy);
    }
    if tried.names_port {
        let remedy = format!(
            "See that the OTA server runs on {host} and listens on port {port}; if it listens on another ({USUAL_PORTS}), \
             set the OTA URL to it ({WHERE_TO_SET}) and restart the device."
        );
        return make(CauseKind::ServerDown, Confidence::Possible, refused, remedy);
    }
    let remedy = format!(
        "Set the OTA URL to {}, with the port that the OTA server listens on: {USUAL_PORTS}. It is set {WHERE_TO_SET}. \
         Then restart the device. {no_use}",
        tried.with_port("<port>")
    );
    make(CauseKind::WrongPort, Confidence::Likely, refused, remedy)
}

fn refused_somewhere(failure: &Failure) -> Cause {
    Cause {
        kind: CauseKind::WrongPort,
        confidence: Confidence::Possible,
        sentence:
            "A connection was refused: nothing listens at the address that the device tried. The log does not name \
                   the URL. (lwIP shows a refused connection as \"Connection reset by peer\", errno 104.)"
                .to_owned(),
        remedy: "See that the OTA URL names the port that the OTA server listens on.".to_owned(),
        evidence: failure.evidence(),
        resolved: None,
    }
}

fn unreachable(facts: &Facts, failure: &Failure, tried: Option<&Tried>) -> Cause {
    let host = tried.map_or("the OTA server's host", Tried::host);
    let how = if failure.class == Class::Unreachable {
        "is not reachable from the device's network (no answer to ARP, or no route)"
    } else {
        "did not answer the connection request at all: it is off, has another address, or a firewall drops the packets"
    };
    let wrong_host = facts.server.as_ref().filter(|server| tried.is_some_and(|tried| tried.differs_from(server).host));
    let (kind, confidence, more, remedy) = match wrong_host {
        Some(server) => (
            CauseKind::WrongHost,
            Confidence::Likely,
            format!(" The OTA server is {server}: the device was sent to another host."),
            format!("Set the OTA URL to {server} ({WHERE_TO_SET}), then restart the device."),
        ),
        None => (
            CauseKind::HostUnreachable,
            Confidence::Likely,
            String::new(),
            format!(
                "See that {host} is on and has this address, that it is in the device's network (guest networks keep \
                 devices apart), and that its firewall lets the port in."
            ),
        ),
    };
    Cause {
        kind,
        confidence,
        sentence: format!("The host {host} {how}.{more}{}", how_often(facts, failure)),
        remedy,
        evidence: failure.evidence(),
        resolved: None,
    }
}

fn dns(facts: &Facts, failure: &Failure, tried: Option<&Tried>) -> Cause {
    let host = tried.map_or("the OTA server", Tried::host);
    Cause {
        kind: CauseKind::DnsFailure,
        confidence: Confidence::Certain,
        sentence: format!("The device could not resolve the host name {host}.{}", how_often(facts, failure)),
        remedy: format!(
            "See that the name {host} is spelt right and known to the DNS server of the device's network; names ending in \
             .local need mDNS, which the HTTP client does not use. An IP address in the URL avoids DNS."
        ),
        evidence: failure.evidence(),
        resolved: None,
    }
}

fn connect_failed(facts: &Facts, failure: &Failure, tried: &Tried) -> Cause {
    let differs = facts.server.as_ref().filter(|server| {
        let difference = tried.differs_from(server);
        difference.host || difference.port
    });
    let more =
        differs.map_or_else(String::new, |server| format!(" The OTA server is {server}, which is another address."));
    Cause {
        kind: CauseKind::ConnectFailed,
        confidence: if differs.is_some() { Confidence::Likely } else { Confidence::Possible },
        sentence: format!(
            "{} The connection to {} failed, and the log does not say how.{more}{}",
            tried.port_in_words(),
            tried.host(),
            how_often(facts, failure)
        ),
        remedy: format!(
            "Check the URL with `brickproof doctor {}` from a computer in the device's network.",
            tried.text
        ),
        evidence: failure.evidence(),
        resolved: None,
    }
}

fn bad_scheme(failure: &Failure, tried: Option<&Tried>) -> Cause {
    let scheme = tried.map_or_else(String::new, |tried| format!(" ({})", tried.scheme()));
    Cause {
        kind: CauseKind::BadScheme,
        confidence: Confidence::Certain,
        sentence: format!("The firmware has no transport for the scheme of the OTA URL{scheme}."),
        remedy: "Give a URL that begins with http://, or https:// where the firmware is built with TLS.".to_owned(),
        evidence: failure.evidence(),
        resolved: None,
    }
}

fn url_not_set(facts: &Facts, failure: &Failure) -> Cause {
    let example = facts.server.as_ref().map_or("http://<host>:<port>/xiaozhi/ota/", |server| server.as_str());
    Cause {
        kind: CauseKind::UrlNotSet,
        confidence: Confidence::Certain,
        sentence: "The OTA URL that the device has is shorter than 10 characters, so that it did not even try."
            .to_owned(),
        remedy: format!("Set the whole URL, as in {example} ({WHERE_TO_SET}), then restart the device."),
        evidence: failure.evidence(),
        resolved: None,
    }
}
