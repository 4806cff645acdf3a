#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod configuration;
mod error;
pub mod hooks;
mod json;
pub mod marks;
mod patch;
mod plan;
mod pod;
mod resources;
mod revert;
pub mod review;
mod settings;

pub use crate::{
    configuration::{Configuration, UnknownConfiguration},
    error::ParseError,
    patch::{Op, Operation, Patch},
    plan::{ContainerPlan, Ebpf, NoSidecar, Outcome, Plan, PodSkip, Reason, plan},
    pod::{Owner, Pod, Template, TemplateKind},
    revert::revert,
    settings::{
        DEFAULT_AGENT_IMAGE, DEFAULT_EBPF_IMAGE, EXCLUDED_NAMESPACES, Placement, PodSecurity, Resources, SecretKey,
        Settings, StrategyChoice, Version,
    },
};
