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
    params.not_before = now.checked_sub(skew).unwrap_or(SystemTime::UNIX_EPOCH).into();
    params.not_after = end.into();
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
