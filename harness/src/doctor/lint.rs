//! What can be said of an OTA URL by reading it.

use url::{Host, Url};

use crate::diagnose::names_port;

use super::Finding;

/// xiaozhi firmware refuses a URL with fewer characters ("Check version URL is not properly set").
const SHORTEST: usize = 10;

/// Reads a URL as a device would; `None` where it is no URL. With `allow_loopback` addresses that only this machine can
/// reach pass.
#[must_use]
pub fn lint(text: &str, allow_loopback: bool) -> (Option<Url>, Vec<Finding>) {
    let mut findings = Vec::new();
    white_space(text, &mut findings);
    let text = text.trim();
    if text.len() < SHORTEST {
        let message = format!("the URL has {} characters; xiaozhi firmware refuses fewer than {SHORTEST}", text.len());
        findings
            .push(Finding::problem("url", message).with_remedy("give the whole URL, http://host:port/xiaozhi/ota/"));
    }
    let Some(url) = parse(text, &mut findings) else { return (None, findings) };
    scheme(&url, &mut findings);
    if url.scheme() == "http" || url.scheme() == "https" {
        port(text, &url, &mut findings);
        host(&url, allow_loopback, &mut findings);
        path(&url, &mut findings);
    }
    (Some(url), findings)
}

fn white_space(text: &str, findings: &mut Vec<Finding>) {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let message = "the URL holds white space, which the device keeps and sends as it is";
        findings.push(Finding::problem("url", message).with_remedy("take out spaces and line ends, also at both ends"));
    }
}

fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Url> {
    if !text.contains("://") {
        let guess = format!("http://{text}");
        let mut finding = Finding::problem("url", format!("\"{text}\" has no scheme (http:// or https://)"));
        if Url::parse(&guess).is_ok_and(|url| url.host().is_some()) {
            finding = finding.with_remedy(format!("write {guess}"));
        }
        findings.push(finding);
        return None;
    }
    match Url::parse(text) {
        Ok(url) if url.host().is_some() => Some(url),
        Ok(_) => {
            findings.push(Finding::problem("url", format!("\"{text}\" names no host")));
            None
        }
        Err(error) => {
            let finding = Finding::problem("url", format!("\"{text}\" is no URL: {error}"));
            findings.push(finding.with_remedy("write it as in http://192.168.1.10:8002/xiaozhi/ota/"));
            None
        }
    }
}

fn scheme(url: &Url, findings: &mut Vec<Finding>) {
    match url.scheme() {
        "http" => {}
        "https" => {
            let message = "https: the firmware needs TLS, this server's authority in its certificates, and the right time; \
                           doctor checks the connection, not the certificate";
            findings.push(Finding::note("url", message));
        }
        other => {
            let finding =
                Finding::problem("url", format!("scheme {other}: an OTA URL begins with http:// or https://"));
            let remedy = match other {
                "ws" | "wss" => {
                    "this looks like the WebSocket address; the OTA URL is another one, http://host:port/xiaozhi/ota/"
                }
                _ => "write http://host:port/xiaozhi/ota/",
            };
            findings.push(finding.with_remedy(remedy));
        }
    }
}

fn port(text: &str, url: &Url, findings: &mut Vec<Finding>) {
    if names_port(text) {
        return;
    }
    let used = url.port_or_known_default().unwrap_or_default();
    let message = format!("the URL has no port: the device uses {used}, the default of {}", url.scheme());
    let remedy = "if the OTA server listens elsewhere, name its port: xiaozhi servers listen on 8002 (full deployment) or \
                  8003 (single module)";
    findings.push(Finding::warning("url", message).with_remedy(remedy));
}

