#![no_std]
#![no_main]
//! The reference firmware's body on an ESP32-C3: `ota-agent`'s traits on esp-hal. What is decided and printed is the
//! agent's; here stand only clock, console, flash, NVS, network, watchdog and reset.
//!
//! The network is chosen at build time: `wifi` for a real board, `openeth` for Espressif's QEMU, which has no Wi-Fi.
//!
//! What this crate must never know: profiles, retries, console lines of the agent.

extern crate alloc;

mod clock;
mod console;
mod flash;
mod net;
mod nvs;
mod panic;
mod system;
mod watchdog;

#[cfg(all(feature = "openeth", feature = "wifi"))]
compile_error!("one network at a time: --features openeth or --features wifi");
#[cfg(not(any(feature = "openeth", feature = "wifi")))]
compile_error!("choose the network: --features openeth (the emulator) or --features wifi (a real board)");

use alloc::boxed::Box;
use core::convert::Infallible;

use embassy_futures::select::{Either, Either4, select, select4};
use esp_hal::clock::CpuClock;
use esp_hal::timer::timg::TimerGroup;
use ota_agent::App;
use ota_agent::identity::Identity;
use ota_agent::platform::{Console as _, Parts, Platform};

use crate::clock::Delay;
use crate::console::Console;
use crate::flash::Flash;
use crate::net::Network;
use crate::nvs::FlashNvs;
use crate::system::{Restart, System};
use crate::watchdog::Feeds;

/// What an image says of itself, where bootloader, flash tools and brickproof look for it: the application descriptor and
/// right behind it the profile record, as `esp-image` writes them (`build.rs`). It is placed here and never read here:
/// the agent is told what stands in the slot that was booted.
#[expect(unsafe_code, reason = "a section that the linker script puts first")]
#[used]
#[unsafe(export_name = "esp_app_desc")]
#[unsafe(link_section = ".flash.appdesc")]
static IDENTITY: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/identity.bin")).len()] =
    *include_bytes!(concat!(env!("OUT_DIR"), "/identity.bin"));

/// The types of the parts.
struct Chip;

impl Parts for Chip {
    type Flash = Flash;
    type Nvs = FlashNvs;
    type Console = Console;
    type System = System;
    type Restart = Restart;
    type Link = net::Link;
    type Network = Network;
    type Delay = Delay;
}

#[esp_hal::main]
fn main() -> ! {
    clock::let_it_run();
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    net::take_heap();
    clock::keep_the_emulator_awake();
    let timers = TimerGroup::new(peripherals.TIMG0);
    let watchdog = watchdog::Hardware::start(timers.wdt);
    let console = Console::new(peripherals.UART0, peripherals.USB_DEVICE, peripherals.GPIO21);
    let flash = Flash::new(peripherals.FLASH);
    #[cfg(feature = "openeth")]
    let card = net::Card::open();
    #[cfg(feature = "wifi")]
    let card = net::Card::open(timers.timer0, peripherals.FROM_CPU_INTR0, peripherals.WIFI);
    match embassy_futures::block_on(firmware(console, flash, watchdog, card)) {}
}

/// Reads what was booted and runs the agent on it, with the network and both watchdogs beside.
async fn firmware(
    mut console: Console,
    mut flash: Flash,
    hardware: watchdog::Hardware,
    mut card: net::Card,
) -> Infallible {
    let found = flash.booted().await;
    let identity = match found.running {
        Some(offset) => Identity::read(&mut flash, offset).await,
        None => Identity::default(),
    };
    let (Some(running), Some(slot), Some(descriptor), Some(profile)) =
        (found.running, found.slot, &identity.descriptor, &identity.profile)
    else {
        console
            .write(b"E (0) ota_agent: this image does not know itself: no partition, descriptor or profile\r\n")
            .await;
        return hardware.feed_for_ever().await;
    };
    let mut nvs = FlashNvs::open(&flash, found.nvs);
    let network = Network::new(Box::leak(Box::new(net::Stack::new(card.device()))));
    card.read_settings(&mut nvs).await;
    let feeds: &'static Feeds = Box::leak(Box::new(Feeds::new()));
    let mut platform: Platform<Chip> = Platform {
        flash,
        nvs,
        console,
        system: System::new(network, feeds, running),
        restart: Restart::new(console),
        link: net::Link::new(network, feeds),
        network,
        delay: Delay,
    };
    let app = App { version: descriptor.version(), project: descriptor.project(), profile, slot: slot.label() };
    let agent = ota_agent::run(&mut platform, &app);
    let beside = select4(
        network.run(),
        card.run(console),
        hardware.feed_for_ever(),
        watchdog::guard(feeds, console, descriptor),
    );
    match select(agent, beside).await {
        Either::First(never) => match never {},
        Either::Second(
            Either4::First(never) | Either4::Second(never) | Either4::Third(never) | Either4::Fourth(never),
        ) => match never {},
    }
}
