//! The texts of an event: what others wrote, and may hold what must not be shown.

use super::{Action, EventKind, Frame, RigEvent};

impl EventKind {
    /// Shows every text of the event, but those of console lines and of what was read out of them: whoever reads a console
    /// masks a line before anything else sees it, and knows what was cut.
    pub fn each_text(&mut self, see: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Console(_) | Self::Device { .. } | Self::Wait { .. } => {}
            Self::Server(event) => event.each_text(see),
            Self::Action(action) => action_texts(action, see),
            Self::Rig(event) => rig_texts(event, see),
        }
    }
}

fn action_texts(action: &mut Action, see: &mut dyn FnMut(&mut String)) {
    match action {
        Action::RunEnded
        | Action::Reset
        | Action::PowerCutPlanned { .. }
        | Action::PowerOff
        | Action::PowerOn
        | Action::WifiOff
        | Action::WifiOn => {}
        Action::RunStarted { scenario, board, chip, .. } => [scenario, board, chip].into_iter().for_each(see),
        Action::StepStarted { name, .. } => see(name),
        Action::Flashed { what, how, .. } => [what, how].into_iter().for_each(see),
        Action::Provisioned { keys } => keys.iter_mut().for_each(|(_, value)| see(value)),
        Action::FaultsSet { faults } => faults.iter_mut().for_each(see),
        Action::Offered { version } => version.iter_mut().for_each(see),
        Action::FormSent { url, fields } => [url, fields].into_iter().for_each(see),
        Action::Inspected { looks } => {
            for core in looks.iter_mut().flatten() {
                frame_texts(core.frames.iter_mut().chain(&mut core.stack), see);
                core.why_not.iter_mut().for_each(&mut *see);
            }
        }
        Action::ConsoleInput { text } => see(text),
    }
}

fn rig_texts(event: &mut RigEvent, see: &mut dyn FnMut(&mut String)) {
    match event {
        RigEvent::ClockDrift { .. } => {}
        RigEvent::Error { message } | RigEvent::Runaway { message, .. } | RigEvent::Note { message } => see(message),
        RigEvent::Crash { frames, stack, why_not, .. } => {
            frame_texts(frames.iter_mut().chain(stack), see);
            why_not.iter_mut().for_each(see);
        }
    }
}

fn frame_texts<'f>(frames: impl Iterator<Item = &'f mut Frame>, see: &mut dyn FnMut(&mut String)) {
    frames.flat_map(|frame| [&mut frame.function, &mut frame.file]).flatten().for_each(see);
}
