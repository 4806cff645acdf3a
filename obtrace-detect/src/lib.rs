#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buildpacks;
mod catalogue;
mod command;
mod detection;
mod detector;
mod environment;
mod evidence;
mod framework;
mod image;
#[cfg(feature = "serde")]
mod json;
mod names;
#[cfg(feature = "oci")]
mod oci;
mod opinion;
pub mod process;
mod rules;
mod script;
mod shell;
mod tokens;
mod wrappers;

#[cfg(feature = "oci")]
pub use crate::oci::ImageConfigError;
pub use crate::{
    catalogue::known_env,
    detection::{Confidence, Detection, Reason, Source, Speaks},
    detector::{Detector, detect},
    evidence::{EnvVar, Evidence, ImageConfig, Observation},
    image::ImageReference,
    names::{Framework, Language, ParseNameError, Runtime, Strategy},
    process::Process,
};
