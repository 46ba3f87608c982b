//! The console: UART0, as the ROM leaves it (115,200 baud), and beside it the chip's own USB serial port, where somebody
//! listens there.

use alloc::boxed::Box;
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use esp_hal::Blocking;
use esp_hal::peripherals::{GPIO21, UART0, USB_DEVICE};
use esp_hal::uart::{Config, UartTx};
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;
use ota_agent::platform;

use crate::clock;

/// A host that reads USB takes a full buffer within a millisecond; after so long without room nobody is there.
const NOBODY_US: u64 = 20_000;

struct Ports {
    /// `None` where the driver refused: the USB port is left then.
    uart: Option<UartTx<'static, Blocking>>,
    usb: UsbSerialJtag<'static, Blocking>,
    /// Nobody read the USB port when it was last full.
    usb_deaf: bool,
}

/// The console. Copies are the same console.
#[derive(Clone, Copy)]
pub(crate) struct Console(&'static RefCell<Ports>);

impl Console {
    /// Takes both ports. GPIO21 is UART0's transmit pin after reset (ESP32-C3 datasheet, "Pin Overview").
    pub(crate) fn new(uart: UART0<'static>, usb: USB_DEVICE<'static>, pin: GPIO21<'static>) -> Self {
        let uart = UartTx::new(uart, Config::default()).ok().map(|uart| uart.with_tx(pin));
        let ports = Ports { uart, usb: UsbSerialJtag::new(usb), usb_deaf: false };
        Self(Box::leak(Box::new(RefCell::new(ports))))
    }

    /// Writes without letting anything else run: before a restart.
    pub(crate) fn write_blocking(self, bytes: &[u8]) {
        embassy_futures::block_on(self.put(bytes));
        if let Some(uart) = &mut self.0.borrow_mut().uart {
            // Nothing could be told of a failure.
            let _ = uart.flush();
        }
    }

    async fn put(self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = poll_fn(|_| {
                let Some(uart) = &mut self.0.borrow_mut().uart else { return Poll::Ready(rest.len()) };
                if uart.write_ready() { Poll::Ready(uart.write(rest).unwrap_or(rest.len())) } else { Poll::Pending }
            })
            .await;
            rest = rest.get(taken..).unwrap_or(&[]);
        }
        self.put_usb(bytes);
    }

    /// USB in one go: a host takes it at once, and without one nothing may wait.
    fn put_usb(self, bytes: &[u8]) {
        let mut ports = self.0.borrow_mut();
        for byte in bytes {
            let since = clock::uptime_us();
            while ports.usb.write_byte_nb(*byte).is_err() {
                if ports.usb_deaf || clock::uptime_us() - since > NOBODY_US {
                    ports.usb_deaf = true;
                    return;
                }
            }
            ports.usb_deaf = false;
        }
        let _ = ports.usb.flush_tx_nb();
    }
}

impl platform::Console for Console {
    fn uptime_ms(&self) -> u64 {
        clock::uptime_ms()
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.put(bytes).await;
    }
}
