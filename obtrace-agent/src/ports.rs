//! What port numbers suggest, where nothing tells more.

use std::cmp::Ordering;

use obtrace_protocols::{Protocol, Role};

/// The first port that systems give to those that connect.
const FIRST_EPHEMERAL: u16 = 32_768;

/// What an end seems to be by its port and the other's: the one that others connect to is well known, or below those
/// that systems choose.
pub(crate) fn likely_role(own: u16, other: u16) -> Option<Role> {
    let listens = |port: u16| (Protocol::usual_on(port).is_some(), port < FIRST_EPHEMERAL);
    match listens(own).cmp(&listens(other)) {
        Ordering::Greater => Some(Role::Server),
        Ordering::Less => Some(Role::Client),
        Ordering::Equal => None,
    }
}
