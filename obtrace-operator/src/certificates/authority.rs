//! The CA: making one, and certificates by it. Keys are ECDSA P-256.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};

use super::{
    Error, Options,
    certificate::{Certificate, Serving, Unreadable, provider, read_bundle},
};

/// The end of the year 9999, since 1970.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A CA's certificate and key.
pub(super) struct Authority {
    pub(super) certificate: Certificate,
    key: KeyPair,
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Authority").field(&self.certificate).finish()
    }
}

impl Authority {
    /// A new one, that no other certificate vouches for.
    pub(super) fn generate(options: &Options, now: SystemTime) -> Result<Self, Error> {
        let serial = serial()?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(now, options.skew, now + options.ca.valid);
        // Names differ, so that nobody who has two of them takes one for the other.
        let name = format!("obtrace-zero webhook CA {}", &hex(&serial)[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = readable(&params.self_signed(&key)?.pem())?;
        Ok(Self { certificate, key })
    }

    /// The one that this key belongs to, out of several.
    pub(super) fn read(certificates: &[Certificate], key: &[u8]) -> Result<Self, Unreadable> {
        if key.is_empty() {
            return Err(Unreadable::Empty);
        }
        let text = std::str::from_utf8(key).map_err(|_| Unreadable::NoKey)?;
        let key = KeyPair::from_pem(text).map_err(|_| Unreadable::NoKey)?;
        let public = key.subject_public_key_info();
        let certificate = certificates.iter().find(|it| it.public_key == public).ok_or(Unreadable::Mismatch)?;
        Ok(Self { certificate: certificate.clone(), key })
    }

    /// A serving certificate by it, with a new key. It does not outlive the CA.
    pub(super) fn issue(&self, options: &Options, now: SystemTime) -> Result<Serving, Error> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate.der, &self.key)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(now, options.skew, self.certificate.not_after.min(now + options.serving.valid));
        for name in options.names() {
            params.subject_alt_names.push(rcgen::SanType::DnsName(name.try_into()?));
        }
        // Not the whole name: a common name has at most 64 characters.
        params.distinguished_name.push(DnType::CommonName, options.service.clone());
        params.serial_number = Some(SerialNumber::from_slice(&serial()?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        let serving = Serving::read(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
        serving.map_err(|error| Error::Made(error.to_string()))
    }

    /// Its key as PEM.
    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

fn readable(pem: &str) -> Result<Certificate, Error> {
    read_bundle(pem.as_bytes()).into_iter().next().ok_or_else(|| Error::Made(Unreadable::NoCertificate.to_string()))
}

fn params(now: SystemTime, skew: Duration, end: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Whatever the clock says, certificates end before the year 10000.
    let last = SystemTime::UNIX_EPOCH + LAST;
    params.not_before = now.checked_sub(skew).unwrap_or(SystemTime::UNIX_EPOCH).min(last).into();
    params.not_after = end.min(last).into();
    params
}

/// 16 random bytes, as a positive number (RFC 5280, 4.1.2.2).
fn serial() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    provider().secure_random.fill(&mut bytes).map_err(|_| Error::Random)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{ServerName, UnixTime},
    };
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn accepts(authority: &Authority, serving: &Serving, name: &str, now: SystemTime) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der.clone()).unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build().unwrap();
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&serving.leaf.der, &[], &name, &[], now).map(|_| ())
    }

    #[test]
    fn a_client_that_trusts_the_authority_accepts_its_certificate_for_every_name_and_for_its_life() {
        let (options, now) = (Options::default(), SystemTime::now());
        let authority = Authority::generate(&options, now).unwrap();
        let serving = authority.issue(&options, now).unwrap();
        for name in options.names() {
            accepts(&authority, &serving, &name, now).unwrap();
        }
        assert!(accepts(&authority, &serving, "elsewhere.svc", now).is_err());
        // Clocks differ.
        let minute = Duration::from_secs(60);
        let name = &options.names()[0];
        accepts(&authority, &serving, name, now - options.skew + minute).unwrap();
        accepts(&authority, &serving, name, now + options.serving.valid - minute).unwrap();
        assert!(accepts(&authority, &serving, name, now + options.serving.valid + minute).is_err());
        let stranger = Authority::generate(&options, now).unwrap();
        assert!(accepts(&stranger, &serving, name, now).is_err());
    }

    #[test]
    fn certificates_say_what_they_are_for() {
        let (options, now) = (Options::default(), SystemTime::now());
        let authority = Authority::generate(&options, now).unwrap();
        let serving = authority.issue(&options, now).unwrap();
        let (_, ca) = X509Certificate::from_der(&authority.certificate.der).unwrap();
        let (_, leaf) = X509Certificate::from_der(&serving.leaf.der).unwrap();
        let constraints = ca.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint == Some(0));
        let usage = ca.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && !usage.digital_signature());
        assert!(!leaf.is_ca());
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && !usage.key_cert_sign());
        let extended = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && !extended.client_auth && !extended.any);
    }

    #[test]
    fn nothing_is_given_out_twice_and_nothing_outlives_its_authority() {
        let (mut options, now) = (Options::default(), SystemTime::now());
        options.ca = super::super::Life::new(options.serving.valid / 2);
        let authority = Authority::generate(&options, now).unwrap();
        let many: Vec<_> = (0..20).map(|_| authority.issue(&options, now).unwrap()).collect();
        assert!(many.iter().all(|serving| serving.leaf.not_after <= authority.certificate.not_after));
        let serials = many.iter().map(|serving| {
            let (_, leaf) = X509Certificate::from_der(&serving.leaf.der).unwrap();
            assert_eq!(leaf.raw_serial().len(), 16);
            leaf.raw_serial().to_vec()
        });
        assert_eq!(serials.collect::<BTreeSet<_>>().len(), many.len());
        let keys: BTreeSet<_> = many.iter().map(|serving| serving.leaf.public_key.clone()).collect();
        assert_eq!(keys.len(), many.len());
    }

    #[test]
    fn an_authority_is_read_back_and_signs_on() {
        let (options, now) = (Options::default(), SystemTime::now());
        let made = Authority::generate(&options, now).unwrap();
        let other = Authority::generate(&options, now).unwrap();
        let bundle = [other.certificate.clone(), made.certificate.clone()];
        let read = Authority::read(&bundle, made.key_pem().as_bytes()).unwrap();
        accepts(&made, &read.issue(&options, now).unwrap(), &options.names()[0], now).unwrap();
        assert_eq!(Authority::read(&bundle[..1], made.key_pem().as_bytes()).unwrap_err(), Unreadable::Mismatch);
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }
}
