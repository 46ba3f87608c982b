//! An HTTP/1.1 client over any embedded-nal TCP stack: one request, one response, read piece by piece.

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use embedded_io_async::{Read, Write};
use embedded_nal_async::AddrType;
use heapless::String;

use crate::defect::Defect;
use crate::error::{EspError, strerror};
use crate::log::{error, info};
use crate::platform::{Console, Errno, Internet, System, Trust};
use crate::profile::Profile;
use crate::url::{self, Url};
use crate::wait::at_most;

/// Longest response head taken.
const HEAD: usize = 2048;
/// Most response headers taken.
const HEADERS: usize = 32;
/// Longest request head sent.
const REQUEST: usize = 1024;

impl Client {
    /// A client that trusts these root certificates.
    #[must_use]
    pub fn trusting(trust: String<TRUST>) -> Self {
        Self { trust, kept: None }
    }
}

/// What the client needs besides the network.
pub struct Io<'a, C, S, D> {
    /// Console.
    pub console: &'a mut C,
    /// Chip facts and watchdog.
    pub system: &'a mut S,
    /// Device time.
    pub delay: &'a mut D,
    /// Decisions.
    pub profile: &'a Profile,
    /// What the client knows from before.
    pub client: &'a mut Client,
}

/// Longest PEM of root certificates.
pub const TRUST: usize = 2048;

/// What the client knows from before, in one boot.
pub struct Client {
    /// Root certificates that it trusts, as PEM.
    pub trust: String<TRUST>,
    /// The first address of a name: only a defect keeps it.
    kept: Option<(String<{ url::MAX }>, IpAddr)>,
}

/// A request.
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Header lines beside Host and Content-Length, each ended by CR LF.
    pub headers: &'a str,
    /// Body.
    pub body: &'a [u8],
}

/// Why there is no (whole) response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// ESP-IDF's name for it.
    pub error: EspError,
    /// The socket's errno, where there was one.
    pub errno: Option<i32>,
}

impl Failure {
    fn new(error: EspError) -> Self {
        Self { error, errno: None }
    }

    fn socket(error: EspError, cause: &impl Errno) -> Self {
        Self { error, errno: Some(cause.errno()) }
    }
}

/// How the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With the connection.
    Close,
    /// With an empty chunk; bytes left of the current one.
    Chunked(u64),
    /// It has ended.
    Done,
}

/// A response whose head has been read.
pub struct Response<T> {
    connection: T,
    /// HTTP status code.
    pub status: u16,
    /// Announced length of the body.
    pub content_length: Option<u64>,
    /// The first byte of the part that comes, and the length of the whole, where the server says so.
    pub content_range: Option<(u64, u64)>,
    /// Where a redirect leads.
    pub location: Option<String<{ url::MAX }>>,
    framing: Framing,
    first_chunk: bool,
    buffer: [u8; HEAD],
    start: usize,
    end: usize,
}

/// Connects, sends a request and reads the response's head, following redirects.
///
/// # Errors
///
/// See [`Failure`]; the transport's own lines are on the console by then.
pub async fn perform<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
    request: &Request<'_>,
) -> Result<Response<N::Connection<'n>>, Failure>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    let mut url = url.clone();
    let mut followed = 0;
    loop {
        let response = once(network, io, &url, request).await?;
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        if followed == io.profile.redirects {
            error!(*io.console, "HTTP_CLIENT", "Error, reach max_redirection_count count={}", followed);
            return Err(Failure::new(EspError::HttpMaxRedirect));
        }
        followed += 1;
        let location = response.location.as_deref().ok_or(Failure::new(EspError::InvalidResponse))?;
        url = url.join(location).map_err(|_| Failure::new(EspError::InvalidArg))?;
        if io.profile.has(Defect::DropsPortOnRedirect) {
            url.port = 80;
        }
    }
}

