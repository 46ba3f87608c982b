//! The chip's own Wi-Fi, by esp-radio and its scheduler. Compiled, not run: no emulator has it.

use core::convert::Infallible;

use embassy_futures::select::select;
use embedded_hal_async::delay::DelayNs as _;
use esp_hal::peripherals::{FROM_CPU_INTR0, WIFI};
use esp_hal::timer::timg::Timer;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, Interface, Password, Ssid, WifiController, WifiRxToken,
    WifiTxToken,
};
use ota_agent::platform::{Console as _, Nvs as _};
use smoltcp::phy::{self, DeviceCapabilities, Medium, TxToken};
use smoltcp::time::Instant;

use super::device::{Frame, Received};
use crate::clock::{self, Delay};
use crate::console::Console;
use crate::nvs::FlashNvs;

/// Longest frame that esp-radio takes, with its Ethernet header.
const MTU: usize = 1492 + 14;
/// An access point that did not let the station in is asked again after so long, in milliseconds.
const AGAIN_MS: u32 = 2000;
/// Joining takes no longer, in milliseconds: scan, authentication, association, handshake.
const JOIN_MS: u32 = 15_000;

/// Memory for the radio, sockets and frames; the first part is what the bootloader does not need any more.
pub(crate) fn take_heap() {
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 72 * 1024);
}

/// The radio; `None` where its driver refused.
pub(crate) struct Card {
    controller: Option<WifiController<'static>>,
    credentials: Option<Config>,
}

impl Card {
    /// Starts scheduler and radio.
    pub(crate) fn open(timer: Timer<'static>, interrupt: FROM_CPU_INTR0<'static>, radio: WIFI<'static>) -> Self {
        esp_rtos::start(timer, interrupt);
        Self { controller: WifiController::new(radio, ControllerConfig::default()).ok(), credentials: None }
    }

    /// The station's interface.
    pub(crate) fn device(&self) -> Device {
        Device(Interface::station())
    }

    /// Reads whom to join from NVS, by the keys that provisioning writes.
    pub(crate) async fn read_settings(&mut self, nvs: &mut FlashNvs) {
        let (mut ssid, mut password) = ([0; 32], [0; 64]);
        let Ok(Some(ssid)) = nvs.get_str("wifi", "ssid", &mut ssid).await else { return };
        let Ok(ssid) = Ssid::try_from(ssid) else { return };
        let password = nvs.get_str("wifi", "password", &mut password).await.ok().flatten().unwrap_or("");
        let authentication = match Password::try_from(password) {
            Ok(password) if !password.is_empty() => AuthenticationMethodConfig::Wpa2Personal(password),
            _ => AuthenticationMethodConfig::Open,
        };
        let station = StationConfig::default().with_ssid(ssid).with_authentication(authentication);
        self.credentials = Some(Config::Station(station));
    }

    /// Joins, and joins again whenever the access point is lost.
    pub(crate) async fn run(self, mut console: Console) -> Infallible {
        let (Some(mut controller), Some(credentials)) = (self.controller, self.credentials) else {
            console.write(b"E (0) wifi: nobody to join: no radio, or no wifi/ssid in NVS\r\n").await;
            return core::future::pending().await;
        };
        let mut delay = Delay;
        if controller.set_config(&credentials).is_err() {
            console.write(b"E (0) wifi: the driver refuses the settings in NVS\r\n").await;
            return core::future::pending().await;
        }
        loop {
            let joined = select(controller.connect_async(), delay.delay_ms(JOIN_MS)).await;
            if matches!(joined, embassy_futures::select::Either::First(Ok(_))) {
                // An error here tells that it is lost already.
                let _ = controller.wait_for_disconnect_async().await;
            }
            let line = alloc::format!("W ({}) wifi: not joined, trying again\r\n", clock::uptime_ms());
            console.write(line.as_bytes()).await;
            delay.delay_ms(AGAIN_MS).await;
        }
    }
}

/// The station's interface.
pub(crate) struct Device(Interface);

impl Frame for WifiRxToken {
    fn show<R>(self, look: impl FnOnce(&[u8]) -> R) -> R {
        self.consume_token(|frame| look(frame))
    }
}

/// Room for a frame in the driver's queue.
pub(crate) struct Sender(WifiTxToken);

impl TxToken for Sender {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        self.0.consume_token(length, fill)
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Received<WifiRxToken>;
    type TxToken<'a> = Sender;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.0.receive().map(|(received, sender)| (Received(received), Sender(sender)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        self.0.transmit().map(Sender)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
