//! Rust.

use super::{Rule, Rules, rule};
use crate::{
    Framework::{Actix, Axum, Rocket},
    Runtime::Rust,
};

const fn rs(name: &'static str, grade: u8) -> Rule {
    rule(name, Rust, grade)
}

pub(super) const RULES: Rules = Rules {
    programs: &[
        rs("cargo", 90),
        rs("vector", 80),
        rs("linkerd2-proxy", 90),
        rs("qdrant", 90),
        rs("meilisearch", 90),
        rs("surreal", 90),
        rs("tikv-server", 90),
        rs("parseable", 80),
        rs("quickwit", 90),
        rs("vaultwarden", 90),
        rs("ztunnel", 90),
        rs("materialized", 80),
        rs("obtrace-agent", 90),
    ],
    words: &[rs("rust", 80), rs("rustlang", 90), rs("actix", 90).of(Actix), rs("axum", 90).of(Axum)],
    env: &[
        rs("RUST_LOG", 60),
        rs("RUST_BACKTRACE", 70),
        rs("ROCKET_PORT", 80).of(Rocket),
        rs("ROCKET_ADDRESS", 80).of(Rocket),
    ],
    env_prefixes: &[],
    image_env: &[rs("RUST_VERSION", 80), rs("RUSTUP_HOME", 80), rs("CARGO_HOME", 80)],
    extensions: &[],
    frameworks: &[rs("actix", 90).of(Actix), rs("axum", 90).of(Axum), rs("rocket", 90).of(Rocket)],
};