async fn once<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
    request: &Request<'_>,
) -> Result<Response<N::Connection<'n>>, Failure>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    let mut connection = connect(network, io, url).await?;

    let mut head = String::<REQUEST>::new();
    write!(head, "{} {} HTTP/1.1\r\nHost: {}", request.method, url.path(), url.host())
        .and_then(|()| if url.has_default_port() { Ok(()) } else { write!(head, ":{}", url.port) })
        .and_then(|()| write!(head, "\r\n{}", request.headers))
        .and_then(|()| {
            if request.body.is_empty() { Ok(()) } else { write!(head, "Content-Length: {}\r\n", request.body.len()) }
        })
        .and_then(|()| head.write_str("\r\n"))
        .map_err(|_| Failure::new(EspError::NoMem))?;
    let send = async {
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(request.body).await?;
        connection.flush().await
    };
    match at_most(io.system, io.delay, io.profile.read_timeout_ms, send).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return Err(Failure::socket(EspError::HttpWriteData, &e)),
        Err(_) => return Err(Failure::new(EspError::HttpWriteData)),
    }
    let mut response = Response {
        connection,
        status: 0,
        content_length: None,
        content_range: None,
        location: None,
        framing: Framing::Close,
        first_chunk: true,
        buffer: [0; HEAD],
        start: 0,
        end: 0,
    };
    response.read_head(io, request.method == "HEAD").await?;
    Ok(response)
}

async fn connect<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
) -> Result<N::Connection<'n>, Failure>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    let connected = match resolve(network, io, url).await {
        Ok(address) => open(network, io, url, address).await,
        Err(cause) => Err((cause, None)),
    };
    let connected = match connected {
        Ok(connection) if url.tls => secure(network, io, url, connection).await,
        other => other,
    };
    match connected {
        Ok(connection) => Ok(connection),
        Err((cause, errno)) => {
            error!(*io.console, "transport_base", "Failed to open a new connection: {}", cause.code());
            error!(*io.console, "HTTP_CLIENT", "Connection failed, sock < 0");
            Err(Failure { error: EspError::HttpConnect, errno })
        }
    }
}

/// Why there is no connection: ESP-IDF's name for it, and the socket's errno where there was one.
type Cause = (EspError, Option<i32>);

/// The address of a URL's host.
async fn resolve<N, C, S, D>(network: &N, io: &mut Io<'_, C, S, D>, url: &Url) -> Result<IpAddr, EspError>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    if let Ok(address) = url.host().parse::<Ipv4Addr>() {
        return Ok(IpAddr::V4(address));
    }
    if io.profile.has(Defect::KeepsOldDnsAnswer)
        && let Some((name, address)) = &io.client.kept
        && name == url.host()
    {
        return Ok(*address);
    }
    let lookup = network.get_host_by_name(url.host(), AddrType::IPv4);
    if let Ok(Ok(address)) = at_most(io.system, io.delay, io.profile.connect_timeout_ms, lookup).await {
        io.client.kept = String::try_from(url.host()).ok().map(|name| (name, address));
        return Ok(address);
    }
    // 202 is lwIP's EAI_FAIL.
    error!(
        *io.console,
        "esp-tls",
        "couldn't get hostname for :{}: getaddrinfo() returns 202, addrinfo=0x0",
        url.host()
    );
    Err(EspError::TlsCannotResolveHostname)
}

/// A TCP connection.
async fn open<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
    address: IpAddr,
) -> Result<N::Connection<'n>, Cause>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    // LWIP_SOCKET_OFFSET: lwIP's sockets are numbered above the VFS's own descriptors.
    let socket = 54 + io.system.open_sockets();
    let connecting = network.connect(SocketAddr::new(address, url.port));
    match at_most(io.system, io.delay, io.profile.connect_timeout_ms, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(e)) if e.errno() == 23 => {
            error!(*io.console, "esp-tls", "Failed to create socket (family 2 socktype 1 protocol 0)");
            Err((EspError::TlsCannotCreateSocket, Some(e.errno())))
        }
        Ok(Err(e)) => {
            let text = strerror(e.errno());
            error!(*io.console, "esp-tls", "[sock={}] delayed connect error: {}", socket, text);
            Err((EspError::TlsFailedConnectToHost, Some(e.errno())))
        }
        Err(_) => {
            error!(*io.console, "esp-tls", "[sock={}] select() timeout", socket);
            Err((EspError::TlsConnectionTimeout, None))
        }
    }
}

