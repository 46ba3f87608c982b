//! The version check: one request, one answer.

use core::fmt::Write as _;

use heapless::String;

use crate::agent::App;
use crate::answer::{self, Answer};
use crate::defect::Defect;
use crate::error::EspError;
use crate::http::{self, Client, Failure, Io, Request};
use crate::log::{error, info};
use crate::platform::{Parts, Platform, System};
use crate::profile::{LogStyle, Profile};
use crate::url::Url;

/// Longest answer taken.
const ANSWER: usize = 4096;

/// The attempt failed; the console says why.
pub(crate) enum CheckFailed {
    /// There is no answer that could be used.
    Failed,
    /// A defect made the firmware crash over it.
    Crash,
}

/// Asks the server once.
pub(crate) async fn check<P: Parts>(
    platform: &mut Platform<P>,
    app: &App<'_>,
    profile: &Profile,
    client: &mut Client,
    url: &str,
) -> Result<Answer, CheckFailed> {
    let Platform { console, system, delay, network, .. } = platform;
    let tag = match profile.log {
        LogStyle::EspHttp => "EspHttp",
        LogStyle::HttpClient => "HttpClient",
    };
    info!(*console, tag, "Opening HTTP connection to {}", url);
    let Ok(mut url) = Url::parse(url) else {
        error!(*console, "HTTP_CLIENT", "Error parse url {}", url);
        open_failed(console, profile, Failure { error: EspError::InvalidArg, errno: None }).await;
        return Err(CheckFailed::Failed);
    };
    if profile.has(Defect::DropsPort) {
        url.port = 80;
    }
    let mac = system.mac();
    let mut headers = String::<512>::new();
    let mut body = String::<512>::new();
    let written = write!(
        headers,
        "{}{}\r\nClient-Id: {}\r\nUser-Agent: {}/{}\r\nAccept-Language: en-US\r\n\
         Content-Type: application/json\r\nActivation-Version: 1\r\n",
        if profile.has(Defect::NoDeviceId) { "X-Unused: " } else { "Device-Id: " },
        Mac(mac),
        ClientId(mac),
        system.chip(),
        app.version
    )
    .and_then(|()| {
        write!(
            body,
            "{{\"version\":2,\"language\":\"en-US\",\"flash_size\":4194304,\"minimum_free_heap_size\":{},\
             \"mac_address\":\"{}\",\"uuid\":\"{}\",\"chip_model_name\":\"{}\",\
             \"application\":{{\"name\":\"{}\",\"version\":\"{}\"}},\"ota\":{{\"label\":\"{}\"}}}}",
            system.free_heap(),
            Mac(mac),
            ClientId(mac),
            system.chip(),
            app.project,
            app.version,
            app.slot
        )
    });
    if written.is_err() {
        error!(*console, "Ota", "The request does not fit its buffer");
        return Err(CheckFailed::Failed);
    }
    let mut io = Io { console, system, delay, profile, client };
    let request = Request { method: "POST", headers: &headers, body: body.as_bytes() };
    let mut response = match http::perform(network, &mut io, &url, &request).await {
        Ok(response) => response,
        Err(failure) => {
            open_failed(io.console, profile, failure).await;
            return Err(CheckFailed::Failed);
        }
    };
    if response.status != 200 {
        error!(*io.console, "Ota", "Failed to check version, status code: {}", response.status);
        if profile.has(Defect::LeaksSocket) {
            core::mem::forget(response);
        }
        return Err(CheckFailed::Failed);
    }
    let mut buffer = [0; ANSWER];
    let length = match response.read_all(&mut io, &mut buffer).await {
        Ok(length) => length,
        Err(failure) => {
            error!(*io.console, "Ota", "Failed to read the answer: {}", failure.error.name());
            return Err(CheckFailed::Failed);
        }
    };
    if profile.has(Defect::CrashesOnHtml) && buffer.first() == Some(&b'<') {
        return Err(CheckFailed::Crash);
    }
    answer::parse(&buffer[..length]).map_err(|_| CheckFailed::Failed).or_else_log(io.console).await
}

/// Says that the answer is no JSON, where it is not.
trait OrElseLog {
    async fn or_else_log(self, console: &mut impl crate::platform::Console) -> Result<Answer, CheckFailed>;
}

impl OrElseLog for Result<Answer, CheckFailed> {
    async fn or_else_log(self, console: &mut impl crate::platform::Console) -> Self {
        if self.is_err() {
            error!(*console, "Ota", "Failed to parse JSON response");
        }
        self
    }
}

/// The lines of a request that got no response.
async fn open_failed(console: &mut impl crate::platform::Console, profile: &Profile, failure: Failure) {
    match profile.log {
        LogStyle::EspHttp => {
            error!(*console, "EspHttp", "Failed to perform HTTP request: {}", failure.error.name());
            error!(*console, "Ota", "Failed to open HTTP connection");
        }
        LogStyle::HttpClient => {
            if let Some(errno) = failure.errno {
                error!(*console, "EspTcp", "Connection failed, errno {}: {}", errno, crate::error::strerror(errno));
            }
            error!(*console, "Ota", "Failed to open HTTP connection, code=0x{:x}", failure.error.code());
        }
    }
}

struct Mac([u8; 6]);

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A UUID made from the MAC address, so that it stays the same over reboots (version 8: custom).
struct ClientId([u8; 6]);

impl core::fmt::Display for ClientId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "62726963-6b70-8000-8000-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{g:02x}")
    }
}
