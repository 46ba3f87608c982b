//! Profiles: every decision that firmware versions (or defects) differ in, as data.

use crate::defect::Defect;
use crate::parameters::Parameters;

/// The wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayLaw {
    /// Always the same, in seconds.
    Constant(u32),
    /// From the first on doubling, in seconds; back to the first after a success.
    Doubling(u32),
}

impl DelayLaw {
    /// Seconds to wait after the `failures`th failure in a row, counted from 1.
    #[must_use]
    pub fn seconds(self, failures: u32) -> u32 {
        match self {
            Self::Constant(seconds) => seconds,
            Self::Doubling(first) => {
                first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX))
            }
        }
    }
}

/// What the firmware does when an upgrade failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedUpgrade {
    /// Restarts after so many seconds.
    Restart(u32),
    /// Goes on with the old firmware.
    GoOn,
}

/// Which generation's console lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// Up to 1.5.9: tag EspHttp, error names.
    EspHttp,
    /// From 1.6 on: tags EspTcp and HttpClient, error numbers.
    HttpClient,
}

/// All decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name in the profile record.
    pub name: &'static str,
    /// Attempts at a version check before it is given up.
    pub attempts: u32,
    /// The wait between attempts.
    pub delay: DelayLaw,
    /// Limit of a TCP connect, in milliseconds of device time.
    pub connect_timeout_ms: u32,
    /// Limit of a single read, in milliseconds (`esp_http_client_config_t::timeout_ms`).
    pub read_timeout_ms: u32,
    /// Verify the written image before it is selected.
    pub verify: bool,
    /// After a failed upgrade.
    pub after_failed_upgrade: AfterFailedUpgrade,
    /// Console lines.
    pub log: LogStyle,
    /// Redirects followed at most (`max_redirection_count`).
    pub redirects: u32,
    /// A download that broke off is taken up again after a restart.
    pub resumes: bool,
    /// The image is asked for piece by piece.
    pub ranges: bool,
    /// Seconds after which the version is checked again; never, where there are none.
    pub recheck: Option<u32>,
    /// Boots of an unconfirmed image after which the firmware goes back by itself, where the bootloader does not.
    pub own_rollback: Option<u32>,
    /// The wrong decision of a mutant.
    pub defect: Option<Defect>,
}

impl Profile {
    /// True where this decision is the wrong one.
    #[must_use]
    pub fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// The profile with what an image's parameters say.
    #[must_use]
    pub fn with(self, parameters: Parameters) -> Self {
        let Parameters { defect, resumes, ranges, attempts, recheck, own_rollback, no_tls: _ } = parameters;
        let attempts = attempts.unwrap_or(self.attempts);
        let built = Self { resumes, ranges, recheck, own_rollback, attempts, ..self };
        built.with_defect(defect)
    }

    fn with_defect(self, defect: Option<Defect>) -> Self {
        let decided = match defect {
            Some(Defect::RedirectsForEver) => Self { redirects: u32::MAX, ..self },
            Some(Defect::ShortReadTimeout) => Self { read_timeout_ms: self.read_timeout_ms / 100, ..self },
            Some(Defect::SkipsVerification) => Self { verify: false, ..self },
            Some(Defect::GoesOnAfterFailedUpgrade) => Self { after_failed_upgrade: AfterFailedUpgrade::GoOn, ..self },
            Some(Defect::DelayNeverDoubles) => Self { delay: DelayLaw::Constant(self.delay.seconds(1)), ..self },
            _ => self,
        };
        Self { defect, ..decided }
    }
}

/// Version 1.5.9 of the public firmware: ten attempts, 60 s apart.
pub const XIAOZHI_1_5_9: Profile = Profile {
    name: "xiaozhi-1.5.9",
    attempts: 10,
    delay: DelayLaw::Constant(60),
    connect_timeout_ms: 10_000,
    read_timeout_ms: 10_000,
    verify: true,
    after_failed_upgrade: AfterFailedUpgrade::Restart(3),
    log: LogStyle::EspHttp,
    redirects: 10,
    resumes: false,
    ranges: false,
    recheck: None,
    own_rollback: None,
    defect: None,
};

/// Version 1.6: ten attempts, from 10 s doubling.
pub const XIAOZHI_1_6: Profile = Profile {
    name: "xiaozhi-1.6",
    delay: DelayLaw::Doubling(10),
    after_failed_upgrade: AfterFailedUpgrade::GoOn,
    log: LogStyle::HttpClient,
    ..XIAOZHI_1_5_9
};

/// All profiles.
pub const ALL: &[Profile] = &[XIAOZHI_1_5_9, XIAOZHI_1_6];

/// The profile of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|p| p.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_waits_sum_up_as_the_public_firmware_says() {
        let sum = |law: DelayLaw| (1..=9).map(|n| law.seconds(n)).sum::<u32>();
        assert_eq!(sum(XIAOZHI_1_5_9.delay), 540);
        assert_eq!(sum(XIAOZHI_1_6.delay), 5110);
        assert_eq!(XIAOZHI_1_6.delay.seconds(9), 2560);
    }
}
