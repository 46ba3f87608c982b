//! Causes that lie in what was answered, or not answered.

use super::attempt::{Class, Failure};
use super::cause::{Cause, CauseKind, Confidence, Evidence};
use super::connect::how_often;
use super::facts::Facts;
use super::tried::Tried;

pub(super) fn causes(facts: &Facts) -> Vec<Cause> {
    let mut causes: Vec<Cause> = facts.failures.iter().filter_map(|failure| cause(facts, failure)).collect();
    causes.extend(not_recovered(facts));
    causes
}

fn cause(facts: &Facts, failure: &Failure) -> Option<Cause> {
    let what = if failure.download { "the download" } else { "the check" };
    let often = how_often(facts, failure);
    let (kind, confidence, sentence, remedy) = match failure.class {
        Class::Status(status) => of_status(facts, failure, status),
        Class::NotTheProtocol => wrong_service(facts, failure, "the answer is not the JSON of an OTA check"),
        Class::Redirects => (
            CauseKind::RedirectLoop,
            Confidence::Certain,
            "The server redirects more often than the device follows.".to_owned(),
            "Give the URL that the redirects end at; look for http:// sent to https:// and back.".to_owned(),
        ),
        Class::Reset => (
            CauseKind::ConnectionReset,
            Confidence::Likely,
            format!("The connection was made and then reset by the other side (errno 104) during {what}."),
            "Look into the server's log, and for a proxy or firewall between that ends connections; the device should \
             retry by itself."
                .to_owned(),
        ),
        Class::NoAnswer => (
            CauseKind::NoAnswer,
            Confidence::Likely,
            "The server took the connection and sent no answer that the device could use before its time-out.".to_owned(),
            "See whether the server is overloaded or hangs, and whether it is an HTTP server that answers at this port."
                .to_owned(),
        ),
        Class::Stalled => (
            CauseKind::Stalled,
            Confidence::Likely,
            "The download stopped moving: no byte came for as long as the device's read time-out.".to_owned(),
            "Look for a server or proxy that stalls, or weak Wi-Fi; the device should give the download up and retry."
                .to_owned(),
        ),
        Class::Truncated => truncated(facts),
        Class::NoContentLength => (
            CauseKind::NoContentLength,
            Confidence::Certain,
            "The download has no Content-Length, or one of 0, and the firmware needs one.".to_owned(),
            "Serve the image with its Content-Length: no chunked encoding, no compression on the way, no empty file."
                .to_owned(),
        ),
        Class::InvalidImage => invalid_image(facts, failure)?,
        Class::Resources => (
            CauseKind::OutOfResources,
            Confidence::Likely,
            format!("The firmware ran out of memory or sockets during {what}."),
            "Compare the free heap and the open sockets of early and late attempts: a falling figure is a leak.".to_owned(),
        ),
        _ => return None,
    };
    let mut evidence = failure.evidence();
    if failure.class == Class::Truncated
        && let Some((.., line)) = &facts.short_answer
    {
        evidence.push(line.clone());
        evidence.sort_by_key(|line| line.seq);
    }
    Some(Cause { kind, confidence, sentence: sentence + &often, remedy, evidence, resolved: None })
}

type Parts = (CauseKind, Confidence, String, String);

fn of_status(facts: &Facts, failure: &Failure, status: u16) -> Parts {
    match status {
        401 | 403 => (
            CauseKind::Unauthorised,
            Confidence::Certain,
            format!("The server refuses the device: status {status}."),
            "See whether the server wants the device to be registered or a token in its request.".to_owned(),
        ),
        500..=599 => (
            CauseKind::ServerError,
            Confidence::Certain,
            format!("The server answered with an error of its own: status {status}."),
            "Look into the server's log. The device should retry by itself.".to_owned(),
        ),
        300..=399 => (
            CauseKind::WrongService,
            Confidence::Likely,
            format!("The server redirects (status {status}) and the device did not follow."),
            "Give the URL that the redirect leads to.".to_owned(),
        ),
        _ => wrong_service(facts, failure, &format!("the answer has status {status}")),
    }
}

