//! The modem lines DTR and RTS, and the sequences that reset a board with them.
//!
//! Sequences are data, so that what a real board would see can be checked step by step without one.
//!
//! On the auto-reset circuit of most development boards RTS pulls EN low and DTR pulls IO0 low, each only while the
//! other line is not asserted (two cross-coupled transistors). The USB-Serial-JTAG peripheral of the S3 and C3 reads
//! the same two lines, but latches: it must be taken through (1,1) and not (0,0).
//! Source: Espressif's esptool documentation, "Boot Mode Selection", and esptool's reset.py.

use std::io;
use std::time::Duration;

use serialport::{SerialPort, TTYPort};

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sets DTR (true: asserted, IO0 low on the auto-reset circuit).
    Dtr(bool),
    /// Sets RTS (true: asserted, EN low on the auto-reset circuit).
    Rts(bool),
    /// Waits.
    Wait(Duration),
}

/// Something with the two lines.
pub trait ModemLines {
    /// Sets DTR.
    ///
    /// # Errors
    ///
    /// The driver's error; a pty has no lines (`ENOTTY`).
    fn set_dtr(&mut self, asserted: bool) -> io::Result<()>;
    /// Sets RTS.
    ///
    /// # Errors
    ///
    /// As [`Self::set_dtr`].
    fn set_rts(&mut self, asserted: bool) -> io::Result<()>;
    /// Waits.
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl ModemLines for TTYPort {
    fn set_dtr(&mut self, asserted: bool) -> io::Result<()> {
        self.write_data_terminal_ready(asserted).map_err(io::Error::from)
    }

    fn set_rts(&mut self, asserted: bool) -> io::Result<()> {
        self.write_request_to_send(asserted).map_err(io::Error::from)
    }
}

/// Plays a sequence.
///
/// # Errors
///
/// The first error of a line; what comes after is not played.
pub fn play(lines: &mut dyn ModemLines, sequence: &[Step]) -> io::Result<()> {
    for step in sequence {
        match *step {
            Step::Dtr(asserted) => lines.set_dtr(asserted)?,
            Step::Rts(asserted) => lines.set_rts(asserted)?,
            Step::Wait(time) => lines.wait(time),
        }
    }
    Ok(())
}

/// EN must be low this long for the reset capacitor (typically 1 µF over 10 kΩ) to discharge; esptool's figure.
const HOLD: Duration = Duration::from_millis(100);
/// IO0 must stay low until the ROM has sampled it; esptool's figure.
const STRAP: Duration = Duration::from_millis(50);

/// Auto-reset circuit: hold in reset (EN low, IO0 high).
pub const CLASSIC_HOLD: &[Step] = &[Step::Dtr(false), Step::Rts(true)];
/// Auto-reset circuit: from reset into run mode.
pub const CLASSIC_RELEASE_RUN: &[Step] = &[Step::Dtr(false), Step::Wait(HOLD), Step::Rts(false)];
/// Auto-reset circuit: from reset into download mode. Drivers that set one line at a time pass through a state where
/// both are released; EN's capacitor hides it.
pub const CLASSIC_RELEASE_DOWNLOAD: &[Step] =
    &[Step::Wait(HOLD), Step::Dtr(true), Step::Rts(false), Step::Wait(STRAP), Step::Dtr(false)];

/// USB-Serial-JTAG: hold in reset. The peripheral resets the chip on the release edge, so holding is the reset half of
/// the pulse.
pub const USB_JTAG_HOLD: &[Step] =
    &[Step::Rts(false), Step::Dtr(false), Step::Wait(HOLD), Step::Rts(true), Step::Dtr(false), Step::Rts(true)];
/// USB-Serial-JTAG: from reset into run mode.
pub const USB_JTAG_RELEASE_RUN: &[Step] = &[Step::Wait(HOLD), Step::Rts(false)];
/// USB-Serial-JTAG: a whole reset into download mode. RTS is written twice where a driver passes DTR on only with RTS.
pub const USB_JTAG_DOWNLOAD: &[Step] = &[
    Step::Rts(false),
    Step::Dtr(false),
    Step::Wait(HOLD),
    Step::Dtr(true),
    Step::Rts(false),
    Step::Wait(HOLD),
    Step::Rts(true),
    Step::Dtr(false),
    Step::Rts(true),
    Step::Wait(HOLD),
    Step::Dtr(false),
    Step::Rts(false),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The auto-reset circuit and the chip's straps behind it.
    #[derive(Default)]
    struct Circuit {
        dtr: bool,
        rts: bool,
        /// (EN, IO0) levels over time, high is true.
        levels: Vec<(bool, bool)>,
        waited: Duration,
        /// IO0 when EN rose, each time.
        straps: Vec<bool>,
    }

    impl Circuit {
        fn settle(&mut self) {
            let en = !self.rts || self.dtr;
            let io0 = !self.dtr || self.rts;
            if en && self.levels.last().is_some_and(|(was, _)| !was) {
                self.straps.push(io0);
            }
            self.levels.push((en, io0));
        }
    }

    impl ModemLines for Circuit {
        fn set_dtr(&mut self, asserted: bool) -> io::Result<()> {
            self.dtr = asserted;
            self.settle();
            Ok(())
        }
        fn set_rts(&mut self, asserted: bool) -> io::Result<()> {
            self.rts = asserted;
            self.settle();
            Ok(())
        }
        fn wait(&mut self, time: Duration) {
            self.waited += time;
        }
    }

    #[test]
    fn classic_hold_keeps_en_low_and_release_boots_the_application() {
        let mut circuit = Circuit::default();
        play(&mut circuit, CLASSIC_HOLD).expect("hold");
        assert_eq!(circuit.levels.last(), Some(&(false, true)), "in reset, IO0 high");
        play(&mut circuit, CLASSIC_RELEASE_RUN).expect("release");
        assert_eq!(circuit.levels.last(), Some(&(true, true)));
        assert_eq!(circuit.straps.last(), Some(&true), "IO0 high when EN rises: run mode");
        assert!(circuit.waited >= HOLD);
    }

    #[test]
    fn classic_download_has_io0_low_after_en_rises_and_lets_go_of_it() {
        let mut circuit = Circuit::default();
        play(&mut circuit, CLASSIC_HOLD).expect("hold");
        let held = circuit.levels.len();
        play(&mut circuit, CLASSIC_RELEASE_DOWNLOAD).expect("release");
        // Between the two line writes both are asserted and EN rises with IO0 high for a driver's write time, which
        // EN's capacitor outlasts; then IO0 is low until the end.
        assert_eq!(&circuit.levels[held..], &[(true, true), (true, false), (true, true)]);
        assert!(circuit.waited >= HOLD + STRAP);
    }

    #[test]
    fn usb_jtag_sequences_match_the_recorded_order_of_line_writes() {
        #[derive(Default)]
        struct Recorder(Vec<Step>);
        impl ModemLines for Recorder {
            fn set_dtr(&mut self, asserted: bool) -> io::Result<()> {
                self.0.push(Step::Dtr(asserted));
                Ok(())
            }
            fn set_rts(&mut self, asserted: bool) -> io::Result<()> {
                self.0.push(Step::Rts(asserted));
                Ok(())
            }
            fn wait(&mut self, time: Duration) {
                self.0.push(Step::Wait(time));
            }
        }
        let mut recorder = Recorder::default();
        play(&mut recorder, USB_JTAG_DOWNLOAD).expect("plays");
        let mut lines = (false, false);
        let mut seen = vec![];
        for step in &recorder.0 {
            match *step {
                Step::Dtr(level) => lines.0 = level,
                Step::Rts(level) => lines.1 = level,
                Step::Wait(_) => seen.push(lines),
            }
        }
        assert_eq!(seen, [(false, false), (true, false), (false, true)], "(DTR, RTS) whenever the sequence rests");
        assert_eq!(lines, (false, false), "idle at the end");
        let from_download = recorder.0.iter().skip_while(|s| **s != Step::Dtr(true)).copied().collect::<Vec<_>>();
        assert_eq!(from_download[3], Step::Rts(true), "through (1,1), not (0,0)");
    }

    #[test]
    fn line_error_stops_the_sequence() {
        struct Pty;
        impl ModemLines for Pty {
            fn set_dtr(&mut self, _: bool) -> io::Result<()> {
                Err(io::Error::from_raw_os_error(25))
            }
            fn set_rts(&mut self, _: bool) -> io::Result<()> {
                panic!("must not go on after an error")
            }
        }
        assert!(play(&mut Pty, CLASSIC_HOLD).is_err());
    }
}
