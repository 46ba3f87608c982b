//! URLs as an ESP-IDF HTTP client takes them: scheme, host, port, path.

use core::fmt::Write;

use heapless::String;

/// Longest URL that the agent keeps.
pub const MAX: usize = 256;

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String<MAX>,
    host: (usize, usize),
    path: usize,
    /// Port, the scheme's default where the URL names none.
    pub port: u16,
    /// True for https.
    pub tls: bool,
}

/// Not a URL that this client can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUrl;

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    ///
    /// [`BadUrl`] for another scheme, an empty host, a port that is no number, or more than [`MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let (tls, start) = match text {
            t if t.starts_with("http://") => (false, 7),
            t if t.starts_with("https://") => (true, 8),
            _ => return Err(BadUrl),
        };
        let authority_end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let authority = &text[start..authority_end];
        let host_start = authority.rfind('@').map_or(start, |at| start + at + 1);
        let host_and_port = &text[host_start..authority_end];
        let (host_len, port) = match host_and_port.rfind(':') {
            Some(at) => (at, host_and_port[at + 1..].parse().map_err(|_| BadUrl)?),
            None => (host_and_port.len(), if tls { 443 } else { 80 }),
        };
        if host_len == 0 || text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(BadUrl);
        }
        let text = String::try_from(text).map_err(|_| BadUrl)?;
        Ok(Self { text, host: (host_start, host_start + host_len), path: authority_end, port, tls })
    }

    /// True where the port is its scheme's own.
    #[must_use]
    pub fn has_default_port(&self) -> bool {
        self.port == if self.tls { 443 } else { 80 }
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.host.0..self.host.1]
    }

    /// Path and query; `/` where there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.text[self.path..].split('#').next().unwrap_or("");
        if path.is_empty() { "/" } else { path }
    }

    /// Where a `Location` header leads from here: absolute, or from the host's root, or beside this path.
    ///
    /// # Errors
    ///
    /// [`BadUrl`].
    pub fn join(&self, location: &str) -> Result<Self, BadUrl> {
        if location.contains("://") {
            return Self::parse(location);
        }
        let mut text = String::<MAX>::new();
        let origin = &self.text[..self.path];
        let base = if location.starts_with('/') { "" } else { self.path().rsplit_once('/').map_or("", |(b, _)| b) };
        let slash = if location.starts_with('/') { "" } else { "/" };
        write!(text, "{origin}{base}{slash}{location}").map_err(|_| BadUrl)?;
        Self::parse(&text)
    }

    /// This URL with something appended to its path.
    ///
    /// # Errors
    ///
    /// [`BadUrl`] when it becomes too long.
    pub fn append(&self, tail: &str) -> Result<Self, BadUrl> {
        let mut text = self.text.clone();
        if !text.ends_with('/') {
            text.push('/').map_err(|_| BadUrl)?;
        }
        text.push_str(tail).map_err(|_| BadUrl)?;
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_without_a_port_means_80() {
        let url = Url::parse("http://192.168.88.200/xiaozhi/ota/").expect("url");
        assert_eq!((url.host(), url.port, url.path()), ("192.168.88.200", 80, "/xiaozhi/ota/"));
        let url = Url::parse("http://192.168.88.200:8002/xiaozhi/ota/").expect("url");
        assert_eq!(url.port, 8002);
        assert_eq!(Url::parse("https://h").expect("url").port, 443);
    }

    #[test]
    fn redirects_lead_on() {
        let url = Url::parse("http://h:8002/a/b?c").expect("url");
        assert_eq!(url.join("/x").expect("root").as_str(), "http://h:8002/x");
        assert_eq!(url.join("x").expect("beside").as_str(), "http://h:8002/a/x");
        assert_eq!(url.join("http://k/y").expect("absolute").as_str(), "http://k/y");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for bad in ["", "ftp://h/", "http://", "http://:80/", "http://h:port/", "http://h:70000/", "http://h /", "h/x"]
        {
            assert_eq!(Url::parse(bad), Err(BadUrl), "{bad}");
        }
    }
}
