//! Addresses as text.

use std::net::{IpAddr, SocketAddr};

use obtrace_export::model::{Span, Text};

/// An address and its port, written. One that only says "any" is no address.
#[derive(Clone, Debug, Default)]
pub(super) struct Address {
    ip: Option<Text>,
    pub(super) port: Option<u16>,
}

impl Address {
    pub(super) fn push(&self, span: &mut Span, address: Text, port: Text) {
        if let Some(ip) = &self.ip {
            span.push(address, ip.clone());
        }
        if let Some(number) = self.port {
            span.push(port, i64::from(number));
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Writer::default().write(Some(address))
    }
}

/// Writes addresses and keeps the last one: it is mostly the next one's, too.
#[derive(Debug, Default)]
pub(super) struct Writer {
    last: Option<(IpAddr, Text)>,
}

impl Writer {
    pub(super) fn write(&mut self, address: Option<SocketAddr>) -> Address {
        let Some(address) = address else { return Address::default() };
        let port = (address.port() != 0).then_some(address.port());
        let ip = address.ip();
        if let Some((last, text)) = &self.last
            && *last == ip
        {
            return Address { ip: Some(text.clone()), port };
        }
        if ip.is_unspecified() {
            return Address { ip: None, port };
        }
        let text = text(ip);
        self.last = Some((ip, text.clone()));
        Address { ip: Some(text), port }
    }
}

/// As the standard library writes it, without the cost of its formatting for the usual ones.
fn text(address: IpAddr) -> Text {
    let IpAddr::V4(address) = address else { return address.to_string().into() };
    let mut digits = [[0_u8; 3]; 4];
    let mut pieces = [""; 7];
    for (index, (number, digits)) in address.octets().into_iter().zip(&mut digits).enumerate() {
        *digits = [b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10];
        let from = usize::from(number < 100) + usize::from(number < 10);
        if index > 0 {
            pieces[2 * index - 1] = ".";
        }
        pieces[2 * index] = digits.get(from..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default();
    }
    Text::concat(&pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        let mut writer = Writer::default();
        let mut check = |address: IpAddr| {
            for port in [0, 80] {
                let written = writer.write(Some(SocketAddr::new(address, port)));
                assert_eq!(written.ip, (!address.is_unspecified()).then(|| address.to_string().into()));
                assert_eq!(written.port, (port != 0).then_some(port));
            }
        };
        for number in 0..=u8::MAX {
            check(IpAddr::from([number, 0, 255 - number, number / 2]));
            check(IpAddr::from([0; 4]));
        }
        for text in ["::1", "2001:db8::7", "::ffff:1.2.3.4", "::", "1.2.3.4"] {
            check(text.parse().unwrap());
        }
    }
}
