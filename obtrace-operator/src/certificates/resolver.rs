//! What the server presents.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    RootCertStore, ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::{Certificate, provider};

/// The certificate that handshakes get from now on; replaced while the server runs. Connections that are open keep theirs.
#[derive(Debug, Default)]
pub struct Resolver {
    current: ArcSwapOption<CertifiedKey>,
    trusted: ArcSwapOption<RootCertStore>,
}

impl Resolver {
    /// Nothing to present: handshakes fail until there is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Presents this from now on.
    pub fn set(&self, certificate: Arc<CertifiedKey>) {
        self.current.store(Some(certificate));
    }

    /// What is presented now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }

    /// What API servers trust: the bundle of the configuration as it was last seen, or that of the Secret where no configuration has
    /// one. `None` until either is known.
    #[must_use]
    pub fn roots(&self) -> Option<RootCertStore> {
        self.trusted.load().as_deref().cloned()
    }

    /// API servers trust these from now on.
    pub(super) fn trust(&self, bundle: &[Certificate]) {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(bundle.iter().map(|certificate| certificate.der.clone()));
        self.trusted.store((!roots.is_empty()).then(|| Arc::new(roots)));
    }

    /// Whether there is something to present.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.current.load().is_some()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

/// How a server with this resolver speaks TLS: 1.2 and 1.3, HTTP/2 or HTTP/1.1.
///
/// No session is resumed: API servers never ask for it, and who resumed one would not see the certificate that is presented by then.
///
/// # Errors
///
/// The provider of cryptography has no cipher for these versions.
pub fn server_config(resolver: Arc<Resolver>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
    };
    use tokio::io::duplex;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::certificates::{Options, authority::Authority};

    /// A handshake with a client that trusts this CA and speaks this protocol.
    async fn shake(
        config: &Arc<ServerConfig>,
        ca: &CertificateDer<'static>,
        protocol: &[u8],
    ) -> Result<Vec<u8>, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let mut client = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        let (ours, theirs) = duplex(64 * 1024);
        let name = ServerName::try_from(Options::default().names()[0].clone()).unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let (client, _) = tokio::join!(connector.connect(name, ours), acceptor.accept(theirs));
        Ok(client?.get_ref().1.alpn_protocol().unwrap_or_default().to_vec())
    }

    #[tokio::test]
    async fn what_is_set_is_presented_from_the_next_handshake_on() {
        let resolver = Arc::new(Resolver::new());
        let config = server_config(Arc::clone(&resolver)).unwrap();
        let (options, now) = (Options::default(), SystemTime::now());
        let [old, new] = [0; 2].map(|_| Authority::generate(&options, now).unwrap());
        assert!(shake(&config, &old.certificate.der, b"h2").await.is_err() && !resolver.is_ready());
        resolver.set(old.issue(&options, now).unwrap().key);
        assert_eq!(shake(&config, &old.certificate.der, b"h2").await.unwrap(), b"h2");
        assert!(shake(&config, &new.certificate.der, b"h2").await.is_err());
        resolver.set(new.issue(&options, now).unwrap().key);
        assert_eq!(shake(&config, &new.certificate.der, b"http/1.1").await.unwrap(), b"http/1.1");
        assert!(shake(&config, &old.certificate.der, b"h2").await.is_err());
    }
}
