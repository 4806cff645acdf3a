//! `config`: the effective configuration.

use std::fmt::Write;

use super::{ConfigFlags, USAGE, complain, write_out};
use crate::config::Config;

pub(super) fn show(flags: &ConfigFlags) -> u8 {
    if flags.schema {
        return write_out(format!("{:#}\n", Config::schema()).as_bytes());
    }
    let config = match flags.loaded() {
        Ok(config) => config,
        Err(error) => {
            complain(error);
            return USAGE;
        }
    };
    let mut text = String::new();
    for (option, value, origin) in config.entries() {
        let value = if value.is_empty() { "-" } else { &*value };
        // Writing to memory does not fail.
        let _ = writeln!(text, "{:<36} {value:<24} {origin}", option.key);
    }
    let code = write_out(text.as_bytes());
    // Values that do not go together are told here too, before `run` meets them.
    match config.build() {
        Ok(_) => code,
        Err(error) => {
            complain(error);
            USAGE
        }
    }
}
