//! The firmware's life: start, join the network, check for a new version, update or go on.

use core::convert::Infallible;

use esp_image::record::ProfileRecord;
use heapless::String;

use crate::answer::{Answer, Value};
use crate::check::{CheckFailed, check};
use crate::defect::Defect;
use crate::download::{Wanted, upgrade};
use crate::http::{Client, TRUST};
use crate::log::{error, info, warning};
use crate::own_rollback;
use crate::parameters::Parameters;
use crate::platform::{Console as _, Link, Nvs, Parts, Platform, Restart, System};
use crate::profile::{self, AfterFailedUpgrade, Profile};
use crate::slots::Slots;
use crate::url;
use crate::version::is_newer;
use crate::wait::pause;

/// What the running image is.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// Version of the application descriptor.
    pub version: &'a str,
    /// Project name of the application descriptor.
    pub project: &'a str,
    /// The profile record.
    pub profile: &'a ProfileRecord,
    /// Label of the partition that runs.
    pub slot: &'a str,
}

/// The OTA URL where none is configured. The name is reserved (RFC 2606): an unconfigured device bothers nobody.
pub const DEFAULT_URL: &str = "http://ota.example/xiaozhi/ota/";
/// A URL shorter than this is not tried.
const SHORTEST_URL: usize = 10;
/// The idle device reports its resources this often, in milliseconds.
const REPORT_MS: u32 = 10_000;
/// What the defect that leaks never frees of a failed attempt, in bytes: a client's buffers.
const LEAK: u32 = 2560;
/// The device restarts this long after a successful upgrade, in milliseconds.
const RESTART_MS: u32 = 1000;

