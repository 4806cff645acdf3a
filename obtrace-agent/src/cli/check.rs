//! `check`: what this machine allows.

use std::{io, time::Duration};

use obtrace_probes::{Options, Probes};
use serde_json::json;

use super::{CANNOT, FAILED, arguments::Check, complain, write_out};
use crate::{
    application::{Agent, Settings},
    print::Format,
};

pub(super) fn check(flags: &Check) -> u8 {
    if let Some(seconds) = flags.live {
        return live(Duration::from_secs(seconds.into()));
    }
    let loaded = Probes::load(&Options::new()).and_then(|mut probes| probes.attach().map(|()| probes.backend()));
    let (works, said) = match &loaded {
        Ok(backend) => (true, format!("{backend} back end loads and attaches")),
        Err(error) => (false, error.to_string()),
    };
    let text = if flags.json {
        format!("{:#}\n", json!({ "works": works, "features": [{ "name": "capture", "works": works, "why": said }] }))
    } else {
        format!("capture: {}: {said}\n", if works { "yes" } else { "no" })
    };
    let code = write_out(text.as_bytes());
    if works { code } else { CANNOT }
}

/// Attaches for a while and tells what was captured and what was lost.
fn live(time: Duration) -> u8 {
    let mut settings = Settings::new();
    settings.format = Format::None;
    let result = Agent::start(settings, None, io::sink()).and_then(|agent| {
        let _ = agent.wait_within(time);
        agent.stop()
    });
    match result {
        Ok(summary) => write_out(format!("{summary}\n").as_bytes()),
        Err(error) => {
            let code = if error.is_unsupported() { CANNOT } else { FAILED };
            complain(&error);
            code
        }
    }
}
