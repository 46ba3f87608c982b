//! Why a TLS handshake failed: mbedTLS's numbers and its words about a certificate.

use super::attempt::Failure;
use super::cause::{Cause, CauseKind, Confidence};
use super::facts::Facts;
use super::tried::Tried;

/// What a number or a word of mbedTLS means, and what to do.
struct Reason {
    /// Part of the line that tells it.
    sign: &'static str,
    means: &'static str,
    remedy: &'static str,
    confidence: Confidence,
}

const fn certain(sign: &'static str, means: &'static str, remedy: &'static str) -> Reason {
    Reason { sign, means, remedy, confidence: Confidence::Certain }
}

/// Words of `mbedtls_x509_crt_verify_info`, the most telling first.
const CERTIFICATE: &[Reason] = &[
    certain(
        "validity has expired",
        "the server's certificate has expired, or the device's clock is ahead",
        "Renew the server's certificate; if it is valid, see what sets the device's clock (SNTP).",
    ),
    certain(
        "validity starts in the future",
        "the server's certificate is not valid yet: most often the device's clock is not set",
        "See that the device has set its clock (SNTP) before it connects, and from when the certificate is valid.",
    ),
    certain(
        "does not match with the expected CN",
        "the server's certificate is for another host name",
        "Use a host name in the OTA URL that the certificate names, or a certificate that names this host.",
    ),
    certain(
        "not correctly signed by the trusted CA",
        "the server's certificate is not signed by an authority that the firmware trusts",
        "Give the firmware the right root certificate, and see that the server sends its intermediate certificates: browsers \
         find them elsewhere, devices do not.",
    ),
];

/// Numbers of `mbedtls_ssl_handshake`.
const NUMBERS: &[Reason] = &[
    certain(
        "-0x2700",
        "the device does not accept the server's certificate (mbedTLS -0x2700)",
        "See that the certificate is valid, names this host, and is signed by an authority that the firmware carries; that \
         the device's clock is set; and that https:// is meant, not http://.",
    ),
    certain(
        "-0x6E80",
        "the server speaks no version of TLS that the device does (mbedTLS -0x6E80)",
        "Let the server speak TLS 1.2, or see which versions the firmware was built with.",
    ),
    Reason {
        sign: "-0x7200",
        means: "what the server answered is no TLS (mbedTLS -0x7200): most often plain HTTP on that port",
        remedy: "See whether http:// is meant, or whether the server's TLS listens on another port.",
        confidence: Confidence::Likely,
    },
    Reason {
        sign: "-0x0050",
        means: "the connection was reset in the handshake (mbedTLS -0x0050)",
        remedy: "See what stands between device and server, and what the server's own log says of the handshake.",
        confidence: Confidence::Likely,
    },
    Reason {
        sign: "-0x7280",
        means: "the server ended the connection in the handshake (mbedTLS -0x7280)",
        remedy: "See what the server's own log says of the handshake.",
        confidence: Confidence::Likely,
    },
    Reason {
        sign: "-0x7780",
        means: "the server refused the handshake (a fatal alert, mbedTLS -0x7780)",
        remedy: "See what the server's own log says: often no cipher suite or version in common.",
        confidence: Confidence::Likely,
    },
];

/// Where no line tells more.
const UNTOLD: Reason = Reason {
    sign: "",
    means: "the two could not agree, or the server does not speak TLS on this port",
    remedy: "See that the certificate is valid, names this host, and is signed by an authority that the firmware carries; \
             that the device's clock is set; and that https:// is meant, not http://.",
    confidence: Confidence::Likely,
};

pub(super) fn cause(facts: &Facts, failure: &Failure, tried: Option<&Tried>) -> Cause {
    let target = tried.map_or_else(String::new, |tried| format!(" with {} port {}", tried.host(), tried.port()));
    let refused = failure.evidence.iter().any(|line| line.text.to_uppercase().contains("-0X2700"));
    let verification = facts.certificate_refused.as_ref().filter(|_| refused);
    let told = verification.and_then(|seen| {
        CERTIFICATE.iter().find(|reason| seen.first.text.contains(reason.sign)).map(|reason| (reason, Some(seen)))
    });
    let (reason, seen) = told.unwrap_or_else(|| {
        let says = |reason: &&Reason| {
            let sign = reason.sign.to_uppercase();
            failure.evidence.iter().any(|line| line.text.to_uppercase().contains(&sign))
        };
        (NUMBERS.iter().find(says).unwrap_or(&UNTOLD), None)
    });
    let mut evidence = failure.evidence();
    if let Some(seen) = seen {
        evidence.push(seen.first.clone());
        evidence.sort_by_key(|line| line.seq);
    }
    Cause {
        kind: CauseKind::TlsFailure,
        confidence: reason.confidence,
        sentence: format!("The TLS handshake{target} failed: {}.", reason.means),
        remedy: reason.remedy.to_owned(),
        evidence,
        resolved: None,
    }
}
