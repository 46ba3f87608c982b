//! Where a halted processor stood, and what several looks at it tell.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Frame;

/// A core that was halted for a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Halted {
    /// Which core: 0 is the first.
    pub core: usize,
    /// Where it stood, innermost first.
    pub frames: Vec<Frame>,
    /// Return addresses found on its stack, innermost first. Some may be left over from calls that had ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<Frame>,
    /// Why no function is named, where symbols were at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Functions in which a core of ESP-IDF waits for an interrupt: none of its tasks has anything to do.
const IDLE: [&str; 5] = [
    "esp_cpu_wait_for_intr",
    "esp_vApplicationIdleHook",
    "esp_vApplicationWaitiHook",
    "prvIdleTask",
    "vApplicationIdleHook",
];

impl Halted {
    fn place(&self) -> Option<&Frame> {
        self.frames.first()
    }

    fn idles(&self) -> bool {
        self.frames.iter().any(|frame| frame.function.as_deref().is_some_and(|name| IDLE.contains(&name)))
    }

    /// In the same function as another; in the same place where neither has a name.
    fn is_where(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Some(one), Some(two)) if one.function.is_some() => one.function == two.function,
            (Some(one), Some(two)) => one.address == two.address,
            _ => false,
        }
    }
}

/// What several looks at a processor tell together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A core was in one function at every look, and it is not the one for having nothing to do.
    Stuck {
        /// The core as the last look found it.
        halted: Halted,
        /// How often it was looked at.
        looks: usize,
    },
    /// All cores wait for an interrupt at every look: the tasks wait for one another, or for something that never comes.
    Idle,
    /// It was somewhere else at each look.
    Moving(Vec<Halted>),
}

/// What looks at a processor tell; each look is all cores. `None` of no look.
#[must_use]
pub fn standing(looks: &[Vec<Halted>]) -> Option<Standing> {
    let last = looks.last().filter(|look| !look.is_empty())?;
    let same = |core: &&Halted| {
        let everywhere = looks.iter().map(|look| look.iter().find(|other| other.core == core.core));
        !core.idles() && everywhere.into_iter().all(|other| other.is_some_and(|other| core.is_where(other)))
    };
    if looks.iter().flatten().all(Halted::idles) {
        return Some(Standing::Idle);
    }
    if let Some(halted) = last.iter().find(same).filter(|_| looks.len() > 1) {
        return Some(Standing::Stuck { halted: halted.clone(), looks: looks.len() });
    }
    Some(Standing::Moving(looks.iter().flatten().cloned().collect()))
}

/// Callers that are told.
const TOLD: usize = 8;

impl fmt::Display for Halted {
    /// `wait_for_server (ota.c:120), called by app_main (main.c:33); on its stack: main_task (app_startup.c:200)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |frames: &[Frame], between: &str| {
            let told: Vec<String> = frames.iter().take(TOLD).map(ToString::to_string).collect();
            told.join(between)
        };
        f.write_str(&words(&self.frames, ", called by "))?;
        if !self.stack.is_empty() {
            write!(f, "; on its stack: {}", words(&self.stack, ", "))?;
        }
        match &self.why_not {
            Some(why) => write!(f, " (not decoded: {why})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { halted, looks } => {
                write!(f, "all {looks} looks found core {} in {halted}", halted.core)
            }
            Self::Idle => f.write_str("it idles: its tasks all wait, and none of them spins"),
            Self::Moving(seen) => {
                let places: Vec<String> = seen
                    .iter()
                    .filter_map(|halted| Some(format!("core {} in {}", halted.core, halted.place()?)))
                    .collect();
                write!(f, "it moves: {}", places.join(", then "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(core: usize, function: &str) -> Halted {
        let frame = Frame {
            address: 0x4200_0000,
            function: Some(function.to_owned()),
            file: Some("/src/ota.c".to_owned()),
            line: Some(7),
        };
        Halted { core, frames: vec![frame], stack: vec![], why_not: None }
    }

    fn told(looks: &[Vec<Halted>]) -> String {
        standing(looks).expect("something").to_string()
    }

    #[test]
    fn core_that_is_in_one_function_at_every_look_is_stuck_there() {
        let looks = vec![vec![at(0, "prvIdleTask"), at(1, "spin")]; 3];
        assert_eq!(told(&looks), "all 3 looks found core 1 in spin (ota.c:7)");
    }

    #[test]
    fn cores_that_wait_for_interrupts_idle() {
        assert!(told(&vec![vec![at(0, "esp_cpu_wait_for_intr")]; 3]).starts_with("it idles"));
    }

    #[test]
    fn core_that_is_elsewhere_at_each_look_moves() {
        let looks = [vec![at(0, "send")], vec![at(0, "receive")]];
        assert_eq!(told(&looks), "it moves: core 0 in send (ota.c:7), then core 0 in receive (ota.c:7)");
        assert!(told(&[vec![at(0, "spin")]]).starts_with("it moves"), "one look tells nothing of the next");
    }

    #[test]
    fn without_symbols_the_same_address_is_the_same_place() {
        let bare = |address| {
            vec![Halted {
                core: 0,
                frames: vec![Frame { address, function: None, file: None, line: None }],
                stack: vec![],
                why_not: None,
            }]
        };
        assert_eq!(told(&[bare(0x4000_0001), bare(0x4000_0001)]), "all 2 looks found core 0 in 0x40000001");
        assert!(told(&[bare(0x4000_0001), bare(0x4000_0005)]).starts_with("it moves"));
        assert_eq!(standing(&[]), None);
    }
}
