//! What the Secret holds.

use std::{collections::BTreeMap, time::SystemTime};

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{
    Error, Options,
    authority::Authority,
    certificate::{Certificate, Serving, Unreadable, merge, read_bundle, write_bundle},
};

pub(super) const SERVING: &str = "tls.crt";
pub(super) const SERVING_KEY: &str = "tls.key";
pub(super) const BUNDLE: &str = "ca.crt";
pub(super) const CA_KEY: &str = "ca.key";
pub(super) const NEXT_CA: &str = "next-ca.crt";
pub(super) const NEXT_CA_KEY: &str = "next-ca.key";

/// cert-manager's mark on the Secrets that it keeps.
const CERT_MANAGER: &str = "cert-manager.io/certificate-name";

/// The most certificates in a bundle.
pub(super) const MAX_BUNDLE: usize = 8;

/// The Secret, as it is.
#[derive(Debug)]
pub(super) enum Stored {
    /// There is none.
    Missing,
    /// It is ours.
    Own(Material),
    /// It is cert-manager's, for this Certificate: it is read, never written.
    CertManager(Material, String),
}

impl Stored {
    pub(super) fn read(secret: Option<&Secret>) -> Self {
        let Some(secret) = secret else {
            return Self::Missing;
        };
        let material = Material::read(secret.data.as_ref().unwrap_or(&BTreeMap::new()));
        match secret.metadata.annotations.as_ref().and_then(|all| all.get(CERT_MANAGER)) {
            Some(certificate) => Self::CertManager(material, certificate.clone()),
            None => Self::Own(material),
        }
    }

    /// What is in it, if there is one.
    pub(super) fn material(&self) -> Option<&Material> {
        match self {
            Self::Missing => None,
            Self::Own(material) | Self::CertManager(material, _) => Some(material),
        }
    }
}

/// What the Secret holds: each part if it can be read.
///
/// `tls.crt` and `tls.key` are what every replica serves as soon as it sees them; so they are replaced only when the bundle that API
/// servers have vouches for what replaces them. `ca.crt` is the bundle, `ca.key` the key of the CA in use, `next-ca.*` the CA that the
/// bundle is to have before it is used.
#[derive(Debug, Default)]
pub(super) struct Material {
    pub(super) serving: Option<Serving>,
    pub(super) bundle: Vec<Certificate>,
    pub(super) authority: Option<Authority>,
    pub(super) next: Option<Authority>,
    /// What cannot be read, by its key in the Secret.
    pub(super) faults: Vec<(&'static str, Unreadable)>,
}

impl Material {
    /// Everything new: for when nobody trusts anything yet.
    pub(super) fn generate(options: &Options, now: SystemTime) -> Result<Self, Error> {
        let authority = Authority::generate(options, now)?;
        let serving = Some(authority.issue(options, now)?);
        Ok(Self { serving, bundle: vec![authority.certificate.clone()], authority: Some(authority), ..Self::default() })
    }

    fn read(data: &BTreeMap<String, ByteString>) -> Self {
        let field = |name: &str| data.get(name).map_or(&[][..], |bytes| bytes.0.as_slice());
        let mut faults = Vec::new();
        let mut note = |name, error| {
            // Nothing there is no fault: it is how the Secret begins.
            if error != Unreadable::Empty {
                faults.push((name, error));
            }
        };
        let serving = Serving::read(field(SERVING), field(SERVING_KEY)).map_err(|error| {
            let is_key = matches!(error, Unreadable::NoKey | Unreadable::Mismatch | Unreadable::Key(_));
            note(if is_key { SERVING_KEY } else { SERVING }, error);
        });
        let bundle = read_bundle(field(BUNDLE));
        if bundle.is_empty() && !field(BUNDLE).is_empty() {
            note(BUNDLE, Unreadable::NoCertificate);
        }
        let authority = Authority::read(&bundle, field(CA_KEY)).map_err(|error| note(CA_KEY, error));
        let next =
            Authority::read(&read_bundle(field(NEXT_CA)), field(NEXT_CA_KEY)).map_err(|error| note(NEXT_CA_KEY, error));
        Self { serving: serving.ok(), bundle, authority: authority.ok(), next: next.ok(), faults }
    }

    /// The Secret's fields.
    pub(super) fn data(&self) -> BTreeMap<String, ByteString> {
        let serving = self.serving.as_ref();
        let mut data = BTreeMap::from([
            // A Secret of this type has both, be they empty.
            (SERVING, serving.map(|it| write_bundle(&it.chain)).unwrap_or_default()),
            (SERVING_KEY, serving.map(|it| it.key_pem.clone()).unwrap_or_default()),
            (BUNDLE, write_bundle(&self.bundle)),
        ]);
        if let Some(authority) = &self.authority {
            data.insert(CA_KEY, authority.key_pem().into_bytes());
        }
        if let Some(next) = &self.next {
            data.insert(NEXT_CA, next.certificate.pem.clone().into_bytes());
            data.insert(NEXT_CA_KEY, next.key_pem().into_bytes());
        }
        data.into_iter().map(|(name, bytes)| (name.to_owned(), ByteString(bytes))).collect()
    }

    /// What API servers are to trust: the bundle, and the CA that is next.
    pub(super) fn trusted(&self) -> Vec<Certificate> {
        let next = self.next.iter().map(|next| next.certificate.clone());
        merge(next.chain(self.bundle.iter().cloned()), MAX_BUNDLE)
    }

    /// What vouches for the certificate to serve, if that does: the CA in use or, where only somebody else has its key, the bundle.
    pub(super) fn anchors(&self) -> Option<Vec<Certificate>> {
        let anchors = match &self.authority {
            Some(authority) => vec![authority.certificate.clone()],
            None => self.bundle.clone(),
        };
        let is_served = self.serving.as_ref().is_some_and(|serving| serving.is_trusted_by(&anchors));
        is_served.then_some(anchors)
    }

    /// Whether what is served is by the CA in use.
    pub(super) fn is_served_by_authority(&self) -> bool {
        self.authority.is_some() && self.anchors().is_some()
    }
}

/// Puts the material's fields into a Secret; those that are not ours stay.
pub(super) fn write(secret: &mut Secret, material: &Material) {
    let data = secret.data.get_or_insert_default();
    for name in [SERVING, SERVING_KEY, BUNDLE, CA_KEY, NEXT_CA, NEXT_CA_KEY] {
        data.remove(name);
    }
    data.extend(material.data());
}
