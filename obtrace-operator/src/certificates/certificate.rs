//! Certificates and keys as PEM holds them.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, ring::cipher_suite::TLS13_AES_128_GCM_SHA256},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The most certificates that are read of one field. Beyond them nothing is ours.
const MAX_CERTIFICATES: usize = 32;

/// The longest section of PEM that is read, in bytes: a certificate with an RSA key of 4,096 bits has about 2,000.
const MAX_SECTION: usize = 16 * 1024;

/// What is wrong with a certificate or a key. Nothing of a key is in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("is empty")]
    Empty,
    #[error("holds no PEM certificate that can be read")]
    NoCertificate,
    #[error("holds no PEM private key that can be read")]
    NoKey,
    #[error("does not belong to the certificate")]
    Mismatch,
    #[error("holds a key that cannot be used here: {0}")]
    Key(String),
}

/// One certificate, and its PEM.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
    /// SubjectPublicKeyInfo.
    pub(super) public_key: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Certificate({}..)",
            self.pem.get(BEGIN.len()..).unwrap_or_default().trim().get(..16).unwrap_or_default()
        )
    }
}

impl Certificate {
    /// One section of PEM, between its two lines.
    fn from_section(section: &str) -> Option<Self> {
        if section.len() > MAX_SECTION {
            return None;
        }
        let pem = format!("{BEGIN}\n{}\n{END}\n", section.trim());
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (rest, x509) = X509Certificate::from_der(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let public_key = x509.tbs_certificate.subject_pki.raw.to_vec();
        let (not_before, not_after) =
            (time(x509.validity().not_before.timestamp()), time(x509.validity().not_after.timestamp()));
        Some(Self { pem, public_key, not_before, not_after, der: der.clone() })
    }

    /// The SHA-256 of its DER, in hex: what `openssl x509 -fingerprint -sha256` shows, without the colons.
    pub(super) fn fingerprint(&self) -> String {
        // The provider's SHA-256, by a suite that has it: no other crate is needed for one hash.
        let hash = TLS13_AES_128_GCM_SHA256.tls13().map(|suite| suite.common.hash_provider.hash(&self.der));
        let bytes = hash.iter().flat_map(|hash| hash.as_ref());
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

fn time(seconds: i64) -> SystemTime {
    // Before 1970 or beyond what the clock holds: ended long ago.
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The certificates of a bundle, each once. What cannot be read is left out, as API servers do.
pub(super) fn read_bundle(pem: &[u8]) -> Vec<Certificate> {
    let text = String::from_utf8_lossy(pem);
    let sections = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    let readable = sections.filter_map(|(section, _)| Certificate::from_section(section));
    merge(readable.take(MAX_CERTIFICATES), MAX_CERTIFICATES)
}

/// The PEM of a bundle.
pub(super) fn write_bundle(certificates: &[Certificate]) -> Vec<u8> {
    certificates.iter().map(|certificate| certificate.pem.as_str()).collect::<String>().into_bytes()
}

/// Each of them once, in their order, and no more than `most`.
pub(super) fn merge(certificates: impl IntoIterator<Item = Certificate>, most: usize) -> Vec<Certificate> {
    let mut all = Vec::new();
    for certificate in certificates {
        if all.len() < most && !all.contains(&certificate) {
            all.push(certificate);
        }
    }
    all
}

/// A certificate with its key, as a server presents it.
#[derive(Clone)]
pub(super) struct Serving {
    /// The certificate, then what is between it and the CA.
    pub(super) chain: Vec<Certificate>,
    pub(super) leaf: Certificate,
    pub(super) names: Vec<String>,
    pub(super) key: Arc<CertifiedKey>,
    pub(super) key_pem: Vec<u8>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Serving").field("leaf", &self.leaf).field("names", &self.names).finish_non_exhaustive()
    }
}

impl Serving {
    /// Reads both, and that they belong together.
    pub(super) fn read(chain: &[u8], key: &[u8]) -> Result<Self, Unreadable> {
        if chain.is_empty() && key.is_empty() {
            return Err(Unreadable::Empty);
        }
        let certificates = read_bundle(chain);
        let leaf = certificates.first().cloned().ok_or(Unreadable::NoCertificate)?;
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unreadable::NoKey)?;
        let presented = certificates.iter().map(|certificate| certificate.der.clone()).collect();
        let certified = CertifiedKey::from_der(presented, private, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unreadable::Mismatch,
            other => Unreadable::Key(other.to_string()),
        })?;
        Ok(Self { names: names(&leaf), leaf, chain: certificates, key: Arc::new(certified), key_pem: key.to_vec() })
    }

    /// Whether a client that trusts these certificates trusts this one, its clock aside.
    pub(super) fn is_trusted_by(&self, bundle: &[Certificate]) -> bool {
        // A certificate that is in the bundle itself is trusted by API servers, whatever it is.
        bundle.contains(&self.leaf) || self.verify(bundle).is_ok()
    }

    fn verify(&self, bundle: &[Certificate]) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(bundle.iter().map(|certificate| certificate.der.clone()));
        let between: Vec<_> = self.chain.iter().skip(1).map(|certificate| certificate.der.clone()).collect();
        let since = self.leaf.not_before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(&self.leaf.der)?,
            &roots,
            &between,
            UnixTime::since_unix_epoch(since),
            provider().signature_verification_algorithms.all,
        )
    }
}

/// The DNS names that a certificate is for.
fn names(certificate: &Certificate) -> Vec<String> {
    let Ok((_, x509)) = X509Certificate::from_der(&certificate.der) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = x509.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}

/// The cryptography of everything here.
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of somebody, by nobody but itself.
    fn pem(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_bundle_is_read_whatever_is_between_its_certificates() {
        let (one, two) = (pem("one"), pem("two"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("# ours\r\n{one}{broken}{two}{one}-----BEGIN CERTIFICATE-----\nAAAA");
        let bundle = read_bundle(text.as_bytes());
        assert_eq!(String::from_utf8(write_bundle(&bundle)).unwrap(), format!("{one}{two}"));
        assert_eq!(read_bundle(b"\xff\xfe"), []);
    }

    #[test]
    fn what_is_read_of_a_bundle_has_a_bound() {
        let many: String = (0..MAX_CERTIFICATES + 3).map(|number| pem(&number.to_string())).collect();
        assert_eq!(read_bundle(many.as_bytes()).len(), MAX_CERTIFICATES);
        let long = format!("{BEGIN}\n{}\n{END}", "A".repeat(MAX_SECTION + 1));
        assert_eq!(read_bundle(long.as_bytes()), []);
    }

    #[test]
    fn a_certificate_and_a_key_have_to_belong_together() {
        let key = |pem: &str| rcgen::KeyPair::from_pem(pem).unwrap();
        let (ours, others) =
            (rcgen::KeyPair::generate().unwrap().serialize_pem(), rcgen::KeyPair::generate().unwrap().serialize_pem());
        let chain =
            rcgen::CertificateParams::new(vec!["a.svc".to_owned()]).unwrap().self_signed(&key(&ours)).unwrap().pem();
        let read = |chain: &str, key: &str| Serving::read(chain.as_bytes(), key.as_bytes()).map(|it| it.names);
        assert_eq!(read(&chain, &ours), Ok(vec!["a.svc".to_owned()]));
        assert_eq!(read(&chain, &others), Err(Unreadable::Mismatch));
        assert_eq!(read(&chain, "no"), Err(Unreadable::NoKey));
        assert_eq!(read("no", &ours), Err(Unreadable::NoCertificate));
        assert_eq!(read("", ""), Err(Unreadable::Empty));
    }
}