fn wrong_service(facts: &Facts, failure: &Failure, why: &str) -> Parts {
    let Some(tried) = failure.url.as_deref().and_then(Tried::new) else {
        return (
            CauseKind::WrongService,
            Confidence::Likely,
            format!("What answered is no OTA server, or does not serve this path: {why}."),
            "Check the OTA URL's port and path with `brickproof doctor`.".to_owned(),
        );
    };
    let begin = if failure.download {
        format!("The download {} failed: {why}.", tried.text)
    } else {
        format!("{} Something answers there, but {why}.", tried.port_in_words())
    };
    let Some(server) = facts.server.as_ref().filter(|_| !failure.download) else {
        let remedy = if failure.download {
            "See that the file which the check's answer names exists on the server.".to_owned()
        } else {
            format!(
                "Check port and path of the OTA URL: `brickproof doctor {}` names ports that do answer.",
                tried.text
            )
        };
        return (CauseKind::WrongService, Confidence::Likely, begin, remedy);
    };
    let difference = tried.differs_from(server);
    let parts: Vec<&str> = [
        (difference.scheme, "the scheme"),
        (difference.host, "the host"),
        (difference.port, "the port"),
        (difference.path, "the path"),
    ]
    .into_iter()
    .filter_map(|(differs, part)| differs.then_some(part))
    .collect();
    if parts.is_empty() {
        let sentence = format!("{begin} The URL is the OTA server's own.");
        return (
            CauseKind::WrongService,
            Confidence::Possible,
            sentence,
            "Look into the server's log: it does not answer an OTA check as the firmware expects.".to_owned(),
        );
    }
    let verb = if parts.len() == 1 { "is the difference" } else { "are the differences" };
    (
        CauseKind::WrongService,
        Confidence::Certain,
        format!("{begin} The OTA server is {server}: {} {verb}.", parts.join(" and ")),
        format!("Set the OTA URL to {server}, then restart the device."),
    )
}

fn truncated(facts: &Facts) -> Parts {
    let figures = facts
        .short_answer
        .as_ref()
        .map_or_else(String::new, |(announced, sent, _)| format!(" ({sent} of {announced} bytes were sent)"));
    (
        CauseKind::Truncated,
        if facts.short_answer.is_some() { Confidence::Certain } else { Confidence::Likely },
        format!("The download ended before its announced length{figures}."),
        "Look for a server, proxy or file that ends early; the device must not take such an image for whole."
            .to_owned(),
    )
}

fn invalid_image(facts: &Facts, failure: &Failure) -> Option<Parts> {
    let url = failure.url.as_deref().or(facts.download_url.as_deref()).unwrap_or_default();
    // A merged image begins with the bootloader (0xff on an ESP32, whose bootloader stands at 0x1000).
    let says = |part: &str| failure.evidence.iter().any(|line| line.text.contains(part));
    if url.to_ascii_lowercase().contains("merged") || says("saw 0xff") || says("merged image") {
        return Some((
            CauseKind::MergedImage,
            Confidence::Likely,
            "The image served is no application image; it looks like a merged image, bootloader first, as it is made for \
             flashing by cable."
                .to_owned(),
            "Serve the application image (build/<project>.bin), not merged-binary.bin.".to_owned(),
        ));
    }
    if let Some((announced, sent, _)) = &facts.short_answer {
        return Some((
            CauseKind::Truncated,
            Confidence::Likely,
            format!("The image was cut short on its way ({sent} of {announced} bytes were sent) and did not verify."),
            "Look for a server, proxy or file that ends early.".to_owned(),
        ));
    }
    // Where the device says why it refused the image, that is the cause (see `device`).
    facts.refused.is_empty().then(|| {
        (
            CauseKind::CorruptImage,
            Confidence::Likely,
            "The downloaded image did not verify: damaged, cut short, or not an application image (a merged image is a \
             frequent mistake)."
                .to_owned(),
            "Run `esptool image_info` on the file that is served; serve build/<project>.bin, not merged-binary.bin."
                .to_owned(),
        )
    })
}

/// In a run: the server misbehaved on purpose, and nothing good came after.
fn not_recovered(facts: &Facts) -> Option<Cause> {
    let last = facts.last_fault.as_ref()?;
    if facts.success.as_ref().is_some_and(|success| success.seq > last.seq) {
        return None;
    }
    let faults: Vec<String> =
        facts.faults.iter().map(|(name, seen)| format!("{name} ({} times)", seen.count)).collect();
    let (confidence, then) = match facts.requests_after_fault {
        0 => (Confidence::Likely, "After the last of them the device never connected again.".to_owned()),
        n => (Confidence::Possible, format!("After the last of them the device connected {n} times, without success.")),
    };
    let mut evidence: Vec<Evidence> = facts.faults.values().flat_map(super::facts::Seen::evidence).collect();
    evidence.sort_by_key(|line| line.seq);
    Some(Cause {
        kind: CauseKind::NotRecovered,
        confidence,
        sentence: format!("The OTA server misbehaved on purpose: {}. {then}", faults.join(", ")),
        remedy:
            "See in the console what the device did after the fault: a hang, an error it does not retry, or a retry \
                 that comes later than this was observed."
                .to_owned(),
        evidence,
        resolved: None,
    })
}
