//! What an image's profile record says beside its profile: settings that firmware of its kind can be built with, and a
//! defect.

use crate::defect::Defect;

/// The words of a profile record's parameters, apart by spaces or commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `defect=NAME`: one wrong decision.
    pub defect: Option<Defect>,
    /// `resume`: a download that broke off is taken up again after a restart (esp_https_ota's `ota_resumption`).
    pub resumes: bool,
    /// `ranges`: the image is asked for piece by piece (esp_https_ota's `partial_http_download`).
    pub ranges: bool,
    /// `attempts=N`: attempts at a version check before it is given up.
    pub attempts: Option<u32>,
    /// `recheck=N`: seconds after which the version is checked again.
    pub recheck: Option<u32>,
    /// `own-rollback=N`: on a bootloader without rollback the firmware itself goes back, when a new image was not confirmed
    /// in so many boots.
    pub own_rollback: Option<u32>,
    /// `no-tls`: the image's own body has no TLS. It says so to whoever looks at the image; the agent finds it out by itself.
    pub no_tls: bool,
}

/// The words, for people.
pub const WORDS: &[&str] = &["resume", "ranges", "attempts=N", "recheck=N", "own-rollback=N"];

impl Parameters {
    /// Reads a profile record's parameters.
    ///
    /// # Errors
    ///
    /// The part that is not known: an image that asks for what this code cannot do must not run as if it had not.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let mut parameters = Self::default();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let number = |text: &str| text.parse().ok().filter(|n| *n > 0);
            match word.split_once('=') {
                None if word == "resume" => parameters.resumes = true,
                None if word == "ranges" => parameters.ranges = true,
                None if word == "no-tls" => parameters.no_tls = true,
                Some(("defect", name)) => parameters.defect = Some(Defect::find(name).ok_or(word)?),
                Some(("attempts", n)) => parameters.attempts = Some(number(n).ok_or(word)?),
                Some(("own-rollback", n)) => parameters.own_rollback = Some(number(n).ok_or(word)?),
                Some(("recheck", n)) => parameters.recheck = Some(number(n).ok_or(word)?),
                _ => return Err(word),
            }
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_name_settings_and_a_defect() {
        assert_eq!(Parameters::parse(""), Ok(Parameters::default()));
        let all = Parameters::parse("resume ranges no-tls attempts=60,recheck=600 own-rollback=3 defect=no-delay")
            .expect("words");
        assert!(all.resumes && all.ranges && all.no_tls);
        assert_eq!(all.own_rollback, Some(3));
        assert_eq!((all.attempts, all.recheck, all.defect), (Some(60), Some(600), Some(Defect::NoDelay)));
    }

    #[test]
    fn what_is_not_known_is_named() {
        for bad in ["defect=no-such", "speed=9", "attempts=0", "attempts=many", "resumes", "recheck", "own-rollback=0"]
        {
            assert_eq!(Parameters::parse(bad), Err(bad));
        }
    }
}
