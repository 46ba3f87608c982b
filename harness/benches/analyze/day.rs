//! A day of a device's console, of any size: what a voice assistant with its log level at debug says while it listens, checks,
//! updates, fails, crashes and starts again. The same bytes for the same seed; nothing grows with the size.

use std::fmt::Write as _;
use std::io::{self, Read};

/// A console without an end, written as it is read.
pub(crate) struct Day {
    random: u64,
    /// The device's stamp, ms since its boot.
    ms: u64,
    version: u32,
    /// What was said and not read yet, and how much of it was.
    said: Vec<u8>,
    read: usize,
}

const URL: &str = "http://192.168.88.200:8002/xiaozhi/ota/";
const TEXTS: [&str; 4] =
    ["今天天气怎么样？", "好的，马上为你播放。", "It is a quarter past nine.", "Schön, dass du fragst!"];

impl Day {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: seed | 1, ms: 0, version: 0, said: Vec::new(), read: 0 }
    }

    /// The next episode: chatter mostly, for a check comes every few minutes.
    fn episode(&mut self) {
        self.chatter();
        match self.chance(1000) {
            0..=29 => self.check(),
            30..=39 => self.update(),
            40..=44 => self.refused(),
            45..=46 => self.crash(),
            47 => self.noise(),
            _ => {}
        }
    }

    fn chatter(&mut self) {
        for _ in 0..8 {
            let n = self.chance(100_000);
            match self.chance(16) {
                0..=3 => self.line('D', "AFE", &format!("ringbuffer: fetch {n} of 32000, vad state {}", n % 2)),
                4..=6 => self.line('D', "opus_encoder", &format!("frame {n}: 960 samples, {} bytes", 40 + n % 90)),
                7..=8 => self.line('D', "lvgl", &format!("flush x {} y {} w 240 h 20", n % 240, n % 320)),
                9 => self.line('I', "SystemInfo", &format!("free sram: {} minimal sram: 60123", 70_000 + n % 9000)),
                10 => self.line(
                    'I',
                    "Application",
                    if n.is_multiple_of(2) { "STATE: listening" } else { "STATE: speaking" },
                ),
                11 => {
                    let text = TEXTS[usize::try_from(n % 4).unwrap_or_default()];
                    let told = format!(
                        "<< {{\"type\":\"tts\",\"state\":\"sentence_start\",\"session_id\":\"{n:08x}\",\"text\":\"{text}\"}}"
                    );
                    self.line('I', "WS", &told);
                }
                12 => self.line('W', "i2s_common", &format!("dma frame lost, {n} us late (queue overflow)")),
                13 => {
                    let bytes: Vec<String> = (0..16).map(|k| format!("{:02x}", (n * 31 + k * 7) & 0xff)).collect();
                    self.line(
                        'V',
                        "uart",
                        &format!("0x3fcd{:04x}   {}  |................|", n & 0xffff, bytes.join(" ")),
                    );
                }
                14 => self.line('D', "wifi", &format!("bcn_timeout,ap_probe_send_start rssi -{}", 40 + n % 40)),
                _ => self.line('I', "MQTT", &format!("publish device/server len {n} (qos 0), heap ok")),
            }
        }
    }

    fn check(&mut self) {
        let version = self.version();
        self.line('I', "Ota", &format!("Current version: {version}"));
        self.line('I', "EspHttp", &format!("Opening HTTP connection to {URL}"));
        self.ms += 120;
        self.line('I', "Ota", "Current is the latest version");
        self.line('I', "Application", "STATE: idle");
    }

    fn update(&mut self) {
        self.line('I', "EspHttp", &format!("Opening HTTP connection to {URL}"));
        self.version += 1;
        let version = self.version();
        self.line('I', "Ota", &format!("New version available: {version}"));
        self.line('I', "Ota", &format!("Upgrading firmware from {URL}download/{version}.bin"));
        self.line('I', "Ota", "Writing to partition ota_1 at offset 0x190000");
        for percent in 0..=100 {
            self.ms += 900;
            let done = percent * 24_576;
            self.line('I', "Ota", &format!("Progress: {percent}% ({done}/2457600), Speed: 24576B/s"));
        }
        self.line('I', "Ota", "Firmware upgrade successful");
        self.line('I', "Application", "Restarting into the new firmware");
        self.boot(0xc, "RTC_SW_CPU_RST");
        self.line('I', "Ota", "Marking firmware as valid");
    }

    fn refused(&mut self) {
        for attempt in 1..=10 {
            self.line('I', "EspHttp", "Opening HTTP connection to http://192.168.88.200/xiaozhi/ota/");
            self.line('E', "esp-tls", "[sock=54] delayed connect error: Connection reset by peer");
            self.line('E', "transport_base", "Failed to open a new connection: 32772");
            self.line('E', "HTTP_CLIENT", "Connection failed, sock < 0");
            self.line('E', "EspHttp", "Failed to perform HTTP request: ESP_ERR_HTTP_CONNECT");
            self.line('E', "Ota", "Failed to open HTTP connection");
            let retry = format!("Check new version failed, retry in 60 seconds ({attempt}/10)");
            self.line('W', "Application", &retry);
            self.ms += 60_000;
        }
        self.line('E', "Application", "Too many retries, exit version check");
    }

    fn crash(&mut self) {
        self.plain("Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.");
        self.plain("");
        self.plain("Core  0 register dump:");
        for row in 0..6 {
            self.plain(&format!("A{row:<7}: 0x3ffb46b0  A{:<7}: 0x00000000  PS      : 0x00060830", row + 1));
        }
        self.plain("Backtrace: 0x400d525d:0x3ffb46b0 0x400d316e:0x3ffb46e0 0x400d2f11:0x3ffb4710");
        self.plain("ELF file SHA256: a511d501e");
        self.plain("");
        self.plain("Rebooting...");
        self.boot(0xc, "SW_CPU_RESET");
    }

    fn boot(&mut self, code: u32, reason: &str) {
        self.ms = 0;
        self.plain("ESP-ROM:esp32c3-api1-20210207");
        self.plain("Build:Feb  7 2021");
        self.plain(&format!("rst:0x{code:x} ({reason}),boot:0x8 (SPI_FAST_FLASH_BOOT)"));
        self.plain("load:0x3fcd5820,len:0x15c4");
        self.line('I', "boot", "Loaded app from partition at offset 0x190000");
        let version = self.version();
        self.line('I', "app_init", &format!("App version:      {version}"));
        self.line('I', "wifi", "Got IP: 192.168.88.9");
    }

    /// What a loose wire makes of a line, and another task's line inside one.
    fn noise(&mut self) {
        let bytes = self.next().to_le_bytes();
        self.said.extend(bytes.map(|b| if matches!(b, b'\r' | b'\n') { 0 } else { b }));
        self.plain("");
        let ms = self.ms;
        let _ = write!(Text(&mut self.said), "I (69");
        self.line('E', "esp-tls", &format!("[sock=54] select() timeout after {ms}"));
    }

    fn version(&self) -> String {
        format!("1.{}.{}", 5 + self.version / 10 % 90, self.version % 10)
    }

    fn line(&mut self, level: char, tag: &str, message: &str) {
        self.ms += 1 + self.chance(12);
        let colour = match level {
            'E' => "\x1b[0;31m",
            'W' => "\x1b[0;33m",
            'I' => "\x1b[0;32m",
            _ => "",
        };
        let end = if colour.is_empty() { "" } else { "\x1b[0m" };
        let ms = self.ms;
        let _ = write!(Text(&mut self.said), "{colour}{level} ({ms}) {tag}: {message}{end}\r\n");
    }

    fn plain(&mut self, text: &str) {
        self.said.extend_from_slice(text.as_bytes());
        self.said.extend_from_slice(b"\r\n");
    }

    fn chance(&mut self, of: u64) -> u64 {
        self.next() % of
    }

    /// xorshift64.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Read for Day {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.said.len() {
            self.said.clear();
            self.read = 0;
            while self.said.len() < 1 << 16 {
                self.episode();
            }
        }
        let n = into.len().min(self.said.len() - self.read);
        into[..n].copy_from_slice(&self.said[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

/// Bytes that text is written to.
struct Text<'b>(&'b mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
