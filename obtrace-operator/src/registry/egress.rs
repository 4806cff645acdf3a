//! Where look-ups connect to.
//!
//! Whoever may make a Pod writes image references, registries name who gives tokens and redirect: none of them is to choose whom the operator
//! talks to on its own machine, or which service of the cloud that answers by where it is asked from. What counts is the address that a
//! connection is made to, so that names are judged by what they resolve to, at the moment of the connection. Private networks are open:
//! registries are in clusters, too.
//!
//! Source: the [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry/) and the
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry/) registry of special addresses.

use std::{
    collections::BTreeSet,
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::net::lookup_host;

use super::{client::authority, credentials::is_same_host, reference::Reference};

/// Where clouds answer what a machine is and may, beside [link-local addresses](https://www.rfc-editor.org/rfc/rfc3927): Azure, Alibaba, Oracle; AWS
/// and Google by IPv6.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The variables that name proxies, as the client reads them in either case.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Barred {
    /// Its registry is none of those that are named.
    #[error("its registry is not one that images are looked up in (--image-registries)")]
    Registry,
    /// Where it would be asked for.
    #[error(
        "nobody is asked at a loopback or link-local address, of a cloud's metadata or of the API server's Service, unless \
         --image-registries names just this registry"
    )]
    Address,
}

/// Who may be asked.
#[derive(Clone, Debug)]
pub(super) struct Egress {
    /// The registries that images are looked up in, as patterns; none: all.
    registries: BTreeSet<String>,
    /// The registries that are asked without TLS.
    insecure: BTreeSet<String>,
    around: Arc<Around>,
}

impl Egress {
    pub(super) fn new(registries: BTreeSet<String>, insecure: BTreeSet<String>) -> Self {
        // References call it by one name only.
        let is_hub = |host: &str| matches!(without_port(host), "index.docker.io" | "registry-1.docker.io");
        let named = |host: String| if is_hub(&host) { "docker.io".to_owned() } else { host };
        let registries = registries.into_iter().map(named).collect();
        Self { registries, insecure, around: Arc::new(Around::of(|name| env::var(name).ok())) }
    }

    /// What names are resolved by.
    pub(super) fn resolver(&self) -> Arc<impl Resolve + use<>> {
        Arc::new(Resolver(Arc::clone(&self.around)))
    }

    pub(super) fn is_insecure(&self, host: &str) -> bool {
        self.insecure.contains(host)
    }

    /// Whether images of this registry are looked up.
    pub(super) fn registry(&self, image: &Reference) -> Result<(), Barred> {
        let host = without_port(&image.host);
        let is_it = |pattern: &String| is_same_host(without_port(pattern), host);
        let open = self.registries.is_empty() || self.insecure.contains(&image.host);
        if open || self.registries.iter().any(is_it) { Ok(()) } else { Err(Barred::Registry) }
    }

    /// Whether somebody has named just this: then its address is not looked at.
    pub(super) fn is_named(&self, url: &Url) -> bool {
        let port = || Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?));
        let is_in = |text: &str| self.registries.contains(text) || self.insecure.contains(text);
        is_in(&authority(url)) || port().is_some_and(|text| is_in(&text))
    }

    /// Whether this may be asked, as far as the address says it. What a name means is seen as it is resolved.
    pub(super) fn address(&self, url: &Url) -> Result<(), Barred> {
        let host = url.host_str().unwrap_or_default();
        let is_open = match host.trim_matches(['[', ']']).parse() {
            Ok(address) => self.around.is_open(address),
            Err(_) => {
                let name = host.trim_end_matches('.');
                name != "localhost" && !name.ends_with(".localhost") && self.around.api_server.as_deref() != Some(name)
            }
        };
        if is_open || self.is_named(url) { Ok(()) } else { Err(Barred::Address) }
    }
}

/// A host without the port that HTTPS has anyway.
fn without_port(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}

/// What the program has been told of where it runs.
#[derive(Debug, Default)]
struct Around {
    /// The API server, by its name or address.
    api_server: Option<String>,
    /// The hosts of proxies, which somebody has set.
    proxies: BTreeSet<String>,
}

impl Around {
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let both = PROXIES.into_iter().flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()]);
        let host = |value: String| {
            let url = if value.contains("://") { value } else { format!("http://{value}") };
            Some(Url::parse(&url).ok()?.host_str()?.to_owned())
        };
        let api_server = variable("KUBERNETES_SERVICE_HOST").map(|host| host.to_ascii_lowercase());
        Self { api_server, proxies: both.filter_map(|name| variable(&name)).filter_map(host).collect() }
    }

    /// Whether connections may be made there.
    fn is_open(&self, address: IpAddr) -> bool {
        let address = v4_in(address);
        let api_server = self.api_server.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
        let special = match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets().starts_with(&[0]),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let none = special || address.is_loopback() || address.is_unspecified() || address.is_multicast();
        !none && !METADATA.contains(&address) && api_server.map(v4_in) != Some(address)
    }
}

