//! TLS by rustls: whom a receiver is checked against, and what this side shows of itself.
//!
//! Files are read when the transport is made, and again with every handshake: certificates rotate while an agent runs for
//! months. What cannot be read then, or is half written, leaves what was there before.

mod files;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use rustls_platform_verifier::Verifier;

use self::files::Files;
use super::ConfigError;

/// Certificates of a connection.
///
/// Without anything set, a receiver is checked against the certificates that the system trusts, and this side shows none.
///
/// ```
/// use obtrace_export::{model::Signal, transport::{HttpConfig, Tls}};
///
/// let tls = Tls::new().with_ca("/etc/otlp/ca.pem").with_client("/etc/otlp/tls.crt", "/etc/otlp/tls.key");
/// let config = HttpConfig::otlp("https://collector:4318", Signal::Traces).unwrap().with_tls(tls);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    ca: Option<PathBuf>,
    system: bool,
    client: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// The system's certificates, and none of our own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM file, and no others unless [`Tls::with_system_ca`] says so: what
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE` means.
    #[must_use]
    pub fn with_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// Trusts what the system trusts as well as the file of [`Tls::with_ca`].
    #[must_use]
    pub fn with_system_ca(mut self) -> Self {
        self.system = true;
        self
    }

    /// Shows a certificate to receivers that ask for one: a PEM file with its chain, its own first, and one with its key.
    #[must_use]
    pub fn with_client(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client = Some((certificate.into(), key.into()));
        self
    }

    /// What a connection needs, and what becomes of its handshakes. `used`: over `https`; otherwise it is empty, which costs no
    /// memory.
    pub(super) fn client_config(&self, used: bool, alpn: &[&[u8]]) -> Result<(ClientConfig, Handshakes), ConfigError> {
        let asked = Arc::new(AtomicBool::new(false));
        let config = self.config(used, alpn, Arc::clone(&asked))?;
        Ok((config, Handshakes { tls: self.clone(), asked }))
    }

    fn config(&self, used: bool, alpn: &[&[u8]], asked: Arc<AtomicBool>) -> Result<ClientConfig, ConfigError> {
        let fail = |error: rustls::Error| ConfigError::Tls { reason: error.to_string() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(fail)?;
        if !used {
            return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        }
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(&provider)?);
        let files = match &self.client {
            Some((certificate, key)) => {
                let read = move |contents: &[Vec<u8>]| client_key(contents, &provider);
                let files = Files::open([certificate.clone(), key.clone()].into(), Box::new(read));
                Some(files.map_err(|(file, reason)| ConfigError::ClientCertificate { file, reason })?)
            }
            None => None,
        };
        let mut config = builder.with_client_cert_resolver(Arc::new(Client { files, asked }));
        if self.ca.is_some() || self.client.is_some() {
            // A session taken up again would go by what the files said before.
            config.resumption = Resumption::disabled();
        }
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
        let Some(ca) = &self.ca else {
            let verifier = Verifier::new(Arc::clone(provider));
            return Ok(Arc::new(verifier.map_err(|error| ConfigError::Tls { reason: error.to_string() })?));
        };
        let (provider, system) = (Arc::clone(provider), self.system);
        let read = move |contents: &[Vec<u8>]| trusted(contents, system, &provider);
        let files = Files::open([ca.clone()].into(), Box::new(read))
            .map_err(|(file, reason)| ConfigError::CaCertificate { file, reason })?;
        Ok(Arc::new(Trust(files)))
    }

    fn client_advice(&self) -> String {
        match &self.client {
            Some((file, _)) => {
                let file = file.display();
                format!("the receiver does not seem to take the client certificate in {file}; renew or replace it")
            }
            None => "the receiver asks for a client certificate; set one (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
                OTEL_EXPORTER_OTLP_CLIENT_KEY)"
                .to_owned(),
        }
    }

    /// What to do about a handshake that failed; `None` if nothing is known.
    pub(super) fn advice(&self, error: &rustls::Error) -> Option<String> {
        use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};
        Some(match error {
            Error::InvalidCertificate(Bad::UnknownIssuer) => match &self.ca {
                Some(file) => format!(
                    "the receiver's certificate is not issued by one in {}; set the CA file of this receiver",
                    file.display()
                ),
                None => "the receiver's certificate is not issued by one that the system trusts; \
                    set the CA file of this receiver (OTEL_EXPORTER_OTLP_CERTIFICATE)"
                    .to_owned(),
            },
            Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
                "the receiver's certificate has expired, renew it there; or is the clock of this machine wrong?"
                    .to_owned()
            }
            Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
                "the receiver's certificate is not valid yet; is the clock of this machine wrong?".to_owned()
            }
            Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
                "the receiver's certificate is for another name; use the name in it in the endpoint".to_owned()
            }
            Error::AlertReceived(
                Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnsupportedCertificate
                | Alert::DecryptError
                | Alert::AccessDenied,
            ) => self.client_advice(),
            Error::InvalidMessage(_) => "the receiver does not speak TLS there; is http:// meant?".to_owned(),
            _ => return None,
        })
    }
}

/// What is known of a receiver's handshakes.
#[derive(Clone, Debug)]
pub(super) struct Handshakes {
    tls: Tls,
    /// A receiver has asked for a certificate and has answered no request since. In TLS 1.3 a client has ended its handshake
    /// by when the receiver judges its certificate, so what reaches a request is often no more than a closed connection.
    asked: Arc<AtomicBool>,
}

impl Handshakes {
    /// A request was answered.
    pub(super) fn succeeded(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// What the system said, without the layers above it, which name the URL; and what to do about it where that is known.
    pub(super) fn described(&self, error: &(dyn std::error::Error + 'static)) -> String {
        let mut deepest = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        let advice = cause(error).and_then(|error| self.tls.advice(error));
        let advice = advice.or_else(|| self.asked.load(Ordering::Relaxed).then(|| self.tls.client_advice()));
        advice.map_or_else(|| deepest.to_string(), |advice| format!("{deepest}; {advice}"))
    }
}

/// The TLS error among the causes of this one.
fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an IO error wraps is not its source, but that one's source is.
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            return cause(inner);
        }
        next = error.source();
    }
    None
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no PEM certificate in it (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(certificates)
}

type Verify = Arc<dyn ServerCertVerifier>;

fn trusted(contents: &[Vec<u8>], system: bool, provider: &Arc<CryptoProvider>) -> Result<Verify, (usize, String)> {
    let fail = |reason: String| (0, reason);
    let found = certificates(contents.first().map_or(&[], Vec::as_slice)).map_err(fail)?;
    if system {
        let verifier = Verifier::new_with_extra_roots(found, Arc::clone(provider));
        return Ok(Arc::new(verifier.map_err(|error| fail(error.to_string()))?));
    }
    let mut roots = RootCertStore::empty();
    for certificate in found {
        roots.add(certificate).map_err(|error| fail(error.to_string()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    Ok(verifier.map_err(|error| fail(error.to_string()))?)
}

fn client_key(contents: &[Vec<u8>], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, (usize, String)> {
    let [certificate, key] = contents else { return Err((0, "two files are needed".to_owned())) };
    let chain = certificates(certificate).map_err(|reason| (0, reason))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        (1, format!("there is no PEM key in it that can be used: {error} (PKCS#8, PKCS#1 or SEC1, without a password)"))
    })?;
    let both = CertifiedKey::from_der(chain, key, provider);
    both.map(Arc::new).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => (1, "it is not the key of the certificate".to_owned()),
        other => (1, other.to_string()),
    })
}

/// Checks receivers by a file.
struct Trust(Files<Verify>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.0.paths()).finish()
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.read_again().verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.last().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.last().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.last().supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Shows a certificate from a file where there is one, and notes that it was asked to.
struct Client {
    files: Option<Files<Arc<CertifiedKey>>>,
    asked: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.files.as_ref().map(Files::paths)).finish()
    }
}

impl ResolvesClientCert for Client {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.files.as_ref().map(Files::read_again).filter(|key| key.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        self.files.is_some()
    }
}

/// A file name as errors show it.
pub(super) fn shown(file: &Path) -> String {
    file.display().to_string()
}

#[cfg(test)]
mod tests;
