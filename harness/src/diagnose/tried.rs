//! The URL that a device tried, and how it differs from the server's.

use url::Url;

/// A URL as a device printed it.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// As printed.
    pub(super) text: String,
    url: Url,
    /// The text names a port. `Url` alone cannot tell: it drops a default port that was written out.
    pub(super) names_port: bool,
}

impl Tried {
    pub(super) fn new(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        url.host_str()?;
        Some(Self { text: text.to_owned(), names_port: names_port(text), url })
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(super) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// This URL with another port.
    pub(super) fn with_port(&self, port: &str) -> String {
        format!("{}://{}:{port}{}", self.scheme(), self.host(), self.url.path())
    }

    /// "The OTA URL ... has no port, so the device used port 80, the default of http", or which port it names.
    pub(super) fn port_in_words(&self) -> String {
        if self.names_port {
            format!("The OTA URL {} leads to port {}.", self.text, self.port())
        } else {
            format!(
                "The OTA URL {} has no port, so the device used port {}, the default of {}.",
                self.text,
                self.port(),
                self.scheme()
            )
        }
    }

    pub(super) fn differs_from(&self, server: &Url) -> Difference {
        Difference {
            scheme: self.scheme() != server.scheme(),
            host: !self.host().eq_ignore_ascii_case(server.host_str().unwrap_or_default()),
            port: self.port() != server.port_or_known_default().unwrap_or_default(),
            path: self.url.path().trim_end_matches('/') != server.path().trim_end_matches('/'),
        }
    }
}

/// In which parts two URLs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) scheme: bool,
    pub(super) host: bool,
    pub(super) port: bool,
    pub(super) path: bool,
}

/// Whether a URL's text names a port in its authority.
pub(crate) fn names_port(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // An IPv6 address has colons of its own within brackets.
    let after = host.rsplit(']').next().unwrap_or_default();
    after.split_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_only_where_the_text_names_it() {
        for (text, named) in [
            ("http://192.168.88.200/xiaozhi/ota/", false),
            ("http://192.168.88.200:8002/xiaozhi/ota/", true),
            ("http://192.168.88.200:80/", true),
            ("http://user:1234@host/", false),
            ("http://[fe80::1]/", false),
            ("http://[fe80::1]:8002/", true),
            ("http://host/a:80/", false),
            ("http://host:/", false),
            ("host:8002", true),
        ] {
            assert_eq!(names_port(text), named, "{text}");
        }
    }

    #[test]
    fn the_port_is_the_only_difference_of_the_wrong_port_case() {
        let tried = Tried::new("http://192.168.88.200/xiaozhi/ota/").expect("a URL");
        let server = Url::parse("http://192.168.88.200:8002/xiaozhi/ota").expect("a URL");
        let difference = tried.differs_from(&server);
        assert_eq!(difference, Difference { scheme: false, host: false, port: true, path: false });
        assert_eq!(tried.with_port("8002"), "http://192.168.88.200:8002/xiaozhi/ota/");
    }
}