/// The address of IPv4 that one of IPv6 leads to: [mapped](https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5),
/// translated by the [well-known](https://www.rfc-editor.org/rfc/rfc6052#section-2.1) or the
/// [local prefix](https://www.rfc-editor.org/rfc/rfc8215) or [without state](https://www.rfc-editor.org/rfc/rfc2765#section-2.1), [tunnelled](https://www.rfc-editor.org/rfc/rfc3056#section-2).
fn v4_in(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let pair = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        // `::` and `::1` mean themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => pair(high, low),
        _ => address,
    }
}

/// Resolves names to what may be connected to.
struct Resolver(Arc<Around>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let around = Arc::clone(&self.0);
        Box::pin(async move {
            let all: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            // Somebody has set the proxy, and it resolves the names of others.
            let open = |address: IpAddr| around.proxies.contains(name.as_str()) || around.is_open(address);
            let open: Vec<_> = all.into_iter().filter(|address| open(address.ip())).collect();
            if open.is_empty() { Err(Barred::Address.into()) } else { Ok(Box::new(open.into_iter()) as Addrs) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|it| (*it).to_owned()).collect()
    }

    fn around(variables: &[(&str, &str)]) -> Around {
        Around::of(|name| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn addresses_that_mean_the_machine_or_its_cloud_are_closed_and_private_ones_are_not() {
        let around = around(&[("KUBERNETES_SERVICE_HOST", "10.96.0.1")]);
        for (address, open) in [
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("168.63.129.16", false),
            ("100.100.100.200", false),
            ("10.96.0.1", false),
            ("::ffff:10.96.0.1", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b:1::169.254.169.254", false),
            ("::ffff:0:169.254.169.254", false),
            ("2002:7f00:1::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("fd00:ec2::254", false),
            ("10.96.0.2", true),
            ("172.16.0.1", true),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("240.10.0.1", true),
            ("fd00::1", true),
            ("2001:db8::1", true),
            ("64:ff9b::1.2.3.4", true),
        ] {
            assert_eq!(around.is_open(address.parse().unwrap()), open, "{address}");
        }
    }

    #[test]
    fn what_is_named_is_open_with_just_its_port() {
        let egress = Egress::new(set(&["127.0.0.1:5000", "localhost"]), set(&["[::1]:80", "127.0.0.1:5001"]));
        for (url, open) in [
            ("https://127.0.0.1:5000/v2/", true),
            ("https://127.0.0.1:5001/v2/", true),
            ("https://127.0.0.1:5002/v2/", false),
            ("https://127.0.0.1/v2/", false),
            ("https://0x7f.1:5002/v2/", false),
            ("https://localhost/v2/", true),
            ("https://localhost:443/v2/", true),
            ("https://localhost:1/v2/", false),
            ("https://localhost./v2/", false),
            ("https://a.localhost/v2/", false),
            ("http://[::1]/v2/", true),
            ("https://[::1]/v2/", false),
            ("https://[::ffff:a9fe:a9fe]/latest", false),
            ("https://registry.example.com/v2/", true),
        ] {
            assert_eq!(egress.address(&Url::parse(url).unwrap()).is_ok(), open, "{url}");
        }
    }

    #[test]
    fn only_the_registries_that_are_named_are_asked_if_any_is() {
        let of = |image: &str, egress: &Egress| egress.registry(&Reference::parse(image).unwrap()).is_ok();
        let all = Egress::new(BTreeSet::new(), BTreeSet::new());
        assert!(of("node", &all) && of("registry.example.com/a", &all));
        let some = Egress::new(set(&["docker.io", "*.example.com", "registry:5000"]), set(&["plain:80"]));
        for (image, asked) in [
            ("node:22", true),
            ("index.docker.io/library/node", true),
            ("a.example.com/x", true),
            ("a.example.com:443/x", true),
            ("a.example.com:8443/x", false),
            ("a.b.example.com/x", false),
            ("example.com/x", false),
            ("registry:5000/x", true),
            ("registry:5001/x", false),
            ("plain:80/x", true),
            ("ghcr.io/x", false),
        ] {
            assert_eq!(of(image, &some), asked, "{image}");
        }
        assert!(of("node:22", &Egress::new(set(&["index.docker.io"]), BTreeSet::new())));
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to_and_proxies_are_not() {
        let resolve = |around: Around| Resolver(Arc::new(around)).resolve("localhost".parse().unwrap());
        let Err(error) = resolve(Around::default()).await else { panic!("localhost is open") };
        assert!(error.is::<Barred>(), "{error}");
        assert!(resolve(around(&[("https_proxy", "localhost:3128")])).await.is_ok());
        assert!(resolve(around(&[("HTTPS_PROXY", "http://user:word@localhost:3128/")])).await.is_ok());
    }
}