fn host(url: &Url, allow_loopback: bool, findings: &mut Vec<Finding>) {
    let (own, local_link) = match url.host() {
        Some(Host::Ipv4(ip)) => (ip.is_loopback() || ip.is_unspecified(), ip.is_link_local()),
        Some(Host::Ipv6(ip)) => (ip.is_loopback() || ip.is_unspecified(), ip.segments()[0] & 0xffc0 == 0xfe80),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            if name.ends_with(".local") {
                let message = format!("{name} is an mDNS name, which ESP-IDF's HTTP client does not resolve by itself");
                findings.push(Finding::warning("url", message).with_remedy("use the server's IP address"));
            }
            (name == "localhost" || name.ends_with(".localhost"), false)
        }
        None => (false, false),
    };
    let shown = url.host_str().unwrap_or_default();
    let remedy = "use the server's address in the device's network";
    if own && !allow_loopback {
        let message = format!("{shown} means the device itself when the device uses it");
        findings.push(Finding::problem("url", message).with_remedy(remedy));
    }
    if local_link {
        let message =
            format!("{shown} is a link-local address: the server had no address of its network when it got it");
        findings.push(Finding::warning("url", message).with_remedy(remedy));
    }
    if !url.username().is_empty() || url.password().is_some() {
        findings
            .push(Finding::warning("url", "the URL holds a user name or password, which most firmware does not send"));
    }
}

fn path(url: &Url, findings: &mut Vec<Finding>) {
    let path = url.path();
    if path == "/" {
        let message = "the URL has no path; xiaozhi servers answer at /xiaozhi/ota/";
        findings.push(Finding::warning("url", message));
    } else if !path.ends_with('/') && path.trim_end_matches('/').ends_with("/ota") {
        let message = "the path does not end in a slash: activation goes to the URL with `activate` appended";
        findings.push(Finding::warning("url", message).with_remedy(format!("write {path}/")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        findings
            .push(Finding::note("url", "what follows ? or # stays in front of what the firmware appends to the URL"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn found(text: &str) -> Vec<(Severity, String)> {
        lint(text, false).1.into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    fn has(text: &str, severity: Severity, part: &str) {
        let found = found(text);
        assert!(found.iter().any(|(s, message)| *s == severity && message.contains(part)), "{text}: {found:?}");
    }

    #[test]
    fn a_good_url_has_nothing_to_say() {
        assert_eq!(found("http://192.168.88.200:8002/xiaozhi/ota/"), []);
    }

    #[test]
    fn each_slip_is_named() {
        use Severity::{Note, Problem, Warning};
        has("http://192.168.88.200/xiaozhi/ota/", Warning, "the device uses 80");
        has("https://ota.example.org/xiaozhi/ota/", Warning, "the device uses 443");
        has("https://ota.example.org/xiaozhi/ota/", Note, "certificate");
        has("192.168.88.200:8002/xiaozhi/ota/", Problem, "no scheme");
        has("http://a", Problem, "8 characters");
        has("", Problem, "0 characters");
        has(" http://192.168.88.200:8002/xiaozhi/ota/\n", Problem, "white space");
        has("http://localhost:8002/xiaozhi/ota/", Problem, "the device itself");
        has("http://127.0.0.2:8002/xiaozhi/ota/", Problem, "the device itself");
        has("http://[::1]:8002/xiaozhi/ota/", Problem, "the device itself");
        has("http://0.0.0.0:8002/xiaozhi/ota/", Problem, "the device itself");
        has("http://169.254.3.4:8002/xiaozhi/ota/", Warning, "link-local");
        has("http://[fe80::1]:8002/xiaozhi/ota/", Warning, "link-local");
        has("http://server.local:8002/xiaozhi/ota/", Warning, "mDNS");
        has("http://192.168.88.200:8002/xiaozhi/ota", Warning, "slash");
        has("http://192.168.88.200:8002", Warning, "no path");
        has("ws://192.168.88.200:8000/xiaozhi/v1/", Problem, "scheme ws");
        has("http://me:secret@192.168.88.200:8002/xiaozhi/ota/", Warning, "password");
        has("http://192.168.88.200:99999/xiaozhi/ota/", Problem, "no URL");
    }

    #[test]
    fn a_missing_scheme_is_written_for_the_user() {
        let (url, findings) = lint("192.168.88.200:8002/xiaozhi/ota/", false);
        assert_eq!(url, None);
        assert_eq!(findings[0].remedy.as_deref(), Some("write http://192.168.88.200:8002/xiaozhi/ota/"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,80}") {
            let (url, findings) = lint(&text, false);
            proptest::prop_assert!(url.is_some() || !findings.is_empty());
        }
    }
}
