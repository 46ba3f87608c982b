//! Settings: boards and what `brickproof run` does unless told otherwise, in layers. The command line wins over the
//! environment, that over the bench file, that over the project file, that over the embedded defaults.

mod choose;
pub mod init;
mod layer;
mod load;
mod secrets;

#[cfg(test)]
mod tests;

pub use choose::{Asked, ChooseError, Chosen, clashes};
pub use layer::{Backend, BoardLayer, Layer, RunLayer, WifiVariables, schema};
pub use load::{BENCH_FILE, DEFAULTS, LoadError, PROJECT_FILE, Settings, Sources};
pub use secrets::SecretsLayer;