/// Runs the firmware. It ends only with the chip.
pub async fn run<P: Parts>(platform: &mut Platform<P>, app: &App<'_>) -> Infallible {
    info!(platform.console, "app_init", "Project name:     {}", app.project);
    info!(platform.console, "app_init", "App version:      {}", app.version);
    let Some(profile) = profile::find(app.profile.profile()) else {
        error!(
            platform.console,
            "ota_agent",
            "Unknown profile \"{}\": this firmware does nothing",
            app.profile.profile()
        );
        return idle(platform).await;
    };
    let profile = &match Parameters::parse(app.profile.parameters()) {
        Ok(parameters) => profile.with(parameters),
        Err(unknown) => {
            error!(platform.console, "ota_agent", "Unknown parameter \"{}\": this firmware does nothing", unknown);
            return idle(platform).await;
        }
    };
    if let Some(boots) = profile.own_rollback
        && own_rollback::begin(platform, app.version, boots).await
    {
        return platform.restart.restart().await;
    }
    if profile.has(Defect::CrashesAtStart) {
        return crash(platform).await;
    }
    if profile.has(Defect::HangsAtStart) {
        // Nothing feeds the watchdog any more.
        return core::future::pending().await;
    }
    let slots = match Slots::read(&mut platform.flash, platform.system.running_offset()).await {
        Ok(slots) => slots,
        Err(e) => {
            error!(platform.console, "Ota", "Failed to read the partition table: {:?}", e);
            return idle(platform).await;
        }
    };
    info!(
        platform.console,
        "Ota",
        "Running from {} at 0x{:x}, profile {}",
        slots.running.label(),
        slots.running.offset,
        profile.name
    );
    if profile.has(Defect::ConfirmsTooEarly) {
        confirm(platform, profile, &slots).await;
    }
    if profile.has(Defect::LosesNetwork) {
        warning!(platform.console, "wifi", "No AP found, waiting");
        return idle(platform).await;
    }
    let ip = platform.link.up().await;
    info!(platform.console, "wifi", "Got IP: {}", ip);
    info!(platform.console, "Ota", "Current version: {}", app.version);
    let mut client = Client::trusting(trusted(platform).await);
    let mut failures = 0;
    loop {
        if check_for_update(platform, app, profile, &slots, &mut client, &mut failures).await == Outcome::Restart {
            return platform.restart.restart().await;
        }
        let Some(seconds) = profile.recheck else { return idle(platform).await };
        info!(platform.console, "Application", "STATE: idle");
        report_for(platform, seconds).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    GoOn,
    Restart,
}

async fn check_for_update<P: Parts>(
    platform: &mut Platform<P>,
    app: &App<'_>,
    profile: &Profile,
    slots: &Slots,
    client: &mut Client,
    failures: &mut u32,
) -> Outcome {
    if !profile.has(Defect::DelayNotReset) {
        *failures = 0;
    }
    let mut stuck_client = false;
    loop {
        let mut buffer = [0; url::MAX];
        let configured = match platform.nvs.get_str("wifi", "ota_url", &mut buffer).await {
            Ok(Some(url)) if !url.is_empty() => url,
            Ok(_) => DEFAULT_URL,
            Err(_) => {
                error!(platform.console, "Settings", "Failed to read ota_url from NVS");
                DEFAULT_URL
            }
        };
        let answer = if configured.len() < SHORTEST_URL {
            error!(platform.console, "Ota", "Check version URL is not properly set");
            None
        } else if stuck_client {
            error!(platform.console, "HTTP_CLIENT", "Connection is already open");
            None
        } else {
            match check(platform, app, profile, client, configured).await {
                Ok(answer) => Some(answer),
                Err(CheckFailed::Crash) => match crash(platform).await {},
                Err(CheckFailed::Failed) => None,
            }
        };
        if let Some(answer) = answer {
            return act(platform, app, profile, slots, client, &answer).await;
        }
        stuck_client = profile.has(Defect::SecondAttemptFails);
        if profile.has(Defect::ForgetsSettings) && platform.nvs.set_str("wifi", "ota_url", "").await.is_err() {
            error!(platform.console, "Settings", "Failed to store wifi/ota_url");
        }
        if profile.has(Defect::RestartsOnFailure) {
            return Outcome::Restart;
        }
        *failures = if profile.has(Defect::CounterStuck) { 1 } else { *failures + 1 };
        let last = match profile.defect {
            Some(Defect::GivesUpAfterOne) => 1,
            Some(Defect::StopsOneEarly) => profile.attempts - 1,
            Some(Defect::NeverStops) => u32::MAX,
            _ => profile.attempts,
        };
        if profile.has(Defect::LeaksHeap) {
            platform.system.lose_heap(LEAK);
        }
        if *failures >= last {
            error!(platform.console, "Application", "Too many retries, exit version check");
            return Outcome::GoOn;
        }
        let seconds = profile.delay.seconds(*failures);
        if !profile.has(Defect::SilentRetries) {
            warning!(
                platform.console,
                "Application",
                "Check new version failed, retry in {} seconds ({}/{})",
                seconds,
                failures,
                profile.attempts
            );
        }
        let ms = match profile.defect {
            Some(Defect::NoDelay) => 0,
            Some(Defect::DelayInMilliseconds) => seconds,
            _ => seconds.saturating_mul(1000),
        };
        pause(&mut platform.system, &mut platform.delay, ms).await;
    }
}

/// Root certificates that the device was told to trust, as PEM.
async fn trusted<P: Parts>(platform: &mut Platform<P>) -> String<TRUST> {
    let mut buffer = [0; TRUST];
    match platform.nvs.get_str("tls", "ca", &mut buffer).await {
        Ok(pem) => String::try_from(pem.unwrap_or("")).unwrap_or_default(),
        Err(_) => {
            error!(platform.console, "Settings", "Failed to read tls/ca from NVS");
            String::new()
        }
    }
}

/// Does what a good answer says.
async fn act<P: Parts>(
    platform: &mut Platform<P>,
    app: &App<'_>,
    profile: &Profile,
    slots: &Slots,
    client: &mut Client,
    answer: &Answer,
) -> Outcome {
    for setting in &answer.settings {
        let stored = match &setting.value {
            Value::Text(text) => platform.nvs.set_str(setting.namespace, &setting.key, text).await,
            Value::Number(number) => platform.nvs.set_i32(setting.namespace, &setting.key, *number).await,
        };
        if stored.is_err() {
            error!(platform.console, "Settings", "Failed to store {}/{}", setting.namespace, setting.key);
        }
    }
    let offered = answer.version.as_deref().unwrap_or("");
    let wanted = match profile.defect {
        Some(Defect::ReinstallsSameVersion) => !is_newer(app.version, offered),
        Some(Defect::InstallsOlder) => offered != app.version,
        _ => answer.force || is_newer(offered, app.version),
    };
    let url = answer.url.as_deref().filter(|url| !url.is_empty());
    if let (true, Some(url)) = (wanted, url) {
        info!(platform.console, "Ota", "New version available: {}", offered);
        if upgrade(platform, slots, profile, client, &Wanted { version: offered, url }).await.is_ok() {
            info!(platform.console, "Application", "Restarting into the new firmware");
            pause(&mut platform.system, &mut platform.delay, RESTART_MS).await;
            return Outcome::Restart;
        }
        match profile.after_failed_upgrade {
            AfterFailedUpgrade::Restart(seconds) => {
                info!(platform.console, "Application", "Firmware upgrade failed...");
                pause(&mut platform.system, &mut platform.delay, seconds * 1000).await;
                return Outcome::Restart;
            }
            AfterFailedUpgrade::GoOn => {
                warning!(platform.console, "Application", "Firmware upgrade failed, going on with {}", app.version);
            }
        }
    } else {
        info!(platform.console, "Ota", "Current is the latest version");
    }
    confirm(platform, profile, slots).await;
    Outcome::GoOn
}

/// A good check proves the running image: its rollback is cancelled.
async fn confirm<P: Parts>(platform: &mut Platform<P>, profile: &Profile, slots: &Slots) {
    if profile.has(Defect::NeverConfirms) {
        return;
    }
    if slots.is_factory() {
        info!(platform.console, "Ota", "Running from factory partition, skipping");
        return;
    }
    // An image that guards itself is confirmed where no bootloader does it.
    let unconfirmed = match slots.is_pending(&mut platform.flash).await {
        Ok(false) if profile.own_rollback.is_some() => slots.is_new(&mut platform.flash).await,
        other => other,
    };
    match unconfirmed {
        Ok(true) => match slots.mark_valid(&mut platform.flash).await {
            Ok(()) => {
                info!(platform.console, "Ota", "Marking firmware as valid");
                if profile.own_rollback.is_some() {
                    own_rollback::forget(&mut platform.nvs).await;
                }
            }
            Err(e) => error!(platform.console, "Ota", "Failed to mark the firmware as valid: {:?}", e),
        },
        Ok(false) => {}
        Err(e) => error!(platform.console, "Ota", "Failed to read otadata: {:?}", e),
    }
}

/// What ESP-IDF prints when it aborts, and its restart. A defect's crash: the firmware itself has none.
async fn crash<P: Parts>(platform: &mut Platform<P>) -> Infallible {
    platform.console.write(b"\r\nabort() was called at PC 0x4200a3c6 on core 0\r\n\r\nRebooting...\r\n").await;
    platform.restart.restart().await
}

/// Normal operation: the assistant would listen; this one says that it lives.
async fn idle<P: Parts>(platform: &mut Platform<P>) -> Infallible {
    info!(platform.console, "Application", "STATE: idle");
    loop {
        report_for(platform, u32::MAX).await;
    }
}

/// Reports the device's resources for so many seconds.
async fn report_for<P: Parts>(platform: &mut Platform<P>, seconds: u32) {
    let mut left = u64::from(seconds) * 1000;
    while left > 0 {
        info!(
            platform.console,
            "SystemInfo",
            "free heap: {} open sockets: {}",
            platform.system.free_heap(),
            platform.system.open_sockets()
        );
        let step = left.min(u64::from(REPORT_MS));
        pause(&mut platform.system, &mut platform.delay, u32::try_from(step).unwrap_or(REPORT_MS)).await;
        left -= step;
    }
}