/// TLS on a TCP connection.
async fn secure<'n, N, C, S, D>(
    network: &'n N,
    io: &mut Io<'_, C, S, D>,
    url: &Url,
    mut connection: N::Connection<'n>,
) -> Result<N::Connection<'n>, Cause>
where
    N: Internet,
    C: Console,
    S: System,
    D: embedded_hal_async::delay::DelayNs,
{
    let trust = Trust { roots: &io.client.trust, verify: !io.profile.has(Defect::AcceptsAnyCertificate) };
    if trust.verify && trust.roots.is_empty() {
        error!(
            *io.console,
            "esp-tls-mbedtls", "No server verification option set: there is no root certificate to trust"
        );
        return Err((EspError::MbedtlsSslSetupFailed, None));
    }
    let shaking = network.secure(&mut connection, url.host(), &trust);
    match at_most(io.system, io.delay, io.profile.connect_timeout_ms, shaking).await {
        Ok(Ok(())) => Ok(connection),
        Ok(Err(failure)) => {
            error!(
                *io.console,
                "esp-tls-mbedtls",
                "mbedtls_ssl_handshake returned -0x{:04X}",
                failure.code.unsigned_abs()
            );
            if let Some(text) = failure.verification {
                info!(*io.console, "esp-tls-mbedtls", "Failed to verify peer certificate!");
                info!(*io.console, "esp-tls-mbedtls", "verification info:   ! {}", text);
            }
            error!(*io.console, "esp-tls", "Failed to open new connection");
            Err((EspError::MbedtlsSslHandshakeFailed, failure.errno))
        }
        Err(_) => {
            error!(*io.console, "esp-tls", "Failed to open new connection in specified timeout");
            Err((EspError::TlsConnectionTimeout, None))
        }
    }
}

/// The first byte and the length of the whole of `bytes 100-199/1000` (RFC 9110, 14.4).
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()?))
}

