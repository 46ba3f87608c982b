//! Reports: what people and machines read after a run. Everything here is made from timelines and verdicts alone.
//!
//! What this module must never know: boards, servers, how anything was run.

pub mod changes;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod model;
pub mod openmetrics;
pub mod past;
pub mod repeats;
pub mod tap;
pub mod terminal;
