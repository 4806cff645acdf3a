//! Where to listen, as people write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port that OpenTelemetry's exporters for Prometheus have.
const PORT: u16 = 9464;

/// The text is no address to listen at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address to listen at: give a port (9464), an IP address (0.0.0.0) or both (10.0.0.7:9464, [::1]:9464)"
)]
pub struct AddressError(String);

/// An address to listen at. Without an IP address, that is the loopback: nobody else reads the metrics unless it is said.
/// Without a port, 9464.
///
/// # Errors
/// It is neither a port, nor an IP address (or `localhost`), nor both.
///
/// ```
/// use obtrace_export::prometheus::address;
/// assert_eq!(address("9000")?, "127.0.0.1:9000".parse().unwrap());
/// assert_eq!(address(":9000")?, "127.0.0.1:9000".parse().unwrap());
/// assert_eq!(address("0.0.0.0")?, "0.0.0.0:9464".parse().unwrap());
/// assert!(address("shop.example:9000").is_err());
/// # Ok::<(), obtrace_export::prometheus::AddressError>(())
/// ```
pub fn address(text: &str) -> Result<SocketAddr, AddressError> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let text = text.trim();
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>().ok();
    let named = text.strip_prefix("localhost").and_then(|rest| match rest.strip_prefix(':') {
        Some(port) => port.parse().ok(),
        None => rest.is_empty().then_some(PORT),
    });
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>().ok();
    port.or(named)
        .map(|port| SocketAddr::new(loopback, port))
        .or_else(|| text.parse().ok())
        .or_else(|| text.parse::<Ipv4Addr>().ok().map(|ip| SocketAddr::new(ip.into(), PORT)))
        .or_else(|| bare().map(|ip| SocketAddr::new(ip.into(), PORT)))
        .ok_or_else(|| AddressError(text.chars().take(128).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, expected) in [
            ("0", "127.0.0.1:0"),
            ("localhost", "127.0.0.1:9464"),
            ("localhost:1", "127.0.0.1:1"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("[::1]:80", "[::1]:80"),
            ("::", "[::]:9464"),
            ("[::1]", "[::1]:9464"),
            (" 9464 ", "127.0.0.1:9464"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", ":", "localhost:", "65536", "-1", "10.0.0.7:", "http://localhost:9464"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