impl<T> Response<T>
where
    T: Read + Write,
    T::Error: Errno,
{
    async fn read_head<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>, bodiless: bool) -> Result<(), Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut parsed = httparse::Response::new(&mut headers);
            match parsed.parse(&self.buffer[..self.end]) {
                Ok(httparse::Status::Complete(length)) => {
                    let status = parsed.code.unwrap_or(0);
                    let mut content_length = None;
                    let mut chunked = false;
                    let mut location = None;
                    let mut content_range = None;
                    for header in parsed.headers.iter() {
                        let value = core::str::from_utf8(header.value).unwrap_or("").trim();
                        if header.name.eq_ignore_ascii_case("content-length") {
                            content_length = value.parse().ok();
                        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                            chunked = value.eq_ignore_ascii_case("chunked");
                        } else if header.name.eq_ignore_ascii_case("content-range") {
                            content_range = parse_content_range(value);
                        } else if header.name.eq_ignore_ascii_case("location") {
                            location = String::try_from(value).ok();
                        }
                    }
                    // 100 Continue and the like are followed by the answer proper.
                    if (100..200).contains(&status) {
                        self.buffer.copy_within(length..self.end, 0);
                        self.end -= length;
                        continue;
                    }
                    self.status = status;
                    self.content_length = content_length;
                    self.location = location;
                    self.content_range = content_range;
                    self.start = length;
                    self.framing = match (bodiless || matches!(status, 204 | 304), chunked, content_length) {
                        (true, ..) => Framing::Done,
                        (_, true, _) => Framing::Chunked(0),
                        (_, _, Some(length)) => Framing::Length(length),
                        (_, _, None) => Framing::Close,
                    };
                    return Ok(());
                }
                Ok(httparse::Status::Partial) if self.end < HEAD => {}
                Ok(httparse::Status::Partial) => {
                    error!(*io.console, "HTTP_CLIENT", "Response header is longer than {} bytes", HEAD);
                    return Err(Failure::new(EspError::HttpFetchHeader));
                }
                Err(_) => {
                    error!(*io.console, "HTTP_CLIENT", "HTTP parser error: what answers is no HTTP server");
                    return Err(Failure::new(EspError::HttpFetchHeader));
                }
            }
            let begun = self.end > 0;
            let read = self.connection.read(&mut self.buffer[self.end..]);
            match at_most(io.system, io.delay, io.profile.read_timeout_ms, read).await {
                Ok(Ok(0)) if begun => return Err(Failure::new(EspError::HttpFetchHeader)),
                Ok(Ok(0)) => return Err(Failure::new(EspError::HttpConnectionClosed)),
                Ok(Ok(n)) => self.end += n,
                Ok(Err(e)) => return Err(Failure::socket(EspError::HttpFetchHeader, &e)),
                Err(_) if io.profile.has(Defect::WaitsForEverForHead) => {}
                Err(_) if begun => return Err(Failure::new(EspError::HttpFetchHeader)),
                Err(_) => return Err(Failure::new(EspError::HttpEagain)),
            }
        }
    }

    /// Reads body bytes; 0 at the body's end.
    ///
    /// # Errors
    ///
    /// RST, a read that takes too long, or an end before the announced one.
    pub async fn read<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>, into: &mut [u8]) -> Result<usize, Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        loop {
            match self.framing {
                Framing::Done => return Ok(0),
                Framing::Length(0) => {
                    self.framing = Framing::Done;
                    return Ok(0);
                }
                Framing::Length(left) => {
                    let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let n = self.raw(io, &mut into[..want]).await?;
                    if n == 0 && io.profile.has(Defect::EarlyEndIsTheEnd) {
                        self.framing = Framing::Done;
                        return Ok(0);
                    }
                    if n == 0 {
                        return Err(Failure::new(EspError::HttpIncompleteData));
                    }
                    self.framing = Framing::Length(left - n as u64);
                    return Ok(n);
                }
                Framing::Close => {
                    let n = self.raw(io, into).await?;
                    if n == 0 {
                        self.framing = Framing::Done;
                    }
                    return Ok(n);
                }
                Framing::Chunked(0) => self.next_chunk(io).await?,
                Framing::Chunked(left) => {
                    let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let n = self.raw(io, &mut into[..want]).await?;
                    if n == 0 {
                        return Err(Failure::new(EspError::HttpIncompleteData));
                    }
                    self.framing = Framing::Chunked(left - n as u64);
                    return Ok(n);
                }
            }
        }
    }

    /// Reads the whole body into a buffer.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and `ESP_ERR_NO_MEM` where it does not fit.
    pub async fn read_all<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>, into: &mut [u8]) -> Result<usize, Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        let mut filled = 0;
        loop {
            if filled == into.len() {
                return Err(Failure::new(EspError::NoMem));
            }
            match self.read(io, &mut into[filled..]).await? {
                0 => return Ok(filled),
                n => filled += n,
            }
        }
    }

    async fn raw<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>, into: &mut [u8]) -> Result<usize, Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        if self.start < self.end {
            let n = into.len().min(self.end - self.start);
            into[..n].copy_from_slice(&self.buffer[self.start..self.start + n]);
            self.start += n;
            return Ok(n);
        }
        let read = self.connection.read(into);
        let limit = match io.profile.defect {
            Some(Defect::WaitsForEverForBody) => u32::MAX,
            _ => io.profile.read_timeout_ms,
        };
        io.system.poll_busily(io.profile.has(Defect::StarvesWatchdog));
        match at_most(io.system, io.delay, limit, read).await {
            Ok(Ok(n)) => Ok(n),
            Ok(Err(e)) => Err(Failure::socket(EspError::HttpIncompleteData, &e)),
            Err(_) => Err(Failure::new(EspError::HttpReadTimeout)),
        }
    }

    /// Reads a chunk's size line (and the end of the chunk before it).
    async fn next_chunk<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>) -> Result<(), Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        let mut line = [0u8; 64];
        if !self.first_chunk {
            self.read_line(io, &mut line).await?;
        }
        self.first_chunk = false;
        let length = self.read_line(io, &mut line).await?;
        let size = core::str::from_utf8(&line[..length])
            .ok()
            .and_then(|text| u64::from_str_radix(text.split(';').next().unwrap_or("").trim(), 16).ok())
            .ok_or(Failure::new(EspError::InvalidResponse))?;
        if size > 0 {
            self.framing = Framing::Chunked(size);
            return Ok(());
        }
        // Trailers end with an empty line.
        while self.read_line(io, &mut line).await? > 0 {}
        self.framing = Framing::Done;
        Ok(())
    }

    /// Reads a line without its end; a longer one than the buffer is no chunk header.
    async fn read_line<C, S, D>(&mut self, io: &mut Io<'_, C, S, D>, line: &mut [u8]) -> Result<usize, Failure>
    where
        C: Console,
        S: System,
        D: embedded_hal_async::delay::DelayNs,
    {
        let mut length = 0;
        loop {
            let mut byte = [0];
            if self.raw(io, &mut byte).await? == 0 {
                return Err(Failure::new(EspError::HttpIncompleteData));
            }
            match byte[0] {
                b'\n' => return Ok(length),
                b'\r' => {}
                other if length < line.len() => {
                    line[length] = other;
                    length += 1;
                }
                _ => return Err(Failure::new(EspError::InvalidResponse)),
            }
        }
    }
}
